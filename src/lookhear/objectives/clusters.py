"""Clusters of one modality as classes of the other."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.quantizer import Quantizer, real_rows

__all__ = ["Clusters"]


class Clusters(Objective):
    """Cross-modal deep clustering (Alwassel et al., 2020, XDC).

    Pictures are put into K clusters, which follow them by moving averages where the paper makes k-means anew every few
    epochs; a head on the recording says which its picture is in: L = mean over recordings of the cross-entropy. A
    cluster that nobody is in is restarted, so that it cannot end in one class for all.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})
    reads_local: ClassVar[bool] = False

    class Config(Shaped):
        """``clusters`` is K; ``decay`` and ``rare`` as of ``Quantizer``."""

        about: ClassVar[About] = About(
            name="clusters",
            title="clusters of pictures as classes of speech",
            kind="objective",
            family="clustering",
            paper=("Alwassel et al., 2020, Self-Supervised Learning by Cross-Modal Audio-Video Clustering, NeurIPS"),
            inputs=("audio", "image"),
            second_modality=True,
        )
        kind: Literal["clusters"] = "clusters"
        clusters: int = Field(64, ge=2)
        decay: float = Field(0.98, ge=0, lt=1)
        rare: float = Field(0.02, ge=0)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> Clusters:
            return Clusters(self, model.dim)

    def __init__(self, config: Config, dim: int) -> None:
        """
        Args:
            dim: D of the shared space.
        """
        super().__init__()
        self.config = config
        self.quantizer = Quantizer(config.clusters, config.decay, config.rare)
        self.head = nn.Linear(dim, config.clusters)
        self._rows: Tensor | None = None

    def forward(self, views: Views) -> Losses:
        seen = views["image"].pooled.detach()
        rows = real_rows(seen[:, None], torch.ones(len(seen), 1, dtype=torch.bool, device=seen.device))
        if not self.quantizer.begun:
            if len(rows) < self.config.clusters:
                raise UserError(
                    f"objective 'clusters': {self.config.clusters} clusters of a batch of {len(rows)} pictures",
                    "Lower 'clusters', or raise the batch.",
                )
            self.quantizer.begin(rows)
        self._rows = rows if self.training else None
        wanted = self.quantizer.nearest(seen)
        # Unit vectors are short for a softmax of many classes.
        scores = self.head(views["audio"].pooled.float() * self.head.in_features**0.5)
        each = F.cross_entropy(scores, wanted, reduction="none")
        self.told = {"clusters used": float(self.quantizer.used)}
        return {"clusters": self.config.weight * gather(each).mean()}

    def after_step(self, model: nn.Module, step: int) -> None:
        if self._rows is not None:
            self.quantizer.follow(self._rows)
            self._rows = None
