"""Local similarity: how well each moment meets the word, as the model was trained to be read."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from lookhear.core import Features
from lookhear.locators.base import Asked, Listener, Locator, Waves

__all__ = ["Curve"]


class Curve(Locator):
    """The cosine of the word with the local vectors (``Compatibility.curve``): what ``spot`` and ``search`` read.

    Models whose training met words or pictures at single moments (``tags``, ``pacl``, ``matchmap``, ``dense``) are read
    by it as they were trained.
    """

    kind: Literal["curve"] = "curve"

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """Cosines in [-1, 1]."""
        return model.compatibility.curve(features, asked.vectors)
