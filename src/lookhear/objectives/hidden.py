"""A recording or picture as the mean of its hidden vectors, which heads of stages read."""

from __future__ import annotations

from torch import Tensor

from lookhear.core import Features

__all__ = ["mean_hidden"]


def mean_hidden(features: Features) -> Tensor:
    """Features of B items → (B, H) means of their real hidden vectors."""
    assert features.hidden is not None
    real = features.mask[..., None]
    return (features.hidden * real).sum(1).float() / real.sum(1).clamp(min=1)
