"""Subtitles: SubRip (.srt) through srt, WebVTT (.vtt) through webvtt-py; times are milliseconds.

Files are cut into cues here, and each of them is read by the library or refused with its line: webvtt-py passes over
what it takes for no cue, and srt's pattern goes back and forth without end on a long number. The words of a subtitle
are kept as they stand in SRT, which has no way to write a ``<`` that is none of a tag; in WebVTT tags are left out and
``&amp;`` is ``&``.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from lookhear.data.annotations.files import library, put, read_text
from lookhear.data.annotations.tiers import Annotation, Form, Interval, Tier, in_order, sayable, span, wrong

__all__ = ["read", "write"]

SRT = Form("an SRT file", decimals=3, lines=True, blank=False)
VTT = Form("a WebVTT file", decimals=3, lines=True, blank=False)

_CLOCK = "[0-9]{1,2}:[0-9]{1,2}[.,][0-9]{3}"
_SRT_TIMING = re.compile(rf"\s*[0-9]{{1,4}}:{_CLOCK}\s*-->\s*[0-9]{{1,4}}:{_CLOCK}(?:\s.*)?")
_VTT_CLOCK = r"(?:[0-9]{2,4}:)?[0-9]{2}:[0-9]{2}\.[0-9]{3}"
_VTT_TIMING = re.compile(rf"\s*{_VTT_CLOCK}\s*-->\s*{_VTT_CLOCK}(?:\s.*)?")
_TAG = re.compile("<[^<>\n]*>")
_ASIDE = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_INDEX = re.compile(r"\s*[0-9]+\s*")
_LONG = re.compile("[0-9]{100}")
"""On which srt's pattern goes back and forth for ever."""


def read(path: Path) -> Annotation:
    """One tier, called subtitles; cues may overlap.

    Raises:
        UserError: a cue without sound times, or text outside the cues.
    """
    text = read_text(path)
    cues = _srt(path, text) if path.suffix.lower() == ".srt" else _vtt(path, text)
    return Annotation((Tier("subtitles", in_order(cues)),))


def _srt(path: Path, text: str) -> Iterator[Interval]:
    srt = library("srt")
    lines = text.split("\n")
    starts = []
    for i, line in enumerate(lines):
        if "-->" not in line:
            continue
        if not _SRT_TIMING.fullmatch(line):
            raise wrong(path, i + 1, "a time line that is none", "Write it as 00:00:01,000 --> 00:00:02,500.")
        starts.append(i - 1 if i and _INDEX.fullmatch(lines[i - 1]) else i)
    before = next((i for i, line in enumerate(lines[: starts[0] if starts else None]) if line.strip()), None)
    if before is not None:
        raise wrong(path, before + 1, "text before any time line", "Write cues: a number, a time line, a text.")
    for at, end in zip(starts, [*starts[1:], len(lines)]):
        cue = "\n".join(lines[at:end]).rstrip() + "\n\n"
        if _LONG.search(cue):
            raise wrong(path, at + 1, "a cue with a number of 100 digits", "Take it out.")
        try:
            (subtitle,) = srt.parse(cue)
        except (ValueError, srt.SRTParseError) as e:
            raise wrong(path, at + 1, f"not a cue ({str(e)[:80]})", "Write its number, time line and text.") from None
        start, stop = subtitle.start.total_seconds(), subtitle.end.total_seconds()
        yield span(path, at + 1, subtitle.content, start, stop)


def _vtt(path: Path, text: str) -> Iterator[Interval]:
    webvtt = library("webvtt")
    lines = text.split("\n")
    if not re.fullmatch(r"WEBVTT(?:[ \t].*)?", lines[0]):
        raise wrong(path, 1, "not WebVTT", "The first line of a WebVTT file is WEBVTT.")
    for at, block in _blocks(lines):
        timing = next((k for k, line in enumerate(block) if _VTT_TIMING.fullmatch(line)), None)
        arrows = sum("-->" in line for line in block)
        if timing is None and (_ASIDE.match(block[0]) or (at == 0 and not arrows)):
            continue
        if at == 0 or timing is None or timing > 1 or arrows > 1:
            what = "a cue in the head of the file" if at == 0 else "a block that is no cue"
            raise wrong(path, at + 1, what, "Write cues as 00:01.000 --> 00:02.500, the text below, an empty line.")
        payload = [line for line in block[timing + 1 :] if line.strip()]
        try:
            # webvtt-py passes over a cue without a text, so that it is given one.
            cue = "\n".join(["WEBVTT", "", block[timing], *(payload or ["-"])])
            (caption,) = webvtt.from_string(cue).captions
        except (ValueError, webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as e:
            raise wrong(path, at + 1, f"not a cue ({str(e)[:80]})", "Write its time line and its text.") from None
        times = [_seconds(t) for t in (caption.start, caption.end)]
        label = html.unescape(_TAG.sub("", caption.raw_text)) if payload else ""
        yield span(path, at + timing + 1, label, *times)


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between empty ones, with the number of their first; a line of blanks is not empty."""
    block: list[str] = []
    for i, line in enumerate([*lines, ""]):
        if line:
            block.append(line)
            continue
        if any(text.strip() for text in block):
            yield i - len(block), block
        block = []


def _seconds(stamp: str) -> float:
    whole, _, fraction = stamp.partition(".")
    seconds = 0
    for part in whole.split(":"):
        seconds = seconds * 60 + int(part)
    return (seconds * 1000 + int(fraction)) / 1000


def write(annotation: Annotation, path: Path) -> None:
    """One tier, whose name is not kept, to the millisecond. Media and duration have no place in it.

    Raises:
        UserError: several tiers; a cue without text, shorter than a millisecond, or with an empty line or an arrow
            (``-->``) in its text.
    """
    is_srt = path.suffix.lower() == ".srt"
    (tier,) = sayable(annotation, path, SRT if is_srt else VTT)
    for i in tier.intervals:
        if is_srt and _LONG.search(i.label):
            raise wrong(path, None, f"{i.label[:40]!r} has a number of 100 digits", "Take it out.")
        if "-->" in i.label or any(not line.strip() for line in i.label.split("\n")):
            what = (
                f"{i.label[:40]!r} has {'an arrow' if '-->' in i.label else 'an empty line'}, which ends a cue's text"
            )
            raise wrong(path, None, what, "Take it out.")
    put(path, _as_srt(tier) if is_srt else _as_vtt(tier))


def _as_srt(tier: Tier) -> str:
    srt = library("srt")
    cues = [srt.Subtitle(k, _delta(i.start), _delta(i.end), i.label) for k, i in enumerate(tier.intervals, 1)]
    return str(srt.compose(cues, reindex=False))


def _delta(seconds: float) -> timedelta:
    return timedelta(milliseconds=round(seconds * 1000))


def _as_vtt(tier: Tier) -> str:
    webvtt = library("webvtt")
    file = webvtt.WebVTT()
    for i in tier.intervals:
        file.captions.append(webvtt.Caption(_stamp(i.start), _stamp(i.end), html.escape(i.label, quote=False)))
    return str(file.content)


def _stamp(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}"
