"""What a corpus holds, in numbers: for the terminal, as JSON, and for the page of ``lookhear inspect``.

All is counted in columns of the memory-mapped table; sounds and pictures are not touched, but for the headers of sounds
whose lengths no column tells.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookhear.data.schema import Corpus
from lookhear.data.tally import Bools, count_words, numbered, picture_numbers, seconds_of, valid
from lookhear.data.terminal import bars, plain, table

__all__ = ["Histogram", "Lengths", "Part", "Summary", "summarise"]

SECONDS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 120, np.inf)
"""Edges of the bins of lengths, in seconds: the same for every corpus, so that corpora can be compared."""
CAPTIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 21, 51, 101, np.inf)
FREQUENT = 40
COLUMNS = ("split", "audio", "speaker", "language", "words", "image", "text")
"""What a corpus may be said to lack."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each bin, lower edge included, upper edge not.

    Attributes:
        edges: (bins + 1,), the last infinite.
        counts: (bins,)
        whole: the values are whole numbers.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    whole: bool = False

    @classmethod
    def of(cls, values: NDArray[Any], edges: Sequence[float], whole: bool = False) -> Histogram:
        counts = np.bincount(np.searchsorted(edges[1:-1], values, side="right"), minlength=len(edges) - 1)
        return cls(tuple(float(e) for e in edges), tuple(int(c) for c in counts), whole)

    @property
    def bins(self) -> range:
        """From the first bin that holds something to the last."""
        full = np.flatnonzero(self.counts)
        return range(int(full[0]), int(full[-1]) + 1) if len(full) else range(0)

    def rows(self) -> list[tuple[str, int]]:
        """Label and count of each bin of ``bins``."""
        return [(self.label(k), self.counts[k]) for k in self.bins]

    def label(self, number: int) -> str:
        """``"0.5–0.75"``; of whole numbers ``"3"`` or ``"11–20"``; the open bin ``"60+"``."""
        low, high = self.edges[number], self.edges[number + 1]
        if np.isinf(high):
            return f"{low:g}+"
        if self.whole:
            return f"{low:g}" if high == low + 1 else f"{low:g}–{high - 1:g}"
        return f"{low:g}–{high:g}"

    def as_dict(self) -> dict[str, Any]:
        """JSON has no infinity: the last edge is None."""
        return {"edges": [*self.edges[:-1], None], "counts": list(self.counts)}


@dataclass(frozen=True)
class Lengths:
    """Of recordings, in seconds.

    Attributes:
        hours: of all recordings; where not all are known, as many times the mean of those that are.
        known: how many recordings' lengths are known.
    """

    hours: float
    mean: float
    median: float
    shortest: float
    longest: float
    known: int
    histogram: Histogram


@dataclass(frozen=True)
class Part:
    """The whole corpus, or one split. None stands for what the corpus lacks altogether.

    Attributes:
        speakers: how many different ones.
        languages: language → items.
        pictures: how many different ones.
        vectors: items with an image vector computed elsewhere.
        captions: texts per picture.
        words, different: of all texts, lower-cased; inner hyphens and apostrophes belong to the word.
        frequent: the most frequent words and how often they come.
        timed: recordings with word times.
    """

    name: str
    items: int
    recordings: int | None
    lengths: Lengths | None
    speakers: int | None
    languages: Mapping[str, int] | None
    timed: int | None
    pictures: int | None
    vectors: int | None
    texts: int | None
    captions: float | None
    captions_histogram: Histogram | None
    words: int | None
    different: int | None
    frequent: tuple[tuple[str, int], ...]

    def as_dict(self) -> dict[str, Any]:
        told = {k: v for k, v in asdict(self).items() if k != "name"}
        if self.lengths is not None:
            told["lengths"]["histogram"] = self.lengths.histogram.as_dict()
        if self.captions_histogram is not None:
            told["captions_histogram"] = self.captions_histogram.as_dict()
        return told | {"frequent": dict(self.frequent)}


