"""Precision, recall and F1 of counts, with intervals, chance, and the best that any threshold gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.base import figure
from lookhear.tasks.resampling import Bootstrap, interval

__all__ = ["Counts", "best_f1", "rates"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, of any equal shape: (R, Q), (U,), () …"""

    tp: Any
    fp: Any
    fn: Any

    def sum(self, axis: int | tuple[int, ...] | None = None) -> Counts:
        return Counts(*(np.asarray(x, dtype=np.float64).sum(axis) for x in (self.tp, self.fp, self.fn)))

    @property
    def precision(self) -> Floats:
        """NaN where nothing was answered."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> Floats:
        """NaN where there was nothing to find."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> Floats:
        """2 TP / (2 TP + FP + FN): 0 where something was to be found and nothing was answered."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def _ratio(part: Any, whole: Any) -> Floats:
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan))


def rates(counts: Counts, draws: Bootstrap, chance: Counts | None) -> tuple[dict[str, Any], Floats]:
    """Micro figures of (R, Q) counts, and F1 in each resample.

    Args:
        counts: of R recordings and Q words.
        draws: resamples of the R recordings.
        chance: () counts expected by chance.

    Returns:
        ``precision`` (None where nothing was answered), ``recall``, ``F1`` and the ``counts``; and (U,) F1.
    """
    total = counts.sum()
    per_recording = counts.sum(1)
    resampled = Counts(*(draws.sums(x) for x in (per_recording.tp, per_recording.fp, per_recording.fn)))
    result: dict[str, Any] = {}
    for name, of in (("precision", "precision"), ("recall", "recall"), ("F1", "f1")):
        value, values = float(getattr(total, of)), getattr(resampled, of)
        if np.isnan(value):
            result[name] = None
            continue
        by_chance = None if chance is None else float(np.nan_to_num(getattr(chance, of)))
        size = {"precision": total.tp + total.fp, "recall": total.tp + total.fn}.get(name, np.size(counts.tp))
        result[name] = figure(value, interval(values), by_chance, int(size))
    result["counts"] = {"TP": float(total.tp), "FP": float(total.fp), "FN": float(total.fn)}
    return result, resampled.f1


def best_f1(score: NDArray[Any], right: NDArray[np.bool_], to_find: int) -> dict[str, Any]:
    """The highest F1 that any threshold gives on these very items: an upper bound, not a result.

    Args:
        score: (M,) of everything that could be answered.
        right: (M,) whether it would be right.
        to_find: how many there are to find.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.array([], dtype=int)
    found = np.cumsum(right[order])[ends]
    f1 = 2 * found / (ends + 1 + to_find)
    if not len(f1):
        return {"value": 0.0, "threshold": None, "chosen_on": CHOSEN}
    best = int(f1.argmax())
    return {"value": float(f1[best]), "threshold": float(ranked[ends[best]]), "chosen_on": CHOSEN}


CHOSEN = "these items"
"""How results name what was chosen with the answers known."""
