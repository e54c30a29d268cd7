"""Gradients of tasks without what of them works against others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor

from lookhear.about import About
from lookhear.balance.base import BalanceSection
from lookhear.balance.gradients import Together, library

__all__ = ["PcGrad"]


class PcGrad(Together):
    """Projected conflicting gradients (Yu et al., 2020, algorithm 1), by torchjd.

    Each gᵢ meets the others in a random order, and where it points against one, gᵢ ← gᵢ − (gᵢ · gⱼ / gⱼ · gⱼ) gⱼ. The
    sum of what is left is the step. Scales stay as they are: a loss that is a hundred times another's still leads.
    """

    class Config(BalanceSection):
        """See the class."""

        about: ClassVar[About] = About(
            name="pcgrad",
            title="conflicts between tasks' gradients projected away",
            kind="balance",
            family="multi-task",
            paper="Yu, Kumar, Gupta, Levine, Hausman, Finn, 2020, Gradient Surgery for Multi-Task Learning, NeurIPS",
            inputs=("audio", "image"),
        )
        kind: Literal["pcgrad"] = "pcgrad"

        def build(self, tasks: Sequence[str]) -> PcGrad:
            return PcGrad(tasks)

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.solve: Any = library().PCGradWeighting()

    def combine(self, products: Tensor, values: Tensor) -> Tensor:
        weights: Tensor = self.solve(products)
        return weights
