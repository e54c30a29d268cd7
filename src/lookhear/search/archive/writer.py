"""What is written into an archive: files in transactions, and the file of vectors when enough came together."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookhear.search.archive import nearest
from lookhear.search.archive.codec import FITTED, Codec, HalfPrecision, Residual
from lookhear.search.archive.nearest import Sealed
from lookhear.search.archive.schema import CHUNK
from lookhear.search.archive.tidy import learn_codec, state_of, sweep, tidy
from lookhear.search.index import Entry, Source, check_width

__all__ = ["ArchiveWriter"]


class ArchiveWriter:
    """See ``Writer``; the archive that makes one holds its lock.

    Args:
        database: opened for writing.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection, dim: int) -> None:
        self.folder, self.database, self.dim = folder, database, dim
        sweep(folder, database)
        self.codec_id = -1
        self.codec: Codec
        self._use_codec()
        self.begin()

    # Files -------------------------------------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        check_width(entry, self.dim)
        self._drop(entry.path)
        local = entry.local if entry.local is not None else np.zeros((0, self.dim), np.float16)
        if self.codec_id == 0 and len(local) >= FITTED:  # hours need not be written twice
            learn_codec(self.database, local)
            self._use_codec()
        chunk = self._next("chunks", -(-len(local) // CHUNK))
        for n in range(0, len(local), CHUNK):
            values = (chunk + n // CHUNK, self.codec.encode(local[n : n + CHUNK]))
            self.database.execute("INSERT INTO chunks VALUES (?, ?)", values)
        number = self._file(entry, len(entry.vectors), len(local), chunk, self.codec_id)
        self._fresh(number, entry.vectors)
        lines = [(number + n, text) for n, text in enumerate(entry.texts)]
        self.database.executemany("INSERT INTO texts VALUES (?, ?)", lines)

    def touch(self, source: Source, *, path: str, size: int, modified: int, details: Mapping[str, str]) -> None:
        if path != source.path:
            self._drop(path)
        folder, name = self._place(path)
        self.database.execute(
            "UPDATE files SET folder = ?, name = ?, size = ?, modified = ?, details = ? WHERE id = ?",
            (folder, name, size, modified, self._about(details), source.id),
        )

    def copy(self, source: Source, entry: Entry) -> None:
        self._drop(entry.path)
        frames, chunk, codec = self.database.execute(
            "SELECT frames, chunk, codec FROM files WHERE id = ?", (source.id,)
        ).fetchone()
        count = -(-frames // CHUNK)
        own = self._next("chunks", count)
        self.database.execute(
            "INSERT INTO chunks SELECT id - ? + ?, codes FROM chunks WHERE id >= ? AND id < ?",
            (chunk, own, chunk, chunk + count),
        )
        number = self._file(entry, source.rows, frames, own, codec)
        self.database.execute(
            "INSERT INTO texts SELECT id - ? + ?, text FROM texts WHERE id >= ? AND id < ?",
            (source.id, number, source.id, source.id + source.rows),
        )
        self._fresh(number, self._vectors(source))

    def remove(self, source: Source) -> None:
        self._drop(source.path)

    def _drop(self, path: str) -> None:
        folder, name = self._place(path)
        found = self.database.execute(
            "SELECT id, rows, frames, chunk FROM files WHERE folder = ? AND name = ?", (folder, name)
        ).fetchone()
        if found is None:
            return
        number, rows, frames, chunk = found
        for table, first, count in (("chunks", chunk, -(-frames // CHUNK)), ("texts", number, rows)):
            self.database.execute(f"DELETE FROM {table} WHERE id >= ? AND id < ?", (first, first + count))
        if not self.database.execute("DELETE FROM fresh WHERE id = ?", (number,)).rowcount:
            state_of(self.database, "gone", state_of(self.database, "gone", default=0) + rows)
        self.database.execute("DELETE FROM files WHERE id = ?", (number,))

    def _file(self, entry: Entry, rows: int, frames: int, chunk: int, codec: int) -> int:
        number = self._next("rows", rows)
        folder, name = self._place(entry.path)
        values = (number, folder, name, entry.hash, entry.size, entry.modified, entry.modality, entry.seconds)
        more = (rows, frames, chunk, codec, self._about(entry.details))
        self.database.execute(f"INSERT INTO files VALUES ({','.join('?' * 13)})", values + more)
        return number

    def _fresh(self, number: int, vectors: NDArray[np.float32]) -> None:
        data = np.ascontiguousarray(vectors, dtype="<f2").tobytes()
        self.database.execute("INSERT INTO fresh VALUES (?, ?)", (number, data))

    def _vectors(self, source: Source) -> NDArray[np.float32]:
        found = self.database.execute("SELECT vectors FROM fresh WHERE id = ?", (source.id,)).fetchone()
        if found is not None:
            return np.frombuffer(found[0], "<f2").reshape(-1, self.dim).astype(np.float32)
        vectors, _ = Sealed(self.folder / state_of(self.database, "sealed")).vectors(
            np.arange(source.id, source.id + source.rows)
        )
        return vectors

    # Numbers and names -------------------------------------------------------------------------------------------

    def _next(self, key: str, count: int) -> int:
        """The first of so many new numbers; none is ever given twice."""
        first = int(state_of(self.database, key, default=0))
        state_of(self.database, key, first + count)
        return first

    def _place(self, path: str) -> tuple[int, str]:
        folder, name = os.path.split(path)
        return self._known("folders", "path", folder), name

    def _about(self, details: Mapping[str, str]) -> int | None:
        if not details:
            return None
        return self._known("details", "json", json.dumps(dict(sorted(details.items())), ensure_ascii=False))

    def _known(self, table: str, column: str, value: str) -> int:
        self.database.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (value,))
        return int(self.database.execute(f"SELECT id FROM {table} WHERE {column} = ?", (value,)).fetchone()[0])

    # Transactions ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.database.execute("COMMIT")
        tidy(self.folder, self.database, self.dim)
        self._use_codec()
        self.begin()

    def finish(self) -> None:
        """Commits what is left, and puts away what is fresh where it is much."""
        self.database.execute("COMMIT")
        tidy(self.folder, self.database, self.dim, most=nearest.SEALED)

    def _use_codec(self) -> None:
        found = self.database.execute("SELECT id, data FROM codecs ORDER BY id DESC LIMIT 1").fetchone()
        if found is None:
            self.codec_id, self.codec = 0, HalfPrecision(self.dim)
        elif found[0] != self.codec_id:
            self.codec_id, self.codec = found[0], Residual(found[1])
