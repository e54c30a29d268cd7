"""Made pictures for criteria: textured things on a textured ground, and which texture each cell shows.

A texture is a pattern (stripes, checks, dots, waves, rings, zigzags) of any period, direction and pair of colours, so
that neither colour nor direction tells the kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["KINDS", "Textures"]

EDGE, CELL, THINGS = 64, 8, 4
KINDS = ("ground", "stripes", "checks", "dots", "waves", "rings", "zigzags")


def _pattern(kind: int, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W) in [−1, 1]."""
    angle, period, phase = rng.uniform(0, 2 * np.pi), rng.uniform(5, 9), rng.uniform(0, 2 * np.pi, 2)
    u = 2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)) + phase[0]
    v = 2 * np.pi / period * (y * np.cos(angle) - x * np.sin(angle)) + phase[1]
    if kind == 1:
        wave = np.sin(u)
    elif kind == 2:
        wave = np.sin(u) * np.sin(v) * 4
    elif kind == 3:
        wave = (np.sin(u) * np.sin(v)).clip(0) * 4 - 1.4
    elif kind == 4:
        wave = np.sin(u + 1.6 * np.sin(v / 1.6))
    elif kind == 5:
        wave = np.sin(2 * np.pi / period * np.hypot(x, y) + phase[0])
    else:
        wave = np.sin(u + 2 * np.abs(v / np.pi % 2 - 1) * np.pi / 2)
    return np.tanh(3 * wave)


def _ground(rng: np.random.Generator) -> np.ndarray:
    """(H, W) in [−1, 1]: coarse spots without a pattern."""
    coarse = torch.from_numpy(rng.standard_normal((1, 1, 12, 12)))
    return torch.tanh(torch.nn.functional.interpolate(coarse, size=EDGE, mode="bicubic")[0, 0]).numpy()


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that are not equally bright."""
    while True:
        a, b = rng.uniform(0, 1, (2, 3))
        if abs((a - b) @ (0.3, 0.59, 0.11)) > 0.25:
            return a, b


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:EDGE, :EDGE].astype(float)
    shown = np.zeros((EDGE, EDGE), dtype=np.int64)
    a, b = _colours(rng)
    image = a + (b - a) * (_ground(rng)[..., None] * 0.5 + 0.5)
    for _ in range(THINGS):
        kind, (cx, cy), (w, h), turn = (
            rng.integers(1, 7),
            rng.uniform(8, 56, 2),
            rng.uniform(9, 17, 2),
            rng.uniform(0, 3),
        )
        right, down = x - cx, y - cy
        u, v = right * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - right * np.sin(turn)
        inside = np.hypot(u / w, v / h) < 1 if rng.random() < 0.5 else np.maximum(np.abs(u) / w, np.abs(v) / h) < 0.9
        a, b = _colours(rng)
        pattern = _pattern(int(kind), right, down, rng)[..., None] * 0.5 + 0.5
        image = np.where(inside[..., None], a + (b - a) * pattern, image)
        shown[inside] = kind
    slope = rng.uniform(-0.2, 0.2, 2)
    light = 1 + slope[0] * (x / 32 - 1) + slope[1] * (y / 32 - 1)
    image = image * light[..., None] + 0.04 * rng.standard_normal(image.shape)
    return (image.clip(0, 1) * 255).astype(np.uint8), shown


@dataclass(frozen=True)
class Textures:
    """``pictures`` (N, 3, 64, 64) uint8, and ``cells`` (N, 64): the kind that most of each 8 × 8 cell shows."""

    pictures: Tensor
    cells: np.ndarray

    @staticmethod
    def make(count: int, seed: int) -> Textures:
        rng = np.random.default_rng((seed, 11))
        images, cells, side = [], [], EDGE // CELL
        for _ in range(count):
            image, shown = _scene(rng)
            images.append(image)
            parts = shown.reshape(side, CELL, side, CELL).swapaxes(1, 2).reshape(side * side, -1)
            cells.append((parts[..., None] == np.arange(len(KINDS))).sum(1).argmax(1))
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return Textures(stacked, np.stack(cells))
