"""DenseCL of two views against loops, its warm-up, its queues over a resumed run, and a queue that does not fit."""

from __future__ import annotations

import math
from typing import Any

import pytest
import ranks_views
import torch
from local_views import dot, mean, unit

from lookhear.core import Batch
from lookhear.errors import UserError
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.densecl import DenseViews


def build(**changes: Any) -> Learner:
    torch.manual_seed(0)
    model = ranks_views.learner("densecl").model
    config = DenseViews.Config(on="audio", **{"size": 16, "dim": 6, "decay": 0.5, **changes})
    return Learner(model, [config.build(model)]).train()


def after(learner: Learner, steps: int) -> Learner:
    """Trained for some steps, so that queues are filled and the copy is another than the tower."""
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
    for step in range(steps):
        optimiser.zero_grad()
        torch.stack(list(learner(ranks_views.batch(step)).values())).sum().backward()
        optimiser.step()
        learner.after_step(step)
    return learner


def cross_entropy(x: list[float], right: list[float], wrong: list[list[float]], temperature: float) -> float:
    scores = [dot(x, right), *(dot(x, w) for w in wrong)]
    return math.log(sum(math.exp(s / temperature) for s in scores)) - scores[0] / temperature


def slow(learner: Learner, batch: Batch, share: float, least: float) -> float:
    """The loss by loops, from hidden vectors, heads and queues of the objective."""
    objective = learner.objectives[0]
    assert isinstance(objective, DenseViews)
    first = Views(learner.model, batch)["audio"]
    second = objective.slow(learner.model.audio, batch.inputs["audio@2"])
    (q, r), (k, s) = objective.heads(first), objective.slow_heads(objective.heads, second)
    assert first.hidden is not None
    held = int(objective.queue.held)
    wholes, places = [], []
    for i, group in enumerate(batch.group.tolist()):
        old = [j for j in range(held) if int(objective.queue.group[j]) != group]
        wholes.append(cross_entropy(q[i].tolist(), k[i].tolist(), [objective.queue.a[j].tolist() for j in old], 0.2))
        theirs = [j for j in range(second.mask.shape[1]) if second.mask[i, j]]
        each = []
        for n in range(first.mask.shape[1]):
            if not first.mask[i, n]:
                continue
            ours = unit(first.hidden[i, n].tolist())
            cosines = [dot(ours, unit(second.hidden[i, j].tolist())) for j in theirs]
            best = max(range(len(theirs)), key=cosines.__getitem__)
            if cosines[best] < least:
                continue
            wrong = [objective.queue.b[j].tolist() for j in old]
            each.append(cross_entropy(r[i, n].tolist(), s[i, theirs[best]].tolist(), wrong, 0.2))
        places.append(mean(each) if each else 0.0)
    return (1 - share) * mean(wholes) + share * mean(places)


@pytest.mark.parametrize(("share", "least"), [(0.0, -1.0), (0.5, -1.0), (1.0, -1.0), (0.5, 0.8)])
def test_by_hand(share: float, least: float) -> None:
    learner = after(build(share=share, least=least), 2)
    batch = ranks_views.batch(2)
    with torch.no_grad():
        learner.model.audio.eval()
        wanted = slow(learner, batch, share, least)
        found = float(learner.objectives[0](Views(learner.model, batch))["densecl"])
    assert found == pytest.approx(wanted, abs=1e-4)
    assert found > 0


def test_places_are_left_alone_until_the_warm_up_is_over() -> None:
    learner = build(warmup=2, share=0.5)
    for step in range(3):
        learner.zero_grad()
        learner(ranks_views.batch(step))["densecl"].backward()
        weight = learner.objectives[0].heads.place[0].weight  # type: ignore[union-attr, index]
        moved = bool(weight.grad.abs().max() > 0)
        assert moved == (step >= 2)
        learner.after_step(step)


def test_queues_copies_and_warm_up_go_on_from_what_was_saved() -> None:
    first = after(build(warmup=1), 3)
    second = build(warmup=1)
    second.load_state_dict(first.state_dict())
    for learner in (first, second):
        learner.model.audio.eval()
    batch = ranks_views.batch(3)
    assert torch.equal(first(batch)["densecl"], second(batch)["densecl"])
    assert int(second.objectives[0].queue.held) == 16  # type: ignore[union-attr, arg-type]


def test_no_gradient_reaches_the_slow_copy() -> None:
    learner = after(build(), 1)
    before = learner.objectives[0].slow.weights.clone()  # type: ignore[union-attr, operator]
    learner(ranks_views.batch(1))["densecl"].backward()
    assert not learner.objectives[0].slow.weights.requires_grad  # type: ignore[union-attr]
    assert torch.equal(before, learner.objectives[0].slow.weights)  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(("size", "fix"), [(12, "Set its size to 16"), (3, "Set its size to 8")])
def test_a_queue_that_is_no_multiple_of_the_batch_is_refused(size: int, fix: str) -> None:
    learner = build(size=size)
    with pytest.raises(UserError, match=f"queue of {size} items") as told:
        learner.check(ranks_views.batch(0), 80)
    assert fix in str(told.value) or fix in told.value.fix
