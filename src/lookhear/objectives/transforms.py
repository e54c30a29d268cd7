"""Which change was made to an item: transformation prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lookhear.about import About
from lookhear.core import Features, Losses, Padded, gather
from lookhear.objectives.base import Objective, Shaped, Views
from lookhear.objectives.hidden import mean_hidden

__all__ = ["Transforms"]

PARTS = 4
"""Into which a recording is cut where its parts change places."""


def _reversed(x: Padded) -> Padded:
    """The real frames in the opposite order."""
    assert x.mask is not None
    at = torch.arange(x.values.shape[2], device=x.values.device)[None]
    back = (x.mask.sum(1, keepdim=True) - 1 - at).where(x.mask, at)
    return Padded(x.values.gather(2, back[:, None].expand_as(x.values)), x.mask)


def _shuffled(x: Padded) -> Padded:
    """Four parts of the real frames in another order: the second before the first, the fourth before the third."""
    assert x.mask is not None
    at = torch.arange(x.values.shape[2], device=x.values.device)[None]
    part = (x.mask.sum(1, keepdim=True) // PARTS).clamp(min=1)
    number = (at // part).clamp(max=PARTS - 1)
    whole = at < PARTS * part  # what is left over after four equal parts stays where it is
    moved = torch.where(number % 2 == 0, at + part, at - part)
    where = torch.where(whole & x.mask, moved, at)
    return Padded(x.values.gather(2, where[:, None].expand_as(x.values)), x.mask)


def _upside_down(x: Padded) -> Padded:
    """The highest band lowest."""
    return Padded(x.values.flip(1), x.mask)


def _turned(quarters: int) -> Callable[[Padded], Padded]:
    return lambda x: Padded(torch.rot90(x.values, quarters, (2, 3)), x.mask)


CHANGES: dict[str, tuple[Callable[[Padded], Padded], ...]] = {
    "audio": (lambda x: x, _reversed, _shuffled, _upside_down),
    "image": (lambda x: x, _turned(1), _turned(2), _turned(3)),
}
"""What may be done to a log-mel (as is, in reverse, parts in another order, upside down) and to a picture (turned)."""


class Transforms(Objective):
    """Every item as it is and changed in three ways; a head on the mean hidden vector says which it was.

    Pictures are turned by quarters (Gidaris et al., 2018, "RotNet"); recordings reversed, shuffled in quarters (the
    arrow of time and the order of parts; Misra et al., 2016, "Shuffle and Learn") or put upside down. L is the mean of
    the cross-entropies over items and changes. No negatives, no second view.
    """

    class Config(Shaped):
        """``on``: the modality."""

        about: ClassVar[About] = About(
            name="transforms",
            title="which change was made to an item",
            kind="objective",
            family="transformation prediction",
            paper=(
                "Gidaris, Singh, Komodakis, 2018, Unsupervised Representation Learning by Predicting Image Rotations, "
                "ICLR"
            ),
            inputs=("audio", "image"),
            order=True,
        )
        kind: Literal["transforms"] = "transforms"
        on: Literal["audio", "image"] = "audio"
        weight: float = Field(1.0, gt=0)

        def build(self, model: Any) -> Transforms:
            return Transforms(self, getattr(model, self.on).width)

    def __init__(self, config: Config, width: int) -> None:
        """
        Args:
            width: H of the tower's hidden vectors.
        """
        super().__init__()
        self.config = config
        self.needs = frozenset({config.on})  # type: ignore[misc]
        self.head = nn.Linear(width, len(CHANGES[config.on]))

    def forward(self, views: Views) -> Losses:
        on = self.config.on
        given = views.batch.inputs[on]
        assert isinstance(given, Padded)
        changed = [change(given) for change in CHANGES[on]]
        masks = None if given.mask is None else torch.cat([c.mask for c in changed if c.mask is not None])
        features: Features = getattr(views.model, on)(Padded(torch.cat([c.values for c in changed]), masks))
        scores = self.head(mean_hidden(features))
        wanted = torch.arange(len(changed), device=scores.device).repeat_interleave(len(given.values))
        each = F.cross_entropy(scores, wanted, reduction="none")
        self.told = {"change told, %": 100 * float((each < 0.6931).float().mean())}
        return {"transforms": self.config.weight * gather(each).mean()}
