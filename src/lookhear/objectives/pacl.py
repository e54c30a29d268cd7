"""PACL: InfoNCE whose every pair is pooled anew, each item by what the other one attends to."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from lookhear.about import About
from lookhear.core import gather
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE, same_group
from lookhear.objectives.local import LocalSection
from lookhear.scoring import Compatibility

__all__ = ["Pacl"]


class Pacl(InfoNCE):
    """Patch-aligned contrastive learning (Mukhoti et al., 2023, section 3), speech instead of pictures made local.

    A pair of a recording with unit local vectors p (N, D) and a picture with the unit vector t scores

    φ = Σ aₙ (pₙ · t), a = softmax over real n of (temperature × pₙ · t),

    for *every* pair of the gathered batch, not the recording's own picture only: a recording that was pooled by its own
    picture already holds the answer. It is ``Compatibility.pooled`` of kind "attention", the model's own, so that
    training and use agree; its temperature is 1 as published (sharper from the first step on, it collapses). The loss
    is ``InfoNCE`` of φ. Where the batch brings more pictures (vectors alone) they are further negatives.

    Which side is local is ``dense``: the speech ("audio", as above), the pictures' patches with the recording's pooled
    vector as t ("image"), or the mean of both φ ("both").
    """

    reads_local: ClassVar[bool] = True

    class Config(LocalSection):
        """``temperature`` is that of InfoNCE; ``bank`` off leaves out the further pictures."""

        about: ClassVar[About] = About(
            name="pacl",
            title="patch alignment",
            kind="objective",
            family="cross-modal contrast",
            paper=(
                "Mukhoti et al., 2023, Open Vocabulary Semantic Segmentation with Patch Aligned "
                "Contrastive Learning, CVPR"
            ),
            inputs=("audio", "image"),
            recipe="picturebook-pacl",
            negatives=True,
            second_modality=True,
        )
        kind: Literal["pacl"] = "pacl"
        dense: Literal["audio", "image", "both"] = "audio"
        temperature: float = Field(0.07, gt=0)
        max_scale: float = Field(100.0, gt=1)
        symmetric: bool = True
        bank: bool = True
        weight: float = 1.0

        @property
        def patches(self) -> bool:
            """Only where pictures are local."""
            return self.dense != "audio"

        def check(self, compatibility: Compatibility) -> None:
            """Refuses any kind but "attention"."""
            if compatibility.kind != "attention":
                raise UserError(
                    f"objective 'pacl' pools by attention, and compatibility.kind is {compatibility.kind!r}",
                    'Set compatibility.kind = "attention" (and its temperature, 1 as published).',
                )

        def build(self) -> Pacl:
            return Pacl(self)

    def __init__(self, config: Config) -> None:
        plain = InfoNCE.Config(
            temperature=config.temperature,
            max_scale=config.max_scale,
            symmetric=config.symmetric,
            weight=config.weight,
        )
        super().__init__(plain)
        self.dense, self.bank, self.name = config.dense, config.bank, config.kind

    def scores(self, views: Views) -> tuple[Tensor, Tensor]:
        """(B, B) φ of every recording with every picture, and the pairs to ignore."""
        # Each process pools its own items by everybody's vectors: only those, and the scores, are sent.
        read, found = views.model.compatibility.pooled, []
        if self.dense != "image":
            found.append(gather(read(views["audio"], gather(views["image"].pooled))))
        if self.dense != "audio":
            found.append(gather(read(views["image"], gather(views["audio"].pooled))).T)
        return torch.stack(found).mean(0), same_group(gather(views.group))

    def _with_more(self, logits: Tensor, scale: Tensor, views: Views) -> Tensor:
        more = views.more(self.b)
        if more is None or not self.bank or self.dense != "audio":  # further pictures have no patches
            return logits
        features, group = more
        same = gather(views.group)[:, None] == group[None]
        further = gather(views.model.compatibility.pooled(views["audio"], features.pooled))
        return torch.cat([logits, (further * scale).masked_fill(same, float("-inf"))], dim=1)
