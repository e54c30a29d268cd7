"""A project of annotation files beside recordings and photographs, as Praat and ELAN leave it: from its files to items.

An item is an utterance (see ``utterances``), called by the annotation's path and the number of the utterance in it, in
order of time: ``session1/anna_007``. Its photograph is the one that the tier ``pictures`` names; without that option,
the picture called as the item (``anna_7.jpg``, ``anna_007.jpg``) or else as the annotation (``anna.jpg``).
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lookhear.data.annotations import Annotation
from lookhear.data.corpora import Raw, manifest
from lookhear.data.corpora.tree import AUDIO, IMAGE, Partners, Tree, holds, split_path, stem_path
from lookhear.data.corpora.utterances import Options, Utterance, find_utterances
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.errors import UserError, did_you_mean

__all__ = ["OPTIONS", "ByName", "Project", "Read", "Recorded", "open_project", "raw_project", "recognises"]

OPTIONS = ("tier", "words", "speaker", "pictures")
DIGITS = 3
"""Of the number in an item's id, at least."""


@dataclass(frozen=True)
class Recorded:
    """An annotation and its recording.

    Attributes:
        audio: the recording.
        origin: the recording's time, in seconds, that the annotation's time 0 is.
        participants: tier → who speaks in it.
        relative: of the recording, in the tree; empty where it lies elsewhere.
    """

    annotation: Annotation
    audio: Media
    origin: float = 0.0
    participants: Mapping[str, str] = field(default_factory=dict)
    relative: str = ""


class ByName:
    """Files of a tree by what a label or a link calls them.

    Args:
        files: relative paths.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._paths: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}
        for path in files:
            self._paths[unicodedata.normalize("NFC", path)] = path
            name = _plain(path.rpartition("/")[2])
            for key in {name, name.rpartition(".")[0] or name}:
                self._names.setdefault(key, []).append(path)

    def at(self, folder: str, path: str) -> str | None:
        """The file at a path relative to a folder of the tree; None where there is none in the tree."""
        return self._paths.get(posixpath.normpath(posixpath.join(folder, unicodedata.normalize("NFC", path))))

    def called(self, name: str) -> list[str]:
        """Files of this name, with its ending or without, wherever they lie; case does not matter."""
        return self._names.get(_plain(name), [])


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class Project:
    """The files of a project.

    Attributes:
        files: relative paths of the annotations.
        whole: whether the tree is the project, rather than one annotation out of it.
        sounds: recordings by the stems of annotations.
    """

    tree: Tree
    options: Options
    files: list[str]
    whole: bool
    audio: list[str]
    images: list[str]
    sounds: Partners
    photos: Partners
    named: ByName

    def recording(self, path: str) -> str | None:
        """The recording of an annotation's stem.

        Raises:
            UserError: there are several.
        """
        found = self.sounds.of(*split_path(path))
        if len(found) > 1:
            raise UserError(f"{len(found)} recordings could be meant: {', '.join(found[:3])}", "Keep one of them.")
        return found[0] if found else None


Read = Callable[[Project, str], Recorded]
"""Reads the annotation at a relative path.

Raises:
    UserError: it cannot be read, or its recording is missing.
