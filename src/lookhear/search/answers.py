"""What a search answers: moments of recordings, pictures and texts, placed, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch

from lookhear.core import Hit
from lookhear.models.model import Model
from lookhear.moments import around
from lookhear.search.files import Modality
from lookhear.search.index import Found, Index, Source
from lookhear.search.question import Part
from lookhear.search.rescore import curves_of, sureness

__all__ = ["Answer", "Answers", "gather_answers"]


@dataclass(frozen=True, slots=True)
class Answer(Hit):
    """A hit of a search.

    Attributes:
        found: the row of the index that it lies in.
        text: what is written there, of a text.
        curve: score at each step of the segment, from ``found.start`` on; empty of pictures and texts.
    """

    found: Found = field(kw_only=True)
    text: str = field(default="", kw_only=True)
    curve: tuple[float, ...] = field(default=(), kw_only=True)

    @property
    def modality(self) -> Modality:
        return self.found.source.modality

    @property
    def source(self) -> Source:
        return self.found.source

    def as_dict(self, query_key: str = "query") -> dict[str, Any]:
        """The JSON form: a hit's, with what is known of the file."""
        row = {"file": self.file, query_key: self.query, "start": self.start, "end": self.end, "score": self.score}
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
        if self.probability is not None:
            row["probability"] = round(self.probability, 4)
        if self.text:
            row["text"] = self.text
        return (
            row | {"modality": self.modality} | ({"details": dict(self.source.details)} if self.source.details else {})
        )


class Answers(list[Answer]):
    """Hits, best first.

    Attributes:
        more: whether there are others after these.
    """

    def __init__(self, hits: Iterable[Answer], more: bool) -> None:
        super().__init__(hits)
        self.more = more

    def _repr_html_(self) -> str:
        """Notebooks show players and pictures, which hold their own sound and sight."""
        from lookhear.search.notebook import as_html

        return as_html(self)


def gather_answers(
    index: Index, model: Model, ranked: Sequence[Found], parts: Sequence[Part], most: int, whole_files: bool
) -> list[Answer]:
    """The first of what was found, placed; segments that overlap at their moments are one.

    Args:
        ranked: best first.
        most: how many answers are wanted.
        whole_files: whether a recording is one answer, with its best moment.
    """
    placed = _placed(index, model, ranked, parts)
    return list(islice(_once(placed) if whole_files else _apart(placed), most))


def _placed(index: Index, model: Model, ranked: Iterable[Found], parts: Sequence[Part]) -> Iterator[Answer]:
    asked, step = torch.cat([p.placed_by for p in parts]), index.about["step"]
    name = " + ".join(p.text for p in parts)
    for f in ranked:
        if f.modality != "audio":
            text = index.texts([f])[0] if f.modality == "text" else ""
            yield Answer(f.file, name, 0.0, 0.0, f.score, found=f, text=text)
            continue
        curves = curves_of(index, f, asked, model.compatibility)
        if not len(curves):  # its file was taken out meanwhile
            continue
        curve = curves.amax(1)
        span = around(curve, int(curve.argmax()), step, f.start)
        sure = None
        if len(parts) == 1:
            found = sureness(model, parts[0], curves.amax(0)[None])
            sure = None if found is None else float(found[0])
        values = tuple(np.round(curve.numpy().astype(np.float64), 4).tolist())
        yield Answer(f.file, name, span.start, min(span.end, f.end), f.score, probability=sure, found=f, curve=values)


def _apart(answers: Iterable[Answer]) -> Iterator[Answer]:
    """The first of answers that overlap in time in one file, in the order given."""
    by_file: dict[str, list[Answer]] = {}
    for answer in answers:
        others = by_file.setdefault(answer.file, [])
        # A picture has no times and is listed once; the lines of a text are apart.
        if answer.modality == "text" or not any(answer.start < o.end and o.start < answer.end for o in others):
            others.append(answer)
            yield answer


def _once(answers: Iterable[Answer]) -> Iterator[Answer]:
    seen: set[str] = set()
    for answer in answers:
        if answer.file not in seen:
            seen.add(answer.file)
            yield answer
