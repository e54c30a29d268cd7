"""Numbers for a terminal: aligned tables and bars, by the columns that characters really take."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["bars", "plain", "table"]

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_LONGEST = 60  # columns of the longest bar


def plain(text: str) -> str:
    """Without characters that would move a terminal's cursor or break a line."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _wide(text: str) -> int:
    """Columns of a terminal that a text takes."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def table(names: Sequence[str], rows: Sequence[tuple[str, list[str]]], width: int) -> list[str]:
    """Aligned lines; in several blocks below one another where the columns do not fit side by side.

    Args:
        names: of the columns.
        rows: a label, and a cell for each column.
        width: of the terminal.
    """
    first = max(len(label) for label, _ in rows)
    sizes = [max(_wide(c) for c in (name, *(cells[k] for _, cells in rows))) + 2 for k, name in enumerate(names)]
    lines, start = list[str](), 0
    while start < len(names):
        end, used = start + 1, first + sizes[start]
        while end < len(names) and used + sizes[end] <= width:
            used += sizes[end]
            end += 1
        lines += [""] if lines else []
        for label, cells in [("", list(names)), *rows]:
            line = label.ljust(first) + "".join(
                " " * (sizes[k] - _wide(cells[k])) + cells[k] for k in range(start, end)
            )
            lines.append(line.rstrip())
        start = end
    return lines


def bars(counts: Sequence[tuple[str, int]], width: int) -> list[str]:
    """A line for each (label, count) with a bar as long as the count; none but 0 is without a bar."""
    told = [(label, f"{count:,}", count) for label, count in counts]
    first, last = (max(map(len, column), default=0) for column in ([t[0] for t in told], [t[1] for t in told]))
    room, most = min(_LONGEST, max(8, width - first - last - 6)), max((n for _, _, n in told), default=0)
    lines = []
    for label, shown, count in told:
        eighths = max(round(8 * room * count / most), 1) if count else 0
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
        lines.append(f"  {label:>{first}}  {shown:>{last}}  {bar}".rstrip())
    return lines
