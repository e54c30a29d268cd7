"""Search: a text, picture or recording in, moments of recordings (and pictures) out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lookhear.audio import load_audio
from lookhear.core import Features, Hit
from lookhear.data.images import load_image
from lookhear.errors import UserError, did_you_mean
from lookhear.models.model import Model
from lookhear.search.embed import AUDIO, IMAGE, fingerprint
from lookhear.search.index import Found, open_index
from lookhear.search.moments import around

__all__ = ["Searcher"]

_KINDS = {"recordings": "audio", "pictures": "image"}
_FIRST = 8  # rows asked of the index for each hit wanted: overlapping segments are one moment, and some fall away


class Searcher:
    """Asks an index.

    Args:
        index: its folder.
        model: what it was made with; by default the model of the run that the index names.

    Raises:
        UserError: no index, its run is gone, or it was made with another model.
    """

    def __init__(self, index: Path | str, model: Model | None = None) -> None:
        self.index = open_index(index)
        self.model = model if model is not None else Model.load(_run_of(Path(index), self.index.about["run"]))
        if fingerprint(self.model) != self.index.about["model"]:
            raise UserError(f"{index} was made with another model", "Make it again with `lookhear index`.")

    def search(
        self,
        query: str | Path,
        k: int = 10,
        kind: str | None = "recordings",
        *,
        modality: Literal["text", "picture", "recording"] | None = None,
    ) -> list[Hit]:
        """The ``k`` best moments and pictures, best first.

        A hit's score is the similarity in [-1, 1] of the whole segment (or picture) to the query, read as in training;
        its start and end are the stretch around the peak of the segment's score curve, and 0, 0 for a picture. Moments
        of one file that overlap are one, so fewer than ``k`` may be left of a small index.

        Args:
            query: a text, or the path of a picture or recording.
            kind: "recordings", "pictures", or None for both. Towers of two modalities do not score alike, so a mixed
                list may have all of one kind first.
            modality: what the query is; by default a file if it ends like one and exists, else a text.

        Raises:
            UserError: an unknown kind, a file that cannot be read, or a text the encoder can make nothing of.
        """
        if kind is not None and kind not in _KINDS:
            raise UserError(f"no kind {kind!r}", did_you_mean(kind, _KINDS))
        if k < 1:
            raise UserError(f"{k} hits wanted", "Ask for at least one.")
        vector = self._embed(query, modality or _modality(query))
        where = {"modality": _KINDS[kind]} if kind else None
        wanted = _FIRST * k
        while True:
            found = self.index.search(vector.numpy(), wanted, where)[0]
            hits = _distinct(sorted(self._placed(found, vector, str(query)), key=lambda h: -h.score))
            if len(hits) >= k or len(found) < wanted:
                return hits[:k]
            wanted *= 4

    def _embed(self, query: str | Path, modality: str) -> Tensor:
        """(1, D) unit vector of the query."""
        if modality == "text":
            features = self.model.embed_texts([str(query)])
        elif modality == "picture":
            features = self.model.embed_images([load_image(query)])
        else:
            features = self.model.embed_audio([load_audio(query)])
        return features.pooled.float()

    def _placed(self, found: list[Found], query: Tensor, text: str) -> Iterator[Hit]:
        """Whole segments as moments; scores are read again where the model does not pool by a sum."""
        compatibility, step = self.model.compatibility, self.index.about["step"]
        for f in found:
            if f.modality == "image":
                yield Hit(f.file, text, 0.0, 0.0, f.score)
                continue
            local = torch.from_numpy(self.index.local(f)).float()[None]
            features = Features(query, local, torch.ones(local.shape[:2], dtype=torch.bool), step)
            curve = compatibility.curve(features, query)[0, :, 0]
            span = around(curve, int(curve.argmax()), step, f.start)
            # The index ranks by pooled vectors, which is exact for sums and a first choice for other readings.
            score = f.score if compatibility.kind == "sum" else float(compatibility.pooled(features, query)[0, 0])
            yield Hit(f.file, text, span.start, min(span.end, f.end), score)


def _modality(query: str | Path) -> str:
    path = Path(query)
    suffix = path.suffix.lower()
    if suffix in AUDIO | IMAGE and (isinstance(query, Path) or path.is_file()):
        return "recording" if suffix in AUDIO else "picture"
    return "text"


def _distinct(hits: list[Hit]) -> list[Hit]:
    """The best of hits that overlap in time in one file, in the order given."""
    out: list[Hit] = []
    by_file: dict[str, list[Hit]] = {}
    for hit in hits:
        others = by_file.setdefault(hit.file, [])
        # A picture has no times: it is listed once, and two rows of one picture would be the same file twice.
        if not any(hit.start < o.end and o.start < hit.end for o in others):
            others.append(hit)
            out.append(hit)
    return out


def _run_of(index: Path, run: str) -> Path:
    """The run folder that an index names, if it is still there."""
    path = Path(run)
    if not path.is_dir():
        raise UserError(
            f"{index}: the run it was made with is not at {path} any more",
            "Put it back, name it with --run, or make the index again.",
        )
    return path
