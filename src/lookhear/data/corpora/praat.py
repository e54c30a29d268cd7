"""A Praat project: TextGrid files and recordings of the same stem, beside each other or in parallel folders.

Options: ``tier`` names the tier of utterances, ``words`` of words, ``speaker`` of speakers, ``pictures`` of names of
picture files; see ``utterances`` for what they may be, and ``annotated`` for how items and photographs are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lookhear.data.annotations import read_annotation
from lookhear.data.corpora import Raw, annotated
from lookhear.data.corpora.annotated import Project, Recorded, open_project, raw_project
from lookhear.data.items import Media
from lookhear.errors import UserError

__all__ = ["open_raw", "recognises"]

ENDINGS = frozenset({".textgrid"})


def recognises(source: Path) -> bool:
    return annotated.recognises(source, ENDINGS)


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: an option that there is not, no TextGrid or no recording.
    """
    project = open_project(source, options, ENDINGS, "praat")
    if not project.audio:
        raise UserError(f"{project.tree.root}: no recording in it", "Put the recordings beside their TextGrids.")
    return raw_project(project, _read)


def _read(project: Project, path: str) -> Recorded:
    annotation = read_annotation(project.tree.path(path))
    audio = project.recording(path)
    if audio is None:
        raise UserError("no recording of its name", "Put the recording beside it, under the same name.")
    return Recorded(annotation, Media(path=project.tree.path(audio), name=audio), relative=audio)
