"""Several files written together: all of them take their places when all are whole, or none does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lookhear.data.store import write_error
from lookhear.errors import UserError

__all__ = ["staged"]


@contextmanager
def staged(files: Sequence[Path], overwrite: bool) -> Iterator[dict[Path, Path]]:
    """File → where to write it for now: beside its place, with the same ending. Folders that lack are made.

    Args:
        overwrite: whether files that are there by then are replaced.

    Raises:
        UserError: a file cannot be written, or is there by then; all that was there is as it was.
    """
    parts = {file: file.with_name(f".{file.stem}.{os.getpid()}.new{file.suffix}") for file in files}
    made: list[Path] = []
    try:
        for folder in dict.fromkeys(file.parent for file in files):
            made += _make(folder)
        yield parts
        for part in parts.values():
            with part.open("rb") as written:
                os.fsync(written.fileno())  # before it takes the place of an older one
        for file in files:
            if file.exists() and not overwrite:
                raise UserError(f"{file} was written by something else meanwhile", "Give --overwrite to replace it.")
        for file, part in parts.items():
            part.replace(file)
    except OSError as e:
        raise write_error(e, Path(e.filename) if e.filename else files[0]) from e
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()
        for folder in reversed(made):
            with suppress(OSError):  # it holds what was written
                folder.rmdir()


def _make(folder: Path) -> list[Path]:
    """Makes a folder and those above it; the ones that were made, topmost first."""
    lacking = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return lacking[::-1]
