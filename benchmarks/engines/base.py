"""What every engine of the comparison offers: four methods, and three more that it may."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

__all__ = ["Engine", "Rows", "Settings", "Unable"]

Rows = Callable[[int, int], pa.Table]
"""From the first row and a count to what an answer tells of them (`data.rows_beside`)."""


Settings = Mapping[str, Mapping[str, int]]
"""By the label that the table prints, what a search is set to."""


class Unable(Exception):
    """The engine offers no such thing."""


class Engine(ABC):
    """An embedded engine in a folder of its own: vectors by which it finds, and what it tells of what it found.

    Attributes:
        name: as `--engines` names it.
        needs: modules without which it is skipped.
        settings: what a search may be set to, by the label that the table prints; each gives a row.
        note: one line for the reader of the table.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    settings: ClassVar[Settings]
    note: str = ""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder, self.threads = folder, threads

    @classmethod
    def missing(cls) -> list[str]:
        """Modules that are not installed."""
        return [name for name in cls.needs if find_spec(name) is None]

    @abstractmethod
    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        """Writes all of it into the folder; `done` is told how many rows it has.

        Args:
            vectors: (N, D) float32 of unit length, memory-mapped.
        """

    @abstractmethod
    def open(self) -> None:
        """Makes ready to search what the folder holds."""

    @abstractmethod
    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        """At most k ids for a (D,) float32 query, the nearest first; among rows of a language, if one is named.

        Raises:
            Unable: it cannot filter.
        """

    @abstractmethod
    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """What is told of each id, in the same order."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """How many vectors there are, and how many rows beside them."""

    def add(self, vectors: np.ndarray, rows: pa.Table) -> None:
        """Adds rows, written for good when it returns."""
        raise Unable

    def delete(self, ids: np.ndarray) -> None:
        """Deletes rows, for good when it returns."""
        raise Unable
