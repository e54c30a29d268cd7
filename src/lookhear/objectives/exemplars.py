"""Exemplars cut out of a picture or recording, and which share of each of its positions they cover."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Padded, lengths_to_mask

__all__ = ["boxes", "boxes_cover", "cut_boxes", "cut_spans", "spans", "spans_cover"]

POINTS = 4
"""Along each edge of a position, at which it is asked whether a box covers it."""


def boxes(
    count: int,
    size: tuple[int, int],
    area: tuple[float, float],
    aspect: float,
    turn: float,
    flip: bool,
    rng: torch.Generator,
) -> Tensor:
    """(count, 6): boxes within a picture of ``size`` (height, width) pixels, wherever they fit.

    A row is the middle (x, y), half the width and half the height, in pixels; the angle in radians by which the box is
    turned; and −1 where it is mirrored, else 1. A box that would be longer than the picture is made smaller as it is.

    Args:
        area: smallest and largest share of the picture's.
        aspect: a box is up to so many times as wide as high, or as high as wide.
        turn: largest angle, in degrees, either way.
    """
    chance = torch.rand(count, 6, generator=rng)
    height, width = size
    share = area[0] + (area[1] - area[0]) * chance[:, 0]
    ratio = torch.exp((2 * chance[:, 1] - 1) * math.log(aspect) / 2)
    angle = (2 * chance[:, 2] - 1) * math.radians(turn)
    edge = (share * height * width).sqrt() / 2
    a, b = edge * ratio, edge / ratio
    across = a * angle.cos().abs() + b * angle.sin().abs()
    down = a * angle.sin().abs() + b * angle.cos().abs()
    fit = torch.minimum(width / 2 / across, height / 2 / down).clamp(max=1)
    a, b, across, down = a * fit, b * fit, across * fit, down * fit
    x, y = across + chance[:, 3] * (width - 2 * across), down + chance[:, 4] * (height - 2 * down)
    mirrored = torch.where(chance[:, 5] < 0.5, -1.0, 1.0) if flip else torch.ones(count)
    return torch.stack([x, y, a, b, angle, mirrored], 1)


def boxes_cover(box: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """(N, 6) boxes in pictures of ``size`` → (N, rows × columns): the share of each position that a box covers."""
    rows, columns = (
        (torch.arange(n * POINTS, device=box.device) + 0.5) * pixels / (n * POINTS)
        for n, pixels in zip(grid, size, strict=True)
    )
    x, y, a, b, angle, _ = (v[:, None, None] for v in box.unbind(1))
    right, down = columns - x, rows[:, None] - y
    inside = ((right * angle.cos() + down * angle.sin()).abs() <= a) & (
        (down * angle.cos() - right * angle.sin()).abs() <= b
    )
    return F.avg_pool2d(inside.float()[:, None], POINTS).flatten(1)


def cut_boxes(images: Tensor, box: Tensor, edge: int) -> Tensor:
    """(N, 3, H, W) and one box of each → (N, 3, edge, edge): what a box holds, upright again, scaled to a square."""
    height, width = images.shape[2:]
    x, y, a, b, angle, mirrored = box.unbind(1)
    theta = box.new_zeros(len(box), 2, 3)
    theta[:, 0] = torch.stack([mirrored * a * angle.cos(), -b * angle.sin(), x - width / 2], 1) * (2 / width)
    theta[:, 1] = torch.stack([mirrored * a * angle.sin(), b * angle.cos(), y - height / 2], 1) * (2 / height)
    grid = F.affine_grid(theta, [len(box), images.shape[1], edge, edge], align_corners=False)
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


def spans(count: int, length: int, share: tuple[float, float], least: int, rng: torch.Generator) -> Tensor:
    """(count, 2) first frame and the frame after the last, of stretches of a recording of ``length`` frames.

    Args:
        share: smallest and largest share of the recording.
        least: frames that a stretch has at least, if the recording has them.
    """
    chance = torch.rand(count, 2, generator=rng)
    long = (length * (share[0] + (share[1] - share[0]) * chance[:, 0])).round().long().clamp(min(least, length), length)
    start = (chance[:, 1] * (length - long + 1)).floor().long().minimum(length - long)
    return torch.stack([start, start + long], 1)


def spans_cover(span: Tensor, lengths: Tensor, positions: int, frames: int) -> Tensor:
    """(N, 2) stretches of recordings of (N,) ``lengths`` → (N, positions): the share of each position's real frames
    that a stretch covers. A position has so many ``frames``, the last one of a recording what is left."""
    first = torch.arange(positions, device=span.device) * frames
    last = (first + frames).minimum(lengths[:, None])
    both = last.minimum(span[:, 1:]) - first.maximum(span[:, :1])
    return both.clamp(min=0) / (last - first).clamp(min=1)


def cut_spans(values: Tensor, span: Tensor) -> Padded:
    """(M, T) of one recording and its (K, 2) stretches → (K, M, L), and which frames are real."""
    long = span[:, 1] - span[:, 0]
    size = int(long.max())
    at = (span[:, :1] + torch.arange(size, device=span.device)).clamp(max=values.shape[1] - 1)
    return Padded(values[:, at].transpose(0, 1), lengths_to_mask(long, size))
