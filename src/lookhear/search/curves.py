"""Score curves of queries over time: single vectors, phrases whose words stand near each other, what is not meant."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Features
from lookhear.models.calibration import Calibration
from lookhear.moments import APART
from lookhear.scoring import Compatibility
from lookhear.search.queries import Asked

__all__ = ["NEAR", "Curves"]

NEAR = 1.0
"""Seconds on either side within which the words of a phrase must be said."""


class Curves:
    """The curves of some queries, in two steps: of their parts, then of the queries.

    A part's curve is the cosine of its vector with the local vectors (``Compatibility.curve``). For a phrase of several
    parts the curve at a moment is the mean, over the parts, of each one's best within ``NEAR`` seconds (as
    ``scoring.read_text`` reads texts, but near each other). Where something that is not meant is met better within
    ``APART`` seconds, the curve is −inf. With a calibration, parts are compared and averaged as log-odds, else as
    cosines.

    Args:
        asked: Q queries.
    """

    def __init__(self, asked: Sequence[Asked], compatibility: Compatibility, calibration: Calibration | None) -> None:
        self.compatibility = compatibility
        phrases = [*asked, *(n for a in asked for n in a.against)]
        self.vectors = torch.cat([p.parts for p in phrases])
        self.calibrated = calibration is not None
        self.slope, self.intercept = torch.ones(len(self.vectors)), torch.zeros(len(self.vectors))
        if calibration is not None:
            self.slope, self.intercept = calibration.line(self.vectors, [w for p in phrases for w in p.words])
        ends = torch.tensor([len(p.parts) for p in phrases]).cumsum(0).tolist()
        columns = [list(range(end - len(p.parts), end)) for p, end in zip(phrases, ends)]
        self.parts = columns[: len(asked)]
        """Columns of each query's parts."""
        negatives = iter(columns[len(asked) :])
        self.against = [[next(negatives) for _ in a.against] for a in asked]

    def of_parts(self, features: Features) -> Tensor:
        """Features of one item → (N, parts) cosines."""
        return self.compatibility.curve(features, self.vectors)[0]

    def of_queries(self, cosines: Tensor, step: float) -> Tensor:
        """(N, parts) → (N, Q): log-odds of a calibrated model, else cosines; −inf where something else is meant."""
        values = cosines * self.slope + self.intercept
        single = [columns[0] for columns in self.parts]
        out = values[:, single].clone()  # a copy: several queries may share columns
        for q, columns in enumerate(self.parts):
            if len(columns) > 1:
                out[:, q] = _near(values[:, columns], NEAR, step).mean(1)
            for other in self.against[q]:
                meant_less = values[:, other[0]] if len(other) == 1 else _near(values[:, other], NEAR, step).mean(1)
                out[:, q].masked_fill_(_near(meant_less[:, None], APART, step)[:, 0] > out[:, q], float("-inf"))
        return out


def _near(values: Tensor, seconds: float, step: float) -> Tensor:
    """(N, C) → the highest value within so many seconds of each frame."""
    radius = max(1, round(seconds / step))
    return F.max_pool1d(values.T[None], 2 * radius + 1, stride=1, padding=radius)[0].T
