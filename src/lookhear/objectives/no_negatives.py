"""Two views drawn together without negatives: Barlow Twins, VICReg, BYOL."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Features, Losses, Padded, gather
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.hidden import mean_hidden
from lookhear.objectives.moving import MovingCopy

__all__ = ["NoNegatives"]


class _Head(nn.Module):
    """Mean hidden vector → (B, G) projection."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, x: Features) -> Tensor:
        out: Tensor = self.layers(mean_hidden(x))
        return out.float()


class NoNegatives(Objective):
    """Projections z, z' (B, G) of two views of one item, of all processes together:

    - ``barlow`` (Zbontar et al., 2021, eq. 1): with C the cross-correlation of both over the batch,
      Σᵢ (1 − Cᵢᵢ)² + .005 Σ_{i≠j} Cᵢⱼ²;
    - ``vicreg`` (Bardes et al., 2022, eq. 6): 25 mean ‖z − z'‖² / G + 25 (mean hinge at 1 of both standard deviations)
      + (sum of squared off-diagonal covariances of both) / G;
    - ``byol`` (Grill et al., 2020, eq. 2): 2 − 2 cos(p(z), z') with z' of a slow copy of tower and head, both ways.

    ``told`` holds the mean standard deviation of the unit vectors of z, which is near G^-½ and falls to 0 where all
    items become one.
    """

    class Config(Shaped):
        """How two views are drawn together."""

        about: ClassVar[About] = About(
            name="no_negatives",
            title="two views without negatives",
            kind="objective",
            family="no negatives",
            paper="Bardes, Ponce, LeCun, 2022, VICReg: Variance-Invariance-Covariance Regularization, ICLR",
            inputs=("audio", "image"),
            augmentation=True,
            moving_average=True,
        )
        kind: Literal["no_negatives"] = "no_negatives"
        on: Literal["audio", "image"] = "audio"
        loss: Literal["barlow", "vicreg", "byol"] = "vicreg"
        dim: int = Field(128, ge=2)
        decay: float = Field(0.99, ge=0, lt=1)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> NoNegatives:
            return NoNegatives(self, getattr(model, self.on).width)

    def __init__(self, config: Config, width: int) -> None:
        """
        Args:
            width: H of the tower's hidden vectors.
        """
        super().__init__()
        self.config = config
        self.needs = frozenset({config.on, f"{config.on}@2"})  # type: ignore[misc]
        self.head = _Head(width, config.dim)
        self.slow = self.slow_head = self.predict = None
        if config.loss == "byol":
            self.slow, self.slow_head = MovingCopy(config.decay), MovingCopy(config.decay)
            self.predict = nn.Sequential(
                nn.Linear(config.dim, config.dim), nn.ReLU(), nn.Linear(config.dim, config.dim)
            )

    def forward(self, views: Views) -> Losses:
        names = (self.config.on, f"{self.config.on}@2")
        a, b = (self.head(views[name]) for name in names)
        if self.predict is not None:
            loss = self._byol(self.predict, (a, b), self._copied(views, names))
        else:
            a, b = gather(a), gather(b)
            loss = barlow(a, b) if self.config.loss == "barlow" else vicreg(a, b)
        self.told = {"spread of vectors": float(F.normalize(a.detach(), dim=-1).std(0).mean())}
        return {"no_negatives": self.config.weight * loss}

    def _copied(self, views: Views, names: tuple[str, str]) -> list[Tensor]:
        assert self.slow is not None
        assert self.slow_head is not None
        tower, out = getattr(views.model, self.config.on), list[Tensor]()
        for name in names:
            given = views.batch.inputs[name]
            assert isinstance(given, Padded)
            out.append(self.slow_head(self.head, self.slow(tower, given)))
        return out

    def _byol(self, predict: nn.Module, ours: tuple[Tensor, Tensor], copied: list[Tensor]) -> Tensor:
        there = F.cosine_similarity(predict(ours[0]), copied[1], dim=-1)
        back = F.cosine_similarity(predict(ours[1]), copied[0], dim=-1)
        return 2 - gather(there + back).mean()

    def after_step(self, model: nn.Module, step: int) -> None:
        if self.slow is not None and self.slow_head is not None:
            self.slow.update(getattr(model, self.config.on))
            self.slow_head.update(self.head)


def barlow(a: Tensor, b: Tensor, weight: float = 0.005) -> Tensor:
    """See the class."""
    a, b = ((z - z.mean(0)) / (z.std(0, unbiased=False) + 1e-6) for z in (a, b))
    c = a.T @ b / len(a)
    own = (1 - c.diagonal()).square().sum()
    return own + weight * (c.square().sum() - c.diagonal().square().sum())


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    """See the class."""
    same = F.mse_loss(a, b)
    spread, mixed = a.new_zeros(()), a.new_zeros(())
    for z in (a, b):
        spread = spread + (1 - (z.var(0) + 1e-4).sqrt()).relu().mean() / 2
        z = z - z.mean(0)
        covariance = z.T @ z / max(1, len(z) - 1)
        mixed = mixed + (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
    return 25 * same + 25 * spread + mixed
