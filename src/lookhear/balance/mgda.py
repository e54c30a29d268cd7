"""The shortest vector between the tasks' gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lookhear.about import About
from lookhear.balance.base import BalanceSection
from lookhear.balance.gradients import Together, library

__all__ = ["Mgda"]


class Mgda(Together):
    """Multiple-gradient descent (Sener and Koltun, 2018, equation 3 and algorithm 2): min ‖Σ wₜ gₜ‖, w ≥ 0, Σ w = 1.

    Solved by Frank–Wolfe (torchjd). A step along it makes no task worse. The shortest gradient weighs most, so that
    losses of unlike scale are evened out; with ``normalise`` gradients are first divided by their length ("norm") or by
    their loss ("loss"), as in the authors' code.
    """

    class Config(BalanceSection):
        """See the class."""

        about: ClassVar[About] = About(
            name="mgda",
            title="the shortest vector between tasks' gradients",
            kind="balance",
            family="multi-task",
            paper="Sener, Koltun, 2018, Multi-Task Learning as Multi-Objective Optimization, NeurIPS",
            inputs=("audio", "image"),
        )
        kind: Literal["mgda"] = "mgda"
        normalise: Literal["none", "norm", "loss"] = "none"

        def build(self, tasks: Sequence[str]) -> Mgda:
            return Mgda(self, tasks)

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.config = config
        self.solve: Any = library().MGDAWeighting(epsilon=1e-5, max_iters=250)

    def combine(self, products: Tensor, values: Tensor) -> Tensor:
        scale = {
            "none": torch.ones_like(values),
            "norm": products.diagonal().sqrt(),
            "loss": values.abs(),
        }[self.config.normalise].clamp(min=1e-12)
        weights: Tensor = self.solve(products / scale / scale[:, None])
        return weights / scale
