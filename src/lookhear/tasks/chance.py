"""What a random ranking would score: every figure is printed beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.answers import Moments
from lookhear.tasks.metrics import hit_probability

__all__ = ["chance_average_precision", "chance_median_rank", "chance_recall", "random_moments"]


def chance_recall(right: NDArray[Any], gallery: int, k: int) -> float:
    """Mean R@k of random rankings for queries with (Q,) right items each among ``gallery`` (hypergeometric)."""
    counts, times = np.unique(np.asarray(right), return_counts=True)
    return float(np.average(hit_probability(counts, gallery - counts, min(k, gallery)), weights=times))


def chance_median_rank(right: NDArray[Any], gallery: int) -> int:
    """The smallest k whose chance R@k is at least one half."""
    counts, times = np.unique(np.asarray(right, dtype=np.float64), return_counts=True)
    miss = np.ones(len(counts))
    for k in range(1, gallery + 1):
        miss *= np.clip(gallery - counts - (k - 1), 0, None) / (gallery - k + 1)
        if 1 - np.average(miss, weights=times) >= 0.5 - 1e-12:
            return k
    return gallery


def chance_average_precision(positives: int, items: int) -> float:
    """Exact expected average precision of a random order of N items, m of them right.

    Position k holds a right item with probability m / N and then has k − 1 places above it, each right with
    probability (m − 1) / (N − 1); the sum over k gives (H_N + (N − H_N) (m − 1) / (N − 1)) / N, H_N the N-th
    harmonic number (Bestgen, 2015, "Exact expected average precision of the random baseline"). It exceeds the
    prevalence m / N, markedly so for rare words.
    """
    if not 0 < positives <= items:
        raise ValueError(f"{positives} right items among {items}")
    if items == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, items + 1)).sum())
    return (harmonic + (items - harmonic) * (positives - 1) / (items - 1)) / items


def random_moments(moments: Moments, seconds: NDArray[Any], rng: np.random.Generator) -> Moments:
    """As many moments of each word and each length, at random times of recordings drawn by their (R,) seconds."""
    count, length = len(moments), moments.end - moments.start
    recording = rng.choice(len(seconds), size=count, p=seconds / seconds.sum())
    start = rng.random(count) * np.maximum(seconds[recording] - length, 0)
    return Moments(recording, moments.word, moments.score, start, np.minimum(start + length, seconds[recording]))
