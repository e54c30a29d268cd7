"""How local vectors meet a query: one object for loss, retrieval, spotting, localisation and search."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from lookhear.core import Features, Section
from lookhear.errors import UserError

__all__ = ["Compatibility", "read_text"]

WHOLE = 0.1
"""What the whole of a written text weighs beside the mean of its words' best moments, for each pair of its words.
Figures and what else was tried: docs/architecture.md, "Use"."""


class Compatibility(Section):
    """The reading of local vectors that a model was trained with.

    ``kind`` says how a whole item meets a query. ``sum``: cosine with the pooled vector, which points along the sum of
    the local ones (each carries its gate), with what the model adds to it. ``max``: the largest cosine of any local
    vector. ``attention``: cosines weighted by their own softmax, sharpened by ``temperature``.

    Where in an item a query is met is the same for all: the cosine with the local vectors averaged over ``smooth``
    seconds. The gates set the averages' directions and not the curve's height: read as contributions to the sum, the
    same towers spotted 0.46 and pointed 0.86 where cosines gave 0.61 and 0.89 (made-up picture book, one seed).

    Attributes:
        smooth: width of the averaging window in seconds, rounded to an odd number of frames; 0 for none.
        heads: parts of equal size that vectors are read in; the cosine is that of the best part (Hamilton et al., 2024,
            "Separating the 'Chirp' from the 'Chat'", DenseAV, section 3.2). 1 reads them whole. What is pooled by
            ``sum`` is always read whole.
    """

    kind: Literal["sum", "max", "attention"] = "sum"
    temperature: float = 10.0
    smooth: float = 0.12
    heads: int = Field(1, ge=1)

    def curve(self, features: Features, query: Tensor) -> Tensor:
        """Local cosines (B, N, Q) with unit queries (Q, D), in [-1, 1]; −inf outside the mask."""
        scores = self._cosines(self._smoothed(features), query)
        return scores.masked_fill(~features.mask[..., None], float("-inf"))

    def units(self, features: Features) -> Tensor:
        """(B, N, D) unit vectors whose cosines the curve is, where vectors are read whole."""
        return F.normalize(self._smoothed(features), dim=-1)

    def _smoothed(self, features: Features) -> Tensor:
        """(B, N, D) local vectors, averaged over ``smooth`` seconds."""
        local = features.local.float()
        if isinstance(features.step, float) and self.smooth > 0:
            width = round(self.smooth / features.step) // 2 * 2 + 1
            if width > 1:
                local = _moving_average(local, features.mask, width)
        return local

    def peak(self, features: Features, query: Tensor) -> Tensor:
        """(B, Q): the highest point of each curve."""
        return self.curve(features, query).amax(1)

    def pooled(self, features: Features, query: Tensor) -> Tensor:
        """(B, Q) similarity in [-1, 1] of whole items to unit queries (Q, D)."""
        if self.kind == "sum":
            return features.pooled.float() @ query.float().T
        cosines = self._cosines(features.local.float(), query)
        cosines = cosines.masked_fill(~features.mask[..., None], float("-inf"))
        if self.kind == "max":
            return cosines.amax(1)
        weights = (cosines * self.temperature).softmax(1)
        return (weights * cosines.masked_fill(~features.mask[..., None], 0)).sum(1)

    def parts(self, vectors: Tensor) -> Tensor:
        """(…, D) → (heads, …, D / heads): unit vectors of each part.

        Raises:
            UserError: ``heads`` does not divide D.
        """
        if vectors.shape[-1] % self.heads:
            raise UserError(
                f"compatibility.heads = {self.heads} does not divide the {vectors.shape[-1]} numbers of a vector",
                "Choose a number that does.",
            )
        parts = vectors.float().reshape(*vectors.shape[:-1], self.heads, -1)
        return F.normalize(parts, dim=-1).movedim(-2, 0)

    def _cosines(self, local: Tensor, query: Tensor) -> Tensor:
        """(B, N, D), (Q, D) → (B, N, Q): the cosine, or that of the best part."""
        if self.heads == 1:
            return F.normalize(local, dim=-1) @ query.float().T
        return torch.stack([x @ q.T for x, q in zip(self.parts(local), self.parts(query))]).amax(0)


def _moving_average(local: Tensor, mask: Tensor, width: int) -> Tensor:
    """(B, N, D) → the mean over ``width`` frames around each, over real frames only."""
    m = mask[:, :, None].to(local.dtype)
    padded = F.pad(torch.cat([local * m, m], dim=2), (0, 0, width // 2, width // 2))
    n = local.shape[1]
    total = torch.stack([padded[:, k : k + n] for k in range(width)]).sum(0)
    return total[..., :-1] / total[..., -1:].clamp(min=1)


def read_text(moments: Tensor, whole: Tensor, words: Tensor | int) -> Tensor:
    """How well recordings say written texts.

    A text of W ≥ 1 content words scores (m + w c) / (1 + w) with w = ``WHOLE`` × W (W − 1) / 2: m is the mean over the
    words of each one's best moment (``Compatibility.peak``; the sum of best local similarities is the late interaction
    of Khattab and Zaharia, 2020, "ColBERT", section 3.3), and c the similarity of the whole text to the whole
    recording. One word is its best moment alone; the longer a text, the more its whole decides. Without content words
    ("over there") the score is c.

    Args:
        moments: m, of any shape; what stands where W is 0 is not read.
        whole: c, of that shape.
        words: W, of a shape that fits.
    """
    words = torch.as_tensor(words)
    weight = WHOLE * words * (words - 1) / 2
    return torch.where(words > 0, (moments + weight * whole) / (1 + weight), whole)
