"""WebDataset: shards that are tar archives, whose members of one name before the first dot are one sample.

    train-000.tar: 0001.jpg 0001.wav 0001.txt 0001.json 0002.jpg …

The sample's key is its id and group. Sounds (wav, flac, …), pictures (jpg, png, …) and a text (txt, text, caption,
transcript) are found by their suffix; of a JSON object the usual names (text or a list of texts, group, split, speaker,
language, words, things) are taken, and the others are kept as columns, as is ``cls``. Several texts give an item each,
``KEY_0``, …; the recording goes with the first. The split is told by the shard's name or folder (train, val or valid,
dev, test). Members and names that none of this knows are told of once.

Options: ``shards`` is a pattern inside the folder (``train-*.tar``); ``ids=shard`` sets the shard's name before the
key, for shards that number their samples anew; ``audio``, ``image`` and ``text`` name a suffix (``left.jpg``).

Nothing is unpacked. A sample with a member that is a link or sparse, is larger than ``tarshards.MAX_MEMBER``, or has a
name that is absolute or climbs is refused. Of a shard that is cut off or damaged all samples before the damage are
given, without the last of them, which may lack members.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookhear.data.corpora import Raw
from lookhear.data.corpora.cells import SPLITS, as_column, is_unicode, strings, words_of
from lookhear.data.corpora.tarshards import Sample, read_samples
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.data.read import COLUMNS
from lookhear.data.rows import EXTRA as OURS
from lookhear.data.schema import SCHEMA
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises"]

OPTIONS = ("audio", "ids", "image", "shards", "text")
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "audio": ("wav", "flac", "mp3", "ogg", "opus", "aif", "aiff", "au"),
    "image": ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "pgm", "ppm"),
    "text": ("txt", "text", "caption", "transcript"),
    "json": ("json",),
    "cls": ("cls",),
}
"""What a member is, by its suffix in small letters."""
LOOKED_AT = 200
"""Samples whose JSON objects tell which further columns there are."""
_NAMES = ("text", "group", "split", "speaker", "language")
_SPLIT = re.compile(r"(?:^|[^a-z])(train|val|valid|validation|dev|test)(?![a-z])")


def recognises(source: Path) -> bool:
    """Tar archives, and no list or loose sound beside them that the archives may just be a copy of."""
    if source.is_file():
        return source.suffix == ".tar"
    folders = [source, *(p for p in islice(sorted(source.iterdir()), 20) if p.is_dir())]
    loose = {".jsonl", ".csv", ".npz", ".wav", ".flac"}
    return any(
        ".tar" in found and not found & loose
        for found in ({p.suffix for p in islice(f.iterdir(), 200)} for f in folders)
    )


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``; the source may also be a pattern, ``FOLDER/train-*.tar``.

    Raises:
        UserError: no shards, or an unknown option.
    """
    for name in options:
        if name not in OPTIONS:
            raise UserError(f"webdataset has no option {name!r}", did_you_mean(name, OPTIONS))
    if options.get("ids", "key") not in ("key", "shard"):
        raise UserError(f"ids={options['ids']}", "Choose key or shard.")
    folder, shards = _shards(source, options.get("shards", ""))
    kinds = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
    wanted = {kind: options[kind].lower().lstrip(".") for kind in ("audio", "image", "text") if kind in options}
    kinds |= {suffix: kind for kind, suffix in wanted.items()}
    told: dict[str, list[Any]] = {}
    some = {suffix: kind for suffix, kind in kinds.items() if kind in ("json", "cls")}
    for sample in islice((s for shard in shards for s in read_samples(shard, some, {}, Problems())), LOOKED_AT):
        for name, value in _about(sample)[0].items():
            told.setdefault(name, []).append(value)
    ours = {*SCHEMA.names, *(f.name for f in OURS), *(n for name in _NAMES for n in COLUMNS[name])}
    names = sorted(name for name in told if name not in ours and is_unicode(name))
    extra = tuple(pa.field(name, _type(told[name])) for name in names)
    reader = _Reader(folder, kinds, wanted, options.get("ids") == "shard", extra)
    return Raw(folder.resolve().name, partial(reader.items, shards), extra)


def _shards(source: Path, pattern: str) -> tuple[Path, list[Path]]:
    """The folder, and its shards in order.

    Raises:
        UserError: there are none.
    """
    if source.is_file():
        return source.parent, [source]
    folder = source
    if not source.is_dir():
        pattern = ""
        while not folder.is_dir():
            folder, pattern = folder.parent, f"{folder.name}/{pattern}".rstrip("/")
    try:
        if ".." in Path(pattern).parts:
            raise ValueError("it climbs out")
        shards = sorted(p for p in folder.glob(pattern or "**/*.tar") if p.is_file())
    except (ValueError, NotImplementedError) as e:
        raise UserError(f"shards={pattern}: no pattern ({e})", "Give one inside the folder: train-*.tar.") from None
    if not shards:
        raise UserError(f"{folder}: no shards {pattern or '*.tar'}", "Check the folder and the pattern.")
    return folder, shards


