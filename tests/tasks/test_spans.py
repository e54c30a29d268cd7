"""Spans by hand: a word said twice, overlap, chance by putting moments elsewhere, and events by sed_eval."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lookhear.errors import UserError
from lookhear.tasks.answers import Answers, Moments, Said
from lookhear.tasks.chance import random_moments
from lookhear.tasks.events import count_events
from lookhear.tasks.resampling import Bootstrap
from lookhear.tasks.spans import Spans, iou


def moments(*rows):
    """(recording, word, score, start, end) each."""
    columns = (np.array(c) for c in zip(*rows, strict=True))
    return Moments(*(c.astype(t) for c, t in zip(columns, [int, int, float, float, float], strict=True)))


# Two recordings of 4 s. Word 0 twice in the first, word 1 once in the second.
SAID = {(0, 0): [(0.5, 1.0), (2.0, 2.5)], (1, 1): [(1.0, 2.0)]}
FOUND = moments(
    (0, 0, 0.9, 0.5, 0.9),  # right, overlap 0.4 / 0.5
    (0, 0, 0.8, 2.0, 3.0),  # middle 2.5, the very end: right, overlap 0.5 / 1.0
    (0, 0, 0.7, 0.8, 1.0),  # right place, but that occurrence has its answer
    (1, 1, 0.6, 2.1, 2.3),  # outside
    (1, 0, 0.5, 1.0, 2.0),  # not said
    (1, 1, 0.2, 1.4, 1.6),  # right, below the threshold
)


def spans(found=FOUND, threshold=0.5, said=SAID):
    seconds = np.array([4.0, 4.0])
    table = np.zeros((2, 2))
    answers = Answers(table, table.astype(int), table, table, seconds, found)
    return Spans(answers, Said(np.arange(2), said), 2, threshold)


def test_a_word_said_twice_needs_two_answers():
    result, per_word = spans().figures(Bootstrap(np.arange(2), 50))
    assert result["counts"] == {"TP": 2, "FP": 3, "FN": 1}
    assert result["precision"]["value"] == pytest.approx(2 / 5)
    assert result["recall"]["value"] == pytest.approx(2 / 3)
    assert result["IoU"]["value"] == pytest.approx((0.8 + 0.5) / 2)
    assert result["IoU"]["size"] == 2
    assert result["best_F1"]["value"] == pytest.approx(2 * 2 / (2 + 3))  # from 0.8 up
    assert result["best_F1"]["threshold"] == pytest.approx(0.8)
    assert [w["spans"] for w in per_word] == [{"TP": 2, "FP": 2, "FN": 0}, {"TP": 0, "FP": 1, "FN": 1}]


def test_no_answer_at_all():
    result, _ = spans(threshold=2.0).figures(Bootstrap(np.arange(2), 20))
    assert (result["precision"], result["IoU"]) == (None, None)
    assert result["F1"]["value"] == 0


def test_random_moments_keep_words_and_lengths():
    there = random_moments(FOUND, np.array([4.0, 12.0]), np.random.default_rng(0))
    assert there.word.tolist() == FOUND.word.tolist()
    assert there.end - there.start == pytest.approx(FOUND.end - FOUND.start)
    many = moments(*[(0, 0, 0.5, 0.0, 0.2)] * 4000)
    there = random_moments(many, np.array([4.0, 12.0]), np.random.default_rng(0))
    assert (there.recording == 1).mean() == pytest.approx(0.75, abs=0.03)
    assert there.middle[there.recording == 1].mean() == pytest.approx(6.0, abs=0.2)
    assert there.end.max() <= 12.0


def test_chance_of_spans_is_their_share_of_the_time():
    # A word that fills a tenth of one recording: a point put anywhere is in it once in twenty.
    said = {(0, 0): [(0.0, 0.4)] * 60}  # said so often that one answer never takes another's place
    many = moments(*[(1, 1 - 1, 0.9, 0.0, 0.001)] * 60)
    chance = spans(many, said=said).figures(Bootstrap(np.arange(2), 5))[0]["precision"]["chance"]
    assert chance == pytest.approx(0.05, abs=0.02)


def test_overlap():
    ends = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 3.0]])
    m = moments((0, 0, 1, 0.0, 1.0), (0, 0, 1, 0.5, 1.5), (0, 0, 1, 0.0, 1.0))
    assert iou(m, ends).tolist() == pytest.approx([1.0, 1 / 3, 0.0])


def test_term_weighted_allows_half_a_second():
    at_half = spans().terms(Bootstrap(np.arange(2), 20), 0.5, 10.0)
    # Word 0: both found, two false alarms; word 1: 2.2 is within half a second of its end. Eight seconds.
    assert at_half["P_miss"] == pytest.approx(0.0)
    assert at_half["P_FA"] == pytest.approx((2 / 6 + 0) / 2)
    assert at_half["ATWV"]["value"] == pytest.approx(1 - 10 * 2 / 6 / 2)
    assert spans().terms(Bootstrap(np.arange(2), 20), 0.0, 10.0)["P_miss"] == pytest.approx(0.5)
    assert "said 9 times in 8 s" in spans(said={(0, 0): [(0.0, 0.1)] * 9}).terms(Bootstrap(np.arange(2), 5), 0.5, 1.0)


def test_events_by_hand():
    pytest.importorskip("sed_eval", reason="the extra sed is not installed")
    counting = FOUND[FOUND.score >= 0.5]
    counts = count_events(counting, SAID, np.array([4.0, 4.0]), 0.2, 1.0)
    event, segment = (counts[k].sum() for k in ("event", "segment"))
    # Starts within 0.2 s, ends within max(0.2 s, half of the word): only the first; the second ends 0.5 s late.
    assert (event.tp, event.fp, event.fn) == (1, 4, 2)
    # Seconds of word 0 said: 0, 2; answered: 0, 2 | 1. Word 1 said: 1; answered: 2.
    assert (segment.tp, segment.fp, segment.fn) == (2, 2, 1)
    result = spans().events(Bootstrap(np.arange(2), 20), 0.2, 1.0)
    assert result["event"]["F1"]["value"] == pytest.approx(2 / 8)
    assert result["segment"]["precision"]["value"] == pytest.approx(1 / 2)


def test_without_the_extra_its_name_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sed_eval", None)
    with pytest.raises(UserError, match="sed_eval") as told:
        count_events(FOUND, SAID, np.array([4.0, 4.0]), 0.2, 1.0)
    assert "lookhear[sed]" in told.value.fix
