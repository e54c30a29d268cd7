"""A prepared corpus written in the layout of SPEECH-COCO.

The layout has numbers for pictures and captions. A corpus whose ids and groups are not of its form is numbered from 1.
Its own ids, groups and languages, and whether there is a picture, stand in a table ``lookhear`` of the database and
under this key in the JSON files, where they are read again; other programs do not look there. Splits other than train
and val become folders ``SPLIT2014``, and pictures lie in ``images/`` beside them. Items come back in order of their
splits and pictures.

Times are written in milliseconds with four decimals. 16-bit WAV files are kept byte for byte and 16-bit FLAC files
sample for sample; other sounds are rounded to 16 bits. What the layout cannot say is refused: recordings without a
split. Rows without a recording have no place in it (``captions_out.not_written``).
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from PIL import Image

from lookhear.data.corpora.captions_out import recordings_of, write_wav
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError

__all__ = ["ENDINGS", "OWN", "VOICES", "picture_name", "write_raw"]

VOICES: Mapping[str, tuple[str, str]] = {
    "Amanda": ("Female", "US"),
    "Bronwen": ("Female", "UK"),
    "Bruce": ("Male", "US"),
    "Elizabeth": ("Female", "UK"),
    "Jenny": ("Female", "US"),
    "Judith": ("Female", "UK"),
    "Paul": ("Male", "UK"),
    "Phil": ("Male", "US"),
}
"""Gender and nationality of the corpus's voices."""
ENDINGS = (".jpg", ".png", ".jpeg", ".webp", ".gif", ".bmp", ".tiff")

_ID = re.compile(r"([0-9]{1,12})_([0-9]{1,18})_([^_/]+)_(None|Beginning|Middle|End)_[0-9]+-[0-9]+")
OWN = ("id", "group", "language", "picture")
"""What is told beside of a corpus of other names."""
_OWN_TABLE = """
CREATE TABLE lookhear (captionID INTEGER PRIMARY KEY, id TEXT, "group" TEXT, language TEXT, picture INTEGER)
"""
_SPLIT = re.compile(r"[A-Za-z][A-Za-z_-]*")
# Nothing needs to survive a crash here: the folder is renamed when all of it is written.
_TABLES = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
CREATE TABLE speakers (name TEXT PRIMARY KEY, gender TEXT, nationality TEXT);
CREATE TABLE captions (captionID INTEGER PRIMARY KEY, imageID INTEGER, wavFilename TEXT, duration FLOAT,
    timecode TEXT, disfluencyPos TEXT, disfluencyVal TEXT, speed FLOAT, text TEXT, speaker TEXT);
"""


@dataclass(frozen=True)
class _Line:
    """Where a row goes: the numbers of its picture and caption, its files' name, and the row that has its picture."""

    row: int
    image: int
    caption: int
    stem: str
    shown: int | None


def picture_name(split: str, image: int) -> str:
    """What MSCOCO calls a picture of 2014, without the ending."""
    return f"COCO_{split}2014_{image:012d}"


def write_raw(corpus: Corpus, out: Path) -> None:
    """Writes a corpus in this layout into a new folder; see above.

    Raises:
        UserError: the folder is not empty, there is no space, there are no recordings, or one has no split of plain
            letters.
    """
    columns = {n: corpus.column(n) for n in corpus.table.column_names if n not in ("audio", "image", "masks", "vector")}
    heard = recordings_of(corpus)
    for row in heard:
        split = columns["split"][row]
        if split is None or not _SPLIT.fullmatch(split):
            name = columns["id"][row]
            raise UserError(f"{corpus.name}: {name} is of split {split!r}", "Name splits by letters, - and _ alone.")
    lines, own = _lines(corpus, columns, heard)
    with new_folder(out) as building:
        for split in sorted({columns["split"][row] for row in heard}):
            here = [line for line in lines if columns["split"][line.row] == split]
            try:
                _write_part(corpus, columns, here, own, building, split)
            except sqlite3.Error as e:
                raise UserError(f"cannot write the database of {out} ({e})", "Check the disk.") from None


def _lines(corpus: Corpus, columns: Mapping[str, Sequence[Any]], heard: Sequence[int]) -> tuple[list[_Line], bool]:
    """Every recording's line; and whether ids and groups are not of the layout's form and must be told beside."""
    shown = _shown(corpus, columns)
    kept, seen = [], set()
    for row in heard:
        name = _ID.fullmatch(columns["id"][row])
        if name is None or columns["group"][row] != picture_name(columns["split"][row], int(name[1])):
            break
        if columns["speaker"][row] != name[3] or columns["language"][row] != "en":
            break
        kept.append(_Line(row, int(name[1]), int(name[2]), name[0], shown[row]))
        seen.add((columns["split"][row], int(name[2])))
    # The layout expects a picture of every number, or none at all.
    pictured = {(columns["split"][row], shown[row] is not None) for row in heard}
    if len(seen) == len(heard) and len(pictured) == len({split for split, _ in pictured}):
        return kept, False
    numbers: dict[Any, int] = {}
    lines = []
    for row in heard:
        picture = shown[row]
        key = picture if picture is not None else ("none", columns["group"][row])
        image = numbers.setdefault(key, len(numbers) + 1)
        speaker = re.sub(r"[^A-Za-z0-9-]+", "-", columns["speaker"][row] or "") or "Unknown"
        where, _, speed = _manner(columns, row)
        stem = f"{image}_{row + 1}_{speaker[:64]}_{where}_{speed:.1f}".replace(".", "-")
        lines.append(_Line(row, image, row + 1, stem, picture))
    return lines, True


