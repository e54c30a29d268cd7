"""Triplet margin losses with negatives chosen in the batch: sampled ones and semi-hard ones."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from lookhear.about import About
from lookhear.core import Losses, Section, gather
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import Modality, Pairwise

__all__ = ["Triplet"]


class Triplet(Pairwise):
    """One negative for each item and side, drawn at random and, in a second term, semi-hard.

    The loss of ResDAVEnet (Harwath et al., 2020, "Learning hierarchical discrete linguistic units from
    visually-grounded speech"):

    L = 1/B Σᵢ [m − s_ii + s_ij]₊ + [m − s_ii + s_ki]₊ for j, k drawn evenly from the negatives of i, and the same
    with j and k the most similar negatives that are less similar than the right partner (semi-hard; Schroff et al.,
    2015, FaceNet, section 3.2). An item that has none counts 0. Pairs of one group are no negatives.
    """

    class Config(Section):
        """``margin`` in cosine (published: 1, of dot products of vectors of any length).

        Attributes:
            sampled: weight of the term with negatives drawn at random; 0 leaves it out.
            semi_hard: weight of the term with semi-hard negatives; 0 leaves it out.
        """

        about: ClassVar[About] = About(
            name="triplet",
            title="semi-hard and sampled triplets",
            kind="objective",
            family="cross-modal contrast",
            paper=(
                "Harwath, Hsu, Glass, 2020, Learning Hierarchical Discrete Linguistic Units from "
                "Visually-Grounded Speech, ICLR"
            ),
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["triplet"] = "triplet"
        a: Modality = "audio"
        b: Modality = "image"
        margin: float = Field(0.2, gt=0)
        sampled: float = Field(1.0, ge=0)
        semi_hard: float = Field(1.0, ge=0)
        weight: float = 1.0

        @model_validator(mode="after")
        def _one_at_least(self) -> Triplet.Config:
            if not self.sampled and not self.semi_hard:
                raise ValueError("sampled and semi_hard are both 0, so that nothing is learned")
            return self

        def build(self) -> Triplet:
            return Triplet(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config.a, config.b, config.weight)
        self.needs = frozenset({config.a, config.b})  # type: ignore[misc]
        self.margin, self.sampled, self.semi_hard = config.margin, config.sampled, config.semi_hard

    def forward(self, views: Views) -> Losses:
        scores, ignore = self.scores(views)
        ignore = ignore | torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        right = scores.diag()
        loss = scores.new_zeros(())
        for side in (scores, scores.T):
            if self.sampled:
                loss = loss + self.sampled * self._hinge(right, side, _draw(ignore), ~ignore)
            if self.semi_hard:
                below = ~ignore & (side < right[:, None])
                hardest = side.detach().masked_fill(~below, float("-inf")).argmax(1)
                loss = loss + self.semi_hard * self._hinge(right, side, hardest, below)
        return {f"triplet_{self.a}_{self.b}": self.weight * loss}

    def _hinge(self, right: Tensor, side: Tensor, chosen: Tensor, allowed: Tensor) -> Tensor:
        """The mean over items of [m − right + the chosen negative's score]₊; items without a negative count 0."""
        cost = (self.margin - right + side.gather(1, chosen[:, None])[:, 0]).relu()
        return cost.masked_fill(~allowed.any(1), 0).mean()


def _draw(ignore: Tensor) -> Tensor:
    """(B, B) True where no negative stands → (B,) one of the others in each row, all equally likely.

    Every process takes the first one's draw: their generators need not stand at the same place.
    """
    keys = torch.rand(ignore.shape, device=ignore.device)
    return gather(keys[None])[0].masked_fill(ignore, -1).argmax(1)
