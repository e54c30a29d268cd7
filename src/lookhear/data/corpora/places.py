"""Places Audio Captions (Harwath et al., 2016, 2018): 400,000 spoken captions of photographs of places.

``metadata/train.json`` and ``val.json`` are the lists of 2016; ``{train,dev_seen,dev_unseen,test_seen,test_unseen}``
with ``_2020.json`` split the same recordings anew, by whether a speaker is heard in training, and are read where both
are there. A list ending in ``_with_alignments.json`` stands in for the one without. The name before these endings is
the split, ``all`` that of rows without one.

Options:

- ``lists``: ``2016`` or ``2020``.
- ``images``, ``audio``: the folders that the lists' names start from. By themselves they are found in or beside the
  corpus: the lists' prefixes are of another machine, and only their last names are of use. ``images=none`` reads the
  recordings alone.
- ``wav``: the key of the recording (``wav``). Of Hindi and Japanese captions with lists of the same form, ``audio``
  names the folder; those that stand in the English lists have a key of their own, such as ``hindi_wav``.
- ``text``: the key of the text: ``asr_text``; none where ``wav`` names another key, whose recordings it is not of.
- ``language``: ``en``; none where ``wav`` names another key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lookhear.data.corpora import Raw
from lookhear.data.corpora.captions import (
    PROBED,
    Captions,
    Place,
    alignment,
    check_options,
    file_name,
    find_place,
    own_keys,
    places_of,
)
from lookhear.data.corpora.captions_out import UNSPLIT, Pictures, Rows, write_wav
from lookhear.data.corpora.jsonlists import entries, read_head, write_list
from lookhear.data.items import Item, Problems
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises", "write_raw"]

_OPTIONS = ("lists", "images", "audio", "wav", "text", "language")
_LIST = re.compile(r"(?P<split>[A-Za-z0-9][\w.-]*?)(?P<year>_2020)?(?P<aligned>_with_alignments)?\.json", re.ASCII)
_SEEN = ("dev_seen", "dev_unseen", "test_seen", "test_unseen")
_USUAL_IMAGES = ("images", "images256", "Places205", "places205", "data/vision/torralba/deeplearning/images256")
_USUAL_AUDIO = ("wav", "wavs", "audio", "PlacesAudio_400k_distro")
_HEAD = 4096


def recognises(source: Path) -> bool:
    if source.is_file():
        return _is_list(source)
    return any(_is_list(path) for path in islice(sorted((source / "metadata").glob("*.json")), 10))


def _is_list(path: Path) -> bool:
    """Whether a file begins as the lists of this layout do."""
    if not _LIST.fullmatch(path.name) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return True  # reading it will say so; taken for no list, the recordings would be read without it
    return b'"audio_base_path"' in head or b'"image_base_path"' in head


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no lists, or one that cannot be read; an unknown option; pictures or recordings that are nowhere.
    """
    check_options(options, _OPTIONS)
    root, lists = _lists(source, options.get("lists"))
    heads = {path: read_head(path) for path in lists.values()}
    wav = options.get("wav", "wav")
    first = [entry.value for path in heads for entry in islice(entries(path, _looks), PROBED)]
    known = [value for value in first if value is not None]

    def place(option: str, usual: tuple[str, ...], base: str, key: str, called: str) -> Place:
        bases = [head[base] for head in heads.values() if base in head]
        places = places_of(root, options.get(option), bases[0] if bases else None, usual)
        names = [v[key] for v in known if isinstance(v.get(key), str)]
        more = " (images=none reads the recordings alone)" if option == "images" else ""
        return find_place(places, names, f"{root}: its {called} are", f"Name the folder: {option}=FOLDER{more}.")

    audio = place("audio", _USUAL_AUDIO, "audio_base_path", wav, "recordings")
    images = None
    if options.get("images") != "none":
        images = place("images", _USUAL_IMAGES, "image_base_path", "image", "pictures")
    plain = wav == "wav"
    captions = [
        Captions(
            path=path,
            split=None if split == UNSPLIT else split,
            audio=audio,
            images=images,
            wav=wav,
            text=options.get("text", "asr_text" if plain else None),
            language=options.get("language", "en" if plain else None),
        )
        for split, path in lists.items()
    ]
    return Raw(root.resolve().name, partial(_items, captions))


