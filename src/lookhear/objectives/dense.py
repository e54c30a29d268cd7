"""Dense contrast: every frame with the patch of its own picture that it is nearest to."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lookhear.about import About
from lookhear.core import Losses, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.local import LocalSection
from lookhear.scoring import Compatibility

__all__ = ["Dense"]


class Dense(Objective):
    """DenseCL (Wang et al., 2021, section 3.3) with the picture as the second view of speech.

    Frame n of a recording with unit local vectors a, and a picture with unit patches v: its positive is the patch
    c(n) = argmaxₚ aₙ · vₚ of its own picture, its negatives stand for the pictures of other groups in the gathered
    batch, and

    L = λ × mean over recordings of Σₙ wₙ CE([aₙ · v_c(n), aₙ · r₁, aₙ · r₂, …] / temperature, 0) / Σₙ wₙ.

    Which patch is nearest means nothing before speech and pictures agree, so λ is 0 for the first ``warmup`` steps and
    ``weight`` after them; another objective, over wholes, must stand beside it. Many frames show nothing: with
    ``gated`` a frame weighs as much as in the pooled vector, by the length of its local vector (wₙ = ‖aₙ‖, through
    which nothing is learned); else all real frames weigh alike, as published.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})

    class Config(LocalSection):
        """``negatives``: the unit mean of each other picture's patches, as published, or all of them."""

        about: ClassVar[About] = About(
            name="densecl",
            title="dense contrast, frames with patches",
            kind="objective",
            family="cross-modal contrast",
            paper="Wang et al., 2021, Dense Contrastive Learning for Self-Supervised Visual Pre-Training, CVPR",
            inputs=("audio", "image"),
            recipe="picturebook-dense",
            negatives=True,
            second_modality=True,
        )
        kind: Literal["dense"] = "dense"
        weight: float = Field(1.0, gt=0)
        warmup: int = Field(500, ge=0)
        temperature: float = Field(0.2, gt=0)
        negatives: Literal["pooled", "patches"] = "pooled"
        gated: bool = True

        def check(self, compatibility: Compatibility) -> None:
            """Refuses vectors that are read in parts."""
            if compatibility.heads > 1:
                raise UserError(
                    f"objective 'dense' reads vectors whole, and compatibility.heads is {compatibility.heads}",
                    "Set compatibility.heads = 1.",
                )

        def build(self) -> Dense:
            return Dense(self)

    steps: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # a run that goes on is as warm as it was

    def forward(self, views: Views) -> Losses:
        audio = views["audio"]
        if int(self.steps) < self.config.warmup:
            return {"dense": 0 * audio.pooled.float().sum()}
        each = self._each(views)
        weight = audio.mask.float()
        if self.config.gated:
            weight = weight * audio.local.detach().float().norm(dim=-1)
        mean = (each * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return {"dense": self.config.weight * gather(mean).mean()}

    def _each(self, views: Views) -> Tensor:
        """(B, N) cross-entropies of each frame."""
        audio, image = views["audio"], views["image"]
        frames, patches = F.normalize(audio.local.float(), dim=-1), F.normalize(image.local.float(), dim=-1)
        own = torch.einsum("bnd,bpd->bnp", frames, patches).masked_fill(~image.mask[:, None], float("-inf"))
        right = own.max(-1, keepdim=True).values
        patches, real, group = gather(patches), gather(image.mask), gather(views.group)
        if self.config.negatives == "pooled":
            patches = F.normalize((patches * real[..., None]).sum(1, keepdim=True), dim=-1)
            real = torch.ones_like(real[:, :1])
        wrong = torch.einsum("bnd,ipd->bnip", frames, patches)
        out = (views.group[:, None] == group[None])[:, None, :, None] | ~real
        logits = torch.cat([right, wrong.masked_fill(out, float("-inf")).flatten(2)], dim=2) / self.config.temperature
        return logits.logsumexp(2) - logits[..., 0]

    def after_step(self, model: torch.nn.Module, step: int) -> None:
        self.steps.fill_(step + 1)
