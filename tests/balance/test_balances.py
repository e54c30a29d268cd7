"""Each balance against a slow version by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import tasks_made_up as made
import torch
from torch import Tensor, nn

from lookhear.balance.base import Balance, task_names
from lookhear.balance.dtp import Dtp
from lookhear.balance.dwa import Dwa
from lookhear.balance.gradnorm import GradNorm
from lookhear.balance.mgda import Mgda
from lookhear.balance.pcgrad import PcGrad
from lookhear.balance.uncertainty import Uncertainty

NONE = nn.Module()


def test_names_are_numbered_where_repeated() -> None:
    assert task_names(["infonce", "tags", "infonce", "infonce"]) == ("infonce", "tags", "infonce_2", "infonce_3")


def slow_gradients(inner: Any, step: int) -> tuple[list[float], list[list[Tensor]]]:
    """Losses and each one's gradient of the tower, by a backward pass of its own."""
    losses, found = [], []
    for i in range(3):
        inner.zero_grad()
        loss = list(inner(made.batch(step)).values())[i]
        loss.backward()
        losses.append(float(loss.detach()))
        found.append([p.grad.clone() for p in inner.model.parameters()])
    inner.zero_grad()
    return losses, found


def dot(a: list[Tensor], b: list[Tensor]) -> float:
    return sum(float((x * y).sum()) for x, y in zip(a, b))


def once(inner: Any, step: int = 0) -> dict[str, float]:
    torch.manual_seed(5)
    told: dict[str, float] = inner.balance.backward(inner(made.batch(step)), inner.model, lambda t: t.backward())
    return told


def test_the_sum_is_what_one_backward_pass_gives() -> None:
    ours, plain = made.learner(Balance(made.NAMES)), made.learner(None)
    assert once(ours) == {}
    torch.stack(list(plain(made.batch(0)).values())).sum().backward()
    for a, b in zip(ours.parameters(), plain.parameters()):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("kind", ["fixed", "uncertainty"])
def test_weights_meet_gradients(kind: str) -> None:
    inner = made.learner(made.CONFIGS[kind].build(made.NAMES))
    s = torch.tensor([0.4, -0.3, 2.0])
    weights = [2.0, 1.0, 0.25]
    if isinstance(inner.balance, Uncertainty):
        inner.balance.log_variance.data.copy_(s)
        weights = [math.exp(-0.4), math.exp(0.3), 0.5 * math.exp(-2.0)]
    losses, gradients = slow_gradients(inner, 0)
    assert once(inner) == pytest.approx({f"weight_{n}": w for n, w in zip(made.NAMES, weights)}, rel=1e-6)
    for i, p in enumerate(inner.model.parameters()):
        assert p.grad is not None
        assert torch.allclose(p.grad, sum(w * g[i] for w, g in zip(weights, gradients)), rtol=1e-5)
    if isinstance(inner.balance, Uncertainty):
        found = inner.balance.log_variance.grad
        assert found is not None
        assert found.tolist() == pytest.approx([0.5 - w * loss for w, loss in zip(weights, losses)], rel=1e-5)


def test_mgda_of_two_is_the_closed_form() -> None:
    balance = Mgda.Config().build(("a", "b"))
    for seed in range(20):
        rng = torch.Generator().manual_seed(seed)
        a, b = torch.randn(2, 5, generator=rng, dtype=torch.float64)
        if seed % 3 == 0:
            b = a * 30 + b  # the shorter gradient alone is the nearest point then
        g = torch.stack([a, b])
        wanted = float(((b - a) @ b / ((a - b) @ (a - b))).clamp(0, 1))
        found = balance.combine(g @ g.T, torch.ones(2))
        assert found.tolist() == pytest.approx([wanted, 1 - wanted], abs=1e-4)


def test_mgda_makes_no_task_worse_and_leaves_heads_their_own_gradient() -> None:
    inner = made.learner(Mgda.Config().build(made.NAMES))
    _, gradients = slow_gradients(inner, 0)
    told = once(inner)
    weights = [told[f"weight_{n}"] for n in made.NAMES]
    assert sum(weights) == pytest.approx(1, abs=1e-6)
    whole = [p.grad for p in inner.model.parameters() if p.grad is not None]
    for i, found in enumerate(whole):
        assert torch.allclose(found, sum(w * g[i] for w, g in zip(weights, gradients)), atol=1e-5)
    assert all(dot(whole, g) >= dot(whole, whole) * (1 - 1e-2) for g in gradients)
    plain = made.learner(None)
    torch.stack(list(plain(made.batch(0)).values())).sum().backward()
    for a, b in zip(inner.objectives.parameters(), plain.objectives.parameters()):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.equal(a.grad, b.grad)
    for name, g in zip(made.NAMES, gradients):
        assert told[f"norm_{name}"] == pytest.approx(math.sqrt(dot(g, g)), rel=1e-4)


def test_pcgrad_by_hand() -> None:
    inner = made.learner(PcGrad.Config().build(made.NAMES), (1.0, 1.0, 1.0))
    _, gradients = slow_gradients(inner, 3)
    assert min(dot(a, b) for a in gradients for b in gradients) < 0  # there is a conflict to project away
    once(inner, 3)
    torch.manual_seed(5)
    wanted = [torch.zeros_like(g) for g in gradients[0]]
    for i in range(3):
        mine = [g.clone() for g in gradients[i]]
        for j in torch.randperm(3).tolist():
            if j != i and (meets := dot(mine, gradients[j])) < 0:
                mine = [m - meets / dot(gradients[j], gradients[j]) * g for m, g in zip(mine, gradients[j])]
        wanted = [w + m for w, m in zip(wanted, mine)]
    for p, w in zip(inner.model.parameters(), wanted):
        assert p.grad is not None
        assert torch.allclose(p.grad, w, atol=1e-5)


