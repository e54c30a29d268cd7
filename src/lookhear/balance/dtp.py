"""Weights by how well each task is done already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.balance.base import BalanceSection, Weighted
from lookhear.core import Losses

__all__ = ["Dtp"]


class Dtp(Weighted):
    """Dynamic task prioritisation (Guo et al., 2018, equations 2 and 5): wₜ = −(1 − kₜ)^γ log kₜ.

    kₜ in (0, 1) is the running figure of a task, k ← a k' + (1 − a) k. The paper takes accuracy; a loop of losses has
    none, so the figure of a step here is k' = exp(−Lₜ / Lₜ(0)): e⁻¹ at first, and near 1 for what is learned. What is
    done well weighs little.
    """

    class Config(BalanceSection):
        """``gamma``: γ; ``share``: a, of the present step in the running figure."""

        about: ClassVar[About] = About(
            name="dtp",
            title="tasks weighed by what is still to learn",
            kind="balance",
            family="multi-task",
            paper="Guo, Haque, Huang, Yeung, Fei-Fei, 2018, Dynamic Task Prioritization for Multitask Learning, ECCV",
            inputs=("audio", "image"),
        )
        kind: Literal["dtp"] = "dtp"
        gamma: float = Field(1.0, ge=0)
        share: float = Field(0.05, gt=0, le=1)

        def build(self, tasks: Sequence[str]) -> Dtp:
            return Dtp(self, tasks)

    first: Tensor
    figure: Tensor

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.config = config
        self.register_buffer("first", torch.full((len(tasks),), float("nan")))
        self.register_buffer("figure", torch.full((len(tasks),), float("nan")))

    def weigh(self, losses: Losses, values: Tensor, model: nn.Module, epoch: int) -> Tensor:
        at = self.numbers(losses)
        new = self.first[at].isnan()
        self.first[at] = torch.where(new, values.clamp(min=1e-8), self.first[at])
        now = torch.exp(-values.clamp(min=0) / self.first[at])
        running = self.config.share * now + (1 - self.config.share) * self.figure[at]
        self.figure[at] = torch.where(new, now, running)
        k = self.figure[at].clamp(1e-6, 1 - 1e-6)
        return -((1 - k) ** self.config.gamma) * torch.log(k)
