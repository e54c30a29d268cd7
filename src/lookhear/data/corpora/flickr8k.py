"""Flickr8k Audio Caption Corpus (Harwath and Glass, 2015), with the texts and pictures of Flickr8k.

What is read, wherever it lies up to two folders deep: ``wav2capt.txt`` and ``wav2spk.txt`` beside ``wavs/``; pictures
in ``Flicker8k_Dataset/`` (so its name); ``Flickr_8k.{train,dev,test}Images.txt``, or else the splits of Karpathy's
``dataset.json``; the texts from ``Flickr8k.token.txt``, ``dataset.json`` or ``captions.txt``, the first there is; word
times from ``flickr_8k.ctm``; Kamper's soft visual tags and semantic labels (columns ``tags``, ``semantic`` and
``semantic_votes``; their words in ``meta["words"]``). Only the recordings must be there; what else is lacking is in
``meta["lacking"]``.

Rules. An item is a recording, a caption that has none, or a picture without captions. Without ``wav2capt.txt`` the
names of the recordings say what they are of. Without any texts, the words of the alignment in lower case are the text.
The alignments do not fit ``wavs_with_no_silence/`` and are not read with it. A picture that is in no folder leaves its
items without one, which is noted.

Options: ``wavs``, ``images``, ``texts``, ``ctm`` name a folder or file; ``language`` is "en" unless told otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookhear.data.corpora import Raw, flickr_lists
from lookhear.data.corpora.flickr8k_write import write_raw
from lookhear.data.corpora.flickr_lists import Captions, Utterance, stem_of
from lookhear.data.corpora.flickr_names import put_back, read_own
from lookhear.data.items import Item, Media, Problem, Problems, Word
from lookhear.data.schema import safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = ["Pictures", "folders", "named", "open_raw", "pictures_folder", "recognises", "write_raw"]

_OPTIONS = ("wavs", "images", "texts", "ctm", "language")
_WAVS, _NO_SILENCE = "wavs", "wavs_with_no_silence"
_TEXTS = ("Flickr8k.token.txt", "dataset.json", "captions.txt")
_PICTURES = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Flickr8k_images", "Images", "images", "image")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_TAGS = "flickr8k.tags.all.txt"
_LABELS, _COUNTS = "semantic_flickraudio_labels.csv", "semantic_flickraudio_counts.csv"
_VOTES = pa.list_(pa.struct([("word", pa.string()), ("votes", pa.int64())]))


def recognises(source: Path) -> bool:
    if not source.is_dir():
        return False
    near = [source, *sorted(p for p in source.iterdir() if p.is_dir())]
    if any((folder / "wav2capt.txt").is_file() for folder in near):
        return True
    lists = any((f / "Flickr_8k.trainImages.txt").is_file() or (f / "Flickr8k.token.txt").is_file() for f in near)
    return lists and any((f / _WAVS).is_dir() or (f / _NO_SILENCE).is_dir() for f in near)


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no recordings, a list that is damaged as a whole, an option or a file of an option that is unknown.
    """
    for name in options:
        if name not in _OPTIONS:
            raise UserError(f"no option {name!r} for flickr8k", did_you_mean(name, _OPTIONS))
    files = _find(source, options)
    words: dict[str, list[str]] = {}
    if files.tags:
        words["tags"] = flickr_lists.tag_words(files.tags)
    if files.keywords:
        words["keywords"] = [w for _, line in flickr_lists.lines_of(files.keywords, Problems()) for w in line.split()]
    extra = [
        *([pa.field("tags", pa.list_(pa.float32()))] if files.tags else []),
        *([pa.field("semantic", pa.list_(pa.string()))] if files.labels else []),
        *([pa.field("semantic_votes", _VOTES)] if files.counts else []),
    ]
    meta: dict[str, Any] = {"lacking": _lacking(files)}
    if words:
        meta["words"] = words
    items = partial(_items, files, options.get("language", "en"))
    return Raw(source.resolve().name, items, tuple(extra), meta)


