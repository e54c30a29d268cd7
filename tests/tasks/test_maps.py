"""Maps against masks, by hand: interpolation, what the tower sees, ties, tolerance, regions and the learned height."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookhear.models.images import seen, to_tensor
from lookhear.tasks.maps import (
    above_half,
    at_centre,
    best_threshold,
    highest,
    iou,
    random_iou,
    through_grid,
    upsampled,
    widened,
    window,
)


def test_over_a_whole_picture_it_is_torch_s_own_interpolation() -> None:
    cells = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    found = upsampled(cells, (0, 0, 40, 21))
    wanted = F.interpolate(cells[None], (21, 40), mode="bilinear", align_corners=False)[0]
    assert found.shape == (2, 21, 40)
    assert np.allclose(found, wanted.numpy(), atol=1e-5)


def slow_value(cells: list[list[float]], box: tuple[float, ...], x: float, y: float) -> float:
    """Bilinear between the centres of cells, clamped to the outermost ones."""
    rows, columns = len(cells), len(cells[0])
    u = (x - box[0]) / (box[2] - box[0]) * columns - 0.5
    v = (y - box[1]) / (box[3] - box[1]) * rows - 0.5
    u, v = min(max(u, 0), columns - 1), min(max(v, 0), rows - 1)
    i, j = min(int(v), max(rows - 2, 0)), min(int(u), max(columns - 2, 0))
    i2, j2 = min(i + 1, rows - 1), min(j + 1, columns - 1)
    a, b = v - i, u - j
    upper = (1 - b) * cells[i][j] + b * cells[i][j2]
    lower = (1 - b) * cells[i2][j] + b * cells[i2][j2]
    return (1 - a) * upper + a * lower


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.tuples(st.floats(0, 3), st.floats(0, 3), st.floats(5, 9), st.floats(5, 9)),
    st.randoms(use_true_random=False),
)
def test_every_pixel_whose_centre_is_seen_and_no_other(rows, columns, box, random) -> None:  # type: ignore[no-untyped-def]
    cells = [[random.uniform(-1, 1) for _ in range(columns)] for _ in range(rows)]
    found = upsampled(torch.tensor(cells)[None], box)[0]
    ys = [i for i in range(12) if box[1] - 1e-6 <= i + 0.5 <= box[3] + 1e-6]
    xs = [i for i in range(12) if box[0] - 1e-6 <= i + 0.5 <= box[2] + 1e-6]
    assert (window(box)[0].start, window(box)[0].stop) == (ys[0], ys[-1] + 1)
    assert (window(box)[1].start, window(box)[1].stop) == (xs[0], xs[-1] + 1)
    wanted = [[slow_value(cells, box, x + 0.5, y + 0.5) for x in xs] for y in ys]
    assert np.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (31, 31), (67, 33), (20, 45)])
@pytest.mark.parametrize("squash", [False, True])
def test_what_is_seen_is_what_the_tower_is_given(size: tuple[int, int], squash: bool) -> None:
    """A picture whose colours are its coordinates: the cut picture's say where each of its pixels came from."""
    w, h = size
    x, y = np.meshgrid((np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h)
    picture = Image.fromarray((np.stack([x, y, 0 * x], -1) * 255).round().astype(np.uint8))
    given = to_tensor([picture], 32, squash).values[0].numpy()
    left, top, right, bottom = seen(w, h, 32, squash)
    inner = (np.arange(32) + 0.5)[3:-3] / 32  # resampling bends the ramp at the borders
    assert np.allclose(given[0, 16, 3:-3] * w, left + inner * (right - left), atol=0.02 * w)
    assert np.allclose(given[1, 3:-3, 16] * h, top + inner * (bottom - top), atol=0.02 * h)
    if squash:
        assert (left, top, right, bottom) == (0, 0, w, h)
    else:
        assert min(right - left, bottom - top) == pytest.approx(min(w, h))


@pytest.mark.parametrize("left", [24, 60])
def test_a_patch_lights_where_its_pixels_are_in_an_asymmetric_picture(left: int) -> None:
    """One bright square at either end of what is seen of a wide picture: the map is highest on the square."""
    w, h, size, cell = 96, 48, 32, 8
    mask = np.zeros((h, w), dtype=bool)
    mask[36:48, left : left + 12] = True
    given = to_tensor([Image.fromarray((mask * 255).astype(np.uint8)).convert("RGB")], size).values
    cells = F.avg_pool2d(given[:, 0], cell)  # (1, 4, 4): a tower whose patches say how bright they are
    box = seen(w, h, size)
    values, here = upsampled(cells, box)[0], window(box)
    assert (here[1].start, here[1].stop) == (24, 72)
    assert mask[here][highest(values)].all()
    wrong = upsampled(cells, (0, 0, w, h))[0]  # as if nothing had been cut off
    assert not mask[highest(wrong)].any()


def test_a_mask_through_the_grid_is_each_cell_s_share() -> None:
    mask = np.zeros((8, 12), dtype=bool)
    mask[:4, :6] = mask[4:6, 6:9] = True
    shares = torch.tensor([[[1.0, 0], [0, 0.25]]])
    assert np.allclose(through_grid(mask, (2, 2)), upsampled(shares, (0, 0, 12, 8))[0])
    assert (through_grid(mask, (8, 12)) == mask).all()  # as fine as the mask: nothing is lost


def test_equal_points_are_all_highest() -> None:
    values = np.array([[0.5, 0.5 + 2e-7, 0.1], [0.5 - 1e-5, -0.9, 0.5]], dtype=np.float32)
    assert highest(values).tolist() == [[True, True, False], [False, False, True]]
    assert highest(np.zeros((2, 2), np.float32)).all()
    assert highest(np.array([[-3.0, -2.0]], np.float32)).tolist() == [[False, True]]


def test_the_middle_of_odd_and_even_pictures() -> None:
    mask = np.zeros((4, 5), dtype=bool)
    mask[1, 2] = True
    assert at_centre(mask) == 0.5
    assert at_centre(mask[:3]) == 1
    assert at_centre(np.ones((2, 2), bool)) == 1


def test_a_widened_mask_holds_what_is_near() -> None:
    mask = np.zeros((7, 9), dtype=bool)
    mask[3, 2] = mask[5, 7] = True
    assert widened(mask, 0) is mask
    wide = widened(mask, 1.5)
    for y in range(7):
        for x in range(9):
            assert wide[y, x] == (min(math.dist((y, x), p) for p in ((3, 2), (5, 7))) <= 1.5)
    assert not widened(np.zeros((3, 3), bool), 2).any()


def test_the_region_above_half_of_the_peak_above_the_median() -> None:
    values = np.array([0, 0, 1, 1, 1, 2, 3, 5], dtype=np.float32).reshape(2, 4)  # median 1, half way to 5: 3
    assert above_half(values).tolist() == [[False] * 4, [False, False, True, True]]
    assert above_half(np.full((2, 2), -1, np.float32)).all()
    assert (above_half(values) == above_half(3 * values - 7)).all()


def test_iou_by_counting_and_by_drawing() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3, :2] = True, True
    assert iou(a, b) == 2 / 10
    assert iou(a, a) == 1
    assert iou(a & False, b & False) == 0
    rng = np.random.default_rng(0)
    n, k, m = 900, 120, 260
    mask = np.arange(n) < m
    drawn = []
    for _ in range(400):
        region = np.zeros(n, bool)
        region[rng.choice(n, k, replace=False)] = True
        drawn.append(iou(region, mask))
    assert random_iou(k, m, n) == pytest.approx(np.mean(drawn), abs=0.005)
    assert random_iou(n, m, n) == pytest.approx(m / n)
    assert random_iou(0, 0, n) == 0


def test_the_learned_height_is_the_best_of_all_that_were_tried() -> None:
    rng = np.random.default_rng(1)
    masks = [rng.random((6, 6)) < 0.3 for _ in range(5)]
    maps = [(m + rng.normal(size=m.shape) * 0.4).astype(np.float32) for m in masks]
    pairs = list(zip(maps, masks))
    found = best_threshold(pairs)

    def mean(height: float) -> float:
        return float(np.mean([iou(v >= height, m) for v, m in pairs]))

    heights = np.linspace(min(m.min() for m in maps), max(m.max() for m in maps), 200)
    assert mean(found) == pytest.approx(max(map(mean, heights)))
    assert 0.2 < found < 0.8
