"""The moving average of the weights, which is what a run keeps if its recipe asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lookhear.objectives.base import Learner

__all__ = ["Average"]


class Average:
    """The exponential moving average of what is trained, with the statistics that belong to it.

    Its decay rises as (1 + n) / (10 + n) to the one asked for, so that the first weights are soon forgotten. Averaged
    weights of a rate that stays high lie in the middle of what the steps wander about, and serve unseen data better
    than any of them (Polyak and Juditsky, 1992; Izmailov et al., 2018).

    Args:
        learner: whose trained parameters and floating-point buffers are averaged.
        decay: 0 keeps no average: the present weights serve.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        buffers = {k for k, _ in learner.named_buffers()}
        self.decay = decay
        self._live = {
            k: v.detach()
            for k, v in learner.state_dict(keep_vars=True).items()
            if decay and v.is_floating_point() and (v.requires_grad or k in buffers)
        }
        self.values = {k: v.clone() for k, v in self._live.items()}

    def update(self, steps: int) -> None:
        """Takes the weights after so many steps in."""
        if self._live:
            decay = min(self.decay, (1 + steps) / (10 + steps))
            torch._foreach_lerp_(list(self.values.values()), list(self._live.values()), 1 - decay)

    def load(self, values: dict[str, Tensor]) -> None:
        for k, v in values.items():
            self.values[k].copy_(v)

    def settle(self) -> None:
        """Puts the average in the weights' place."""
        for k, v in self.values.items():
            self._live[k].copy_(v)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The learner with averaged weights, for a while."""
        present = {k: v.clone() for k, v in self._live.items()}
        self.settle()
        try:
            yield
        finally:
            for k, v in present.items():
                self._live[k].copy_(v)
