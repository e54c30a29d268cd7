"""Annotations: what is marked where in a recording, in files of Praat, ELAN, NIST, subtitles, Audacity and tables.

The libraries of some formats are the extra ``annotations``.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from lookhear.data.annotations.ctm import CtmWord, read_ctm
from lookhear.data.annotations.tiers import Annotation, Interval, Tier
from lookhear.errors import UserError

__all__ = [
    "SUFFIXES",
    "Annotation",
    "CtmWord",
    "Interval",
    "Tier",
    "read_annotation",
    "read_ctm",
    "write_annotation",
]

SUFFIXES = {
    ".textgrid": "textgrid",
    ".eaf": "eaf",
    ".ctm": "ctm",
    ".srt": "subtitles",
    ".vtt": "subtitles",
    ".txt": "audacity",
    ".csv": "table",
}
"""Ending of a file, in small letters → the module of its format."""


class Format(Protocol):
    """What a module of a format has."""

    def read(self, path: Path) -> Annotation: ...

    def write(self, annotation: Annotation, path: Path) -> None: ...


def _format(path: Path) -> Format:
    if path.suffix.lower() not in SUFFIXES:
        known = ".TextGrid, .eaf, .ctm, .srt, .vtt, .txt (labels of Audacity), .csv"
        raise UserError(f"{path}: no annotation format has the ending {path.suffix!r}", f"Known: {known}.")
    return cast(Format, importlib.import_module(f"{__name__}.{SUFFIXES[path.suffix.lower()]}"))


def read_annotation(path: Path) -> Annotation:
    """What is marked in a recording, out of a file whose ending tells the format.

    Labels come without white space at their ends, intervals in order of time. Formats without names of tiers give one
    tier: ``words`` (CTM), ``subtitles`` (SRT, WebVTT), ``labels`` (Audacity).

    Raises:
        UserError: an unknown ending, no such file, or anything wrong with it; names the file, the line and the mend.
    """
    return _format(path).read(path)


def write_annotation(annotation: Annotation, path: Path) -> None:
    """Writes it in the format of the ending, so that reading it gives the same tiers, labels and times.

    Times are kept to the millisecond (EAF, SRT, WebVTT) or the microsecond; media and duration, and the name of a
    single tier, where the format has a place for them.

    Raises:
        UserError: an unknown ending, or tiers, labels or times that the format cannot hold.
    """
    _format(path).write(annotation, path)
