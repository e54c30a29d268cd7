"""Cells and columns of plain-text tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Figure", "grid", "percent", "with_interval"]

Figure = Mapping[str, Any]


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def with_interval(fig: Figure | None, scale: float = 100.0) -> str:
    """``"75.2 [73.0–77.4]"``, in percent unless ``scale`` says otherwise."""
    if fig is None:
        return "–"
    text = f"{scale * fig['value']:.1f}"
    return text if fig["low"] is None else f"{text} [{scale * fig['low']:.1f}–{scale * fig['high']:.1f}]"


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Columns set flush: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
