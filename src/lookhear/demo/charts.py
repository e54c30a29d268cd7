"""Small charts as inline SVG and HTML, coloured by the page's own style so that they follow its theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Line", "curve_path", "line_chart", "percent", "stacked_bar", "word_bars"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 236, 44, 14, 12, 38


@dataclass(frozen=True)
class Line:
    """One curve: (x, y) points; ``style`` is a class of the page's style: ours, seed, teacher."""

    label: str
    style: str
    points: Sequence[tuple[float, float]]


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as ``"97.4"``; an en dash for None."""
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers within [low, high], about ``count`` of them."""
    raw = (high - low) / count or 1.0
    size = 10 ** math.floor(math.log10(raw))
    step = min((m * size for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float, share: bool) -> str:
    if share:
        return f"{100 * value:.0f}"
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def line_chart(title: str, lines: Sequence[Line], x_label: str, share: bool = False) -> str:
    """An SVG of some curves over one axis; ``share``: fractions, drawn from 0 to 1 in percent."""
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x1 = max(xs) or 1.0
    y0, y1 = (0.0, 1.0) if share else (min(0.0, *ys), max(ys) * 1.05 or 1.0)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * x / x1,
            TOP + (HEIGHT - TOP - BOTTOM) * (1 - (y - y0) / (y1 - y0)),
        )

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for y in _ticks(y0, y1):
        _, v = at(0, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{v:.1f}" y2="{v:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{v + 4:.1f}" text-anchor="end">{_number(y, share)}</text>')
    for x in _ticks(0, x1):
        u, _ = at(x, y0)
        parts.append(f'<text x="{u:.1f}" y="{HEIGHT - 19}" text-anchor="middle">{_number(x, False)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end" class="axis">{escape(x_label)}</text>')
    for line in lines:
        dots = [at(x, y) for x, y in line.points]
        path = " ".join(f"{u:.1f},{v:.1f}" for u, v in dots)
        parts.append(f'<polyline class="line {line.style}" points="{path}"/>')
        u, v = dots[-1]
        parts.append(f'<circle class="dot {line.style}" cx="{u:.1f}" cy="{v:.1f}" r="3.5"/>')
    parts.append("</svg>")
    unit = " <small>%</small>" if share else ""
    return f'<figure class="plot"><figcaption>{escape(title)}{unit}</figcaption>{"".join(parts)}</figure>'


def curve_path(values: Sequence[float], width: float, height: float) -> str:
    """An SVG path of a score curve, from 0 at the bottom to its peak near the top; less than 0 is drawn as 0."""
    top = max(max(values), 1e-9)
    points = [(width * (i + 0.5) / len(values), height * (1 - 0.92 * max(v, 0.0) / top)) for i, v in enumerate(values)]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def word_bars(rows: Sequence[tuple[str, float, float | None, float | None]]) -> str:
    """A bar for each word: (word, ours, the teacher's or None, the seed's or None), fractions."""
    parts = []
    for word, ours, teacher, seed in rows:
        marks = f'<i class="fill" style="width:{100 * ours:.1f}%"></i>'
        if seed is not None:
            marks += f'<i class="was" style="left:{100 * seed:.1f}%"></i>'
        if teacher is not None:
            marks += f'<i class="tick" style="left:{100 * teacher:.1f}%"></i>'
        title = f"{word}: {percent(ours)} · teacher {percent(teacher)} · seed's tower {percent(seed)}"
        parts.append(
            f'<li title="{escape(title)}"><span>{escape(word)}</span><b class="rail">{marks}</b>'
            f"<em>{percent(ours, 0)}</em></li>"
        )
    return f'<ul class="words">{"".join(parts)}</ul>'


def stacked_bar(parts: Sequence[tuple[str, float]], unit: str = "s") -> str:
    """One bar cut into shares, with a key below; (label, amount) in order."""
    total = sum(v for _, v in parts) or 1.0
    cells = "".join(f'<i class="s{i}" style="width:{100 * v / total:.2f}%"></i>' for i, (_, v) in enumerate(parts))
    key = "".join(
        f'<li><i class="s{i}"></i>{escape(label)}<b>{v:.0f} {unit}</b></li>' for i, (label, v) in enumerate(parts)
    )
    return f'<div class="stack">{cells}</div><ul class="key">{key}</ul>'
