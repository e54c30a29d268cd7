"""Counts over pairs of a recording and a keyword: detection, localisation, and localisation of what is ranked.

R recordings, Q words, U resamples. One score and one frame is answered for each pair (``Answers``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.answers import Answers
from lookhear.tasks.base import figure
from lookhear.tasks.metrics import RankingCurve
from lookhear.tasks.rates import Counts, best_f1, rates
from lookhear.tasks.resampling import Bootstrap, centred_interval, mean_over_words

__all__ = ["Pairs"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Answers at a threshold, beside what is said.

    Attributes:
        answers: of the model.
        said: (R, Q) how often each recording says each word.
        threshold: lowest score that counts.
    """

    answers: Answers
    said: NDArray[np.int64]
    threshold: float

    @cached_property
    def detected(self) -> NDArray[np.bool_]:
        return np.asarray(self.answers.score >= self.threshold)

    @cached_property
    def spoken(self) -> NDArray[np.bool_]:
        return self.said > 0

    @cached_property
    def placed(self) -> NDArray[np.bool_]:
        """(R, Q) the answered frame lies in an occurrence."""
        return self.answers.inside > 0

    def detection(self) -> Counts:
        """(R, Q): is the word said?"""
        return self._counts(self.spoken)

    def localisation(self) -> Counts:
        """(R, Q) actual localisation: an answer in the wrong place is a false alarm *and* leaves the word unfound."""
        return self._counts(self.placed)

    def _counts(self, right: NDArray[np.bool_]) -> Counts:
        found = self.detected & right
        return Counts(found, self.detected & ~found, self.spoken & ~found)

    def legacy(self) -> Counts:
        """(R, Q) as published scripts count.

        Each occurrence is held by itself against the one answered frame, so that a word said twice is at best one hit
        and one false alarm; and an answer in the wrong place takes nothing from recall.
        """
        inside, detected = self.answers.inside, self.detected
        wrong = np.where(self.spoken, self.said - inside, 1)
        return Counts(detected * inside, detected * wrong, ~detected * self.said)

    def chance(self, name: str) -> Counts:
        """Expected counts where as many pairs as now, drawn at random, are answered with a random frame each."""
        answered, rate = self.detected.sum(), self.detected.mean()
        if name == "legacy":
            hits, said = self.answers.share.sum(), self.said.sum()
            return Counts(rate * hits, rate * (said - hits + (~self.spoken).sum()), (1 - rate) * said)
        hits = rate * (self.spoken if name == "detection" else self.answers.covered).sum()
        return Counts(hits, answered - hits, self.spoken.sum() - hits)

    def micro(self, name: str, draws: Bootstrap) -> tuple[dict[str, Any], Floats]:
        """Figures of ``detection``, ``localisation`` or ``legacy`` over all pairs, and F1 in each resample."""
        result, resampled = rates(getattr(self, name)(), draws, self.chance(name))
        if name != "legacy":
            right = self.spoken if name == "detection" else self.placed
            best = best_f1(self.answers.score.ravel(), right.ravel(), int(self.spoken.sum()))
            result["best_F1"] = best
        return result, resampled

    def ranked(self, draws: Bootstrap) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Spotting localisation: of each word's best-scored recordings, how many say it and are answered inside it.

        P@10, and P@N with N the number of recordings that say the word; means over words, and for each word.
        """
        weights, score = draws.weights(), self.answers.score
        curves = [RankingCurve(s, r) for s, r in zip(score.T, self.placed.T)]
        resampled = [RankingCurve(s, r, weights) for s, r in zip(score.T, self.placed.T)]
        once, often = self.spoken.sum(0), [weights.T @ column for column in self.spoken.T]
        result, per_word = {}, [{} for _ in curves]  # type: ignore[var-annotated]
        chance = float(self.answers.covered.mean())
        for name, fixed in (("P@10", 10), ("P@N", None)):
            values = [self._precision(c, np.array([n]), fixed) for c, n in zip(curves, once)]
            means = mean_over_words([self._precision(c, n, fixed) for c, n in zip(resampled, often)])
            value = float(np.mean(values))
            result[name] = figure(value, centred_interval(means, value), chance, len(score))
            for row, v in zip(per_word, values):
                row[name] = float(v[0])
        return result, per_word

    @staticmethod
    def _precision(curve: RankingCurve, said: NDArray[Any], k: int | None) -> Floats:
        """(U,) 0 where the word is said and nothing is right; NaN where it is not said."""
        precision = curve.precision_at(said if k is None else k)
        return np.where(said > 0, np.nan_to_num(precision), np.nan)

    def of_word(self, q: int) -> dict[str, Any]:
        """What stands in ``per_word``: how often said and detected, and the rates."""
        row: dict[str, Any] = {
            "recordings": int(self.spoken[:, q].sum()),
            "occurrences": int(self.said[:, q].sum()),
            "detected": int(self.detected[:, q].sum()),
        }
        for name in ("detection", "localisation"):
            total = getattr(self, name)().sum(0)
            values = {"precision": total.precision[q], "recall": total.recall[q], "F1": total.f1[q]}
            row[name] = {k: None if np.isnan(v) else float(v) for k, v in values.items()}
        return row
