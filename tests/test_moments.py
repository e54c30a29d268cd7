"""Peaks of score curves and the spans around them, by hand."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookhear.core import Span
from lookhear.moments import around, distinct, peaks, spans_above


def test_peaks_are_the_highest_frames_nearby():
    curve = torch.zeros(100, 2)
    curve[10, 0], curve[13, 0], curve[40, 0] = 1.0, 0.9, 0.5  # 13 lies within 0.25 s of 10
    curve[99, 1] = 1.0
    found = peaks(curve, 0.04)
    high = found & (curve > 0)
    assert torch.nonzero(high[:, 0]).flatten().tolist() == [10, 40]
    assert torch.nonzero(high[:, 1]).flatten().tolist() == [99]


def test_peaks_pass_over_what_is_no_frame():
    curve = torch.full((20, 1), float("-inf"))
    curve[5] = -2.0
    assert torch.nonzero(peaks(curve, 0.04)).tolist() == [[5, 0]]


def test_peaks_agree_with_a_slow_search():
    curve = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    found = peaks(curve, 0.05)
    for n in range(300):
        near = curve[max(0, n - 5) : n + 6]
        assert found[n].tolist() == (curve[n] >= near.max(0).values).tolist()


def test_a_moment_lasts_while_the_curve_is_above_half_its_peak():
    curve = torch.tensor([0.6, 0.1, 0.5, 0.8, 1.0, 0.5, 0.4, 0.9])
    assert around(curve, 4, 0.1, offset=3.0) == Span(3.2, 3.6, 1.0)


def test_a_moment_of_a_curve_below_zero_is_one_frame():
    span = around(torch.tensor([-3.0, -1.0, -2.0]), 1, 0.5)
    assert (span.start, span.end, span.score) == (0.5, 1.0, -1.0)


def test_a_moment_is_long_enough_to_be_heard():
    curve = torch.zeros(50)
    curve[[0, 10, 17]] = 1.0
    found = [around(curve, n, 0.04) for n in (0, 10, 17)]
    assert [s.start for s in found] == pytest.approx([0.0, 0.30, 0.58])
    assert [s.end for s in found] == pytest.approx([0.14, 0.54, 0.82])
    assert distinct(found) == found  # peaks that are moments of their own stay so


def test_distinct_keeps_the_best_of_what_overlaps():
    spans = [Span(4, 5, 1), Span(0, 2, 1), Span(1, 3, 2)]
    assert distinct(spans) == [Span(1, 3, 2), Span(4, 5, 1)]


def test_spans_by_hand() -> None:
    curve = torch.tensor([0.9, 0.1, 0.5, 0.7, 0.2, 0.6, float("-inf")])
    found = [(s.start, s.end, s.score) for s in spans_above(curve, 0.5, 0.5, offset=10.0)]
    assert found == [
        (10.0, 10.5, pytest.approx(0.9)),
        (11.0, 12.0, pytest.approx(0.7)),
        (12.5, 13.0, pytest.approx(0.6)),
    ]
    assert spans_above(curve, 0.5, 1.0) == []


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30), st.floats(-1, 1, width=32))
def test_spans_cover_exactly_the_frames_above(values: list[float], threshold: float) -> None:
    covered = set()
    spans = spans_above(torch.tensor(values), 1.0, threshold)
    for s in spans:
        frames = range(int(s.start), int(s.end))
        assert s.score == max(values[n] for n in frames)
        covered |= set(frames)
    assert covered == {n for n, v in enumerate(values) if v >= threshold}
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))
