"""Rows that count, as ranges of row numbers: a file's rows follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integers", "Ranges", "ranges_of"]

Integers = NDArray[np.int64]


class Ranges:
    """Rows that count: (R, 2) first rows and counts, in order, not overlapping."""

    def __init__(self, ranges: Integers) -> None:
        self.first, self.count = ranges[:, 0], ranges[:, 1]
        self.total = int(self.count.sum())
        self._bits: tuple[int, NDArray[np.uint8]] = (-1, np.zeros(0, np.uint8))

    def rows(self) -> Integers:
        """All of them, (total,)."""
        return self._at(np.arange(self.total))

    def drawn(self, n: int, seed: int) -> Integers:
        """Up to ``n`` of them at random, in order; the same ones for the same seed."""
        return self._at(np.sort(np.random.default_rng(seed).permutation(self.total)[:n]))

    def _at(self, places: Integers) -> Integers:
        """The rows at places counted over all ranges."""
        ends = np.cumsum(self.count)
        at = np.searchsorted(ends, places, side="right")
        rows: Integers = (self.first + self.count - ends)[at] + places if len(places) else np.zeros(0, np.int64)
        return rows

    def holds(self, rows: Integers) -> NDArray[np.bool_]:
        """(…) row numbers → whether they count."""
        if not len(self.first):
            return np.zeros(rows.shape, dtype=bool)
        at = np.searchsorted(self.first, rows, side="right") - 1
        return (at >= 0) & (rows < self.first[at] + self.count[at])

    def bits(self, size: int) -> NDArray[np.uint8]:
        """One bit for each row below ``size``, as FAISS takes them; made once."""
        if self._bits[0] != size:
            self._bits = (size, self._drawn_up(size))
        return self._bits[1]

    def _drawn_up(self, size: int) -> NDArray[np.uint8]:
        marks = np.zeros(size + 1, dtype=np.int8)
        inside = self.first < size
        np.add.at(marks, self.first[inside], 1)
        np.add.at(marks, np.minimum(self.first + self.count, size)[inside], -1)
        return np.packbits(np.cumsum(marks[:-1]).astype(bool), bitorder="little")


def ranges_of(pairs: Iterable[Sequence[int]]) -> Ranges:
    """(first, count) pairs in order → ranges."""
    return Ranges(np.array(list(pairs), dtype=np.int64).reshape(-1, 2))
