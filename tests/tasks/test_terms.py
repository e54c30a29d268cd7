"""Term-weighted value: NIST's own example, a tiny one by hand, slow loops, and the trade-off curve."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookhear.tasks.resampling import Bootstrap
from lookhear.tasks.terms import POINTS, Trials, term_weighted


def trials(answers, said, seconds):
    """(recording, word, score, right) each; (R, Q) said; (R,) seconds."""
    columns = [np.array(c) for c in zip(*answers, strict=True)] or [np.zeros(0)] * 4
    types = (int, int, float, bool)
    answered = (c.astype(t) for c, t in zip(columns, types, strict=True))
    return Trials(*answered, np.array(said), np.array(seconds, dtype=float))


def draws(count):
    return Bootstrap(np.arange(count), 50)


def slowly(t, threshold, beta):
    """The definition, term by term."""
    misses, alarms = [], []
    for q in range(t.said.shape[1]):
        true = t.said[:, q].sum()
        if true:
            counting = [
                (r, q) for r, w, s, r in zip(t.recording, t.word, t.score, t.right) if w == q and s >= threshold
            ]
            right = sum(r for r, _ in counting)
            misses.append(1 - right / true)
            alarms.append((len(counting) - right) / (t.seconds.sum() - true))
    return 1 - np.mean(misses) - beta * np.mean(alarms), np.mean(misses), np.mean(alarms)


# The answers of the unit test of NIST's scorer (F4DE, common/lib/MetricTWV.pm, in the public domain): three terms, ten
# trials each, and what it gives at some thresholds: P_miss, P_FA, value.
NIST = [
    *[(0, 0, s, r) for s, r in zip(np.arange(1, 11) / 10, map(int, "0010001011"), strict=True)],
    *[(0, 1, s, r) for s, r in [(0.41, 1), (0.51, 0), (0.61, 0), (0.7, 1)]],
    *[(0, 2, s, 0) for s in (0.41, 0.51, 0.61, 0.7)],
]
POINTS_OF_NIST = [
    (0.1, 0.500, 0.611, -610.550),
    (0.41, 0.583, 0.444, -443.983),
    (0.6, 0.667, 0.250, -249.642),
    (0.8, 0.833, 0.056, -55.383),
    (0.9, 0.833, 0.000, 0.167),
    (1.0, 0.917, 0.000, 0.083),
]


@pytest.mark.parametrize(("threshold", "miss", "alarm", "value"), POINTS_OF_NIST)
def test_nists_own_example(threshold, miss, alarm, value):
    t = trials(NIST, [[4, 4, 2]], [10])
    result = term_weighted(t, threshold, draws(1), 0.0)
    assert result["P_miss"] == pytest.approx(miss, abs=5e-4)
    assert result["P_FA"] == pytest.approx(alarm, abs=5e-4)
    assert result["ATWV"]["value"] == pytest.approx(value, abs=1e-3)
    assert t.value(threshold) == pytest.approx(value, abs=1e-3)
    assert result["MTWV"]["value"] == pytest.approx(1 / 6)
    assert result["MTWV"]["threshold"] == pytest.approx(0.9)


def test_a_tiny_example_by_hand():
    # Word 0 is said twice in 100 s: one hit at 0.8, one false alarm at 0.6. Word 1 once: a hit at 0.4.
    t = trials([(0, 0, 0.8, 1), (1, 0, 0.6, 0), (1, 1, 0.4, 1)], [[2, 0], [0, 1]], [60, 40])
    result = term_weighted(t, 0.5, draws(2), None)
    assert result["P_miss"] == pytest.approx((1 / 2 + 1) / 2)
    assert result["P_FA"] == pytest.approx((1 / 98 + 0) / 2)
    assert result["ATWV"]["value"] == pytest.approx(1 - 0.75 - 999.9 / 98 / 2)
    assert result["MTWV"]["value"] == pytest.approx(0.25)  # from 0.8 up
    assert result["OTWV"]["value"] == pytest.approx((0.5 + 1) / 2)  # each word from its own first hit
    assert result["MTWV"]["chosen_on"] == "these items"
    assert [p["threshold"] for p in result["DET"]] == [0.8, 0.6, 0.4]
    assert result["DET"][-1] == pytest.approx({"threshold": 0.4, "P_FA": 1 / 98 / 2, "P_miss": 0.25})


def test_saying_nothing_is_worth_nothing():
    t = trials([(0, 0, 0.5, 0)], [[1]], [50])
    result = term_weighted(t, 0.9, draws(1), None)
    assert (result["ATWV"]["value"], result["MTWV"]["value"], result["OTWV"]["value"]) == (0, 0, 0)
    assert result["MTWV"]["threshold"] is None
    nothing = term_weighted(trials([], [[1]], [50]), 0.5, draws(1), None)
    assert (nothing["ATWV"]["value"], nothing["DET"], nothing["P_miss"]) == (0, [], 1)


def test_terms_that_are_not_said_are_left_out_and_too_short_speech_is_told():
    one = trials([(0, 0, 0.9, 1)], [[1, 0]], [50])
    more = trials([(0, 0, 0.9, 1), (0, 1, 0.95, 0)], [[1, 0]], [50])
    assert one.value(0.5) == more.value(0.5) == 1
    assert one.impossible is None
    assert "said 3 times in 2 s" in trials([], [[3]], [2]).impossible


random_answers = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 5).map(lambda x: x / 5), st.booleans()), max_size=12
)


@given(random_answers, st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=4, max_size=4))
def test_every_threshold_against_the_definition(answers, said):
    said[0][0] = 1  # something is said
    t = trials(answers, said, [20, 5, 10, 25])
    thresholds = [*np.arange(6) / 5, 2.0]
    values = [slowly(t, x, 999.9) for x in thresholds]
    for threshold, (value, miss, alarm) in zip(thresholds, values, strict=True):
        result = term_weighted(t, threshold, Bootstrap(np.arange(4), 2), None)
        assert result["ATWV"]["value"] == pytest.approx(value)
        assert (result["P_miss"], result["P_FA"]) == pytest.approx((miss, alarm))
        assert t.value(threshold) == pytest.approx(value)
    assert result["MTWV"]["value"] == pytest.approx(max(v for v, *_ in values))
    best = []
    for q in range(3):
        if t.said[:, q].any():
            own = Trials(
                *(x[t.word == q] for x in (t.recording, t.word * 0, t.score, t.right)), t.said[:, [q]], t.seconds
            )
            best.append(max(slowly(own, x, 999.9)[0] for x in thresholds))
    assert result["OTWV"]["value"] == pytest.approx(np.mean(best))


def test_resamples_are_the_figures_of_drawn_recordings():
    rng = np.random.default_rng(0)
    answers = list(zip(rng.integers(6, size=40), rng.integers(3, size=40), rng.random(40), rng.random(40) < 0.5))
    t = trials(answers, rng.integers(1, 3, size=(6, 3)), rng.uniform(5, 20, 6))
    bootstrap = Bootstrap(np.arange(6), 20)
    result = term_weighted(t, 0.5, bootstrap, None)
    actual = []
    for drawn in bootstrap.weights().T.astype(int):
        copies = [
            (new, *a[1:]) for new, old in enumerate(np.repeat(np.arange(6), drawn)) for a in answers if a[0] == old
        ]
        again = trials(copies, np.repeat(t.said, drawn, axis=0), np.repeat(t.seconds, drawn))
        actual.append(again.value(0.5))
    assert (result["ATWV"]["low"], result["ATWV"]["high"]) == pytest.approx(tuple(np.percentile(actual, [2.5, 97.5])))


def test_the_curve_has_few_points_and_falls():
    rng = np.random.default_rng(1)
    answers = [
        (0, int(w), float(s), bool(r))
        for w, s, r in zip(rng.integers(3, size=900), rng.random(900), rng.random(900) < 0.1)
    ]
    det = term_weighted(trials(answers, [[40, 40, 40]], [2000]), 0.5, draws(1), None)["DET"]
    assert 50 < len(det) <= POINTS
    for a, b in pairwise(det):
        assert a["threshold"] > b["threshold"]
        assert a["P_FA"] <= b["P_FA"]
        assert a["P_miss"] >= b["P_miss"]
