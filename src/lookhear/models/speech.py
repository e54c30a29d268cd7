"""Speech towers: samples in, a pooled vector and local vectors out."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lookhear.core import Features, Padded, Section, pool
from lookhear.frontend import LogMel, Mfcc, level_speech
from lookhear.models.norm import Centre, RowBatchNorm

__all__ = ["LocalTower", "SeedTower", "SpeechTower", "strided"]


class SpeechTower(nn.Module):
    """What every speech tower has.

    Attributes:
        step: seconds between local vectors.
        receptive_field: seconds of sound that one local vector depends on; infinite for a Transformer.
        context: seconds on either side of a local vector beyond which nothing has any influence on it, the level of
            speech included; infinite where there is no such bound.
        width: H of ``Features.hidden``.
        frontend: what ``extract`` runs; a tower without one has its own ``extract``, ``channels`` and ``frames``.
    """

    step: float
    width: int
    receptive_field: float
    context: float = float("inf")
    frontend: LogMel

    @property
    def channels(self) -> int:
        """M of what ``extract`` gives."""
        return self.frontend.bins

    def frames(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """T of what ``extract`` gives of recordings of so many samples."""
        return 1 + samples // 160

    def extract(self, x: Padded) -> Padded:
        """(B, S) samples → (B, M, T) log-mel, the part that needs no gradient and may be computed once."""
        with torch.no_grad():
            mel: Padded = self.frontend(x)
            return mel

    def forward(self, x: Padded) -> Features:
        """(B, S) samples, or (B, M, T) log-mel from ``extract`` → Features with (B, N, D) local vectors."""
        mel = self.extract(x) if x.values.ndim == 2 else x
        mask = mel.mask
        if mask is None:
            mask = torch.ones(mel.values.shape[0], mel.values.shape[2], dtype=torch.bool, device=mel.values.device)
        return self.encode(Padded(mel.values, mask))

    def encode(self, mel: Padded) -> Features:
        raise TypeError(f"{type(self).__name__} does not say how it encodes log-mel frames")

    def whole(self, local: Tensor, mask: Tensor) -> Tensor | None:
        """(B, N, D) local vectors → (B, D) pooled ones, of a tower whose pooled vector is made of them; else None."""
        return None


def strided(mask: Tensor, stride: int) -> Tensor:
    """The mask of a 'same'-padded convolution's output: frame n looks at input frame n × stride."""
    return mask[:, ::stride]


