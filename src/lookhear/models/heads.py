"""Closed vocabulary: heads that say, of each of some words, whether a recording says it, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lookhear.core import Features, Section
from lookhear.models.interaction import Distillation

__all__ = ["TagHead"]

MAPS = ("what", "where")


class TagHead(nn.Module):
    """Word logits of a recording from the hidden vectors of its speech tower.

    ``reading`` says what meets when. *Moments first*: every moment answers for every word and the answers are pooled
    over time (multiple-instance learning): ``max``; ``mean``; ``log_sum_exp``, 1/r log mean exp(r z) (PSC; Palaz et
    al., 2016, eq. 3); ``noisy_or``, 1 − Π (1 − p); ``linear_softmax``, Σ p² / Σ p (Wang et al., 2019, eq. 5);
    ``attention``, Σ a p with weights a learned for each word (Kong et al., 2018, decision level). *Moments last*: one
    vector is made of the recording and answers: ``pool``, its maximum over time (CNN-Pool), or ``query``, for each word
    Σ softmax(q · h) h with a learned query q (CNN-Attend; Olaleye and Kamper, 2021, eqs 1–3).

    Where a word is (``Features.tag_curve``): the moments' own logits; the logarithm of the attention for ``query``;
    nowhere in particular for ``pool``, which is all zeros there.
    """

    class Config(Section):
        """How answers are made.

        Attributes:
            reading: see above.
            r: sharpness of ``log_sum_exp``.
            mlp: width of a hidden layer before the logit; 0 for a linear map. CNN-Attend has 8192, CNN-Pool 4096.
            kernel: moments that a linear map sees at once (a convolution); 1 for one.
            distil: width of two maps, of what is said and of where, that tell each other what they see
                (``interaction.Distillation``) before ``attention`` answers; 0 for reading the hidden vectors directly.
            softmax: the words share one probability (log-softmax over the vocabulary) instead of each having its own.
        """

        reading: Literal["max", "mean", "log_sum_exp", "noisy_or", "linear_softmax", "attention", "pool", "query"]
        r: float = Field(1.2, gt=0)
        mlp: int = Field(0, ge=0)
        kernel: int = Field(1, ge=1)
        distil: int = Field(0, ge=0)
        softmax: bool = False

        @model_validator(mode="after")
        def _one_vector_has_no_neighbours(self) -> TagHead.Config:
            if self.kernel > 1 and self.reading in ("pool", "query"):
                raise ValueError(f"kernel {self.kernel}: what {self.reading!r} makes of a recording has no neighbours")
            return self

        @model_validator(mode="after")
        def _two_maps_tell_each_other(self) -> TagHead.Config:
            if self.distil and self.reading != "attention":
                raise ValueError(
                    f"distil {self.distil}: {self.reading!r} has no map of where a word is; 'attention' has"
                )
            return self

    def __init__(self, config: Config, width: int, names: Iterable[str]) -> None:
        """
        Args:
            width: H of ``Features.hidden``.
            names: V words.
        """
        super().__init__()
        self.config, self.names = config, tuple(names)
        v = len(self.names)
        self.maps: nn.ModuleDict | None = None
        self.told: Distillation | None = None
        if config.distil:
            self.maps = nn.ModuleDict({k: nn.Conv1d(width, config.distil, 3, padding="same") for k in MAPS})
            self.told, width = Distillation(MAPS, config.distil), config.distil
        # With queries, one scorer answers for whatever its word's query drew together, as published.
        out = 1 if config.reading == "query" else v
        if config.mlp:
            first = nn.Conv1d(width, config.mlp, config.kernel, padding="same")
            self.score: nn.Module = nn.Sequential(first, nn.ReLU(), nn.Conv1d(config.mlp, out, 1))
        else:
            self.score = nn.Conv1d(width, out, config.kernel, padding="same")
        if config.reading == "noisy_or":  # many moments that each say "perhaps" would say "surely" together
            nn.init.constant_(list(self.score.parameters())[-1], -4.0)
        self.query = nn.Parameter(torch.randn(v, width) / width**0.5) if config.reading == "query" else None
        self.weigh = nn.Conv1d(width, v, 1) if config.reading == "attention" else None

    def forward(self, features: Features) -> Features:
        """The same features with ``tags`` (B, V) and ``tag_curve`` (B, N, V), and without ``hidden``."""
        assert features.hidden is not None
        mask = features.mask
        h = features.hidden.float() * mask[..., None]
        tags, curve = self._last(h, mask) if self.config.reading in ("pool", "query") else self._first(h, mask)
        if self.config.softmax:
            tags = tags.log_softmax(-1)
        curve = curve.masked_fill(~mask[..., None], float("-inf"))
        return replace(features, tags=tags, tag_curve=curve, hidden=None)

    def _last(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if self.query is None:
            whole = h.masked_fill(~mask[..., None], float("-inf")).amax(1)
            return self.score(whole[..., None])[..., 0], h.new_zeros(*h.shape[:2], len(self.names))
        met = (h @ self.query.T).masked_fill(~mask[..., None], float("-inf"))
        drawn = torch.einsum("bnv,bnh->bhv", met.softmax(1), h)
        return self.score(drawn)[:, 0], met.log_softmax(1)

    def _maps(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, N) → what words and attention are read from, (B, H | distil, N) each."""
        if self.maps is None or self.told is None:
            return h, h
        told = self.told({name: F.relu(to(h)) for name, to in self.maps.items()}, mask)
        return told["what"], told["where"]

    def _first(self, h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        what, where = self._maps(h.transpose(1, 2), mask)
        z = self.score(what).transpose(1, 2).float()
        m = mask[..., None]
        count = m.sum(1)
        reading = self.config.reading
        if reading == "max":
            return z.masked_fill(~m, float("-inf")).amax(1), z
        if reading == "mean":
            return (z * m).sum(1) / count, z
        if reading == "log_sum_exp":
            sharp = (z * self.config.r).masked_fill(~m, float("-inf"))
            return (sharp.logsumexp(1) - count.log()) / self.config.r, z
        if reading == "noisy_or":
            # 1 − Π (1 − σ(z)) has the odds e^s − 1 with s = Σ log(1 + e^z): in logarithms, s + log(1 − e^−s).
            s = (F.softplus(z) * m).sum(1).clamp(min=1e-6)
            return s + torch.log(-torch.expm1(-s)), z
        p = torch.sigmoid(z) * m
        if reading == "linear_softmax":
            return _log_odds(p.square().sum(1) / p.sum(1).clamp(min=1e-9)), z
        assert self.weigh is not None
        a = self.weigh(where).transpose(1, 2).masked_fill(~m, float("-inf")).softmax(1)
        return _log_odds((a * p).sum(1)), z


def _log_odds(p: Tensor) -> Tensor:
    return torch.logit(p.clamp(1e-6, 1 - 1e-6))
