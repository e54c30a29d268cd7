"""Vectors of one number of positions read at another number of them."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["stretch"]


def stretch(x: Tensor, mask: Tensor, onto: Tensor) -> Tensor:
    """(B, N, H) whose first positions are real → (B, M, H), the real ones of x spread over those of ``onto``.

    Position m of an item of length q is read at (m + 1/2) p / q − 1/2 of its p, between the two nearest. Equal lengths
    are left as they are.

    Args:
        mask: (B, N) bool, ``onto`` (B, M) bool.
    """
    p, q = mask.sum(1)[:, None], onto.sum(1)[:, None].clamp(min=1)
    at = (torch.arange(onto.shape[1], device=x.device)[None] + 0.5) * p / q - 0.5
    at = torch.minimum(at.clamp(min=0), (p - 1).clamp(min=0))
    low = at.floor().long()
    high = torch.minimum(low + 1, (p - 1).clamp(min=0))
    share = (at - low)[..., None].to(x.dtype)

    def take(index: Tensor) -> Tensor:
        return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))

    return ((1 - share) * take(low) + share * take(high)) * onto[..., None]
