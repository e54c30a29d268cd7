"""A dot for each word: one recipe against another, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["scatter"]

SIDE, LEFT, TOP, RIGHT, BOTTOM = 300, 40, 12, 16, 42
NAMED = 5
"""Words written beside their dots: those that differ most."""
CLEAR = 0.1
"""Words that differ by less are not named."""


def scatter(title: str, points: Sequence[tuple[str, float, float]], x_label: str, y_label: str, style: str) -> str:
    """An SVG of (word, x, y) points, fractions, in percent; words are told when pointed at."""
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + SIDE * x, TOP + SIDE * (1 - y)

    name = f"{title}, {y_label} against {x_label}"
    parts = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(name)}">']
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        u, v = at(step, step)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + SIDE}" y1="{v:.1f}" y2="{v:.1f}"/>')
        parts.append(f'<line class="grid" x1="{u:.1f}" x2="{u:.1f}" y1="{TOP}" y2="{TOP + SIDE}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{v + 4:.1f}" text-anchor="end">{100 * step:.0f}</text>')
        parts.append(f'<text x="{u:.1f}" y="{TOP + SIDE + 16}" text-anchor="middle">{100 * step:.0f}</text>')
    parts.append(f'<line class="even" x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}"/>')
    parts.append(
        f'<text x="{LEFT + SIDE}" y="{height - 6}" text-anchor="end" class="axis">{escape(_short(x_label))}</text>'
    )
    for word, x, y in points:
        u, v = at(x, y)
        told = f"{word}: {100 * x:.1f} → {100 * y:.1f}"
        parts.append(
            f'<circle class="point {style}" cx="{u:.1f}" cy="{v:.1f}" r="4"><title>{escape(told)}</title></circle>'
        )
    for word, x, y in _named(points):
        u, v = at(x, y)
        right = x > 0.6
        parts.append(
            f'<text class="name" x="{u + (-7 if right else 7):.1f}" y="{v + 4:.1f}" '
            f'text-anchor="{"end" if right else "start"}">{escape(_short(word))}</text>'
        )
    parts.append("</svg>")
    above, below = sum(y > x for _, x, y in points), sum(y < x for _, x, y in points)
    told = f"<small>{above} of {len(points)} words better than {escape(_short(x_label))}, {below} worse</small>"
    return (
        f'<figure class="plot"><figcaption>{escape(title)}: {escape(_short(y_label))}<br>{told}</figcaption>'
        f"{''.join(parts)}</figure>"
    )


def _named(points: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Those that differ most, without those whose name would lie upon another's."""
    chosen: list[tuple[str, float, float]] = []
    for word, x, y in sorted(points, key=lambda p: -abs(p[2] - p[1])):
        clear = all(abs(x - a) > 0.3 or abs(y - b) > 0.06 for _, a, b in chosen)
        if len(chosen) < NAMED and abs(y - x) >= CLEAR and clear:
            chosen.append((word, x, y))
    return chosen


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