@dataclass(frozen=True)
class _Files:
    """What of the corpus there is."""

    source: Path
    wavs: Path
    utterances: Path | None
    speakers: Path | None
    splits: tuple[Path, ...]
    images: Path | None
    texts: Path | None
    karpathy: tuple[Path, list[Any]] | None
    ctm: Path | None
    tags: Path | None
    labels: Path | None
    counts: Path | None
    keywords: Path | None


def folders(source: Path, passed_over: Collection[str] = (_WAVS, _NO_SILENCE, _PICTURES[0])) -> list[Path]:
    """The source and its folders, two deep, the nearer first; not those that hold thousands of files and no lists."""
    found, last = [source], [source]
    for _ in range(2):
        last = [
            p
            for folder in last
            for p in sorted(folder.iterdir())
            if p.is_dir() and not p.name.startswith(".") and p.name not in passed_over
        ]
        found += last
    return found


def named(source: Path, options: Mapping[str, str], name: str, folder: bool = False) -> Path | None:
    """The file or folder that an option names, from the source on.

    Raises:
        UserError: it does not exist.
    """
    if name not in options:
        return None
    path = source / options[name]
    if not (path.is_dir() if folder else path.is_file()):
        raise UserError(f"{path}: no such {'folder' if folder else 'file'} (option {name})", "Check the path.")
    return path


def pictures_folder(near: Sequence[Path]) -> Path | None:
    """The folder of the pictures, under any of the names that it is found by."""
    for name in _PICTURES:
        for folder in near:
            if (folder / name).is_dir():
                with os.scandir(folder / name) as entries:
                    if any(e.name.lower().endswith(_SUFFIXES) for e in entries):
                        return folder / name
    return None


def _find(source: Path, options: Mapping[str, str]) -> _Files:
    if not source.is_dir():
        raise UserError(f"{source}: no folder", "Name the folder that holds flickr_audio.")
    near = folders(source)

    def first(*names: str) -> Path | None:
        return next((f / n for n in names for f in near if (f / n).is_file()), None)

    wavs = named(source, options, "wavs", folder=True)
    wavs = wavs or next((f / n for n in (_WAVS, _NO_SILENCE) for f in near if (f / n).is_dir()), None)
    if wavs is None:
        raise UserError(f"{source}: no folder {_WAVS} with the recordings", "Unpack flickr_audio.tar.gz in it.")
    texts = named(source, options, "texts") or first(*_TEXTS)
    told = texts if texts is not None and texts.suffix == ".json" else first("dataset.json")
    ctms = sorted(p for f in near for p in f.glob("*.ctm") if p.is_file())
    ctm = named(source, options, "ctm") or first("flickr_8k.ctm")
    if ctm is None and len(ctms) > 1:
        raise UserError(f"{source}: several alignments ({', '.join(p.name for p in ctms)})", "Name one: ctm=FILE.")
    ctm = ctm or (ctms[0] if ctms else None)
    return _Files(
        source=source,
        wavs=wavs,
        utterances=first("wav2capt.txt"),
        speakers=first("wav2spk.txt"),
        splits=tuple(sorted(p for f in near for p in f.glob("Flickr_8k.*Images.txt") if p.is_file())),
        images=named(source, options, "images", folder=True) or pictures_folder(near),
        texts=texts,
        karpathy=(told, flickr_lists.load_karpathy(told)) if told is not None else None,
        ctm=ctm if wavs.name != _NO_SILENCE else None,
        tags=first(_TAGS),
        labels=first(_LABELS),
        counts=first(_COUNTS),
        keywords=first("keywords.txt", "keywords.8.txt"),
    )


def _lacking(files: _Files) -> list[str]:
    """What a user would expect and does not get."""
    there: dict[str, object] = {
        "list of recordings (wav2capt.txt): told by their names": files.utterances,
        "speakers (wav2spk.txt)": files.speakers,
        "splits (Flickr_8k.trainImages.txt or dataset.json)": files.splits or files.karpathy,
        "pictures (Flicker8k_Dataset)": files.images,
        "texts (Flickr8k.token.txt): taken from the alignments": files.texts or not files.ctm,
        "texts (Flickr8k.token.txt)": files.texts or files.ctm,
        f"word times: they do not fit {_NO_SILENCE}"
        if files.wavs.name == _NO_SILENCE
        else "word times (flickr_8k.ctm)": files.ctm,
    }
    return [name for name, found in there.items() if not found]