"""


def recognises(source: Path, endings: Collection[str]) -> bool:
    """Whether this is a document with one of the endings, or a folder that holds some and no manifest.

    Annotations lie beside the manifest of many a corpus: it tells more.
    """
    if source.is_file():
        return source.suffix.lower() in endings
    return not manifest.recognises(source) and holds(source, endings)


def open_project(
    source: Path, options: Mapping[str, str], endings: Collection[str], layout: str, further: tuple[str, ...] = ()
) -> Project:
    """The files of a project, or of one annotation in it.

    Args:
        source: folder or annotation file.
        endings: of annotations, in lower case.
        further: options of the layout beyond ``OPTIONS``.

    Raises:
        UserError: an option that there is not, or no annotation.
    """
    known = (*OPTIONS, *further)
    for name in options:
        if name not in known:
            raise UserError(f"no option {name!r} of the layout {layout}", did_you_mean(name, known))
    whole = source.is_dir()
    if not whole and source.suffix.lower() not in endings:
        raise UserError(f"{source}: no folder and no file {' or '.join(sorted(endings))}", "Check the path.")
    tree = Tree(source if whole else source.parent)
    files = tree.of(endings) if whole else [source.name]
    if not files:
        raise UserError(f"{source}: no file {' or '.join(sorted(endings))} in it", "Check the path.")
    audio, images = tree.of(AUDIO), tree.of(IMAGE)
    told = Options(**{k: v for k, v in options.items() if k in OPTIONS})
    owners = tree.of(endings)
    return Project(
        tree, told, files, whole, audio, images, Partners(audio, owners), Partners(images, owners), ByName(images)
    )


def raw_project(project: Project, read: Read) -> Raw:
    """The project as a raw corpus."""
    return Raw(project.tree.root.resolve().name, partial(_items, project, read))


def _items(project: Project, read: Read, problems: Problems) -> Iterator[Item]:
    for fault in project.tree.faults if project.whole else ():
        problems.add(fault)
    used: set[str] = set()
    # Photographs are shown to one speaker after the other: the items of one must be brought together.
    by_picture: dict[str, list[Item]] = {}
    for path in project.files:
        for item in _of_file(project, read, path, used, problems):
            key = f"i {item.id}" if item.image is None else f"p {item.image.name}"
            by_picture.setdefault(key, []).append(item)
    for items in by_picture.values():
        yield from items
    for path in project.audio if project.whole else ():
        if path not in used:
            what, fix = "a recording that no annotation is of", "Name both files the same, or annotate it."
            problems.add(Problem(str(project.tree.root / path), None, what, fix))
    for path in project.images if project.whole else ():
        if path not in used:
            what, fix = "a picture that belongs to no utterance", "Name it as the annotation, or in a tier: pictures=…"
            problems.add(Problem(str(project.tree.root / path), None, what, fix))


def _of_file(project: Project, read: Read, path: str, used: set[str], problems: Problems) -> Iterator[Item]:
    file, stem = str(project.tree.root / path), stem_path(path)
    try:
        recorded = read(project, path)
        used.add(recorded.relative)
        told, notes = find_utterances(recorded.annotation, project.options, recorded.participants)
    except UserError as e:
        problems.add(Problem(file, None, e.what, e.fix, id=stem))
        # What is called like it is not left over: it is refused with it.
        used.update(project.sounds.of(*split_path(path)), project.photos.of(*split_path(path)))
        return
    for what, fix in notes:
        problems.add(Problem(file, None, what, fix, "repaired", stem))
    if not told:
        problems.add(Problem(file, None, f"no utterance in {project.options.tier}", "Label its intervals.", id=stem))
    for number, utterance in enumerate(told, 1):
        whole = utterance.start is None
        item = Item(
            id=stem if whole else f"{stem}_{number:0{DIGITS}d}",
            audio=_stretch(recorded, utterance),
            text=utterance.text,
            speaker=utterance.speaker,
            words=_words(recorded, utterance),
            file=file,
        )
        try:
            image = _picture(project, path, None if whole else number, utterance)
            if image is not None:
                used.add(image)
                item.image = Media(path=project.tree.path(image), name=image)
                item.group = image
        except UserError as e:
            problems.refuse(item, e.what, e.fix)
            continue
        yield item


def _stretch(recorded: Recorded, utterance: Utterance) -> Media:
    audio = recorded.audio
    if utterance.start is None or utterance.end is None:
        return audio
    return Media(
        path=audio.path,
        name=audio.name,
        start=utterance.start + recorded.origin,
        end=utterance.end + recorded.origin,
    )


def _words(recorded: Recorded, utterance: Utterance) -> list[tuple[str, float, float]] | None:
    if utterance.words is None or utterance.start is not None:
        return utterance.words
    return [(word, start + recorded.origin, end + recorded.origin) for word, start, end in utterance.words]


def _picture(project: Project, path: str, number: int | None, utterance: Utterance) -> str | None:
    """The picture of an utterance.

    Raises:
        UserError: a label that names none, or several could be meant.
    """
    folder, stem = split_path(path)
    if project.options.pictures:
        if number is None and len(utterance.pictures) > 1:
            shown = ", ".join(utterance.pictures[:3])
            raise UserError(f"several pictures for one recording: {shown}", "Name the tier of utterances: tier=…")
        return _by_label(project, folder, utterance.pictures[0]) if utterance.pictures else None
    stems = [] if number is None else [f"{stem}_{n}" for n in dict.fromkeys(f"{number:0{d}d}" for d in range(1, 5))]
    found = [p for s in stems for p in project.photos.of(folder, s)] or project.photos.of(folder, stem)
    if len(found) > 1:
        raise UserError(f"{len(found)} pictures could be meant: {', '.join(found[:3])}", "Keep one of them.")
    return found[0] if found else None


def _by_label(project: Project, folder: str, label: str) -> str:
    """The picture that a label names: by its path from the annotation or the project's folder, or its name alone.

    Raises:
        UserError: there is none of it, or several.
    """
    name = label.replace("\\", "/")
    found = [p for p in (project.named.at(folder, name), project.named.at("", name)) if p is not None][:1]
    if not found and "/" not in name:
        found = project.named.called(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{len(found)} pictures are called {label!r}: {', '.join(found[:3])}", "Name the path.")
    raise UserError(f"no picture {label[:80]!r} in {project.tree.root}", "Put it there, or mend the label.")
