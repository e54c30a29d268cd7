"""Masked margin softmax: InfoNCE in which the right partner must win by a margin."""

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

__all__ = ["MaskedMarginSoftmax"]


class MaskedMarginSoftmax(InfoNCE):
    """Masked margin softmax (Ilharco et al., 2019, "Large-scale representation learning from visually grounded
    untranscribed speech").

    L = −½ · 1/B Σᵢ [log e^(S_ii − δ) / (e^(S_ii − δ) + Σⱼ M_ij e^(S_ij)) + the same of the columns], S = s · cosine,
    M 0 where i and j are of one group and on the diagonal, else 1. The margin grows by a factor of ``growth`` every
    ``every`` steps. In the paper the two sides are added up and S is a dot product of vectors of any length, whose
    place s takes here, learned as in ``InfoNCE``; further negatives of the batch count as they do there.
    """

    class Config(InfoNCE.Config):
        """``margin`` is δ, in logits; ``growth`` 1 keeps it as it is."""

        about: ClassVar[About] = About(
            name="mms",
            title="masked margin softmax",
            kind="objective",
            family="cross-modal contrast",
            paper=(
                "Ilharco, Zhang, Baldridge, 2019, Large-Scale Representation Learning from Visually "
                "Grounded Untranscribed Speech, CoNLL"
            ),
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["mms"] = "mms"  # type: ignore[assignment]
        margin: float = Field(0.001, ge=0)
        growth: float = Field(1.002, ge=1)
        every: int = Field(1000, ge=1)

        def build(self) -> MaskedMarginSoftmax:
            return MaskedMarginSoftmax(self)

    done: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.first, self.growth, self.every = config.margin, config.growth, config.every
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    @property
    def margin(self) -> float:
        """δ of the step at hand."""
        return float(self.first * self.growth ** (int(self.done) // self.every))

    def forward(self, views: Views) -> Losses:
        there, back = self.logits(views)
        right = torch.arange(len(there), device=there.device)
        margin = self.margin
        loss = F.cross_entropy(_minus(there, margin), right)
        if self.symmetric:
            loss = (loss + F.cross_entropy(_minus(back, margin), right)) / 2
        return {self.name: self.weight * loss}

    def after_step(self, model: nn.Module, step: int) -> None:
        self.done.fill_(step + 1)


def _minus(logits: Tensor, margin: float) -> Tensor:
    """(B, N ≥ B) logits with the margin taken off the right answers, which stand on the diagonal."""
    return logits - margin * torch.eye(*logits.shape, device=logits.device)
