"""Term-weighted value and detection-error curves, as in spoken term detection.

NIST, "The Spoken Term Detection (STD) 2006 Evaluation Plan"; Fiscus, Ajot, Garofolo and Doddington (2007), "Results of
the 2006 Spoken Term Detection Evaluation". Every second of speech is a trial of every term; a miss costs the share of
a term's occurrences that it is, a false alarm β times the share of the term's other trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.base import figure
from lookhear.tasks.rates import CHOSEN
from lookhear.tasks.resampling import Bootstrap, centred_interval, interval

__all__ = ["BETA", "POINTS", "Trials", "term_weighted"]

BETA = 999.9
"""Cost of a false alarm over the value of a hit, (C / V) (1 / P_term − 1) with C / V = 0.1 and P_term = 10⁻⁴."""
POINTS = 100
"""Points of a detection-error curve at most."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trials:
    """Scored answers of Q terms in R recordings.

    Attributes:
        recording, word: (M,) of each answer.
        score: (M,).
        right: (M,) bool, matched with an occurrence.
        said: (R, Q) occurrences.
        seconds: (R,).
    """

    recording: Ints
    word: Ints
    score: Floats
    right: NDArray[np.bool_]
    said: Ints
    seconds: Floats

    def costs(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """(Q,) what one hit adds to a term's value, 1 / N_true, and what one false alarm adds to its P_FA,
        1 / (seconds − N_true); both 0 for terms that are not said.

        Args:
            weights: (R,) how often each recording counts.
        """
        weights = np.ones(len(self.seconds)) if weights is None else weights
        said, seconds = weights @ self.said, float(weights @ self.seconds)
        known = said > 0
        hit = np.where(known, 1 / np.where(known, said, 1), 0.0)
        return hit, np.where(known, 1 / np.maximum(seconds - said, 1e-9), 0.0)

    @property
    def impossible(self) -> str | None:
        """Why there are no false-alarm trials of some term."""
        most = int(self.said.sum(0).max(initial=0))
        seconds = float(self.seconds.sum())
        return f"a word is said {most} times in {seconds:.0f} s of speech" if most >= seconds else None

    def parts(self, order: Ints, weights: Floats | None = None) -> tuple[Floats, Floats, int]:
        """(M,) each what the answers in this order bring to Σ (1 − P_miss) and to Σ P_FA over terms; how many terms."""
        hit, alarm = self.costs(weights)
        w = 1.0 if weights is None else weights[self.recording[order]]
        word, right = self.word[order], self.right[order]
        return w * right * hit[word], w * ~right * alarm[word], int((hit > 0).sum())

    def value(self, threshold: float, beta: float = BETA) -> float:
        """The term-weighted value at a threshold."""
        hits, alarms, terms = self.parts(np.flatnonzero(self.score >= threshold))
        return float((hits - beta * alarms).sum() / terms)


def term_weighted(
    trials: Trials, threshold: float, draws: Bootstrap, chance: float | None, beta: float = BETA
) -> dict[str, Any]:
    """Term-weighted value, 1 − mean over terms of (P_miss + β P_FA), and the trade-off of its two errors.

    Args:
        trials: all answers, whatever their score; see ``Trials``.
        threshold: of the actual value.
        draws: resamples of the R recordings.
        chance: actual value of random moments.
        beta: what a false alarm costs.

    Returns:
        ``ATWV`` at the threshold; ``MTWV`` at the best threshold of all and ``OTWV`` at the best of each term, both
        chosen with the answers known; ``P_miss`` and ``P_FA`` at the threshold; ``DET``, at most ``POINTS`` points of
        {threshold, P_FA, P_miss}. The value of saying nothing is 0, which is given as chance of the two maxima.
    """
    order, by_word = np.argsort(-trials.score, kind="stable"), np.lexsort((-trials.score, trials.word))
    ranked = trials.score[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.array([], dtype=int)
    hits, alarms, terms = trials.parts(order)
    recall, false = (np.concatenate([[0.0], np.cumsum(x)[ends]]) / terms for x in (hits, alarms))
    value = recall - beta * false
    actual = int(np.searchsorted(-ranked[ends], -threshold, side="right"))
    best = int(value.argmax())
    spread = _resampled(trials, (order, by_word), ends, actual, draws, beta)
    seconds = round(float(trials.seconds.sum()))
    measured = {"ATWV": float(value[actual]), "MTWV": float(value[best]), "OTWV": _by_term(trials, by_word, beta)}
    result: dict[str, Any] = {
        "ATWV": figure(measured["ATWV"], interval(spread["ATWV"]), chance, seconds),
        **{
            name: figure(measured[name], centred_interval(spread[name], measured[name]), 0.0, seconds)
            | {"chosen_on": CHOSEN}
            for name in ("MTWV", "OTWV")
        },
        "P_miss": float(1 - recall[actual]),
        "P_FA": float(false[actual]),
        "DET": _points(ranked[ends], recall[1:], false[1:]),
    }
    result["MTWV"]["threshold"] = float(ranked[ends[best - 1]]) if best else None
    return result | {"beta": beta, "seconds": float(trials.seconds.sum()), "terms": terms}


def _by_term(trials: Trials, by_word: Ints, beta: float, weights: Floats | None = None) -> float:
    """Mean over terms of each one's best value; ``by_word`` in order of words, then by falling score."""
    hits, alarms, terms = trials.parts(by_word, weights)
    if not len(by_word):
        return 0.0
    total = np.concatenate([[0.0], np.cumsum(hits - beta * alarms)])
    word, score = trials.word[by_word], trials.score[by_word]
    starts = np.flatnonzero(np.diff(word, prepend=-1))
    last_of_tie = np.append((np.diff(score) != 0) | (np.diff(word) != 0), True)
    reached = np.where(last_of_tie, total[1:], -np.inf)
    best = np.maximum.reduceat(reached, starts) - total[starts]
    return float(np.maximum(best, 0).sum() / max(terms, 1))


def _resampled(
    trials: Trials, orders: tuple[Ints, Ints], ends: Ints, actual: int, draws: Bootstrap, beta: float
) -> dict[str, Floats]:
    """Each figure in every resample that holds an occurrence."""
    found: dict[str, list[float]] = {"ATWV": [], "MTWV": [], "OTWV": []}
    for weights in draws.weights().T.astype(np.float64):
        hits, alarms, terms = trials.parts(orders[0], weights)
        if not terms:
            continue
        value = np.concatenate([[0.0], np.cumsum(hits - beta * alarms)[ends]]) / terms
        found["ATWV"].append(float(value[actual]))
        found["MTWV"].append(float(value.max()))
        found["OTWV"].append(_by_term(trials, orders[1], beta, weights))
    return {name: np.array(values) for name, values in found.items()}


def _points(thresholds: Floats, recall: Floats, false: Floats) -> list[dict[str, float]]:
    """Points of the trade-off, evenly spread over the logarithm of the number of thresholds."""
    if not len(thresholds):
        return []
    at = np.unique(np.geomspace(1, len(thresholds), POINTS).round().astype(int)) - 1
    return [{"threshold": float(thresholds[i]), "P_FA": float(false[i]), "P_miss": float(1 - recall[i])} for i in at]
