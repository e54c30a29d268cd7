"""What is said in an annotated recording: its utterances, who says them and when each word is said.

Tiers are named by options, one name or several with commas between them, ``*`` for any characters; tiers of words go
with tiers of utterances by what ``*`` stands for, or by their place among the names. An utterance is an interval of
such a tier with a label. A word belongs to the utterance in which its middle lies, and is cut where that ends; times
are from the utterance's start. Without a tier of utterances, the recording is one utterance and the words are its text.

The speaker is, in this order: the label of the tier ``speaker`` that lasts longest during the utterance; the
participant that the tier is of, where a format tells that; what ``*`` stands for; what follows ``@`` in the tier's
name; that name, where several tiers of utterances are named.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lookhear.data.annotations import Annotation, Interval, Tier
from lookhear.data.items import Word
from lookhear.errors import UserError, did_you_mean

__all__ = ["Note", "Options", "Utterance", "find_utterances"]

USUAL = ("words", "word", "wrd")
"""What a tier of words is called, in whatever case, where none is named."""

DECIMALS = 6
"""Of a second: a word time less a start would else end in 0.20999999999999996."""

Note = tuple[str, str]
"""Something left out of an annotation, and the mend."""


@dataclass(frozen=True)
class Options:
    """Which tiers hold what; empty where it is not told."""

    tier: str = ""
    words: str = ""
    speaker: str = ""
    pictures: str = ""


@dataclass(frozen=True)
class Utterance:
    """A stretch of a recording in which something is said.

    Attributes:
        start, end: in seconds; None for the whole recording.
        words: their times are from ``start``.
        pictures: labels of the tier of pictures during it, the longest first.
    """

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    words: list[Word] | None = None
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Named:
    """A tier and how it was named.

    Attributes:
        place: of the name among those given.
        star: what ``*`` stands for in it.
        listed: whether several names were given.
    """

    tier: Tier
    place: int = 0
    star: str | None = None
    listed: bool = False


@dataclass(frozen=True)
class _Words:
    """The words of a tier, with the middle of each, in order."""

    intervals: Sequence[Interval]
    taken: set[int] = field(default_factory=set)

    def within(self, start: float, end: float) -> list[Word]:
        """Those whose middle lies in a stretch, cut to it, their times from its start."""
        found = []
        for i in range(bisect_left(self.intervals, start, key=_middle), len(self.intervals)):
            word = self.intervals[i]
            if not start <= _middle(word) < end:
                break
            self.taken.add(i)
            times = (max(word.start, start) - start, min(word.end, end) - start)
            found.append((_line(word.label), round(times[0], DECIMALS), round(times[1], DECIMALS)))
        return found


def _middle(interval: Interval) -> float:
    return (interval.start + interval.end) / 2


def find_utterances(
    annotation: Annotation, options: Options, participants: Mapping[str, str]
) -> tuple[list[Utterance], list[Note]]:
    """The utterances of a recording, in order of time.

    Args:
        participants: tier → who speaks in it, where the format tells.

    Returns:
        the utterances, and what was left out.

    Raises:
        UserError: a tier that is named is not there, or it is not told which one holds the words.
    """
    notes: list[Note] = []
    if not options.tier:
        return [_whole(annotation, options, participants, notes)], notes
    speakers = _one(annotation, options.speaker, "speaker")
    pictures = _one(annotation, options.pictures, "pictures")
    tiers = _named(annotation, options.tier, "tier", notes)
    words = _words(annotation, options, tiers, notes)
    lists = [_Words(sorted(_labelled(w.tier), key=_middle)) if _timed(w.tier, notes) else None for w in words]
    found = []
    for named in tiers:
        place = _of(named, tiers, words, participants)
        if words and place is None:
            notes.append(
                (f"no tier of words for tier {named.tier.name!r}", f"words={options.words} names none for it.")
            )
        spoken = None if place is None else lists[place]
        for each in _labelled(named.tier):
            during = None if speakers is None else next(iter(_longest(speakers, each.start, each.end)), None)
            told = Utterance(
                _line(each.label),
                each.start,
                each.end,
                during or _speaker(named, participants, several=named.listed),
                None if spoken is None else spoken.within(each.start, each.end),
                () if pictures is None else tuple(_longest(pictures, each.start, each.end)),
            )
            found.append(told)
    for named, words_of in zip(words, lists):
        if words_of is not None and (lost := len(words_of.intervals) - len(words_of.taken)):
            what = (
                f"{lost} of {len(words_of.intervals)} words of tier {named.tier.name!r} lie in no utterance: left out"
            )
            notes.append((what, "Mend the times of the utterances, or of the words."))
    found.sort(key=lambda u: (u.start or 0.0, u.end or 0.0))
    return found, notes


def _whole(annotation: Annotation, options: Options, participants: Mapping[str, str], notes: list[Note]) -> Utterance:
    """A recording that is one utterance.

    Raises:
        UserError: no tier of words, or one that holds more than words; several speakers.
    """
    speakers = _one(annotation, options.speaker, "speaker")
    pictures = _one(annotation, options.pictures, "pictures")
    if options.words:
        found = _named(annotation, options.words, "words", notes)
        if len(found) > 1:
            names = ", ".join(repr(w.tier.name) for w in found)
            raise UserError(f"{len(found)} tiers of words: {names}", "Name the tiers of utterances too: tier=…")
        named = found[0]
    else:
        try:
            named = _Named(annotation.tier(None))
        except UserError:
            raise UserError(
                f"it is not told which tier holds what; {_tiers(annotation)}",
                "Name the tier of utterances (tier=…), of words (words=…), or both.",
            ) from None
    words = _labelled(named.tier)
    phrase = next((w.label for w in words if len(w.label.split()) > 1), None)
    if phrase is not None and not options.words and named.tier.name.lower() not in USUAL:
        raise UserError(
            f"tier {named.tier.name!r} holds more than words ({phrase[:40]!r})",
            "Name it as the tier of utterances (tier=…), or all the same as that of words (words=…).",
        )
    who = [] if speakers is None else list(dict.fromkeys(_line(s.label) for s in _labelled(speakers)))
    if len(who) > 1:
        raise UserError(
            f"several speakers in one recording: {', '.join(who[:4])}", "Name the tier of utterances: tier=…"
        )
    return Utterance(
        " ".join(_line(w.label) for w in words),
        speaker=who[0] if who else _speaker(named, participants, several=False),
        words=[(_line(w.label), w.start, w.end) for w in words] if _timed(named.tier, notes) else None,
        pictures=() if pictures is None else tuple(dict.fromkeys(_line(p.label) for p in _labelled(pictures))),
    )


def _labelled(tier: Tier) -> list[Interval]:
    return [i for i in tier.intervals if i.label.strip()]


def _timed(tier: Tier, notes: list[Note]) -> bool:
    """Whether words have times of their own: in ELAN they may only have an order, and then get those of the whole."""
    spans = [(i.start, i.end) for i in _labelled(tier)]
    if len(set(spans)) == len(spans):
        return True
    notes.append((f"words of tier {tier.name!r} share their times: left out", "Align each word, or name another tier."))
    return False


def _line(label: str) -> str:
    return " ".join(label.split())


def _tiers(annotation: Annotation) -> str:
    names = ", ".join(repr(t.name) for t in annotation.tiers[:20])
    return f"its tiers are {names}" if names else "it has no tiers"


def _named(annotation: Annotation, names: str, option: str, notes: list[Note]) -> list[_Named]:
    """The tiers that an option names, in the order of the names.

    Raises:
        UserError: there are none, or two of one name.
    """
    known = [t.name for t in annotation.tiers]
    found: list[_Named] = []
    missing: list[str] = []
    # A name as it stands comes first: there are tiers with commas and asterisks in their names.
    given = [names] if names in known else [n.strip() for n in names.split(",")]
    for place, name in enumerate(given):
        if name in known:
            hits = [_Named(t, place, None, len(given) > 1) for t in annotation.tiers if t.name == name]
            if len(hits) > 1:
                raise UserError(f"{len(hits)} tiers are called {name!r} ({option}={names})", "Rename all but one.")
        else:
            pattern = re.compile(re.escape(name).replace(r"\*", "(.*)") if "*" in name else "(?!)", re.DOTALL)
            matches = ((t, pattern.fullmatch(t.name)) for t in annotation.tiers)
            hits = [_Named(t, place, m.group(1), len(given) > 1) for t, m in matches if m is not None]
        if not hits:
            missing.append(name)
        found += [h for h in hits if all(h.tier is not f.tier for f in found)]
    if not found:
        raise UserError(f"no tier {names!r} ({option}); {_tiers(annotation)}", did_you_mean(names, known))
    notes += [
        (f"no tier {n!r} ({option}), so nothing of it; {_tiers(annotation)}", did_you_mean(n, known)) for n in missing
    ]
    return found


def _one(annotation: Annotation, name: str, option: str) -> Tier | None:
    """The tier that an option names, if it names one.

    Raises:
        UserError: there is none, or there are several.
    """
    if not name:
        return None
    found = _named(annotation, name, option, [])
    if len(found) > 1:
        raise UserError(f"{len(found)} tiers match {option}={name}", "Name one.")
    return found[0].tier


def _words(annotation: Annotation, options: Options, tiers: Sequence[_Named], notes: list[Note]) -> list[_Named]:
    """The tiers of words: those named, else one of the usual name, if there is one.

    Raises:
        UserError: those named are not there, or several have a usual name.
    """
    if options.words:
        return _named(annotation, options.words, "words", notes)
    usual = [_Named(t) for t in annotation.tiers if t.name.lower() in USUAL and all(t is not n.tier for n in tiers)]
    if len(usual) > 1:
        raise UserError(f"{len(usual)} tiers could hold the words; {_tiers(annotation)}", "Name one: words=…")
    return usual


def _of(named: _Named, tiers: Sequence[_Named], words: Sequence[_Named], participants: Mapping[str, str]) -> int | None:
    """Which of the tiers of words goes with a tier of utterances; None where none does."""
    if len(words) == 1 and (len(tiers) == 1 or _speaker(words[0], participants, several=False) is None):
        return 0  # words of all speakers on one tier
    who = _speaker(named, participants, several=False)
    for i, each in enumerate(words):
        if who is not None and _speaker(each, participants, several=False) == who:
            return i
    for i, each in enumerate(words):
        if (each.place, each.star) == (named.place, named.star):
            return i
    return None


def _speaker(named: _Named, participants: Mapping[str, str], several: bool) -> str | None:
    name = named.tier.name
    told = participants.get(name) or named.star or name.partition("@")[2].strip() or (name if several else None)
    return told.strip() or None if told else None


def _longest(tier: Tier, start: float, end: float) -> Iterable[str]:
    """Labels of a tier that last during a stretch, the longest first, without repeats."""
    lasts: dict[str, float] = {}
    for each in tier.intervals:
        if (both := min(each.end, end) - max(each.start, start)) > 0 and each.label.strip():
            label = _line(each.label)
            lasts[label] = lasts.get(label, 0.0) + both
    return sorted(lasts, key=lambda label: -lasts[label])
