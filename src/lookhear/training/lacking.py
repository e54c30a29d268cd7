"""What no item of the training data has, so that what would learn from it is refused before step 0."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["never"]


@runtime_checkable
class Partial(Protocol):
    """A source whose items may lack some inputs, and that knows which of them no item has."""

    never: frozenset[str]


def never(source: object) -> frozenset[str]:
    """Inputs that no item of a source has."""
    return source.never if isinstance(source, Partial) else frozenset()
