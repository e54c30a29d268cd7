"""What hits are written to: files that hold all recordings, and folders with a file for each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookhear.data.annotations.files import library
from lookhear.errors import UserError

__all__ = ["KINDS", "Target", "check_places", "targets_of"]

KINDS = {
    "jsonl": ".jsonl",
    "json": ".json",
    "csv": ".csv",
    "html": ".html",
    "textgrid": ".TextGrid",
    "eaf": ".eaf",
    "srt": ".srt",
    "vtt": ".vtt",
    "audacity": ".txt",
}
"""Kind of file → its ending."""
EACH = frozenset(("textgrid", "eaf", "srt", "vtt", "audacity"))
"""Kinds of which one file is about one recording."""
_LIBRARIES = {"textgrid": "praatio.textgrid", "eaf": "pympi.Elan", "srt": "srt", "vtt": "webvtt"}
_ENDINGS = {ending.lower(): kind for kind, ending in KINDS.items()}


@dataclass(frozen=True)
class Target:
    """Something to be written.

    Attributes:
        path: as the user names it: a file, or the folder of ``files``.
        kind: of ``KINDS``.
        files: one a recording, in their order, for the kinds of ``EACH``; else the one that holds them all.
    """

    path: Path
    kind: str
    files: tuple[Path, ...]

    @property
    def each(self) -> bool:
        return self.kind in EACH


def targets_of(outs: Sequence[Path], kind: str | None, recordings: Sequence[Path]) -> list[Target]:
    """What is to be written where, for some recordings.

    Args:
        outs: files, whose ending tells the kind, or other names, which are of ``kind``; of the kinds with a file for
            each recording such a name is a folder.
        kind: of ``KINDS``.

    Raises:
        UserError: no kind is told, or one for a name that tells another; a kind for one recording where there are
            several; a folder where a file is due, or the other way round; the library of a kind is not installed; a
            recording that no file can name.
    """
    for recording in recordings if outs else ():
        try:
            str(recording).encode()
        except UnicodeEncodeError:
            raise UserError(f"{str(recording)!r}: a file name that is not UTF-8", "Rename it.") from None
    targets = [_target(out, kind, recordings) for out in dict.fromkeys(outs)]
    if kind is not None and all(t.kind != kind for t in targets):
        named = ", ".join(str(t.path) for t in targets)
        raise UserError(
            f"--format {kind} for {named}", "The ending tells the format: leave --format out, or rename it."
        )
    for target in targets:
        if target.kind in _LIBRARIES:
            library(_LIBRARIES[target.kind])
    return targets


def _target(out: Path, kind: str | None, recordings: Sequence[Path]) -> Target:
    told = None if out.is_dir() else _ENDINGS.get(out.suffix.lower())
    own = told or kind
    if own is None:
        what = f"{out} is a folder" if out.is_dir() else f"{out}: no format has the ending {out.suffix!r}"
        raise UserError(what, f"Give --format {'|'.join(KINDS)}, or one of the endings {' '.join(KINDS.values())}.")
    if own not in EACH:
        if out.is_dir():
            raise UserError(f"{out} is a folder", f"Name a file, such as {out / f'hits{KINDS[own]}'}.")
        return Target(out, own, (out,))
    if told is None:
        if out.exists() and not out.is_dir():
            raise UserError(f"{out} is no folder", f"Name a folder, which gets a {KINDS[own]} for each recording.")
        return Target(out, own, tuple(_distinct(out, recordings, KINDS[own])))
    if len(recordings) != 1:
        what = f"{out}: one {KINDS[own]} file for {len(recordings)} recordings"
        raise UserError(what, f"Name a folder, which gets one for each: --out {out.with_suffix('')} --format {own}.")
    return Target(out, own, (out,))


def _distinct(folder: Path, recordings: Sequence[Path], ending: str) -> Iterable[Path]:
    """A file for each recording, called like it; where several are, the later ones are numbered: tape, tape-2, …"""
    taken: set[str] = set()
    for recording in recordings:
        name, number = recording.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{recording.stem}-{number}"
        taken.add(name.casefold())
        yield folder / (name + ending)


def check_places(targets: Sequence[Target], overwrite: bool = False) -> None:
    """Looks, before hours are heard, whether the files can take their places.

    Raises:
        UserError: a file exists that was to be written, unless ``overwrite``; there is no folder to write in.
    """
    files = [file.absolute() for target in targets for file in target.files]
    for folder in dict.fromkeys(file.parent for file in files):
        there = next(f for f in (folder, *folder.parents) if f.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise UserError(f"{folder}: nothing can be written there", "Name a folder that you may write in.")
    present = [file for target in targets for file in target.files if file.exists()]
    if present and not overwrite:
        more = f" (and {len(present) - 1} more)" if len(present) > 1 else ""
        raise UserError(f"{present[0]} exists{more}", "Name another --out, or give --overwrite to replace it.")
