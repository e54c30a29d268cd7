"""InfoNCE with a queue against loops over past batches; what the queue holds, and that it survives a stop."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import DIM, mean, one_hot, only, pairs, slow_cross_entropy, slow_rows, units

from lookhear.errors import UserError
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.queue import Queue, QueuedInfoNCE

BATCHES = st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=2), min_size=4, max_size=4)
MODEL = torch.nn.Module()


def train_step(objective: QueuedInfoNCE, groups: Sequence[int], seed: int, more: Sequence[int] = ()) -> float:
    loss = only(objective(pairs(groups, seed, more)), "queue_audio_image")
    with torch.no_grad():
        objective.after_step(MODEL, seed)
    return loss


def slow_queue(batches: list[list[int]], size: int, more: Sequence[int], bank: bool, symmetric: bool) -> list[float]:
    """The loss of each step; only whole batches of two are remembered."""
    losses = []
    for step, groups in enumerate(batches):
        views = pairs(groups, step, more)
        a, b = views["audio"].pooled, views["image"].pooled
        past = [s for s in range(step) if step - s <= size // 2]
        old_a, old_b = ([pairs(batches[s], s)[name].pooled for s in past] for name in ("audio", "image"))
        old_groups = [g for s in past for g in batches[s]]
        if bank and more:
            columns, column_groups = torch.cat([b, views.more("image")[0].pooled]), [*groups, *more]  # type: ignore[index]
        else:
            columns, column_groups = torch.cat([b, *old_b]), [*groups, *old_groups]
        sides = [slow_rows(a, groups, columns, column_groups, 2.0)]
        if symmetric:
            sides.append(slow_rows(b, groups, torch.cat([a, *old_a]), [*groups, *old_groups], 2.0))
        losses.append(
            mean([mean([slow_cross_entropy(r, one_hot(len(r))(i)) for i, r in enumerate(rows)]) for rows in sides])
        )
    return losses


@settings(max_examples=30)
@given(BATCHES, st.integers(2, 7), st.sampled_from([(), (8, 3, 1)]), st.booleans(), st.booleans())
def test_by_hand(batches: list[list[int]], size: int, more: Sequence[int], bank: bool, symmetric: bool) -> None:
    config = QueuedInfoNCE.Config(size=size, temperature=0.5, bank=bank, symmetric=symmetric, weight=2.0)
    objective = QueuedInfoNCE(config)
    found = [train_step(objective, groups, step, more) for step, groups in enumerate(batches)]
    assert found == pytest.approx([2 * x for x in slow_queue(batches, size, more, bank, symmetric)], abs=1e-4)


def test_at_first_it_is_infonce() -> None:
    views = pairs([0, 1, 1, 2], more=[7])
    plain = only(InfoNCE(InfoNCE.Config())(views), "infonce_audio_image")
    assert only(QueuedInfoNCE(QueuedInfoNCE.Config())(views), "queue_audio_image") == plain


def test_the_oldest_are_dropped_and_half_batches_never_held() -> None:
    queue = Queue(7)
    for step in range(4):
        queue.push(units(3, step), units(3, step + 9), torch.full((3,), step))
    assert int(queue.held) == 6
    assert queue.group[:6].tolist() == [3, 3, 3, 2, 2, 2]
    assert torch.equal(queue.a[:6], torch.cat([units(3, 3), units(3, 2)]))
    assert torch.equal(queue.b[:6], torch.cat([units(3, 12), units(3, 11)]))
    found = queue.logits("b", units(2, 50), torch.tensor([3, 8]), torch.tensor(4.0))
    assert found[0, :3].tolist() == [float("-inf")] * 3
    assert torch.allclose(found[:, 3:], 4 * units(2, 50) @ units(3, 11).T, atol=1e-6)


def test_the_keys_take_no_gradient_and_the_scale_s_is_finite() -> None:
    objective = QueuedInfoNCE(QueuedInfoNCE.Config(size=4))
    past = pairs([0, 1], 0)
    past["audio"].pooled.requires_grad_()
    objective(past)
    objective.after_step(MODEL, 0)
    assert objective.queue is not None
    assert not objective.queue.a.requires_grad
    now = pairs([1, 2], 1)
    now["audio"].pooled.requires_grad_()
    objective(now)["queue_audio_image"].backward()
    assert past["audio"].pooled.grad is None
    assert objective.logit_scale.grad is not None
    assert torch.isfinite(objective.logit_scale.grad)
    assert now["audio"].pooled.grad is not None
    assert torch.isfinite(now["audio"].pooled.grad).all()


def test_only_training_steps_are_remembered() -> None:
    objective = QueuedInfoNCE(QueuedInfoNCE.Config(size=4)).eval()
    train_step(objective, [0, 1], 0)
    assert objective.queue is not None
    assert int(objective.queue.held) == 0
    objective.train()
    train_step(objective, [0, 1], 0)
    objective.after_step(MODEL, 1)  # a step without a forward has nothing to add
    assert int(objective.queue.held) == 2


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_fresh_one_goes_on_from_a_saved_state(steps: int) -> None:
    config = QueuedInfoNCE.Config(size=5, bank=False)
    first = QueuedInfoNCE(config)
    for step in range(steps):
        train_step(first, [step, step + 1], step)
    state = {k: v.clone() for k, v in first.state_dict().items()}
    second = QueuedInfoNCE(config)
    second.load_state_dict(state)
    assert {k: v.shape for k, v in second.state_dict().items()} == {k: v.shape for k, v in state.items()}
    for step in (8, 9, 10):
        assert train_step(first, [step, step + 1], step) == train_step(second, [step, step + 1], step)
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_state_of_another_size_is_refused() -> None:
    first = QueuedInfoNCE(QueuedInfoNCE.Config(size=4))
    train_step(first, [0, 1], 0)
    with pytest.raises(RuntimeError, match=r"queue\.group"):
        QueuedInfoNCE(QueuedInfoNCE.Config(size=6)).load_state_dict(first.state_dict())


def test_a_queue_smaller_than_a_batch_is_refused() -> None:
    objective = QueuedInfoNCE(QueuedInfoNCE.Config(size=3))
    with pytest.raises(UserError, match="queue of 3 pairs is smaller than a batch of 4"):
        train_step(objective, [0, 1, 2, 3], 0)


def test_an_empty_queue_answers_nothing() -> None:
    assert Queue(4).logits("a", units(3, 0), torch.arange(3), torch.tensor(1.0)).shape == (3, 0)
    assert units(3, 0).shape == (3, DIM)
