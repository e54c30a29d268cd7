"""Search: texts, pictures, recordings and moments in; moments, recordings, pictures and texts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lookhear.audio import load_audio
from lookhear.core import Hit
from lookhear.data.images import load_image
from lookhear.errors import UserError, did_you_mean
from lookhear.models.model import Model
from lookhear.search.answers import Answer, Answers, gather_answers
from lookhear.search.combine import asked_together
from lookhear.search.embed import fingerprint
from lookhear.search.files import AUDIO, IMAGE, Modality
from lookhear.search.index import Found, Where, open_index
from lookhear.search.question import Part, moment_part, shown_part, written_parts

__all__ = ["KINDS", "Searcher"]

KINDS: dict[str, Modality | None] = {
    "moments": "audio",
    "recordings": "audio",
    "pictures": "image",
    "texts": "text",
    "all": None,
}
FIRST = 128
"""Rows that the index gives by their wholes, to be read again by their local vectors."""
_EACH = 8  # rows at least for each hit wanted: overlapping segments are one moment, and some fall away
_DEEPEST = 10_000  # hits, counted from the best, beyond which nobody pages

Asked = str | Path | Image.Image | Part | Hit


class Searcher:
    """Asks an index.

    Args:
        index: its folder, or its address.
        model: what it was made with; by default the model of the run that the index names.

    Raises:
        UserError: no index, its run is gone, or it was made with another model.
    """

    def __init__(self, index: Path | str, model: Model | None = None) -> None:
        self.index = open_index(index)
        self.model = model if model is not None else Model.load(_run_of(index, self.index.about["run"]))
        if fingerprint(self.model) != self.index.about["model"]:
            raise UserError(f"{index} was made with another model", "Make it again with `lookhear index`.")

    def search(
        self,
        query: Asked | Sequence[Asked],
        k: int = 10,
        kind: str = "moments",
        *,
        without: Asked | Sequence[Asked] = (),
        where: Where | None = None,
        offset: int = 0,
        modality: Literal["text", "picture", "recording"] | None = None,
    ) -> Answers:
        """The ``k`` best moments, recordings, pictures or texts, best first; a list that shows itself in notebooks.

        A text is looked for as a person means it. Over recordings, one content word ("umbrella", "the umbrella") is
        read at its best moment: the cosine in [-1, 1] that ``spot`` reads too. Several ("a red boat in the snow") are
        read by the mean of their words' best moments, and the longer the text, the more also by the similarity of the
        whole text to the whole segment (``read_text``), as if all segments were equally decisive (``Model.contrast``),
        which can pass 1. Pictures and recordings that are asked, and pictures and texts that are found, are scored by
        the similarity of wholes, read as in training. A hit of a search that is asked is more like this moment.

        There are two stages: the index finds the segments nearest to the query as wholes, ``FIRST`` of them or 8 ×
        ``k`` if that is more, and these are read again. So a search for words is exact up to ``FIRST`` segments, and
        beyond that the best of those nearest as wholes.

        Several things at once are asked together: each is scored in deviations above what it usually scores in this
        index, and these are averaged (see ``combine``). What is in ``without`` is not meant.

        A moment's start and end are the stretch around the peak of the segment's score curve (the highest of its words'
        curves), and 0, 0 for a picture or text. Moments of one file that overlap are one, so fewer than ``k`` may be
        left of a small index.

        Args:
            query: a text, the path of a picture or recording, a picture, a hit, or several of them.
            kind: "moments", "recordings" (each with its best moment), "pictures", "texts" or "all". Towers of two
                modalities do not score alike, so a mixed list may have all of one kind first.
            where: which files count.
            offset: how many of the best to leave out, for the next page.
            modality: what a query is; by default a file if it ends like one and exists, else a text.

        Raises:
            UserError: an unknown kind or filter, a file that cannot be read, or a text or word the encoder can make
                nothing of.
        """
        parts = [self._part_of(q, modality) for q in _several(query)]
        none = [self._part_of(q, None) for q in _several(without)]
        return self.find(parts, none, kind, k, offset, where)

    def find(
        self,
        all: Sequence[Part],
        none: Sequence[Part] = (),
        kind: str = "moments",
        k: int = 20,
        offset: int = 0,
        where: Where | None = None,
    ) -> Answers:
        """``search`` with what was embedded before.

        Raises:
            UserError: as ``search``, or nothing asked.
        """
        if kind not in KINDS:
            raise UserError(f"no kind {kind!r}", did_you_mean(kind, KINDS))
        if k < 1 or offset < 0:
            raise UserError(f"{k} hits wanted after {offset}", "Ask for at least one, after 0 or more.")
        if k + offset > _DEEPEST:
            raise UserError(f"hits beyond the best {_DEEPEST:,}", "Say more exactly what is looked for.")
        if not all:
            raise UserError("nothing is asked", "Give at least one text, picture or recording that is meant.")
        where = where or Where()
        if KINDS[kind] is not None:
            where = replace(where, modality=KINDS[kind])
        wanted, last = max(FIRST, _EACH * (k + offset)), k + offset
        while True:
            found, complete = self._nearest(all, wanted, where)
            ranked = asked_together(self.index, self.model, found, all, none)
            answers = gather_answers(self.index, self.model, ranked, all, last + 1, whole_files=kind == "recordings")
            if len(answers) >= last or complete:
                return Answers(answers[offset:last], more=len(answers) > last or not complete)
            wanted *= 4

    def _nearest(self, parts: Sequence[Part], wanted: int, where: Where) -> tuple[list[Found], bool]:
        """Rows that any of the parts, or all together, finds by its whole; and whether these are all there are."""
        whole = torch.cat([p.whole for p in parts])
        if len(parts) > 1:
            whole = torch.cat([whole, torch.nn.functional.normalize(whole.sum(0, keepdim=True), dim=-1)])
        lists = self.index.search(whole.numpy(), wanted, where)
        complete = len(lists[0]) < wanted
        return list({f.row: f for found in lists for f in found}.values()), complete

    # What is asked ------------------------------------------------------------------------------------------------

    def part(
        self,
        *,
        text: str | None = None,
        picture: Path | str | Image.Image | None = None,
        recording: Path | str | NDArray[np.float32] | None = None,
        moment: Hit | None = None,
    ) -> Part:
        """One thing that is asked, embedded.

        Args:
            recording: a file, or (S,) samples at 16 kHz.
            moment: a hit of this index.

        Raises:
            UserError: it cannot be read, or the model can make nothing of it.
        """
        if text is not None:
            return self.parts([text])[0]
        if picture is not None:
            name = "picture" if isinstance(picture, Image.Image) else str(picture)
            return shown_part(name, self.model.embed_images([load_image(picture)]))
        if recording is not None:
            wave = recording if isinstance(recording, np.ndarray) else load_audio(recording)
            name = "recording" if isinstance(recording, np.ndarray) else str(recording)
            return shown_part(name, self.model.embed_audio([wave]))
        if moment is None:
            raise UserError("nothing is asked", "Give a text, a picture, a recording or a moment.")
        return self._moment(moment)

    def parts(self, texts: Sequence[str]) -> list[Part]:
        """Texts, in one forward pass; each as alone."""
        return written_parts(self.model, texts)

    def _part_of(self, query: Asked, modality: str | None) -> Part:
        if isinstance(query, Part):
            return query
        if isinstance(query, Hit):
            return self.part(moment=query)
        if isinstance(query, Image.Image):
            return self.part(picture=query)
        kind = modality or _modality(query)
        return self.part(**{kind: str(query) if kind == "text" else query})  # type: ignore[arg-type]

    def _moment(self, hit: Hit) -> Part:
        """What is said in a moment, or what a picture or text as a whole is."""
        if not isinstance(hit, Answer):
            raise UserError(f"{hit.file}: not a hit of this index", "Give one that `search` found.")
        found = hit.found
        if found.modality != "audio":
            whole = torch.from_numpy(self.index.pooled([found]))
            return Part(hit.file, whole, whole[:0])
        local = torch.from_numpy(self.index.local([found])[0])
        step = self.index.about["step"]
        first = min(max(0, int((hit.start - found.start) / step)), max(len(local) - 1, 0))
        last = max(first + 1, round((hit.end - found.start) / step))
        if not len(local):
            raise UserError(f"{hit.file}: that moment is not in the index any more", "Search again.")
        return moment_part(hit.file, self.model, local[first:last])

    def answer(self, source: int, start: float, end: float) -> Answer:
        """A moment of a file of the index, as a hit that can be asked for more like it.

        Raises:
            UserError: no such file, or a time outside it.
        """
        own = self.index.source(source)
        if own.modality == "audio" and not 0 <= start < end <= own.seconds + 1:
            raise UserError(f"no moment from {start} to {end} s", f"The recording lasts {own.seconds:.2f} s.")
        middle = (start + end) / 2
        rows = range(own.id, own.id + own.rows)
        row = min(rows, key=lambda r: abs(sum(own.times(r)) / 2 - middle)) if own.modality == "audio" else own.id
        low, high = own.times(row)
        found = Found(own.path, "", low, high, 0.0, row, own)
        return Answer(own.path, "", start, end, 0.0, found=found)


def _several(asked: Any) -> list[Any]:
    return list(asked) if isinstance(asked, list | tuple) else [asked]


def _modality(query: str | Path) -> str:
    path = Path(query)
    suffix = path.suffix.lower()
    if suffix in AUDIO | IMAGE and (isinstance(query, Path) or path.is_file()):
        return "recording" if suffix in AUDIO else "picture"
    return "text"


def _run_of(index: Path | str, run: str) -> Path:
    """The run folder that an index names, if it is still there."""
    path = Path(run)
    if not path.is_dir():
        raise UserError(
            f"{index}: the run it was made with is not at {path} any more",
            "Put it back, name it with --run, or make the index again.",
        )
    return path
