"""Dense contrast against loops, its warm-up, and that a run that goes on is as warm as it was."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from local_views import dot, features, mean, rows, unit, value, views

from lookhear.core import Batch, Features
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.dense import Dense
from lookhear.scoring import Compatibility

COSINE = Compatibility()
GROUPS = st.lists(st.integers(0, 3), min_size=2, max_size=6)


def slow(batch: Views, negatives: str, gated: bool, temperature: float) -> float:
    groups = batch.group.tolist()
    each = []
    for i, group in enumerate(groups):
        frames, own = rows(batch["audio"], i), rows(batch["image"], i)
        lengths = [math.sqrt(dot(v, v)) for v in batch["audio"].local[i][batch["audio"].mask[i]].tolist()]
        wrong = []
        for j, other in enumerate(groups):
            if other != group:
                patches = rows(batch["image"], j)
                wrong += [unit([mean(c) for c in zip(*patches)])] if negatives == "pooled" else patches
        losses = []
        for a in frames:
            right = max(dot(a, v) for v in own)
            scores = [right, *(dot(a, r) for r in wrong)]
            losses.append(math.log(sum(math.exp(s / temperature) for s in scores)) - right / temperature)
        weights = lengths if gated else [1.0] * len(losses)
        each.append(dot(weights, losses) / sum(weights))
    return mean(each)


@settings(max_examples=40)
@given(GROUPS, st.sampled_from(["pooled", "patches"]), st.booleans(), st.booleans())
def test_by_hand(groups: list[int], negatives: str, gated: bool, uneven: bool) -> None:
    batch = views(groups, COSINE, patches=[1 + i % 4 for i in range(len(groups))] if uneven else ())
    config = Dense.Config(warmup=0, negatives=negatives, gated=gated, temperature=0.5, weight=3.0)  # type: ignore[arg-type]
    assert value(Dense(config)(batch), "dense") == pytest.approx(3 * slow(batch, negatives, gated, 0.5), abs=1e-4)


def test_nothing_is_learned_before_the_warm_up_is_over() -> None:
    objective, batch = Dense(Dense.Config(warmup=3)), views([0, 1, 2], COSINE)
    batch["audio"].local.requires_grad_()
    batch["audio"].pooled.requires_grad_()
    for step in range(3):
        loss = objective(batch)["dense"]
        assert float(loss.detach()) == 0
        loss.backward()  # a step with no other objective is still one that can be taken
        assert batch["audio"].local.grad is None
        objective.after_step(torch.nn.Module(), step)
    assert float(objective(batch)["dense"]) > 0


def test_a_run_that_goes_on_is_as_warm_as_it_was() -> None:
    first, batch = Dense(Dense.Config(warmup=2)), views([0, 1], COSINE)
    for step in range(2):
        first.after_step(torch.nn.Module(), step)
    second = Dense(Dense.Config(warmup=2))
    second.load_state_dict(first.state_dict())
    assert float(second(batch)["dense"]) == float(first(batch)["dense"]) > 0


def test_a_frame_learns_towards_its_patch_and_not_through_its_weight() -> None:
    """With unit frames gradients are at right angles to them: along a frame, where its length lies, nothing is felt."""
    batch = views([0, 1, 2], COSINE)
    local = batch["audio"].local.clone().requires_grad_()
    audio = Features(batch["audio"].pooled, local, batch["audio"].mask, 0.04)
    Dense(Dense.Config(warmup=0))(Views(batch.model, Batch({"audio": audio, "image": batch["image"]}, batch.group)))[
        "dense"
    ].backward()
    assert local.grad is not None
    along = (local.grad * local.detach()).sum(-1)[audio.mask]
    assert float(local.grad[audio.mask].abs().max()) > 1e-4
    assert float(along.abs().max()) < 1e-5
    assert not local.grad[~audio.mask].any()


def test_frames_that_are_nothing_weigh_nothing() -> None:
    audio, image = features([4, 4], 0), features([3, 3], 1, (1, 3))
    audio.local[:, 2:] = 0
    shorter = Features(audio.pooled, audio.local[:, :2], audio.mask[:, :2], 0.04)
    objective = Dense(Dense.Config(warmup=0))
    losses = []
    for side in (audio, shorter):
        batch = Batch({"audio": side, "image": image}, torch.tensor([0, 1]))
        losses.append(float(objective(Views(views([0, 1], COSINE).model, batch))["dense"]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_vectors_that_are_read_in_parts_are_refused() -> None:
    Dense.Config().check(COSINE)
    with pytest.raises(UserError, match=r"compatibility\.heads is 2"):
        Dense.Config().check(Compatibility(heads=2))
