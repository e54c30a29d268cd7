"""Ranks, recall, average precision, precision at k and equal error rate, with equal scores dealt with openly.

Tie policy, everywhere: items of equal score stand in random order, and a figure is its expectation over those orders
(average precision alone follows scikit-learn: items of equal score enter the list together). So a model that gives
every item the same score gets the chance level, never more. Pure NumPy; G gallery, R recordings, Q queries,
U resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TIES", "Placement", "RankingCurve", "average_precision", "hit_probability", "place", "precision_at"]

TIES = "expected rank"
"""The tie policy as results name it: rank = 1 + #better + #equal others / 2 for one right item."""

Floats = NDArray[np.floating[Any]]
Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def _finite(scores: Floats) -> None:
    # NaN compares false with everything, which would put every right item at rank 1.
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")


def hit_probability(right: NDArray[Any], wrong: NDArray[Any], draws: NDArray[Any] | int) -> Array:
    """Probability that ``draws`` items, drawn without return from right and wrong ones, hold a right one.

    Hypergeometric: 1 − C(wrong, draws) / C(right + wrong, draws). Inputs broadcast; draws ≤ 0 give 0.
    """
    right, wrong, draws = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (right, wrong, draws)))
    miss = np.ones(right.shape)
    for i in range(int(draws.max(initial=0))):
        step = np.clip(wrong - i, 0, None) / np.maximum(right + wrong - i, 1)
        miss = np.where(i < draws, miss * step, miss)
    # With nothing left to draw, nothing right was there to be drawn.
    return np.where(right > 0, 1 - miss, 0.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the best right item of each query stands.

    Attributes:
        better: (Q,) wrong items with a higher score than the best right one.
        tied_right, tied_wrong: (Q,) right and wrong items with exactly its score.
        right: (Q,) right items in the gallery.
        gallery: its size.
    """

    better: Ints
    tied_right: Ints
    tied_wrong: Ints
    right: Ints
    gallery: int

    @property
    def rank(self) -> Array:
        """(Q,) expected rank of the first right item: 1 + better + tied wrong / (tied right + 1).

        With one right item this is 1 + #better + #equal others / 2.
        """
        return np.asarray(1 + self.better + self.tied_wrong / (self.tied_right + 1), dtype=np.float64)

    def hits(self, k: int) -> Array:
        """(Q,) probability that a right item is among the first k; 0 or 1 unless the best one is tied."""
        return hit_probability(self.tied_right, self.tied_wrong, k - self.better)


def place(scores: Floats, right: NDArray[np.bool_]) -> Placement:
    """Places the right items of each query in its gallery.

    Args:
        scores: (Q, G), higher is nearer.
        right: (Q, G), at least one True in every row.

    Raises:
        ValueError: scores that are not finite, or a query without a right item.
    """
    _finite(scores)
    if not right.any(1).all():
        raise ValueError("every query needs a right item in the gallery")
    best = np.where(right, scores, -np.inf).max(1, keepdims=True)
    better = (scores > best).sum(1)
    equal = scores == best
    tied = equal.sum(1)
    tied_right = (equal & right).sum(1)
    return Placement(better, tied_right, tied - tied_right, right.sum(1), scores.shape[1])


def precision_at(scores: Floats, right: NDArray[np.bool_], k: int) -> Array:
    """(Q,) expected share of right items among the first k of each row of (Q, G) scores (the first G if G < k)."""
    _finite(scores)
    k = min(k, scores.shape[1])
    edge = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, at = scores > edge, scores == edge
    share = (k - above.sum(1)) / at.sum(1)
    return np.asarray(((above & right).sum(1) + share * (at & right).sum(1)) / k, dtype=np.float64)


class RankingCurve:
    """One ranked list, weighted: how many items, and how many right ones, come above each distinct score.

    Args:
        scores: (R,), higher is nearer.
        truth: (R,) bool.
        weights: (R, U), how often each item occurs in each of U resamples; once each if not given.

    Every figure is (U,), NaN for a resample without right items (or, for the EER, without wrong ones).
    """

    def __init__(self, scores: Floats, truth: NDArray[np.bool_], weights: Floats | None = None) -> None:
        _finite(scores)
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        w = np.ones((len(scores), 1)) if weights is None else weights[order]
        seen = np.cumsum(w, axis=0, dtype=np.float64)[ends]
        found = np.cumsum(w * truth[order][:, None], axis=0, dtype=np.float64)[ends]
        zero = np.zeros((1, w.shape[1]))
        self.seen: Array = np.concatenate([zero, seen])  # (E + 1, U)
        self.found: Array = np.concatenate([zero, found])
        self.positives: Array = found[-1]
        self.negatives: Array = seen[-1] - found[-1]

    def average_precision(self) -> Array:
        """Σ (R_n − R_{n−1}) P_n over distinct scores: scikit-learn's ``average_precision_score``."""
        precision = self.found[1:] / np.maximum(self.seen[1:], 1e-12)
        total = (np.diff(self.found, axis=0) * precision).sum(0)
        return np.where(self.positives > 0, total / np.maximum(self.positives, 1e-12), np.nan)

    def precision_at(self, k: NDArray[Any] | int) -> Array:
        """Expected share of right items among the first k; all of them where there are fewer than k."""
        k = np.minimum(np.broadcast_to(np.asarray(k, dtype=np.float64), self.positives.shape), self.seen[-1])
        k = np.maximum(k, 1e-12)
        here = np.minimum((self.seen < k).sum(0), len(self.seen) - 1)
        found = self._between(self.found, here, self._share(self.seen - k, here))
        return np.where(self.positives > 0, found / k, np.nan)

    def precision_at_positives(self) -> Array:
        """P@N: precision among the first N, N the number of right items."""
        return self.precision_at(self.positives)

    def equal_error_rate(self) -> Array:
        """Where the false-positive rate meets the miss rate, linear between the points of the ROC."""
        positives, negatives = np.maximum(self.positives, 1e-12), np.maximum(self.negatives, 1e-12)
        false = (self.seen - self.found) / negatives
        gap = false - (1 - self.found / positives)  # rises from −1 to 1
        here = np.minimum((gap < 0).sum(0), len(gap) - 1)
        rate = self._between(false, here, self._share(gap, here))
        return np.where((self.positives > 0) & (self.negatives > 0), rate, np.nan)

    @staticmethod
    def _share(level: Array, here: Ints) -> Array:
        """How far from row ``here − 1`` to row ``here`` the (E + 1, U) level crosses zero, in [0, 1]."""
        column = np.arange(level.shape[1])
        before, after = level[here - 1, column], level[here, column]
        return -before / np.where(after > before, after - before, 1.0)

    @staticmethod
    def _between(values: Array, here: Ints, share: Array) -> Array:
        column = np.arange(values.shape[1])
        before = values[here - 1, column]
        return before + share * (values[here, column] - before)


def average_precision(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Average precision of one ranked list, equal to scikit-learn's; NaN without right items."""
    return float(RankingCurve(scores, truth).average_precision()[0])
