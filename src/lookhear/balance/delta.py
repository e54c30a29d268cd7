"""What learning several tasks together brings, against learning each alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lookhear.errors import UserError

__all__ = ["Measured", "delta_m"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and which way is better: it goes with the figure, so that no comparison can take its sign wrongly.

    Attributes:
        lower: whether lower is better, as of errors.
    """

    value: float
    lower: bool = False


def delta_m(together: Mapping[str, Measured], alone: Mapping[str, Measured]) -> float:
    """Δm = mean over tasks of (−1)^l (M − M alone) / M alone (Vandenhende, 2022, section 2.5), as a share.

    Args:
        together: task → its figure in the net of all tasks.
        alone: task → its figure in a net of its own, with an equal encoder.

    Raises:
        UserError: other tasks, a figure of the other direction, or one of 0 to divide by.
    """
    if not alone or together.keys() != alone.keys():
        raise UserError(
            f"Δm of {', '.join(together) or 'nothing'} against {', '.join(alone) or 'nothing'}",
            "Measure the same tasks in both.",
        )
    total = 0.0
    for name, single in alone.items():
        if together[name].lower != single.lower:
            raise UserError(
                f"Δm: {name} is better higher in one run and lower in the other", "Give both one direction."
            )
        if single.value == 0:
            raise UserError(f"Δm: {name} alone is 0, which nothing can be a share of", "Choose another figure.")
        gain = (together[name].value - single.value) / abs(single.value)
        total += -gain if single.lower else gain
    return total / len(alone)
