"""A dictionary of codes that follows its data by moving averages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import gather, processes
from lookhear.objectives.late import register_late_buffer

__all__ = ["Quantizer", "real_rows"]

LLOYD = 5
"""Rounds of k-means that the first batch's codes are made by."""


def real_rows(x: Tensor, mask: Tensor) -> Tensor:
    """(B, N, D), (B, N) of this process → (R, D) real rows of all processes, whatever their N, without gradient."""
    x = x.detach().float()
    if processes() > 1:
        import torch.distributed as dist

        longest = torch.tensor([x.shape[1]], device=x.device)
        dist.all_reduce(longest, dist.ReduceOp.MAX)
        more = int(longest) - x.shape[1]
        x, mask = F.pad(x, (0, 0, 0, more)), F.pad(mask, (0, more))
        x, mask = gather(x), gather(mask)
    return x[mask]


class Quantizer(nn.Module):
    """K codes, each the moving average of the rows that are nearest to it (van den Oord et al., 2017, appendix A.1).

    The first rows make the codes: the farthest from those chosen before, one after another, then rounds of k-means.
    After that n ← d n + (1 − d) count, m ← d m + (1 − d) sum, code = m / n. A code that ``rare`` rows a step or fewer
    chose on average is restarted, its count and sum with it, at the row that its own code fits worst. Nothing is drawn
    at random, and rows are taken in no order, so that two processes and one make the same codes.
    """

    codes: Tensor
    count: Tensor
    total: Tensor

    def __init__(self, size: int, decay: float, rare: float) -> None:
        """
        Args:
            size: K.
            decay: d, a step.
            rare: rows a step.
        """
        super().__init__()
        self.size, self.decay, self.rare = size, decay, rare
        register_late_buffer(self, "codes", torch.zeros(size, 0))
        register_late_buffer(self, "total", torch.zeros(size, 0))
        self.register_buffer("count", torch.zeros(size))

    @property
    def begun(self) -> bool:
        return self.codes.shape[1] > 0

    @torch.no_grad()
    def begin(self, rows: Tensor) -> None:
        """Makes the codes of the first (R, D) rows, R ≥ K."""
        chosen = [int((rows - rows.mean(0)).square().sum(1).argmax())]
        far = (rows - rows[chosen[0]]).square().sum(1)
        for _ in range(self.size - 1):
            chosen.append(int(far.argmax()))
            far = far.minimum((rows - rows[chosen[-1]]).square().sum(1))
        self.codes = rows[chosen].clone()
        for _ in range(LLOYD):
            count, total = self._gathered(rows)
            self.codes = torch.where((count > 0)[:, None], total / count.clamp(min=1)[:, None], self.codes)
        count, _ = self._gathered(rows)
        self.count.copy_(count)
        self.total = self.codes * count[:, None]

    def nearest(self, x: Tensor) -> Tensor:
        """(…, D) → (…) numbers of the nearest codes."""
        flat = x.detach().float().reshape(-1, x.shape[-1])
        return (self.codes.square().sum(1) - 2 * flat @ self.codes.T).argmin(1).view(x.shape[:-1])

    def quantise(self, x: Tensor, index: Tensor) -> Tensor:
        """(…, D) and their codes → the codes, with the gradient of x (straight-through)."""
        return x + (self.codes[index] - x).detach()

    @torch.no_grad()
    def follow(self, rows: Tensor) -> None:
        """One step of the moving averages, by the (R, D) rows of all processes."""
        count, total = self._gathered(rows)
        self.count.lerp_(count, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        self.codes = self.total / self.count.clamp(min=1e-6)[:, None]
        dead = (self.count <= self.rare).nonzero()[:, 0][: len(rows)]
        if len(dead):
            wrong = (rows - self.codes[self.nearest(rows)]).square().sum(1)
            fresh = rows[wrong.topk(len(dead)).indices]
            # Counts as well, or the next step would draw the code back to where nobody was.
            mean = self.count.mean().clamp(min=2 * self.rare + 1e-3)
            self.codes[dead], self.total[dead], self.count[dead] = fresh, fresh * mean, mean

    def _gathered(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(K,) how many rows each code has, and (K, D) their sums."""
        index = self.nearest(rows)
        count = torch.bincount(index, minlength=self.size).to(rows.dtype)
        return count, torch.zeros_like(self.codes).index_add_(0, index, rows)

    @property
    def used(self) -> Tensor:
        """Share of codes that are chosen more than rarely."""
        return (self.count > self.rare).float().mean()

    @property
    def perplexity(self) -> Tensor:
        """exp of the entropy of how often codes are chosen: K where all are chosen alike."""
        p = self.count / self.count.sum().clamp(min=1e-9)
        return torch.exp(-(p * p.clamp(min=1e-12).log()).sum())
