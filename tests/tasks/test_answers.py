"""Moments of all words at once against those of ``lookhear.moments``, and what is asked of an encoded corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookhear.core import Features
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.locators import Curve
from lookhear.moments import around, distinct, peaks
from lookhear.tasks.answers import Moments, ask, moments_of, said_in
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import occurrences

E = torch.eye(3)


def one_by_one(curve, step):
    """The moments of one word, by the functions that spotting uses."""
    spans = [around(curve, n, step) for n in torch.nonzero(peaks(curve[:, None], step)[:, 0]).flatten().tolist()]
    length = len(curve) * step
    return [(s.start, min(s.end, length), s.score) for s in distinct(spans)]


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.02, 0.04, 0.16]))
def test_the_same_moments_as_word_by_word(seed, frames, step):
    noise = torch.randn(frames + 8, 3, generator=torch.Generator().manual_seed(seed))
    curve = noise.unfold(0, 9, 1).mean(-1)[:frames] + 0.1  # no two frames alike
    found = moments_of(curve, step)
    for q in range(3):
        of_word = found[found.word == q]
        got = np.stack([of_word.start, of_word.end, of_word.score], 1)
        assert got == pytest.approx(np.array(one_by_one(curve[:, q], step)))


@given(st.integers(0, 1000), st.floats(-0.5, 1))
def test_dropping_the_low_ones_afterwards_is_dropping_them_before(seed, threshold):
    curve = torch.randn(80, 1, generator=torch.Generator().manual_seed(seed)).unfold(0, 5, 1).mean(-1)
    found = moments_of(curve, 0.04)
    above = torch.nonzero(peaks(curve, 0.04)[:, 0] & (curve[:, 0] >= threshold)).flatten().tolist()
    before = [s.score for s in distinct([around(curve[:, 0], n, 0.04) for n in above])]
    assert found.score[found.score >= threshold].tolist() == pytest.approx(before)


def test_equal_neighbours_are_one_moment():
    curve = torch.tensor([[0.0], [0.5], [0.5], [0.5], [0.0], [0.0]])
    found = moments_of(curve, 0.1)
    assert len(found) == 1
    # Three frames, and at least 0.12 s on either side of the first one's middle.
    assert (found.start[0], found.end[0]) == pytest.approx((0.03, 0.4))
    flat = moments_of(torch.full((50, 2), 0.3), 0.1)
    assert flat.word.tolist() == [0, 1]
    assert flat.end.tolist() == pytest.approx([5.0, 5.0])


def said(*words):
    return [{"word": w, "start": s, "end": e} for w, s, e in words]


def encoded_of(corpus_of, fake, rows, curves, step=0.1):
    """Recordings whose curve of "dog" is given; the frames past their ends would score higher still."""
    longest = max(map(len, curves)) + 2
    local, mask = torch.zeros(len(rows), longest, 3), torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, curve in enumerate(curves):
        c = torch.tensor(curve)
        local[i, : len(c)] = torch.stack([c, torch.zeros(len(c)), (1 - c * c).sqrt()], 1)
        local[i, len(c) :] = 5 * E[0]
        mask[i, : len(c)] = True
    audio = Features(E[[0] * len(rows)], local, mask, step)
    corpus = corpus_of([{"audio": True, "words": words} for words in rows])
    return Encoded(fake({"dog": E[0], "cat": E[1]}, dim=3), corpus, audio=audio)


ROWS = [said(("dog", 0.0, 0.2), ("a", 0.2, 0.3), ("dog", 0.3, 0.5)), [], said(("cat", 0.0, 0.3))]
CURVES = [[0.1, 0.2, 0.1, 0.9, 0.2], [0.9, 0.1], [0.1, 0.3, 0.2, 0.1]]


def test_scores_frames_and_shares_by_hand(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, ROWS, CURVES)
    spoken = said_in(encoded.corpus, {"dog": ("dog",), "cat": ("cat",)})
    assert spoken.rows.tolist() == [0, 2]  # a recording without words says nothing of what it says
    assert spoken.spoken(2).tolist() == [[2, 0], [0, 1]]
    found = ask(encoded, ["dog", "cat"], spoken, by=Curve())
    assert found.score == pytest.approx(np.array([[0.9, 0.0], [0.3, 0.0]]), abs=1e-5)
    assert found.inside.tolist() == [[1, 0], [0, 1]]  # cat's curve is flat: its first frame, at 0.05
    assert found.share == pytest.approx(np.array([[0.8, 0], [0, 0.75]]))  # 2 + 2 of 5 frames, 3 of 4
    assert found.covered == pytest.approx(np.array([[0.8, 0], [0, 0.75]]))
    assert found.seconds == pytest.approx([0.5, 0.4])
    assert found.moments.end.max() <= 0.5


def test_order_of_recordings_changes_nothing(corpus_of, fake):
    ahead = encoded_of(corpus_of, fake, ROWS, CURVES)
    back = encoded_of(corpus_of, fake, ROWS[::-1], CURVES[::-1])
    a, b = (ask(e, ["dog"], said_in(e.corpus, {"dog": ("dog",)}), by=Curve()) for e in (ahead, back))
    assert a.score == pytest.approx(b.score[::-1])
    assert a.inside.tolist() == b.inside[::-1].tolist()
    assert sorted(a.moments.score) == pytest.approx(sorted(b.moments.score))


def test_a_calibration_makes_probabilities_of_moments(corpus_of, fake):
    class Half:
        def probability(self, scores, queries, names=None):
            assert names == ["dog"]
            assert queries.shape == (1, 3)
            return scores / 2

    encoded = encoded_of(corpus_of, fake, ROWS, CURVES)
    spoken = said_in(encoded.corpus, {"dog": ("dog",)})
    plain, sure = (ask(encoded, ["dog"], spoken, by=Curve(), calibration=c) for c in (None, Half()))
    assert sure.score == pytest.approx(plain.score / 2)
    assert sure.moments.start.tolist() == plain.moments.start.tolist()


def test_towers_without_frames_and_diverged_models_are_named(corpus_of, fake):
    corpus = corpus_of([{"audio": True, "words": said(("dog", 0.0, 1.0))}])
    spoken = said_in(corpus, {"dog": ("dog",)})
    whole = Encoded(fake({"dog": E[0]}, dim=3), corpus, audio=Features.of_pooled(E[:1]))
    with pytest.raises(UserError, match="no frames in time"):
        ask(whole, ["dog"], spoken, by=Curve())
    encoded = encoded_of(corpus_of, fake, ROWS[:1], [[0.1, float("nan"), 0.2]])
    with pytest.raises(UserError, match="not numbers"):
        ask(encoded, ["dog"], said_in(encoded.corpus, {"dog": ("dog",)}), by=Curve())


def test_moments_can_be_picked():
    m = Moments(np.array([0, 1]), np.array([1, 0]), np.array([0.5, 0.1]), np.zeros(2), np.array([1.0, 3.0]))
    assert m[m.score > 0.2].middle.tolist() == [0.5]
    assert len(Moments.concat([m, m])) == 4


words = st.sampled_from(["a", "b", "ice cream", "ice", "B"])


@given(st.lists(st.lists(words, max_size=5), max_size=4), st.lists(words, min_size=1, max_size=3, unique=True))
def test_what_is_said_is_what_every_recording_is_searched_for(recordings, asked):
    spoken = [said(*((w, i, i + 1) for i, w in enumerate(r))) for r in recordings]
    table = pa.Table.from_pylist([{"audio": {"path": "x", "bytes": None}, "words": w} for w in spoken], schema=SCHEMA)
    found = said_in(Corpus(table, Path()), {w: (w, "a b") for w in asked})
    assert found.rows.tolist() == [i for i, r in enumerate(recordings) if r]
    slow = {
        (i, q): there
        for i, row in enumerate(found.rows)
        for q, w in enumerate(asked)
        if (there := occurrences(spoken[row], (w, "a b")))
    }
    assert found.at == slow
