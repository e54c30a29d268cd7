"""What every search engine does, and the rows it speaks of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lookhear.core import Hit
from lookhear.errors import UserError
from lookhear.models.model import write_atomically
from lookhear.search.files import Modality
from lookhear.search.segments import segment_times

__all__ = ["FORMAT", "MANIFEST", "Entry", "Found", "Index", "Source", "Where", "Writer", "create_index", "open_index"]

Floats = NDArray[np.float32]
FORMAT = 2
"""Version of an index folder; raised when an older LookHear could not read it."""
MANIFEST = "index.json"
_AGAIN = "Make it again with `lookhear index`."


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows count.

    Attributes:
        modality: of the rows; None for all.
        folder: a folder, its subfolders included.
        since, until: dates as "1957", "1957-03" or "1957-03-21"; the column ``date`` of a file's details lies between
            them, both included. Files without a date do not.
        details: column → values, one of which a file has.
    """

    modality: Modality | None = None
    folder: str | None = None
    since: str | None = None
    until: str | None = None
    details: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def everything(self) -> bool:
        return not (self.modality or self.folder or self.since or self.until or self.details)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of an index.

    Attributes:
        id: its number, which is the number of its first row.
        path: where it lies, absolute.
        hash: of its content.
        size, modified: bytes, and nanoseconds since 1970, when it was read.
        seconds: how long a recording is; 0 of pictures and texts.
        rows: how many it has: segments, lines of a text, or 1.
        details: column → value, such as "speaker", "date", "language".
    """

    id: int
    path: str
    hash: bytes
    size: int
    modified: int
    modality: Modality
    seconds: float
    rows: int
    details: Mapping[str, str] = field(default_factory=dict)

    def times(self, row: int) -> tuple[float, float]:
        """Start and end of one of its rows, in seconds; 0, 0 of pictures and texts."""
        return segment_times(self.seconds, row - self.id) if self.modality == "audio" else (0.0, 0.0)

    def hit(self, row: int, score: float = 0.0) -> Found:
        """One of its rows as a hit."""
        return Found(self.path, "", *self.times(row), score, row, self)


@dataclass(frozen=True, slots=True)
class Found(Hit):
    """A hit as an engine gives it: one whole segment of a recording, one picture, or one line of text.

    Attributes:
        row: its number in the index.
        source: its file.
    """

    row: int
    source: Source

    @property
    def modality(self) -> Modality:
        return self.source.modality


@dataclass(frozen=True)
class Entry:
    """A file on its way into an index.

    Attributes:
        path, hash, size, modified, modality, seconds, details: as of ``Source``.
        vectors: (rows, D) unit vectors of its segments, lines, or of the picture.
        local: (N, D) local vectors of a recording, every frame once, ``step`` seconds apart.
        texts: the lines of a text.
    """

    path: str
    hash: bytes
    size: int
    modified: int
    modality: Modality
    seconds: float
    vectors: Floats
    local: NDArray[np.float16] | None = None
    texts: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)


class Writer(Protocol):
    """One writing of an index. What ``commit`` ended is kept whatever comes; what it did not is as if never said.

    Rows are numbered on and on, in the order of ``put`` and ``copy``. A commit uses up the numbers given before it, of
    files that were taken out again too: none is ever another file's.
    """

    def put(self, entry: Entry) -> None:
        """Adds a file; one of the same path is replaced."""
        ...

    def touch(self, source: Source, *, path: str, size: int, modified: int, details: Mapping[str, str]) -> None:
        """Says anew where an unchanged file lies, when it was written, and what is known about it."""
        ...

    def copy(self, source: Source, entry: Entry) -> None:
        """Adds a file whose content another has already; ``entry`` has no vectors."""
        ...

    def remove(self, source: Source) -> None:
        """Takes a file out."""
        ...

    def commit(self) -> None:
        """Makes all of it lasting, in one step."""
        ...


class Index(Protocol):
    """What every search engine does."""

    @property
    def path(self) -> Path | str:
        """Its folder, or its address."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """``index.json``: "format", "engine", "run" (folder), "model" (fingerprint), "dim", "step"."""
        ...

    def __len__(self) -> int:
        """Rows."""
        ...

    def writing(self) -> AbstractContextManager[Writer]:
        """One writer at a time; leaving the context commits, leaving it by an error does not.

        Raises:
            UserError: another process is writing, the disk is full, or nothing may be written there.
        """
        ...

    def sources(self) -> list[Source]:
        """All files."""
        ...

    def source(self, number: int) -> Source:
        """One file.

        Raises:
            UserError: no such file.
        """
        ...

    def search(self, query: Floats, k: int = 10, where: Where | None = None) -> list[list[Found]]:
        """The ``k`` rows nearest to each unit query (Q, D) by cosine, best first, among those that count.

        Raises:
            UserError: queries of another width, or a filter that cannot be read.
        """
        ...

    def pooled(self, hits: Sequence[Found]) -> Floats:
        """(H, D) unit vectors of hits as wholes."""
        ...

    def local(self, hits: Sequence[Found]) -> list[Floats]:
        """(N, D) local vectors of each hit's segment; (0, D) of a picture or text."""
        ...

    def reduced(self, hits: Sequence[Found], queries: Floats) -> tuple[list[Floats], Floats]:
        """``local``, and queries (Q, D), both in as many dimensions as are kept: lengths and products are the same."""
        ...

    def texts(self, hits: Sequence[Found]) -> list[str]:
        """The line of each hit that is one of a text; empty for others."""
        ...

    def sample(self, n: int, seed: int = 0, where: Where | None = None) -> list[Found]:
        """Up to ``n`` rows at random, the same ones for the same seed, in order of rows."""
        ...

    def counts(self) -> dict[str, float]:
        """ "recordings", "pictures", "texts" (files), "segments" (all rows) and "hours"."""
        ...

    def facets(self, most: int = 200) -> dict[str, dict[str, int]]:
        """Column of details → value → files that have it, the most frequent first; "folder" is one of the columns."""
        ...

    def close(self) -> None: ...