@dataclass(frozen=True)
class Summary:
    """What ``summarise`` found.

    Attributes:
        lacking: columns, out of ``COLUMNS``, without any value.
        problems: how many items were refused and repaired when the corpus was prepared; None where nobody counted.
        notes: how the numbers were come by, where that is not plain; sentences.
    """

    name: str
    whole: Part
    splits: tuple[Part, ...]
    lacking: tuple[str, ...]
    problems: Mapping[str, int] | None
    notes: tuple[str, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.whole, *self.splits)

    def rows(self) -> list[tuple[str, list[str]]]:
        """A label and a cell for each of ``parts``; where the corpus lacks it all, "lacking" in the first cell."""
        rows = []
        for label, cell, always in _MEASURES:
            cells = [cell(p) for p in self.parts]
            if any(c != _NONE for c in cells):
                rows.append((label, cells))
            elif always:
                rows.append((label, ["lacking", *[""] * len(self.splits)]))
        return rows

    def sentences(self) -> list[str]:
        """What there is to say beside the table."""
        said = []
        if self.problems is not None:
            refused, repaired = self.problems.get("refused", 0), self.problems.get("repaired", 0)
            if refused or repaired:
                said.append(f"When it was prepared, {refused:,} items were refused and {repaired:,} repairs were made.")
            else:
                said.append("When it was prepared, nothing was refused or repaired.")
        if self.lacking:
            said.append(f"No item has a value in: {', '.join(self.lacking)}.")
        return [*said, *self.notes]

    def text(self, width: int = 80) -> str:
        """For a terminal of ``width`` columns: an aligned table, bars, the most frequent words."""
        names = [p.name for p in self.parts]
        lines = [plain(self.name), "", *table(names, self.rows(), width)]
        if self.whole.lengths is not None:
            lines += ["", "lengths, in seconds", *bars(self.whole.lengths.histogram.rows(), width)]
        if self.whole.captions_histogram is not None:
            lines += ["", "captions per picture", *bars(self.whole.captions_histogram.rows(), width)]
        if self.whole.frequent:
            words = "  ".join(f"{w}\u00a0{n:,}" for w, n in self.whole.frequent)  # not broken between word and count
            wrapped = textwrap.wrap(words, max(20, width - 2), initial_indent="  ", subsequent_indent="  ")
            lines += ["", "most frequent words", *[line.replace("\u00a0", " ") for line in wrapped]]
        for sentence in self.sentences():
            lines += ["", *textwrap.wrap(plain(sentence), max(20, width))]
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; split → numbers, and those of the whole under "all"."""
        return {
            "name": self.name,
            "all": self.whole.as_dict(),
            "splits": {p.name: p.as_dict() for p in self.splits},
            "lacking": list(self.lacking),
            "problems": None if self.problems is None else dict(self.problems),
            "notes": list(self.notes),
        }


_NONE = "–"


def _count(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}"


def _length(name: str) -> Callable[[Part], str]:
    return lambda part: _NONE if part.lengths is None else f"{getattr(part.lengths, name):,.2f}"


def _hours(part: Part) -> str:
    if part.lengths is None:
        return _NONE
    told = f"{part.lengths.hours:,.{4 if part.lengths.hours < 10 else 1}f}"
    return told if part.lengths.known == part.recordings else f"≈ {told}"


def _languages(part: Part) -> str:
    if part.languages is None:
        return _NONE
    names = plain(", ".join(part.languages))
    return names if names and len(names) <= 10 else f"{len(part.languages)}"


def _timed(part: Part) -> str:
    return _NONE if part.timed is None or not part.recordings else f"{100 * part.timed / part.recordings:.1f}"


_MEASURES: tuple[tuple[str, Callable[[Part], str], bool], ...] = (
    ("items", lambda p: _count(p.items), True),
    ("recordings", lambda p: _count(p.recordings), True),
    ("hours", _hours, False),
    ("mean length, s", _length("mean"), False),
    ("median length, s", _length("median"), False),
    ("shortest, s", _length("shortest"), False),
    ("longest, s", _length("longest"), False),
    ("speakers", lambda p: _count(p.speakers), True),
    ("languages", _languages, True),
    ("with word times, %", _timed, True),
    ("pictures", lambda p: _count(p.pictures), True),
    ("image vectors", lambda p: _count(p.vectors), False),
    ("texts", lambda p: _count(p.texts), True),
    ("captions per picture", lambda p: _NONE if p.captions is None else f"{p.captions:.2f}", False),
    ("words", lambda p: _count(p.words), False),
    ("different words", lambda p: _count(p.different), False),
)
"""Label, cell, and whether the row is shown, as lacking, where the corpus has nothing of it."""


def summarise(corpus: Corpus) -> Summary:
    """Counts what a corpus holds, as a whole and in each split (train, val and test first).

    Texts that belong to a picture are those of its rows and, where a group shows one picture alone, of its group.
    Lengths come from the column ``seconds``; where that is missing, from the headers of at most ``HEADERS`` sounds,
    spread evenly, and ``notes`` says so.
    """
    notes = list[str]()
    counted = _Columns(corpus, notes)
    splits, names = numbered(corpus.table["split"])
    usual = {name: k for k, name in enumerate(("train", "val", "test"))}
    order = sorted(range(len(names)), key=lambda k: (usual.get(names[k], 3), k))
    masks = [(plain(names[k]), splits == k) for k in order]
    if names and (splits < 0).any():
        masks.append(("(no split)", splits < 0))
    parts, words = list[Part](), Counter[str]()
    for name, mask in masks:
        said = count_words(corpus.table["text"], mask)
        words += said
        parts.append(counted.part(name, mask, said))
    everything = np.ones(len(corpus), dtype=bool)
    if not masks:
        words = count_words(corpus.table["text"], everything)
    problems = corpus.meta.get("problems")
    return Summary(
        corpus.name or corpus.root.name,
        counted.part("all", everything, words),
        tuple(parts),
        tuple(name for name in COLUMNS if not corpus.has(name)),
        problems if isinstance(problems, Mapping) else None,
        tuple(notes),
    )


class _Columns:
    """A number or a truth for each row, and what follows for some of the rows."""

    def __init__(self, corpus: Corpus, notes: list[str]) -> None:
        columns = corpus.table
        self.corpus = corpus
        self.heard, self.told = (valid(columns[name]) for name in ("audio", "text"))
        self.seconds = seconds_of(corpus, self.heard, notes)
        self.speaker, _ = numbered(columns["speaker"])
        self.language, self.languages = numbered(columns["language"])
        self.timed = pc.fill_null(pc.greater(pc.list_value_length(columns["words"]), 0), False).to_numpy() & self.heard
        self.picture = picture_numbers(corpus)
        self.vector = valid(columns["vector"])
        self.shown = valid(columns["image"])
        if "image_hash" in columns.column_names:  # of further captions of a picture, whose bytes lie in its first row
            self.shown |= valid(columns["image_hash"])

    def part(self, name: str, mask: Bools, words: Mapping[str, int]) -> Part:
        has = self.corpus.has
        pictures = np.unique(self.picture[mask & self.shown])
        known = mask & (self.picture >= 0)
        seen = np.unique(self.picture[known & (self.shown | self.vector)])
        texts = np.bincount(self.picture[known & self.told], minlength=self.picture.max(initial=0) + 1)
        captions = texts[seen] if has("text") and len(seen) else None
        languages = np.bincount(self.language[mask & (self.language >= 0)], minlength=len(self.languages))
        spoken = sorted(((n, c) for n, c in zip(self.languages, languages) if c), key=lambda x: (-x[1], x[0]))
        return Part(
            name=name,
            items=int(mask.sum()),
            recordings=int((mask & self.heard).sum()) if has("audio") else None,
            lengths=_lengths(self.seconds[mask & self.heard]),
            speakers=len(np.unique(self.speaker[mask & (self.speaker >= 0)])) if has("speaker") else None,
            languages={n: int(c) for n, c in spoken} if has("language") else None,
            timed=int((mask & self.timed).sum()) if has("words") else None,
            pictures=len(pictures) if has("image") else None,
            vectors=int((mask & self.vector).sum()) if has("vector") else None,
            texts=int((mask & self.told).sum()) if has("text") else None,
            captions=None if captions is None else float(captions.mean()),
            captions_histogram=None if captions is None else Histogram.of(captions, CAPTIONS, whole=True),
            words=sum(words.values()) if has("text") else None,
            different=len(words) if has("text") else None,
            frequent=tuple(sorted(words.items(), key=lambda x: (-x[1], x[0]))[:FREQUENT]),
        )


def _lengths(seconds: NDArray[np.float64]) -> Lengths | None:
    """Of some recordings, NaN where unknown; None where none is known."""
    known = seconds[np.isfinite(seconds)]
    if not len(known):
        return None
    mean = float(known.mean())
    return Lengths(
        hours=mean * len(seconds) / 3600,
        mean=mean,
        median=float(np.median(known)),
        shortest=float(known.min()),
        longest=float(known.max()),
        known=len(known),
        histogram=Histogram.of(known, SECONDS),
    )
