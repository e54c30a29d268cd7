"""What Places Audio and SpokenCOCO have in common: spoken captions of photographs, told of in JSON lists.

Beyond the keys of the layouts, a caption may have the object ``lookhear`` with what they cannot say or say in another
form: ``id``, ``group`` and ``language``. It is written where they differ, and other programs pass it over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lookhear.data.corpora.jsonlists import Entry, Looks, gathered
from lookhear.data.items import Item, Media, Problem, Problems, Word
from lookhear.data.schema import safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = [
    "PROBED",
    "Captions",
    "Place",
    "alignment",
    "check_options",
    "file_name",
    "find_place",
    "own_keys",
    "places_of",
    "read_alignment",
]

PROBED = 20
"""Entries of each list whose files tell which folder is meant."""
_OWN = "lookhear"
_MEND = "Mend the entry."


def check_options(options: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuses an option that a layout does not have."""
    for name in options:
        if name not in known:
            raise UserError(f"no option {name!r}", did_you_mean(name, known))


@dataclass(frozen=True)
class Place:
    """Where the files of a list lie.

    Attributes:
        folder: that their names start from,
        strip: without this many of their first parts.
    """

    folder: Path
    strip: int = 0

    def path(self, name: str) -> Path:
        """A file of the list.

        Raises:
            UserError: no such file, or a name that leaves the folder.
        """
        parts = name.split("/")
        return safe_path(self.folder, "/".join(parts[min(self.strip, len(parts) - 1) :]))

    def has(self, name: str) -> bool:
        try:
            self.path(name)
        except UserError:
            return False
        return True


def places_of(source: Path, option: str | None, base: Any, usual: Sequence[str]) -> list[Place]:
    """Where files may lie: in the folder that an option names, else in folders within or beside the corpus.

    Args:
        base: the prefix that the list gives, of a machine that is not this one: only its last names are of use.
        usual: names that such folders have.

    Raises:
        UserError: the option names no folder.
    """
    if option is not None:
        given = Path(option)
        folders = [source / given, given]
        if not any(map(_is_folder, folders)):
            raise UserError(f"{option}: no such folder", f"Give its path, from {source} or from the current folder.")
    else:
        parts = [p for p in base.replace("\\", "/").split("/") if p] if isinstance(base, str) else []
        hints = ["/".join(parts[-n:]) for n in (3, 2, 1) if len(parts) >= n and ".." not in parts]
        names = list(dict.fromkeys([*hints, "", *usual]))
        folders = [within / n for within in (source, source.resolve().parent) for n in names]
    return [Place(folder, strip) for strip in (0, 1) for folder in folders if _is_folder(folder)]


