"""SPEECH-COCO (Havard, Besacier and Rosec 2017): the captions of MSCOCO in eight synthetic voices, with time codes.

``{train,val}2014/{wav,json}/IMAGE_CAPTION_SPEAKER_DISFLUENCY_SPEED.{wav,json}``; a database for each split,
``{train,val}_2014.sqlite3`` in the split's folder or above it, holds what the JSON files hold and is read where there
is one. The pictures are MSCOCO's own, ``COCO_train2014_000000000009.jpg``, and come separately.

Options: ``images`` names the folder of the pictures (else they are looked for beside), ``lists`` says what to read,
``database`` or ``json``.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookhear.data.corpora import Raw
from lookhear.data.corpora.speechcoco_write import ENDINGS, OWN, VOICES, picture_name, write_raw
from lookhear.data.items import Item, Media, Problem, Problems, Word
from lookhear.data.schema import safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises", "word_times", "write_raw"]

OPTIONS = ("images", "lists")
EXTRA = (
    pa.field("speed", pa.float64()),  # tempo; 1.0 is that of the voice
    pa.field("disfluency", pa.string()),  # where it stands: Beginning, Middle or End
    pa.field("disfluency_word", pa.string()),  # "um", "uh", "er", …
    pa.field("gender", pa.string()),
    pa.field("nationality", pa.string()),
)
MAX_JSON = 1 << 23
"""Bytes of a JSON file; larger ones are refused unread. Those of the corpus have a few thousand."""
COLUMNS = (
    "captionID",
    "imageID",
    "wavFilename",
    "duration",
    "timecode",
    "disfluencyPos",
    "disfluencyVal",
    "speed",
    "text",
    "speaker",
)
BESIDE = ("images", "mscoco_img", "mscoco", "coco", ".")
"""Folders next to the corpus in which the pictures are looked for."""
_FOLDER = re.compile(r"([A-Za-z][A-Za-z_-]*)2014")
_MEND = "Copy it again, delete it, or read the JSON files with lists=json."


@dataclass(frozen=True)
class _Part:
    """A split and its folder; the database where there is one."""

    split: str
    folder: Path
    database: Path | None


@dataclass(frozen=True)
class _Entry:
    """What a list says of one recording, under the names of the JSON files."""

    file: str
    about: Mapping[str, Any]
    voice: tuple[Any, Any] | None = None


def recognises(source: Path) -> bool:
    return source.is_dir() and any(p.database or (p.folder / "json").is_dir() for p in _parts(source))


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no split's folder, no list in one, a damaged database, or a folder of pictures without pictures.
    """
    for name in options:
        if name not in OPTIONS:
            raise UserError(f"speechcoco has no option {name!r}", did_you_mean(name, OPTIONS))
    lists = options.get("lists", "")
    if lists not in ("", "database", "json"):
        raise UserError(f"lists={lists}", "Choose database or json.")
    parts = _parts(source) if source.is_dir() else []
    if not parts:
        raise UserError(f"{source}: no folder train2014 or val2014 with a folder wav", "Name the folder above them.")
    orders: list[NDArray[np.int64] | None] = []
    for part in parts:
        if part.database is not None and lists != "json":
            orders.append(_order(part.database))
        elif lists != "database" and (part.folder / "json").is_dir():
            orders.append(None)
        else:
            wanted = {"json": "no folder json", "database": "no database"}.get(lists, "no database and no folder json")
            raise UserError(f"{part.folder}: {wanted}", "Unpack the whole corpus, or choose other lists.")
    pictures = _picture_folders(source, parts, options.get("images"))
    return Raw(source.resolve().name, partial(_items, parts, orders, pictures), EXTRA)


def _parts(source: Path) -> list[_Part]:
    parts = []
    for folder in sorted(source.iterdir()):
        name = _FOLDER.fullmatch(folder.name)
        if name and (folder / "wav").is_dir():
            file = f"{name[1]}_2014.sqlite3"
            database = next((p for p in (folder / file, source / file) if p.is_file()), None)
            parts.append(_Part(name[1], folder, database))
    return parts


def _picture_folders(source: Path, parts: Sequence[_Part], given: str | None) -> dict[str, Path]:
    """Split → the folder that its pictures are in, for splits that have one."""
    bases = [source / "images", source / "mscoco_img", source, *(source.resolve().parent / n for n in BESIDE)]
    if given is not None:
        bases = [Path(given).expanduser(), source / given]
    found: dict[str, Path] = {}
    for part in parts:
        name = re.compile(rf"COCO_{part.split}2014_[0-9]{{12}}\.[a-z]+")
        for folder in (f for base in bases for f in (base / part.folder.name, base)):
            if folder.is_dir() and any(name.fullmatch(p.name) for p in folder.iterdir()):
                found[part.split] = folder
                break
    if given is not None and not found:
        raise UserError(f"{given}: no pictures COCO_{parts[0].split}2014_….jpg in it", "Name MSCOCO's folder of 2014.")
    return found


