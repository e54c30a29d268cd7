"""The second view of an item: how it could also have been taken, or a partner in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Padded
from lookhear.data.augment import Augment
from lookhear.data.looks import Looks
from lookhear.partners.base import Partners
from lookhear.training.mels import pad_mels

__all__ = ["SecondView", "pictures_seen", "recordings_heard"]

Make = Callable[[NDArray[np.int64], torch.Generator], Padded]
"""(B,) items and a source of chance → their inputs, augmented."""


def recordings_heard(mels: Sequence[Tensor], augment: Augment) -> Make:
    """Makes augmented log-mels of recordings."""

    def make(items: NDArray[np.int64], rng: torch.Generator) -> Padded:
        return augment.apply(pad_mels([mels[i] for i in items]), rng)

    return make


def pictures_seen(pictures: Tensor, looks: Looks) -> Make:
    """Makes augmented pictures, (B, 3, H, W) in [0, 1], of uint8 ones."""

    def make(items: NDArray[np.int64], rng: torch.Generator) -> Padded:
        return Padded(looks.apply(pictures[torch.from_numpy(items)].float() / 255, rng))

    return make


class SecondView:
    """What a batch holds as "audio@2" or "image@2".

    Args:
        make: the augmented inputs of some items.
        partners: whose inputs are taken instead of the items' own.
    """

    def __init__(self, make: Make, partners: Partners | None = None) -> None:
        self.make, self.partners = make, partners

    def of(self, items: NDArray[np.int64], rng: np.random.Generator, noise: torch.Generator) -> Padded:
        """(B,) items → their second views."""
        return self.make(items if self.partners is None else self.partners.draw(items, rng), noise)
