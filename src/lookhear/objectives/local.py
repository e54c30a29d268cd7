"""Objectives that score pairs by local vectors: what they need, and how a model must be read to be used as trained."""

from __future__ import annotations

from lookhear.core import Section
from lookhear.scoring import Compatibility

__all__ = ["LocalSection"]


class LocalSection(Section):
    """The part of an objective's section that says what local vectors it looks at."""

    kind: str

    @property
    def patches(self) -> bool:
        """Whether the batch's pictures must come with the vectors of their patches."""
        return True

    def check(self, compatibility: Compatibility) -> None:
        """Refuses a reading of local vectors under which the model would not be used as it was trained.

        Raises:
            UserError: names the key to change.
        """