def _checked(folder: Path, name: str, plain: Collection[str]) -> Path:
    """``safe_path``, which takes as long as decoding, only for what is not a file of the folder itself.

    Raises:
        UserError: it climbs out, or there is no such file.
    """
    return folder / name if name in plain else safe_path(folder, name)


def _plain_files(folder: Path) -> frozenset[str]:
    """Names of the files of a folder that are no links."""
    with os.scandir(folder) as entries:
        return frozenset(e.name for e in entries if e.is_file(follow_symlinks=False))


class Pictures:
    """The pictures of a folder, found by their names without suffix.

    Args:
        folder: None where there is none; then nothing is found, and nothing noted.
    """

    def __init__(self, folder: Path | None, problems: Problems) -> None:
        self.folder, self.problems = folder, problems
        self.plain = frozenset() if folder is None else _plain_files(folder)
        names = [] if folder is None else [p.name for p in folder.iterdir()]
        self.names: dict[str, str] = {}
        for name in sorted(names, key=lambda n: (not n.endswith(".jpg"), n)):  # .jpg first, as the lists call them
            if not name.lower().endswith(_SUFFIXES) or name.startswith("."):
                continue
            if (other := self.names.setdefault(stem_of(name), name)) != name:
                told = f"a second picture of this name: {other} is taken"
                problems.add(Problem(f"{folder}/{name}", None, told, "Take one of them out of the folder."))

    def find(self, image: str, told_in: Path, line: int | None) -> Media | None:
        """The picture; one that is not there is noted, and what it belongs to goes without."""
        if self.folder is None:
            return None
        try:
            if image not in self.names:
                raise UserError(f"no picture {image}.jpg in {self.folder}", "Restore the file.")
            name = self.names[image]
            return Media(path=_checked(self.folder, name, self.plain), name=f"{self.folder.name}/{name}")
        except UserError as e:
            self.problems.add(Problem(str(told_in), line, f"{e.what}: its items go without", e.fix, "repaired", image))
            return None


def _texts(files: _Files, problems: Problems) -> Captions:
    path = files.texts
    if path is None:
        return {}
    if path.suffix == ".json":
        assert files.karpathy is not None
        return flickr_lists.captions_karpathy(files.karpathy[1], path, problems)
    with path.open("rb") as file:
        first = file.readline(100)
    if path.suffix == ".csv" or first.lower().removeprefix(b"\xef\xbb\xbf").startswith(b"image,caption"):
        return flickr_lists.captions_csv(path, problems)
    return flickr_lists.captions_token(path, problems)


def _items(files: _Files, language: str, problems: Problems) -> Iterator[Item]:
    reader = _Reader(files, language, problems)
    yield from reader.items()


