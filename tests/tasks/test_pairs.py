"""Detection and localisation counts against loops over pairs; the settled counting and the published scripts'."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookhear.tasks.answers import Answers, Moments
from lookhear.tasks.metrics import precision_at
from lookhear.tasks.pairs import Pairs
from lookhear.tasks.rates import best_f1
from lookhear.tasks.resampling import Bootstrap

NONE = Moments(*(np.zeros(0, t) for t in (int, int, float, float, float)))


def pairs_of(score, said, inside, threshold=0.5):
    """Every table (R, Q); chance shares are made up from ``said``: a tenth of the frames each."""
    said, inside = np.array(said), np.array(inside)
    answers = Answers(np.array(score, float), inside, said / 10, (said > 0) / 10, np.full(len(said), 2.0), NONE)
    return Pairs(answers, said, threshold)


def slowly(pairs):
    """(detection, localisation, legacy) counts (TP, FP, FN), pair by pair."""
    counts = np.zeros((3, 3), int)
    for r in range(len(pairs.said)):
        for q in range(pairs.said.shape[1]):
            said, detected = pairs.said[r, q], pairs.answers.score[r, q] >= pairs.threshold
            inside = pairs.answers.inside[r, q]
            if detected and said:
                counts[0, 0] += 1
            elif detected:
                counts[:, 1] += 1
            elif said:
                counts[:2, 2] += 1
            if detected and said:
                if inside:
                    counts[1, 0] += 1
                else:
                    counts[1, 1] += 1
                    counts[1, 2] += 1
            for occurrence in range(said):  # legacy: each by itself
                if not detected:
                    counts[2, 2] += 1
                elif occurrence < inside:
                    counts[2, 0] += 1
                else:
                    counts[2, 1] += 1
    return counts


tables = st.integers(0, 10_000).map(np.random.default_rng)


@given(tables, st.integers(1, 6), st.integers(1, 3))
def test_counts_against_loops(rng, rows, words):
    said = rng.integers(0, 3, (rows, words))
    pairs = pairs_of(rng.integers(0, 5, (rows, words)) / 4, said, np.minimum(rng.integers(0, 2, (rows, words)), said))
    for name, slow in zip(("detection", "localisation", "legacy"), slowly(pairs), strict=True):
        total = getattr(pairs, name)().sum()
        assert (total.tp, total.fp, total.fn) == tuple(slow)
    if not said.any():
        return
    result, resampled = pairs.micro("localisation", Bootstrap(np.arange(rows), 20))
    tp, fp, fn = slowly(pairs)[1]
    assert result["F1"]["value"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert result["recall"]["value"] == pytest.approx(tp / (said > 0).sum())
    assert result["counts"] == {"TP": tp, "FP": fp, "FN": fn}
    assert len(resampled) == 20
    thresholds = np.unique(pairs.answers.score)
    best = max(
        2 * t[0] / (2 * t[0] + t[1] + t[2]) for t in (slowly(Pairs(pairs.answers, said, x))[1] for x in thresholds)
    )
    assert result["best_F1"]["value"] == pytest.approx(best)


def test_settled_and_legacy_counting_differ():
    # One answer each. A word said twice and answered in one of the two; a word answered in the wrong place.
    pairs = pairs_of([[0.9], [0.9], [0.9]], [[2], [1], [0]], [[1], [0], [0]])
    settled, legacy = (getattr(pairs, name)().sum() for name in ("localisation", "legacy"))
    assert (settled.tp, settled.fp, settled.fn) == (1, 2, 1)
    assert (legacy.tp, legacy.fp, legacy.fn) == (1, 3, 0)
    assert (settled.precision, settled.recall) == pytest.approx((1 / 3, 1 / 2))
    assert (legacy.precision, legacy.recall) == pytest.approx((1 / 4, 1))


def test_nothing_detected():
    result, _ = pairs_of([[0.1, 0.2]], [[1, 0]], [[1, 0]]).micro("detection", Bootstrap(np.arange(1), 5))
    assert result["precision"] is None
    assert (result["recall"]["value"], result["F1"]["value"]) == (0, 0)
    assert result["best_F1"] == pytest.approx({"value": 2 / 3, "threshold": 0.1, "chosen_on": "these items"})
    assert best_f1(np.zeros(0), np.zeros(0, bool), 3)["value"] == 0


def test_chance_is_the_mean_of_random_answers():
    rng = np.random.default_rng(3)
    said = rng.integers(0, 3, (30, 4))
    score, frames = rng.random((30, 4)), 10
    pairs = pairs_of(score, said, said * 0, 0.7)  # each occurrence is one frame of ten
    found = {name: np.zeros(3) for name in ("detection", "localisation", "legacy")}
    draws = 3000
    for _ in range(draws):
        shuffled = rng.permutation(score.ravel()).reshape(score.shape)
        inside = (rng.integers(frames, size=said.shape) < said).astype(int)
        for name, total in found.items():
            c = getattr(pairs_of(shuffled, said, inside, 0.7), name)().sum()
            total += np.array([c.tp, c.fp, c.fn]) / draws
    answers = Answers(pairs.answers.score, said * 0, said / frames, said / frames, np.ones(30), NONE)
    for name, total in found.items():
        c = Pairs(answers, said, 0.7).chance(name)
        assert [c.tp, c.fp, c.fn] == pytest.approx(total, rel=0.05)


@given(tables)
def test_ranked_localisation_against_loops(rng):
    said = rng.integers(0, 3, (14, 3))
    said[0] = 1  # every word is said
    score = rng.integers(0, 4, said.shape) / 4  # with ties
    inside = np.minimum(rng.integers(0, 2, said.shape), said)
    result, per_word = pairs_of(score, said, inside).ranked(Bootstrap(np.arange(14), 10))
    at_ten = [precision_at(score[None, :, q], inside[None, :, q] > 0, 10)[0] for q in range(3)]
    at_n = [precision_at(score[None, :, q], inside[None, :, q] > 0, int((said[:, q] > 0).sum()))[0] for q in range(3)]
    assert result["P@10"]["value"] == pytest.approx(np.mean(at_ten))
    assert result["P@N"]["value"] == pytest.approx(np.mean(at_n))
    assert [w["P@N"] for w in per_word] == pytest.approx(at_n)
    again, _ = pairs_of(score[::-1], said[::-1], inside[::-1]).ranked(Bootstrap(np.arange(14), 10))
    assert again["P@N"]["value"] == pytest.approx(result["P@N"]["value"])


def test_a_word_that_is_said_and_never_placed_has_precision_nought():
    result, _ = pairs_of([[0.9, 0.9], [0.1, 0.1]], [[1, 1], [0, 0]], [[0, 1], [0, 0]]).ranked(
        Bootstrap(np.arange(2), 9)
    )
    assert result["P@N"]["value"] == pytest.approx(0.5)
    assert result["P@10"]["value"] == pytest.approx(0.25)
    assert result["P@10"]["chance"] == pytest.approx(0.05)
