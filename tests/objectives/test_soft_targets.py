"""Soft targets against loops; targets are distributions over what is not ignored."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import dot, mean, only, pairs, slow_cross_entropy, slow_probabilities, slow_rows
from pydantic import ValidationError

from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.soft_targets import SoftTargets, soft_cross_entropy

GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=6)


def slow_side(rows: list[list[float | None]], alike: list[list[float]], smoothing: float, soft: float) -> float:
    losses = []
    for i, row in enumerate(rows):
        near = slow_probabilities([None if s is None else c / 0.3 for s, c in zip(row, alike[i], strict=True)])
        count = sum(s is not None for s in row)
        targets = [
            0.0 if s is None else (1 - smoothing - soft) * (j == i) + smoothing / count + soft * near[j]
            for j, s in enumerate(row)
        ]
        assert sum(targets) == pytest.approx(1)
        losses.append(slow_cross_entropy(row, targets))
    return mean(losses)


@settings(max_examples=40)
@given(
    GROUPS,
    st.lists(st.integers(0, 6), max_size=3),
    st.sampled_from([(0.1, 0.0), (0.0, 0.4), (0.2, 0.3)]),
    st.booleans(),
)
def test_by_hand(groups: list[int], more: list[int], shares: tuple[float, float], symmetric: bool) -> None:
    smoothing, soft = shares
    config = SoftTargets.Config(
        smoothing=smoothing, soft=soft, soft_temperature=0.3, temperature=0.5, symmetric=symmetric, weight=2.0
    )
    views = pairs(groups, more=more)
    found = only(SoftTargets(config)(views), "soft_targets_audio_image")
    a, b = views["audio"].pooled, views["image"].pooled
    columns = torch.cat([b, views.more("image")[0].pooled]) if more else b  # type: ignore[index]
    there = slow_rows(a, groups, columns, [*groups, *more], 2.0)
    wanted = slow_side(there, [[dot(p, q) for q in columns] for p in b], smoothing, soft)
    if symmetric:
        back = slow_side(slow_rows(b, groups, a, groups, 2.0), [[dot(p, q) for q in b] for p in b], smoothing, soft)
        wanted = (wanted + back) / 2
    assert found == pytest.approx(2 * wanted, abs=1e-4)


def test_without_softness_it_is_infonce() -> None:
    views = pairs([0, 1, 1, 2], more=[5, 0])
    plain = only(InfoNCE(InfoNCE.Config())(views), "infonce_audio_image")
    config = SoftTargets.Config(smoothing=0, soft=0)
    assert only(SoftTargets(config)(views), "soft_targets_audio_image") == pytest.approx(plain, abs=1e-6)


def test_label_smoothing_is_pytorchs_where_nothing_is_ignored() -> None:
    views = pairs([0, 1, 2, 3])
    objective = SoftTargets(SoftTargets.Config(smoothing=0.3, soft=0, symmetric=False))
    logits, _ = objective.logits(views)
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(4), label_smoothing=0.3)
    assert only(objective(views), "soft_targets_audio_image") == pytest.approx(float(wanted.detach()), abs=1e-6)


def test_no_gradient_goes_through_targets_or_what_is_ignored() -> None:
    """Where tower answers equal the targets, the gradient of the logits is 0, whatever the targets depend on."""
    logits = torch.tensor([[0.3, -1.0, float("-inf")], [0.2, float("-inf"), 0.1]], requires_grad=True)
    soft_cross_entropy(logits, logits.detach().softmax(1)).sum().backward()
    assert torch.allclose(logits.grad, torch.zeros(2, 3), atol=1e-7)
    views = pairs([0, 1, 1])
    image = views["image"].pooled.requires_grad_()
    objective = SoftTargets(SoftTargets.Config(soft=0.5))
    objective(views)["soft_targets_audio_image"].backward()
    soft = image.grad.clone()
    targets = [objective.targets(z, image @ image.T).detach() for z in objective.logits(views)]
    image.grad = None
    sides = zip(objective.logits(views), targets, strict=True)
    sum(soft_cross_entropy(z, t).mean() / 2 for z, t in sides).backward()  # type: ignore[union-attr]
    assert torch.allclose(image.grad, soft, atol=1e-6)
    assert torch.isfinite(soft).all()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.2)], ids=["all", "more than all"])
def test_targets_without_the_right_answer_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="nothing to the right answer"):
        SoftTargets.Config(smoothing=shares[0], soft=shares[1])
