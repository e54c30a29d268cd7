"""Weights learned as each task's uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from lookhear.about import About
from lookhear.balance.base import Back, BalanceSection, Weighted
from lookhear.balance.plain import known
from lookhear.core import Losses

__all__ = ["Uncertainty"]


class Uncertainty(Weighted):
    """Σₜ exp(−sₜ) Lₜ + sₜ / 2, with a learned sₜ for each task, 0 at first (Kendall et al., 2018, section 3.2).

    sₜ is the logarithm of a variance, and is trained beside the net by the loop's optimiser. The weight of a loss that
    stays at ℓ goes to 1 / (2 ℓ). The total may be negative; what the log calls ``loss`` is the plain sum.
    """

    class Config(BalanceSection):
        """``regression``: tasks whose loss is a squared error, which weighs half (equation 5)."""

        about: ClassVar[About] = About(
            name="multi-task-learning-thesis",
            title="tasks balanced, by uncertainty and otherwise; branches and distillation between tasks",
            kind="balance",
            family="multi-task",
            paper=(
                "Vandenhende, 2022, Multi-Task Learning for Visual Scene Understanding, PhD thesis, KU Leuven; "
                "Kendall, Gal, Cipolla, 2018, Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR"
            ),
            inputs=("audio", "image"),
            recipe="picturebook-balance",
        )
        kind: Literal["uncertainty"] = "uncertainty"
        regression: tuple[str, ...] = ()

        def build(self, tasks: Sequence[str]) -> Uncertainty:
            return Uncertainty(self, tasks)

    halved: Tensor

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        known(config.regression, tasks, "balance.regression")
        self.log_variance = nn.Parameter(torch.zeros(len(tasks)))
        half = torch.tensor([0.5 if name in config.regression else 1.0 for name in tasks])
        self.register_buffer("halved", half, persistent=False)

    def backward(self, losses: Losses, model: nn.Module, back: Back, epoch: int = 0) -> dict[str, float]:
        if not set(losses) <= set(self.tasks):
            return super().backward(losses, model, back, epoch)
        at = self.numbers(losses)
        s = self.log_variance[at]
        weights = self.halved[at] * torch.exp(-s)
        back((weights * torch.stack(list(losses.values())) + s / 2).sum())
        return self.told("weight", losses, weights.detach())
