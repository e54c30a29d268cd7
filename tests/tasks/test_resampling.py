"""Bootstrap intervals: they cover, they know what belongs together, and they equal a slow loop."""

from __future__ import annotations

import numpy as np
import pytest

from lookhear.tasks.metrics import RankingCurve
from lookhear.tasks.resampling import Bootstrap, bootstrap, centred_interval, interval


def test_equals_a_slow_loop_over_the_same_draws():
    rng = np.random.default_rng(1)
    units, values = rng.integers(0, 12, 50) * 7, rng.random(50)
    resamples = Bootstrap(units, samples=50, seed=3)
    names = np.unique(units)
    means, medians = [], []
    for draw in resamples.draws:
        taken = np.concatenate([np.repeat(values[units == u], int(n)) for u, n in zip(names, draw, strict=True)])
        means.append(taken.mean())
        medians.append(np.sort(taken)[(len(taken) - 1) // 2])
    assert resamples.mean(values) == pytest.approx(np.percentile(means, [2.5, 97.5]))
    assert resamples.median(values) == pytest.approx(np.percentile(medians, [2.5, 97.5]))
    assert (resamples.draws.sum(1) == len(names)).all()
    assert np.array_equal(resamples.weights()[:, 0], resamples.draws[0][np.searchsorted(names, units)])


def test_covers_the_true_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        effect = rng.normal(size=60)
        units = np.repeat(np.arange(60), 5)
        low, high = bootstrap(effect[units] + 0.1 * rng.normal(size=300), units, samples=300)
        covered += low <= 0 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_captions_of_one_picture_do_not_narrow_the_interval():
    values = np.tile([0.0, 1.0], 20)
    low, high = bootstrap(values)
    five = bootstrap(np.repeat(values, 5), np.repeat(np.arange(40), 5))
    assert five == pytest.approx((low, high))
    naive = bootstrap(np.repeat(values, 5))
    assert naive[1] - naive[0] < 0.6 * (high - low)


def test_same_seed_same_interval():
    values = np.random.default_rng(0).random(30)
    assert bootstrap(values, seed=5) == bootstrap(values, seed=5)
    assert bootstrap(values, seed=5) != bootstrap(values, seed=6)


def test_undefined_resamples_are_left_out():
    assert interval(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0)
    with pytest.raises(ValueError, match="no resample"):
        interval(np.array([np.nan]))


def test_repeated_items_do_not_lift_the_interval_of_average_precision():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 20)) < 0.06
    truth[0] = True
    scores = rng.normal(size=truth.shape)
    weights = Bootstrap(np.arange(400), 100).weights()
    curves = [(RankingCurve(s, t), RankingCurve(s, t, weights)) for s, t in zip(scores.T, truth.T, strict=True)]
    measured = np.mean([a.average_precision()[0] for a, _ in curves])
    resampled = np.nanmean([b.average_precision() for _, b in curves], 0)
    assert resampled.mean() > measured + 0.005  # the bias is real
    low, high = centred_interval(resampled, measured)
    assert low < measured < high
    assert high - low == pytest.approx(np.diff(interval(resampled))[0])
    assert centred_interval(np.array([0.9, 1.0, 1.0]), 1.0)[1] == 1.0
