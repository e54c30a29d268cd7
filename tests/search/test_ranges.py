"""Ranges of rows, held against sets of numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookhear.search.ranges import ranges_of

# Gaps and lengths, in turn: ranges in order that do not overlap, some of them empty or touching.
pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12).map(
    lambda parts: [(sum(g + c for g, c in parts[:i]) + gap, count) for i, (gap, count) in enumerate(parts)]
)


def slow(ranges):
    return [row for first, count in ranges for row in range(first, first + count)]


@given(pairs)
def test_rows(ranges):
    made = ranges_of(ranges)
    assert made.rows().tolist() == slow(ranges)
    assert made.rows().dtype == np.int64
    assert made.total == len(slow(ranges))


@given(pairs, st.lists(st.integers(-3, 250), max_size=30))
def test_holds(ranges, asked):
    rows = np.array(asked, dtype=np.int64)
    assert ranges_of(ranges).holds(rows).tolist() == [row in set(slow(ranges)) for row in asked]


@given(pairs, st.integers(0, 260))
def test_bits(ranges, size):
    bits = ranges_of(ranges).bits(size)
    assert len(bits) == -(-size // 8)
    assert np.unpackbits(bits, bitorder="little")[:size].tolist() == [row in set(slow(ranges)) for row in range(size)]


@given(pairs, st.integers(0, 40), st.integers(0, 5))
def test_drawn(ranges, n, seed):
    rows = slow(ranges)
    drawn = ranges_of(ranges).drawn(n, seed).tolist()
    assert drawn == [rows[i] for i in sorted(np.random.default_rng(seed).permutation(len(rows))[:n])]
    assert len(set(drawn)) == len(drawn) == min(n, len(rows))
