"""How a written query is read in recordings: its content words at their best moments, and its whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.scoring import Compatibility, read_text
from lookhear.search.index import Found, Index

__all__ = ["Query", "pad_local", "rescore"]

_ROWS = 16  # segments read at once: 2 MB of local vectors of 256 values stay in the cache


@dataclass(frozen=True)
class Query:
    """What is asked, as vectors.

    Attributes:
        text: as it was written, or the path of a file.
        whole: (1, D) unit vector of the text, picture or recording.
        words: (W, D) unit vectors of the content words; W is 0 for pictures, recordings and texts without any.
        written: whether it is a text.
    """

    text: str
    whole: Tensor
    words: Tensor
    written: bool = False

    @property
    def placed_by(self) -> Tensor:
        """The vectors whose highest curve says where a recording meets the query."""
        return self.words if len(self.words) else self.whole


def pad_local(local: Sequence[NDArray[np.float16]], step: float) -> Features:
    """B arrays (N_b, D) of local vectors → features padded to the longest; pooled along their sums."""
    values = pad_sequence([torch.from_numpy(v) for v in local], batch_first=True).float()
    mask = lengths_to_mask(torch.tensor([len(v) for v in local]), values.shape[1])
    return Features(pool(values, mask), values, mask, step)


def rescore(index: Index, found: Sequence[Found], query: Query, compatibility: Compatibility) -> list[Found]:
    """What an index found by pooled vectors, best first by the reading that the query is meant by.

    In a recording, a text scores what its words' best moments and its whole say (``read_text``). For pictures and
    recordings that are asked, and for pictures that are found, it is the similarity of wholes.

    Memory is bounded by ``_ROWS`` segments.
    """
    scores = {f.row: f.score for f in found}
    if len(query.words) or compatibility.kind != "sum":  # the index has the cosines of whole segments already
        heard = sorted((f for f in found if f.modality == "audio"), key=lambda f: f.row)  # as they lie on disk
        for i in range(0, len(heard), _ROWS):
            part = heard[i : i + _ROWS]
            features = pad_local([index.local(f) for f in part], index.about["step"])
            read = _read(features, torch.tensor([f.score for f in part]), query, compatibility)
            scores |= zip((f.row for f in part), read.tolist(), strict=True)
    return sorted((replace(f, score=scores[f.row]) for f in found), key=lambda f: -f.score)


def _read(features: Features, cosines: Tensor, query: Query, compatibility: Compatibility) -> Tensor:
    """(B,) scores of segments whose pooled vectors have (B,) cosines with the whole query."""
    whole = cosines if compatibility.kind == "sum" else compatibility.pooled(features, query.whole)[:, 0]
    if not len(query.words):
        return whole
    return read_text(compatibility.peak(features, query.words).mean(1), whole, len(query.words))
