"""Transfer without labels: a tower learns to find in a new channel what the old one found in roughly aligned takes."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, Padded, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.frozen import Follows, Frozen, heard_by
from lookhear.objectives.stretched import stretch

__all__ = ["Transfer"]


class Transfer(Objective):
    """Regression of hidden vectors across channels (Benbihi et al., 2018): mean over frames of d(f'(b), f(a)).

    f is the frozen tower of ``run`` and hears "audio@2", the recording in the old channel; f' is the tower that learns
    and hears "audio", the same content in the new one. The two are aligned roughly, so with d over frames n and m:

    - ``identity``: d(n, n), as published;
    - ``pooled``: the same of means over frames n − R … n + R of either;
    - ``offset``: Σₒ softmaxₒ(−d(n, n + o) / τ) d(n, n + o) over |o| ≤ R, a soft minimum in every frame, so that what
      one recording says sooner here and later there is found.

    Only frames that are real in both count. "l2" regresses towards the mean of what may stand there, so features
    shrink; "cosine" leaves their lengths alone.
    """

    class Config(Follows):
        """How frames meet.

        Attributes:
            run: whose tower is followed; the tower that learns should begin as it (``speech_run``).
            match: see the class; ``radius`` is R, in frames, ``temperature`` τ.
            stretch: whether the old take's frames are first stretched to the length of the new one's (another rate of
                speaking), where by default equal times meet.
        """

        about: ClassVar[About] = About(
            name="approximate-alignment-transfer",
            title="a new channel from roughly aligned recordings in the old one",
            kind="objective",
            family="distillation",
            paper=(
                "Benbihi, Geist, Pradalier, 2018, Semi-Supervised Domain Adaptation with Representation Learning for "
                "Semantic Segmentation across Time, arXiv 1805.04141"
            ),
            inputs=("audio",),
            recipe="picturebook-transfer",
        )
        kind: Literal["transfer"] = "transfer"
        run: str = Field(min_length=1)
        match: Literal["identity", "pooled", "offset"] = "identity"
        radius: int = Field(0, ge=0)
        temperature: float = Field(0.1, gt=0)
        distance: Literal["l2", "cosine"] = "l2"
        stretch: bool = False
        weight: float = Field(1.0, gt=0)

        @model_validator(mode="after")
        def _radius_fits(self) -> Transfer.Config:
            if (self.match == "identity") != (self.radius == 0):
                raise ValueError(f"match = {self.match!r} with a radius of {self.radius}: 0 is for 'identity' alone")
            return self

        def followed(self) -> tuple[str, ...]:
            return (self.run,)

        def build(self, model: Any) -> Transfer:
            teacher = heard_by(self.run, model, "objectives.run").audio
            assert teacher is not None
            if (teacher.width, teacher.step) != (model.audio.width, model.audio.step):
                raise UserError(
                    f"objective 'transfer': the tower of {self.run} has {teacher.width} hidden values every "
                    f"{teacher.step} s, the one that learns {model.audio.width} every {model.audio.step} s",
                    f"Give both the same [speech], and set speech_run={self.run!r}.",
                )
            return Transfer(self, teacher)

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "audio@2"})

    def __init__(self, config: Config, tower: nn.Module) -> None:
        super().__init__()
        self.config, self.tower = config, Frozen(tower)

    def forward(self, views: Views) -> Losses:
        given = views.batch.inputs["audio@2"]
        assert isinstance(given, Padded)
        new, old = views["audio"], self.tower(given)
        assert new.hidden is not None
        assert old.hidden is not None
        s, t, here, there = new.hidden.float(), old.hidden.float(), new.mask, old.mask
        if self.config.stretch:
            t, there = stretch(t, there, here), here
        n = s.shape[1]
        t, there = t[:, :n], there[:, :n]
        t, there = F.pad(t, (0, 0, 0, n - t.shape[1])), F.pad(there, (0, n - there.shape[1]))
        return {"transfer": self.config.weight * gather(self.apart(s, here, t, there)).mean()}

    def apart(self, s: Tensor, here: Tensor, t: Tensor, there: Tensor) -> Tensor:
        """(B, N, H) vectors of the new and the old take and their masks → (B,) means over the frames that meet."""
        radius = self.config.radius
        if self.config.match == "pooled":
            s, t, radius = _around(s, here, radius), _around(t, there, radius), 0
        each, real = [], []
        for offset in range(-radius, radius + 1):
            moved, is_real = _moved(t, offset), _moved(there[..., None], offset)[..., 0] & here
            each.append(self._distance(s, moved))
            real.append(is_real)
        d, met = torch.stack(each, -1), torch.stack(real, -1)
        share = (-d / self.config.temperature).masked_fill(~met, -1e9).softmax(-1) * met
        any_met = met.any(-1)
        return ((share * d).sum(-1) * any_met).sum(1) / any_met.sum(1).clamp(min=1)

    def _distance(self, s: Tensor, t: Tensor) -> Tensor:
        if self.config.distance == "l2":
            return (s - t).pow(2).mean(-1)
        return 1 - F.cosine_similarity(s, t, dim=-1)


def _moved(x: Tensor, offset: int) -> Tensor:
    """(B, N, …) whose place n holds what n + offset held, zero (False) beyond the ends."""
    n = x.shape[1]
    out = torch.zeros_like(x)
    low, high = max(0, -offset), min(n, n - offset)
    if low < high:
        out[:, low:high] = x[:, low + offset : high + offset]
    return out


def _around(x: Tensor, mask: Tensor, radius: int) -> Tensor:
    """(B, N, H) → means over the real ones of 2 × radius + 1 places."""
    kept = mask[..., None].to(x.dtype)

    def windows(v: Tensor) -> Tensor:
        mean = F.avg_pool1d(v.transpose(1, 2), 2 * radius + 1, stride=1, padding=radius)
        return mean.transpose(1, 2)

    return windows(x * kept) / windows(kept).clamp(min=1e-6)
