"""Batches of random unit vectors and softmax cross-entropy written out, for the tests of losses over pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Batch, Features
from lookhear.objectives.base import Views

DIM = 6


def units(count: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pairs(groups: Sequence[int], seed: int = 0, more: Sequence[int] = ()) -> Views:
    """A batch of recordings and pictures of these groups, and a bank of pictures of the groups ``more``."""
    inputs = {
        "audio": Features.of_pooled(units(len(groups), seed)),
        "image": Features.of_pooled(units(len(groups), seed + 100)),
    }
    bank = {"image": (Features.of_pooled(units(len(more), seed + 200)), torch.tensor(more))} if more else {}
    return Views(SimpleNamespace(), Batch(inputs, torch.tensor(groups), more=bank))


def dot(x: Tensor, y: Tensor) -> float:
    return sum(float(p) * float(q) for p, q in zip(x, y, strict=True))


def slow_probabilities(scores: Sequence[float | None]) -> list[float]:
    """Softmax of a row; None stands for what is ignored."""
    powers = [0.0 if s is None else math.exp(s) for s in scores]
    return [p / sum(powers) for p in powers]


def slow_cross_entropy(scores: Sequence[float | None], targets: Sequence[float]) -> float:
    """−Σ t log softmax of a row."""
    return -sum(t * math.log(p) for t, p in zip(targets, slow_probabilities(scores), strict=True) if t)


def slow_rows(
    x: Tensor, groups: Sequence[int], y: Tensor, y_groups: Sequence[int], scale: float
) -> list[list[float | None]]:
    """Scaled cosines of every x with every y; the first of y are the partners, the others of a group are ignored."""
    return [
        [None if j != i and g == h else scale * dot(x[i], y[j]) for j, h in enumerate(y_groups)]
        for i, g in enumerate(groups)
    ]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def only(losses: dict[str, Tensor], name: str) -> float:
    assert list(losses) == [name]
    return float(losses[name].detach())


def one_hot(size: int) -> Callable[[int], list[float]]:
    return lambda i: [float(j == i) for j in range(size)]
