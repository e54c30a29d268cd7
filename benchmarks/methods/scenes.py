"""A made world of pairs for criteria: pictures as grids of cells that show things, and speech that names some of them.

Nothing of it is drawn or spoken: a cell and a frame are vectors. A thing has a look (with variation) and a name, which
is a fixed row of sounds, each lasting a frame or two, said with the offset of a speaker between silences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, pool

__all__ = ["FrameTower", "GridTower", "Pairs", "World"]


@dataclass(frozen=True)
class World:
    """What is fixed: kinds of things with Zipf-distributed frequencies, their looks and their names.

    Attributes:
        kinds: of things.
        side: cells along an edge of a picture.
        frames: of an utterance.
        things: a pair holds, each on 2 × 2 cells and named once.
        looks, sounds: numbers a cell and a frame have.
        variation, noise: of looks and of every number of cells and frames.
    """

    kinds: int = 20
    side: int = 6
    frames: int = 30
    things: int = 3
    looks: int = 32
    sounds: int = 24
    variation: float = 0.6
    noise: float = 0.6
    seed: int = 0

    def fixed(self) -> tuple[Tensor, Tensor, np.ndarray]:
        """(kinds, looks), (kinds, 5 frames, sounds) and (kinds,) shares."""
        rng = np.random.default_rng((self.seed, 0))
        inventory = rng.standard_normal((12, self.sounds))
        names = inventory[rng.integers(0, 12, (self.kinds, 5))]
        share = 1 / np.arange(1, self.kinds + 1)
        looks = torch.from_numpy(rng.standard_normal((self.kinds, self.looks))).float()
        return looks, torch.from_numpy(names).float(), share / share.sum()


@dataclass(frozen=True)
class Pairs:
    """N pairs: ``cells`` (N, P, looks), ``frames`` (N, T, sounds), ``shown`` (N, P) and ``said`` (N, T) kinds, −1 for
    none, and ``real`` (N, T) where an utterance is not yet over."""

    cells: Tensor
    frames: Tensor
    shown: Tensor
    said: Tensor
    real: Tensor
    steps_per_epoch: int = 1 << 30
    size: int = 64

    @staticmethod
    def make(world: World, count: int, seed: int, size: int = 64) -> Pairs:
        looks, names, share = world.fixed()
        rng = np.random.default_rng((world.seed, 1 + seed))
        side, n = world.side, count
        shown = -np.ones((n, side, side), dtype=np.int64)
        said = -np.ones((n, world.frames), dtype=np.int64)
        part = np.zeros((n, world.frames), dtype=np.int64)
        lengths = rng.integers(world.frames - 6, world.frames + 1, n)
        for i in range(n):
            kinds = rng.choice(world.kinds, world.things, replace=False, p=share)
            places = [(r, c) for r in range(0, side - 1, 2) for c in range(0, side - 1, 2)]
            for kind, at in zip(kinds, rng.choice(len(places), world.things, replace=False), strict=True):
                r, c = places[at]
                shown[i, r : r + 2, c : c + 2] = kind
            room = lengths[i] - 5 * world.things
            gaps = np.sort(rng.integers(0, room + 1, world.things))
            for k, kind in enumerate(rng.permutation(kinds)):
                start = gaps[k] + 5 * k
                said[i, start : start + 5], part[i, start : start + 5] = kind, np.arange(5)
        chance = torch.Generator().manual_seed(seed + 7919 * (world.seed + 1))
        where, tells = torch.from_numpy(shown.reshape(n, -1)), torch.from_numpy(said)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=chance)

        cells = world.noise * normal(n, side * side, world.looks)
        cells += (where >= 0)[..., None] * looks[where.clamp(min=0)]
        varied = world.variation * normal(n, world.kinds, world.looks)  # a thing looks alike on all its cells
        cells += (where >= 0)[..., None] * varied.gather(1, where.clamp(min=0)[..., None].expand(-1, -1, world.looks))
        frames = world.noise * normal(n, world.frames, world.sounds) + 0.7 * normal(n, 1, world.sounds)
        frames += (tells >= 0)[..., None] * names[tells.clamp(min=0), torch.from_numpy(part)]
        real = torch.arange(world.frames)[None] < torch.from_numpy(lengths)[:, None]
        return Pairs(cells, frames * real[..., None], where, tells, real, max(1, n // size), size)

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        order = np.random.default_rng((7, epoch)).permutation(len(self.cells))
        return self.take(torch.from_numpy(order[index * self.size : (index + 1) * self.size][rank::world]))

    def items(self, steps: int) -> int:
        return steps * self.size

    def take(self, rows: Tensor) -> Batch:
        return Batch(
            {"audio": Padded(self.frames[rows].transpose(1, 2), self.real[rows]), "image": Padded(self.cells[rows])},
            rows.clone(),
            [str(i) for i in rows.tolist()],
        )


class FrameTower(nn.Module):
    """Two convolutions over frames and a gate: (B, sounds, T) → Features."""

    def __init__(self, sounds: int, dim: int, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList([nn.Conv1d(sounds, width, 5, padding=2), nn.Conv1d(width, width, 5, padding=2)])
        self.value, self.gate = nn.Linear(width, dim), nn.Linear(width, 1)

    def forward(self, x: Padded) -> Features:
        assert x.mask is not None
        h = x.values
        for layer in self.layers:
            h = F.gelu(layer(h)) * x.mask[:, None]
        h = h.transpose(1, 2)
        local = self.value(h) * torch.sigmoid(self.gate(h)) * x.mask[..., None]
        return Features(pool(local, x.mask), local, x.mask, 0.04, h)


class GridTower(nn.Module):
    """The same two layers for every cell: (B, P, looks) → Features."""

    def __init__(self, looks: int, dim: int, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(nn.Linear(looks, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.value, self.gate = nn.Linear(width, dim), nn.Linear(width, 1)

    def forward(self, x: Padded) -> Features:
        h = self.layers(x.values)
        local = self.value(h) * torch.sigmoid(self.gate(h))
        mask = torch.ones(local.shape[:2], dtype=torch.bool)
        side = round(local.shape[1] ** 0.5)
        return Features(pool(local, mask), local, mask, (side, side), h)
