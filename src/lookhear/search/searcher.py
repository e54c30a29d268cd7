"""Search: a text, picture or recording in, moments of recordings (and pictures) out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import torch

from lookhear.audio import load_audio
from lookhear.core import Hit
from lookhear.data.images import load_image
from lookhear.errors import UserError, did_you_mean
from lookhear.models.model import Model
from lookhear.moments import around
from lookhear.search.embed import AUDIO, IMAGE, fingerprint
from lookhear.search.index import Found, open_index
from lookhear.search.rescore import Query, pad_local, rescore
from lookhear.tasks.keywords import content_words

__all__ = ["Searcher"]

_KINDS = {"recordings": "audio", "pictures": "image"}
_FIRST = 2_000  # rows that the index gives by their wholes, to be read again by their local vectors
_EACH = 8  # rows at least for each hit wanted: overlapping segments are one moment, and some fall away


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

        A text is looked for as a person means it. Over recordings, one content word ("umbrella", "the umbrella") is
        read at its best moment: the cosine in [-1, 1] that ``spot`` reads too. Several ("a red boat in the snow") are
        read by the mean of their words' best moments, and the longer the text, the more also by the similarity of the
        whole text to the whole segment (``read_text``), as if all segments were equally decisive (``Model.contrast``),
        which can pass 1. Pictures and recordings that are asked, and pictures that are found, are scored by the
        similarity of wholes, read as in training.

        There are two stages: the index finds the segments nearest to the query as wholes, 2,000 of them or 8 × ``k``
        if that is more, and these are read again. So a search for words is exact up to 2,000 segments, and beyond that
        the best of the 2,000 that are nearest as wholes.

        A hit's start and end are the stretch around the peak of the segment's score curve (the highest of its words'
        curves), and 0, 0 for a picture. Moments of one file that overlap are one, so fewer than ``k`` may be left of a
        small index.

        Args:
            query: a text, or the path of a picture or recording.
            kind: "recordings", "pictures", or None for both. Towers of two modalities do not score alike, so a mixed
                list may have all of one kind first.
            modality: what the query is; by default a file if it ends like one and exists, else a text.

        Raises:
            UserError: an unknown kind, a file that cannot be read, or a text or word the encoder can make nothing of.
        """
        if kind is not None and kind not in _KINDS:
            raise UserError(f"no kind {kind!r}", did_you_mean(kind, _KINDS))
        if k < 1:
            raise UserError(f"{k} hits wanted", "Ask for at least one.")
        asked = self._embed(query, modality or _modality(query))
        where = {"modality": _KINDS[kind]} if kind else None
        wanted = max(_FIRST, _EACH * k)
        while True:
            found = self.index.search(asked.whole.numpy(), wanted, where)[0]
            if asked.written:
                found = self._level(found)
            ranked = rescore(self.index, found, asked, self.model.compatibility)
            hits = list(islice(_distinct(self._placed(ranked, asked)), k))
            if len(hits) == k or len(found) < wanted:
                return hits
            wanted *= 4

    def _embed(self, query: str | Path, modality: str) -> Query:
        if modality == "text":
            vectors = self.model.embed_texts([str(query), *content_words(str(query))]).pooled.float()
            return Query(str(query), vectors[:1], vectors[1:], written=True)
        if modality == "picture":
            vectors = self.model.embed_images([load_image(query)]).pooled.float()
        else:
            vectors = self.model.embed_audio([load_audio(query)]).pooled.float()
        return Query(str(query), vectors[:1], vectors[1:])

    def _level(self, found: Sequence[Found]) -> list[Found]:
        """Recordings as equally decisive about texts (``Model.contrast``)."""
        heard = [f for f in found if f.modality == "audio"]
        factors = self.model.contrast(torch.from_numpy(self.index.pooled(heard))).tolist() if heard else []
        levelled = {f.row: replace(f, score=f.score * c) for f, c in zip(heard, factors, strict=True)}
        return [levelled.get(f.row, f) for f in found]

    def _placed(self, found: Iterable[Found], query: Query) -> Iterator[Hit]:
        """Whole segments as the moments where they meet the query, one by one."""
        step = self.index.about["step"]
        for f in found:
            if f.modality == "image":
                yield Hit(f.file, query.text, 0.0, 0.0, f.score)
                continue
            features = pad_local([self.index.local(f)], step)
            curve = self.model.compatibility.curve(features, query.placed_by)[0].amax(1)
            span = around(curve, int(curve.argmax()), step, f.start)
            yield Hit(f.file, query.text, span.start, min(span.end, f.end), f.score)


def _modality(query: str | Path) -> str:
    path = Path(query)
    suffix = path.suffix.lower()
    if suffix in AUDIO | IMAGE and (isinstance(query, Path) or path.is_file()):
        return "recording" if suffix in AUDIO else "picture"
    return "text"


def _distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """The first of hits that overlap in time in one file, in the order given."""
    by_file: dict[str, list[Hit]] = {}
    for hit in hits:
        others = by_file.setdefault(hit.file, [])
        # A picture has no times: it is listed once, and two rows of one picture would be the same file twice.
        if not any(hit.start < o.end and o.start < hit.end for o in others):
            others.append(hit)
            yield hit


def _run_of(index: Path, run: str) -> Path:
    """The run folder that an index names, if it is still there."""
    path = Path(run)
    if not path.is_dir():
        raise UserError(
            f"{index}: the run it was made with is not at {path} any more",
            "Put it back, name it with --run, or make the index again.",
        )
    return path
