"""Calibration: how sure a moment's score makes one that a word is said there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lookhear.errors import UserError

__all__ = ["FILE", "Calibration"]

FILE = "calibration.safetensors"
"""Where a run folder keeps it."""


class Calibration(nn.Module):
    """P(said) = σ(α s + β (s − μ) / σ + γ + δ), s the best moment's cosine with a word's vector q.

    μ = ⟨q, m⟩ and σ² = qᵀ C q are what any moment of speech scores, from the mean m and the covariance C of held-out
    local vectors, so that words that were never asked are calibrated too; δ is a word's own, 0 for a word that is not
    known (Platt, 1999, with the normalisation of Auckenthaler et al., 2000).

    Attributes:
        mean, covariance: m (D,) and C (D, D) of unit local vectors, as ``Compatibility.curve`` reads them.
        weights: α, β, γ.
        words: with ``offsets`` δ.
        templates: the prompts in which words were asked.
    """

    mean: Tensor
    covariance: Tensor
    weights: Tensor
    offsets: Tensor

    def __init__(
        self,
        mean: Tensor,
        covariance: Tensor,
        weights: Tensor,
        offsets: Tensor | None = None,
        words: Sequence[str] = (),
        templates: Sequence[str] = ("{word}",),
    ) -> None:
        super().__init__()
        self.words, self.templates = tuple(words), tuple(templates)
        self.register_buffer("mean", mean.float())
        self.register_buffer("covariance", covariance.float())
        self.register_buffer("weights", weights.float())
        self.register_buffer("offsets", torch.zeros(len(self.words)) if offsets is None else offsets.float())

    def usual(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """(Q, D) unit queries → (Q,) μ and σ."""
        variance = ((queries.float() @ self.covariance) * queries).sum(-1)
        return queries.float() @ self.mean, variance.clamp(min=1e-8).sqrt()

    def line(self, queries: Tensor, names: Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
        """(Q,) slope and intercept that make the scores of (Q, D) unit queries log-odds.

        Args:
            names: the words that the queries are of; those that are not known here have no δ.
        """
        middle, spread = self.usual(queries)
        alpha, beta, gamma = self.weights
        slope = alpha + beta / spread
        place = {word: i for i, word in enumerate(self.words)}
        own = torch.zeros(len(queries))
        for q, name in enumerate(names or ()):
            if name in place:
                own[q] = self.offsets[place[name]]
        return slope, gamma - beta * middle / spread + own

    def probability(self, scores: Tensor, queries: Tensor, names: Sequence[str] | None = None) -> Tensor:
        """(…, Q) scores of (Q, D) unit queries → (…, Q) in [0, 1]."""
        slope, intercept = self.line(queries, names)
        return torch.sigmoid(scores * slope + intercept)

    def save(self, folder: Path) -> None:
        """Leaves it in a run folder.

        Raises:
            UserError: it cannot be written.
        """
        from safetensors.torch import save

        from lookhear.models.model import write_atomically

        told = {"about": json.dumps({"words": self.words, "templates": self.templates})}
        state = {k: v.contiguous() for k, v in self.state_dict().items()}
        write_atomically(folder / FILE, save(state, metadata=told))

    @staticmethod
    def load(folder: Path) -> Calibration | None:
        """That of a run folder; None where there is none.

        Raises:
            UserError: a damaged file.
        """
        from safetensors import SafetensorError, safe_open

        path = folder / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                told = json.loads((file.metadata() or {})["about"])
                state = {key: file.get_tensor(key) for key in ("mean", "covariance", "weights", "offsets")}
            return Calibration(**state, words=told["words"], templates=told["templates"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as e:
            raise UserError(
                f"{path}: damaged ({(str(e) or type(e).__name__).splitlines()[0]})",
                "Make it again: lookhear calibrate.",
            ) from None