def _shown(corpus: Corpus, columns: Mapping[str, Sequence[Any]]) -> list[int | None]:
    """For every row, the first row that has its picture: the same file or bytes, else one of its group."""
    image = corpus.table["image"]
    has, paths = image.is_valid().to_pylist(), pc.struct_field(image, "path").to_pylist()
    hashes = columns.get("image_hash", [None] * len(corpus))
    by_hash: dict[Any, int] = {}
    by_path: dict[Any, int] = {}
    by_group: dict[Any, int] = {}
    own: list[int | None] = []
    for row, held in enumerate(has):
        first = None
        if held:
            first = row
            if hashes[row] is not None:
                first = by_hash.setdefault(hashes[row], row)
            elif paths[row] is not None:
                first = by_path.setdefault(paths[row], row)
            by_group.setdefault(columns["group"][row], first)
        own.append(first)
    return [
        first if first is not None else by_hash.get(h, by_group.get(g)) if h is not None else by_group.get(g)
        for first, h, g in zip(own, hashes, columns["group"])
    ]


def _manner(columns: Mapping[str, Sequence[Any]], row: int) -> tuple[str, str, float]:
    """Where a disfluency stands, its word, and the speed."""

    def told(name: str) -> Any:
        return columns[name][row] if name in columns else None

    where, word, speed = told("disfluency"), told("disfluency_word"), told("speed")
    return (
        where if where in ("Beginning", "Middle", "End") else "None",
        word if isinstance(word, str) and word else "None",
        float(speed) if isinstance(speed, int | float) and 0 < speed < 100 else 1.0,
    )


def _write_part(
    corpus: Corpus,
    columns: Mapping[str, Sequence[Any]],
    lines: Sequence[_Line],
    own: bool,
    building: Path,
    split: str,
) -> None:
    import soundfile as sf

    folder, images = building / f"{split}2014", building / "images" / f"{split}2014"
    for made in (folder / "wav", folder / "json"):
        made.mkdir(parents=True)
    drawn: set[int] = set()
    with closing(sqlite3.connect(folder / f"{split}_2014.sqlite3")) as db:
        db.executescript(_TABLES)
        if own:
            db.execute(_OWN_TABLE)
        for line in lines:
            row = line.row
            path = folder / "wav" / f"{line.stem}.wav"
            write_wav(_data(corpus, "audio", row), path, columns["id"][row])
            about = _about(columns, line, sf.info(path).duration, own)
            text = json.dumps(about, ensure_ascii=False)
            (folder / "json" / f"{line.stem}.json").write_text(text, encoding="utf-8")
            _insert(db, about, columns, row)
            if line.shown is not None and line.image not in drawn:
                drawn.add(line.image)
                data = _data(corpus, "image", line.shown)
                images.mkdir(parents=True, exist_ok=True)
                (images / f"{picture_name(split, line.image)}{_ending(data, line.stem)}").write_bytes(data)
        db.commit()


def _about(columns: Mapping[str, Sequence[Any]], line: _Line, seconds: float, own: bool) -> dict[str, Any]:
    """What the JSON file says."""
    where, word, speed = _manner(columns, line.row)
    about: dict[str, Any] = {
        "duration": seconds,
        "speaker": columns["speaker"][line.row],
        "synthesisedCaption": columns["text"][line.row],
        "timecode": list(_events(columns["words"][line.row] or ())),
        "speed": speed,
        "wavFilename": f"{line.stem}.wav",
        "captionID": line.caption,
        "imgID": line.image,
        "disfluency": [where, word],
    }
    if columns["words"][line.row] is None:
        about["timecode"] = None
    if own:
        id_, group = columns["id"][line.row], columns["group"][line.row]
        about["lookhear"] = {
            "id": id_,
            "group": group or id_,
            "language": columns["language"][line.row],
            "picture": line.shown is not None,
        }
    return about


def _events(words: Sequence[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Time codes: a syllable mark and a separator open and close each word."""
    for word in words:
        begin, end = (round(1000 * word[k], 4) for k in ("start", "end"))
        yield from ([begin, "SYL", ""], [begin, "SEPR", " "], [begin, "WORD", word["word"]])
        yield from ([end, "SYL", ""], [end, "SEPR", " "])


def _insert(db: sqlite3.Connection, about: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], row: int) -> None:
    timecode = None if about["timecode"] is None else json.dumps(about["timecode"])
    keys = ("captionID", "imgID", "wavFilename", "duration")
    values = [*(about[k] for k in keys), timecode, *about["disfluency"], about["speed"]]
    values += [about["synthesisedCaption"], about["speaker"]]
    db.execute("INSERT INTO captions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    if about["speaker"] is not None:
        known = VOICES.get(about["speaker"], (None, None))
        given = [columns[n][row] if n in columns else None for n in ("gender", "nationality")]
        voice = [g if isinstance(g, str) else k for g, k in zip(given, known)]
        db.execute("INSERT OR IGNORE INTO speakers VALUES (?, ?, ?)", (about["speaker"], *voice))
    if "lookhear" in about:
        db.execute(
            "INSERT INTO lookhear VALUES (?, ?, ?, ?, ?)", (about["captionID"], *(about["lookhear"][k] for k in OWN))
        )


def _data(corpus: Corpus, column: str, row: int) -> bytes:
    media = corpus.media(column, row)
    return media if isinstance(media, bytes) else media.read_bytes()


def _ending(data: bytes, name: str) -> str:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            ending = f".{str(picture.format).lower()}"
    except OSError as e:
        raise UserError(f"{name}: not a picture ({e})", "Prepare it again.") from None
    return ending if ending in ENDINGS and ending != ".jpeg" else ".jpg"
