"""Time-marked words of NIST (.ctm): ``recording channel start duration word [confidence …]``, a line a word.

Fields stand apart by blanks; lines that start with ``;;`` are comments. One file may hold the words of many
recordings: ``read_ctm`` streams them, ``read_annotation`` wants one recording. See the manual of SCTK (ctm(5)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from lookhear.data.annotations.files import put
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

__all__ = ["CtmWord", "read", "read_ctm", "write"]

FORM = Form("a CTM file", decimals=6, named=True, points=True, blank=False)
SOUNDS = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aif", ".aiff", ".au", ".sph"}
FIELDS = 8
"""At most: recording, channel, start, duration, word, confidence, type, speaker."""


class CtmWord(NamedTuple):
    """A line of a CTM file.

    Attributes:
        line: its number, from 1.
        interval: the word with its times.
    """

    line: int
    recording: str
    channel: str
    interval: Interval


def read_ctm(path: Path, bad: Callable[[int, str, str], None] | None = None) -> Iterator[CtmWord]:
    """The words of a CTM file in its order, read as they are asked for.

    Args:
        bad: is told of each line that is no word: its number, what is wrong, and the mend. Without it such a line
            raises.

    Raises:
        UserError: there is no such file; a line that is no word, where ``bad`` is None.
    """
    try:
        with path.open("rb") as file:
            for line, raw in enumerate(file, 1):
                try:
                    word = _word(line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw, path)
                except UserError as e:
                    if bad is None:
                        raise wrong(path, line, e.what, e.fix) from None
                    bad(line, e.what, e.fix)
                else:
                    if word is not None:
                        yield word
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror})", "Check the path.") from None


def _word(line: int, raw: bytes, path: Path) -> CtmWord | None:
    try:
        row = raw.decode()
    except UnicodeDecodeError as e:
        raise UserError(f"not UTF-8 text ({e.reason})", "Save it as UTF-8.") from None
    # Not split(): a no-break space is part of a word.
    fields = row.rstrip("\r\n").replace("\t", " ").split(" ")
    fields = [f for f in fields if f]
    if not fields or fields[0].startswith(";;"):
        return None
    fix = "A line is: recording channel start duration word, and perhaps a confidence."
    if not 5 <= len(fields) <= FIELDS:
        raise UserError(f"{len(fields)} fields", fix)
    recording, channel, start, duration, label = fields[:5]
    try:
        first, length = number(start), number(duration)
        if len(fields) > 5 and fields[5] != "NA":
            number(fields[5])
    except ValueError as e:
        raise UserError(str(e), fix) from None
    if length < 0 or not label.strip():
        raise UserError("a duration below 0" if length < 0 else "a word of white space", "Mend the line.")
    # Rounded as decimals have it: 0.1 + 0.2 is 0.3, and a word's end is the next one's start.
    last = max(first, round(first + length, 9)) if length < LATEST else length
    try:
        return CtmWord(line, recording, channel, span(path, None, label, first, last))
    except UserError as e:
        raise UserError(e.what.removeprefix(f"{path}: "), e.fix) from None


def read(path: Path) -> Annotation:
    """The words of the one recording of a file; a tier for each channel, called words where there is but one.

    Raises:
        UserError: a line that is no word; words of several recordings.
    """
    channels: dict[str, list[Interval]] = {}
    recordings: dict[str, None] = {}
    for word in read_ctm(path):
        recordings[word.recording] = None
        if len(recordings) > 1:
            names = " and ".join(map(repr, islice(recordings, 2)))
            raise wrong(path, word.line, f"words of several recordings ({names})", "Keep one recording's lines.")
        channels.setdefault(word.channel, []).append(word.interval)
    single = len(channels) <= 1
    tiers = [Tier("words" if single else name, in_order(words)) for name, words in channels.items()]
    return Annotation(tuple(tiers) or (Tier("words", ()),), media=next(iter(recordings), None))


def write(annotation: Annotation, path: Path) -> None:
    """To the microsecond; the recording is called as the media file (else as ``path``), without its folder and ending.

    One tier is channel 1, whose name is not kept; several are channels of their names. A duration has no place in it.

    Raises:
        UserError: a word, a tier or a recording with blanks in its name; one of several tiers is empty.
    """
    one = len(annotation.tiers) == 1
    recording = Path(annotation.media or path.stem).name
    if Path(recording).suffix.lower() in SOUNDS:
        recording = Path(recording).stem
    _whole(path, "recording", recording)
    rows = []
    for tier in sayable(annotation, path, FORM):
        channel = "1" if one else tier.name
        _whole(path, "tier", channel)
        if not (one or tier.intervals):
            raise wrong(path, None, f"tier {tier.name!r} is empty; a CTM file has no line for it", "Leave it out.")
        for i in tier.intervals:
            _whole(path, "word", i.label)
            start, end = Decimal(f"{i.start:.6f}"), Decimal(f"{i.end:.6f}")
            rows.append(f"{recording} {channel} {start} {end - start} {i.label}\n")
    put(path, "".join(rows))


def _whole(path: Path, kind: str, name: str) -> None:
    if not name or " " in name or "\t" in name or "\n" in name:
        raise wrong(path, None, f"a {kind} {name!r}; in a CTM file blanks end it", "Join its parts, say with _.")
    if kind == "recording" and name.startswith(";;"):
        raise wrong(path, None, f"a recording {name!r}; in a CTM file that is a comment", "Rename it.")
