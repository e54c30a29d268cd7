"""Small-loss selection against loops; who is left out, and from when on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import mean, one_hot, only, pairs, slow_cross_entropy, slow_rows
from pydantic import ValidationError

from lookhear.core import Batch, Features
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.small_loss import SmallLoss

GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=7)


def slow_each(groups: list[int], symmetric: bool) -> list[float]:
    views = pairs(groups)
    a, b = views["audio"].pooled, views["image"].pooled
    hot = one_hot(len(groups))
    there = [slow_cross_entropy(row, hot(i)) for i, row in enumerate(slow_rows(a, groups, b, groups, 2.0))]
    back = [slow_cross_entropy(row, hot(i)) for i, row in enumerate(slow_rows(b, groups, a, groups, 2.0))]
    return [(x + y) / 2 for x, y in zip(there, back, strict=True)] if symmetric else there


def at_step(objective: SmallLoss, step: int) -> SmallLoss:
    objective.after_step(torch.nn.Module(), step - 1)
    return objective


@settings(max_examples=40)
@given(GROUPS, st.sampled_from([0, 3, 10, 99]), st.booleans())
def test_by_hand(groups: list[int], step: int, symmetric: bool) -> None:
    config = SmallLoss.Config(forget=0.4, ramp=10, temperature=0.5, symmetric=symmetric, weight=2.0)
    found = only(at_step(SmallLoss(config), step)(pairs(groups)), "small_loss_audio_image")
    count = max(1, round((1 - 0.4 * min(step / 10, 1)) * len(groups)))
    assert found == pytest.approx(2 * mean(sorted(slow_each(groups, symmetric))[:count]), abs=1e-4)


@pytest.mark.parametrize(("step", "kept"), [(0, 10), (5, 8), (10, 6), (5000, 6)])
def test_the_share_falls_in_a_ramp(step: int, kept: int) -> None:
    objective = at_step(SmallLoss(SmallLoss.Config(forget=0.4, ramp=10)), step)
    assert objective.kept(10) == kept
    fresh = SmallLoss(SmallLoss.Config(forget=0.4, ramp=10))
    fresh.load_state_dict(objective.state_dict())
    assert fresh.kept(10) == kept


def test_at_first_it_is_infonce() -> None:
    views = pairs([0, 1, 1, 2])
    plain = only(InfoNCE(InfoNCE.Config())(views), "infonce_audio_image")
    assert only(SmallLoss(SmallLoss.Config())(views), "small_loss_audio_image") == pytest.approx(plain, abs=1e-6)


def test_wrong_pairs_are_what_is_left_out() -> None:
    """Eight pairs that fit but for two whose pictures were exchanged: nothing is learned from those two."""
    image = torch.eye(8)
    audio = image[[0, 1, 2, 3, 4, 5, 7, 6]].clone().requires_grad_()
    views = Views(
        torch.nn.Module(),
        Batch({"audio": Features.of_pooled(audio), "image": Features.of_pooled(image)}, torch.arange(8)),
    )
    objective = at_step(SmallLoss(SmallLoss.Config(forget=0.25, ramp=1, symmetric=False)), 1)
    objective(views)["small_loss_audio_image"].backward()
    assert audio.grad is not None
    assert (audio.grad.abs().amax(1) > 0).tolist() == [True] * 6 + [False] * 2


def test_to_forget_everything_is_refused() -> None:
    with pytest.raises(ValidationError):
        SmallLoss.Config(forget=1.0)
