"""The speech sides of DAVEnet and ResDAVEnet: convolutions over log-mel, 160 ms a step.

Harwath, Recasens, Surís, Chuang, Torralba and Glass, 2018, "Jointly discovering visual objects and spoken words from
raw sensory input"; Harwath, Hsu and Glass, 2020, "Learning hierarchical discrete linguistic units from
visually-grounded speech", here without its quantisers. Kernels, widths and norms are those of their published code.

Both halve the rate four times. A step is real if its first frame is (``strided``), and padding is masked after every
layer: the published models hear it. Published, the vector n looks around 160 n ms, which is where its step begins; here
the last halving looks one of its frames (80 ms) later, so that n looks around the middle of [n × step, (n + 1) × step].
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.core import Features, Padded, Section, pool
from lookhear.frontend import LogMel
from lookhear.models.norm import Centre, MaskedBatchNorm
from lookhear.models.speech import SpeechTower, strided

__all__ = ["DavenetTower", "ResDavenetTower"]

Width = Annotated[int, Field(ge=1)]
Widths = tuple[Width, Width, Width, Width, Width]


class _HalvingTower(SpeechTower):
    """Log-mel of 40 bands, layers that halve the rate four times, a linear map, and the mean over time.

    The published embedding is ``hidden`` itself; the linear map takes it into the shared space.
    """

    def __init__(self, width: int, frames: int, dim: int) -> None:
        """``frames``: of 10 ms, that a vector is made of."""
        super().__init__()
        self.frontend, self.width = LogMel(bins=40), width
        self.value, self.centre = nn.Linear(width, dim), Centre(dim)
        self.step, self.receptive_field = 0.16, 0.025 + 0.01 * (frames - 1)
        self.context = self.receptive_field  # halved frames are not centred

    def encode(self, mel: Padded) -> Features:
        assert mel.mask is not None
        h, mask = self.layers(mel.values * mel.mask[:, None], mel.mask)
        h = h.transpose(1, 2)
        local = self.value(h).float() * mask[..., None]
        return Features(self.centre(pool(local, mask)), local, mask, self.step, h)

    def layers(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 40, T), zero outside the (B, T) mask → (B, H, N), zero outside the (B, N) mask."""
        raise TypeError(f"{type(self).__name__} has no layers")


class DavenetTower(_HalvingTower):
    """DAVEnet: 128 (all 40 bands of a frame), 256 (kernel 11), 512, 512 and 1024 (kernel 17), rectified.

    After each of the last four the maximum of 3 frames is taken at every second; the log-mel is batch-normalised first,
    with one mean and one variance for all bands.
    """

    KERNELS = (1, 11, 17, 17, 17)

    class Config(Section):
        """``widths`` of the convolutions."""

        kind: Literal["davenet"]
        widths: Widths = (128, 256, 512, 512, 1024)

        def build(self, dim: int) -> DavenetTower:
            return DavenetTower(self, dim)

    def __init__(self, config: Config, dim: int) -> None:
        # At the rate of every second, fourth, … frame: what the convolution adds, and 2 of the maximum.
        frames = 1 + sum(2**i * (k - 1 + 2) for i, k in enumerate(self.KERNELS[1:]))
        super().__init__(config.widths[-1], frames, dim)
        self.norm = MaskedBatchNorm(1)
        shapes = zip((40, *config.widths), config.widths, self.KERNELS)
        self.convs = nn.ModuleList([nn.Conv1d(i, o, k, padding=k // 2) for i, o, k in shapes])

    def layers(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        cells = mask[:, None].expand_as(h).flatten(1)
        h = self.norm(h.flatten(1)[:, None], cells).view_as(h) * mask[:, None]
        for i, conv in enumerate(self.convs):
            h = F.relu(conv(h)) * mask[:, None]
            if i > 0:
                # No rectified frame is below the zeros of the padding: the maximum never sees them. What it says of
                # steps past the end is masked, since their windows reach back to before it.
                late = int(i == len(self.convs) - 1)
                mask = strided(mask, 2)
                h = F.max_pool1d(F.pad(h, (1 - late, 1 + late)), 3, stride=2) * mask[:, None]
        return h, mask


class _Block(nn.Module):
    """Residual: two convolutions of kernel 9 with batch normalisation; the first may halve the rate.

    Where it does, the output n looks around the input 2 n, or 2 n + 1 if ``late``, and so does the shortcut.
    """

    def __init__(self, width: int, out: int, halve: bool, late: bool) -> None:
        super().__init__()
        self.stride, self.late = 2 if halve else 1, int(late)
        self.first = nn.Conv1d(width, out, 9, stride=self.stride, bias=False)
        self.second = nn.Conv1d(out, out, 9, padding=4, bias=False)
        self.norms = nn.ModuleList([MaskedBatchNorm(out), MaskedBatchNorm(out)])
        self.short = nn.Conv1d(width, out, 1, stride=2, bias=False) if halve else None
        self.short_norm = MaskedBatchNorm(out) if halve else None

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T), zero outside the (B, T) mask → the same of the output."""
        real = strided(mask, self.stride)
        h = F.relu(self.norms[0](self.first(F.pad(x, (4 - self.late, 4 + self.late))), real)) * real[:, None]
        h = self.norms[1](self.second(h), real)
        if self.short is not None and self.short_norm is not None:
            # After the last frame of an odd number there is none: as everywhere, zeros are looked at.
            x = self.short_norm(self.short(F.pad(x, (0, self.late))[..., self.late :]), real)
        return F.relu(h + x) * real[:, None], real


class ResDavenetTower(_HalvingTower):
    """ResDAVEnet: 128 (all 40 bands of a frame), then stacks of two residual blocks, 256, 256, 512 and 1024 wide.

    Each stack's first block halves the rate. Weights begin as He et al. (2015) draw them, as published; the log-mel is
    not normalised, since each convolution is.
    """

    class Config(Section):
        """``widths`` of the first convolution and of the stacks."""

        kind: Literal["resdavenet"]
        widths: Widths = (128, 256, 256, 512, 1024)

        def build(self, dim: int) -> ResDavenetTower:
            return ResDavenetTower(self, dim)

    def __init__(self, config: Config, dim: int) -> None:
        # Each stack has one convolution at its input's rate, and three at half of it.
        super().__init__(config.widths[-1], 1 + sum(2**i * (8 + 3 * 16) for i in range(4)), dim)
        self.first, self.norm = nn.Conv1d(40, config.widths[0], 1, bias=False), MaskedBatchNorm(config.widths[0])
        self.blocks = nn.ModuleList()
        for i, (width, out) in enumerate(zip(config.widths, config.widths[1:])):
            self.blocks.append(_Block(width, out, halve=True, late=i == 3))
            self.blocks.append(_Block(out, out, halve=False, late=False))
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def layers(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.norm(self.first(h), mask)) * mask[:, None]
        for block in self.blocks:
            h, mask = block(h, mask)
        return h, mask