def test_gradnorm_one_step_by_hand() -> None:
    balance = GradNorm.Config(alpha=1.5, learning_rate=0.1).build(made.NAMES)
    inner = made.learner(balance)
    losses, gradients = slow_gradients(inner, 0)
    start = torch.tensor([0.7, 1.1, 1.2])
    balance.log_weights.copy_(start.log())
    balance.first.copy_(torch.tensor([losses[0] * 2, losses[1], losses[2] / 3]))
    before = [p.detach().clone() for p in inner.parameters()]
    told = once(inner)
    ratios = [0.5, 1.0, 3.0]
    lengths = [float(w) * math.sqrt(dot(g, g)) for w, g in zip(start, gradients)]
    goal = [sum(lengths) / 3 * (r / (sum(ratios) / 3)) ** 1.5 for r in ratios]
    # Adam's first step is its rate, against the sign of the slope.
    moved = [math.log(w) - 0.1 * math.copysign(1, g - t) for w, g, t in zip(start.tolist(), lengths, goal)]
    total = sum(math.exp(m) for m in moved)
    assert balance.log_weights.exp().tolist() == pytest.approx([3 * math.exp(m) / total for m in moved], rel=1e-4)
    assert [told[f"norm_{n}"] for n in made.NAMES] == pytest.approx(lengths, rel=1e-4)
    for i, p in enumerate(inner.model.parameters()):  # the step itself is weighed as before
        assert p.grad is not None
        assert torch.allclose(p.grad, sum(float(w) * g[i] for w, g in zip(start, gradients)), rtol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, inner.parameters()))  # the net is not touched


def test_gradnorm_evens_gradients_that_are_a_hundred_times_apart() -> None:
    balance = GradNorm.Config(alpha=0.0, learning_rate=0.1).build(made.NAMES)
    inner = made.learner(balance)
    told = [once(inner) for _ in range(150)]
    norms = [[t[f"norm_{n}"] for n in made.NAMES] for t in (told[0], told[-1])]
    assert max(norms[0]) / min(norms[0]) > 20
    assert max(norms[1]) / min(norms[1]) < 2
    assert float(balance.log_weights.exp().sum()) == pytest.approx(3, rel=1e-5)


def losses(*values: float | None) -> dict[str, Tensor]:
    return {n: torch.tensor(v, requires_grad=True) for n, v in zip(made.NAMES, values) if v is not None}


def test_dwa_by_hand() -> None:
    balance = Dwa.Config(temperature=2.0).build(made.NAMES)
    # two steps an epoch: means 2, 4, 10; then 1, 4, 20
    series = [(1.0, 4.0, 10.0), (3.0, 4.0, 10.0), (1.0, 2.0, 30.0), (1.0, 6.0, 10.0), (1.0, 1.0, 1.0)]
    told = [balance.backward(losses(*v), NONE, lambda t: t.backward(), i // 2) for i, v in enumerate(series)]
    assert list(told[0].values()) == list(told[3].values()) == pytest.approx([1, 1, 1])
    e = [math.exp(r / 2) for r in (0.5, 1.0, 2.0)]
    assert list(told[4].values()) == pytest.approx([3 * x / sum(e) for x in e], rel=1e-5)


def test_dtp_by_hand() -> None:
    balance = Dtp.Config(gamma=2.0, share=0.25).build(made.NAMES)
    k, first = [0.0] * 3, [4.0, 1.0, 100.0]
    for step, values in enumerate([(4.0, 1.0, 100.0), (2.0, 3.0, 10.0), (0.1, 3.0, 5.0)]):
        told = balance.backward(losses(*values), NONE, lambda t: t.backward())
        for i, v in enumerate(values):
            now = math.exp(-v / first[i])
            k[i] = now if step == 0 else 0.25 * now + 0.75 * k[i]
        assert list(told.values()) == pytest.approx([-((1 - x) ** 2) * math.log(x) for x in k], rel=1e-5)


@pytest.mark.parametrize("kind", made.CONFIGS)
def test_a_task_without_labels_in_a_batch_is_left_out(kind: str) -> None:
    """Its loss is not zero but missing: no weight, no gradient of its head, nothing of its state changed."""
    balance = made.CONFIGS[kind].build(made.NAMES)
    inner = made.learner(balance)
    once(inner)
    inner.zero_grad()
    before = {k: v.clone() for k, v in balance.state_dict().items()}
    told = balance.backward(inner(made.batch(1, lacking=1)), inner.model, lambda t: t.backward())
    assert "weight_near_2" not in told
    assert all(p.grad is None or not p.grad.any() for p in inner.objectives[1].parameters())
    assert all(p.grad is not None and p.grad.any() for p in inner.objectives[2].parameters())
    for name, value in balance.state_dict().items():
        if value.shape == (3,) and name != "log_weights":  # GradNorm's weights keep their sum
            assert torch.equal(value[1], before[name][1]), name
