"""SpokenCOCO (Hsu et al., 2020): five people read the captions of each photograph of MS COCO.

``SpokenCOCO_{train,val}.json`` list pictures with their captions; ``SpokenCOCO_{train,val,test}_karpathy.json`` split
them as the field's tables do, and are read where both are there. ``…_unrolled…`` lists have an entry for each caption,
``…_with_alignments.json`` word times. Of several lists of a split one is read: one with alignments before one without,
then one by pictures before an unrolled one. The name between is the split, ``all`` that of rows without one.

An utterance is called ``<speaker>-<assignment>_<image id>_<sentence id>``: its last field is the sentence's id, and the
last field of a picture's name the picture's. Both become columns, null where they are no numbers.

Options:

- ``lists``: ``plain`` or ``karpathy``.
- ``images``: the folder that holds ``train2014/`` and ``val2014/``; by itself ``mscoco_img/`` or the folder of the
  lists, or such beside it. ``images=none`` reads the recordings alone.
- ``audio``: the folder that holds ``wavs/``; by itself the folder of the lists.
- ``language``: ``en``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count, islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from lookhear.data.corpora import Raw
from lookhear.data.corpora.captions import (
    PROBED,
    Captions,
    alignment,
    check_options,
    find_place,
    own_keys,
    places_of,
)
from lookhear.data.corpora.captions_out import UNSPLIT, Pictures, Rows, write_wav
from lookhear.data.corpora.jsonlists import Entry, entries, read_head, write_list
from lookhear.data.items import Item, Problems
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError, did_you_mean

__all__ = ["image_id", "open_raw", "recognises", "sentence_id", "write_raw"]

_OPTIONS = ("lists", "images", "audio", "language")
_EXTRA = (pa.field("image_id", pa.int64()), pa.field("sentence_id", pa.int64()))
_LIST = re.compile(
    r"SpokenCOCO_(?P<split>[A-Za-z0-9][\w.-]*?)"
    r"(?P<unrolled>_unrolled)?(?P<karpathy>_karpathy)?(?P<aligned>_with_alignments)?\.json",
    re.ASCII,
)
_ORDER = ("train", "val", "test")
_COCO = re.compile(r"(?:train|val)2014/COCO_(?:train|val)2014_(\d{12})\.\w+", re.ASCII)
_UTTERANCE = re.compile(r"[\w.]+-[\w.-]+_(\d{1,18})_(\d{1,18})", re.ASCII)


def image_id(image: str) -> int | None:
    """Of a picture by its name: the last field of ``train2014/COCO_train2014_000000000009.jpg`` is 9."""
    return _number(PurePosixPath(image).stem)


def sentence_id(uttid: str) -> int | None:
    """Of a caption by the name of its utterance: the last field of ``m1a-3YOH_17547_649163`` is 649163."""
    return _number(uttid)


def _number(name: str) -> int | None:
    field = name.rsplit("_", 1)[-1]
    return int(field) if field.isascii() and field.isdigit() and len(field) <= 18 else None


def recognises(source: Path) -> bool:
    if source.is_file():
        return _LIST.fullmatch(source.name) is not None
    return any(_LIST.fullmatch(p.name) for folder in _folders(source) for p in folder.glob("SpokenCOCO_*.json"))


def _folders(source: Path) -> list[Path]:
    return [source, source / "SpokenCOCO"]


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no lists, or one that cannot be read; an unknown option; pictures or recordings that are nowhere.
    """
    check_options(options, _OPTIONS)
    folder, lists = _lists(source, options.get("lists"))
    for path in lists.values():
        read_head(path)
    first = [e.value for path in lists.values() for e in islice(entries(path, _looks), PROBED) if e.value is not None]
    captions = [c for value in first for c in _captions(value) if isinstance(c, Mapping)]

    audio = find_place(
        places_of(folder, options.get("audio"), None, ()),
        [c["wav"] for c in captions if isinstance(c.get("wav"), str)],
        f"{folder}: its recordings are",
        "Name the folder that holds wavs/: audio=FOLDER.",
    )
    images = None
    if options.get("images") != "none":
        images = find_place(
            places_of(folder, options.get("images"), None, ("mscoco_img", "images", "coco", "MSCOCO", "mscoco")),
            [value["image"] for value in first if isinstance(value.get("image"), str)],
            f"{folder}: its pictures are",
            "Name the folder that holds train2014/ and val2014/: images=FOLDER (none reads the recordings alone).",
        )
    readers = [
        Captions(path, None if split == UNSPLIT else split, audio, images, language=options.get("language", "en"))
        for split, path in lists.items()
    ]
    return Raw(folder.resolve().name, partial(_items, readers), _EXTRA)


