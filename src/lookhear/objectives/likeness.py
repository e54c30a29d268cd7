"""How differently two sets of vectors see the relations among the same items; neither needs the other's space."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["RELATIONS", "angles", "distances", "gram", "neighbours"]


def _apart(x: Tensor) -> Tensor:
    """(B, D) → (B, B) distances divided by the mean of those that are not zero."""
    square = (x[:, None] - x[None]).pow(2).sum(-1)
    off = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    far = square.clamp(min=1e-12).sqrt() * off
    return far / far[off].mean().clamp(min=1e-6)


def distances(s: Tensor, t: Tensor) -> Tensor:
    """RKD-D (Park et al., 2019, eq. 5–7): Huber loss of distances, each set divided by its mean; over all B² pairs."""
    return F.smooth_l1_loss(_apart(s), _apart(t))


def _corners(x: Tensor) -> Tensor:
    """(B, D) → (B, B, B) cosines of the angle at the first item between the second and the third."""
    side = F.normalize(x[None] - x[:, None], dim=-1)
    return side @ side.transpose(1, 2)


def angles(s: Tensor, t: Tensor) -> Tensor:
    """RKD-A (Park et al., 2019, eq. 8–10): Huber loss of the cosines in all B³ triplets."""
    return F.smooth_l1_loss(_corners(s), _corners(t))


def gram(s: Tensor, t: Tensor) -> Tensor:
    """SP (Tung and Mori, 2019, eq. 1–4): mean square between B × B Gram matrices whose rows have unit length."""
    return F.mse_loss(F.normalize(s @ s.T, dim=1), F.normalize(t @ t.T, dim=1))


def neighbours(s: Tensor, t: Tensor) -> Tensor:
    """PKT (Passalis and Tefas, 2018, eq. 3–7): KL(t ‖ s) of rows of (cos + 1) / 2 that add up to 1, averaged over rows.

    An item is not its own neighbour, so that its cosine of 1 does not hide the others.
    """
    off = ~torch.eye(len(s), dtype=torch.bool, device=s.device)

    def rows(x: Tensor) -> Tensor:
        unit = F.normalize(x, dim=-1)
        near = ((unit @ unit.T + 1) / 2).clamp(min=1e-7)[off].view(len(x), -1)
        return near / near.sum(1, keepdim=True)

    p, q = rows(t), rows(s)
    return (p * (p.log() - q.log())).sum(1).mean()


RELATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "distances": distances,
    "angles": angles,
    "gram": gram,
    "neighbours": neighbours,
}
"""Each takes (B, D) vectors of the student and (B, E) of the teacher and gives a scalar."""
