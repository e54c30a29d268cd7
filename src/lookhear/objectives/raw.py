"""Objectives that change the input itself need a tower that takes log-mels or pictures, and a batch that holds them."""

from __future__ import annotations

from typing import Any, Literal

from lookhear.core import Batch, Padded
from lookhear.errors import UserError
from lookhear.frontend import LogMel

__all__ = ["check_batch", "check_tower"]


def check_tower(objective: str, does: str, on: Literal["audio", "image"], tower: Any) -> None:
    """Refuses a tower that takes neither.

    Args:
        objective: its name in a recipe.
        does: what it does to the input, for the message.

    Raises:
        UserError: names the objective and what to choose.
    """
    if isinstance(getattr(tower, "frontend", None), LogMel) if on == "audio" else hasattr(tower, "grid"):
        return
    raise UserError(
        f"objective '{objective}' {does} {'log-mels' if on == 'audio' else 'pictures'}, which this tower does not take",
        "Choose a speech tower over log-mels." if on == "audio" else "Choose [teacher] kind = 'embedded'.",
    )


def check_batch(objective: str, on: Literal["audio", "image"], batch: Batch) -> Padded:
    """(B, M, T) log-mels or (B, 3, X, Y) pictures of a batch.

    Raises:
        UserError: it holds vectors that were computed before.
    """
    given = batch.inputs[on]
    if not isinstance(given, Padded) or given.values.ndim != (3 if on == "audio" else 4):
        raise UserError(
            f"objective '{objective}' needs pictures or log-mels, not vectors of them", "Choose another one."
        )
    return given
