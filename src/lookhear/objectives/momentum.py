"""Momentum distillation: a slowly moving copy of the speech tower says which other pictures a recording may mean."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Batch, Features, Losses
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.moving import MovingCopy
from lookhear.objectives.queue import QueuedInfoNCE
from lookhear.objectives.soft_targets import soft_cross_entropy

__all__ = ["MomentumDistillation"]


class MomentumDistillation(QueuedInfoNCE):
    """InfoNCE whose targets a moving average of the tower softens (Li et al., 2021, ALBEF, eq. 6).

    L = (1 − α) L_InfoNCE + α/2 Σ over sides of CE(q, p): q is the softmax of the copy's similarities, at the same
    temperature and over the same items, p the tower's. Where a recording's own picture does not show what is said and
    another one does, the copy says so after a while. ALBEF writes KL(q ‖ p), which differs from the cross-entropy by
    what has no gradient. α rises from 0 over the first ``warmup`` steps, in which the copy knows nothing. Only the
    tower of a is copied: b is the teacher's, and frozen. With ``size``, keys of the copy are queued as in MoCo.
    """

    class Config(QueuedInfoNCE.Config):
        """``alpha`` is α; ``decay`` the copy's, a step; ``warmup`` in steps; ``size`` 0 queues nothing."""

        about: ClassVar[About] = About(
            name="momentum",
            title="a slow copy softens the targets",
            kind="objective",
            family="distillation",
            paper=(
                "Li et al., 2021, Align before Fuse: Vision and Language Representation Learning with "
                "Momentum Distillation, NeurIPS"
            ),
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
            moving_average=True,
        )
        kind: Literal["momentum"] = "momentum"  # type: ignore[assignment]
        size: int = Field(0, ge=0)
        alpha: float = Field(0.4, ge=0, le=1)
        warmup: int = Field(1000, ge=0)
        decay: float = Field(0.995, ge=0, lt=1)

        def build(self) -> MomentumDistillation:
            return MomentumDistillation(self)

    done: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.final, self.warmup = config.alpha, config.warmup
        self.copy = MovingCopy(config.decay)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    @property
    def alpha(self) -> float:
        """α of the step at hand."""
        return self.final * min(int(self.done) / self.warmup, 1.0) if self.warmup else self.final

    def forward(self, views: Views) -> Losses:
        seen = self._through_copy(views)  # first, so that the copy begins as the tower was before this batch
        sides = self.logits(views)
        with torch.no_grad():
            copied = self.logits(seen)
        loss = self._distilled(sides[0], copied[0])
        if self.symmetric:
            loss = (loss + self._distilled(sides[1], copied[1])) / 2
        self.note(seen)
        return {self.name: self.weight * loss}

    def _distilled(self, logits: Tensor, copied: Tensor) -> Tensor:
        right = torch.eye(*logits.shape, device=logits.device)
        return soft_cross_entropy(logits, self.alpha * copied.softmax(1) + (1 - self.alpha) * right).mean()

    def _through_copy(self, views: Views) -> Views:
        """The same batch with a as the copy gives it."""
        given = views.batch.inputs[self.a]
        if isinstance(given, Features):
            raise UserError(
                f"objective 'momentum' needs the {self.a} itself for its copy, not vectors computed before",
                "Set training.part=0 if it is set, or choose 'soft_targets'.",
            )
        inputs = {self.a: self.copy(getattr(views.model, self.a), given), self.b: views[self.b]}
        return Views(views.model, Batch(inputs, views.batch.group, views.batch.ids, views.batch.more))

    def after_step(self, model: nn.Module, step: int) -> None:
        super().after_step(model, step)
        self.copy.update(getattr(model, self.a))
        self.done.fill_(step + 1)
