"""Metrics against scikit-learn, slow loops over all orders of ties, and simulation."""

from __future__ import annotations

from itertools import pairwise, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_curve

from lookhear.tasks.chance import chance_average_precision, chance_median_rank, chance_recall
from lookhear.tasks.metrics import RankingCurve, average_precision, hit_probability, place, precision_at

few = st.integers(0, 3).map(float)  # so few values that ties are the rule


@st.composite
def tied_lists(draw, low=2, high=6):
    n = draw(st.integers(low, high))
    scores = draw(arrays(float, n, elements=few))
    truth = draw(arrays(bool, n).filter(lambda t: t.any()))
    return scores, truth


def all_orders(scores, truth):
    """Truth in every order that sorts the scores downwards."""
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            yield truth[list(order)]


@given(tied_lists())
def test_rank_hits_and_precision_are_means_over_all_orders_of_ties(case):
    scores, truth = case
    orders = list(all_orders(scores, truth))
    placed = place(scores[None], truth[None])
    assert placed.rank[0] == pytest.approx(np.mean([np.argmax(o) + 1 for o in orders]))
    for k in (1, 2, 4, 10):
        assert placed.hits(k)[0] == pytest.approx(np.mean([o[:k].any() for o in orders]))
        share = np.mean([o[:k].mean() for o in orders])
        assert precision_at(scores[None], truth[None], k)[0] == pytest.approx(share)
        assert RankingCurve(scores, truth).precision_at(k)[0] == pytest.approx(share)
    n = int(truth.sum())
    assert RankingCurve(scores, truth).precision_at_positives()[0] == pytest.approx(
        np.mean([o[:n].mean() for o in orders])
    )


def test_one_right_item_among_equals_has_the_stated_rank():
    scores = np.array([[0.9, 0.5, 0.5, 0.5, 0.1]])
    right = np.array([[False, True, False, False, False]])
    assert place(scores, right).rank[0] == 1 + 1 + 2 / 2


def test_a_model_that_cannot_tell_gets_chance():
    right = np.eye(40, dtype=bool)
    placed = place(np.zeros((40, 40)), right)
    for k in (1, 5, 10):
        assert placed.hits(k).mean() == pytest.approx(k / 40)
        assert chance_recall(placed.right, 40, k) == pytest.approx(k / 40)


@given(tied_lists(2, 30))
def test_average_precision_is_scikit_learns_with_ties(case):
    scores, truth = case
    assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))


@given(st.integers(0, 10_000))
def test_average_precision_is_scikit_learns_without_ties(seed):
    rng = np.random.default_rng(seed)
    scores, truth = rng.normal(size=200).astype(np.float32), rng.random(200) < 0.1
    truth[0] = True
    assert average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))


@given(tied_lists(3, 30), st.permutations(range(30)))
def test_order_of_items_does_not_matter(case, order):
    scores, truth = case
    order = [i for i in order if i < len(scores)]
    a, b = RankingCurve(scores, truth), RankingCurve(scores[order], truth[order])
    assert a.average_precision()[0] == pytest.approx(b.average_precision()[0])
    assert a.precision_at(5)[0] == pytest.approx(b.precision_at(5)[0])
    assert a.equal_error_rate()[0] == pytest.approx(b.equal_error_rate()[0], nan_ok=True)


@given(tied_lists(3, 12), st.data())
def test_weights_mean_repeated_items(case, data):
    scores, truth = case
    times = data.draw(arrays(int, len(scores), elements=st.integers(0, 3)))
    repeated = np.repeat(np.arange(len(scores)), times)
    if not truth[repeated].any():
        assert np.isnan(RankingCurve(scores, truth, times[:, None].astype(float)).average_precision()[0])
        return
    a = RankingCurve(scores, truth, times[:, None].astype(float))
    b = RankingCurve(scores[repeated], truth[repeated])
    for figure in ("average_precision", "precision_at_positives", "equal_error_rate"):
        assert getattr(a, figure)()[0] == pytest.approx(getattr(b, figure)()[0], nan_ok=True)
    assert a.precision_at(3)[0] == pytest.approx(b.precision_at(3)[0])


def slow_eer(scores, truth):
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 200_001)  # along the ROC, segment by segment
    at = grid * (len(false) - 1)
    f, t = np.interp(at, np.arange(len(false)), false), np.interp(at, np.arange(len(true)), true)
    return f[np.argmin(np.abs(f - (1 - t)))]


@pytest.mark.parametrize("seed", range(5))
def test_equal_error_rate_against_a_fine_walk_along_the_roc(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    truth[:2] = True, False
    scores = np.round(rng.normal(size=60) + truth, 1)
    assert RankingCurve(scores, truth).equal_error_rate()[0] == pytest.approx(slow_eer(scores, truth), abs=1e-3)


def test_equal_error_rate_by_hand():
    # After the first item: miss 1/2, false 0; after the second: miss 1/2, false 1/2.
    truth = np.array([True, False, True, False])
    assert RankingCurve(np.array([4.0, 3, 2, 1]), truth).equal_error_rate()[0] == pytest.approx(0.5)
    assert RankingCurve(np.array([4.0, 1, 3, 2]), truth).equal_error_rate()[0] == 0
    # One tie: the ROC is the diagonal.
    assert RankingCurve(np.zeros(4), truth).equal_error_rate()[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("right", "wrong", "draws"), [(1, 9, 3), (4, 6, 5), (3, 2, 4), (2, 0, 1), (1, 5, 0)])
def test_hit_probability_is_hypergeometric(right, wrong, draws):
    expected = 1 - comb(wrong, draws) / comb(right + wrong, draws)
    assert hit_probability(np.array([right]), np.array([wrong]), draws)[0] == pytest.approx(expected)


def test_chance_levels_by_simulation():
    rng = np.random.default_rng(0)
    gallery, right = 30, np.array([1, 5, 5, 2])
    recalls, ranks, precisions = [], [], []
    for _ in range(3000):
        truth = np.array([rng.permutation(np.arange(gallery) < m) for m in right])
        placed = place(-np.arange(gallery)[None].repeat(4, 0).astype(float), truth)
        recalls.append(placed.hits(5).mean())
        ranks += placed.rank.tolist()
        precisions.append(average_precision_score(truth[1], -np.arange(gallery)))
    assert chance_recall(right, gallery, 5) == pytest.approx(np.mean(recalls), abs=0.01)
    assert abs(chance_median_rank(right, gallery) - np.median(ranks)) <= 1
    assert chance_average_precision(5, gallery) == pytest.approx(np.mean(precisions), abs=0.01)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 1), (5, 2), (6, 5), (6, 6)])
def test_chance_average_precision_is_the_mean_over_all_orders(n, m):
    orders = set(permutations([1] * m + [0] * (n - m)))
    expected = np.mean([average_precision_score(o, -np.arange(n)) if m < n else 1.0 for o in orders])
    assert chance_average_precision(m, n) == pytest.approx(expected)


def test_chance_median_of_one_right_item():
    assert chance_median_rank(np.ones(7), 500) == 250


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="finite"):
        place(np.array([[np.nan, 0.0]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="finite"):
        average_precision(np.array([np.inf, 0.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="right item"):
        place(np.zeros((1, 2)), np.zeros((1, 2), dtype=bool))
    with pytest.raises(ValueError, match="0 right"):
        chance_average_precision(0, 5)
