"""Weights that bring the lengths of the tasks' gradients together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.adam import adam

from lookhear.about import About
from lookhear.balance.base import Back, BalanceSection, Weighted, over_processes
from lookhear.balance.gradients import gramian, task_gradients
from lookhear.core import Losses
from lookhear.errors import UserError, did_you_mean

__all__ = ["GradNorm"]


class GradNorm(Weighted):
    """GradNorm (Chen et al., 2018, equations 1 and 2).

    With Gₜ = ‖∇ wₜ Lₜ‖ of the shared weights and rₜ = (Lₜ / Lₜ(0)) / mean of these, Σₜ |Gₜ − mean(G) rₜ^α| is made
    smaller by w alone, its target held still; then Σ w = T. An Adam of its own trains log w, so that weights stay
    positive and a hundredfold is as near as a hundredth; the net is no part of it. Each step's losses are weighed by
    what was found in the steps before.
    """

    takes_gradients = True

    class Config(BalanceSection):
        """How weights follow.

        Attributes:
            alpha: α; the larger, the more a task that lags behind is pushed.
            learning_rate: of log w.
            layer: part of the model whose gradients are compared, such as "audio.blocks"; all that are trained without
                it. The paper takes the last shared layer, to save time.
        """

        about: ClassVar[About] = About(
            name="gradnorm",
            title="lengths of tasks' gradients brought together",
            kind="balance",
            family="multi-task",
            paper=(
                "Chen, Badrinarayanan, Lee, Rabinovich, 2018, GradNorm: Gradient Normalization for Adaptive Loss "
                "Balancing in Deep Multitask Networks, ICML"
            ),
            inputs=("audio", "image"),
        )
        kind: Literal["gradnorm"] = "gradnorm"
        alpha: float = Field(1.5, ge=0)
        learning_rate: float = Field(0.025, gt=0)
        layer: str = ""

        def build(self, tasks: Sequence[str]) -> GradNorm:
            return GradNorm(self, tasks)

    log_weights: Tensor
    first: Tensor
    slope: Tensor
    square: Tensor
    taken: Tensor

    def __init__(self, config: Config, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self.config = config
        self.register_buffer("first", torch.full((len(tasks),), float("nan")))
        for name in ("log_weights", "slope", "square", "taken"):  # the last three are Adam's, a task each
            self.register_buffer(name, torch.zeros(len(tasks)))

    def shared(self, model: nn.Module) -> list[nn.Parameter]:
        prefix = self.config.layer
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        found = [p for n, p in named if not prefix or n == prefix or n.startswith(f"{prefix}.")]
        if not found:
            parts = sorted({n.rpartition(".")[0] for n, _ in named})
            raise UserError(f"balance.layer: the model trains no part {prefix!r}", did_you_mean(prefix, parts))
        return found

    def backward(self, losses: Losses, model: nn.Module, back: Back, epoch: int = 0) -> dict[str, float]:
        """As ``Weighted``; logs ``norm_<task>``, the lengths of the weighted gradients, too."""
        if not set(losses) <= set(self.tasks):
            return super().backward(losses, model, back, epoch)
        at = self.numbers(losses)
        weights = self.log_weights[at].exp()
        _, gradients = task_gradients(losses, self.shared(model))
        told = self.told("weight", losses, weights)
        stacked = torch.stack(list(losses.values()))
        back((weights * stacked).sum())
        if len(losses) > 1 and gradients[0]:
            norms = gramian(gradients).diagonal().sqrt().float()
            told |= self.told("norm", losses, weights * norms)
            self.follow(at, norms, over_processes(stacked.detach().float()))
        return told

    def follow(self, at: list[int], norms: Tensor, values: Tensor) -> None:
        """One step of the weights.

        Args:
            at: numbers of the n present tasks.
            norms: (n,) lengths of the gradients of the losses as they are, without a weight.
            values: (n,) the losses.
        """
        new = self.first[at].isnan()
        self.first[at] = torch.where(new, values.clamp(min=1e-8), self.first[at])
        lengths = self.log_weights[at].exp() * norms
        ratio = values / self.first[at]
        target = lengths.mean() * (ratio / ratio.mean()).clamp(min=0) ** self.config.alpha
        slope = torch.sign(lengths - target) * lengths  # d |G − target| / d log w, as G is proportional to w
        adam(
            [self.log_weights[i] for i in at],
            list(slope),
            [self.slope[i] for i in at],
            [self.square[i] for i in at],
            [],
            [self.taken[i] for i in at],
            foreach=False,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.config.learning_rate,
            weight_decay=0.0,
            eps=1e-12,
            maximize=False,
        )
        self.log_weights -= torch.logsumexp(self.log_weights, 0) - math.log(len(self.tasks))
