"""Losses that draw an item and its partner together and hold others apart: InfoNCE, margin, sigmoid."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, Section, gather
from lookhear.objectives.base import Objective, Views

__all__ = ["InfoNCE", "Margin", "Modality", "Pairwise", "Sigmoid", "hinge", "same_group"]

Modality = Literal["audio", "image", "text", "audio@2", "image@2"]
"""What is drawn together; "@2" is the second view of the same item, or a partner of it."""


def same_group(group: Tensor) -> Tensor:
    """(B,) → (B, B) bool, True off the diagonal where two items show or say the same thing: no negatives."""
    same = group[:, None] == group[None]
    same.fill_diagonal_(False)
    return same


def hinge(scores: Tensor, ignore: Tensor, margin: float) -> Tensor:
    """Mean over i ≠ j, both ways, of [m − s_ii + s_ij]₊ for (B, B) scores; ``ignore`` (B, B) is left out."""
    ignore = ignore | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    right = scores.diag()
    cost = (margin - right[:, None] + scores).relu() + (margin - right[None] + scores).relu()
    return cost.masked_fill(ignore, 0).sum() / (~ignore).sum().clamp(min=1)


class Pairwise(Objective):
    """Scores of all pairs of a batch that is gathered from all processes."""

    reads_local: ClassVar[bool] = False

    def __init__(self, a: str, b: str, weight: float) -> None:
        super().__init__()
        self.a, self.b, self.weight = a, b, weight

    def scores(self, views: Views) -> tuple[Tensor, Tensor]:
        """(B, B) cosines of every a with every b, and the pairs to ignore."""
        a, b = gather(views[self.a].pooled), gather(views[self.b].pooled)
        return a.float() @ b.float().T, same_group(gather(views.group))


class InfoNCE(Pairwise):
    """Symmetric InfoNCE with a learned temperature (Radford et al., 2021, CLIP, fig. 3).

    L = ½ [CE(s a bᵀ) + CE(s b aᵀ)], s = exp(logit scale), over all pairs of the gathered batch; pairs of the same
    group off the diagonal are left out of the denominators. Where the batch brings more items of b (a bank of frozen
    vectors), the a → b side counts them as negatives too.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})

    class Config(Section):
        """``symmetric`` off keeps only the a → b side; the temperature starts at ``temperature``."""

        about: ClassVar[About] = About(
            name="infonce",
            title="the right one of a batch",
            kind="objective",
            family="cross-modal contrast",
            paper="Radford et al., 2021, Learning Transferable Visual Models From Natural Language Supervision, ICML",
            inputs=("audio", "image", "text"),
            recipe="picturebook",
            negatives=True,
            second_modality=True,
        )
        kind: Literal["infonce"] = "infonce"
        a: Modality = "audio"
        b: Modality = "image"
        temperature: float = Field(0.07, gt=0)
        max_scale: float = Field(100.0, gt=1)
        symmetric: bool = True
        weight: float = 1.0

        def build(self) -> InfoNCE:
            return InfoNCE(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config.a, config.b, config.weight)
        self.needs = frozenset({config.a, config.b})  # type: ignore[misc]
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))
        self.max_scale, self.symmetric = config.max_scale, config.symmetric
        self.name = f"{config.kind}_{config.a}_{config.b}"

    def forward(self, views: Views) -> Losses:
        there, back = self.logits(views)
        right = torch.arange(len(there), device=there.device)
        loss = F.cross_entropy(there, right)
        if self.symmetric:
            loss = (loss + F.cross_entropy(back, right)) / 2
        return {self.name: self.weight * loss}

    def logits(self, views: Views) -> tuple[Tensor, Tensor]:
        """(B, B + M) of each a against every b and M more of them, and (B, B) of each b; −inf where ignored.

        The right answer of row i is i on either side.
        """
        scores, ignore = self.scores(views)
        scale = self.scale()
        logits = (scores * scale).masked_fill(ignore, float("-inf"))
        return self._with_more(logits, scale, views), logits.T

    def scale(self) -> Tensor:
        """What cosines are multiplied by: the temperature's inverse, bounded."""
        return self.logit_scale.exp().clamp(max=self.max_scale)

    def _with_more(self, logits: Tensor, scale: Tensor, views: Views) -> Tensor:
        """(B, B) logits → (B, B + M): each a also against more items of b than the batch holds."""
        more = views.more(self.b)
        if more is None:
            return logits
        features, group = more
        a = gather(views[self.a].pooled).float()
        same = gather(views.group)[:, None] == group[None]
        further = (a @ features.pooled.float().T * scale).masked_fill(same, float("-inf"))
        return torch.cat([logits, further], dim=1)


class Margin(Pairwise):
    """Hinge on every negative of the batch, both ways (Karpathy and Fei-Fei, 2015, eq. 9; the sum is a mean here).

    L = mean over i ≠ j of [m − s_ii + s_ij]₊ + [m − s_ii + s_ji]₊.
    """

    class Config(Section):
        """``margin`` in cosine."""

        about: ClassVar[About] = About(
            name="margin",
            title="hinges on every negative",
            kind="objective",
            family="cross-modal contrast",
            paper="Karpathy and Fei-Fei, 2015, Deep Visual-Semantic Alignments for Generating Image Descriptions, CVPR",
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["margin"] = "margin"
        a: Modality = "audio"
        b: Modality = "image"
        margin: float = Field(0.2, gt=0)
        weight: float = 1.0

        def build(self) -> Margin:
            return Margin(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config.a, config.b, config.weight)
        self.needs = frozenset({config.a, config.b})  # type: ignore[misc]
        self.margin = config.margin

    def forward(self, views: Views) -> Losses:
        return {f"margin_{self.a}_{self.b}": self.weight * hinge(*self.scores(views), self.margin)}


class Sigmoid(Pairwise):
    """Every pair a yes-or-no question (Zhai et al., 2023, SigLIP, eq. 1): L = −1/B Σᵢⱼ log σ(zᵢⱼ (t sᵢⱼ + b)).

    z is 1 on the diagonal and −1 elsewhere; t starts at 10 and b at −10 as published; same-group pairs are left out.
    """

    class Config(Section):
        """``scale`` is t, ``bias`` is b; both are learned."""

        about: ClassVar[About] = About(
            name="sigmoid",
            title="every pair a yes-or-no question",
            kind="objective",
            family="cross-modal contrast",
            paper="Zhai et al., 2023, Sigmoid Loss for Language Image Pre-Training, ICCV",
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["sigmoid"] = "sigmoid"
        a: Modality = "audio"
        b: Modality = "image"
        scale: float = Field(10.0, gt=0)
        bias: float = -10.0
        weight: float = 1.0

        def build(self) -> Sigmoid:
            return Sigmoid(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config.a, config.b, config.weight)
        self.needs = frozenset({config.a, config.b})  # type: ignore[misc]
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.scale)))
        self.bias = nn.Parameter(torch.tensor(config.bias))

    def forward(self, views: Views) -> Losses:
        scores, ignore = self.scores(views)
        sign = 2 * torch.eye(len(scores), device=scores.device) - 1
        each = -F.logsigmoid(sign * (scores * self.logit_scale.exp() + self.bias))
        return {f"sigmoid_{self.a}_{self.b}": self.weight * each.masked_fill(ignore, 0).sum() / len(scores)}
