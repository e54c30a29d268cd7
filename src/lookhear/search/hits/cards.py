"""Parts of the page of hits: a recording from above, and its hits as rows with sound, waveform and score curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from lookhear.core import Hit
from lookhear.data.embedded import audio_uri
from lookhear.errors import UserError
from lookhear.search.hits.excerpts import Excerpt, Excerpts, envelope
from lookhear.search.spot import Heard

__all__ = ["Row", "clock", "found_rows", "tape_map"]

WIDTH, HEIGHT = 1000, 100
"""Of drawings, in their own units; the page stretches them."""
BINS = 180
"""Strokes of the waveform of a hit."""
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400)


@dataclass(frozen=True)
class Row:
    """A hit on the page.

    Attributes:
        number: of the row, by which others point to it.
        word: number of its query, and ``colour`` its class.
        played: whether it can be heard and seen.
    """

    number: int
    hit: Hit
    word: int
    colour: str
    played: bool

    @staticmethod
    def worth(hit: Hit) -> float:
        return hit.score if hit.probability is None else hit.probability

    @property
    def told(self) -> str:
        return f"{self.hit.score:.2f}" if self.hit.probability is None else f"{100 * self.hit.probability:.0f} %"

    @property
    def marks(self) -> str:
        """What the script sorts and chooses by."""
        return f'data-word="{self.word}" data-worth="{self.worth(self.hit):.4f}" data-start="{self.hit.start:.3f}"'


def clock(seconds: float, digits: int = 0) -> str:
    """``0:07``, ``12:05.30``, ``1:02:03``."""
    ticks = round(seconds * 10**digits)
    whole, part = divmod(ticks, 10**digits)
    hours, minutes = whole // 3600, whole // 60 % 60
    text = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    return f"{text}.{part:0{digits}d}" if digits else text


def tape_map(heard: Heard, rows: Sequence[Row], names: Sequence[str], bins: int) -> str:
    """The whole recording: its waveform, and below it a lane for each query that was found, with all its hits."""
    lanes = ""
    for word in sorted({r.word for r in rows}):
        own = sorted((r for r in rows if r.word == word), key=lambda r: r.hit.start)
        lanes += (
            f'<li class="lane {own[0].colour}" data-word="{word}"><span dir="auto">{escape(names[word])}</span>'
            f'<b class="rail">{"".join(_tick(r, heard.seconds) for r in own)}</b></li>'
        )
    try:
        low, high = envelope(heard, bins)
        loud = (
            f'<svg class="loudness" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
            f'aria-label="loudness over time"><path d="{_outline(low, high)}"/></svg>'
        )
    except UserError as e:
        loud = f'<p class="unplayed">{escape(e.what)}</p>'
    return f'<div class="map"><div class="over">{loud}</div><ul class="lanes">{lanes}</ul>{_axis(heard.seconds)}</div>'


def _tick(row: Row, seconds: float) -> str:
    hit = row.hit
    left, width = 100 * hit.start / seconds, 100 * (hit.end - hit.start) / seconds
    told = f"{hit.query}, {clock(hit.start, 1)}, {row.told}"
    return (
        f'<a href="#hit{row.number}" tabindex="-1" style="left:{left:.3f}%;width:{width:.3f}%" {row.marks} '
        f'title="{escape(told)}" aria-label="{escape(told)}"></a>'
    )


def _outline(low: NDArray[np.float32], high: NDArray[np.float32]) -> str:
    """An SVG path around a waveform, its loudest point at the edge; as thin as a line where it is silent."""
    top = max(float(np.abs(low).max()), float(high.max()), 1e-9)
    x = (np.arange(len(low)) + 0.5) * WIDTH / len(low)
    up, down = 50 - 48 * high / top - 0.6, 50 - 48 * low / top + 0.6
    there = [f"{a:.0f} {b:.1f}" for a, b in zip(x, up)]
    back = [f"{a:.0f} {b:.1f}" for a, b in zip(x[::-1], down[::-1])]
    return "M" + "L".join(there + back) + "Z"


def _axis(seconds: float) -> str:
    step = next((s for s in _STEPS if seconds / s <= 8), _STEPS[-1])
    digits = 1 if step < 1 else 0
    marks = "".join(
        f'<i style="left:{100 * k * step / seconds:.2f}%">{clock(k * step, digits)}</i>'
        for k in range(int(seconds / step) + 1)
        if k * step <= 0.92 * seconds  # a later one would stand out at the edge
    )
    return f'<div class="axis" aria-hidden="true">{marks}</div>'


def found_rows(heard: Heard, rows: Sequence[Row], excerpts: Excerpts | None, top: float) -> str:
    """The table of hits.

    Args:
        excerpts: hears those that are to be played.
        top: what a curve's full height stands for, where it is no probability.
    """
    head = "".join(
        f'<th scope="col" aria-sort="{"descending" if key == "worth" else "none"}"><button type="button" '
        f'data-key="{key}">{label}</button></th>'
        for key, label in (("worth", "sure" if rows[0].hit.probability is not None else "score"), ("word", "query"))
    )
    head += '<th scope="col" aria-sort="none"><button type="button" data-key="start">time</button></th>'
    listen = '<th scope="col" class="listen">listen</th>' if any(r.played for r in rows) else ""
    body = "".join(_row(r, heard, excerpts, top, bool(listen)) for r in rows)
    return (
        f'<div class="scroll"><table class="found"><thead><tr>{head}{listen}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _row(row: Row, heard: Heard, excerpts: Excerpts | None, top: float, listen: bool) -> str:
    hit, cell, clip = row.hit, "<td class=listen></td>" if listen else "", ""
    if row.played and excerpts is not None:
        try:
            excerpt = excerpts.about(hit, heard.seconds)
        except UserError as e:
            cell = f'<td class="listen unplayed">{escape(e.what)}</td>'
        else:
            named = escape(f"{hit.query} at {clock(hit.start, 1)}")
            clip = f' class="clip {row.colour}" data-seconds="{excerpt.seconds:.3f}" data-name="{named}"'
            cell = f'<td class="listen">{_player(excerpt, hit, top)}</td>'
    return (
        f'<tr id="hit{row.number}"{clip} {row.marks}><td class="worth">{row.told}</td><th scope="row" dir="auto">'
        f'<i class="{row.colour}"></i>{escape(hit.query)}</th>'
        f'<td class="time">{clock(hit.start, 2)} <small>{hit.end - hit.start:.2f} s</small></td>{cell}</tr>'
    )


def _player(excerpt: Excerpt, hit: Hit, top: float) -> str:
    scale = WIDTH / excerpt.seconds
    x, width = (hit.start - excerpt.start) * scale, max((hit.end - hit.start) * scale, 4.0)
    parts = np.array_split(excerpt.wave, BINS)
    peaks = np.array([np.abs(p).max(initial=0) for p in parts])
    sizes = 44 * peaks / max(float(peaks.max()), 1e-9)
    strokes = "".join(f"M{(k + 0.5) * WIDTH / BINS:.1f} {50 - s:.0f}V{50 + max(s, 1):.0f}" for k, s in enumerate(sizes))
    full = 1.0 if hit.probability is not None else max(top, 1e-9)
    heights = np.clip(excerpt.values / full, 0, 1)
    points = [f"{(t - excerpt.start) * scale:.0f} {HEIGHT - 4 - 92 * h:.1f}" for t, h in zip(excerpt.times, heights)]
    curve = f'<path class="curve" d="M{"L".join(points)}"/>' if points else ""
    return (
        f'<div class="play"><audio controls preload="none" src="{audio_uri(excerpt.wave)}"></audio>'
        f'<div class="track wave"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="hit" x="{x:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}"/><path class="loud" d="{strokes}"/>'
        f'{curve}</svg><i class="head"></i></div></div>'
    )
