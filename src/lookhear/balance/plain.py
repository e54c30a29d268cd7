"""Weights that do not change: the plain sum, and those that the recipe gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.balance.base import Balance, BalanceSection, Weighted
from lookhear.core import Losses
from lookhear.errors import UserError, did_you_mean

__all__ = ["Fixed", "Sum", "known"]


def known(given: Sequence[str], tasks: Sequence[str], key: str) -> None:
    """Refuses names of tasks that there are not.

    Raises:
        UserError: names the key and the nearest task.
    """
    for name in given:
        if name not in tasks:
            raise UserError(f"{key}: no task {name!r}", did_you_mean(name, list(tasks)))


class Sum:
    """All losses as they are named and weighed in their objectives; what is done without a [balance]."""

    class Config(BalanceSection):
        """See the class."""

        kind: Literal["sum"] = "sum"

        def build(self, tasks: Sequence[str]) -> Balance:
            return Balance(tasks)


class Fixed(Weighted):
    """Weights from the recipe, on top of those of the objectives; a task that it does not name weighs 1."""

    least = 1

    class Config(BalanceSection):
        """``weights``: task → weight, above 0."""

        about: ClassVar[About] = About(
            name="fixed-weights",
            title="tasks weighed by given numbers",
            kind="balance",
            family="multi-task",
            paper="Vandenhende, 2022, Multi-Task Learning for Visual Scene Understanding, PhD thesis, KU Leuven",
            inputs=("audio", "image"),
        )
        kind: Literal["fixed"] = "fixed"
        weights: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)

        def build(self, tasks: Sequence[str]) -> Fixed:
            return Fixed(self, tasks)

    weights: Tensor

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        known(list(config.weights), tasks, "balance.weights")
        given = torch.tensor([config.weights.get(name, 1.0) for name in tasks])
        self.register_buffer("weights", given, persistent=False)

    def weigh(self, losses: Losses, values: Tensor, model: nn.Module, epoch: int) -> Tensor:
        return self.weights[self.numbers(losses)]
