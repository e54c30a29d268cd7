"""A slowly moving copy of a tower: the exponential moving average of its weights, run as the tower is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lookhear.objectives.late import register_late_buffer

__all__ = ["MovingCopy"]


class MovingCopy(nn.Module):
    """The exponential moving average of what a tower trains, with the statistics that belong to it.

    The weights are one flat buffer, which the tower's own code is run with: so they are no parameters, no optimiser
    knows them, and they are kept in checkpoints and not in the run. What the tower holds frozen is not held twice.
    """

    weights: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        register_late_buffer(self, "weights", torch.zeros(0))

    @torch.no_grad()
    def forward(self, tower: nn.Module, x: Any) -> Any:
        """What the copy of the tower makes of x, without dropout, statistics of the batch or gradient."""
        with _at_rest(tower):
            return functional_call(tower, self._named(tower), (x,))

    @torch.no_grad()
    def update(self, tower: nn.Module) -> None:
        """copy ← decay × copy + (1 − decay) × tower."""
        self._begin(tower)
        self.weights.lerp_(_flat(tower), 1 - self.decay)

    def _begin(self, tower: nn.Module) -> None:
        if not len(self.weights):
            self.weights = _flat(tower)

    def _named(self, tower: nn.Module) -> dict[str, Tensor]:
        self._begin(tower)
        moving = _moving(tower)
        parts = torch.split(self.weights, [v.numel() for v in moving.values()])
        return {k: p.view_as(v).to(v.dtype) for (k, v), p in zip(moving.items(), parts, strict=True)}


def _moving(tower: nn.Module) -> dict[str, Tensor]:
    """Trained parameters and floating-point buffers that are saved."""
    buffers = {k for k, _ in tower.named_buffers()}
    state = tower.state_dict(keep_vars=True)
    return {k: v for k, v in state.items() if v.is_floating_point() and (v.requires_grad or k in buffers)}


def _flat(tower: nn.Module) -> Tensor:
    return torch.cat([v.detach().float().flatten() for v in _moving(tower).values()])


@contextmanager
def _at_rest(tower: nn.Module) -> Iterator[None]:
    """The tower in eval mode for a while; each of its parts then goes back to the mode it was in."""
    modes = [(m, m.training) for m in tower.modules()]
    tower.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
