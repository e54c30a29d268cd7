"""What is told of a row, in SQLite: for engines that hold vectors and numbers only."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["Payload"]

_TABLES = """
CREATE TABLE IF NOT EXISTS files (id INTEGER PRIMARY KEY, file TEXT UNIQUE, speaker TEXT, date TEXT, language TEXT);
CREATE TABLE IF NOT EXISTS segments (id INTEGER PRIMARY KEY, file INTEGER, "start" REAL, "end" REAL);
"""
_TOLD = """
SELECT s.id, f.file, s."start", s."end", f.speaker, f.date, f.language
FROM segments s JOIN files f ON s.file = f.id WHERE s.id IN (SELECT value FROM json_each(?))
"""


class Payload:
    """Rows of segments, and once for all of a file's segments what belongs to the file."""

    def __init__(self, path: Path) -> None:
        self.base = sqlite3.connect(path)
        self.base.execute("PRAGMA journal_mode = WAL")
        self.base.executescript(_TABLES)

    def __len__(self) -> int:
        return int(self.base.execute("SELECT count(*) FROM segments").fetchone()[0])

    def add(self, rows: pa.Table) -> None:
        """In one transaction."""
        files = (
            rows.select(["file", "speaker", "date", "language"])
            .group_by(["file", "speaker", "date", "language"])
            .aggregate([])
        )
        with self.base:
            self.base.executemany(
                "INSERT OR IGNORE INTO files (file, speaker, date, language) VALUES (?, ?, ?, ?)",
                [(r["file"], r["speaker"], r["date"].isoformat(), r["language"]) for r in files.to_pylist()],
            )
            known = dict(self.base.execute("SELECT file, id FROM files"))
            columns = (rows.column(name).to_pylist() for name in ("id", "file", "start", "end"))
            self.base.executemany(
                "INSERT INTO segments VALUES (?, ?, ?, ?)",
                [(i, known[file], start, end) for i, file, start, end in zip(*columns, strict=True)],
            )

    def delete(self, ids: np.ndarray) -> None:
        """In one transaction."""
        with self.base:
            self.base.executemany("DELETE FROM segments WHERE id = ?", [(int(i),) for i in ids])

    def of_language(self, language: str) -> np.ndarray:
        """(N,) int64 ids."""
        found = self.base.execute(
            "SELECT s.id FROM segments s JOIN files f ON s.file = f.id WHERE f.language = ?", (language,)
        )
        return np.fromiter((i for (i,) in found), np.int64)

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """What is told of each id, in the same order."""
        names = ("id", "file", "start", "end", "speaker", "date", "language")
        told = {r[0]: dict(zip(names, r)) for r in self.base.execute(_TOLD, (str([int(i) for i in ids]),))}
        return [told[int(i)] for i in ids]
