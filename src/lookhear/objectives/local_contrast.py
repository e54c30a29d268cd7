"""Local contrast: the same place in two views of an item, against other places of the same item."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Features, Losses, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views

__all__ = ["LocalContrast"]


class LocalContrast(Objective):
    """Places of one item told apart (Chaitanya et al., 2020, section 3.2, L^R).

    ``places`` real places are drawn in each item. With unit vectors z of the first view and z' of the second, from one
    head over hidden vectors, place i's positive is i in the other view, its negatives j all drawn places at least
    ``apart`` from it, in both views. The mean over items, places and both directions of

    L = − log e^{zᵢ·z'ᵢ/T} / (e^{zᵢ·z'ᵢ/T} + Σⱼ e^{zᵢ·zⱼ/T} + e^{zᵢ·z'ⱼ/T}).

    Views must differ in loudness, channel, colours or noise alone: places correspond by number.
    """

    class Config(Shaped):
        """What is told apart.

        Attributes:
            on: the modality.
            places: drawn in each item, 13 as published.
            apart: local vectors (frames of the tower, or rows or columns of patches) that lie between two negatives.
            dim: of the head's vectors.
        """

        about: ClassVar[About] = About(
            name="global-local-contrastive-volumes",
            title="sections drawn together, places told apart",
            kind="objective",
            family="temporal contrast",
            paper=(
                "Chaitanya et al., 2020, Contrastive learning of global and local features for medical image "
                "segmentation with limited annotations, NeurIPS"
            ),
            inputs=("audio", "image"),
            recipe="digits-en-partitions",
            negatives=True,
            order=True,
            augmentation=True,
        )
        kind: Literal["local_contrast"] = "local_contrast"
        on: Literal["audio", "image"] = "audio"
        places: int = Field(13, ge=2)
        apart: int = Field(3, ge=1)
        temperature: float = Field(0.1, gt=0)
        dim: int = Field(128, ge=2)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> LocalContrast:
            return LocalContrast(self, getattr(model, self.on).width)

    def __init__(self, config: Config, width: int) -> None:
        """
        Args:
            width: H of the tower's hidden vectors.
        """
        super().__init__()
        self.config = config
        self.needs = frozenset({config.on, f"{config.on}@2"})  # type: ignore[misc]
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.dim))

    def forward(self, views: Views) -> Losses:
        first, second = views[self.config.on], views[f"{self.config.on}@2"]
        if first.mask.shape != second.mask.shape or not torch.equal(first.mask, second.mask):
            raise UserError(
                "objective 'local_contrast': the two views of an item are not of one length",
                "Leave out what changes time or place (speed, silence, crop, flip, partners) in this stage.",
            )
        drawn, real = self._draw(first.mask)
        far = self._far(first, drawn) & real[:, None]
        z, w = (self._at(f, drawn) for f in (first, second))
        each = (self._side(z, w, far) + self._side(w, z, far)) / 2
        told = real & far.any(2)
        if not told.any():
            raise UserError(
                f"objective 'local_contrast': no item has two places {self.config.apart} apart", "Lower 'apart'."
            )
        item = (each * told).sum(1) / told.sum(1).clamp(min=1)
        some = gather(told.any(1).float())
        return {"local_contrast": self.config.weight * (gather(item) * some).sum() / some.sum().clamp(min=1)}

    def _draw(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) → (B, C) numbers of places, and which of them are real."""
        chance = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, 2.0)
        drawn = chance.topk(min(self.config.places, mask.shape[1]), dim=1, largest=False).indices
        return drawn, mask.gather(1, drawn)

    def _far(self, features: Features, drawn: Tensor) -> Tensor:
        """(B, C) places → (B, C, C) bool, True where two lie far enough apart."""
        if isinstance(features.step, tuple):
            columns = features.step[1]
            where = torch.stack([drawn // columns, drawn % columns])
        else:
            where = drawn[None]
        return (where[:, :, :, None] - where[:, :, None]).abs().amax(0) >= self.config.apart

    def _at(self, features: Features, drawn: Tensor) -> Tensor:
        assert features.hidden is not None
        chosen = features.hidden.gather(1, drawn[..., None].expand(-1, -1, features.hidden.shape[2]))
        return F.normalize(self.head(chosen).float(), dim=-1)

    def _side(self, z: Tensor, w: Tensor, far: Tensor) -> Tensor:
        """(B, C): what is to be read off z, right in w."""
        right = (z * w).sum(-1, keepdim=True)
        wrong = [torch.einsum("bcd,bed->bce", z, v).masked_fill(~far, float("-inf")) for v in (z, w)]
        logits = torch.cat([right, *wrong], dim=2) / self.config.temperature
        return logits.logsumexp(2) - logits[..., 0]