def create_index(path: Path | str, about: Mapping[str, Any]) -> Index:
    """A new, empty index; or the one that is there, if it is of the same model.

    Args:
        path: a new or empty folder, or one with an index; or an address, ``qdrant://host:port/collection``.
        about: "run", "model", "dim", "step".

    Raises:
        UserError: the folder holds something else, an index of another model, or cannot be written.
    """
    if _is_address(path):
        from lookhear.search.qdrant import QdrantIndex

        served: Index = QdrantIndex.create(str(path), about)
        return served
    from lookhear.search.archive import ArchiveIndex

    path = Path(path)
    if (path / MANIFEST).is_file():
        found = read_manifest(path)
        if found["model"] != about["model"]:
            raise UserError(f"{path} was made with another model", "Name another folder, or delete it to make it anew.")
        if found["run"] != about["run"]:
            write_atomically(path / MANIFEST, as_manifest({**found, "run": about["run"]}))
        return ArchiveIndex(path)
    if path.exists() and (not path.is_dir() or {p.name for p in path.iterdir()} - ArchiveIndex.UNFINISHED):
        raise UserError(f"{path} is not empty and holds no index", "Name another folder.")
    return ArchiveIndex.create(path, {**about, "format": FORMAT, "engine": "archive"})


def _is_address(path: Path | str) -> bool:
    return str(path).startswith("qdrant:")


def is_index(path: Path | str) -> bool:
    """Whether there is an index already. Of a server it is taken for granted: what is there is not looked at here."""
    return _is_address(path) or (Path(path) / MANIFEST).is_file()


def discard_index(path: Path | str) -> None:
    """Takes away an archive that was made for nothing: nothing could be indexed."""
    from lookhear.search.archive import ArchiveIndex

    ArchiveIndex.discard(Path(path))


def open_index(path: Path | str) -> Index:
    """The index in a folder, or on a server (``qdrant://host:port/collection``).

    Raises:
        UserError: none there, one of another format or engine, or damaged files.
    """
    if _is_address(path):
        from lookhear.search.qdrant import QdrantIndex

        served: Index = QdrantIndex(str(path))
        return served
    from lookhear.search.archive import ArchiveIndex

    read_manifest(Path(path))
    return ArchiveIndex(Path(path))


def as_manifest(about: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(about), indent=1, sort_keys=True).encode() + b"\n"


def read_manifest(path: Path) -> dict[str, Any]:
    """What ``index.json`` says.

    Raises:
        UserError: none there, damaged, or of another format.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path}: no index (no {MANIFEST} in it)", "Make one with `lookhear index RUN FOLDER -o INDEX`."
        )
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        found, engine, _ = about["format"], about["engine"], [about[k] for k in ("run", "model", "dim", "step")]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file}: damaged", _AGAIN) from None
    if found != FORMAT:
        raise UserError(f"{path}: an index of format {found}, this LookHear reads format {FORMAT}", _AGAIN)
    if engine != "archive":
        raise UserError(f"{path}: an index of the engine {engine!r}, which this LookHear does not have", _AGAIN)
    return dict(about)


def check_width(entry: Entry, dim: int) -> None:
    """That an entry's vectors are (rows, D) and its frames (N, D).

    Raises:
        UserError: they are not.
    """
    for values in (entry.vectors, entry.local):
        if values is not None and (values.ndim != 2 or values.shape[1] != dim):
            raise UserError(f"{entry.path}: vectors of shape {values.shape}", f"This index takes (N, {dim}).")


def dates_between(since: str | None, until: str | None) -> tuple[str, str]:
    """Bounds that dates written year first can be compared with as strings: "1957" is all of that year.

    Raises:
        UserError: what is no date, or an order that leaves nothing.
    """
    low, high = _date(since or "0000"), _date(until or "9999") + "~"
    if low > high:
        raise UserError(f"dates from {since} until {until}", "Give the earlier one first.")
    return low, high


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?)?", text):
        raise UserError(f"date {text!r}", "Write it as 1957, 1957-03 or 1957-03-21.")
    return text
