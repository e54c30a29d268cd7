"""Text in and out of files: what is not text is refused, and nothing is left half-written."""

from __future__ import annotations

import codecs
import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookhear.errors import UserError

__all__ = ["fresh", "library", "put", "read_bytes", "read_text"]


def library(name: str) -> Any:
    """A module of the extra ``annotations``.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise UserError(
            f"this format needs {name.partition('.')[0]}, of the 'annotations' extra",
            "pip install 'lookhear[annotations]'",
        ) from e


def read_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if path.exists() and not path.is_file():  # a folder; or a pipe, which would be waited for
        raise UserError(f"{path}: cannot be read (no plain file)", "Check the path.")
    try:
        return path.read_bytes()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror})", "Check the path.") from None


def read_text(path: Path) -> str:
    """A whole file of text, UTF-8 or (with a byte order mark, as Praat writes it) UTF-16; lines end in ``\\n``.

    Raises:
        UserError: there is none, or it is not such text.
    """
    raw = read_bytes(path)
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})", "Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextmanager
def fresh(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write, which takes its place when all went well.

    Raises:
        UserError: it cannot be written there.
    """
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        try:
            yield part
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "Free some space." if full else "Name a folder you may write in."
        raise UserError(f"{path}: cannot be written ({e.strerror})", fix) from None


def put(path: Path, text: str) -> None:
    """Writes UTF-8 text with lines as they are.

    Raises:
        UserError: it cannot be written there.
    """
    with fresh(path) as part:
        part.write_bytes(text.encode())