def _lists(source: Path, year: str | None) -> tuple[Path, dict[str, Path]]:
    """The folder of the corpus, and its lists by split."""
    if year not in (None, "2016", "2020"):
        raise UserError(f"no lists {year!r}", did_you_mean(str(year), ("2016", "2020")))
    if source.is_file():
        match = _LIST.fullmatch(source.name)
        folder = source.parent
        return folder.parent if folder.name == "metadata" else folder, {match["split"] if match else "train": source}
    kinds: dict[str, dict[str, Path]] = {"2016": {}, "2020": {}}
    for path in sorted((source / "metadata").glob("*.json")):  # without alignments before with
        match = _LIST.fullmatch(path.name)
        if match and (match["split"] in ("train", "val", *_SEEN) or _is_list(path)):
            kinds["2020" if match["year"] else "2016"][match["split"]] = path
    found = kinds[year] if year else kinds["2020"] or kinds["2016"]
    if not found:
        raise UserError(
            f"{source / 'metadata'}: no lists of Places Audio{f' of {year}' if year else ''} there",
            "Name the folder that holds metadata/train.json, or metadata/train_2020.json.",
        )
    order = ["train", "val", *_SEEN]
    return source, dict(sorted(found.items(), key=lambda f: (order.index(f[0]) if f[0] in order else 9, f[0])))


def _looks(value: Mapping[str, Any]) -> bool:
    return "uttid" in value or ("image" in value and "wav" in value)


def _items(lists: list[Captions], problems: Problems) -> Iterator[Item]:
    for captions in lists:
        for entry, value in captions.entries(_looks, problems):
            if item := captions.item(entry, value, value.get("image"), problems):
                yield item


def write_raw(corpus: Corpus, out: Path) -> None:
    """Writes a prepared corpus as Places Audio: ``metadata/``, ``wavs/`` and ``images/``.

    Ids, speakers and texts are written as they are, word times exactly. The lists are those of 2020 if a split has a
    name that only they have. Sounds become WAV of 16 bits. What the layout has no key for, or a name of a picture that
    is not its group's, stands in an object ``lookhear`` of the entry.

    Raises:
        UserError: rows without recording or picture, a split or a word that the layout cannot hold, a folder that
            cannot be made.
    """
    rows = Rows(corpus, _split_of)
    year = "_2020" if set(rows.lists) & set(_SEEN) else ""
    with new_folder(out) as folder:
        pictures = Pictures(rows, folder / "images", lambda _: True, lambda n, suffix, _: f"p/pictures/{n:07d}{suffix}")
        head = {"image_base_path": str(Path(out).resolve() / "images"), "audio_base_path": str(Path(out).resolve())}
        for split, members in rows.lists.items():
            written = (_entry(rows, row, pictures, folder) for row in members)
            write_list(folder / "metadata" / f"{split}{year}.json", head, written)


def _split_of(split: str) -> str | None:
    match = _LIST.fullmatch(f"{split}.json")
    return match["split"] if match and len(split) <= 100 else None


def _entry(rows: Rows, row: int, pictures: Pictures, folder: Path) -> dict[str, Any]:
    key, image = rows.ids[row], pictures.of(row)
    wav = f"wavs/{row // 1000}/{file_name(key)}.wav"
    write_wav(rows.media("audio", row), folder / wav, key)
    meant = {"group": rows.group[row], "language": rows.language[row]}
    return {
        "uttid": key,
        "speaker": rows.speaker[row] or "",
        "asr_text": rows.text[row] or "",
        "wav": wav,
        "image": image,
        **alignment(rows.words[row], key),
        **own_keys({"group": image, "language": "en"}, meant),
    }
