"""Batches that grow while a run goes on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from lookhear.core import Batch
from lookhear.training.fit import BatchSource

__all__ = ["Annealed"]


class Annealed:
    """Several sources, one after another, each for an equal share of the epochs.

    Many small steps first, few large ones at the end: noise helps early, and a large batch brings the negatives that
    tell likes apart late (Smith et al., 2018, "Don't Decay the Learning Rate, Increase the Batch Size").

    Attributes:
        steps_per_epoch: on the average, rounded; batches are numbered as if every epoch had so many.

    Args:
        sources: of the same items in batches of rising size.
        epochs: of all of them together.
    """

    def __init__(self, sources: Sequence[BatchSource], epochs: float) -> None:
        self.sources = list(sources)
        self.never: frozenset[str] = frozenset.intersection(*(getattr(s, "never", frozenset()) for s in self.sources))
        share = epochs / len(self.sources)
        self.steps = [max(1, round(share * s.steps_per_epoch)) for s in self.sources]
        self.ends = list(accumulate(self.steps))
        self.steps_per_epoch = max(1, round(self.ends[-1] / epochs))
        # Each source goes on with epochs of its own numbers, for the same number is the same order of items.
        self.first = [round(i * share) for i in range(len(self.sources))]

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        number = epoch * self.steps_per_epoch + index
        stage = min(bisect_right(self.ends, number), len(self.sources) - 1)
        source = self.sources[stage]
        own, place = divmod(number - (self.ends[stage] - self.steps[stage]), source.steps_per_epoch)
        return source.batch(self.first[stage] + own, place, rank, world)

    def items(self, steps: int) -> int:
        """Items of the first so many steps."""
        total, begin = 0, 0
        for source, end in zip(self.sources, self.ends):
            total += source.items(min(max(steps - begin, 0), end - begin))
            begin = end
        return total + self.sources[-1].items(max(0, steps - begin))
