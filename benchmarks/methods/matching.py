"""Template matching: a piece of a picture found again by normalised cross-correlation of pixels."""

from __future__ import annotations

import math
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["correlated"]

SIZES = ((16, 16), (20, 20), (26, 26), (14, 24), (24, 14))
ANGLES = (-30.0, 0.0, 30.0)


def correlated(pictures: Tensor, exemplars: Tensor) -> Tensor:
    """(N, 3, H, W) pictures and (N × K, 3, h, w) exemplars of them → (N × K, 6) boxes: where normalised
    cross-correlation of pixels, over sizes, proportions, angles and both ways round, finds each exemplar."""
    each = len(exemplars) // len(pictures)
    out = []
    for i, exemplar in enumerate(exemplars):
        best, where = -2.0, torch.zeros(6)
        for (high, wide), angle in product(SIZES, ANGLES):
            templates, inside = zip(*(_turned(exemplar, high, wide, angle, m) for m in (1.0, -1.0)), strict=True)
            scores = _normalised(pictures[i // each], torch.stack(templates), torch.stack(inside)).amax(0)
            value, at = scores.flatten().max(0)
            if float(value) > best:
                best, (y, x), (h, w) = float(value), divmod(int(at), scores.shape[1]), inside[0].shape
                where = torch.tensor([x + w / 2, y + h / 2, wide / 2, high / 2, math.radians(angle), 1.0])
        out.append(where)
    return torch.stack(out)


def _turned(exemplar: Tensor, high: int, wide: int, angle: float, mirrored: float) -> tuple[Tensor, Tensor]:
    """An exemplar as it would lie in a picture, and which pixels of its frame it fills."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    h, w = int(high * cos + wide * abs(sin)), int(wide * cos + high * abs(sin))
    y, x = torch.meshgrid(torch.arange(h) - (h - 1) / 2, torch.arange(w) - (w - 1) / 2, indexing="ij")
    u, v = (x * cos + y * sin) * 2 / wide, (y * cos - x * sin) * 2 / high
    small = F.interpolate(exemplar[None], (high, wide), mode="bilinear", antialias=True, align_corners=False)
    cut = F.grid_sample(small, torch.stack([mirrored * u, v], -1)[None].float(), align_corners=False)[0]
    return cut, ((u.abs() <= 1) & (v.abs() <= 1)).float()


def _normalised(image: Tensor, templates: Tensor, inside: Tensor) -> Tensor:
    """(3, H, W), (n, 3, h, w) and what counts of them → (n, H − h + 1, W − w + 1) correlations, over all channels."""
    mask = inside[:, None].expand_as(templates)
    count = mask.sum((1, 2, 3), keepdim=True)
    centred = (templates - (templates * mask).sum((1, 2, 3), keepdim=True) / count) * mask
    top = F.conv2d(image[None], centred)[0]
    total, square = F.conv2d(image[None], mask)[0], F.conv2d(image[None] ** 2, mask)[0]
    spread = (square - total**2 / count[:, 0]).clamp(min=1e-6)
    return top / (spread * centred.square().sum((1, 2, 3))[:, None, None].clamp(min=1e-6)).sqrt()
