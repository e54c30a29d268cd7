"""Small-loss selection: the pairs of a batch that fit worst are taken for mistakes of the labels, and left out."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE

__all__ = ["SmallLoss"]


class SmallLoss(InfoNCE):
    """InfoNCE over the share of each batch with the smallest loss (Han et al., 2018, co-teaching, algorithm 1).

    L = mean over the R(t) · B items with the smallest ℓᵢ = ½ [CE of a → b + CE of b → a] of ℓᵢ,
    R(t) = 1 − τ · min(t / T, 1): a network learns clean labels before it learns wrong ones by heart, so early on all
    is learned from and later only what agrees. Co-teaching has two networks that select for each other; here one
    selects for itself at half the cost, as in self-paced learning. Who is left out still serves the others as a
    negative.
    """

    class Config(InfoNCE.Config):
        """What is left out.

        Attributes:
            forget: τ, the share of each batch that is left out in the end; as large as the share of wrong pairs.
            ramp: T, steps until then.
        """

        about: ClassVar[About] = About(
            name="small_loss",
            title="the easiest share of each batch",
            kind="objective",
            family="cross-modal contrast",
            paper=(
                "Han et al., 2018, Co-teaching: Robust Training of Deep Neural Networks with Extremely "
                "Noisy Labels, NeurIPS"
            ),
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["small_loss"] = "small_loss"  # type: ignore[assignment]
        forget: float = Field(0.2, ge=0, lt=1)
        ramp: int = Field(1000, ge=1)

        def build(self) -> SmallLoss:
            return SmallLoss(self)

    done: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.forget, self.ramp = config.forget, config.ramp
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def kept(self, size: int) -> int:
        """How many of ``size`` items are learned from at the step at hand; one at least."""
        share = 1 - self.forget * min(int(self.done) / self.ramp, 1.0)
        return max(1, round(share * size))

    def forward(self, views: Views) -> Losses:
        there, back = self.logits(views)
        right = torch.arange(len(there), device=there.device)
        each = F.cross_entropy(there, right, reduction="none")
        if self.symmetric:
            each = (each + F.cross_entropy(back, right, reduction="none")) / 2
        chosen = each.detach().topk(self.kept(len(each)), largest=False).indices
        return {self.name: self.weight * each[chosen].mean()}

    def after_step(self, model: nn.Module, step: int) -> None:
        self.done.fill_(step + 1)
