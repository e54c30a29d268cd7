"""A closed vocabulary learned from what a tagger sees in the picture."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lookhear.about import About
from lookhear.core import Losses, Padded
from lookhear.models.heads import TagHead
from lookhear.objectives.asked import AskedWords, Tags
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.words import prior_and_entropy

__all__ = ["TagHeadLoss"]


class TagHeadLoss(Objective):
    """Soft visual tags as targets of a head over the speech tower (Kamper et al., 2017, eq. 1).

    With log-odds z (B, V) of the head and the tagger's probabilities t (B, V):

    - ``bce``: − t log σ(z) − (1 − t) log σ(−z);
    - ``focal``: BCE × |t − σ(z)|^γ (soft targets: quality focal loss; Li et al., 2020, eq. 3);
    - ``softmax``: cross-entropy of the head's softmax with t / Σ t.

    Sigmoid losses are means over words after ``balance``: "entropy" divides each word's by the entropy H(p) of how
    often it is true, as ``WordTags`` does; "positives" weighs t by (1 − p) / p, at most 100, so that both answers count
    alike.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "tag_head"})

    class Config(AskedWords):
        """``weight`` is λ beside the other objectives; ``head`` says how answers are made."""

        about: ClassVar[About] = About(
            name="tag_head",
            title="a closed vocabulary from a visual tagger",
            kind="objective",
            family="distillation",
            paper=(
                "Kamper, Settle, Shakhnarovich, Livescu, 2017, Visually Grounded Learning of Keyword "
                "Prediction from Untranscribed Speech, Interspeech"
            ),
            inputs=("audio", "image"),
            recipe="picturebook-both",
            second_modality=True,
        )
        kind: Literal["tag_head"] = "tag_head"
        weight: float = Field(1.0, gt=0)
        head: TagHead.Config = TagHead.Config(reading="max")
        loss: Literal["bce", "focal"] = "bce"
        gamma: float = Field(2.0, ge=0)
        balance: Literal["none", "entropy", "positives"] = "none"

        def build(self, model: Any, tags: Tags) -> TagHeadLoss:
            model.head = TagHead(self.head, model.audio.width, tags.words)
            return TagHeadLoss(self, tags.share)

    prior: Tensor
    entropy: Tensor

    def __init__(self, config: Config, share: Tensor) -> None:
        """
        Args:
            share: (V,) mean of each word's tags over the training pictures.
        """
        super().__init__()
        self.config = config
        prior, entropy = prior_and_entropy(share)
        self.register_buffer("prior", prior, persistent=False)
        self.register_buffer("entropy", entropy, persistent=False)

    def forward(self, views: Views) -> Losses:
        found = views.model.head(views["audio"]).tags
        given = views.batch.inputs["tag_head"]
        assert isinstance(given, Padded)
        target = given.values.float()
        if self.config.head.softmax:  # the head's answers are log-probabilities then
            share = target / target.sum(1, keepdim=True).clamp(min=1e-9)
            return {"tag_head": -self.config.weight * (share * found).sum(1).mean()}
        z = found + self.prior
        positive = torch.exp(-self.prior).clamp(max=100.0) if self.config.balance == "positives" else None
        each = F.binary_cross_entropy_with_logits(z, target, reduction="none", pos_weight=positive)
        if self.config.loss == "focal":
            each = each * (target - torch.sigmoid(z)).abs() ** self.config.gamma
        if self.config.balance == "entropy":
            each = each / self.entropy
        return {"tag_head": self.config.weight * each.mean()}
