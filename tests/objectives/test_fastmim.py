"""FastMIM: HOG against loops and on one edge, the loss against loops, what is hidden, and ratios that hide nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import ranks_views
import torch
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.images import PictureTower, VectorTower
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.fastmim import FastMim
from lookhear.objectives.hog import Hog, cells_of


def slow_hog(image: list[list[float]], cell: tuple[int, int], bins: int = 9) -> list[list[list[float]]]:
    """One channel by loops: border reflected, Sobel, histograms of unit length."""
    height, width = len(image), len(image[0])

    def at(y: int, x: int) -> float:
        y, x = abs(y), abs(x)
        return image[2 * height - 2 - y if y >= height else y][2 * width - 2 - x if x >= width else x]

    out = [[[0.0] * bins for _ in range(width // cell[1])] for _ in range(height // cell[0])]
    for y in range(height):
        for x in range(width):
            across = sum(w * (at(y + d, x - 1) - at(y + d, x + 1)) for d, w in ((-1, 1), (0, 2), (1, 1)))
            down = sum(w * (at(y - 1, x + d) - at(y + 1, x + d)) for d, w in ((-1, 1), (0, 2), (1, 1)))
            direction = math.floor(math.atan2(across, down) / math.pi * bins) % bins
            out[y // cell[0]][x // cell[1]][direction] += math.hypot(across, down)
    return [[[v / max(math.hypot(*h), 1e-6) for v in h] for h in row] for row in out]


def test_hog_by_hand() -> None:
    image = torch.rand(12, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()
    found = Hog((4, 8))(image[None, None])
    assert found.shape == (1, 3, 2, 9)
    assert torch.allclose(found[0], torch.tensor(slow_hog(image.tolist(), (4, 8))), atol=1e-5)
    assert torch.allclose(Hog((4, 8))(5 * image[None, None] + 3), found, atol=1e-4)


def test_one_edge_lies_in_the_cells_and_the_bin_where_it_runs() -> None:
    picture = torch.zeros(1, 3, 16, 24)
    picture[:, 1, :, 12:] = 1  # one upright edge, in the second channel, within the second column of cells
    found = Hog((8, 8))(picture).view(2, 3, 3, 9)
    assert found[:, [0, 2]].abs().sum() == 0
    assert found[:, 1, [0, 2]].abs().sum() == 0
    # The gradient points along the row: atan2(±1, 0) is half of a half turn, the fifth of nine bins.
    assert torch.equal(found[:, 1, 1], torch.eye(9)[4].expand(2, 9))


def test_cells_keep_their_order() -> None:
    values = torch.arange(2 * 4 * 6.0).view(1, 2, 4, 6)
    cells = cells_of(values, (2, 3))
    assert cells.shape == (1, 2, 2, 12)
    assert torch.equal(cells[0, 1, 0], values[0, :, 2:4, 0:3].flatten())


class Echo(nn.Module):
    """A picture tower that says of each patch its own pixels."""

    size, grid, width = 16, (4, 4), 3 * 16

    def forward(self, x: Padded) -> Features:
        self.seen = x.values.detach()
        h = cells_of(x.values, (4, 4))
        grid, h = (h.shape[1], h.shape[2]), h.flatten(1, 2)
        return Features(h[:, 0], h, torch.ones(h.shape[:2], dtype=torch.bool), grid, h)


def pictures(count: int = 3, size: int = 32) -> Batch:
    values = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))
    return Batch({"image": Padded(values)}, torch.arange(count), [f"p{i}" for i in range(count)])


@pytest.mark.parametrize("target", ["pixels", "normalised", "hog"])
def test_the_loss_by_hand(target: Any) -> None:
    torch.manual_seed(0)
    model = SimpleNamespace(image=Echo())
    objective = FastMim.Config(on="image", target=target, scale=2, cell=2, block=2).build(model)
    batch = pictures()
    found = float(objective(Views(model, batch))["fastmim"].detach())
    coarse = batch.inputs["image"].values.view(3, 3, 16, 2, 16, 2).mean((3, 5))  # type: ignore[union-attr]
    seen = model.image.seen
    told = objective.decoder(cells_of(seen, (4, 4))).detach()  # (3, 4, 4, four cells × d)
    total, count = 0.0, 0
    for i in range(3):
        histograms = [slow_hog(channel, (2, 2)) for channel in (coarse[i] * 2 - 1).tolist()]
        for y in range(8):
            for x in range(8):
                place = (slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
                hidden = torch.allclose(seen[i][:, *place], objective.hidden.detach()[:, None, None].expand(3, 2, 2))
                if not hidden:
                    assert torch.allclose(seen[i][:, *place], coarse[i][:, *place])
                    continue
                wanted: Tensor = (coarse[i][:, *place] * 2 - 1).flatten()
                if target == "normalised":
                    wanted = (wanted - wanted.mean()) / (wanted.var() + 1e-6).sqrt()
                if target == "hog":
                    wanted = torch.tensor([v for h in histograms for v in h[y][x]])
                ours = told[i, y // 2, x // 2].view(2, 2, -1)[y % 2, x % 2]
                total += float((ours - wanted).square().mean())
                count += 1
    assert count == 3 * 12 * 4  # three quarters of 4 × 4 blocks of four cells
    assert found == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize("config", [LocalTower.Config(bins=20, width=8), SeedTower.Config(width=16, layers=1)])
@pytest.mark.parametrize("scale", [1, 2])
def test_speech_towers_of_any_step_learn_and_loudness_changes_nothing(config: Any, scale: int) -> None:
    torch.manual_seed(0)
    model = nn.Module()
    model.audio = config.build(8).eval()
    objective = FastMim.Config(on="audio", scale=scale).build(model)
    values = torch.randn(3, model.audio.channels, 150, generator=torch.Generator().manual_seed(2))
    batch = Batch({"audio": Padded(values, lengths_to_mask(torch.tensor([150, 90, 121]), 150))}, torch.arange(3))
    torch.manual_seed(1)
    loss = objective(Views(model, batch))["fastmim"]
    loss.backward()
    assert objective.hidden.grad is not None
    assert float(objective.hidden.grad.abs()) > 0
    louder = Batch({"audio": Padded(values + 3, batch.inputs["audio"].mask)}, torch.arange(3))  # type: ignore[union-attr]
    torch.manual_seed(1)
    assert float(objective(Views(model, louder))["fastmim"].detach()) == pytest.approx(float(loss.detach()), abs=1e-4)


def test_no_error_is_counted_where_nothing_is_hidden() -> None:
    model = ranks_views.learner("fastmim").model
    objective = FastMim.Config(on="audio", scale=1).build(model)
    with torch.no_grad():
        for weight in objective.decoder.parameters():
            weight.zero_()
    batch = ranks_views.batch(0)
    torch.manual_seed(0)
    covered = objective._draw(batch, *objective._coarse(batch.inputs["audio"]))  # type: ignore[arg-type]
    target, real = objective._target(*objective._coarse(batch.inputs["audio"]))  # type: ignore[arg-type]
    torch.manual_seed(0)
    found = float(objective(Views(model, batch))["fastmim"].detach())
    asked = covered & real
    assert 0 < int(asked.sum()) < int(real.expand_as(asked).sum())
    assert found == pytest.approx(float(target[asked].square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ratio": 0.02}, "masks nothing"),
        ({"ratio": 0.99}, "masks everything"),
        ({"block": 8}, "of 1 blocks masks everything"),
        ({"scale": 3}, "no whole patches of 8"),
    ],
)
def test_what_could_not_be_learned_is_refused_before_the_first_step(changes: dict[str, Any], told: str) -> None:
    model = nn.Module()
    model.image = PictureTower(8, size=64, width=2)
    learner = Learner(model, [FastMim.Config(**{"on": "image", "scale": 2, "block": 1, **changes}).build(model)])
    with pytest.raises(UserError, match=told):
        learner.check(pictures(2, 64), 20)


def test_towers_of_something_else_are_refused() -> None:
    model = nn.Module()
    model.image = VectorTower(12, 8)
    with pytest.raises(UserError, match="hides parts of pictures"):
        FastMim.Config(on="image").build(model)
