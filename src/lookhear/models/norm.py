"""Statistics over the batch of all processes: batch normalisation of real frames, and the middle of pooled vectors."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lookhear.core import unit_from

__all__ = ["Centre", "MaskedBatchNorm"]


def _over_processes(sums: Tensor) -> Tensor:
    """Sums of this process → those of all, with gradient."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return sums
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(sums)  # type: ignore[no-untyped-call]
    return total


class Centre(nn.Module):
    """Unit vectors seen from their running mean (see ``unit_from``), which no gradient reaches."""

    mean: Tensor

    def __init__(self, dim: int, momentum: float = 0.02) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) unit vectors → (B, D) unit vectors, from the mean as it was before this batch."""
        seen = unit_from(self.mean.clone(), x)
        if self.training:
            with torch.no_grad():
                sums = _over_processes(torch.cat([x.float().sum(0), x.new_tensor([len(x)], dtype=torch.float32)]))
                self.mean.lerp_(sums[:-1] / sums[-1], self.momentum)
        return seen


class MaskedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015) over the real frames of a padded batch.

    Means and variances are taken over the frames where the mask is True and over all processes, so neither padding
    nor the split of a batch between processes changes them.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.momentum, self.eps = momentum, eps

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, T), (B, T) bool → (B, C, T)."""
        mean, var = self._moments(x, mask) if self.training else (self.mean, self.var)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        return torch.addcmul(shift[:, None].to(x.dtype), x, scale[:, None].to(x.dtype))

    def _moments(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        m = mask[:, None].to(x.dtype)
        real = x * m
        # Summed in single precision whatever the activations are kept in.
        total, squares = (v.sum((0, 2), dtype=torch.float32) for v in (real, real * real))
        sums = _over_processes(torch.cat([total, squares, mask.sum().reshape(1).float()]))
        c = x.shape[1]
        count = sums[-1].clamp(min=1)
        mean = sums[:c] / count
        var = (sums[c : 2 * c] / count - mean.square()).clamp(min=0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.var.lerp_(var * count / (count - 1).clamp(min=1), self.momentum)
        return mean, var
