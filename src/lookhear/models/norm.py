"""Statistics over the batch of all processes: batch normalisation of real frames, and the middle of pooled vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookhear.core import processes, unit_from

__all__ = ["Centre", "MaskedBatchNorm", "RowBatchNorm"]


def _over_processes(sums: Tensor) -> Tensor:
    """Sums of this process → those of all, with gradient."""
    if processes() == 1:
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


class _BatchNorm(nn.Module):
    """Parameters and running statistics of a batch normalisation, and how they are learned from sums."""

    mean: Tensor
    var: Tensor

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))
        self.momentum, self.eps = momentum, eps

    def _affine(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """(C,) factors and (C,) shifts."""
        scale = self.weight * torch.rsqrt(var + self.eps)
        return scale, self.bias - mean * scale

    def _moments(self, total: Tensor, squares: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        """Sums (C,), (C,) and number () of this process's frames → mean and variance over all processes'."""
        c = len(total)
        sums = _over_processes(torch.cat([total, squares, count.reshape(1).float()]))
        count = sums[-1].clamp(min=1)
        mean = sums[:c] / count
        var = (sums[c : 2 * c] / count - mean.square()).clamp(min=0)
        self._remember(mean, var, count)
        return mean, var

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        self.mean.lerp_(mean, self.momentum)
        self.var.lerp_(var * count / (count - 1).clamp(min=1), self.momentum)


class MaskedBatchNorm(_BatchNorm):
    """Batch normalisation (Ioffe and Szegedy, 2015) over the real frames of a padded batch.

    Means and variances are taken over the frames where the mask is True and over all processes, so neither padding
    nor the split of a batch between processes changes them.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, T), (B, T) bool → (B, C, T)."""
        mean, var = self.mean, self.var
        if self.training:
            real = x * mask[:, None].to(x.dtype)
            # Summed in single precision whatever the activations are kept in.
            total, squares = (v.sum((0, 2), dtype=torch.float32) for v in (real, real * real))
            mean, var = self._moments(total, squares, mask.sum())
        scale, shift = self._affine(mean, var)
        return torch.addcmul(shift[:, None].to(x.dtype), x, scale[:, None].to(x.dtype))


class RowBatchNorm(_BatchNorm):
    """``MaskedBatchNorm`` where the real frames alone are given, one row each; the same answers and statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(R, C) → (R, C)."""
        mean, var = self.mean, self.var
        if self.training:
            if processes() == 1:  # torch's own, in one piece; its backward pass must not see our statistics move on
                out, mean, rstd = torch.native_batch_norm(
                    x, self.weight, self.bias, None, None, True, self.momentum, self.eps
                )
                self._remember(mean, rstd.pow(-2) - self.eps, mean.new_tensor(len(x)))
                return out
            total, squares = (v.sum(0, dtype=torch.float32) for v in (x, x * x))
            mean, var = self._moments(total, squares, x.new_tensor(len(x), dtype=torch.float32))
        scale, shift = self._affine(mean, var)
        return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype))
