"""Paired bootstrap, Holm's correction and the test over seeds, against slow versions by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lookhear.compare.significance import holm, mean_interval, paired, paired_seeds
from lookhear.tasks.resampling import Bootstrap


@pytest.fixture
def outcomes():
    """(units, hits of a, hits of b), two seeds each, of 60 recordings of 20 pictures."""
    rng = np.random.default_rng(0)
    units = rng.integers(20, size=60)
    a = (rng.random((2, 60)) < 0.5).astype(float)
    b = np.where(rng.random((2, 60)) < 0.3, 1.0, a)
    return units, a, b


def resampled(units, hits, samples=400):
    return np.stack([Bootstrap(units, samples).means(h) for h in hits])


def by_loop(units, a, b, samples=400):
    """The same, picture by picture: draws pictures, pools all their recordings, takes the mean over seeds."""
    rng, names = np.random.default_rng(0), np.unique(units)
    drawn = rng.integers(len(names), size=(samples, len(names)))
    differences = []
    for draw in drawn:
        rows = [i for n in draw for i in range(len(units)) if units[i] == names[n]]
        differences.append(np.mean([b[s][rows].mean() - a[s][rows].mean() for s in range(len(a))]))
    measured, middle = b.mean() - a.mean(), np.mean(differences)
    extreme = sum(abs(d - middle) >= abs(measured) - 1e-12 for d in differences)
    low, high = np.percentile([d - middle + measured for d in differences], [2.5, 97.5])
    return {"value": measured, "low": low, "high": high, "p": (1 + extreme) / (1 + samples)}


def test_paired_bootstrap_is_that_of_a_slow_loop(outcomes):
    units, a, b = outcomes
    found = paired(b.mean(1), a.mean(1), resampled(units, b), resampled(units, a))
    assert found == pytest.approx(by_loop(units, a, b))
    assert found["p"] < 0.01


def test_pairing_sees_what_two_intervals_do_not(outcomes):
    units, a, b = outcomes
    one, other = resampled(units, a), resampled(units, b)
    assert mean_interval(a.mean(1), one)[1] > mean_interval(b.mean(1), other)[0]
    assert paired(b.mean(1), a.mean(1), other, one)["low"] > 0


def test_turned_round_the_difference_changes_its_sign_only(outcomes):
    units, a, b = outcomes
    one = paired(b.mean(1), a.mean(1), resampled(units, b), resampled(units, a))
    other = paired(a.mean(1), b.mean(1), resampled(units, a), resampled(units, b))
    assert other == pytest.approx({"value": -one["value"], "low": -one["high"], "high": -one["low"], "p": one["p"]})


def test_a_recipe_does_not_differ_from_itself(outcomes):
    units, a, _ = outcomes
    drawn = resampled(units, a)
    assert paired(a.mean(1), a.mean(1), drawn, drawn) == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}


def test_of_no_difference_p_is_below_a_tenth_in_about_a_tenth():
    rng, below = np.random.default_rng(1), 0
    for _ in range(200):
        a, b = (rng.random((2, 1, 80)) < 0.5).astype(float)
        units = np.arange(80)
        below += paired(b.mean(1), a.mean(1), resampled(units, b, 200), resampled(units, a, 200))["p"] < 0.1
    assert 8 <= below <= 34


def test_resamples_without_a_figure_are_left_out():
    one, other = np.array([[0.5, np.nan, 0.7]]), np.array([[0.4, 0.4, np.nan]])
    assert paired([0.5], [0.4], one, other)["p"] == 0.5
    with pytest.raises(ValueError, match="no resample"):
        paired([0.5], [0.4], one[:, 1:], other[:, 1:])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(ps):
    for p, corrected in zip(ps, holm(ps), strict=True):
        assert p <= corrected <= min(1.0, len(ps) * p) or corrected == pytest.approx(
            max(min(1.0, (len(ps) - i) * q) for i, q in enumerate(sorted(ps)) if q <= p)
        )
    order = np.argsort(ps, kind="stable")
    assert (np.diff(np.array(holm(ps))[order]) >= 0).all()


def test_seeds_are_tested_as_scipy_tests_pairs():
    a, b = [0.50, 0.52, 0.49, 0.55], [0.55, 0.56, 0.56, 0.57]
    found = paired_seeds(b, a)
    assert found is not None
    assert found["p"] == pytest.approx(stats.ttest_rel(b, a).pvalue)
    interval = stats.ttest_rel(b, a).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert found["mean"] == pytest.approx(0.045)


def test_two_seeds_have_no_spread_and_equal_differences_no_p():
    assert paired_seeds([0.5, 0.6], [0.4, 0.5]) is None
    same = paired_seeds([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert same is not None
    assert same["p"] is None
