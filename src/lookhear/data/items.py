"""What a reader of a raw corpus gives: items that refer to their files, and the problems it met on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from lookhear.errors import UserError

__all__ = ["Item", "Media", "Problem", "Problems", "Word"]

Word = tuple[str, float, float]
"""A word, its start and its end in seconds."""


@dataclass(frozen=True)
class Media:
    """A sound or a picture: a file, or bytes out of an archive or table.

    Attributes:
        path: the file; None where there are ``data``.
        data: the bytes of a sound or picture file.
        name: what it is called in its corpus (a path inside it); equal names in one corpus are one picture.
        start, end: of a sound, the stretch that is meant, in seconds; None means from the beginning, to the end.
    """

    path: Path | None = None
    data: bytes | None = None
    name: str = ""
    start: float | None = None
    end: float | None = None

    @property
    def called(self) -> str:
        """For messages."""
        return str(self.path) if self.path is not None else self.name or "bytes"


@dataclass
class Item:
    """A recording, a picture and a text that belong together; any of them may be lacking. See ``Corpus``.

    Attributes:
        id: unique in its corpus.
        group: of the items that show or say the same; the id where None.
        words: word times of the recording.
        extra: further columns: name → value.
        file, line: where the item is told of, for problems.
    """

    id: str
    group: str | None = None
    split: str | None = None
    audio: Media | None = None
    image: Media | None = None
    text: str | None = None
    language: str | None = None
    speaker: str | None = None
    words: list[Word] | None = None
    things: list[str] | None = None
    masks: list[tuple[str, bytes]] | None = None
    vector: list[float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Problem:
    """Something wrong in a raw corpus, and what was done.

    Attributes:
        file, line: where it was found; the line of a text file from 1, or None.
        what, fix: as a UserError says them.
        done: "refused" (the item is left out), or "repaired" (by a rule that the documentation states).
        id: of the item, if it is known.
    """

    file: str
    line: int | None
    what: str
    fix: str
    done: str = "refused"
    id: str | None = None


class Problems:
    """Takes problems down, one JSON object a line, and counts them.

    Args:
        file: open for writing text; None only counts.
        strict: the first refusal is raised instead.
    """

    def __init__(self, file: IO[str] | None = None, strict: bool = False) -> None:
        self.file, self.strict = file, strict
        self.refused = self.repaired = 0

    def add(self, problem: Problem) -> None:
        """Notes one.

        Raises:
            UserError: in strict mode.
        """
        if self.strict and problem.done == "refused":
            where = problem.file if problem.line is None else f"{problem.file}, line {problem.line}"
            raise UserError(f"{where}: {problem.what}", problem.fix)
        if problem.done == "repaired":
            self.repaired += 1
        else:
            self.refused += 1
        if self.file is not None:
            self.file.write(json.dumps(asdict(problem), ensure_ascii=False) + "\n")

    def refuse(self, item: Item, what: str, fix: str) -> None:
        self.add(Problem(item.file, item.line, what, fix, "refused", item.id))

    def repair(self, item: Item, what: str, fix: str) -> None:
        self.add(Problem(item.file, item.line, what, fix, "repaired", item.id))
