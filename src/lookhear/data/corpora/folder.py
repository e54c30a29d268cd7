"""A folder tree of recordings, pictures and texts, put together by their names.

Without a pattern, files of one stem belong together, in one folder or in parallel ones (see ``Partners``); a picture
may serve several recordings, and one without a recording is an item of its own.

Options: ``pattern`` says what the path of a recording tells (see ``Naming``): id, group, split, speaker, language,
text, or a further column under any other name. ``pictures`` and ``texts`` are such patterns too: a picture belongs to
the recordings with which it shares the fields that both name. Where they are not given, a picture belongs to the
recordings of its stem, or of the group that its stem names. A recording or picture that no pattern matches is refused.

A text is the whole of a file, its white space made single spaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lookhear.data.corpora import Raw
from lookhear.data.corpora.naming import Naming
from lookhear.data.corpora.tree import AUDIO, IMAGE, TEXT, Partners, Tree, holds, split_path, stem_path
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.data.rows import EXTRA
from lookhear.data.schema import SCHEMA
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises"]

OPTIONS = ("pattern", "pictures", "texts")
FIELDS = ("id", "group", "split", "speaker", "language", "text")
SPLITS = {"training": "train", "dev": "val", "devel": "val", "valid": "val", "validation": "val", "testing": "test"}
ABOUT = frozenset({"readme", "license", "licence", "copying", "notice", "changelog"})
"""Stems of texts that tell of the folder itself."""
MAX_TEXT = 1_000_000
"""Bytes of a text file; a longer one is no caption."""

Fields = Mapping[str, str]


def recognises(source: Path) -> bool:
    return source.is_dir() and holds(source, AUDIO | IMAGE)


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no folder, no recording or picture in it, an option that there is not, a pattern that is none or
            that nothing matches.
    """
    for name in options:
        if name not in OPTIONS:
            raise UserError(f"no option {name!r} of the layout folder", did_you_mean(name, OPTIONS))
    if not source.is_dir():
        raise UserError(f"{source}: not a folder", "Name the folder that holds the recordings.")
    tree = Tree(source)
    audio, images, texts = (tree.of(kind) for kind in (AUDIO, IMAGE, TEXT))
    if not audio and not images:
        raise UserError(f"{source}: no recording and no picture in it", "Check the path.")
    naming = {name: Naming(pattern) for name, pattern in options.items()}
    _check(source, naming, {"pattern": audio or images, "pictures": images, "texts": texts})
    names = dict.fromkeys(f for n in naming.values() for f in n.fields if f not in FIELDS)
    extra = tuple(pa.field(name, pa.string()) for name in names)
    pattern = naming.get("pattern")
    folder = _Folder(
        tree,
        audio,
        pattern,
        _Kind("picture", images, audio, naming.get("pictures"), pattern),
        _Kind("text", texts, [*audio, *images], naming.get("texts"), pattern),
        tuple(names),
    )
    return Raw(source.resolve().name, folder.items, extra)


def _check(source: Path, naming: Mapping[str, Naming], files: Mapping[str, list[str]]) -> None:
    """That patterns match something, name no column of the schema, and share fields.

    Raises:
        UserError: one does not.
    """
    taken = {*SCHEMA.names, *(f.name for f in EXTRA)} - set(FIELDS)
    for name, pattern in naming.items():
        for each in pattern.fields:
            if each in taken:
                raise UserError(f"{name}={pattern.pattern}: no field may be called {each!r}", "Choose another name.")
        if not any(pattern.match(path) is not None for path in files[name]):
            there = f"such as {files[name][0]!r}" if files[name] else "none"
            raise UserError(
                f"{source}: nothing matches {name}={pattern.pattern}", f"It is of paths inside the folder; {there}."
            )
        if name != "pattern" and not ("pattern" in naming and {*pattern.fields} & {*naming["pattern"].fields}):
            raise UserError(
                f"{name}={pattern.pattern} shares no field with the pattern of the recordings",
                "Name what they have in common in both, such as pattern={group}_{take}.wav.",
            )


class _Kind:
    """The pictures, or the texts, and which recordings they belong to."""

    def __init__(
        self, name: str, files: list[str], owners: list[str], naming: Naming | None, pattern: Naming | None
    ) -> None:
        self.name, self.files, self.naming = name, files, naming
        self.shared: tuple[str, ...] = ()
        self.by_fields: dict[tuple[str | None, ...], list[str]] = {}
        if naming is None:
            self.partners = Partners(files, owners)
            return
        self.shared = tuple(f for f in naming.fields if pattern is not None and f in pattern.fields)
        for path in files:
            if (told := naming.match(path)) is not None:
                self.by_fields.setdefault(tuple(told[f] for f in self.shared), []).append(path)

    def of(self, path: str, fields: Fields) -> str | None:
        """The one that belongs to a recording.

        Raises:
            UserError: several do.
        """
        if self.naming is not None:
            told = tuple(fields.get(f) for f in self.shared)
            found = self.by_fields.get(told, [])
        else:
            folder, stem = split_path(path)
            found = self.partners.of(folder, stem)
            if not found and "group" in fields:
                found = self.partners.of(folder, fields["group"])
        if len(found) > 1:
            raise UserError(
                f"{len(found)} {self.name}s belong to it: {', '.join(found[:3])}",
                "Keep one, or give a pattern for them.",
            )
        return found[0] if found else None


