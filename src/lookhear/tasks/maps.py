"""Maps over a picture against masks: brought to the mask's pixels, their highest point, the region above a height."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

__all__ = [
    "Bools",
    "Box",
    "Map",
    "above_half",
    "at_centre",
    "best_threshold",
    "highest",
    "iou",
    "random_iou",
    "through_grid",
    "upsampled",
    "widened",
    "window",
]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
Bools = NDArray[np.bool_]
Map = NDArray[np.float32]

THRESHOLDS = 200


def window(box: Box) -> tuple[slice, slice]:
    """Rows and columns of the pixels whose centres lie in a box of pixel coordinates."""
    left, top, right, bottom = box
    return _between(top, bottom), _between(left, right)


def _between(start: float, end: float) -> slice:
    # The centre of pixel i is at i + 0.5; one that lies on the border must not be lost to rounding.
    return slice(math.ceil(start - 0.5 - 1e-6), math.floor(end - 0.5 + 1e-6) + 1)


def upsampled(cells: Tensor, box: Box) -> Map:
    """(K, R, C) values of equal cells that fill a box → (K, h, w) at the pixels of its ``window``, bilinear.

    Between the centres of cells the value is bilinear, beyond the outermost ones it is theirs, as in
    ``F.interpolate(mode="bilinear")``, which this is where the box is a whole picture.
    """
    rows, columns = window(box)
    left, top, right, bottom = box
    y = (torch.arange(rows.start, rows.stop) + 0.5 - top) / (bottom - top) * 2 - 1
    x = (torch.arange(columns.start, columns.stop) + 0.5 - left) / (right - left) * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)[None]
    found = F.grid_sample(cells[None].float(), grid.float(), "bilinear", "border", align_corners=False)[0]
    out: Map = found.numpy()
    return out


def through_grid(mask: Bools, grid: tuple[int, int]) -> Map:
    """(h, w) what a map of R × C cells could at best say of a mask: each cell's share of it, brought back to pixels."""
    h, w = mask.shape
    cells = F.adaptive_avg_pool2d(torch.from_numpy(mask.astype(np.float32))[None], grid)
    found: Map = upsampled(cells, (0, 0, w, h))[0]
    return found


def highest(values: Map) -> Bools:
    """(h, w) bool: the highest points, those that agree to six digits of the largest value among them."""
    found: Bools = values >= values.max() - 1e-6 * np.abs(values).max()
    return found


def at_centre(mask: Bools) -> float:
    """Share of the pixels in the middle (one, two or four) that a mask covers."""
    h, w = mask.shape
    return float(mask[(h - 1) // 2 : h // 2 + 1, (w - 1) // 2 : w // 2 + 1].mean())


def widened(mask: Bools, by: float) -> Bools:
    """A mask with all pixels up to ``by`` pixels from it."""
    found: Bools = distance_transform_edt(~mask) <= by if by and mask.any() else mask
    return found


def above_half(values: Map) -> Bools:
    """The region at or above half the way from the map's median to its highest point; all of a flat map."""
    low, high = np.median(values), values.max()
    found: Bools = values >= low + (high - low) / 2
    return found


def iou(region: Bools, mask: Bools) -> float:
    """Intersection over union; 0 where both are empty."""
    return float((region & mask).sum() / max(1, (region | mask).sum()))


def random_iou(region: int, mask: int, pixels: int) -> float:
    """What as many pixels drawn at random would score: the expected intersection over what is then the union."""
    both = region * mask / pixels
    return both / max(1.0, region + mask - both)


def best_threshold(maps: list[tuple[Map, Bools]]) -> float:
    """The height above which the regions of the given maps meet their masks best: highest mean IoU.

    The candidates are ``THRESHOLDS`` heights between the lowest and the highest point of all maps.

    Args:
        maps: each with its mask.
    """
    heights = np.linspace(min(m.min() for m, _ in maps), max(m.max() for m, _ in maps), THRESHOLDS)
    total = np.zeros(THRESHOLDS)
    for values, mask in maps:
        order = np.sort(values, axis=None)
        inside = np.sort(values[mask])
        region = order.size - np.searchsorted(order, heights)
        both = inside.size - np.searchsorted(inside, heights)
        total += both / np.maximum(1, region + inside.size - both)
    return float(heights[total.argmax()])
