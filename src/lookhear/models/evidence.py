"""What single words a recording is heard to say, added to its whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Features
from lookhear.scoring import Compatibility

__all__ = ["WordEvidence"]


class WordEvidence(nn.Module):
    """Adds the words that stand out in a recording to its pooled vector.

    x' = unit(x + β unit(e − m)), e = unit(Σ max(0, z − 1) q) over words with vectors q: z is the recording's best
    moment for the word (``Compatibility.peak``) in standard deviations above its mean over training recordings, and m
    the mean of e over them. The whole is trained to tell one training picture from the others and learns much of that
    by heart; single words are what carries over to pictures never seen. Measured: docs/architecture.md, "Speech".

    Attributes:
        names: the words.
        weight: β.
    """

    words: Tensor
    mean: Tensor
    deviation: Tensor
    middle: Tensor

    def __init__(self, names: Iterable[str], dim: int, weight: float) -> None:
        super().__init__()
        self.names, self.weight = tuple(names), weight
        count = len(self.names)
        self.register_buffer("words", torch.zeros(count, dim))
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("middle", torch.zeros(dim))

    def forward(self, features: Features, compatibility: Compatibility) -> Features:
        """Features of recordings → the same with another (B, D) pooled vector."""
        evidence = self._evidence(compatibility.peak(features, self.words))
        added = self.weight * F.normalize(evidence - self.middle, dim=-1)
        return replace(features, pooled=F.normalize(features.pooled.float() + added, dim=-1))

    def learn(self, peaks: Tensor) -> None:
        """Takes means and deviations from the (recordings, words) best moments of training recordings."""
        self.mean.copy_(peaks.mean(0))
        self.deviation.copy_(peaks.std(0, correction=0).clamp(min=1e-6))
        self.middle.copy_(self._evidence(peaks).mean(0))

    def _evidence(self, peaks: Tensor) -> Tensor:
        z = (peaks - self.mean) / self.deviation
        return F.normalize((z - 1).relu() @ self.words, dim=-1)
