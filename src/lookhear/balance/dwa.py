"""Weights by how fast each task's loss falls from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.balance.base import BalanceSection, Weighted
from lookhear.core import Losses

__all__ = ["Dwa"]


class Dwa(Weighted):
    """Dynamic weight average (Liu et al., 2019, equation 7): wₜ = T softmaxₜ(rₜ / τ), rₜ = Lₜ(e − 1) / Lₜ(e − 2).

    L(e) is the mean of epoch e's losses. For the first two epochs, and for a task that one of the two had no label of,
    rₜ is 1. The rule does not see how large losses are, only how they fall: bring them to one scale before.
    """

    class Config(BalanceSection):
        """``temperature``: τ; the larger, the more alike."""

        about: ClassVar[About] = About(
            name="dwa",
            title="tasks weighed by how fast their losses fall",
            kind="balance",
            family="multi-task",
            paper="Liu, Johns, Davison, 2019, End-to-End Multi-Task Learning with Attention, CVPR",
            inputs=("audio", "image"),
        )
        kind: Literal["dwa"] = "dwa"
        temperature: float = Field(2.0, gt=0)

        def build(self, tasks: Sequence[str]) -> Dwa:
            return Dwa(self, tasks)

    epoch: Tensor
    sums: Tensor
    counts: Tensor
    means: Tensor

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.config = config
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))
        self.register_buffer("sums", torch.zeros(len(tasks)))
        self.register_buffer("counts", torch.zeros(len(tasks)))
        self.register_buffer("means", torch.full((2, len(tasks)), float("nan")))  # of the last epoch, of that before

    def weigh(self, losses: Losses, values: Tensor, model: nn.Module, epoch: int) -> Tensor:
        if epoch > int(self.epoch):
            self.means.copy_(torch.stack([self.sums / self.counts, self.means[0]]))  # 0 / 0: not a number
            self.sums.zero_()
            self.counts.zero_()
            self.epoch.fill_(epoch)
        at = self.numbers(losses)
        self.sums[at] += values
        self.counts[at] += 1
        falls = torch.nan_to_num(self.means[0] / self.means[1], nan=1.0, posinf=1.0, neginf=1.0)
        return (len(self.tasks) * torch.softmax(falls / self.config.temperature, 0))[at]
