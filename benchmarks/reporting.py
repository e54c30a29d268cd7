"""Markdown tables of measured figures, seed by seed, beside what they should reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

__all__ = ["Row", "figures_table", "markdown"]


@dataclass(frozen=True)
class Row:
    """One figure over the seeds.

    Attributes:
        name: what it is, with its chance level and size.
        values: one a seed.
        goal: what the mean should reach; None where nothing is promised.
        at_most: the goal is an upper bound.
        scale, digits: how it is printed; 100 prints fractions in percent.
    """

    name: str
    values: Sequence[float]
    goal: float | None = None
    at_most: bool = False
    scale: float = 100.0
    digits: int = 1

    def meets(self, value: float) -> bool:
        assert self.goal is not None
        return value <= self.goal if self.at_most else value >= self.goal

    def verdict(self, seeds: Sequence[int]) -> str:
        """Whether the mean reaches the goal, and which seeds do not."""
        if self.goal is None:
            return ""
        missing = [str(s) for s, v in zip(seeds, self.values, strict=True) if not self.meets(v)]
        met = "met" if self.meets(fmean(self.values)) else "MISSED"
        return f"{met} (seed {', '.join(missing)} misses)" if missing and len(seeds) > 1 else met

    def text(self, value: float) -> str:
        return f"{self.scale * value:.{self.digits}f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head; the first column to the left, the others to the right."""
    head, *body = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(r) + " |" for r in (head, rule, *body))


def figures_table(rows: Sequence[Row], seeds: Sequence[int]) -> str:
    """Mean and every seed of each figure, beside its goal."""
    head = ["figure", "goal", "mean", *(f"seed {s}" for s in seeds), ""]
    body = [
        [
            row.name,
            "" if row.goal is None else f"{'≤' if row.at_most else '≥'} {row.text(row.goal)}",
            row.text(fmean(row.values)),
            *map(row.text, row.values),
            row.verdict(seeds),
        ]
        for row in rows
    ]
    return markdown([head, *body])