@dataclass(frozen=True)
class _Folder:
    """What lies in the folder, and what its names tell."""

    tree: Tree
    audio: list[str]
    pattern: Naming | None
    pictures: _Kind
    texts: _Kind
    extra: tuple[str, ...]

    def items(self, problems: Problems) -> Iterator[Item]:
        for fault in self.tree.faults:
            problems.add(fault)
        used: set[str] = set()
        for parts in self._plan(used, problems).values():
            given = 0
            for audio, image in parts:
                item = self._item(audio, image, used, problems)
                if item is not None:
                    given += 1
                    yield item
            sound, shown = parts[0]
            if not given and sound is not None and shown is not None:
                self._refuse(shown, f"a picture of {sound}, which is refused", "Mend what is told of that.", problems)
        for path in self.texts.files:
            if path not in used and split_path(path)[1].lower() not in ABOUT:
                what = "a text that belongs to no recording and no picture"
                self._refuse(path, what, "Rename it as the recording is named.", problems)

    def _refuse(self, path: str, what: str, fix: str, problems: Problems) -> None:
        problems.add(Problem(str(self.tree.root / path), None, what, fix, id=stem_path(path)))

    def _plan(self, used: set[str], problems: Problems) -> dict[str, list[tuple[str | None, str | None]]]:
        """Which files make an item: a recording and a picture, or one alone; no file is opened, no name copied.

        Returns:
            by picture, or by recording where there is none, in the order that items are given in.
        """
        parts: dict[str, list[tuple[str | None, str | None]]] = {}
        shown = "" if self.pattern is None else self.pattern.pattern
        for path in self.audio:
            fields = {} if self.pattern is None else self.pattern.match(path)
            if fields is None:
                what = f"a recording that the pattern {shown} does not match"
                self._refuse(path, what, "Rename it, or change the pattern.", problems)
                continue
            try:
                image = self.pictures.of(path, fields)
            except UserError as e:
                self._refuse(path, e.what, e.fix, problems)
                continue
            parts.setdefault(image or path, []).append((path, image))
            if image is not None:
                used.add(image)
        for path in self.pictures.files:
            if path in used:
                continue
            own = self.pictures.naming
            if own is not None and own.match(path) is None:
                what = f"a picture that the pattern {own.pattern} does not match"
                self._refuse(path, what, "Rename it, or change the pattern.", problems)
            elif own is None and self.pattern is not None and self.pattern.match(path) is None:
                what = f"a picture that belongs to no recording, and that the pattern {shown} does not match"
                self._refuse(path, what, "Rename it, or give a pattern for pictures too: pictures=…", problems)
            else:
                parts[path] = [(None, path)]
        return parts

    def _item(self, audio: str | None, image: str | None, used: set[str], problems: Problems) -> Item | None:
        path = audio or image or ""
        item = Item(id=stem_path(path), group=image, file=str(self.tree.root / path))
        try:
            # Where names tell different things, the recording's counts.
            fields = ({} if image is None else _told(self.pictures.naming, image)) | _told(self.pattern, path)
            item.id = fields.get("id", item.id)
            item.group = fields.get("group", image)
            item.text = fields.get("text")
            text = None if item.text is not None else self._text(audio, image, fields)
            if text is not None:
                used.add(text)
                fields = _told(self.texts.naming, text) | fields
                item.text = _read(self.tree.path(text))
                if not item.text:
                    problems.repair(item, f"{text}: an empty text, left out", "Write the text, or delete the file.")
            item.speaker, item.language, split = (fields.get(k) for k in ("speaker", "language", "split"))
            item.split = None if split is None else SPLITS.get(split.lower(), split)
            item.extra = {name: fields.get(name) for name in self.extra}
            item.audio = None if audio is None else Media(path=self.tree.path(audio), name=audio)
            item.image = None if image is None else Media(path=self.tree.path(image), name=image)
        except UserError as e:
            problems.refuse(item, e.what, e.fix)
            return None
        return item

    def _text(self, audio: str | None, image: str | None, fields: Fields) -> str | None:
        """The text of the recording, else the one of its picture.

        Raises:
            UserError: there are several.
        """
        for path in (audio, image):
            if path is not None and (found := self.texts.of(path, fields)) is not None:
                return found
        return None


def _told(naming: Naming | None, path: str) -> dict[str, str]:
    return {} if naming is None else naming.match(path) or {}


def _read(path: Path) -> str:
    """A text of one file.

    Raises:
        UserError: too long, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT + 1)
        if len(data) > MAX_TEXT:
            raise UserError(f"{path}: a text of more than {MAX_TEXT:,} bytes", "Keep what is said of one item in it.")
        return " ".join(data.decode("utf-8-sig").split())
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8 text ({e.reason})", "Save it as UTF-8.") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the file.") from None
