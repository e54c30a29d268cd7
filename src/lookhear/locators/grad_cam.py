"""Grad-CAM: which moments the answer for the whole recording depends on, by its gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from lookhear.audio import pad_audio
from lookhear.core import Features, Padded
from lookhear.errors import UserError
from lookhear.locators.base import Asked, Listener, Waves, WholeLocator, answers, places

__all__ = ["GradCam"]

AT_ONCE = 32


class GradCam(WholeLocator):
    """Gradient-weighted class activation mapping over time (Selvaraju et al., 2017, eqs 1 and 2).

    With the hidden vectors A (N, H) that the speech tower's local vectors and heads are made of, and the answer y for a
    word: α = 1/N Σₙ ∂y/∂Aₙ over the real moments, and moment n scores ReLU(α · Aₙ).

    Attributes:
        answer: what y is: the ``pooled`` similarity, or the log-odds of the ``tags`` head (its vocabulary alone).
    """

    kind: Literal["grad_cam"] = "grad_cam"

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """See the class; 0 or more.

        Raises:
            UserError: no speech tower, or one whose whole is not made of its moments (``readout = "cls"``).
        """
        tower: Any = getattr(model, "audio", None)
        if tower is None:
            raise UserError("this model has no speech tower to differentiate", "Locate by another locator.")
        if self.answer == "tags":
            places(model, asked)
        given = list(waves())
        # Vectors made without gradients can take no part in a graph: copies of them can.
        with torch.inference_mode(False), torch.enable_grad():
            words = Asked(asked.names, asked.vectors.clone())
            out = torch.full((*features.mask.shape, len(asked.vectors)), float("-inf"))
            for i in range(0, len(given), AT_ONCE):
                maps, mask = self._maps(model, tower, pad_audio(given[i : i + AT_ONCE]), words)
                out[i : i + len(maps), : maps.shape[1]] = maps.masked_fill(~mask[..., None], float("-inf"))
        return out

    def _maps(self, model: Any, tower: Any, waves: Padded, asked: Asked) -> tuple[Tensor, Tensor]:
        """(b, n, Q) maps of some recordings, and their (b, n) mask."""
        heard = tower.extract(waves)
        # The weights are frozen: what is heard asks for the gradient, so that there is a graph from A on.
        heard = Padded(heard.values.detach().clone().requires_grad_(), heard.mask)
        found: Features = tower(heard)
        hidden, mask = found.hidden, found.mask
        assert hidden is not None
        if getattr(model, "head", None) is not None:
            found = model.head(found)
        if getattr(model, "evidence", None) is not None:
            found = model.evidence(found, model.compatibility)
        whole = answers(model, replace(found, hidden=None), asked, self.answer)
        count = mask.sum(1)[:, None]
        maps = []
        for q in range(whole.shape[1]):
            (slope,) = torch.autograd.grad(whole[:, q].sum(), hidden, retain_graph=True, allow_unused=True)
            if slope is None:
                raise UserError(
                    "grad_cam: this model's answer for a whole recording is not made of its moments",
                    "Locate by another locator.",
                )
            alpha = (slope.float() * mask[..., None]).sum(1) / count
            maps.append(torch.einsum("bnh,bh->bn", hidden.detach().float(), alpha).relu())
        return torch.stack(maps, dim=-1).detach(), mask
