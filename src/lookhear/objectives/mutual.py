"""Mutual distillation: two speech towers learn side by side, each also what the other answers; one of them is kept."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from lookhear.about import About
from lookhear.core import Batch, Losses, Padded, gather
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.models.towers import SpeechTowerConfig
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.response import bank_of, divergence

__all__ = ["Mutual"]


class Mutual(Objective):
    """A peer of the tower learns from the same recordings and pictures (Zhang et al., 2018, eq. 4–8).

    L = weight × [T² KL(q ‖ p) + T² KL(p ‖ q)] + L_InfoNCE(peer), where p and q are the tower's and the peer's softmax
    over all pictures, of ``scale`` × cosines / T. No gradient goes through the first of either KL, so each follows the
    other as it stands; both step at once, where the paper's take turns. The tower's own loss is another objective,
    beside this one. The peer is kept in checkpoints and not in the run.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})

    class Config(Shaped):
        """``peer`` is a [speech] of its own; ``temperature`` is T; ``weight`` is of the KL, not of the peer's loss."""

        about: ClassVar[About] = About(
            name="mutual",
            title="two towers teach each other",
            kind="objective",
            family="distillation",
            paper="Zhang, Xiang, Hospedales, Lu, 2018, Deep Mutual Learning, CVPR",
            inputs=("audio", "image"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["mutual"] = "mutual"
        peer: SpeechTowerConfig = LocalTower.Config()
        temperature: float = Field(1.0, gt=0)
        scale: float = Field(14.0, gt=0)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> Mutual:
            peer = self.peer.build(model.dim)
            if peer.channels != model.audio.channels:
                raise UserError(
                    f"objective 'mutual': the peer reads {peer.channels} channels, the tower {model.audio.channels}",
                    f"Set its peer.bins={model.audio.channels}.",
                )
            return Mutual(self, peer)

    def __init__(self, config: Config, peer: nn.Module) -> None:
        super().__init__()
        self.config, self.peer = config, peer
        self.pictures = InfoNCE(InfoNCE.Config())

    def forward(self, views: Views) -> Losses:
        given = views.batch.inputs["audio"]
        if not isinstance(given, Padded):
            raise UserError(
                "objective 'mutual' needs the recordings themselves for its peer, not vectors computed before",
                "Set training.part=0 if it is set, or take the objective out.",
            )
        ours, theirs = views["audio"], self.peer(given)
        c, bank = self.config, bank_of(views)
        z, y = (c.scale * x.pooled.float() @ bank.T for x in (ours, theirs))
        p, q = ((x / c.temperature).softmax(1).detach() for x in (z, y))
        apart = divergence(q, z, c.temperature) + divergence(p, y, c.temperature)
        inputs = {"audio": theirs, "image": views["image"]}
        seen = Views(views.model, Batch(inputs, views.batch.group, views.batch.ids, views.batch.more))
        own = sum(self.pictures(seen).values())
        return {"mutual": c.weight * gather(apart).mean(), "mutual_peer": own}
