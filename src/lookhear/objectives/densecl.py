"""DenseCL: two views of one item, drawn together as wholes and place by place; keys of a slow copy, and queues."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Batch, Features, Losses, Padded, gather, processes
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.hidden import mean_hidden
from lookhear.objectives.moving import MovingCopy
from lookhear.objectives.queue import Queue

__all__ = ["DenseViews"]


class _Heads(nn.Module):
    """(B, N, H) hidden vectors and their mask → (B, G) of wholes and (B, N, G) of places, unit vectors."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.whole = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))
        self.place = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))

    def forward(self, x: Features) -> tuple[Tensor, Tensor]:
        assert x.hidden is not None
        return F.normalize(self.whole(mean_hidden(x)).float(), dim=-1), F.normalize(
            self.place(x.hidden).float(), dim=-1
        )


class DenseViews(Objective):
    """Dense contrast of one modality (Wang et al., 2021, sections 3.2–3.4), on MoCo's frame of queue and slow copy.

    Places i of the first view, with hidden vectors f, meet places j of the second, with hidden vectors f' of the slow
    copy: c(i) = argmaxⱼ cos(fᵢ, f'ⱼ). With q, k of wholes and r, r' of places from two heads,

    L = (1 − λ) CE([q · k, q · queue₁] / T, 0)
        + λ mean over items and real places i of CE([rᵢ · r'_c(i), rᵢ · queue₂] / T, 0).

    Queue 1 holds k of past items, queue 2 the unit mean of their r'. λ is 0 for the first ``warmup`` steps. The queues
    begin empty, where the paper's begin with random vectors; so the loss rises as they fill.
    """

    class Config(Shaped):
        """How two views are drawn together.

        Attributes:
            on: the modality; its second view must be another than the first (augment, looks or partners).
            share: λ.
            dim: G of the heads.
            size: items in each queue, a multiple of the batch.
            least: cosine of a place and its match below which it has none; −1 as published. Silence matches nothing.
            decay: of the slow copy, a step.
        """

        about: ClassVar[About] = About(
            name="densecl-views",
            title="dense contrast, two views of one item",
            kind="objective",
            family="instance contrast",
            paper="Wang et al., 2021, Dense Contrastive Learning for Self-Supervised Visual Pre-Training, CVPR",
            inputs=("audio", "image"),
            recipe="picturebook-densecl",
            negatives=True,
            order=True,
            moving_average=True,
            augmentation=True,
        )
        kind: Literal["densecl"] = "densecl"
        on: Literal["audio", "image"] = "image"
        share: float = Field(0.5, ge=0, le=1)
        warmup: int = Field(0, ge=0)
        temperature: float = Field(0.2, gt=0)
        dim: int = Field(128, ge=2)
        size: int = Field(4096, ge=1)
        least: float = Field(-1.0, ge=-1, lt=1)
        decay: float = Field(0.99, ge=0, lt=1)
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> DenseViews:
            return DenseViews(self, getattr(model, self.on).width)

    steps: Tensor

    def __init__(self, config: Config, width: int) -> None:
        """
        Args:
            width: H of the tower's hidden vectors.
        """
        super().__init__()
        self.config = config
        self.needs = frozenset({config.on, f"{config.on}@2"})  # type: ignore[misc]
        self.heads = _Heads(width, config.dim)
        self.slow, self.slow_heads = MovingCopy(config.decay), MovingCopy(config.decay)
        self.queue = Queue(config.size)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._latest: tuple[Tensor, Tensor, Tensor] | None = None

    def ready(self, batch: Batch, items: int) -> None:
        size = len(batch) * processes()
        if self.config.size % size:
            nearest = max(1, round(self.config.size / size)) * size
            raise UserError(
                f"objective 'densecl': a queue of {self.config.size} items is not a multiple of the batch of {size}",
                f"Set its size to {nearest}.",
            )

    def forward(self, views: Views) -> Losses:
        on, share = self.config.on, self.config.share if int(self.steps) >= self.config.warmup else 0.0
        given = views.batch.inputs[f"{on}@2"]
        assert isinstance(given, Padded)
        seen = self.slow(getattr(views.model, on), given)
        features = views[on]
        (q, r), (k, s) = self.heads(features), self.slow_heads(self.heads, seen)
        group = views.group
        loss = (1 - share) * gather(self._against(q, k, "a", group)).mean()
        if share:
            matched, near = self._match(features, seen, s)
            each = self._against(r, matched, "b", group)
            weight = (features.mask & (near >= self.config.least)).float()
            loss = loss + share * gather((each * weight).sum(1) / weight.sum(1).clamp(min=1)).mean()
        else:  # several processes want a gradient of every weight
            loss = loss + 0 * r.sum()
        if self.training:
            mean = F.normalize((s * seen.mask[..., None]).sum(1), dim=-1)
            self._latest = gather(k), gather(mean), gather(group)
        return {"densecl": self.config.weight * loss}

    def _against(self, x: Tensor, right: Tensor, side: Literal["a", "b"], group: Tensor) -> Tensor:
        """(B, …, G) and what is right for each → (B, …) cross-entropies against what a queue holds."""
        scale = x.new_tensor(1 / self.config.temperature)
        rows = x.flatten(1, -2) if x.ndim == 3 else x[:, None]
        own = group[:, None].expand(rows.shape[:2]).flatten()
        wrong = self.queue.logits(side, rows.flatten(0, 1), own, scale)
        logits = torch.cat([(rows.flatten(0, 1) * right.reshape(-1, right.shape[-1])).sum(-1, True) * scale, wrong], 1)
        return (logits.logsumexp(1) - logits[:, 0]).view(x.shape[:-1])

    def _match(self, first: Features, second: Features, places: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, G) what is right for each place of the first view, and (B, N) the cosine of the two hidden vectors."""
        assert first.hidden is not None
        assert second.hidden is not None
        with torch.no_grad():
            ours, theirs = F.normalize(first.hidden.float(), dim=-1), F.normalize(second.hidden.float(), dim=-1)
            near = torch.einsum("bnh,bmh->bnm", ours, theirs).masked_fill(~second.mask[:, None], float("-inf"))
            best = near.max(-1)
        matched = places.gather(1, best.indices[..., None].expand(-1, -1, places.shape[-1]))
        return matched, best.values

    def after_step(self, model: nn.Module, step: int) -> None:
        if self._latest is not None:
            self.queue.push(*self._latest)
            self._latest = None
        self.slow.update(getattr(model, self.config.on))
        self.slow_heads.update(self.heads)
        self.steps.fill_(step + 1)
