"""The trials of a study as one plain-text table."""

from __future__ import annotations

from lookhear.tasks.layout import grid
from lookhear.tuning.study import Tuned

__all__ = ["table"]


def table(found: Tuned) -> str:
    """A row a trial, best first; figures as fractions, "pruned" and "fail" where a trial has none."""
    keys = list(found.trials[0].values)
    rows = [["trial", found.metric, *keys, "run"]]
    for t in found.trials:
        value = f"{t.value:.4f}" if t.state == "complete" and t.value is not None else t.state
        rows.append([str(t.number), value, *(_short(t.values[k]) for k in keys), t.run or "–"])
    return grid(rows)


def _short(text: str) -> str:
    """Numbers with no more digits than anybody reads."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text
