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
from lookhear.objectives.drawn import generators
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
      of another group, drawn (as SOHO does) or the one that its whole is nearest to (hard negatives, as ALBEF's).

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
            matching: weight of L_t.
            negatives: "drawn" or "hard". Where many items show and tell the same, the nearest of another group is
                often one of those, and hard negatives cannot be told.
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
        negatives: Literal["drawn", "hard"] = "drawn"
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
        chosen = {name: self._choose(index[name], sides[name].mask, name, views.batch) for name in sides}
        tokens = {name: self.quantizer.quantise(unit[name], index[name]) for name in sides}
        loss = tokens["audio"].new_zeros(())
        if self.config.cells != "none":
            loss = loss + self._masked(tokens, sides, index, chosen)
        if self.match is not None:
            other = self._other(sides, views)
            loss = loss + self.config.matching * self._matching(self.match, tokens, sides, other)
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

    def _choose(self, index: Tensor, mask: Tensor, name: str, batch: Batch) -> Tensor:
        """(B, N) bool: the cells that are masked in each item."""
        cells = torch.zeros_like(mask)
        if self.config.mask not in (name, "both") or self.config.cells == "none":
            return cells
        drawn = [
            (torch.rand((), generator=rng), torch.rand(self.config.codes, generator=rng), torch.rand(n, generator=rng))
            for n, rng in zip(mask.sum(1).tolist(), generators(batch), strict=True)
        ]
        for i, (some, order, rank) in enumerate(drawn):
            if some >= self.config.masked:
                continue
            there = mask[i].nonzero()[:, 0]
            codes = index[i, there]
            # Each code that an item has is equally likely, however many cells it has: the one whose number is least.
            hidden = codes == codes[order.to(codes.device)[codes].argmin()]
            if self.config.cells == "random":
                hidden = rank.to(codes.device).argsort().argsort() < hidden.sum()
            cells[i, there] = hidden
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

    def _other(self, sides: dict[str, Features], views: Views) -> tuple[Tensor, Tensor]:
        """(B,) which picture of all processes each recording is held against, and whether it is of another group."""
        if self.config.negatives == "hard":
            whole = {name: F.normalize(f.pooled.detach().float(), dim=-1) for name, f in sides.items()}
            near = whole["audio"] @ gather(whole["image"]).T
        else:
            # Each takes the picture that comes next in a random round of all: no picture twice but by its group.
            place = torch.stack([torch.rand((), generator=rng) for rng in generators(views.batch)])
            place = place.to(views.group.device)
            near = (place[:, None] - gather(place)[None]) % 1
        same = views.group[:, None] == gather(views.group)[None]
        return near.masked_fill(same, float("-inf")).argmax(1), (~same).any(1).float()

    def _matching(
        self, match: nn.Module, tokens: dict[str, Tensor], sides: dict[str, Features], other: tuple[Tensor, Tensor]
    ) -> Tensor:
        chosen, apart = other
        there = {**tokens, "image": gather(tokens["image"])[chosen]}
        masks = {**sides, "image": replace(sides["image"], mask=gather(sides["image"].mask)[chosen])}
        right = match(self._fused(tokens, sides)["first"])[:, 0, 0]
        wrong = match(self._fused(there, masks)["first"])[:, 0, 0]
        self.right = torch.stack([right > 0, wrong < 0]).float().mean()
        return gather((F.softplus(-right) + apart * F.softplus(wrong)) / (1 + apart)).mean()

    def after_step(self, model: nn.Module, step: int) -> None:
        if self._rows is not None:
            self.quantizer.follow(self._rows)
            self._rows = None
