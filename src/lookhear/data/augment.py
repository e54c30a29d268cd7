"""What a recording could also have sounded like: changes to log-mel frames, drawn anew for each step."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from lookhear.core import Padded, Section, lengths_to_mask
from lookhear.frontend import speech_frames

__all__ = ["Augment"]

_LN10 = math.log(10)


class Augment(Section):
    """Augmentation of log-mel frames; all off by default, and never used in evaluation.

    It works on (B, M, T) natural-log power, so that features may be computed once and a step still hears something
    new. Masks follow SpecAugment (Park et al., 2019), the frequency warp is vocal tract length perturbation
    (Jaitly and Hinton, 2013), speed is a resampling of frames, the room an exponential tail of each band's power.

    Attributes:
        silence: longest silence, in seconds, put before and after half of the items, 25 to 60 dB below the speech.
        speed: largest relative change of speed; 0.15 draws from 1/1.15 to 1.15.
        warp: largest relative stretch of the frequency axis (another speaker's vocal tract).
        tilt: standard deviation, in dB, of a smooth random equaliser.
        noise: (lowest, highest) signal-to-noise ratio in dB; half of the items get noise. An empty list is none, for a
            recipe that extends one with noise.
        room: longest reverberation time (RT60) in seconds; half of the items get a room.
        time_masks: how many stretches of frames are hidden, each up to ``time_share`` of the recording.
        frequency_masks: how many bands are hidden, each up to ``frequency_bins`` wide.
    """

    silence: float = Field(0.0, ge=0)
    speed: float = Field(0.0, ge=0, lt=1)
    warp: float = Field(0.0, ge=0, lt=0.5)
    tilt: float = Field(0.0, ge=0)
    noise: tuple[float, float] | None = None
    room: float = Field(0.0, ge=0)
    time_masks: int = Field(0, ge=0)
    time_share: float = Field(0.1, ge=0, le=1)
    frequency_masks: int = Field(0, ge=0)
    frequency_bins: int = Field(6, ge=0)

    @field_validator("noise", mode="before")
    @classmethod
    def _empty_is_none(cls, noise: Any) -> Any:
        return None if isinstance(noise, (list, tuple)) and not noise else noise

    @field_validator("noise")
    @classmethod
    def _lowest_first(cls, noise: tuple[float, float] | None) -> tuple[float, float] | None:
        if noise is not None and noise[0] > noise[1]:
            raise ValueError("the lowest signal-to-noise ratio comes first")
        return noise

    def apply(self, mel: Padded, rng: torch.Generator) -> Padded:
        """(B, M, T) log-mel and its mask → the same kind, T changed where speed is."""
        values, mask = mel.values, mel.mask
        assert mask is not None
        if self.speed:
            values, mask = _change_speed(values, mask, self.speed, rng)
        if self.warp:
            values = _warp_frequency(values, self.warp, rng)
        if self.silence:
            values, mask = _add_silence(values, mask, self.silence, rng)
        if self.room:
            values = _add_room(values, self.room, rng)
        if self.tilt:
            values = values + _smooth_curve(values.shape[0], values.shape[1], rng) * (self.tilt * _LN10 / 10)
        if self.noise is not None:
            values = _add_noise(values, mask, self.noise, rng)
        if self.time_masks or self.frequency_masks:
            values = self._hide(values, mask, rng)
        return Padded(values, mask)

    def _hide(self, values: Tensor, mask: Tensor, rng: torch.Generator) -> Tensor:
        """Hidden cells take the item's mean of their band, which ``level_speech`` turns into zero."""
        b, m, t = values.shape
        lengths = mask.sum(1)
        hidden = torch.zeros(b, m, t, dtype=torch.bool)
        bins, frames = torch.arange(m), torch.arange(t)
        for _ in range(self.time_masks):
            width = (torch.rand(b, generator=rng) * self.time_share * lengths).floor()
            start = (torch.rand(b, generator=rng) * (lengths - width)).floor()
            hidden |= ((frames >= start[:, None]) & (frames < (start + width)[:, None]))[:, None]
        for _ in range(self.frequency_masks):
            width = torch.randint(0, self.frequency_bins + 1, (b,), generator=rng)
            start = (torch.rand(b, generator=rng) * (m - width)).floor()
            hidden |= ((bins >= start[:, None]) & (bins < (start + width)[:, None]))[..., None]
        weights = speech_frames(values, mask)[:, None].to(values.dtype)
        mean = (values * weights).sum(2, keepdim=True) / weights.sum(2, keepdim=True).clamp(min=1)
        return torch.where(hidden, mean, values)


def _uniform(b: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(b, generator=rng)


def _lerp(values: Tensor, where: Tensor, dim: int) -> Tensor:
    """Values at fractional positions ``where`` (B, positions) along dimension 1 or 2 of (B, M, T)."""
    size = values.shape[dim]
    low = where.floor().clamp(0, size - 1)
    share = (where - low).clamp(0, 1)
    low = low.long()
    high = (low + 1).clamp(max=size - 1)

    def at(index: Tensor) -> Tensor:
        shape = (-1, values.shape[1], -1) if dim == 2 else (-1, -1, values.shape[2])
        return values.gather(dim, index.unsqueeze(3 - dim).expand(shape))

    return torch.lerp(at(low), at(high), share.unsqueeze(3 - dim))


def _change_speed(values: Tensor, mask: Tensor, most: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    b = values.shape[0]
    speed = torch.exp(_uniform(b, -1, 1, rng) * math.log1p(most))
    lengths = mask.sum(1)
    new = (lengths / speed).round().clamp(min=1).long()
    size = int(new.max())
    where = (torch.arange(size)[None] * speed[:, None]).minimum((lengths - 1)[:, None].float())
    return _lerp(values, where, 2), lengths_to_mask(new, size)


def _warp_frequency(values: Tensor, most: float, rng: torch.Generator) -> Tensor:
    b, m, _ = values.shape
    alpha = _uniform(b, -most, most, rng)
    grid = torch.linspace(0, 1, m)[None]
    # A bend that keeps both ends in place: the middle bands move by up to alpha × a quarter of the axis each way.
    where = (grid + alpha[:, None] * grid * (1 - grid)) * (m - 1)
    return _lerp(values, where, 1)


def _add_silence(values: Tensor, mask: Tensor, longest: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    b, m, t = values.shape
    lengths = mask.sum(1)
    some = torch.rand(b, generator=rng) < 0.5
    before, after = ((_uniform(b, 0, longest * 100, rng) * some).round().long() for _ in range(2))
    size = int((before + lengths + after).max())
    where = torch.arange(size)[None] - before[:, None]
    moved = values.gather(2, where.clamp(0, t - 1)[:, None].expand(-1, m, -1))
    inside = (where >= 0) & (where < lengths[:, None])
    hiss = _mean_power(values, mask) - _uniform(b, 25, 60, rng) * (_LN10 / 10)
    hiss = hiss[:, None, None] + _smooth_curve(b, m, rng)
    hiss = hiss + _flicker((b, m, size), rng)
    return torch.where(inside[:, None], moved, hiss), lengths_to_mask(before + lengths + after, size)


def _mean_power(values: Tensor, mask: Tensor) -> Tensor:
    """(B,): the natural logarithm of the mean power of a cell."""
    weights = mask[:, None].to(values.dtype)
    return torch.log((values.exp() * weights).sum((1, 2)) / (weights.sum((1, 2)) * values.shape[1]))


def _flicker(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """A band of noise has an exponentially distributed power from frame to frame."""
    return (-torch.rand(shape, generator=rng).clamp(min=1e-6).log()).clamp(min=1e-3).log()


def _smooth_curve(b: int, m: int, rng: torch.Generator) -> Tensor:
    """(B, M, 1): random curves over the bands, unit variance at their five knots."""
    knots = torch.randn(b, 1, 5, generator=rng)
    return F.interpolate(knots, size=m, mode="linear", align_corners=True).transpose(1, 2)


def _add_room(values: Tensor, longest: float, rng: torch.Generator) -> Tensor:
    b, _, t = values.shape
    taps = min(t, round(longest * 100) + 1)
    rt60 = _uniform(b, 0.1, max(longest, 0.11), rng)
    level = _uniform(b, 0.05, 0.5, rng) * (torch.rand(b, generator=rng) < 0.5)
    decay = torch.exp(-6 * _LN10 * 0.01 / rt60[:, None] * torch.arange(taps)[None])  # 60 dB of power in rt60
    kernel = level[:, None] * decay
    kernel[:, 0] = 1.0
    power = F.pad(values.exp().transpose(0, 1), (taps - 1, 0))
    wet = F.conv1d(power, kernel.flip(1)[:, None], groups=b).transpose(0, 1)
    return wet.log()


def _add_noise(values: Tensor, mask: Tensor, snr: tuple[float, float], rng: torch.Generator) -> Tensor:
    b, m, _ = values.shape
    level = _mean_power(values, mask)
    drop = _uniform(b, snr[0], snr[1], rng) * (_LN10 / 10)
    off = torch.where(torch.rand(b, generator=rng) < 0.5, 0.0, -1e4)
    colour = (
        1.5 * _smooth_curve(b, m, rng) - torch.linspace(0, 1, m)[None, :, None] * _uniform(b, 0, 4, rng)[:, None, None]
    )
    noise = (level - drop + off)[:, None, None] + colour - colour.mean(1, keepdim=True) + _flicker(values.shape, rng)
    return torch.logaddexp(values, noise)
