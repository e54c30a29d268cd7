"""Where the tag head's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from lookhear.core import Features
from lookhear.locators.base import Asked, Listener, Locator, Waves, places, vocabulary

__all__ = ["TagCurve"]


class TagCurve(Locator):
    """The tag head's own curve (``Features.tag_curve``): each moment's logits, or the logarithm of its attention.

    The frame scores of PSC (Palaz et al., 2016) and the attention of CNN-Attend (Olaleye and Kamper, 2021) are this
    locator on these models. Only words of the head's vocabulary can be located.
    """

    kind: Literal["tags"] = "tags"

    def known(self, model: Listener, words: Sequence[str]) -> list[bool]:
        """Those of the head's vocabulary."""
        there = set(vocabulary(model))
        return [word in there for word in words]

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """Log-odds, or log-attention."""
        chosen = places(model, asked)
        assert features.tag_curve is not None
        return features.tag_curve[..., chosen]
