"""What one task's features tell another's, place by place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Distillation"]


class Distillation(nn.Module):
    """Multi-modal distillation at one scale (Vandenhende et al., 2020, MTI-Net, section 3.3; PAD-Net, module C).

    F'ₜ = Fₜ + Σ_{j ≠ t} σ(gate_{jt} * Fⱼ) · (value_{jt} * Fⱼ), where * is a convolution over places: of one axis
    (frames) or of two (patches). A gate is for each place and channel.

    Args:
        tasks: names.
        channels: C of all features.
        kernel: an odd number of places.
        axes: 1 or 2.
    """

    def __init__(self, tasks: Sequence[str], channels: int, kernel: int = 3, axes: int = 1) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        convolution: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv1d if axes == 1 else nn.Conv2d
        pairs = [(i, j) for i in range(len(self.tasks)) for j in range(len(self.tasks)) if i != j]
        self.gates = nn.ModuleDict({_key(*p): convolution(channels, channels, kernel, padding="same") for p in pairs})
        self.values = nn.ModuleDict({_key(*p): convolution(channels, channels, kernel, padding="same") for p in pairs})

    def forward(self, features: dict[str, Tensor], mask: Tensor | None = None) -> dict[str, Tensor]:
        """Task → (B, C, N) or (B, C, H, W), as the same.

        Args:
            mask: (B, N) or (B, H, W) bool, True where real; nothing is told by, or to, places outside it.
        """
        real = None if mask is None else mask[:, None]
        seen = [features[name] if real is None else features[name] * real for name in self.tasks]
        told: dict[str, Tensor] = {}
        for t, name in enumerate(self.tasks):
            out = seen[t]
            for j, other in enumerate(seen):
                if j != t:
                    key = _key(j, t)
                    out = out + torch.sigmoid(self.gates[key](other)) * self.values[key](other)
            told[name] = out if real is None else out * real
        return told


def _key(source: int, target: int) -> str:
    return f"{source}>{target}"
