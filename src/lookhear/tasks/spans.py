"""Moments as spans of time: matched one to one with occurrences, overlap, events, and the term-weighted value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.answers import Answers, Moments, Said
from lookhear.tasks.base import figure
from lookhear.tasks.chance import random_moments
from lookhear.tasks.events import count_events
from lookhear.tasks.matching import match
from lookhear.tasks.rates import Counts, best_f1, rates
from lookhear.tasks.resampling import Bootstrap, interval
from lookhear.tasks.terms import Trials, term_weighted

__all__ = ["DRAWS", "EVENT_DRAWS", "Spans"]

DRAWS, EVENT_DRAWS = 10, 3
"""Random placements of the moments that count, over which chance is the mean."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spans:
    """All moments of R recordings and Q words, what is said there, and the threshold from which on one counts."""

    answers: Answers
    said: Said
    words: int
    threshold: float

    @cached_property
    def counting(self) -> Moments:
        return self.answers.moments[self.answers.moments.score >= self.threshold]

    @cached_property
    def random(self) -> list[Moments]:
        """The moments that count, ``DRAWS`` times put elsewhere."""
        rng = np.random.default_rng(0)
        return [random_moments(self.counting, self.answers.seconds, rng) for _ in range(DRAWS)]

    def table(self, moments: Moments, chosen: NDArray[Any]) -> Floats:
        """(R, Q) how many of the moments are chosen."""
        shape = len(self.answers.seconds), self.words
        pair = (moments.recording * self.words + moments.word)[chosen]
        return np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def _counts(self, moments: Moments, right: NDArray[np.bool_]) -> Counts:
        hits = self.table(moments, right)
        return Counts(hits, self.table(moments, ~right), self.said.spoken(self.words) - hits)

    def figures(self, draws: Bootstrap) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Precision, recall and F1 of spans whose middle lies in an occurrence, and the mean overlap of those; the
        counts of each word."""
        right, occurrences = match(self.counting, self.said.at)
        by_chance = [(m, *match(m, self.said.at)) for m in self.random]
        expected = [self._counts(m, r).sum() for m, r, _ in by_chance]
        chance = Counts(*(np.mean([getattr(c, k) for c in expected]) for k in ("tp", "fp", "fn")))
        counts = self._counts(self.counting, right)
        result, _ = rates(counts, draws, chance)
        every, _ = match(self.answers.moments, self.said.at)
        total = int(self.said.spoken(self.words).sum())
        result["best_F1"] = best_f1(self.answers.moments.score, every, total)
        result["IoU"] = self._overlap(right, occurrences, by_chance, draws)
        of_words = counts.sum(0)
        keys = {"TP": of_words.tp, "FP": of_words.fp, "FN": of_words.fn}
        return result, [{"spans": {k: float(v[q]) for k, v in keys.items()}} for q in range(self.words)]

    def _overlap(
        self,
        right: NDArray[np.bool_],
        occurrences: Floats,
        by_chance: list[tuple[Moments, NDArray[np.bool_], Floats]],
        draws: Bootstrap,
    ) -> dict[str, Any] | None:
        """Mean intersection over union of the spans that are right; None where none is."""
        if not right.any():
            return None
        overlap = iou(self.counting[right], occurrences[right])
        there = self.counting.recording[right]
        total = np.bincount(there, weights=overlap, minlength=len(self.answers.seconds))
        with np.errstate(invalid="ignore"):
            means = draws.sums(total) / draws.sums(np.bincount(there, minlength=len(total)))
        random = [iou(m[r], o[r]) for m, r, o in by_chance]
        pooled = np.concatenate(random)
        chance = float(pooled.mean()) if len(pooled) else None
        return figure(float(overlap.mean()), interval(means), chance, len(overlap))

    def events(self, draws: Bootstrap, collar: float, segment: float) -> dict[str, Any]:
        """Event-based and segment-based precision, recall and F1 by ``sed_eval``."""

        def counted(moments: Moments) -> dict[str, Counts]:
            return count_events(moments, self.said.at, self.answers.seconds, collar, segment)

        here, elsewhere = counted(self.counting), [counted(m) for m in self.random[:EVENT_DRAWS]]
        result: dict[str, Any] = {"collar": collar, "segment_seconds": segment}
        for name, counts in here.items():
            sums = [e[name].sum() for e in elsewhere]
            chance = Counts(*(np.mean([getattr(c, k) for c in sums]) for k in ("tp", "fp", "fn")))
            result[name], _ = rates(counts, draws, chance)
        return result

    def trials(self, moments: Moments, within: float) -> Trials:
        right, _ = match(moments, self.said.at, within)
        said = self.said.spoken(self.words)
        return Trials(moments.recording, moments.word, moments.score, right, said, self.answers.seconds)

    def terms(self, draws: Bootstrap, within: float, beta: float) -> dict[str, Any] | str:
        """Term-weighted values and the error trade-off; or why there are none."""
        trials = self.trials(self.answers.moments, within)
        if (reason := trials.impossible) is not None:
            return reason
        elsewhere = [self.trials(m, within).value(self.threshold, beta) for m in self.random]
        return {"within": within, **term_weighted(trials, self.threshold, draws, float(np.mean(elsewhere)), beta)}


def iou(moments: Moments, occurrences: Floats) -> Floats:
    """(M,) intersection over union of each moment with (M, 2) start and end of an occurrence."""
    start, end = occurrences.T
    shared = np.maximum(np.minimum(moments.end, end) - np.maximum(moments.start, start), 0)
    return np.asarray(shared / (np.maximum(moments.end, end) - np.minimum(moments.start, start)))
