"""FastMIM: what was hidden in a coarse picture or spectrogram, told by the directions of its edges."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Batch, Losses, Padded, gather
from lookhear.errors import UserError
from lookhear.frontend import level_speech
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.drawn import generators
from lookhear.objectives.hog import Hog, cells_of
from lookhear.objectives.raw import check_batch, check_tower

__all__ = ["FastMim"]


class FastMim(Objective):
    """Masked modelling in the input's own space (Guo et al., 2022, sections 3.1–3.3), for pictures and log-mels.

    The input is made coarser, blocks of it take one learned value, and all of it goes through the tower, so that any
    tower will do. A small decoder says from each hidden vector what the cells at its position hold; the loss is the
    mean squared error over masked cells.

    A cell is at most ``cell`` pixels, or bands × frames, along each edge, and divides what one position covers: 8 × 8
    of a picture; 8 bands × 4 frames where a tower steps by 40 ms.

    Speech is made coarser in time alone: every ``scale``-th frame. A tower's first convolution takes all bands at
    once, so half the bands would be another tower, and would hardly be cheaper.
    """

    class Config(Shaped):
        """What is hidden, and what is asked of it.

        Attributes:
            target: "hog"; "pixels", the values themselves (SimMIM); "normalised", those of each cell (MAE).
            scale: how much coarser the input is: pictures along both edges, recordings in time. 2 and then 1, in two
                stages, is the progressive schedule.
            ratio: share of the blocks that are masked.
            block, cell: edges of a block in cells, and the longest edge of a cell.
            width, layers: of the decoder.
        """

        about: ClassVar[About] = About(
            name="fastmim",
            title="masked modelling at low resolution, of edge directions",
            kind="objective",
            family="masked prediction",
            paper="Guo et al., 2022, FastMIM: Expediting Masked Image Modeling Pre-training for Vision, arXiv",
            inputs=("audio", "image"),
            recipe="picturebook-fastmim",
        )
        kind: Literal["fastmim"] = "fastmim"
        on: Literal["audio", "image"] = "image"
        target: Literal["hog", "pixels", "normalised"] = "hog"
        scale: int = Field(2, ge=1)
        ratio: float = Field(0.75, gt=0, lt=1)
        block: int = Field(2, ge=1)
        cell: int = Field(8, ge=2)
        width: int = Field(128, ge=1)
        layers: int = Field(1, ge=0)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> FastMim:
            return FastMim(self, getattr(model, self.on))

    def __init__(self, config: Config, tower: Any) -> None:
        """
        Args:
            tower: a picture tower with ``size`` and ``grid``, or a speech tower over log-mels with ``step``.

        Raises:
            UserError: it hears or sees something else.
        """
        super().__init__()
        self.config, self.needs = config, frozenset({config.on})  # type: ignore[misc]
        audio = config.on == "audio"
        check_tower("fastmim", "hides parts of", config.on, tower)
        # What one position covers: (bands, frames) or (rows, columns) of pixels.
        self.covers = (
            (tower.channels, round(tower.step * 100)) if audio else tuple(-(-tower.size // n) for n in tower.grid)
        )
        self.cell = (_divisor(self.covers[0], config.cell), _divisor(self.covers[1], config.cell))
        self.channels = 1 if audio else 3
        self.hog = Hog(self.cell) if config.target == "hog" else None
        self.asked = self.channels * (self.hog.bins if self.hog else self.cell[0] * self.cell[1])
        each = (self.covers[0] // self.cell[0]) * (self.covers[1] // self.cell[1])
        layers: list[nn.Module] = [nn.Linear(tower.width, config.width)]
        for _ in range(config.layers):
            layers += [nn.GELU(), nn.Linear(config.width, config.width)]
        self.decoder = nn.Sequential(
            *layers, nn.GELU(), nn.LayerNorm(config.width), nn.Linear(config.width, each * self.asked)
        )
        # Not the middle of the values: hidden cells would look like a plain background.
        self.hidden = nn.Parameter(torch.full((self.channels,), -1.0 if audio else 0.25))

    def ready(self, batch: Batch, items: int) -> None:
        given = check_batch("fastmim", self.config.on, batch)
        x, mask = self._coarse(given)
        if self.config.on == "image" and any(n % c for n, c in zip(x.shape[2:], self.covers)):
            raise UserError(
                f"objective 'fastmim': pictures of {x.shape[2]} pixels are no whole patches of {self.covers[0]}",
                "Choose another scale.",
            )
        counts = [self._blocks(n) for n in self._grids(x, mask)]
        hidden = [round(self.config.ratio * rows * columns) for rows, columns in counts]
        if all(h == 0 or h == r * c for h, (r, c) in zip(hidden, counts, strict=True)):
            what = "nothing" if not any(hidden) else "everything"
            most = max(r * c for r, c in counts)
            fix = f"Set its ratio between {1 / most:.2f} and {1 - 1 / most:.2f}" if most > 1 else "Lower its block"
            raise UserError(
                f"objective 'fastmim': a ratio of {self.config.ratio} of {most} blocks masks {what}", f"{fix}."
            )

    def forward(self, views: Views) -> Losses:
        given = views.batch.inputs[self.config.on]
        assert isinstance(given, Padded)
        x, mask = self._coarse(given)
        target, real = self._target(x, mask)
        covered = self._draw(views.batch, x, mask)
        pixels = covered.repeat_interleave(self.cell[0], 1).repeat_interleave(self.cell[1], 2)
        pixels = pixels[:, None, : x.shape[2], : x.shape[3]]
        shown = torch.where(pixels, self._value(x, mask), x)
        seen = Padded(shown[:, 0], mask) if self.config.on == "audio" else Padded(shown)
        features = getattr(views.model, self.config.on)(seen)
        told = self._cells(self.decoder(features.hidden).float(), covered.shape[1:])
        asked = (covered & real).float()
        wrong = ((told - target).square().mean(-1) * asked).sum()
        # Over all processes, so that each cell counts alike wherever it is.
        loss = gather(wrong[None]).sum() / gather(asked.sum()[None]).sum().clamp(min=1)
        return {"fastmim": self.config.weight * loss}

    def _coarse(self, given: Padded) -> tuple[Tensor, Tensor | None]:
        """(B, C, X, Y) of fewer pixels or frames, and the (B, Y) mask of recordings."""
        values, scale = given.values.float(), self.config.scale
        if self.config.on == "image":
            return F.avg_pool2d(values, scale) if scale > 1 else values, None
        mask = given.mask
        if mask is None:
            mask = torch.ones(len(values), values.shape[2], dtype=torch.bool, device=values.device)
        return values[:, None, :, ::scale], mask[:, ::scale]

    def _value(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What hidden places hold: a learned colour, or so much beside the mean of a band, however loud it is."""
        value = self.hidden[:, None, None]
        if mask is None:
            return value
        weight = mask[:, None, None].float()
        return value + (x * weight).sum(3, keepdim=True) / weight.sum(3, keepdim=True).clamp(min=1)

    @torch.no_grad()
    def _target(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, R, C, d) what is asked of each cell, and (B, 1 | R, C) whether it is real.

        A cell of a recording is, where the frame after it is real, too: so no gradient hangs on padding.
        """
        if mask is None:
            real = torch.ones(len(x), 1, 1, dtype=torch.bool, device=x.device)
            x = x * 2 - 1
        else:
            x = level_speech(x[:, 0], mask)[:, None] / 2
            columns = -(-x.shape[3] // self.covers[1]) * self.covers[1] // self.cell[1]
            x = F.pad(x, (0, columns * self.cell[1] - x.shape[3]))
            ends = (torch.arange(columns, device=x.device) + 1) * self.cell[1]
            real = (ends[None] < mask.sum(1, keepdim=True))[:, None]
        if self.hog is not None:
            return self.hog(x), real
        cells = cells_of(x, self.cell)
        if self.config.target == "normalised":
            cells = (cells - cells.mean(-1, keepdim=True)) / (cells.var(-1, keepdim=True) + 1e-6).sqrt()
        return cells, real

    def _cells(self, told: Tensor, shape: torch.Size) -> Tensor:
        """(B, N, …) of each position → (B, R, C, d) of each cell."""
        high, wide = self.covers[0] // self.cell[0], self.covers[1] // self.cell[1]
        rows, columns = shape[0] // high, shape[1] // wide
        each = told.view(len(told), rows, columns, high, wide, self.asked)
        return each.transpose(2, 3).reshape(len(told), *shape, self.asked)

    def _grids(self, x: Tensor, mask: Tensor | None) -> list[tuple[int, int]]:
        """Rows and columns of cells that each item has."""
        widths = [x.shape[3]] * len(x) if mask is None else mask.sum(1).tolist()
        return [(x.shape[2] // self.cell[0], max(1, -(-w // self.cell[1]))) for w in widths]

    def _blocks(self, grid: tuple[int, int]) -> tuple[int, int]:
        return -(-grid[0] // self.config.block), -(-grid[1] // self.config.block)

    def _draw(self, batch: Batch, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, R, C) bool, the cells of each item that are masked: whole blocks, at least one and not all."""
        block = self.config.block
        columns = -(-x.shape[3] // self.covers[1]) * self.covers[1] // self.cell[1]
        out = torch.zeros(len(x), x.shape[2] // self.cell[0], columns, dtype=torch.bool)
        for row, grid, rng in zip(out, self._grids(x, mask), generators(batch), strict=True):
            high, wide = self._blocks(grid)
            count = min(max(round(self.config.ratio * high * wide), 1), high * wide - 1)
            blocks = torch.zeros(high * wide, dtype=torch.bool)
            blocks[torch.randperm(high * wide, generator=rng)[:count]] = True
            cells = blocks.view(high, wide).repeat_interleave(block, 0).repeat_interleave(block, 1)
            row[:, : grid[1]] = cells[: grid[0], : grid[1]]
        return out.to(x.device)


def _divisor(size: int, most: int) -> int:
    """The largest divisor of ``size`` that is at most ``most``."""
    return max(d for d in range(1, most + 1) if size % d == 0)
