"""Batches with local vectors of uneven lengths and patches, and slow softmax losses over tables of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Batch, Features, lengths_to_mask
from lookhear.objectives.base import Views
from lookhear.scoring import Compatibility

DIM, PATCHES = 6, 4
Table = list[list[float]]


def features(lengths: Sequence[int], seed: int, step: float | tuple[int, int] | None = 0.04) -> Features:
    """Random vectors; what lies outside the mask is large, so that whoever reads it is found out."""
    rng = torch.Generator().manual_seed(seed)
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    local = torch.randn(len(lengths), max(lengths), DIM, generator=rng)
    local = torch.where(mask[..., None], local, 100 * local)
    return Features(F.normalize(torch.randn(len(lengths), DIM, generator=rng), dim=-1), local, mask, step)


def views(
    groups: Sequence[int],
    compatibility: Compatibility,
    seed: int = 0,
    more: Sequence[int] = (),
    patches: Sequence[int] = (),
) -> Views:
    """Recordings of 3, 4, 5, 3 … frames and pictures of four patches (or as many as given), of these groups."""
    audio = features([3 + i % 3 for i in range(len(groups))], seed)
    image = features(patches or [PATCHES] * len(groups), seed + 1, (2, 2))
    bank = {}
    if more:
        bank["image"] = (Features.of_pooled(features([1] * len(more), seed + 2).pooled), torch.tensor(more))
    batch = Batch({"audio": audio, "image": image}, torch.tensor(groups), more=bank)
    return Views(SimpleNamespace(compatibility=compatibility), batch)


def rows(x: Features, i: int) -> Table:
    """The real local vectors of item i, each of unit length."""
    return [unit(v) for v in x.local[i][x.mask[i]].tolist()]


def unit(v: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in v))
    return [x / length for x in v]


def dot(x: Sequence[float], y: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def slow_infonce(table: Table, groups: Sequence[int], temperature: float, further: Table | None = None) -> float:
    """Both ways over a table of scores; ``further`` [i] are scores of more pictures, those of its group left out."""
    n, total = len(table), 0.0
    for i in range(n):
        others = [j for j in range(n) if j == i or groups[j] != groups[i]]
        there = [table[i][j] for j in others] + (further[i] if further else [])
        back = [table[j][i] for j in others]
        for side in (there, back):
            total += math.log(sum(math.exp(s / temperature) for s in side)) - table[i][i] / temperature
    return total / (2 * n)


def value(losses: dict[str, Tensor], name: str) -> float:
    assert list(losses) == [name]
    return float(losses[name].detach())