def _type(values: Sequence[Any]) -> pa.DataType:
    """Of a further column: numbers and truth values as they are, anything else as text."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return pa.bool_()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


def _about(sample: Sample) -> tuple[dict[str, Any], str]:
    """What the sample's JSON object and its class say; or why they cannot be read."""
    about: dict[str, Any] = {}
    try:
        if "json" in sample.parts:
            about = json.loads(sample.parts["json"][1].decode("utf-8-sig"))
            if not isinstance(about, dict):
                return {}, f"{sample.parts['json'][0]}: not a JSON object"
        if "cls" in sample.parts:
            about = {**about, "cls": sample.parts["cls"][1].decode("utf-8-sig").strip()}
    except UnicodeDecodeError as e:
        return {}, f"its JSON object or class is not UTF-8 text ({e.reason})"
    except (ValueError, RecursionError) as e:
        return {}, f"{sample.parts['json'][0]}: not JSON ({e})"
    return about, ""


@dataclass(frozen=True)
class _Reader:
    """Makes items of samples.

    Attributes:
        folder: that the shards' names start from.
        kinds, wanted: see ``read_samples``.
        numbered: whether ids start with the shard's name.
    """

    folder: Path
    kinds: Mapping[str, str]
    wanted: Mapping[str, str]
    numbered: bool
    extra: tuple[pa.Field, ...]

    def items(self, shards: Sequence[Path], problems: Problems) -> Iterator[Item]:
        noted: set[str] = set()
        for shard in shards:
            for sample in read_samples(shard, self.kinds, self.wanted, problems):
                unread = {f"members .{suffix}" for suffix in sample.unread}
                try:
                    if sample.fault:
                        raise UserError(sample.fault, "Write the sample again.")
                    made, names = self._of_sample(shard, sample)
                    unread |= {f"{name!r} of JSON objects" for name in names}
                except UserError as e:
                    made = []
                    problems.add(Problem(str(shard), None, e.what, e.fix, id=sample.key))
                for what in sorted(unread - noted):
                    noted.add(what)
                    said = f"{what}: not read, from {sample.key!r} on"
                    problems.add(Problem(str(shard), None, said, "Give it a usual name if it is needed.", "repaired"))
                yield from made

    def _of_sample(self, shard: Path, sample: Sample) -> tuple[list[Item], set[str]]:
        """The items of a sample, and the names of its JSON object that were not read.

        Raises:
            UserError: it must be refused.
        """
        about, fault = _about(sample)
        if fault:
            raise UserError(fault, "Mend the member.")
        found = {ours: next((n for n in COLUMNS[ours] if about.get(n) is not None), "") for ours in _NAMES}
        if "text" in sample.parts:
            found["text"] = ""
            texts: list[str | None] = [_decoded(*sample.parts["text"])]
        else:
            texts = _texts(about[found["text"]] if found["text"] else None)
        if not {"audio", "image"} & set(sample.parts) and texts == [None]:
            raise UserError(f"{sample.key!r} has no recording, picture or text that is known", "Name its suffix.")
        times = words_of(about.get("words"))
        things = strings(about.get("things"))
        extra = {f.name: as_column(about.get(f.name), f.type) for f in self.extra}
        read = {*found.values(), *extra, *({"words"} if times is not None else ()), *({"things"} if things else ())}

        where = shard.relative_to(self.folder).as_posix()
        media = {kind: Media(data=d, name=f"{where}/{n}") for kind, (n, d) in sample.parts.items()}
        said = {ours: None if not name else str(about[name]) for ours, name in found.items()}
        split = said["split"] or _split_of(where)
        key = f"{where.removesuffix('.tar')}/{sample.key}" if self.numbered else sample.key
        items = [
            Item(
                id=key if len(texts) == 1 else f"{key}_{k}",
                group=said["group"] or key,
                split=SPLITS.get(split, split) if split else None,
                audio=media.get("audio") if not k else None,
                image=media.get("image"),
                text=text,
                language=said["language"],
                speaker=said["speaker"],
                words=times if not k else None,
                things=things,
                extra=extra,
                file=str(shard),
            )
            for k, text in enumerate(texts)
        ]
        return items, {name for name, value in about.items() if name not in read and value is not None}


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as e:
        raise UserError(f"{name}: not UTF-8 text ({e.reason})", "Save it as UTF-8.") from None


def _texts(value: Any) -> list[str | None]:
    if isinstance(value, list) and value:
        return [v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in value]
    return [None if value is None or value == [] else str(value)]


def _split_of(where: str) -> str | None:
    """By the shard's own name, else by the nearest folder's."""
    for part in reversed(where.split("/")):
        if found := _SPLIT.search(part.lower().removesuffix(".tar")):
            return found[1]
    return None
