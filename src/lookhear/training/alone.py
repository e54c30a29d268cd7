"""Batches of one modality alone, in one view or two, for what is learned before the modalities meet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lookhear.core import Batch, Features, Padded
from lookhear.errors import UserError
from lookhear.training.batches import epoch_order
from lookhear.training.second import Make, SecondView

__all__ = ["AloneBatches"]


class AloneBatches:
    """Recordings or pictures, each once an epoch, those of like length together.

    Args:
        name: "audio" or "image".
        make: the augmented inputs of some items; their first view.
        second: their second view, if an objective asks for one.
        groups: (N,) items of one group are never each other's negatives.
        ids: of the N items.
        lengths: (N,) by which batches are made; all alike for pictures.
    """

    def __init__(
        self,
        name: Literal["audio", "image"],
        make: Make,
        second: SecondView | None,
        groups: NDArray[np.int64],
        ids: Sequence[str],
        lengths: NDArray[np.int64],
        batch_size: int,
        seed: int,
    ) -> None:
        """
        Raises:
            UserError: fewer items than a batch.
        """
        if len(ids) < batch_size:
            what = "recordings" if name == "audio" else "pictures"
            raise UserError(f"{len(ids)} {what} to learn from, fewer than a batch of {batch_size}", "Lower batch_size.")
        self.name, self.make, self.second = name, make, second
        self.groups, self.ids, self.batch_size, self.seed = groups, list(ids), batch_size, seed
        self.steps_per_epoch = len(ids) // batch_size
        self._order = lru_cache(maxsize=2)(lambda epoch: epoch_order(lengths, batch_size, seed, epoch))

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's share of a batch: every ``world``-th item."""
        items = self._order(epoch)[index][rank::world]
        rng = np.random.default_rng((self.seed, 2, epoch, index, rank))
        noise = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        inputs: dict[str, Padded | Features] = {self.name: self.make(items, noise)}
        if self.second is not None:
            inputs[f"{self.name}@2"] = self.second.of(items, rng, noise)
        return Batch(inputs, torch.from_numpy(self.groups[items]), [self.ids[i] for i in items])

    def items(self, steps: int) -> int:
        return steps * self.batch_size
