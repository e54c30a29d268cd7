"""Putting away what was written: vectors into a file of their own, frames into few bytes.

Nothing here changes what an archive holds. New files are whole before the database names them.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.search.archive.codec import FITTED, Codec, HalfPrecision, train_codec
from lookhear.search.archive.nearest import Sealed, numbers_of, write_sealed
from lookhear.search.ranges import Ranges, ranges_of

__all__ = ["learn_codec", "state_of", "sweep", "tidy"]

MOST_FRESH = 100_000
"""Rows beside the file of vectors, at most: they are held in memory and compared one by one."""
GONE = 0.25
"""Share of a file's rows that may be of files taken out before it is written anew."""


def state_of(database: sqlite3.Connection, key: str, value: Any = None, default: Any = None) -> Any:
    """What a key of the table ``state`` says; with a value, that from now on."""
    if value is not None:
        database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        return value
    found = database.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return found[0] if found else default


def sweep(folder: Path, database: sqlite3.Connection) -> None:
    """Deletes files of vectors that the database does not name: a killed writer left them."""
    named = state_of(database, "sealed")
    for file in folder.glob("vectors-*"):
        if file.name != named:
            file.unlink(missing_ok=True)


def tidy(folder: Path, database: sqlite3.Connection, dim: int, most: int | None = None) -> None:
    """Puts away what is due, between two transactions.

    Args:
        most: rows that may stay fresh; ``MOST_FRESH`` by default.
    """
    most = MOST_FRESH if most is None else most
    if state_of(database, "trained_codec") is None:
        frames = database.execute("SELECT coalesce(sum(frames), 0) FROM files").fetchone()[0]
        if frames >= FITTED:
            _shrink(database, dim)
    fresh = database.execute("SELECT coalesce(sum(length(vectors)), 0) FROM fresh").fetchone()[0] // (2 * dim)
    sealed, gone = state_of(database, "sealed"), int(state_of(database, "gone", default=0))
    total = database.execute("SELECT coalesce(sum(rows), 0) FROM files").fetchone()[0]
    if fresh > most or (sealed and gone > GONE * (total + gone)):
        _seal(folder, database, dim)


def learn_codec(database: sqlite3.Connection, frames: NDArray[np.floating]) -> Codec | None:
    """Trains the codec on (N, D) frames and keeps it, within a transaction; frames of before stay as they are.

    None where a tower hears nothing: then there is no direction to learn.
    """
    chosen = np.random.default_rng(0).permutation(len(frames))[: 2 * FITTED]
    taken = frames[np.sort(chosen)].astype(np.float32)
    heard = taken[np.linalg.norm(taken, axis=1) > 0]
    if len(heard) < 256:
        return None
    codec = train_codec(np.random.default_rng(0).permutation(heard))
    database.execute("INSERT INTO codecs VALUES (1, ?)", (codec.data,))
    state_of(database, "trained_codec", 1)
    return codec


def _shrink(database: sqlite3.Connection, dim: int) -> None:
    """Trains the codec on the frames there are, and writes them anew with it."""
    plain = HalfPrecision(dim)
    read = "SELECT codes FROM chunks WHERE id = ?"
    database.execute("BEGIN IMMEDIATE")
    codec = learn_codec(database, _some_frames(database, plain))
    if codec is None:
        database.execute("ROLLBACK")
        return
    # Into a table of their own, in order: changed where they lie, they would leave most of each page empty.
    database.execute("CREATE TABLE packed (id INTEGER PRIMARY KEY, codes BLOB)")
    for (number,) in database.execute("SELECT id FROM chunks ORDER BY id").fetchall():
        codes = database.execute(read, (number,)).fetchone()[0]
        database.execute("INSERT INTO packed VALUES (?, ?)", (number, codec.encode(plain.decode(codes))))
    database.execute("DROP TABLE chunks")
    database.execute("ALTER TABLE packed RENAME TO chunks")
    database.execute("UPDATE files SET codec = 1")
    database.execute("COMMIT")
    _give_back(database)


def _some_frames(database: sqlite3.Connection, plain: HalfPrecision) -> NDArray[np.float32]:
    """(N, D) frames of chunks drawn at random, which may be short ones: twice ``FITTED`` of them, or all."""
    drawn = np.random.default_rng(0).permutation([i for (i,) in database.execute("SELECT id FROM chunks ORDER BY id")])
    parts, count = [], 0
    for number in drawn.tolist():
        parts.append(plain.decode(database.execute("SELECT codes FROM chunks WHERE id = ?", (number,)).fetchone()[0]))
        count += len(parts[-1])
        if count >= 2 * FITTED:
            break
    return np.concatenate(parts)


def _seal(folder: Path, database: sqlite3.Connection, dim: int) -> None:
    """Writes the file of vectors anew, with those that are fresh and without those of files taken out."""
    database.execute("BEGIN IMMEDIATE")
    try:
        live = ranges_of(database.execute("SELECT id, rows FROM files ORDER BY id"))
        new, trained = _write_new(folder, database, dim, live) if live.total else ("", 0)
        state_of(database, "sealed", new)
        state_of(database, "trained", trained)
        state_of(database, "gone", 0)
        database.execute("DELETE FROM fresh")
        database.execute("COMMIT")
    except (RuntimeError, OSError) as e:  # the first of FAISS, which says what the system said in its last line
        raise UserError(
            f"{folder}: the vectors cannot be written ({str(e).splitlines()[-1]})",
            "Free some space; what was saved before is kept.",
        ) from None
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
        sweep(folder, database)
    _give_back(database)


def _write_new(folder: Path, database: sqlite3.Connection, dim: int, live: Ranges) -> tuple[str, int]:
    """The name of a new file of vectors, which is on the disk, and for how many rows it was trained."""
    name = state_of(database, "sealed")
    number = 1 + int(state_of(database, "seals", default=0))  # no name is ever given twice
    state_of(database, "seals", number)
    fresh = database.execute("SELECT id, vectors FROM fresh ORDER BY id").fetchall()
    vectors = np.frombuffer(b"".join(v for _, v in fresh), "<f2").reshape(-1, dim).astype(np.float32)
    old = Sealed(folder / name, mapped=False) if name else None
    new = folder / f"vectors-{number}.faiss"
    before = int(state_of(database, "trained", default=0))
    trained = write_sealed(new, dim, old, live, numbers_of(fresh, dim), vectors, before)
    _to_disk(new)
    return new.name, trained


def _give_back(database: sqlite3.Connection) -> None:
    """Cuts empty pages off the file."""
    database.executescript("PRAGMA incremental_vacuum")  # `execute` would stop after the first page


def _to_disk(path: Path) -> None:
    with path.open("rb") as f:
        os.fsync(f.fileno())
