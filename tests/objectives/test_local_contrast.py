"""Places of one item against loops, in time and on a grid, and views that do not correspond."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Batch, Features
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.local_contrast import LocalContrast

LENGTHS = [9, 4, 7]


def features(seed: int, step: Any = 0.04, lengths: list[int] = LENGTHS) -> Features:
    rng = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    hidden = torch.randn(len(lengths), max(lengths), 5, generator=rng)
    return Features(torch.zeros(len(lengths), 3), torch.zeros(*mask.shape, 3), mask, step, hidden)


def views(first: Features, second: Features, on: str = "audio") -> Views:
    return Views(SimpleNamespace(), Batch({on: first, f"{on}@2": second}, torch.arange(len(first))))


def build(**changes: Any) -> LocalContrast:
    torch.manual_seed(0)
    return LocalContrast.Config(**{"places": 6, "apart": 2, "dim": 4, **changes}).build(
        SimpleNamespace(audio=SimpleNamespace(width=5), image=SimpleNamespace(width=5))
    )


def slow(objective: LocalContrast, first: Features, second: Features, drawn: Tensor) -> float:
    def distance(a: int, b: int) -> int:
        if isinstance(first.step, tuple):
            (r, c), (s, d) = divmod(a, first.step[1]), divmod(b, first.step[1])
            return max(abs(r - s), abs(c - d))
        return abs(a - b)

    items = []
    for i in range(len(first)):
        places = [p for p in drawn[i].tolist() if bool(first.mask[i, p])]
        z, w = (
            {p: F.normalize(objective.head(f.hidden[i, p]), dim=0) for p in places}  # type: ignore[index]
            for f in (first, second)
        )
        losses = []
        for p in places:
            far = [q for q in places if distance(p, q) >= objective.config.apart]
            if not far:
                continue
            for x, y in ((z, w), (w, z)):
                t = objective.config.temperature
                right = math.exp(float(x[p] @ y[p]) / t)
                wrong = sum(math.exp(float(x[p] @ v[q]) / t) for q in far for v in (x, y))
                losses.append(-math.log(right / (right + wrong)))
        if losses:
            items.append(sum(losses) / len(losses))
    return sum(items) / len(items)


@pytest.mark.parametrize(("on", "step"), [("audio", 0.04), ("image", (3, 3))])
def test_by_hand(on: str, step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = build(on=on, weight=3.0, temperature=0.5)
    first, second = features(1, step), features(2, step)
    drawn = []
    draw = LocalContrast._draw
    monkeypatch.setattr(LocalContrast, "_draw", lambda self, mask: drawn.append(draw(self, mask)) or drawn[-1])
    with torch.no_grad():
        found = float(objective(views(first, second, on))["local_contrast"])
        assert found == pytest.approx(3 * slow(objective, first, second, drawn[0][0]), abs=1e-4)


def test_as_many_places_as_are_asked_for_each_once_and_real_ones_first() -> None:
    drawn, real = build(places=5)._draw(features(1).mask)
    assert drawn.shape == (3, 5)
    for i, length in enumerate(LENGTHS):
        chosen = drawn[i][real[i]].tolist()
        assert len(set(chosen)) == len(chosen) == min(5, length)
        assert max(chosen) < length


def test_padding_gets_no_gradient() -> None:
    first, second = features(1), features(2)
    hidden = first.hidden.clone().requires_grad_()  # type: ignore[union-attr]
    given = Features(first.pooled, first.local, first.mask, 0.04, hidden)
    build(places=9)(views(given, second))["local_contrast"].backward()
    assert float(hidden.grad[~first.mask].abs().max()) == 0  # type: ignore[index]
    assert float(hidden.grad[first.mask].abs().max()) > 0  # type: ignore[index]


def test_views_that_do_not_correspond_and_places_too_near_are_refused() -> None:
    with pytest.raises(UserError, match="not of one length"):
        build()(views(features(1), features(2, lengths=[9, 5, 7])))
    with pytest.raises(UserError, match="no item has two places 20 apart"):
        build(apart=20)(views(features(1), features(2)))
