"""Bootstrap intervals over whole units (pictures with all their captions), drawn once and used for every figure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bootstrap", "Resampled", "bootstrap", "centred_interval", "interval", "mean_over_words"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Resampled:
    """One figure in each of U resamples; two of equal ``drawn`` are paired, resample by resample.

    Attributes:
        values: (U,), NaN where a resample gives no figure.
        drawn: what was drawn from and how: equal for the same units in the same order.
    """

    values: Array
    drawn: str


class Bootstrap:
    """Resamples of units with return.

    Captions of one picture are not independent of each other, so a picture is drawn with all that belongs to it.

    Args:
        units: (Q,) the unit of each item; equal numbers, equal unit.
        samples: how many resamples.
        seed: of the draws; equal units and seed, equal draws.
    """

    def __init__(self, units: NDArray[Any], samples: int = 1000, seed: int = 0) -> None:
        names, self.index = np.unique(np.asarray(units), return_inverse=True)
        count, rng = len(names), np.random.default_rng(seed)
        drawn = rng.integers(count, size=(samples, count)) + np.arange(samples)[:, None] * count
        draws = np.bincount(drawn.ravel(), minlength=samples * count).reshape(samples, count)
        self.draws: NDArray[np.float32] = draws.astype(np.float32)
        """(U, units) how often each unit was drawn."""
        self.drawn = hashlib.sha256(f"{samples} {seed} ".encode() + self.index.astype("<i8").tobytes()).hexdigest()[:16]
        """Equal for equal units, samples and seed."""

    def weights(self) -> NDArray[np.float32]:
        """(Q, U) how often each item occurs in each resample."""
        return np.ascontiguousarray(self.draws[:, self.index].T)

    def sums(self, values: NDArray[Any]) -> Array:
        """(U,) the sum of (Q,) values in each resample."""
        total = np.bincount(self.index, weights=np.asarray(values, dtype=np.float64), minlength=self.draws.shape[1])
        return np.asarray(self.draws.astype(np.float64) @ total)

    def means(self, values: NDArray[Any]) -> Array:
        """(U,) the mean of (Q,) values in each resample."""
        return np.asarray(self.sums(values) / self.sums(np.ones(len(self.index))))

    def mean(self, values: NDArray[Any]) -> tuple[float, float]:
        """95 % interval of the mean of (Q,) values."""
        return interval(self.means(values))

    def resampled(self, values: NDArray[Any]) -> Resampled:
        """The mean of (Q,) values in each resample, to be paired with another model's."""
        return Resampled(self.means(values), self.drawn)

    def median(self, values: NDArray[Any]) -> tuple[float, float]:
        """95 % interval of the median of (Q,) values (the lower one of an even number)."""
        order = np.argsort(values)
        reached = np.cumsum(self.draws[:, self.index[order]], axis=1)
        middle = (reached < reached[:, -1:] / 2).sum(1)
        return interval(np.asarray(values, dtype=np.float64)[order][middle])


def mean_over_words(resampled: Sequence[Array]) -> Array:
    """(U,) means of each word's (U,) figure, each resample's taken over the words that it holds (NaN is none)."""
    values = np.array(resampled)
    held = ~np.isnan(values)
    means = np.where(held, values, 0).sum(0) / np.maximum(held.sum(0), 1)
    return np.asarray(np.where(held.any(0), means, np.nan))


def interval(values: NDArray[Any]) -> tuple[float, float]:
    """2.5th and 97.5th percentile of (U,) resampled figures, undefined ones (NaN) left out.

    Raises:
        ValueError: no resample gave a figure.
    """
    defined = np.asarray(values)[~np.isnan(values)]
    if not len(defined):
        raise ValueError("no resample gives a figure")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def centred_interval(values: NDArray[Any], measured: float) -> tuple[float, float]:
    """95 % interval of a figure of whole ranked lists, which resampling lifts: (U,) resamples moved onto the measured.

    A resampled list holds some items several times, side by side, so a right item counts its own copies as support:
    at 8 % prevalence the mean average precision of a chance model rises from 10 to 11 %. That bias (mean of the
    resamples − measured; Efron & Tibshirani 1993, section 10.2) is taken off. In simulation the interval then covers
    the true value in 95 to 98 % of cases, against 85 to 95 % without.
    """
    low, high = interval(np.asarray(values) - (np.nanmean(values) - measured))
    return max(0.0, low), min(1.0, high)


def bootstrap(
    values: NDArray[Any], units: NDArray[Any] | None = None, seed: int = 0, samples: int = 1000
) -> tuple[float, float]:
    """95 % percentile interval of the mean of (Q,) values, resampling whole units (each value its own if not given)."""
    return Bootstrap(np.arange(len(values)) if units is None else units, samples, seed).mean(values)
