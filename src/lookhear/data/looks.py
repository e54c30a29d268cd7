"""How a picture could also have been taken: changes to pixels, drawn anew for each view."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from lookhear.core import Section

__all__ = ["Looks"]

_GREY = (0.299, 0.587, 0.114)


class Looks(Section):
    """Augmentation of pictures; all off by default.

    Attributes:
        crop: smallest and largest share of the area that is cut out and scaled to the whole; (1, 1) for none.
        aspect: a crop is up to so many times as wide as high, or as high as wide.
        flip: mirror every second picture.
        brightness, contrast, saturation: factors from 1 − x to 1 + x, for four pictures of five.
        hue: turns of the colours by up to this share of a full circle, for the same pictures.
        grey: share of pictures that lose their colours.
        blur: share of pictures that are blurred, by σ of 0.1 to 2 pixels of 64 across.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    aspect: float = Field(4 / 3, ge=1)
    flip: bool = False
    brightness: float = Field(0.0, ge=0, lt=1)
    contrast: float = Field(0.0, ge=0, lt=1)
    saturation: float = Field(0.0, ge=0, le=1)
    hue: float = Field(0.0, ge=0, le=0.5)
    grey: float = Field(0.0, ge=0, le=1)
    blur: float = Field(0.0, ge=0, le=1)

    @field_validator("crop")
    @classmethod
    def _shares(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError("the smaller share of the area comes first, both above 0 and at most 1")
        return crop

    def apply(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """(B, 3, H, W) in [0, 1] → the same kind."""
        if self.crop != (1.0, 1.0) or self.flip:
            images = self._cut(images, rng)
        if self.brightness or self.contrast or self.saturation or self.hue:
            some = _drawn(images, 0.8, rng)
            images = torch.where(some, self._colours(images, rng), images)
        if self.grey:
            images = torch.where(_drawn(images, self.grey, rng), _grey(images).expand_as(images), images)
        if self.blur:
            images = torch.where(_drawn(images, self.blur, rng), _blurred(images, rng), images)
        return images

    def _cut(self, images: Tensor, rng: torch.Generator) -> Tensor:
        b = len(images)
        area = _between(b, *self.crop, rng)
        ratio = torch.exp(_between(b, -1, 1, rng) * math.log(self.aspect) / 2)
        if self.crop == (1.0, 1.0):
            ratio = torch.ones(b)
        wide, high = (area.sqrt() * ratio).clamp(max=1), (area.sqrt() / ratio).clamp(max=1)
        left, top = _between(b, -1, 1, rng) * (1 - wide), _between(b, -1, 1, rng) * (1 - high)
        mirrored = torch.where(torch.rand(b, generator=rng) < 0.5, -1.0, 1.0) if self.flip else torch.ones(b)
        theta = torch.zeros(b, 2, 3)
        theta[:, 0, 0], theta[:, 0, 2] = wide * mirrored, left
        theta[:, 1, 1], theta[:, 1, 2] = high, top
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def _colours(self, images: Tensor, rng: torch.Generator) -> Tensor:
        b = len(images)

        def factor(most: float) -> Tensor:
            return _between(b, 1 - most, 1 + most, rng)[:, None, None, None]

        out = images * factor(self.brightness)
        out = _mixed(out, _grey(out).mean((2, 3), keepdim=True), factor(self.contrast))
        out = _mixed(out, _grey(out), factor(self.saturation))
        if self.hue:
            out = _turned(out, _between(b, -self.hue, self.hue, rng) * 2 * math.pi)
        return out.clamp(0, 1)


def _between(b: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(b, generator=rng)


def _drawn(images: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """(B, 1, 1, 1) bool, True for about a share of them."""
    return (torch.rand(len(images), generator=rng) < share)[:, None, None, None]


def _grey(images: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W) luma (ITU-R BT.601)."""
    return (images * images.new_tensor(_GREY)[:, None, None]).sum(1, keepdim=True)


def _mixed(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (other + (images - other) * factor).clamp(0, 1)


def _turned(images: Tensor, angle: Tensor) -> Tensor:
    """Colours turned about the axis of greys by (B,) radians (Rodrigues' formula), so that greys stay as they are."""
    axis = torch.full((3,), 1 / math.sqrt(3))
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turn = cos * torch.eye(3) + sin * cross + (1 - cos) * torch.outer(axis, axis)
    return torch.einsum("bij,bjhw->bihw", turn.to(images.dtype), images)


def _blurred(images: Tensor, rng: torch.Generator) -> Tensor:
    b, c, h, w = images.shape
    sigma = _between(b, 0.1, 2.0, rng)[:, None] * max(h, w) / 64
    reach = min(max(1, round(4 * max(h, w) / 64)), min(h, w) - 1)
    taps = torch.exp(-(torch.arange(-reach, reach + 1)[None] ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(c, 0)
    planes = images.reshape(1, b * c, h, w)
    planes = F.conv2d(F.pad(planes, (reach, reach, 0, 0), mode="reflect"), taps[:, None, None, :], groups=b * c)
    planes = F.conv2d(F.pad(planes, (0, 0, reach, reach), mode="reflect"), taps[:, None, :, None], groups=b * c)
    return planes.view(b, c, h, w)