class _Frames:
    """The real frames of a padded batch. What is done frame by frame is done on them alone, one row each, and padding,
    about a fifth of a batch, costs nothing; convolutions see them padded with zeros."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.rows = mask.flatten().nonzero()[:, 0]
        self.full = not torch.compiler.is_exporting() and len(self.rows) == mask.numel()

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, C) → (R, C)."""
        rows = x.reshape(-1, x.shape[2])
        return rows if self.full else rows.index_select(0, self.rows)

    def pad(self, rows: Tensor) -> Tensor:
        """(R, C) → (B, T, C), zero where nothing is real."""
        if not self.full:
            rows = rows.new_zeros(self.mask.numel(), rows.shape[1]).index_copy(0, self.rows, rows)
        return rows.view(*self.mask.shape, -1)

    def drop(self, rows: Tensor, share: float) -> Tensor:
        """(R, C) with a share of each recording's channels left out, all its frames alike."""
        b, t = self.mask.shape
        kept = F.dropout(rows.new_ones(b, rows.shape[1]), share)
        return rows * kept[self.rows // t]


def _convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """(B, T, C) → (B, T', C'). Channels last: in this order convolutions on CPUs are quicker, and so is all between
    them; only the convolution in two dimensions takes it."""
    stride, padding, dilation = (1, conv.stride[0]), (0, int(conv.padding[0])), (1, conv.dilation[0])
    planes, weight = x.transpose(1, 2)[:, :, None], conv.weight[:, :, None]
    out = F.conv2d(planes, weight, conv.bias, stride, padding, dilation)
    return out[:, :, 0].transpose(1, 2)


class _Block(nn.Module):
    """Residual: dilated convolution, norm, GELU, 1 × 1 convolution."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, kernel, padding=kernel // 2 * dilation, dilation=dilation, bias=False)
        self.norm = RowBatchNorm(width)
        self.dropout = dropout
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, h: Tensor, frames: _Frames) -> Tensor:
        """(R, C) → (R, C)."""
        wide = F.gelu(self.norm(frames.pack(_convolve(self.wide, frames.pad(h)))))
        if self.training and self.dropout:
            wide = frames.drop(wide, self.dropout)
        out: Tensor = h + F.linear(wide, self.mix.weight[..., 0], self.mix.bias)
        return out


class LocalTower(SpeechTower):
    """Convolutions of a bounded receptive field, and a gate that says how much each frame counts.

    Log-mel → two strided convolutions (40 ms a step) → residual dilated convolutions → D values and one gate a frame.
    The local vectors are gate × value and the pooled vector points along their sum, seen from the middle of all
    utterances (``Centre``), so whatever the pooled vector says of an utterance is said at a place: words can be found
    where they are spoken.
    """

    class Config(Section):
        """See the class; ``dilations`` has one entry per block, in steps of 40 ms.

        ``level``: seconds on either side of a moment whose speech sets the level that it is heard from
        (``level_speech``). Shorter recordings are heard from one level.
        """

        kind: Literal["local"] = "local"
        bins: int = Field(40, ge=8, le=128)
        width: int = Field(192, ge=8)
        kernel: int = Field(5, ge=1)
        dilations: tuple[Annotated[int, Field(ge=1)], ...] = (1, 1, 2)
        dropout: float = Field(0.1, ge=0, lt=1)
        level: float = Field(6.0, gt=0)

        @field_validator("kernel")
        @classmethod
        def _odd(cls, kernel: int) -> int:
            if kernel % 2 == 0:
                raise ValueError("an odd number of taps is needed, so that a frame is in the middle of what it hears")
            return kernel

        def build(self, dim: int) -> LocalTower:
            return LocalTower(self, dim)

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        w = self.width = config.width
        self.frontend = LogMel(config.bins)
        self.stem = nn.ModuleList(
            [
                nn.Conv1d(config.bins, w, 9, stride=2, padding=4, bias=False),
                nn.Conv1d(w, w, 5, stride=2, padding=2, bias=False),
            ]
        )
        self.norms = nn.ModuleList([RowBatchNorm(w), RowBatchNorm(w)])
        self.blocks = nn.ModuleList([_Block(w, config.kernel, d, config.dropout) for d in config.dilations])
        self.value = nn.Linear(w, dim)
        self.gate = nn.Linear(w, 1)
        self.centre = Centre(dim)
        self.step = 0.04
        frames = 9 + 2 * 4 + sum(4 * (config.kernel - 1) * d for d in config.dilations)
        self.receptive_field = 0.025 + 0.01 * (frames - 1)
        self.reach = round(config.level * 100)
        self.context = self.receptive_field / 2 + 2 * config.level

    def encode(self, mel: Padded) -> Features:
        assert mel.mask is not None
        x, mask = level_speech(mel.values, mel.mask, self.reach), mel.mask
        x = (x * 0.5).transpose(1, 2)  # log-mel spreads by about 2 natural-log units: this brings it near 1
        for conv, norm in zip(self.stem, self.norms):
            assert isinstance(conv, nn.Conv1d)
            mask = strided(mask, conv.stride[0])
            frames = _Frames(mask)
            h = F.gelu(norm(frames.pack(_convolve(conv, x))))
            x = frames.pad(h)
        for block in self.blocks:
            h = block(h, frames)
        x = frames.pad(F.gelu(h))
        local = (self.value(x) * torch.sigmoid(self.gate(x))).float() * mask[..., None]
        return Features(self.whole(local, mask), local, mask, self.step, x)

    def whole(self, local: Tensor, mask: Tensor) -> Tensor:
        seen: Tensor = self.centre(pool(local, mask))
        return seen


class SeedTower(SpeechTower):
    """The CNN-Transformer that LookHear grew from: MFCC, seven convolutions of which four stride, a Transformer.

    Widths 39 → 96 (kernel 9) → 96 × 5 → 128 (kernel 11), strides 2 1 2 1 2 1 2 (160 ms a step), then 8 pre-norm layers
    of width 128 with 4 heads, LayerNorm and a linear map. The original had no padding mask; here padding is masked
    throughout, so that an answer does not depend on its batch.
    """

    class Config(Section):
        """``readout``: the output at step 0 (as published) or the mean over steps; ``positions``: learned or none."""

        kind: Literal["seed"] = "seed"
        width: int = Field(128, ge=1)
        layers: int = Field(8, ge=1)
        heads: int = Field(4, ge=1)
        positions: bool = False
        readout: Literal["first", "mean"] = "first"

        @model_validator(mode="after")
        def _heads_divide_width(self) -> SeedTower.Config:
            if self.width % self.heads:
                raise ValueError(f"width {self.width} is not a multiple of {self.heads} heads")
            return self

        def build(self, dim: int) -> SeedTower:
            return SeedTower(self, dim)

    MAX_STEPS = 1024

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        w = self.width = config.width
        self.frontend, self.mfcc = LogMel(bins=80), Mfcc(bins=80)
        shapes = [(39, 96, 9, 2), *[(96, 96, 11, s) for s in (1, 2, 1, 2, 1)], (96, w, 11, 2)]
        self.convs = nn.ModuleList([nn.Conv1d(i, o, k, stride=s, padding=k // 2) for i, o, k, s in shapes])
        self.positions = nn.Parameter(torch.randn(self.MAX_STEPS, w) * 0.01) if config.positions else None
        layer = nn.TransformerEncoderLayer(w, config.heads, 4 * w, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm, self.project = nn.LayerNorm(w), nn.Linear(w, dim, bias=False)
        self.centre = Centre(dim)
        self.readout, self.step, self.receptive_field = config.readout, 0.16, float("inf")

    def encode(self, mel: Padded) -> Features:
        x = self.mfcc(mel)
        h, mask = x.values, x.mask
        for conv in self.convs:
            assert isinstance(conv, nn.Conv1d)
            mask = strided(mask, conv.stride[0])
            h = F.relu(conv(h)) * mask[:, None]
        h = h.transpose(1, 2)
        if self.positions is not None:
            h = h + self.positions[torch.arange(h.shape[1], device=h.device).clamp(max=self.MAX_STEPS - 1)]
        # Utterances of seconds are a few dozen steps: there the flash kernel's backward pass on CPUs took a quarter of
        # the training step. Hours in one piece, which is no training, need the kernels that hold no (N, N) matrix.
        plain = self.training and h.device.type == "cpu"
        with sdpa_kernel(SDPBackend.MATH) if plain else nullcontext():
            h = self.transformer(h, src_key_padding_mask=~mask)
        local = self.project(self.norm(h)).float() * mask[..., None]
        pooled = F.normalize(local[:, 0], dim=-1) if self.readout == "first" else pool(local, mask)
        return Features(self.centre(pooled), local, mask, self.step, h)