class _Reader:
    """Joins the lists, picture by picture."""

    def __init__(self, files: _Files, language: str, problems: Problems) -> None:
        self.files, self.language, self.problems = files, language, problems
        self.texts = _texts(files, problems)
        self.speakers = flickr_lists.read_speakers(files.speakers, problems) if files.speakers else {}
        self.splits = flickr_lists.read_splits(files.splits, problems)
        if not files.splits and files.karpathy:
            self.splits = flickr_lists.split_of_karpathy(files.karpathy[1])
        self.times = flickr_lists.read_ctm(files.ctm, problems) if files.ctm else {}
        self.tags = flickr_lists.index_tags(files.tags, problems) if files.tags else {}
        self.tag_count = len(flickr_lists.tag_words(files.tags)) if files.tags else 0
        self.labels = flickr_lists.read_labels(files.labels, False, problems) if files.labels else {}
        self.votes = flickr_lists.read_labels(files.counts, True, problems) if files.counts else {}
        self.pictures = Pictures(files.images, problems)
        self.own = read_own(files.source, problems)
        self.spoken = self._utterances()
        self.plain = _plain_files(files.wavs)
        self.used: set[str] = set()  # keys of the alignments and labels that met their recording

    def _utterances(self) -> dict[str, list[Utterance]]:
        spoken: dict[str, list[Utterance]] = {}
        listed: set[str] | None = None
        if self.files.utterances is not None:
            listed = set()
            for told in flickr_lists.read_utterances(self.files.utterances, self.problems):
                spoken.setdefault(told.image, []).append(told)
                listed.add(told.wav)
        for told in flickr_lists.list_wavs(self.files.wavs, listed, self.problems):
            spoken.setdefault(told.image, []).append(told)
        return spoken

    def items(self) -> Iterator[Item]:
        images = dict.fromkeys([*self.spoken, *self.texts, *self.pictures.names])
        for image in images:
            yield from self._of_picture(image)
        wavs = {u.wav for told in self.spoken.values() for u in told}
        names = {u.name for told in self.spoken.values() for u in told}
        for path, known, used in (
            (self.files.speakers, self.speakers, wavs),
            (self.files.splits[0].parent if self.files.splits else None, self.splits, images),
            (self.files.ctm, self.times, self.used),
            (self.files.tags, self.tags, images),
            (self.files.labels, self.labels, names),
            (self.files.counts, self.votes, names),
        ):
            if path is not None:
                flickr_lists.left_over(path, known, used, self.problems)

    def _of_picture(self, image: str) -> Iterator[Item]:
        """The picture alone if it is an item of its own, and its recordings and texts in the order of their numbers."""
        told, texts = self.spoken.get(image, []), self.texts.get(image, {})
        spoken_in = self.files.utterances or self.files.wavs
        where = spoken_in if told else self.files.texts if texts else self.files.images
        assert where is not None  # whatever told of the picture
        media = self.pictures.find(image, where, told[0].line if told else None)
        extra = self._tags(image)
        common: dict[str, Any] = {"group": image, "split": self.splits.get(image), "image": media}
        if f"{image}.jpg" in self.own or not (told or texts):
            alone = Item(id=image, **common, extra=extra, file=str(where))
            yield put_back(alone, self.own.get(f"{image}.jpg"))
        every: list[tuple[int, Utterance | None]] = [(u.number, u) for u in told]
        every += [(number, None) for number in texts if number not in {u.number for u in told}]
        for number, utterance in sorted(every, key=lambda n: n[0]):
            name = utterance.name if utterance is not None else f"{image}_{number}"
            item = Item(
                id=name,
                **common,
                text=texts.get(number),
                language=self.language,
                extra=extra,
                file=str(spoken_in if utterance is not None else self.files.texts),
                line=utterance.line if utterance is not None else None,
            )
            if utterance is None or self._sound(item, utterance):
                yield put_back(item, self.own.get(name))

    def _sound(self, item: Item, told: Utterance) -> bool:
        """Gives the item its recording and what is known of it; False if there is none, which is then a problem."""
        key = f"{told.image}#{told.number}"
        self.used.add(key)
        try:
            path = _checked(self.files.wavs, told.wav, self.plain)
        except UserError as e:
            self.problems.refuse(item, e.what, "Restore the file, or take it out of the list.")
            return False
        except (OSError, ValueError) as e:  # a name that no file can have
            self.problems.refuse(item, f"{told.wav!r} is no name of a file ({e})", "Mend the line.")
            return False
        item.audio = Media(path=path, name=f"{self.files.wavs.name}/{told.wav}")
        item.speaker = self.speakers.get(told.wav)
        item.words = self._words(key)
        if self.files.texts is None and item.words:
            item.text = " ".join(word for word, _, _ in item.words).lower()
        labels = {"semantic": self.labels.get(item.id), "semantic_votes": self.votes.get(item.id)}
        item.extra = {**item.extra, **{k: v for k, v in labels.items() if v is not None}}
        return True

    def _words(self, key: str) -> list[Word] | None:
        return flickr_lists.words_of(self.times[key]) if key in self.times else None

    def _tags(self, image: str) -> dict[str, Any]:
        if self.files.tags is None or image not in self.tags:
            return {}
        tags = flickr_lists.read_tags(self.files.tags, self.tags[image], self.tag_count, self.problems)
        return {} if tags is None else {"tags": tags}
