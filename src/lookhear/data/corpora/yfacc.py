"""YFACC, the Yorùbá Flickr Audio Caption Corpus (Olaleye, Oneață and Kamper, 2023), version 6.

Two layouts are known: ``flickr_audio_yoruba_{train,dev,test}/S001_<image>_<k>.wav`` (48 kHz; copies at 16 kHz in
``16k/``) with ``Flickr8k_text/``, and ``yfacc/audio/{train,dev,test}/`` with ``yfacc/text/``. Texts come from
``Flickr8k.token.<split>_yoruba.txt``, word times from the first tier of ``Flickr8k_alignment/<image>_<k>.TextGrid``
(only some recordings have one), keywords from ``keywords.8_yoruba.txt`` and ``eng_yoruba_keywords.txt``: English word →
Yorùbá words in ``meta["words"]``. The pictures are those of Flickr8k, if they lie here too (``Flicker8k_Dataset/``) or
where the option ``images`` says; what is lacking is in ``meta["lacking"]``.

Rules. An item is a recording, or a text without one, which is noted. Keys of texts that are broken are mended, and
noted: ``<image>.jpg#0`` is meant by a key without number, with ``#O``, or with a word glued to it, which then begins
the text. Where there are both, the recording at 48 kHz is read, with the option ``rate=16k`` the copy. A TextGrid that
cannot be read leaves its recording without word times, which is noted.

Options: ``rate`` (16k or 48k), ``images`` (a folder), ``language`` ("yo" unless told otherwise).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lookhear.data.annotations import read_annotation
from lookhear.data.corpora import Raw
from lookhear.data.corpora.flickr8k import Pictures, folders, named, pictures_folder
from lookhear.data.corpora.flickr_lists import left_over, lines_of, split_name, stem_of
from lookhear.data.corpora.flickr_names import put_back, read_own
from lookhear.data.corpora.yfacc_write import write_raw
from lookhear.data.items import Item, Media, Problem, Problems, Word
from lookhear.data.schema import safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises", "write_raw"]

_OPTIONS = ("rate", "images", "language")
_RATES = ("16k", "48k")
_FOLDER = re.compile(r"flickr_audio_yoruba_(?P<split>.+)")
_TOKENS = re.compile(r"Flickr8k\.token\.(?P<split>.+)_yoruba\.txt")
_WAV = re.compile(r"(?P<speaker>S\d{3,})_(?P<image>.+)_(?P<number>\d{1,9})\.wav", re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,9}")
_KEYWORDS, _PAIRS = "keywords.8_yoruba.txt", "eng_yoruba_keywords.txt"
_ALIGNMENT = "Flickr8k_alignment"


def recognises(source: Path) -> bool:
    if not source.is_dir():
        return False
    if any(_FOLDER.fullmatch(p.name) and p.is_dir() for p in source.iterdir()):
        return True
    return any((f / "audio").is_dir() and any((f / "text").glob("*_yoruba.txt")) for f in (source, source / "yfacc"))


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no recordings, or an option that is unknown or names nothing.
    """
    for name in options:
        if name not in _OPTIONS:
            raise UserError(f"no option {name!r} for yfacc", did_you_mean(name, _OPTIONS))
    rate = options.get("rate", "48k")
    if rate not in _RATES:
        raise UserError(f"no rate {rate!r}", did_you_mean(rate, _RATES))
    files = _find(source, options)
    there: dict[str, object] = {
        "texts (Flickr8k.token.<split>_yoruba.txt)": files.tokens,
        f"word times ({_ALIGNMENT})": files.alignment,
        "pictures (Flicker8k_Dataset): name their folder with the option images": files.images,
    }
    meta: dict[str, Any] = {"lacking": [name for name, found in there.items() if not found]}
    if files.keywords:
        meta["words"] = {p.stem: _keywords(p, Problems()) for p in files.keywords}
    language = options.get("language", "yo")
    return Raw(source.resolve().name, partial(_items, files, rate, language), (), meta)


@dataclass(frozen=True)
class _Files:
    """What of the corpus there is: ``audio`` and ``tokens`` by split."""

    source: Path
    audio: Mapping[str, Path]
    tokens: Mapping[str, Path]
    alignment: Path | None
    keywords: tuple[Path, ...]
    images: Path | None