def _lists(source: Path, wanted: str | None) -> tuple[Path, dict[str, Path]]:
    """The folder of the lists, and the list of each split."""
    if wanted not in (None, "plain", "karpathy"):
        raise UserError(f"no lists {wanted!r}", did_you_mean(str(wanted), ("plain", "karpathy")))
    if source.is_file():
        match = _LIST.fullmatch(source.name)
        return source.parent, {match["split"] if match else "train": source}
    for folder in _folders(source):
        kinds: dict[str, dict[str, tuple[bool, bool, Path]]] = {"plain": {}, "karpathy": {}}
        for path in sorted(folder.glob("SpokenCOCO_*.json")):
            if match := _LIST.fullmatch(path.name):
                kind = kinds["karpathy" if match["karpathy"] else "plain"]
                found = (match["aligned"] is not None, match["unrolled"] is None, path)
                kind[match["split"]] = max(found, kind.get(match["split"], found), key=lambda f: f[:2])
        if chosen := kinds[wanted] if wanted else kinds["karpathy"] or kinds["plain"]:
            order = {split: n for n, split in enumerate(_ORDER)}
            return folder, {s: chosen[s][2] for s in sorted(chosen, key=lambda s: (order.get(s, len(order)), s))}
    raise UserError(
        f"{source}: no {wanted or ''} lists of SpokenCOCO there".replace("  ", " "),
        "Name the folder that holds SpokenCOCO_train.json, or SpokenCOCO_train_karpathy.json.",
    )


def _looks(value: Mapping[str, Any]) -> bool:
    return "image" in value


def _captions(value: Mapping[str, Any]) -> list[Any]:
    """Those of an entry, of either form; none where they are not as they should be."""
    if "caption" in value:
        return [value["caption"]]
    given = value.get("captions")
    return given if isinstance(given, list) else []


def _items(lists: list[Captions], problems: Problems) -> Iterator[Item]:
    for reader in lists:
        for entry, value in reader.entries(_looks, problems):
            yield from _of_entry(reader, entry, value, problems)


def _of_entry(reader: Captions, entry: Entry, value: Mapping[str, Any], problems: Problems) -> Iterator[Item]:
    image = value.get("image")
    captions = _captions(value)
    if not captions:
        reader.refuse(entry, UserError("no captions", "Mend the entry."), problems)
    for caption in captions:
        uttid = caption.get("uttid") if isinstance(caption, Mapping) else None
        extra = {
            "image_id": image_id(image) if isinstance(image, str) else None,
            "sentence_id": sentence_id(uttid) if isinstance(uttid, str) else None,
        }
        if item := reader.item(entry, caption, image, problems, extra):
            yield item


def write_raw(corpus: Corpus, out: Path) -> None:
    """Writes a prepared corpus as SpokenCOCO: lists, ``wavs/`` and ``mscoco_img/``.

    The lists are Karpathy's if there are other splits than train and val. Pictures of train lie in ``train2014/``,
    others in ``val2014/``. Names of pictures and utterances that are of the layout's form stay; others are made, as
    other programs take them apart, and the corpus's own id and group stand in an object ``lookhear`` of the caption.
    Word times are exact; sounds become WAV of 16 bits.

    Raises:
        UserError: rows without recording or picture, a split or a word that the layout cannot hold, a folder that
            cannot be made.
    """
    rows = Rows(corpus, _split_of)
    karpathy = "" if set(rows.lists) <= {"train", "val", UNSPLIT} else "_karpathy"
    with new_folder(out) as folder:
        names = _Names(rows)
        pictures = Pictures(rows, folder / "mscoco_img", lambda name: _COCO.fullmatch(name) is not None, names.picture)
        for split, members in rows.lists.items():
            shown: dict[str, list[int]] = {}
            for row in members:
                shown.setdefault(pictures.of(row), []).append(row)
            written = (
                {"image": image, "captions": [_caption(rows, row, image, names, folder) for row in said]}
                for image, said in shown.items()
            )
            write_list(folder / f"SpokenCOCO_{split}{karpathy}.json", {}, written)


def _split_of(split: str) -> str | None:
    match = _LIST.fullmatch(f"SpokenCOCO_{split}.json")
    return match["split"] if match and len(split) <= 100 else None


class _Names:
    """Makes names of the layout's form for pictures and utterances, with numbers that no other has."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        kept_pictures = (_COCO.fullmatch(name) for name in [*rows.group, *rows.image_path] if name is not None)
        self.pictures = {int(match[1]) for match in kept_pictures if match}
        kept = (_UTTERANCE.fullmatch(key) for key in rows.ids)
        self.sentences = {int(match[2]) for match in kept if match}
        self._sentence = (n for n in count(1) if n not in self.sentences)

    def picture(self, number: int, suffix: str, row: int) -> str:
        """A name; of a number that a kept picture has, that picture's, so that another number is asked for."""
        year = "train2014" if self.rows.split[row] == "train" else "val2014"
        return "" if number in self.pictures else f"{year}/COCO_{year}_{number:012d}{suffix}"

    def utterance(self, row: int, image: str) -> str:
        key = self.rows.ids[row]
        match = _UTTERANCE.fullmatch(key)
        if match and int(match[1]) == image_id(image) and len(key) <= 200:
            return key
        speaker = re.sub(r"[^A-Za-z0-9]", "", self.rows.speaker[row] or "")[:40] or "speaker"
        return f"{speaker}-lookhear_{image_id(image)}_{next(self._sentence)}"


def _caption(rows: Rows, row: int, image: str, names: _Names, folder: Path) -> dict[str, Any]:
    key, uttid = rows.ids[row], names.utterance(row, image)
    wav = f"wavs/{row // 1000}/{uttid}.wav"
    write_wav(rows.media("audio", row), folder / wav, key)
    meant = {"id": key, "group": rows.group[row], "language": rows.language[row]}
    return {
        "text": rows.text[row] or "",
        "speaker": rows.speaker[row] or "",
        "uttid": uttid,
        "wav": wav,
        **alignment(rows.words[row], key),
        **own_keys({"id": uttid, "group": image, "language": "en"}, meant),
    }
