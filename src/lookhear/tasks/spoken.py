"""Spoken words as queries: what a recording says in a word's moments, cut out of it as one vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Features
from lookhear.errors import UserError

__all__ = ["spoken_queries"]

Spans = list[tuple[float, float]]


def spoken_queries(parts: Sequence[Features], asked: Sequence[tuple[int, Spans]]) -> Tensor:
    """(Q, D) unit vectors: the mean of a recording's local vectors over a word's moments, each as long as it is.

    Gates stay in the mean, as in the moving average of ``Compatibility.curve``. A word so short that no vector's
    centre, (n + 0.5) × step, lies in it is the vector nearest to its middle.

    Args:
        parts: features of recordings, in chunks.
        asked: the position of a recording and (start, end) in seconds of what it says, for each query.

    Raises:
        UserError: the speech tower has no vectors in time.
    """
    if not parts or not isinstance(parts[0].step, float):
        raise UserError(
            "this model's speech tower has no frames in time", "Spoken words need a tower with local vectors."
        )
    where = [(p, i) for p, part in enumerate(parts) for i in range(len(part))]
    out = []
    for recording, spans in asked:
        p, i = where[recording]
        local = parts[p].local[i][parts[p].mask[i]].float()
        out.append(local[_within(len(local), parts[0].step, spans)].mean(0))
    return F.normalize(torch.stack(out), dim=-1)


def _within(n: int, step: float, spans: Spans) -> Tensor:
    """(n,) bool: frames whose centre lies in a span; of a span without any, the nearest."""
    centre = (np.arange(n) + 0.5) * step
    inside = np.zeros(n, dtype=bool)
    for start, end in spans:
        here = (centre >= start) & (centre <= end)
        if not here.any():
            here[np.abs(centre - (start + end) / 2).argmin()] = True
        inside |= here
    return torch.from_numpy(inside)
