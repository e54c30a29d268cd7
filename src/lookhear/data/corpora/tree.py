"""A folder tree of recordings, pictures and texts: what lies in it, and which files belong together by their names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import combinations, islice
from pathlib import Path

from lookhear.data.items import Problem
from lookhear.data.schema import safe_path
from lookhear.errors import UserError

__all__ = ["AUDIO", "IMAGE", "TEXT", "Partners", "Tree", "holds", "split_path", "stem_path"]

# Some that libsndfile does not read are among them: such a recording is then refused by name, not passed over.
AUDIO = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".sph", ".nist", ".caf", ".w64", ".m4a", ".aac", ".wma", ".amr"}
)
IMAGE = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".heic", ".avif"}
)
TEXT = frozenset({".txt"})

LOOKED_AT = 10_000
"""Files that ``holds`` looks at, so that it stays quick in a folder of any size."""
DEPTH = 10
"""Innermost folders of a path that tell which folders are parallel; their subsets are gone through."""


def holds(root: Path, endings: Collection[str]) -> bool:
    """Whether a file with one of these endings (lower case) is among the first files of a folder tree."""
    return any(_ending(path) in endings for path in islice(_walk(root), LOOKED_AT))


def split_path(path: str) -> tuple[str, str]:
    """Folder and stem of a relative path, in composed Unicode: file systems of Apple write é as two characters."""
    folder, _, name = unicodedata.normalize("NFC", path).rpartition("/")
    return folder, name.rpartition(".")[0] or name


def stem_path(path: str) -> str:
    """A relative path without its ending, in composed Unicode."""
    folder, stem = split_path(path)
    return f"{folder}/{stem}" if folder else stem


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def _walk(root: Path) -> Iterator[str]:
    """Files, relative to the folder and in order of their names; a link to a folder as its path and ``/``.

    Hidden files and folders are passed over: they are programs' own (``._take.wav`` holds no sound).
    """

    def fail(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})", "Check the folder's permissions.")

    for at, folders, files in os.walk(root, onerror=fail):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        inside = Path(at).relative_to(root).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        yield from (f"{prefix}{f}/" for f in folders if Path(at, f).is_symlink())
        yield from (prefix + name for name in sorted(files) if not name.startswith("."))


class Tree:
    """The files under a folder, by their endings.

    Attributes:
        root: the folder.
        faults: of files and folders that cannot be taken, whatever they are.

    Raises:
        UserError: a folder in it cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[Problem] = []
        self._files: dict[str, list[str]] = {}
        for path in _walk(root):
            shown = path.encode(errors="backslashreplace").decode()
            if path != shown:
                self._fault(shown, "a file name that is not UTF-8", "Rename the file.")
            elif path.endswith("/"):
                self._fault(shown, "a link to a folder, which is not followed", "Put the folder itself there.")
            else:
                self._files.setdefault(_ending(path), []).append(path)

    def _fault(self, path: str, what: str, fix: str) -> None:
        where = str(self.root).encode(errors="backslashreplace").decode()
        self.faults.append(Problem(f"{where}/{path}", None, what, fix))

    def of(self, endings: Collection[str]) -> list[str]:
        """Relative paths of the files with one of these endings (lower case), in order."""
        return sorted(path for ending in endings for path in self._files.get(ending, ()))

    def path(self, relative: str) -> Path:
        """Where a file lies.

        Raises:
            UserError: it is a link to a file outside the tree, or gone.
        """
        return safe_path(self.root, relative)


class Partners:
    """Files that belong to others by their names: of the same stem, beside them or in a parallel folder.

    A folder is parallel to another if all names on its path but for one are on the other's path too, in the same order:
    ``photos/anna`` and ``photos`` to ``wav/anna``, but not ``photos/ben``. Of several the one with most names in common
    counts, and of those one with no other name. A folder that has owners of its own serves them alone.

    Args:
        files: relative paths.
        owners: relative paths of the files that they may belong to.
    """

    def __init__(self, files: Iterable[str], owners: Iterable[str]) -> None:
        busy = {split_path(path)[0] for path in owners}
        self._beside: dict[tuple[str, str], list[str]] = {}
        self._parallel: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for path in files:
            folder, stem = split_path(path)
            self._beside.setdefault((folder, stem), []).append(path)
            if folder not in busy:
                names = _names(folder)
                for key in {names, *(names[:i] + names[i + 1 :] for i in range(len(names)))}:
                    self._parallel.setdefault((key, stem), []).append(path)

    def of(self, folder: str, stem: str) -> list[str]:
        """Those that belong to what is so called there; more than one where the names do not tell which."""
        if found := self._beside.get((folder, stem)):
            return found
        for keys in _shared(folder):
            if found := [path for key in keys for path in self._parallel.get((key, stem), ())]:
                near = [path for path in found if _names(split_path(path)[0]) in keys]
                return sorted(set(near or found))
        return []


def _names(folder: str) -> tuple[str, ...]:
    return tuple(folder.split("/")[-DEPTH:]) if folder else ()


@lru_cache(maxsize=256)
def _shared(folder: str) -> list[list[tuple[str, ...]]]:
    """What a parallel folder may have in common with this one, the most first."""
    names = _names(folder)
    return [list(dict.fromkeys(combinations(names, count))) for count in range(len(names), -1, -1)]
