"""Triplet losses against loops over items; which negatives are drawn."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import dot, only, pairs
from pydantic import ValidationError

from lookhear.objectives.base import Views
from lookhear.objectives.triplet import Triplet, _draw

GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=7)


def cosines(views: Views) -> list[list[float]]:
    return [[dot(p, q) for q in views["image"].pooled] for p in views["audio"].pooled]


def transposed(s: list[list[float]]) -> list[list[float]]:
    return [list(row) for row in zip(*s, strict=True)]


def negatives(groups: list[int], i: int) -> list[int]:
    return [j for j in range(len(groups)) if groups[j] != groups[i]]


def slow_semi_hard(s: list[list[float]], groups: list[int], margin: float) -> float:
    total = 0.0
    for side in (s, transposed(s)):
        for i in range(len(groups)):
            below = [side[i][j] for j in negatives(groups, i) if side[i][j] < side[i][i]]
            total += max(0.0, margin - side[i][i] + max(below)) if below else 0.0
    return total / len(groups)


@settings(max_examples=40)
@given(GROUPS, st.sampled_from([0.1, 1.0]), st.integers(0, 5))
def test_semi_hard_by_hand(groups: list[int], margin: float, seed: int) -> None:
    views = pairs(groups, seed)
    loss = Triplet(Triplet.Config(margin=margin, sampled=0, semi_hard=2, weight=0.5))(views)
    assert only(loss, "triplet_audio_image") == pytest.approx(slow_semi_hard(cosines(views), groups, margin), abs=1e-5)


@settings(max_examples=40)
@given(GROUPS, st.sampled_from([0.1, 1.0]))
def test_sampled_by_hand(groups: list[int], margin: float) -> None:
    """With the draw taken from the same place in the generator."""
    views = pairs(groups)
    s = cosines(views)
    same = torch.tensor([[g == h for h in groups] for g in groups])
    torch.manual_seed(3)
    loss = only(Triplet(Triplet.Config(margin=margin, semi_hard=0))(views), "triplet_audio_image")
    torch.manual_seed(3)
    total = 0.0
    for side in (s, transposed(s)):
        for i, j in enumerate(_draw(same).tolist()):
            if negatives(groups, i):
                assert j in negatives(groups, i)
                total += max(0.0, margin - side[i][i] + side[i][j])
    assert loss == pytest.approx(total / len(groups), abs=1e-5)


def test_all_negatives_are_drawn_equally_often() -> None:
    ignore = torch.tensor([[True, False, True, False, False]]).expand(5, 5)
    torch.manual_seed(0)
    drawn = Counter(j for _ in range(400) for j in _draw(ignore).tolist())
    assert set(drawn) == {1, 3, 4}
    assert all(abs(count - 2000 / 3) < 100 for count in drawn.values())  # about five standard deviations


def test_both_terms_add_up() -> None:
    views = pairs([0, 1, 2, 0, 3])
    found = []
    for sampled, semi_hard in ((1, 0), (0, 1), (2, 3)):
        torch.manual_seed(0)
        objective = Triplet(Triplet.Config(margin=1.0, sampled=sampled, semi_hard=semi_hard))
        # One draw for each side, in the same order whether the other term is there or not.
        found.append(only(objective(views), "triplet_audio_image"))
    assert found[2] == pytest.approx(2 * found[0] + 3 * found[1], abs=1e-5)


def test_items_of_one_group_teach_nothing() -> None:
    for margin in (0.2, 5.0):
        assert only(Triplet(Triplet.Config(margin=margin))(pairs([4, 4, 4])), "triplet_audio_image") == 0


def test_the_gradient_reaches_only_what_is_in_a_triplet() -> None:
    views = pairs([0, 1, 1])
    views["audio"].pooled.requires_grad_()
    Triplet(Triplet.Config(margin=3.0, sampled=1, semi_hard=0))(views)["triplet_audio_image"].backward()
    grad, image = views["audio"].pooled.grad, views["image"].pooled
    assert grad is not None
    # 1 is in its own two triplets, both of which take 0 for a negative; 0's own draws 1 or 2.
    own = (image[0] - 2 * image[1]) / 3
    assert any(torch.allclose(grad[1], own + drawn, atol=1e-6) for drawn in (0 * image[0], image[0] / 3))


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValidationError, match="both 0"):
        Triplet.Config(sampled=0, semi_hard=0)
