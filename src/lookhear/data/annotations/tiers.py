"""Tiers of labelled intervals, what is true of them in every format, and what a format can say of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from lookhear.errors import UserError, did_you_mean

__all__ = ["LATEST", "Annotation", "Form", "Interval", "Tier", "in_order", "number", "sayable", "span", "wrong"]

LATEST = 1e7
"""Seconds (115 days) that no recording lasts; a later time was meant in another unit."""
USUAL = ("words", "word", "wrd")
"""What the tier of the words is called, in whatever case."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_UNSAYABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""Control characters, other line ends than ``\\n``, and what is no character: each is lost in one format or another."""


@dataclass(frozen=True)
class Interval:
    """A labelled stretch of a recording.

    Attributes:
        label: without white space at its ends.
        start, end: in seconds; equal for a point in time.
    """

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Tier:
    """Intervals of one kind (words, phones, …) in order of time."""

    name: str
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Annotation:
    """What is marked in one recording.

    Attributes:
        media: the recording, as the file names it: a path from the file's own folder, an absolute path or a URL.
        duration: of the recording, in seconds.
    """

    tiers: tuple[Tier, ...]
    media: str | None = None
    duration: float | None = None

    def tier(self, name: str | None = None) -> Tier:
        """The tier of this name; without one, the only tier or the one called words, word or wrd.

        Raises:
            UserError: there is none, or several; the tiers there are get named.
        """
        names = [t.name for t in self.tiers]
        if name is not None:
            found = [t for t in self.tiers if t.name == name]
        else:
            found = [t for t in self.tiers if t.name.lower() in USUAL] if len(self.tiers) > 1 else list(self.tiers)
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{len(found)} tiers could be meant by {name or 'words'!r}", "Rename all but one of them.")
        if name is not None:
            raise UserError(f"no tier {name!r}", did_you_mean(name, names))
        raise UserError("which tier holds the words?", f"Name one of: {', '.join(map(repr, names))}." if names else "")


@dataclass(frozen=True)
class Form:
    """What a format can say.

    Attributes:
        called: for messages, with its article.
        decimals: of a second.
        named: tiers have names, so that there may be several; else there is one, whose name is not kept.
        lines: labels may have several lines.
        overlap: intervals of a tier may overlap.
        points: intervals without a length.
        blank: empty labels.
    """

    called: str
    decimals: int
    named: bool = False
    lines: bool = False
    overlap: bool = True
    points: bool = False
    blank: bool = True


def wrong(path: Path, line: int | None, what: str, fix: str) -> UserError:
    """A UserError about a file, or a line of it."""
    return UserError(f"{path}: {what}" if line is None else f"{path}, line {line}: {what}", fix)


def number(text: str) -> float:
    """A decimal number as people and programs write it.

    Raises:
        ValueError: it is none (``nan``, ``inf`` and ``1_000``, which Python reads, are none either).
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text)


def span(path: Path, line: int | None, label: str, start: float, end: float) -> Interval:
    """An interval out of a file, its label without white space at its ends.

    Raises:
        UserError: it ends before it starts, or lies before or far beyond the recording.
    """
    if not 0 <= start <= end <= LATEST:
        what = "ends before it starts" if end < start else "lies outside any recording"
        raise wrong(path, line, f"{label[:40]!r} from {start:g} to {end:g} s {what}", "Mend its times.")
    return Interval(label.strip(), start, end)


def in_order(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """By start, then by end; those of equal times stay as they were."""
    return tuple(sorted(intervals, key=lambda i: (i.start, i.end)))


def sayable(annotation: Annotation, path: Path, form: Form) -> tuple[Tier, ...]:
    """The tiers in order of time, times rounded to what a format writes.

    Raises:
        UserError: the format cannot say something of them, so that reading it again would give something else.
    """
    media, duration = annotation.media, annotation.duration
    if media is not None and (not media.strip() or "\n" in media or "\t" in media or _UNSAYABLE.search(media)):
        raise wrong(path, None, f"a media file called {media!r}", "Name the recording's file.")
    if duration is not None and not 0 <= duration <= LATEST:
        raise wrong(path, None, f"a duration of {duration:g} s", "Give the recording's, in seconds.")
    names = [t.name for t in annotation.tiers]
    if not form.named and len(names) != 1:
        raise wrong(path, None, f"{form.called} holds one tier, not {len(names)}", "Write one tier to a file.")
    for name in names if form.named else ():
        if not name or name != name.strip() or "\n" in name or _UNSAYABLE.search(name):
            fix = "Give tiers names of one line, without white space at their ends."
            raise wrong(path, None, f"a tier called {name!r}", fix)
        if names.count(name) > 1:
            raise wrong(path, None, f"two tiers called {name!r}", "Rename one of them.")
    tiers = []
    for tier in annotation.tiers:
        intervals = []
        for each in tier.intervals:
            fault = _fault(each, form)
            if fault:
                what = f"tier {tier.name!r}: {each.label[:40]!r} at {each.start:g} s {fault[0]}"
                raise wrong(path, None, what, fault[1])
            intervals.append(replace(each, start=_rounded(each.start, form), end=_rounded(each.end, form)))
        placed = in_order(intervals)
        if not form.overlap:
            for one, two in _overlaps(placed):
                what = f"tier {tier.name!r}: {one.label[:40]!r} and {two.label[:40]!r} overlap at {two.start:g} s"
                raise wrong(path, None, f"{what}; in {form.called} they cannot", "Put them on two tiers.")
        tiers.append(replace(tier, intervals=placed))
    return tuple(tiers)


def _rounded(seconds: float, form: Form) -> float:
    return round(float(seconds), form.decimals) + 0.0  # -0.0 would be written with its sign


def _overlaps(intervals: tuple[Interval, ...]) -> Iterator[tuple[Interval, Interval]]:
    return ((one, two) for one, two in pairwise(intervals) if two.start < one.end)


def _fault(each: Interval, form: Form) -> tuple[str, str] | None:
    """What cannot be said of an interval, and the mend."""
    if not 0 <= each.start <= each.end <= LATEST:  # NaN too
        return f"has no sound times (it ends at {each.end:g} s)", "Times are seconds from 0, the start first."
    if each.label != each.label.strip():
        return "has white space at the ends of its label", "Take it off."
    if _UNSAYABLE.search(each.label):
        return "has control characters in its label", "Take them out; lines end in \\n."
    if "\n" in each.label and not form.lines:
        return f"has a label of several lines, which {form.called} cannot hold", "Join the lines."
    if not each.label and not form.blank and (each.end > each.start or not form.points):
        return f"has no label; {form.called} says nothing of such a stretch", "Label it, or leave it out."
    if not form.points and _rounded(each.start, form) == _rounded(each.end, form):
        return f"lasts 0 s to {form.decimals} decimals, which {form.called} cannot hold", "Lengthen it or leave it out."
    return None
