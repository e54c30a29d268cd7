"""The archive as points in a plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.serve.files import shown
from lookhear.serve.schemas import ArchiveMap, Point

__all__ = ["draw_map", "principal"]


def principal(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """(n, D) vectors → (n, 2) coordinates along their first two principal components, and each one's share of variance.

    The signs are chosen so that the largest coordinate of either axis is positive: the same vectors give the same map.
    """
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    if len(vectors) < 2 or not centred.any():
        return np.zeros((len(vectors), 2)), (0.0, 0.0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes, values = axes[:, ::-1][:, :2], values[::-1]
    at = centred @ axes
    at *= np.where(at[np.abs(at).argmax(0), np.arange(at.shape[1])] < 0, -1.0, 1.0)
    share = values[:2].clip(min=0) / values.clip(min=0).sum()
    if at.shape[1] < 2:  # vectors of one number
        at, share = np.pad(at, ((0, 0), (0, 1))), np.pad(share, (0, 1))
    return at, (float(share[0]), float(share[1]))


def draw_map(index: Any, most: int, seed: int = 0) -> ArchiveMap:
    """Up to ``most`` rows of an index, chosen at random."""
    rows = index.sample(most, seed)
    at, share = principal(index.pooled(rows)) if rows else (np.zeros((0, 2)), (0.0, 0.0))
    points = [
        Point(
            file=row.source.id, name=shown(Path(row.file).name), start=row.start, end=row.end, modality=row.modality,
            x=round(float(x), 5), y=round(float(y), 5),
        )
        for row, (x, y) in zip(rows, at)
    ]  # fmt: skip
    return ArchiveMap(points=points, explained=share)
