"""Attention: how much each moment weighs in the pooled similarity."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from lookhear.core import Features
from lookhear.locators.base import Asked, Listener, Locator, Waves

__all__ = ["Attention"]


class Attention(Locator):
    """The weights that the model's compatibility pools with.

    By its ``kind``, with local vectors v and a word's unit vector q:

    - ``attention``: softmax over moments of temperature × cos(v, q), the attention of Olaleye and Kamper (2021, eq. 2)
      with the word's own vector as query, as PACL pools;
    - ``max``: all on the best moment (shared where several are best);
    - ``sum``: ‖v‖ / Σ ‖v‖. The pooled vector points along the sum of local vectors, each of which carries its gate.
      These weights are the same for every word: they say which moments count, not which word is there, and are a
      baseline.

    The attention of a tag head is in its own curve (locator ``tags``).
    """

    kind: Literal["attention"] = "attention"

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """Weights, of which each recording's add up to 1 for each word."""
        compatibility, padding = model.compatibility, ~features.mask[..., None]
        weights: Tensor
        if compatibility.kind == "sum":
            length: Tensor = features.local.float().norm(dim=-1, keepdim=True) * features.mask[..., None]
            weights = (length / length.sum(1, keepdim=True).clamp(min=1e-12)).expand(-1, -1, len(asked.vectors))
        else:
            # As the compatibility pools them: without the averaging over time that is the curve's own.
            cosines = compatibility.model_copy(update={"smooth": 0.0}).curve(features, asked.vectors)
            if compatibility.kind == "max":
                best = (cosines == cosines.amax(1, keepdim=True)).float()
                weights = best / best.sum(1, keepdim=True)
            else:
                weights = (cosines * compatibility.temperature).softmax(1)
        return weights.masked_fill(padding, float("-inf"))
