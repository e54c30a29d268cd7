"""A shared dictionary of speech and pictures, and what a masked word or thing must have been (SOHO)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Batch, Features, Losses, gather, processes
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.local import LocalSection
from lookhear.objectives.quantizer import Quantizer, real_rows

__all__ = ["Dictionary"]

INACTIVE = 50
"""Steps in which nothing was masked, after which that is an error: it would be no objective any more."""


class Dictionary(Objective):
    """Masked visual modelling over a dictionary (Huang et al., 2021, sections 3.2, 3.4), for frames and patches alike.

    Each real local vector, of unit length, is replaced by its nearest code (straight-through gradient); codes follow by
    moving averages (``Quantizer``), one dictionary for both modalities. In a ``masked`` share of the items *all* cells
    of a code that is there are replaced by one learned vector, so that no neighbour gives them away. A Transformer
    reads recording and picture together and must say

    - L_m, which code was masked: cross-entropy of scale × cosine (fused cell, code) over all codes, mean over masked
      cells and then over items that have any;
    - L_t, whether recording and picture belong together: each recording once with its own picture, and once with that
      of another group which its whole is nearest to (hard negatives, as in ALBEF; SOHO draws them).

    Places are not told: masked cells of one code are one question, asked in each of them.

    Loss: weight × (L_m + ``matching`` × L_t). Another objective over wholes stands beside it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "image"})

    class Config(LocalSection, Shaped):
        """The dictionary and how it is asked.

        Attributes:
            codes: K.
            decay, rare: of the moving averages; see ``Quantizer``.
            masked: share of the items in which a code is masked.
            cells: "code" masks all cells of a code, "random" as many cells wherever they are (a control), "none" none:
                matching over quantised vectors alone is left.
            mask: in which modality.
            layers, heads: of the Transformer.
        """

        about: ClassVar[About] = About(
            name="soho-visual-dictionary",
            title="a shared dictionary, and masked codes to be told",
            kind="objective",
            family="masked prediction",
            paper=(
                "Huang et al., 2021, Seeing Out of tHe bOx: End-to-End Pre-training for Vision-Language Representation "
                "Learning, CVPR"
            ),
            inputs=("audio", "image"),
            recipe="picturebook-dictionary",
            negatives=True,
            second_modality=True,
        )
        kind: Literal["dictionary"] = "dictionary"
        codes: int = Field(256, ge=2)
        decay: float = Field(0.99, ge=0, lt=1)
        rare: float = Field(0.05, ge=0)
        masked: float = Field(0.5, gt=0, le=1)
        cells: Literal["code", "random", "none"] = "code"
        mask: Literal["audio", "image", "both"] = "both"
        matching: float = Field(1.0, ge=0)
        layers: int = Field(1, ge=1)
        heads: int = Field(4, ge=1)
        weight: float = Field(1.0, gt=0)

        @model_validator(mode="after")
        def _asks_something(self) -> Dictionary.Config:
            if self.cells == "none" and not self.matching:
                raise ValueError("cells = 'none' and matching = 0 leave nothing to learn")
            return self

        def build(self, model: Any) -> Dictionary:
            if model.dim % self.heads:
                raise UserError(
                    f"objective 'dictionary': vectors of {model.dim} numbers do not split into {self.heads} heads",
                    "Set its heads to a divisor.",
                )
            return Dictionary(self, model.dim)

    def __init__(self, config: Config, dim: int) -> None:
        """
        Args:
            dim: D of the shared space.
        """
        super().__init__()
        self.config = config
        self.quantizer = Quantizer(config.codes, config.decay, config.rare)
        layer = nn.TransformerEncoderLayer(dim, config.heads, 4 * dim, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.fuse = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.first, self.hidden = (nn.Parameter(torch.randn(dim) * 0.02) for _ in range(2))
        self.kinds = nn.Parameter(torch.randn(2, dim) * 0.02)
        self.match, self.norm = nn.Linear(dim, 1) if config.matching else None, nn.LayerNorm(dim)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.register_buffer("idle", torch.zeros((), dtype=torch.long))
        self._rows: Tensor | None = None
        self.right = torch.zeros(())  # share of the matching questions answered rightly in the last batch

    idle: Tensor

    def ready(self, batch: Batch, items: int) -> None:
        image = batch.inputs["image"]
        if isinstance(image, Features) and image.local.shape[1] == 1:
            raise UserError(
                "objective 'dictionary' needs the patches of pictures, and these have none",
                "Choose a teacher that looks at pictures.",
            )
        if self.config.masked * len(batch) * processes() < 1:
            raise UserError(
                f"objective 'dictionary': masked = {self.config.masked} of a batch of {len(batch) * processes()} masks "
                "nothing in most steps",
                "Raise 'masked', or the batch.",
            )

    def forward(self, views: Views) -> Losses:
        sides = {name: views[name] for name in ("audio", "image")}
        unit = {name: F.normalize(f.local.float(), dim=-1) for name, f in sides.items()}
        rows = torch.cat([real_rows(unit[name], f.mask) for name, f in sides.items()])
        if not self.quantizer.begun:
            if len(rows) < self.config.codes:
                raise UserError(
                    f"objective 'dictionary': {self.config.codes} codes for {len(rows)} frames and patches in a batch",
                    "Lower 'codes', or raise the batch.",
                )
            self.quantizer.begin(rows)
        self._rows = rows if self.training else None
        index = {name: self.quantizer.nearest(v) for name, v in unit.items()}
        chosen = {name: self._choose(index[name], sides[name].mask, name) for name in sides}
        tokens = {name: self.quantizer.quantise(unit[name], index[name]) for name in sides}
        loss = tokens["audio"].new_zeros(())
        if self.config.cells != "none":
            loss = loss + self._masked(tokens, sides, index, chosen)
        if self.match is not None:
            loss = loss + self.config.matching * self._matching(self.match, tokens, sides, views.group)
        hidden = sum(int(c.sum()) for c in chosen.values())
        self.told = {
            "masked cells": float(hidden),
            "codes used": float(self.quantizer.used),
            "perplexity": float(self.quantizer.perplexity),
            **({"matched right": float(self.right)} if self.match is not None else {}),
        }
        if self.training and self.config.cells != "none":
            self.idle = torch.zeros_like(self.idle) if hidden else self.idle + 1
            if int(self.idle) >= INACTIVE:
                raise UserError(
                    f"objective 'dictionary': masked modelling is inactive, no cell was masked in {INACTIVE} steps",
                    "Raise 'masked'.",
                )
        return {"dictionary": self.config.weight * loss}

    def _choose(self, index: Tensor, mask: Tensor, name: str) -> Tensor:
        """(B, N) bool: the cells that are masked in each item."""
        if self.config.mask not in (name, "both") or self.config.cells == "none":
            return torch.zeros_like(mask)
        b, n = mask.shape
        some = torch.rand(b, device=mask.device) < self.config.masked
        # Each code that an item has is equally likely, however many cells it has: the first of its cells in a random
        # order of codes is what is masked.
        order = torch.rand(b, self.config.codes, device=mask.device).gather(1, index)
        picked = index.gather(1, order.masked_fill(~mask, 2.0).argmin(1, keepdim=True))
        cells = (index == picked) & mask & some[:, None]
        if self.config.cells == "random":
            rank = torch.rand(b, n, device=mask.device).masked_fill(~mask, 2.0).argsort(1).argsort(1)
            cells = (rank < cells.sum(1, keepdim=True)) & mask
        return cells

    def _fused(self, tokens: dict[str, Tensor], sides: dict[str, Features]) -> dict[str, Tensor]:
        """What the Transformer makes of first token, frames and patches: (B, 1 | N | P, D) each."""
        b = len(tokens["audio"])
        real = torch.ones(b, 1, dtype=torch.bool, device=tokens["audio"].device)
        given = [self.first.expand(b, 1, -1)]
        given += [tokens[name] + kind for name, kind in zip(("audio", "image"), self.kinds)]
        mask = torch.cat([real, sides["audio"].mask, sides["image"].mask], dim=1)
        out = self.norm(self.fuse(torch.cat(given, dim=1), src_key_padding_mask=~mask))
        parts = out.split([1, tokens["audio"].shape[1], tokens["image"].shape[1]], dim=1)
        return dict(zip(("first", "audio", "image"), parts, strict=True))

    def _masked(
        self,
        tokens: dict[str, Tensor],
        sides: dict[str, Features],
        index: dict[str, Tensor],
        chosen: dict[str, Tensor],
    ) -> Tensor:
        hidden = {k: torch.where(chosen[k][..., None], self.hidden, v) for k, v in tokens.items()}
        fused = self._fused(hidden, sides)
        each, count = [], []
        for name in ("audio", "image"):
            scores = self.scale * F.normalize(fused[name], dim=-1) @ F.normalize(self.quantizer.codes, dim=-1).T
            loss = F.cross_entropy(scores.transpose(1, 2), index[name], reduction="none")
            each.append((loss * chosen[name]).sum(1))
            count.append(chosen[name].sum(1))
        cells = torch.stack(count).sum(0)
        item = torch.stack(each).sum(0) / cells.clamp(min=1)
        some = gather((cells > 0).float())
        return (gather(item) * some).sum() / some.sum().clamp(min=1)

    def _matching(
        self, match: nn.Module, tokens: dict[str, Tensor], sides: dict[str, Features], group: Tensor
    ) -> Tensor:
        whole = {name: F.normalize(f.pooled.detach().float(), dim=-1) for name, f in sides.items()}
        same = group[:, None] == gather(group)[None]
        near = (whole["audio"] @ gather(whole["image"]).T).masked_fill(same, float("-inf"))
        nearest, apart = near.argmax(1), (~same).any(1).float()
        other = {**tokens, "image": gather(tokens["image"])[nearest]}
        mask = gather(sides["image"].mask)[nearest]
        there = {**sides, "image": replace(sides["image"], mask=mask)}
        right = match(self._fused(tokens, sides)["first"])[:, 0, 0]
        wrong = match(self._fused(other, there)["first"])[:, 0, 0]
        self.right = torch.stack([right > 0, wrong < 0]).float().mean()
        return gather((F.softplus(-right) + apart * F.softplus(wrong)) / (1 + apart)).mean()

    def after_step(self, model: nn.Module, step: int) -> None:
        if self._rows is not None:
            self.quantizer.follow(self._rows)
            self._rows = None
