"""One-to-one matching against every matching there is, and which moments it makes right."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookhear.tasks.answers import Moments
from lookhear.tasks.matching import match, one_to_one


def moments(*rows):
    """(recording, word, score, start, end) each."""
    columns = [np.array(c) for c in zip(*rows, strict=True)] or [np.zeros(0)] * 5
    return Moments(*(c.astype(t) for c, t in zip(columns, [int, int, float, float, float], strict=True)))


def largest(allowed):
    """By trying every way to give each answer one of its partners, or none."""
    best = 0
    for chosen in product(*[[None, *a] for a in allowed]):
        taken = [c for c in chosen if c is not None]
        if len(taken) == len(set(taken)):
            best = max(best, len(taken))
    return best


@given(st.lists(st.lists(st.integers(0, 3), max_size=3, unique=True), max_size=6))
def test_every_first_k_have_a_largest_matching(allowed):
    partner = one_to_one(allowed)
    taken = [p for p in partner if p is not None]
    assert len(taken) == len(set(taken))
    assert all(p is None or p in a for p, a in zip(partner, allowed, strict=True))
    for k in range(len(allowed) + 1):
        assert sum(p is not None for p in partner[:k]) == largest(allowed[:k])


def test_an_earlier_answer_makes_room():
    assert one_to_one([[0, 1], [0], [0, 1]]) == [1, 0, None]
    assert one_to_one([[0, 1], [1, 2], [0]]) == [1, 2, 0]


def test_a_word_said_twice_is_two_occurrences():
    said = {(0, 0): [(0.0, 0.4), (1.0, 1.4)]}
    once = moments((0, 0, 0.9, 0.1, 0.3))
    right, spans = match(once, said)
    assert right.tolist() == [True]
    assert spans.tolist() == [[0.0, 0.4]]
    # The second answer to the same occurrence is wrong, whatever their order in time.
    right, _ = match(moments((0, 0, 0.5, 0.0, 0.2), (0, 0, 0.9, 0.2, 0.4), (0, 0, 0.7, 1.1, 1.3)), said)
    assert right.tolist() == [False, True, True]


def test_only_the_same_recording_and_word_and_both_ends_count():
    said = {(1, 2): [(0.5, 1.0)]}
    rows = [(1, 2, 0.5, 0.4, 0.6), (0, 2, 0.9, 0.6, 0.8), (1, 1, 0.9, 0.6, 0.8)]
    right, spans = match(moments(*rows), said)  # the first one's middle is 0.5, the very start
    assert right.tolist() == [True, False, False]
    assert np.isnan(spans[1:]).all()
    far = moments((1, 2, 0.5, 1.45, 1.55))
    assert not match(far, said, 0.49)[0].any()
    assert match(far, said, 0.5)[0].all()
    assert match(moments(), said)[0].tolist() == []


times = st.floats(0, 4).map(lambda x: round(x, 2))
spans = st.tuples(times, st.sampled_from([0.1, 0.3, 0.6])).map(lambda s: (s[0], s[0] + s[1]))


@given(st.data())
def test_as_many_as_can_be_at_every_threshold(data):
    occurrences = data.draw(st.lists(spans, min_size=1, max_size=3))
    found = data.draw(st.lists(st.tuples(spans, st.integers(0, 3)), max_size=5))
    margin = data.draw(st.sampled_from([0.0, 0.5]))
    rows = [(0, 0, score / 4, *span) for span, score in found]
    right, _ = match(moments(*rows), {(0, 0): occurrences}, margin)
    for threshold in (0, 0.25, 0.5, 0.75):
        counting = [r for r in rows if r[2] >= threshold]
        allowed = [
            [o for o, (a, b) in enumerate(occurrences) if a - margin <= (s + e) / 2 <= b + margin]
            for *_, s, e in counting
        ]
        here = np.array([r[2] >= threshold for r in rows], dtype=bool)
        assert right[here].sum() == largest(allowed)
