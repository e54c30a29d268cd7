"""Histograms of oriented gradients: which way edges run in each cell of a picture or a spectrogram."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Hog", "cells_of"]

_SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


class Hog(nn.Module):
    """(B, C, X, Y) → (B, X / x, Y / y, C × bins) for cells of (x, y) (Dalal and Triggs, 2005, as in MaskFeat, 2022).

    Sobel gradients of each channel, the border reflected; each place adds the length of its gradient to the bin of its
    direction, of ``bins`` over half a turn; then each histogram has unit length, or is zero where nothing changes.
    A factor or a constant on the values changes nothing.
    """

    kernels: Tensor

    def __init__(self, cell: tuple[int, int], bins: int = 9) -> None:
        super().__init__()
        self.cell, self.bins = cell, bins
        kernel = torch.tensor(_SOBEL)
        self.register_buffer("kernels", torch.stack([kernel, kernel.T])[:, None], persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        b, c, height, width = x.shape
        planes = F.pad(x.float(), (1, 1, 1, 1), mode="reflect").flatten(0, 1)[:, None]
        across, down = F.conv2d(planes, self.kernels).unbind(1)
        size = torch.hypot(across, down)
        bin_of = (torch.atan2(across, down) / math.pi * self.bins).floor().long() % self.bins
        parts = torch.zeros(b * c, self.bins, height, width, device=x.device)
        parts.scatter_(1, bin_of[:, None], size[:, None])
        histogram = F.avg_pool2d(parts, self.cell) * (self.cell[0] * self.cell[1])
        unit = F.normalize(histogram, dim=1, eps=1e-6)
        return unit.view(b, c * self.bins, *unit.shape[2:]).permute(0, 2, 3, 1)


def cells_of(x: Tensor, cell: tuple[int, int]) -> Tensor:
    """(B, C, X, Y) → (B, X / x, Y / y, C × x × y), each cell's own values."""
    b, c, height, width = x.shape
    rows, columns = height // cell[0], width // cell[1]
    parts = x.view(b, c, rows, cell[0], columns, cell[1])
    return parts.permute(0, 2, 4, 1, 3, 5).flatten(3)
