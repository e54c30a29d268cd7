"""Is one recipe better than another? On the same resampled items, and over seeds.

Two sources of chance are told apart. *Items*: would other recordings have given another answer? A paired bootstrap:
both recipes are measured on the same resamples (pictures with all their captions), each seed by itself, and the mean
over seeds is compared in each resample. *Training*: would other seeds? From three seeds on, a paired t-test over them.
U resamples, S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lookhear.tasks.resampling import centred_interval

__all__ = ["ENOUGH_SEEDS", "holm", "mean_interval", "paired", "paired_seeds"]

ENOUGH_SEEDS = 3
"""Below this a spread between seeds says nothing."""

Array = NDArray[np.float64]


def mean_interval(values: Sequence[float], resampled: Array) -> tuple[float, float]:
    """95 % interval over items of the mean over seeds.

    Args:
        values: (S,) measured figures, fractions.
        resampled: (S, U) the same in each resample, the same draw in each column.

    Raises:
        ValueError: no resample gives a figure.
    """
    return centred_interval(resampled.mean(0), float(np.mean(values)))


def paired(values: Sequence[float], base: Sequence[float], resampled: Array, base_resampled: Array) -> dict[str, float]:
    """Difference of two means over seeds, with its interval and significance over items.

    The resampled differences, moved onto the null hypothesis of no difference, are asked how often they are at least as
    large as the measured one (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 16):
    p = (1 + how many) / (1 + U), two-sided, so never below 1 / (1 + U).

    Args:
        values, base: (S,) measured figures, recipe and base.
        resampled, base_resampled: (S, U), column by column of the same draws.

    Returns:
        "value", "low", "high" (95 %) and "p".

    Raises:
        ValueError: no resample gives both figures.
    """
    measured = float(np.mean(values) - np.mean(base))
    drawn = resampled.mean(0) - base_resampled.mean(0)
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        raise ValueError("no resample gives both figures")
    noise = drawn - drawn.mean()
    low, high = np.percentile(noise + measured, [2.5, 97.5])
    # Equal but for rounding is as large.
    extreme = int((np.abs(noise) >= abs(measured) - 1e-12).sum())
    return {"value": measured, "low": float(low), "high": float(high), "p": (1 + extreme) / (1 + len(drawn))}


def paired_seeds(values: Sequence[float], base: Sequence[float]) -> dict[str, Any] | None:
    """Difference over seeds: mean, standard deviation, 95 % t interval and p of the paired t-test.

    None below three seeds; "p" is None where every seed gives the same difference.
    """
    each = np.asarray(values, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    if len(each) < ENOUGH_SEEDS:
        return None
    mean, spread = float(each.mean()), float(each.std(ddof=1))
    half = float(stats.t.ppf(0.975, len(each) - 1)) * spread / len(each) ** 0.5
    p = float(stats.ttest_1samp(each, 0.0).pvalue) if spread > 1e-12 else None
    return {"mean": mean, "sd": spread, "low": mean - half, "high": mean + half, "p": p}


def holm(ps: Sequence[float]) -> list[float]:
    """p values of one family corrected for being several (Holm 1979): step down, never falling, at most 1."""
    order = np.argsort(ps, kind="stable")
    corrected, highest = [0.0] * len(ps), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[i]))
        corrected[int(i)] = highest
    return corrected
