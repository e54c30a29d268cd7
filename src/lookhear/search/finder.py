"""Hits in a stream of score curves: each found once, wherever the stream is cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lookhear.core import Hit, Span
from lookhear.moments import around, distinct, peaks
from lookhear.search.curves import NEAR, Curves

__all__ = ["DEVIATIONS", "Finder"]

DEVIATIONS = 5.0
"""Of a model that was not calibrated, and without a threshold, a moment counts that scores this many deviations above
its query's usual score in the file, and at least half of the query's best there. Usual cosines are near 0 and deviate
by 0.1, so 5 ask for about 0.5 (made-up picture book, 8 recordings of half a minute, 79 words: F1 of the moments 0.54,
at 4 deviations 0.49, at 6 0.47)."""
MOST = 1000
"""Moments of one query in one file that such a model keeps: the best ones. It bounds memory, whatever the length."""
REACH = 1.2
"""Seconds on either side of a peak in which the ends of its stretch are looked for."""
_SAMPLES = 8192  # frames of a file that its usual scores are read from


class Finder:
    """The hits in one recording, from its curves piece by piece.

    Without ``cut``, each query's own statistics decide: its best moment in the file, and each other peak that has half
    of the best one's score and lies ``DEVIATIONS`` deviations above the median of that query's curve there. A deviation
    is 1.4826 × the median absolute deviation, which is the standard deviation of normally distributed scores, and
    unlike it does not grow when the word is said often.

    Args:
        file, names: of the hits.
        curves: of the queries.
        step: seconds a frame.
        cut: lowest value of a query's curve that counts.
    """

    def __init__(self, file: str, names: list[str], curves: Curves, step: float, cut: float | None) -> None:
        self.file, self.names, self.curves, self.step, self.cut = file, names, curves, step, cut
        self.found: list[list[_Moment]] = [[] for _ in names]
        self.usual = _Sample()
        # Enough on either side of a frame to know its query's value, whether that is a peak, and how far it stretches.
        self.beside = int((2 * NEAR + REACH) / step) + 2
        self.kept = torch.empty(0, len(curves.vectors))  # frames of before that are still needed
        self.first = self.done = 0  # number of the first of them, and of the first frame not yet answered for

    def add(self, cosines: Tensor, last: bool) -> None:
        """Takes in the (N, parts) cosines of the next frames."""
        part = torch.cat([self.kept, cosines])
        until = self.first + len(part) - (0 if last else self.beside)
        if until > self.done:
            self._answer(part, until)
            self.done = until
        keep = max(0, self.done - self.beside - self.first)
        self.kept, self.first = part[keep:].clone(), self.first + keep

    def _answer(self, part: Tensor, until: int) -> None:
        """Finds the moments among the frames from ``done`` to ``until``."""
        values = self.curves.of_queries(part, self.step)
        own = slice(self.done - self.first, until - self.first)
        highest = peaks(values, self.step)
        highest[1:] &= values[1:] != values[:-1]  # of equal neighbours the first
        candidates = highest[own]
        if self.cut is not None:
            candidates &= values[own] >= self.cut
        else:
            cosines = values[own].clamp(min=-1)  # what is not meant is minus infinity, and would have no median
            self.usual.add(cosines)
            # What is far below the bar is dropped at once, except the best so far: it may be the file's.
            bar = torch.minimum(_above(cosines, DEVIATIONS / 2), cosines.amax(0))
            candidates &= values[own] >= bar
        for n, q in candidates.nonzero().tolist():
            self.found[q].append(self._moment(part, values, n + own.start, q))
        if self.cut is None:
            self.found = [sorted(m, key=_worse)[:MOST] for m in self.found]

    def _moment(self, part: Tensor, values: Tensor, frame: int, q: int) -> _Moment:
        """The moment of a peak: of a phrase, from its first word's stretch to its last word's."""
        columns, near = self.curves.parts[q], max(1, round(NEAR / self.step))
        low, high = max(0, frame - near), frame + near + 1
        at = [frame if len(columns) == 1 else low + int(part[low:high, c].argmax()) for c in columns]
        spans = [self._stretch(part[:, c], n) for c, n in zip(columns, at)]
        cosine = sum(s.score for s in spans) / len(spans)
        return _Moment(min(s.start for s in spans), max(s.end for s in spans), float(values[frame, q]), cosine)

    def _stretch(self, curve: Tensor, frame: int) -> Span:
        reach = int(REACH / self.step)
        first = max(0, frame - reach)
        return around(curve[first : frame + reach + 1], frame - first, self.step, (self.first + first) * self.step)

    def hits(self, seconds: float) -> tuple[Hit, ...]:
        """The moments that count, each once, in order of time; the recording is so long."""
        bars = _above(self.usual.frames, DEVIATIONS).tolist() if self.cut is None else [self.cut] * len(self.names)
        hits = []
        for name, moments, bar in zip(self.names, self.found, bars):
            kept = distinct(moments)
            best = max(kept, key=lambda m: m.score, default=None)
            for m in kept:
                if self.cut is None and best is not None and m is not best and m.score < max(bar, best.score / 2):
                    continue
                sure = _probability(m.score) if self.curves.calibrated else None
                hits.append(Hit(self.file, name, m.start, min(m.end, seconds), m.cosine, probability=sure))
        return tuple(sorted(hits, key=lambda h: h.start))


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


@dataclass(frozen=True, slots=True)
class _Moment(Span):
    """A stretch whose ``score`` is the query's value at its peak, with the ``cosine`` there."""

    cosine: float = 0.0


def _worse(moment: _Moment) -> tuple[float, float]:
    return -moment.score, moment.start


class _Sample:
    """Every n-th frame of a stream of (N, Q) values; n doubles whenever there are more than ``_SAMPLES``."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        self.stride, self.seen = 1, 0

    def add(self, values: Tensor) -> None:
        first = -self.seen % self.stride
        self.kept.append(values[first :: self.stride])
        self.seen += len(values)
        while sum(map(len, self.kept)) > _SAMPLES:
            self.kept = [self.frames[::2].clone()]
            self.stride *= 2

    @property
    def frames(self) -> Tensor:
        return torch.cat(self.kept)


def _above(values: Tensor, deviations: float) -> Tensor:
    """(N, Q) → (Q,): the median plus so many robust standard deviations."""
    median = values.median(0).values
    return median + deviations * 1.4826 * (values - median).abs().median(0).values
