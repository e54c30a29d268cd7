"""How what is asked is read in what was found: words at their best moments, wholes, and several things together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.models.model import Model
from lookhear.scoring import Compatibility, read_text
from lookhear.search.index import Found, Index
from lookhear.search.question import Part

__all__ = ["Usual", "curves_of", "is_sure", "pad_local", "peaks_of", "readings", "sureness"]

_ROWS = 64  # segments read at once: 2.5 MB of local vectors as an archive keeps them, which stays in the cache


def pad_local(local: Sequence[NDArray[np.float32]], step: float) -> Features:
    """B arrays (N_b, D) of local vectors → features padded to the longest; pooled along their sums."""
    values = pad_sequence([torch.from_numpy(v) for v in local], batch_first=True).float()
    mask = lengths_to_mask(torch.tensor([len(v) for v in local]), values.shape[1])
    return Features(pool(values, mask), values, mask, step)


def readings(index: Index, model: Model, found: Sequence[Found], part: Part) -> Tensor:
    """(H,) scores of what was found, read as what is asked is meant.

    In a recording, a text scores what its words' best moments and its whole say (``read_text``), the whole as if all
    recordings were equally decisive (``Model.contrast``). A moment that is looked for is read like a word. For pictures
    and recordings that are asked, and for pictures and texts that are found, it is the similarity of wholes.

    Memory is bounded by ``_ROWS`` segments.
    """
    if not found:
        return torch.zeros(0)
    pooled = torch.from_numpy(index.pooled(found))
    scores = pooled @ part.whole[0]
    heard = [i for i, f in enumerate(found) if f.modality == "audio"]
    if part.written and heard:
        scores[heard] *= model.contrast(pooled[heard])
    compatibility = model.compatibility
    if not len(part.words) and compatibility.kind == "sum":  # these are the wholes' cosines already
        return scores
    heard.sort(key=lambda i: found[i].row)  # as they lie on disk
    for i in range(0, len(heard), _ROWS):
        own = heard[i : i + _ROWS]
        scores[own] = _read(index, [found[j] for j in own], scores[own], part, compatibility)
    return scores


def _read(index: Index, found: Sequence[Found], cosines: Tensor, part: Part, compatibility: Compatibility) -> Tensor:
    """(B,) scores of segments whose wholes have (B,) similarities with the whole query."""
    whole = cosines
    asked = torch.cat([part.words, part.whole])
    features, asked = _local(index, found, asked, compatibility)
    words, query = asked[:-1], asked[-1:]
    if compatibility.kind != "sum":
        whole = compatibility.pooled(features, query)[:, 0]
    if not len(words):
        return whole
    moments = compatibility.peak(features, words).mean(1)
    return read_text(moments, whole, len(words)) if part.written else moments


def _local(
    index: Index, found: Sequence[Found], asked: Tensor, compatibility: Compatibility
) -> tuple[Features, Tensor]:
    """Local vectors of segments, and (Q, D) queries as they meet them: both in fewer dimensions where that is exact."""
    step = index.about["step"]
    if compatibility.heads > 1:  # parts of a vector are read, so all of it is needed
        return pad_local(index.local(found), step), asked
    local, reduced = index.reduced(found, asked.numpy())
    return pad_local(local, step), torch.from_numpy(reduced)


def curves_of(index: Index, found: Found, asked: Tensor, compatibility: Compatibility) -> Tensor:
    """(N, Q) score curves of one segment for (Q, D) queries; N is 0 of what has left the index."""
    features, asked = _local(index, [found], asked, compatibility)
    return compatibility.curve(features, asked)[0]


def is_sure(model: Model, part: Part) -> bool:
    """Whether it can be told how sure a hit is: of the words of a text, by a model that was calibrated."""
    return model.calibration is not None and part.written and bool(len(part.words))


def sureness(model: Model, part: Part, peaks: Tensor) -> Tensor | None:
    """(H, W) best moments of a text's words → (H,) probability that it is said, or None where that is not known.

    The mean of the words' log-odds, as in spotting; of a model that was calibrated.
    """
    if not is_sure(model, part):
        return None
    assert model.calibration is not None
    slope, intercept = model.calibration.line(part.words, part.names)
    return torch.sigmoid((peaks * slope + intercept).mean(1))


class Usual:
    """What something scores usually, so that unlike things can be added: (score − median) / deviation.

    The deviation is 1.4826 × the median absolute deviation, which of normally distributed scores is the standard
    deviation and does not grow when a few rows are meant.
    """

    def __init__(self, scores: Tensor) -> None:
        self.median = scores.median()
        self.deviation = (1.4826 * (scores - self.median).abs().median()).clamp(min=1e-3)

    def __call__(self, scores: Tensor) -> Tensor:
        return (scores - self.median) / self.deviation


def peaks_of(index: Index, found: Sequence[Found], part: Part, compatibility: Compatibility) -> Tensor:
    """(H, W) best moments of a part's words in segments of recordings."""
    parts = [torch.zeros(0, len(part.words))]
    for i in range(0, len(found), _ROWS):
        features, asked = _local(index, found[i : i + _ROWS], part.words, compatibility)
        parts.append(compatibility.peak(features, asked))
    return torch.cat(parts)
