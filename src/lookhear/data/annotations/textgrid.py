"""TextGrids of Praat (.TextGrid), text in the long or the short form; interval tiers, and point tiers as points.

praatio writes them. They are read here as Praat itself reads them, by their quoted texts and free-standing numbers,
because praatio 6.2 looks for the words between them and not at the sizes: it fails on a label that holds ``item [``,
and a file that is cut off reads as a shorter one. See Praat's manual, "TextGrid file formats".
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from lookhear.data.annotations.files import fresh, library, read_bytes, read_text
from lookhear.data.annotations.tiers import (
    LATEST,
    Annotation,
    Form,
    Interval,
    Tier,
    in_order,
    number,
    sayable,
    span,
    wrong,
)
from lookhear.errors import UserError

__all__ = ["read", "write"]

FORM = Form("a TextGrid", decimals=6, named=True, lines=True, overlap=False, points=True, blank=False)
MEND = "Open it in Praat, or in an editor, and save it as a text file again."

_TOKEN = re.compile(
    r'"(?P<text>[^"]*+(?:""[^"]*+)*+)"'  # a quote in a text is written twice
    r"|(?P<flag><[^<>\s]*+>)"
    r"|![^\n]*+"  # a comment
    r'|(?P<word>[^\s"]++)'
)
_START = re.compile(r"\S")


class _Tokens:
    """The texts, numbers and flags of a file, one after the other; other words (``xmin =``) are passed over."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text, self.at, self.found = path, text, 0, 0

    def next(self) -> tuple[str, str] | None:
        """Kind (text, number, flag) and value; None at the end."""
        while (start := _START.search(self.text, self.at)) is not None:
            self.found = start.start()
            match = _TOKEN.match(self.text, self.found)
            if match is None:
                raise self.fault("a quote is opened and never closed")
            self.at = match.end()
            kind = match.lastgroup
            if kind == "word":
                try:
                    number(match["word"])
                except ValueError:
                    continue
                return "number", match["word"]
            if kind is not None:
                return kind, match[kind].replace('""', '"') if kind == "text" else match[kind]
        return None

    def take(self, kind: str, meant: str) -> str:
        got = self.next()
        if got is None:
            raise wrong(self.path, None, f"it ends where {meant} is due", MEND)
        if got[0] != kind:
            raise self.fault(f"{got[1][:40]!r} where {meant} is due")
        return got[1]

    def number(self, meant: str) -> float:
        return number(self.take("number", meant))

    def count(self, meant: str) -> int:
        value = self.number(meant)
        if not (value.is_integer() and value >= 0):
            raise self.fault(f"{value:g} where {meant} is due")
        return int(value)

    def fault(self, what: str) -> UserError:
        return wrong(self.path, self.text.count("\n", 0, self.found) + 1, what, MEND)


def read(path: Path) -> Annotation:
    """The tiers with their labelled intervals (a stretch without a label is none) and points, and the whole's end.

    Raises:
        UserError: not a TextGrid in text form, or one that is cut off or does not hold what its sizes say.
    """
    if read_bytes(path).startswith(b"ooBinaryFile"):
        raise wrong(path, None, "a binary TextGrid", "Open it in Praat and choose 'Save as text file'.")
    tokens = _Tokens(path, read_text(path))
    head = [tokens.take("text", "the file type"), tokens.take("text", "the kind of object")]
    if not head[0].startswith("ooTextFile") or head[1] != "TextGrid":
        raise wrong(path, 1, f"no TextGrid in Praat's long or short text form ({head[0][:40]!r})", MEND)
    tokens.number("the start")
    end = tokens.number("the end")
    if not 0 <= end <= LATEST:
        raise tokens.fault(f"an end at {end:g} s")
    tiers = []
    if tokens.take("flag", "whether tiers exist") == "<exists>":
        tiers = [_tier(tokens) for _ in range(tokens.count("the number of tiers"))]
    if tokens.next() is not None:
        raise tokens.fault("more follows than the sizes say")
    return Annotation(tuple(tiers), duration=end or None)


def _tier(tokens: _Tokens) -> Tier:
    kind = tokens.take("text", "the class of a tier")
    if kind not in ("IntervalTier", "TextTier"):
        raise tokens.fault(f"a tier of the class {kind[:40]!r}")
    name = tokens.take("text", "the name of a tier")
    tokens.number("the tier's start")
    tokens.number("the tier's end")
    intervals: list[Interval] = []
    for _ in range(tokens.count("the size of a tier")):
        start = tokens.number("a start")
        end = tokens.number("an end") if kind == "IntervalTier" else start
        label = tokens.take("text", "a label")
        line = tokens.text.count("\n", 0, tokens.found) + 1 if not 0 <= start <= end <= LATEST else None
        interval = span(tokens.path, line, label, start, end)
        if interval.label or kind == "TextTier":
            intervals.append(interval)
    return Tier(name.strip(), in_order(intervals))


def write(annotation: Annotation, path: Path) -> None:
    """In the long form, to the microsecond; a tier of points alone becomes a point tier. Media has no place in it.

    The whole ends with the recording, or with the last interval where that is later.

    Raises:
        UserError: overlapping or unlabelled intervals, a tier of intervals and points, no end.
    """
    textgrid = library("praatio.textgrid")
    tiers = sayable(annotation, path, FORM)
    end = max([annotation.duration or 0.0, *(i.end for t in tiers for i in t.intervals)])
    if not 0 < end <= LATEST:
        raise wrong(path, None, f"a TextGrid of {end:g} s", "Give the duration of the recording.")
    grid = textgrid.Textgrid(0.0, end)
    for tier in tiers:
        points = [i for i in tier.intervals if i.end == i.start]
        if points and len(points) < len(tier.intervals):
            what = f"tier {tier.name!r} holds both points and intervals (a point at {points[0].start:g} s)"
            raise wrong(path, None, what, "Put them on two tiers.")
        for one, two in pairwise(points):
            if one.start == two.start:
                raise wrong(path, None, f"tier {tier.name!r} has two points at {one.start:g} s", "Join their labels.")
        if points:
            made = textgrid.PointTier(tier.name, [(i.start, i.label) for i in points], 0.0, end)
        else:
            made = textgrid.IntervalTier(tier.name, [(i.start, i.end, i.label) for i in tier.intervals], 0.0, end)
        grid.addTier(made, reportingMode="error")
    with fresh(path) as part:
        # Without a least length: praatio would else join a short interval to its neighbour.
        grid.save(str(part), "long_textgrid", True, minimumIntervalLength=None, reportingMode="error")