def _find(source: Path, options: Mapping[str, str]) -> _Files:
    if not source.is_dir():
        raise UserError(f"{source}: no folder", "Name the folder that holds flickr_audio_yoruba_train.")
    near = [f for f in folders(source) if not any(_FOLDER.fullmatch(p) for p in f.relative_to(source).parts)]
    audio = {m["split"]: p for f in near for p in _inside(f) if p.is_dir() and (m := _FOLDER.fullmatch(p.name))}
    if not audio:
        bases = [f / "audio" for f in near if (f / "text").is_dir() and (f / "audio").is_dir()]
        audio = {p.name: p for base in bases for p in _inside(base) if p.is_dir()}
    if not audio:
        raise UserError(f"{source}: no folders flickr_audio_yoruba_train, …", "Unpack the corpus in it.")
    texts = {m["split"]: p for f in near for p in _inside(f) if p.is_file() and (m := _TOKENS.fullmatch(p.name))}
    alignment = next((f / _ALIGNMENT for f in near if (f / _ALIGNMENT).is_dir()), None)
    lists = [next((f / n for f in near if (f / n).is_file()), None) for n in (_KEYWORDS, _PAIRS)]
    images = named(source, options, "images", folder=True) or pictures_folder(near)
    return _Files(source, audio, texts, alignment, tuple(p for p in lists if p), images)


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def _keywords(path: Path, problems: Problems) -> dict[str, list[str]]:
    """English word → what it is in Yorùbá, one or several: ``en yo words…`` or ``en, yo``."""
    words: dict[str, list[str]] = {}
    for number, line in lines_of(path, problems):
        fields = line.split(",", 1) if path.name == _PAIRS else line.split(maxsplit=1)
        if len(fields) != 2 or not fields[0].strip() or not fields[1].strip():
            problems.add(Problem(str(path), number, "not an English word and what it is in Yorùbá", "Mend the line."))
            continue
        meant = words.setdefault(fields[0].strip(), [])
        if (told := " ".join(fields[1].split())) not in meant:
            meant.append(told)
    return words


@dataclass(frozen=True, slots=True)
class _Text:
    """A line of a token file."""

    text: str
    path: Path
    line: int


def _read_tokens(path: Path, problems: Problems) -> dict[tuple[str, int], _Text]:
    """(picture, number) → text."""
    texts: dict[tuple[str, int], _Text] = {}
    for number, line in lines_of(path, problems):
        key, *rest = line.split(maxsplit=1) or [""]
        image, mark, after = key.partition("#") if "#" in key else key.partition(".jpg")
        stem = stem_of(image)
        if not stem or not mark:
            told = f"key {key[:60]!r} is not '<image>.jpg#<number>'"
            problems.add(Problem(str(path), number, told, "Mend the line."))
            continue
        digits = _DIGITS.match(after)
        place = int(digits[0]) if digits else 0
        glued = after[digits.end() if digits else 0 :].lstrip("#:")
        glued = "" if glued in ("o", "O") else glued
        if mark != "#" or not digits or digits[0] != after:
            mended = f"key {key[:60]!r} is read as {stem}.jpg#{place}"
            mended += f", and {glued[:40]!r} as the first word" if glued else ""
            problems.add(Problem(str(path), number, mended, "Mend the key.", "repaired", stem))
        text = " ".join([glued, *rest]).strip()
        if not text:
            problems.add(Problem(str(path), number, f"no text for {key[:60]!r}", "Add it.", id=stem))
        elif texts.setdefault((stem, place), _Text(text, path, number)).line != number:
            problems.add(Problem(str(path), number, f"a second text for {key[:60]!r}", "Take it out.", id=stem))
    return texts


def _recordings(folder: Path, rate: str, problems: Problems) -> dict[str, Path]:
    """Name of a recording → its file, of the rate that is asked for where there are two."""
    found: dict[str, Path] = {}
    copies = folder / "16k"
    both = [p for p in (folder, copies) if p.is_dir()]
    for place in both if rate == "16k" else both[::-1]:  # the last one stays
        for path in _inside(place):
            if path == copies:
                continue
            if not path.is_file() or not _WAV.fullmatch(path.name):
                told = "not called 'S<speaker>_<image>_<number>.wav'"
                problems.add(Problem(str(path), None, told, "Rename the file, or take it out of the folder."))
            else:
                found[path.stem] = path
    return dict(sorted(found.items()))


def _items(files: _Files, rate: str, language: str, problems: Problems) -> Iterator[Item]:
    reader = _Reader(files, rate, language, problems)
    yield from reader.items()


