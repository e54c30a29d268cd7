"""What there is to index: recordings, pictures and texts in folders, known by the hash of their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from lookhear.errors import UserError

__all__ = ["AUDIO", "IMAGE", "TEXT", "Modality", "content_hash", "find_files", "modality_of"]

Modality = Literal["audio", "image", "text"]

AUDIO = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"))
IMAGE = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
TEXT = frozenset((".txt",))
_KINDS = (("recordings", AUDIO), ("pictures", IMAGE), ("texts", TEXT))


def find_files(
    paths: Iterable[Path | str],
    endings: frozenset[str] = AUDIO | IMAGE,
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """Files as given, and the recordings and pictures in folders and their subfolders, in order of name; each once.

    Hidden files and folders (``.name``) inside a folder are passed over, and links to folders are not followed.

    Args:
        on_error: gets the error of a subfolder that cannot be listed, which is then left out; None raises it.

    Raises:
        UserError: no such path, nothing in a folder, or it cannot be listed.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_file():
            found[path] = None
            continue
        if not path.is_dir():
            raise UserError(f"{path}: no such file or folder", "Check the path.")
        inside = list(_walk(path, endings, on_error or _refuse))
        if not inside:
            kinds = " or ".join(name for name, own in _KINDS if own & endings)
            raise UserError(f"{path}: no {kinds} in this folder", f"Endings looked for: {' '.join(sorted(endings))}.")
        found |= dict.fromkeys(inside)
    return list(found)


def _refuse(error: OSError) -> None:
    raise UserError(
        f"{error.filename}: cannot be read ({error.strerror or error})", "Check the folder's permissions."
    ) from None


def _walk(folder: Path, endings: frozenset[str], on_error: Callable[[OSError], None]) -> Iterator[Path]:
    for at, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                yield Path(at) / name


def modality_of(path: Path) -> Modality:
    """By its ending; what is neither picture nor text is taken for a recording."""
    suffix = path.suffix.lower()
    return "image" if suffix in IMAGE else "text" if suffix in TEXT else "audio"


def content_hash(path: Path) -> bytes:
    """SHA-256 of a file's content, its first 16 bytes.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").digest()[:16]
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the path and its permissions.") from None
