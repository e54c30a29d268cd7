"""Regression across channels against loops, what offsets forgive, padding and order, and towers that do not fit."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import ranks_views
import torch
from local_views import mean
from pydantic import ValidationError

from lookhear.core import Batch, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.transfer import Transfer

WAYS = [("identity", 0), ("pooled", 1), ("pooled", 3), ("offset", 1), ("offset", 2)]


def tower(seed: int, width: int = 8) -> LocalTower:
    torch.manual_seed(seed)
    return LocalTower.Config(bins=8, width=width, dilations=(1,), dropout=0).build(4)


def objective(match: str, radius: int, **changes: Any) -> Transfer:
    return Transfer(Transfer.Config(run="a", match=match, radius=radius, **changes), tower(3))


def slow(s: Any, p: int, t: Any, q: int, match: str, radius: int, kind: str) -> float:
    """The loss of one item of p and q real frames."""

    def around(x: Any, n: int, length: int) -> Any:
        return torch.stack([x[m] for m in range(max(0, n - radius), min(length, n + radius + 1))]).mean(0)

    def apart(a: Any, b: Any) -> float:
        if kind == "l2":
            return mean([(x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)])
        return 1 - float(a @ b) / float(a.norm() * b.norm())

    each = []
    for n in range(p):
        if match != "offset":
            if n < q:
                each.append(apart(around(s, n, p), around(t, n, q)))
            continue
        d = [apart(s[n], t[n + o]) for o in range(-radius, radius + 1) if 0 <= n + o < q]
        powers = [math.exp(-x / 0.1) for x in d]
        if d:
            each.append(sum(w * x for w, x in zip(powers, d, strict=True)) / sum(powers))
    return mean(each)


@pytest.mark.parametrize("kind", ["l2", "cosine"])
@pytest.mark.parametrize(("match", "radius"), WAYS)
def test_by_hand(match: str, radius: int, kind: str) -> None:
    rng = torch.Generator().manual_seed(1)
    lengths, others = [6, 3, 5], [4, 6, 5]
    s, t = torch.randn(3, 6, 4, generator=rng), torch.randn(3, 6, 4, generator=rng)
    here, there = lengths_to_mask(torch.tensor(lengths), 6), lengths_to_mask(torch.tensor(others), 6)
    s[~here], t[~there] = 50.0, -50.0
    found = objective(match, radius, distance=kind).apart(s, here, t, there)
    wanted = [slow(s[i], lengths[i], t[i], others[i], match, radius, kind) for i in range(3)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-4)


def test_an_offset_forgives_a_shift_that_identity_does_not() -> None:
    rng = torch.Generator().manual_seed(1)
    s = torch.randn(1, 12, 16, generator=rng)
    t = torch.roll(s, 2, 1)
    mask = torch.ones(1, 12, dtype=torch.bool)
    plain, soft = (objective(m, r).apart(s, mask, t, mask).item() for m, r in (("identity", 0), ("offset", 2)))
    assert plain > 1
    assert soft < 0.2 * plain  # two frames at the end went round


def learner(match: str, radius: int, **changes: Any) -> Learner:
    model = ranks_views.learner("densecl").model
    return Learner(model, [objective(match, radius, **changes)])


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize(("match", "radius"), WAYS)
def test_padding_and_order_change_nothing(match: str, radius: int, stretch: bool) -> None:
    inner, batch = learner(match, radius, stretch=stretch).eval(), ranks_views.batch(0)

    def loss(b: Batch) -> float:
        return float(inner.objectives[0](Views(inner.model, b))["transfer"].detach())

    def longer(x: Any) -> Padded:
        pad = torch.nn.functional.pad
        return Padded(pad(x.values, (0, 8)), pad(x.mask, (0, 8)))

    wanted = loss(batch)
    assert wanted > 0
    for name in ("audio", "audio@2"):
        padded = Batch({**batch.inputs, name: longer(batch.inputs[name])}, batch.group)
        assert loss(padded) == pytest.approx(wanted, rel=1e-3)
    assert loss(batch.take(torch.randperm(len(batch)))) == pytest.approx(wanted, rel=1e-3)


def test_the_tower_follows_and_what_it_follows_stays() -> None:
    inner = learner("offset", 1).train()
    followed = inner.objectives[0].tower.tower  # type: ignore[union-attr]
    before = {k: v.clone() for k, v in followed.state_dict().items()}  # type: ignore[union-attr]
    optimiser = torch.optim.Adam(inner.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = inner(ranks_views.batch(0))["transfer"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[k], v) for k, v in followed.state_dict().items())  # type: ignore[union-attr]
    assert not inner.objectives[0].state_dict()


def test_a_run_of_another_shape_is_refused(tiny_run: Any, tiny_model: Any) -> None:
    config = Transfer.Config(run=str(tiny_run))
    assert isinstance(config.build(tiny_model), Transfer)
    audio = SimpleNamespace(channels=tiny_model.audio.channels, width=99, step=0.04)
    with pytest.raises(UserError, match="99 every") as told:
        config.build(SimpleNamespace(audio=audio))
    assert "speech_run" in told.value.fix


@pytest.mark.parametrize(("match", "radius"), [("identity", 1), ("pooled", 0), ("offset", 0)])
def test_a_radius_that_does_nothing_is_refused(match: str, radius: int) -> None:
    with pytest.raises(ValidationError, match="with a radius of"):
        Transfer.Config(run="a", match=match, radius=radius)