def _items(
    parts: Sequence[_Part],
    orders: Sequence[NDArray[np.int64] | None],
    pictures: Mapping[str, Path],
    problems: Problems,
) -> Iterator[Item]:
    for part, order in zip(parts, orders):
        if part.split not in pictures:
            what = f"no pictures of {part.folder.name} found: its items have none"
            problems.add(Problem(str(part.folder), None, what, "Name MSCOCO's folder: images=FOLDER.", "repaired"))
        listed = array("Q")
        if order is None or part.database is None:
            entries = _of_files(part.folder / "json", listed, problems)
        else:
            entries = _of_database(part.database, order, problems)
        for entry in entries:
            name = entry.about.get("wavFilename")
            if isinstance(name, str):
                listed.append(_key(name))
            try:
                yield _item(part, entry, pictures.get(part.split), problems)
            except UserError as e:
                told = name.removesuffix(".wav") if isinstance(name, str) else None
                problems.add(Problem(entry.file, None, e.what, e.fix, id=told))
        _strays(part.folder / "wav", np.array(listed, dtype=np.uint64), problems)


def _key(name: str) -> int:
    """Of a file's name, eight bytes: the corpus has names for hundreds of MB."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=8).digest())


def _strays(folder: Path, listed: NDArray[np.uint64], problems: Problems) -> None:
    keys = np.fromiter((_key(p.name) for p in folder.iterdir()), dtype=np.uint64)
    stray = set(keys[~np.isin(keys, listed)].tolist())
    if stray:
        first = min(p.name for p in folder.iterdir() if _key(p.name) in stray)
        what = f"{len(stray)} files that no list names (the first: {first!r}): left out"
        problems.add(Problem(str(folder), None, what, "List or delete them."))


def _order(path: Path) -> NDArray[np.int64]:
    """(captions,) row numbers of a database's captions, those of one picture next to each other.

    Raises:
        UserError: the database is cut off, damaged, or has not the table of this corpus.
    """
    try:
        with path.open("rb") as file:
            head = file.read(100)
        pages, size = int.from_bytes(head[28:32]), int.from_bytes(head[16:18])
        whole = pages * (65536 if size == 1 else size)
        if head.startswith(b"SQLite format 3\0") and path.stat().st_size < whole:
            raise UserError(f"{path}: cut off, {path.stat().st_size} of {whole} bytes", _MEND)
        with closing(_connect(path)) as db:
            known = [c[0] for c in db.execute("SELECT * FROM captions LIMIT 0").description]
            if missing := [c for c in COLUMNS if c not in known]:
                raise UserError(f"{path}: its table captions has no column {missing[0]!r}", _MEND)
            rows = db.execute("SELECT imageID, rowid FROM captions")
            pairs = ((image if isinstance(image, int) else -1, -1 if row is None else row) for image, row in rows)
            table = np.fromiter(pairs, dtype=[("image", "i8"), ("row", "i8")])
    except (sqlite3.Error, OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: not a readable database of captions ({e})", _MEND) from None
    order: NDArray[np.int64] = table["row"][np.lexsort((table["row"], table["image"]))]
    return order


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only; texts come as bytes, since one that is no UTF-8 must not hide its row."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    db.text_factory = bytes
    return db


def _of_database(path: Path, order: NDArray[np.int64], problems: Problems) -> Iterator[_Entry]:
    query = f"SELECT {', '.join(COLUMNS)} FROM captions WHERE rowid = ?"
    with closing(_connect(path)) as db:
        voices: dict[Any, tuple[Any, Any]] = {}
        try:
            for name, gender, nationality in db.execute("SELECT name, gender, nationality FROM speakers"):
                voices[_plain(name)] = (_plain(gender), _plain(nationality))
        except (sqlite3.Error, UnicodeDecodeError) as e:
            what = f"its table of speakers cannot be read ({e}): known voices are told by their names"
            problems.add(Problem(str(path), None, what, _MEND, "repaired"))
        named = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'lookhear'").fetchone()[0] > 0
        for row in order.tolist():
            try:
                found = db.execute(query, (row,)).fetchone()
                if found is None:
                    raise sqlite3.DatabaseError("no such row")
                about = dict(zip(COLUMNS, map(_plain, found)))
                if named:
                    own = db.execute('SELECT id, "group", language, picture FROM lookhear WHERE captionID = ?', (row,))
                    about["lookhear"] = dict(zip(OWN, map(_plain, own.fetchone() or ())))
            except (sqlite3.Error, UnicodeDecodeError) as e:
                problems.add(Problem(str(path), None, f"caption {row} cannot be read ({e})", _MEND, id=str(row)))
                continue
            about["imgID"], about["synthesisedCaption"] = about["imageID"], about["text"]
            about["disfluency"] = [about["disfluencyPos"], about["disfluencyVal"]]
            yield _Entry(str(path), about, voices.get(about["speaker"]))


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _of_files(folder: Path, listed: array[int], problems: Problems) -> Iterator[_Entry]:
    found = []
    for path in sorted(folder.iterdir()):
        name = re.fullmatch(r"([0-9]+)_([0-9]+)_.*\.json", path.name)
        if name is None or not path.is_file():
            problems.add(Problem(str(path), None, "not named IMAGE_CAPTION_….json", "Rename or delete it."))
        else:
            found.append((int(name[1]), int(name[2]), path.name))
    for _, _, file in sorted(found):
        path = folder / file
        try:
            if path.stat().st_size > MAX_JSON:
                raise ValueError(f"{path.stat().st_size} bytes, more than a caption has")
            about = json.loads(path.read_bytes().decode("utf-8-sig"))
            if not isinstance(about, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError, OSError) as e:
            what = "not UTF-8 text" if isinstance(e, UnicodeDecodeError) else f"not the JSON of a caption ({e})"
            problems.add(Problem(str(path), None, what, "Copy the file again.", id=path.stem))
            listed.append(_key(path.stem + ".wav"))
        else:
            yield _Entry(str(path), {"wavFilename": path.stem + ".wav", **about})


def _item(part: _Part, entry: _Entry, pictures: Path | None, problems: Problems) -> Item:
    """Raises a UserError for an entry that must be refused."""
    about = entry.about
    name, image = about.get("wavFilename"), about.get("imgID")
    if not isinstance(name, str) or not name.endswith(".wav"):
        raise UserError(f"wavFilename {name!r}", "Name the recording.")
    if type(image) is not int or not 0 <= image < 10**12:
        raise UserError(f"imgID {image!r} is no number of a picture", "Give MSCOCO's number.")
    own = about.get("lookhear")
    own = own if isinstance(own, dict) else {}
    called = picture_name(part.split, image)
    texts: dict[str, Any] = {
        "id": own.get("id") or name.removesuffix(".wav"),
        "group": own.get("group") or called,
        "text": about.get("synthesisedCaption"),
        "language": own.get("language", "en"),
        "speaker": about.get("speaker"),
    }
    for key, value in texts.items():
        if not isinstance(value, str | None):
            raise UserError(f"{key} {value!r} is no text", "Give a text.")
    audio = Media(path=safe_path(part.folder / "wav", name), name=f"{part.folder.name}/wav/{name}")
    item = Item(split=part.split, audio=audio, extra=_extra(entry), file=entry.file, **texts)
    if pictures is not None and own.get("picture", True):
        files = [pictures / f"{called}{ending}" for ending in ENDINGS]
        path = next((f for f in files if f.is_file()), files[0])
        item.image = Media(path=safe_path(pictures, path.name), name=f"{part.folder.name}/{path.name}")
    try:
        item.words = word_times(about.get("timecode"), about.get("duration"))
    except ValueError as e:
        problems.repair(item, f"time codes that cannot be read ({e}): left out", "Copy the list again.")
    return item


def _extra(entry: _Entry) -> dict[str, Any]:
    about = entry.about
    speed, told, speaker = about.get("speed"), about.get("disfluency"), about.get("speaker")
    where, word = told if isinstance(told, list) and len(told) == 2 else [None, None]
    gender, nationality = entry.voice or VOICES.get(str(speaker)) or (None, None)
    return {
        "speed": float(speed) if isinstance(speed, int | float) and abs(speed) < 1e3 else None,
        "disfluency": where if isinstance(where, str) and where not in ("", "None") else None,
        "disfluency_word": word if isinstance(word, str) and word not in ("", "None") else None,
        "gender": gender if isinstance(gender, str) else None,
        "nationality": nationality if isinstance(nationality, str) else None,
    }


def word_times(timecode: Any, duration: Any = None) -> list[Word] | None:
    """The words of time codes [[ms, kind, value], …] (or of their JSON text), much as the corpus's own script has them.

    A word (WORD) ends where the next begins or a separator (SEPR) stands; before a pause, which is a phone (PHO) that
    a silence (SIL) closes, where that phone begins. The last one ends with a closing syllable mark (SYL), else with the
    recording (``duration``, in seconds). Punctuation, which has no length, is left out.

    Raises:
        ValueError: no such list.
    """
    if isinstance(timecode, str):
        try:
            timecode = json.loads(timecode)
        except RecursionError:
            raise ValueError("too deep") from None
    if timecode is None:
        return None
    if not isinstance(timecode, list):
        raise ValueError("no list")
    words: list[Word] = []
    word: str | None = None
    begin = end = 0.0
    phone: float | None = None
    syllable: float | None = None
    for event in timecode:
        time: Any = event[0] if isinstance(event, list) and len(event) == 3 else None
        if type(time) not in (int, float) or not abs(time) < 1e12 or not isinstance(event[2], str):
            raise ValueError(f"{str(event)[:80]} is no event")
        if event[1] in ("WORD", "SEPR", "SIL"):
            if word is not None:
                words.append((word, begin, phone if event[1] == "SIL" and phone is not None else time))
            word, begin, phone, syllable = event[2] if event[1] == "WORD" else None, time, None, None
        elif event[1] in ("PHO", "SYL"):
            phone, syllable = (time, None) if event[1] == "PHO" else (None, time)
        end = time
    if word is not None:
        if syllable is None and isinstance(duration, int | float) and abs(duration) < 1e9:
            end = 1000.0 * duration
        words.append((word, begin, end))
    return [(w, b / 1000, e / 1000) for w, b, e in words if b != e or any(map(str.isalnum, w))]
