"""What a tower answers to all pictures of a batch, and how far two such answers are apart."""

from __future__ import annotations

import torch
from torch import Tensor

from lookhear.core import gather
from lookhear.objectives.base import Views

__all__ = ["bank_of", "divergence"]


def bank_of(views: Views) -> Tensor:
    """(K, D) vectors of the pictures of the batch, over all processes, and of those that it brings along."""
    bank, more = gather(views["image"].pooled), views.more("image")
    return (bank if more is None else torch.cat([bank, more[0].pooled])).float()


def divergence(p: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """T² KL(p ‖ softmax(z / T)) of each row of (B, K) probabilities and logits (Hinton et al., 2015) → (B,).

    A sum over answers, not a mean: divided by their number the loss would fade as pictures become more.
    """
    kl: Tensor = (torch.xlogy(p, p) - p * (logits / temperature).log_softmax(1)).sum(1)
    return kl * (temperature * temperature)