class _Reader:
    """Joins recordings, texts, word times and pictures, split by split."""

    def __init__(self, files: _Files, rate: str, language: str, problems: Problems) -> None:
        self.files, self.rate, self.language, self.problems = files, rate, language, problems
        self.pictures = Pictures(files.images, problems)
        self.own = read_own(files.source, problems)
        self.alignments: dict[str, Path] = {}
        for path in _inside(files.alignment) if files.alignment is not None else ():
            if path.suffix.lower() == ".textgrid":
                self.alignments[path.stem] = path
            else:
                problems.add(Problem(str(path), None, "not a TextGrid", "Take the file out of the folder."))
        for path in files.keywords:
            _keywords(path, problems)

    def items(self) -> Iterator[Item]:
        used: set[str] = set()
        for split in sorted({*self.files.audio, *self.files.tokens}):
            path = self.files.tokens.get(split)
            texts = _read_tokens(path, self.problems) if path is not None else {}
            folder = self.files.audio.get(split)
            recordings = _recordings(folder, self.rate, self.problems) if folder is not None else {}
            of_picture: dict[str, dict[str, tuple[int, Path | None]]] = {}
            for name, sound in recordings.items():
                image, number = self._told(name)
                of_picture.setdefault(image, {})[name] = (number, sound)
            spoken = {(image, number) for image, told in of_picture.items() for number, _ in told.values()}
            for image, number in texts:
                if (image, number) not in spoken:
                    of_picture.setdefault(image, {})[f"S001_{image}_{number}"] = (number, None)
            for image, told in of_picture.items():
                used.update(f"{image}_{number}" for number, sound in told.values() if sound is not None)
                yield from self._of_picture(image, split_name(split), told, texts)
        for image in [n.removesuffix(".jpg") for n in self.own if n.endswith(".jpg")]:  # those without captions
            yield self._alone(image, self.pictures.find(image, self.files.source, None))
        if self.files.alignment is not None:
            left_over(self.files.alignment, self.alignments, used, self.problems)

    @staticmethod
    def _told(name: str) -> tuple[str, int]:
        """Picture and number that the name of a recording says."""
        told = _WAV.fullmatch(f"{name}.wav")
        assert told is not None  # others were left out
        return told["image"], int(told["number"])

    def _of_picture(
        self,
        image: str,
        split: str,
        told: Mapping[str, tuple[int, Path | None]],
        texts: Mapping[tuple[str, int], _Text],
    ) -> Iterator[Item]:
        first = next(iter(told.values()))[1] or texts[image, next(iter(told.values()))[0]].path
        media = self.pictures.find(image, first, None)
        if f"{image}.jpg" in self.own:
            yield self._alone(image, media)
        for name, (number, sound) in sorted(told.items(), key=lambda t: (t[1][0], t[0])):
            text = texts.get((image, number))
            item = Item(
                id=name,
                group=image,
                split=split,
                image=media,
                text=text.text if text is not None else None,
                language=self.language,
                file=str(text.path if text is not None else sound),
                line=text.line if text is not None else None,
            )
            own = self.own.get(name)
            if sound is not None:
                try:
                    path = safe_path(sound.parent, sound.name)
                except UserError as e:
                    self.problems.refuse(item, e.what, "Put the recording itself there.")
                    continue
                item.audio = Media(path=path, name=sound.relative_to(self.files.source).as_posix())
                item.speaker = name.split("_", 1)[0]
                item.words = self._words(item, f"{image}_{number}")
            if sound is None and own is None:
                self.problems.repair(item, f"no recording {name}.wav: a text alone", "Restore the recording.")
            elif text is None and own is None and self.files.tokens:
                self.problems.repair(item, f"no text for {name}.wav", "Add it to the token file.")
            yield put_back(item, own)

    def _alone(self, image: str, media: Media | None) -> Item:
        """A picture that our own export says to be an item of its own."""
        item = Item(id=image, group=image, image=media, file=str(self.files.source))
        return put_back(item, self.own.pop(f"{image}.jpg"))

    def _words(self, item: Item, name: str) -> list[Word] | None:
        """Of the first tier; what has no label there is silence."""
        path = self.alignments.get(name)
        if path is None:
            return None
        try:
            tiers = read_annotation(safe_path(path.parent, path.name)).tiers
            if not tiers:
                raise UserError(f"{path}: no tier in it", "Align the recording again.")
        except UserError as e:
            told = f"{e.what}: no word times"
            self.problems.add(Problem(str(path), None, told, e.fix, "repaired", item.id))
            return None
        return [(i.label.strip(), i.start, i.end) for i in tiers[0].intervals if i.label.strip()]
