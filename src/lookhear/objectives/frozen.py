"""Another run's model as it is: no weight of it is learned, saved or given to an optimiser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lookhear.core import Features, Padded
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.objectives.base import Shaped

__all__ = ["Follows", "Frozen", "contents", "heard_by"]


class Follows(Shaped):
    """The section of an objective that learns from other runs; what they hold decides what is learned, too."""

    def followed(self) -> tuple[str, ...]:
        """Folders of the runs."""
        raise TypeError(f"{type(self).__name__} does not say whom it follows")


def contents(runs: Iterable[str]) -> str:
    """Digests, one a line, of the models that lie in these folders now; a missing file counts as an empty one."""
    lines = []
    for run in runs:
        h = hashlib.blake2b(digest_size=16)
        for name in ("model.json", "model.safetensors"):
            path = Path(run).expanduser() / name
            data = path.read_bytes() if path.is_file() else b""
            h.update(f"{len(data)} ".encode() + data)
        lines.append(h.hexdigest() + "\n")
    return "".join(lines)


@lru_cache(maxsize=4)
def _load(folder: str, held: str) -> Model:
    """The model that a folder held when its ``contents`` were these: one trained anew there is another."""
    return Model.load(folder).requires_grad_(False).eval()


def heard_by(folder: str, model: Any, key: str) -> Model:
    """The model of a run whose speech tower hears what ``model``'s does.

    Args:
        key: of the recipe that names the run, for messages.

    Raises:
        UserError: no run there, a run without a speech tower, or one that reads other log-mels.
    """
    path = str(Path(folder).expanduser().resolve())
    teacher = _load(path, contents([path]))
    if teacher.audio is None:
        raise UserError(f"{key}: {folder} has no speech tower", "Name a run that trained one.")
    theirs, ours = teacher.audio.channels, model.audio.channels
    if theirs != ours:
        raise UserError(
            f"{key}: the tower of {folder} reads {theirs} channels, the one that learns {ours}",
            f"Set speech.bins={theirs}, or name another run.",
        )
    return teacher


class Frozen:
    """A tower in eval mode, without gradient. It is no module, so that no checkpoint holds it."""

    def __init__(self, tower: nn.Module) -> None:
        self.tower = tower

    @torch.no_grad()
    def __call__(self, x: Padded) -> Features:
        """(B, S) samples or (B, M, T) log-mels → what the tower makes of them, on their device."""
        self.tower.to(x.values.device).eval()
        features: Features = self.tower(x)
        return features
