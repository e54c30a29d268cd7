"""The SQLite file of an archive: its tables, and how it is opened.

A row of the index (a segment, a picture, a line) has no row here: files have numbers in which their rows are counted
on, so a segment's times follow from its number. Frames lie in chunks of so many seconds, likewise numbered on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookhear.errors import UserError

__all__ = ["CHUNK", "DATABASE", "connect", "create", "holds_files", "storage_errors"]

DATABASE = "rows.sqlite"
CHUNK = 200
"""Frames in a chunk: two hold any segment, and five fill a page."""
_PAGE = 16_384
_VERSION = 1
_WAIT = 30.0  # seconds that a commit waits for those who are reading

_TABLES = """
-- Numbers and names: rows, chunks (the next free ones), sealed (file of vectors), seals (how many there were), trained
-- (rows it was trained for), gone (its rows of files taken out), trained_codec.
CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT UNIQUE);
-- What is known about files, as JSON; each combination once.
CREATE TABLE details (id INTEGER PRIMARY KEY, json TEXT UNIQUE);
-- id is the file's first row, and chunk its first chunk; codec 0 is half precision.
CREATE TABLE files (
  id INTEGER PRIMARY KEY, folder INTEGER, name TEXT, hash BLOB, size INTEGER, modified INTEGER, modality TEXT,
  seconds REAL, rows INTEGER, frames INTEGER, chunk INTEGER, codec INTEGER, details INTEGER, UNIQUE (folder, name)
);
CREATE TABLE chunks (id INTEGER PRIMARY KEY, codes BLOB);
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT);
-- Vectors (rows, D) of files that no file of vectors holds yet, in half precision.
CREATE TABLE fresh (id INTEGER PRIMARY KEY, vectors BLOB);
CREATE TABLE codecs (id INTEGER PRIMARY KEY, data BLOB);
"""


def create(folder: Path) -> None:
    """An empty database in a folder."""
    with storage_errors(folder):
        connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # what is put away gives its place back
            connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        finally:
            connection.close()


def holds_files(folder: Path) -> bool:
    """Whether anything was ever put into the database that is there; not so of one that was never made whole."""
    with storage_errors(folder):
        connection = sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=_WAIT)
        try:
            made = connection.execute("PRAGMA user_version").fetchone()[0]
            return bool(made and connection.execute("SELECT count(*) FROM files").fetchone()[0])
        finally:
            connection.close()


def connect(folder: Path, write: bool = False) -> sqlite3.Connection:
    """The database of a folder; transactions are begun by hand. One that only reads needs no right to write.

    Raises:
        UserError: none there, damaged, or of another version.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise UserError(f"{folder}: damaged index ({DATABASE} is missing)", "Make it again with `lookhear index`.")
    with storage_errors(folder):
        # Reading opens for writing where that is allowed: what a killed writer left half done is then undone.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT, check_same_thread=False)
        try:
            connection.execute("PRAGMA mmap_size = 2147483648")
            if not write:
                connection.execute("PRAGMA query_only = 1")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error:
            connection.close()
            raise
    if found != _VERSION:
        connection.close()
        raise UserError(f"{path}: version {found}, this LookHear reads {_VERSION}", "Make the index again.")
    return connection


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """What goes wrong with files and disks, in one line; what was committed before is there in every case."""
    try:
        yield
    except sqlite3.OperationalError as e:
        text = str(e)
        if "full" in text:
            raise UserError(f"{folder}: no space left", "Free some space; what was saved before is kept.") from None
        if "readonly" in text or "unable to open" in text:
            raise UserError(
                f"{folder}: nothing can be written there", "Check its permissions, or name another."
            ) from None
        if "locked" in text:
            raise UserError(f"{folder}: busy, another process holds it", "Try again when it is done.") from None
        raise UserError(f"{folder}: {text}", "Check the disk; what was saved before is kept.") from None
    except sqlite3.DatabaseError as e:
        raise UserError(f"{folder}: damaged index ({e})", "Make it again with `lookhear index`.") from None