def find_place(places: Sequence[Place], names: Iterable[str], missing: str, fix: str) -> Place:
    """The place that has most of these files.

    Raises:
        UserError: none has any; ``missing`` and ``fix`` say what and what to do.
    """
    names = list(names)
    found = [sum(map(place.has, names)) for place in places]
    if names and not any(found):
        raise UserError(f"{missing} (such as {names[0]!r}) in no folder that was looked into", fix)
    return places[found.index(max(found))]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Captions:
    """How the captions of one list are read.

    Attributes:
        path: the list.
        split: of all its captions.
        audio, images: where its files lie; no ``images`` reads the recordings alone.
        wav, text: the keys of the recording and of what is said in it; ``text`` may be None.
        language: of what is said.
    """

    path: Path
    split: str | None
    audio: Place
    images: Place | None
    wav: str = "wav"
    text: str | None = "text"
    language: str | None = "en"

    def entries(self, looks: Looks, problems: Problems) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
        """The entries of the list that are whole, with what they say; those of a picture next to each other."""
        for entry in gathered(self.path, looks, picture_of):
            if entry.value is None:
                self.refuse(entry, UserError(entry.fault, "Mend the entry, or copy the file again."), problems)
            else:
                yield entry, entry.value

    def item(
        self, entry: Entry, caption: Any, picture: Any, problems: Problems, extra: Mapping[str, Any] | None = None
    ) -> Item | None:
        """The item of a caption; None if it is refused, and ``problems`` has why."""
        try:
            item, skipped = self._item(entry, caption, picture, extra or {})
        except UserError as e:
            self.refuse(entry, e, problems, caption)
            return None
        if skipped:
            problems.repair(
                item, f"{skipped} tokens of text_alignment are not start__word__end: left out", "Mend the alignment."
            )
        return item

    def refuse(self, entry: Entry, error: UserError, problems: Problems, caption: Any = None) -> None:
        """Notes what is wrong with an entry, or with one of its captions."""
        key = caption.get("uttid") if isinstance(caption, Mapping) else None
        what = f"entry {entry.number}: {error.what}"
        problems.add(Problem(str(self.path), entry.line, what, error.fix, id=key if isinstance(key, str) else None))

    def _item(self, entry: Entry, caption: Any, picture: Any, extra: Mapping[str, Any]) -> tuple[Item, int]:
        if not isinstance(caption, Mapping):
            raise UserError("a caption that is not a JSON object", _MEND)
        own = caption.get(_OWN, {})
        if not isinstance(own, Mapping):
            raise UserError(f"{_OWN!r} is not a JSON object", "Take it out of the entry.")
        shown, said = _required({"image": picture}, "image"), _required(caption, self.wav)
        words, skipped = None, 0
        if (aligned := _string(caption, "text_alignment")) is not None:
            words, skipped = read_alignment(aligned)
        item = Item(
            id=_required({"uttid": caption.get("uttid"), **own}, "id" if "id" in own else "uttid"),
            group=_string({"group": shown, **own}, "group"),
            split=self.split,
            audio=Media(path=self.audio.path(said), name=said),
            image=None if self.images is None else Media(path=self.images.path(shown), name=shown),
            text=None if self.text is None else _string(caption, self.text),
            language=_string({"language": self.language, **own}, "language"),
            speaker=_string(caption, "speaker") or None,
            words=words,
            extra=extra,
            file=str(self.path),
            line=entry.line,
        )
        return item, skipped


def _string(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or isinstance(value, str):
        return value
    raise UserError(f"{key!r} is no text", _MEND)


def _required(values: Mapping[str, Any], key: str) -> str:
    value = _string(values, key)
    if not value:
        raise UserError(f"no {key!r}", _MEND)
    return value


def read_alignment(text: str) -> tuple[list[Word], int]:
    """Word times of ``start__word__end`` tokens in seconds, and how many tokens have another form and are skipped."""
    words: list[Word] = []
    tokens = text.split()
    for token in tokens:
        parts = token.split("__")
        if len(parts) == 3:
            try:
                words.append((parts[1], float(parts[0]), float(parts[2])))
            except ValueError:
                continue  # counted by its absence
    return words, len(tokens) - len(words)


def alignment(words: Sequence[Mapping[str, Any]] | None, called: str) -> dict[str, str]:
    """``text_alignment`` of word times, exact to the last bit; no key where there are none.

    Raises:
        UserError: a word with white space or two underscores, which a token cannot hold.
    """
    if words is None:
        return {}
    tokens = [f"{w['start']!r}__{w['word']}__{w['end']!r}" for w in words]
    for token, word in zip(tokens, words):
        if read_alignment(token)[0] != [(word["word"], word["start"], word["end"])]:
            raise UserError(
                f"{called}: the word {word['word']!r} cannot stand in an alignment",
                "Write words without white space and without two underscores or one at the end.",
            )
    return {"text_alignment": " ".join(tokens)}


def own_keys(told: Mapping[str, str | None], meant: Mapping[str, str | None]) -> dict[str, Any]:
    """The object ``lookhear`` of a caption, where a reader would otherwise take what is ``told`` for what is meant."""
    differ = {key: value for key, value in meant.items() if told[key] != value}
    return {_OWN: differ} if differ else {}


def file_name(text: str) -> str:
    """A name of a file for a text: itself where that is plain, else quoted as in a URL, or a hash where too long."""
    name = quote(text, safe="")
    return name if len(name) <= 200 else hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def picture_of(entry: Mapping[str, Any]) -> str:
    """What an entry says of its picture, by which entries are gathered; empty where it says nothing of use."""
    value = entry.get("image")
    return value if isinstance(value, str) else ""
