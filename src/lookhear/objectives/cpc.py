"""What comes next: contrastive predictive coding over the frames of a recording."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Shaped, Views

__all__ = ["PredictiveCoding"]


class PredictiveCoding(Objective):
    """Contrastive predictive coding (van den Oord et al., 2018, eq. 4).

    A recurrent network reads the hidden vectors h up to t into a context c. For each offset s from ``first`` to
    ``last`` (local vectors of the tower), W_s c_t must find h_{t+s} among the frames of its own recording:

    L = mean over recordings, t and s of − log softmaxⱼ(hⱼ · W_s c_t)_{t+s}, j over all real frames of the recording.

    Negatives are of the same recording, so that neither speaker nor channel tells them apart (there, also of others).
    A tower that hears a stretch around each frame knows what comes soon: ``first`` is best beyond its reach.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio"})

    class Config(Shaped):
        """``dim`` of the context, offsets in local vectors of the tower."""

        about: ClassVar[About] = About(
            name="cpc",
            title="what comes next",
            kind="objective",
            family="temporal contrast",
            paper="van den Oord, Li, Vinyals, 2018, Representation Learning with Contrastive Predictive Coding",
            inputs=("audio",),
            negatives=True,
            order=True,
        )
        kind: Literal["cpc"] = "cpc"
        dim: int = Field(128, ge=2)
        first: int = Field(2, ge=1)
        last: int = Field(6, ge=1)
        weight: float = Field(1.0, gt=0)

        @model_validator(mode="after")
        def _in_order(self) -> PredictiveCoding.Config:
            if self.last < self.first:
                raise ValueError(f"offsets from {self.first} to {self.last} are none: 'last' comes after 'first'")
            return self

        def build(self, model: Any) -> PredictiveCoding:
            return PredictiveCoding(self, model.audio.width)

    def __init__(self, config: Config, width: int) -> None:
        """
        Args:
            width: H of the tower's hidden vectors.
        """
        super().__init__()
        self.config = config
        self.reads = nn.GRU(width, config.dim, batch_first=True)
        self.ahead = nn.ModuleList(
            [nn.Linear(config.dim, width, bias=False) for _ in range(config.first, config.last + 1)]
        )

    def forward(self, views: Views) -> Losses:
        audio = views["audio"]
        assert audio.hidden is not None
        hidden, mask = audio.hidden.float(), audio.mask
        context, _ = self.reads(hidden)
        keys = F.normalize(hidden, dim=-1) * hidden.shape[-1] ** 0.25  # long vectors alone would win the softmax
        total, count = hidden.new_zeros(len(mask)), hidden.new_zeros(len(mask))
        for offset, ahead in enumerate(self.ahead, self.config.first):
            if offset >= mask.shape[1]:
                break
            scores = torch.einsum("bth,bjh->btj", ahead(context[:, :-offset]), keys)
            each = self._found(scores.masked_fill(~mask[:, None], float("-inf")), offset)
            there = mask[:, offset:]
            total, count = total + each.where(there, 0.0).sum(1), count + there.sum(1)
        some = gather((count > 0).float())
        if not some.any():
            raise UserError(
                f"objective 'cpc': no recording is longer than {self.config.first} local vectors", "Lower 'first'."
            )
        return {"cpc": self.config.weight * (gather(total / count.clamp(min=1)) * some).sum() / some.sum()}

    @staticmethod
    def _found(scores: Tensor, offset: int) -> Tensor:
        """(B, T − s, T) → (B, T − s) cross-entropies of the frame s later."""
        right = scores.diagonal(offset, 1, 2)
        return scores.logsumexp(2) - right
