"""InfoNCE with targets that are not sure: smoothed labels, and labels shared by how alike pictures are."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lookhear.about import About
from lookhear.core import Losses, gather
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE

__all__ = ["SoftTargets", "soft_cross_entropy"]


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """−Σⱼ tⱼ log softmax(z)ⱼ of each row, for (B, N) logits of which some are −inf, where targets must be 0 → (B,)."""
    logs = logits.log_softmax(1).masked_fill(logits.isneginf(), 0)
    return -(targets * logs).sum(1)


class SoftTargets(InfoNCE):
    """InfoNCE whose targets are mixtures: the right partner, all alike, and whoever the teacher finds similar.

    tᵢ = (1 − ε − σ) · onehot(i) + ε · uniform + σ · softmax(⟨bᵢ, bⱼ⟩ / τ) over the items j that are not ignored.
    ε is label smoothing (Szegedy et al., 2016, section 7). The third part takes the batch's own b, the teacher's
    vectors of the pictures: recordings are drawn, a little, to pictures like theirs (similarities within a modality as
    soft targets across two; Gao et al., 2024, "SoftCLIP"). No gradient goes through targets.
    """

    class Config(InfoNCE.Config):
        """``smoothing`` is ε, ``soft`` is σ, ``soft_temperature`` is τ, in cosine."""

        about: ClassVar[About] = About(
            name="soft_targets",
            title="labels as soft as pictures are alike",
            kind="objective",
            family="cross-modal contrast",
            paper="Szegedy et al., 2016, Rethinking the Inception Architecture for Computer Vision, CVPR",
            inputs=("audio", "image"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["soft_targets"] = "soft_targets"  # type: ignore[assignment]
        smoothing: float = Field(0.0, ge=0, lt=1)
        soft: float = Field(0.2, ge=0, lt=1)
        soft_temperature: float = Field(0.07, gt=0)

        @model_validator(mode="after")
        def _right_answer_counts(self) -> SoftTargets.Config:
            if self.smoothing + self.soft >= 1:
                raise ValueError(
                    f"smoothing {self.smoothing} and soft {self.soft} leave nothing to the right answer: "
                    "their sum must be below 1"
                )
            return self

        def build(self) -> SoftTargets:
            return SoftTargets(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.smoothing, self.soft, self.temperature = config.smoothing, config.soft, config.soft_temperature

    def forward(self, views: Views) -> Losses:
        there, back = self.logits(views)
        b = gather(views[self.b].pooled.detach()).float()
        more = views.more(self.b)
        columns = b if more is None else torch.cat([b, more[0].pooled.detach().float()])
        loss = soft_cross_entropy(there, self.targets(there, b @ columns.T)).mean()
        if self.symmetric:
            loss = (loss + soft_cross_entropy(back, self.targets(back, b @ b.T)).mean()) / 2
        return {self.name: self.weight * loss}

    def targets(self, logits: Tensor, alike: Tensor) -> Tensor:
        """(B, N) logits and cosines of what the rows and columns stand for → (B, N) targets; rows add up to 1."""
        ignored = logits.isneginf()
        right = torch.eye(*logits.shape, device=logits.device)
        even = (~ignored).float() / (~ignored).sum(1, keepdim=True)
        near = (alike / self.temperature).masked_fill(ignored, float("-inf")).softmax(1)
        return (1 - self.smoothing - self.soft) * right + self.smoothing * even + self.soft * near
