"""The scoring of tapes and the DTW rival of benchmarks/, against slow ones written by hand."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def benchmarks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        yield


@pytest.fixture(scope="module")
def scores(benchmarks):
    import tape_scores

    return tape_scores


@pytest.fixture(scope="module")
def dtw(benchmarks):
    import rival_dtw

    return rival_dtw


def truth_of(scores, said, seconds=(20.0, 20.0), timed=True):
    said = tuple(scores.Said(t, w, a, b, i) for i, (t, w, a, b) in enumerate(said))
    units = tuple((s.tape, s.start, s.end, s.unit) for s in said)
    return scores.Truth(("a", "b", "c"), said, tuple(seconds), units, timed)


SAID = [(0, "a", 1, 2), (0, "b", 3, 4), (0, "a", 5, 6), (1, "a", 1, 2), (1, "c", 9, 10)]


def test_each_occurrence_is_taken_once_by_the_best(scores):
    truth = truth_of(scores, SAID)
    hits = [(0, "a", 1.2, 1.4, 0.9), (0, "a", 1.5, 1.7, 0.8), (0, "b", 1.2, 1.4, 0.7), (1, "a", 0.9, 1.3, 0.6)]
    ranked, takes = scores.match([scores.Found(*h) for h in hits], truth)
    assert [f.score for f in ranked] == [0.9, 0.8, 0.7, 0.6]
    assert takes.tolist() == [0, -1, -1, 3]
    found = scores.at_threshold(ranked, truth)
    assert found["precision"]["value"] == 2 / 4
    assert found["recall"]["value"] == 2 / 5
    assert found["F1"]["value"] == pytest.approx(4 / (4 + 2 + 3))
    assert found["F1"]["low"] <= found["F1"]["value"] <= found["F1"]["high"]
    assert found["per_word"] == {"a": pytest.approx(4 / 6), "b": 0, "c": 0}
    assert found["false alarms an hour and word"] == pytest.approx(2 / (40 / 3600) / 3)


def test_in_clips_a_word_may_be_found_again(scores):
    truth = truth_of(scores, SAID, timed=False)
    _, takes = scores.match([scores.Found(0, "a", 1.2, 1.4, 0.9), scores.Found(0, "a", 1.5, 1.7, 0.8)], truth)
    assert takes.tolist() == [0, -2]


hits = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abc"), st.floats(0, 12), st.sampled_from([0.1, 0.2, 0.3, 0.4])),
    max_size=12,
)


@given(given_hits=hits)
@settings(max_examples=60)
def test_the_best_threshold_is_the_best(scores, given_hits):
    truth = truth_of(scores, SAID)
    found = [scores.Found(t, w, a, a + 0.3, s) for t, w, a, s in given_hits]
    best, threshold = scores.best_f1(found, truth)

    def f1(cut):
        return scores.at_threshold([f for f in found if f.score >= cut], truth)["F1"]["value"]

    assert best == pytest.approx(max([f1(c) for c in (0.1, 0.2, 0.3, 0.4)], default=0))
    assert f1(threshold) == pytest.approx(best)


def test_everything_found_and_nothing_else_is_perfect(scores):
    truth = truth_of(scores, SAID)
    found = [scores.Found(t, w, a, b, 1.0, 1.0) for t, w, a, b in SAID]
    result = scores.figures(found, found, truth)
    assert result["F1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert result["best F1"] == result["mAP"]["value"] == 1.0
    assert result["chance F1"] == 0.0
    assert result["calibration"]["ECE"] == 0.0
    assert result["mAP"]["chance"] < 0.3


def test_noise_scores_at_chance(scores):
    rng = np.random.default_rng(0)
    said = [(0, "abc"[i % 3], i * 1.0, i * 1.0 + 0.6) for i in range(300)]
    truth = truth_of(scores, said, (300.0,))
    found = []
    for word, start in product("abc", np.arange(0, 300, 0.5)):
        found.append(scores.Found(0, word, start, start + 0.2, *rng.random(2).tolist()))
    result = scores.window_map(found, truth)
    assert result["value"] == pytest.approx(result["chance"], abs=0.1)
    assert scores.calibration(found, truth)["ECE"] > 0.2


def test_the_recording_at_a_moment(scores):
    truth = truth_of(scores, [(0, "a", 0, 15), (0, "b", 15.5, 16), (1, "a", 0, 1)])
    tapes = np.array([0, 0, 0, 1])
    assert truth.nearest(tapes, np.array([14.9, 15.4, 99.0, 50.0])).tolist() == [0, 1, 1, 2]


def test_clips_are_ranked_where_only_clips_are_known(scores):
    truth = truth_of(scores, [(0, "a", 0, 9), (0, "b", 10, 14), (0, "a", 15, 19)], timed=False)
    found = [scores.Found(0, "a", 8, 8.5, 0.9), scores.Found(0, "a", 11, 12, 0.8), scores.Found(0, "a", 16, 17, 0.7)]
    result = scores.window_map(found, truth)
    assert result["windows"] == 3
    assert result["value"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2)  # of b nothing is found: all windows tie


def test_calibration_by_hand(scores):
    truth = truth_of(scores, SAID)
    found = [scores.Found(t, w, a, b, p, p) for (t, w, a, b), p in zip(SAID[:2], (0.95, 0.65))]
    found.append(scores.Found(0, "c", 1, 2, 0.62, 0.62))
    told = scores.calibration(found, truth)
    assert told["bins"] == [(pytest.approx(0.635), 0.5, 2), (0.95, 1.0, 1)]
    assert told["ECE"] == pytest.approx((2 * 0.135 + 0.05) / 3)
    assert scores.calibration([scores.Found(0, "a", 1, 2, 0.5)], truth) is None


def slow_dtw(example, recording):
    cost = 1 - example @ recording.T
    m, n = cost.shape
    best = np.full((m, n), np.inf)
    begin = np.zeros((m, n), dtype=int)
    for j in range(n):
        best[0, j], begin[0, j] = cost[0, j], j
        for i in range(1, m):
            options = [(best[i - 1, j - 1], begin[i - 1, j - 1])] if j else []
            options.append((best[i - 1, j], begin[i - 1, j]))
            options += [(best[i, j - 1], begin[i, j - 1])] if j else []
            least = min(options, key=lambda o: o[0])
            best[i, j], begin[i, j] = cost[i, j] + least[0], least[1]
    return best[-1] / m, begin[-1]


@pytest.mark.parametrize("lengths", [(1, 4, 7), (9,), (3, 3)])
def test_dtw_is_that_of_the_book(dtw, lengths):
    rng = np.random.default_rng(0)

    def unit(n):
        x = rng.standard_normal((n, 5)).astype(np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    examples, recording = [unit(n) for n in lengths], unit(23)
    costs, begins = dtw.subsequence_costs(examples, recording)
    for example, cost, begin in zip(examples, costs, begins):
        by_hand, start = slow_dtw(example, recording)
        assert cost == pytest.approx(by_hand, abs=1e-5)
        assert begin.tolist() == start.tolist()


def test_dtw_finds_a_stretched_example(dtw):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((80, 39)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    example = x[30:40]
    recording = np.concatenate([x[:30], np.repeat(example, 2, axis=0), x[40:]])
    costs, begins = dtw.subsequence_costs([example], recording)
    end = int(costs[0].argmin())
    assert costs[0, end] == pytest.approx(0, abs=1e-5)
    assert begins[0, end] in (30, 31)
    assert end in (48, 49)
