"""How local vectors meet a query: one object for loss, retrieval, spotting, localisation and search."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Features, Section, Span

__all__ = ["Compatibility", "spans_above"]


class Compatibility(Section):
    """The reading of local vectors that a model was trained with.

    ``sum``: the pooled vector is the unit vector along the sum of the local ones (each already carries its gate), so
    the pooled similarity is a sum of local contributions and the place of a word is where its contribution peaks.
    ``max``: the largest cosine of any local vector. ``attention``: cosines weighted by their own softmax, sharpened
    by ``temperature``.

    Attributes:
        smooth: width, in seconds, of the window that averages a score curve over time; a word lasts about 0.3 s, so
            the peak of the smoothed curve lies inside it rather than on one lucky frame.
    """

    kind: Literal["sum", "max", "attention"] = "sum"
    temperature: float = 10.0
    smooth: float = 0.2

    def curve(self, features: Features, query: Tensor) -> Tensor:
        """Local scores (B, N, Q) of unit queries (Q, D); −inf outside the mask.

        For ``sum`` they are contributions, whose scale is that of the local vectors; else cosines.
        """
        local = features.local if self.kind == "sum" else F.normalize(features.local, dim=-1)
        scores = local.float() @ query.float().T
        mask = features.mask[..., None]
        if isinstance(features.step, float) and self.smooth > 0:
            width = max(1, round(self.smooth / features.step)) // 2 * 2 + 1
            if width > 1:
                scores = _moving_average(scores, features.mask, width)
        return scores.masked_fill(~mask, float("-inf"))

    def peak(self, features: Features, query: Tensor) -> Tensor:
        """(B, Q): the highest point of each curve."""
        return self.curve(features, query).amax(1)

    def pooled(self, features: Features, query: Tensor) -> Tensor:
        """(B, Q) similarity in [-1, 1] of whole items to unit queries (Q, D)."""
        if self.kind == "sum":
            return features.pooled.float() @ query.float().T
        cosines = F.normalize(features.local.float(), dim=-1) @ query.float().T
        cosines = cosines.masked_fill(~features.mask[..., None], float("-inf"))
        if self.kind == "max":
            return cosines.amax(1)
        weights = (cosines * self.temperature).softmax(1)
        return (weights * cosines.masked_fill(~features.mask[..., None], 0)).sum(1)


def _moving_average(scores: Tensor, mask: Tensor, width: int) -> Tensor:
    """(B, N, Q) → the mean over ``width`` frames around each, over real frames only."""
    m = mask[:, None].to(scores.dtype)
    kernel = scores.new_ones(1, 1, width)
    b, n, q = scores.shape
    flat = (scores * mask[..., None]).transpose(1, 2).reshape(b * q, 1, n)
    total = F.conv1d(flat, kernel, padding=width // 2).view(b, q, n)
    count = F.conv1d(m, kernel, padding=width // 2).clamp(min=1)
    return (total / count).transpose(1, 2)


def spans_above(curve: Tensor, step: float, threshold: float, offset: float = 0.0) -> list[Span]:
    """Stretches of a (N,) score curve at or above the threshold, each scored by its peak.

    Args:
        curve: local scores; −inf where there is nothing.
        step: seconds per frame; a frame covers [n × step, (n + 1) × step].
        threshold: lowest score that counts.
        offset: seconds to add to every time.
    """
    above = (curve >= threshold).to(torch.int8)
    edges = torch.diff(above, prepend=above.new_zeros(1), append=above.new_zeros(1))
    starts, ends = torch.nonzero(edges == 1).flatten().tolist(), torch.nonzero(edges == -1).flatten().tolist()
    return [
        Span(offset + a * step, offset + b * step, float(curve[a:b].max())) for a, b in zip(starts, ends, strict=True)
    ]
