"""The picture's vector, as near as may be: embedding regression."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from lookhear.about import About
from lookhear.core import Losses, Section, gather
from lookhear.objectives.base import Objective, Views

__all__ = ["Regression"]


class Regression(Objective):
    """L = mean over recordings of 1 − cos(a, v) with the vector v of the picture, which no gradient reaches.

    Nothing holds recordings apart but their pictures' vectors (Aytar et al., 2016, "SoundNet", learn classes so).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})
    reads_local: ClassVar[bool] = False

    class Config(Section):
        """``weight`` beside other objectives."""

        about: ClassVar[About] = About(
            name="regression",
            title="the picture's vector, as near as may be",
            kind="objective",
            family="distillation",
            paper=(
                "Aytar, Vondrick, Torralba, 2016, SoundNet: Learning Sound Representations from Unlabeled Video, "
                "NeurIPS"
            ),
            inputs=("audio", "image"),
            second_modality=True,
        )
        kind: Literal["regression"] = "regression"
        weight: float = Field(1.0, gt=0)

        def build(self) -> Regression:
            return Regression(self)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, views: Views) -> Losses:
        a, v = views["audio"].pooled.float(), views["image"].pooled.detach().float()
        return {"regression": self.config.weight * (1 - gather(torch.einsum("bd,bd->b", a, v)).mean())}
