"""Rows of any corpus given names of the Flickr8k kind, and a list beside them of what such names cannot say.

The layouts call a picture ``<image>.jpg`` and its captions ``<image>_<k>``. A group becomes a picture: its name, with
``-`` for what programs stumble over and a number where two would be alike. Its recordings and texts get numbers: the
one that their id ends in where they are called ``<image>_<k>`` already, else the smallest that is free. Whatever
reading would then give otherwise than it was (id, group, split, speaker, language, spaces of a text) is written to
``lookhear.jsonl``, a line ``{"name": …}`` an item with the fields that differ; other programs pass it over, and our
readers put them back. A row of a picture alone is named ``<image>.jpg`` there.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookhear.data.corpora.flickr_lists import stem_of
from lookhear.data.items import Item, Problem, Problems
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["OWN", "NamedRow", "differences", "name_rows", "put_back", "read_own", "sound_as_wav"]

OWN = "lookhear.jsonl"
_FIELDS = ("id", "group", "split", "speaker", "language", "text")


@dataclass(frozen=True)
class NamedRow:
    """A row and what it is called in the layout.

    Attributes:
        row: its number in the corpus.
        picture: the name of its picture, without ``.jpg``.
        number: of its recording or text; None for a row of a picture alone.
        values: id, group, split, speaker, language and text.
        audio, image: whether it has a recording; whether its picture is to be written with it.
    """

    row: int
    picture: str
    number: int | None
    values: Mapping[str, str | None]
    audio: bool
    image: bool


def name_rows(corpus: Corpus) -> list[NamedRow]:
    """All rows, those of a group next to each other, pictures alone first.

    Raises:
        UserError: no recordings, a group in several splits or with several pictures, a row with nothing to write.
    """
    if not len(corpus.recordings):
        raise UserError(f"{corpus.name or corpus.root}: no recordings to write", "Take a corpus that has some.")
    columns = {name: corpus.column(name) for name in _FIELDS}
    columns["group"] = [g if g is not None else i for g, i in zip(columns["group"], columns["id"])]
    groups: dict[str, list[int]] = {}
    for row, group in enumerate(columns["group"]):
        groups.setdefault(group, []).append(row)
    has = {name: corpus.table[name].is_valid().to_pylist() for name in ("audio", "image", "text")}
    named: list[NamedRow] = []
    taken: set[str] = set()
    for group, rows in groups.items():
        _check_splits(corpus, group, {columns["split"][r] for r in rows})
        shown = _shown(corpus, group, [r for r in rows if has["image"][r]])
        picture = _free_name(stem_of(group), taken)
        alone = [r for r in rows if not has["audio"][r] and not has["text"][r]]
        if len(alone) > 1 or any(not has["image"][r] for r in alone):
            raise UserError(
                f"item {columns['id'][alone[-1]]!r} has no recording, text or picture of its own",
                "Leave it out (lookhear subset).",
            )
        numbers = _numbers(picture, {r: columns["id"][r] for r in rows if r not in alone})
        for row in [*alone, *numbers]:
            values = {name: columns[name][row] for name in _FIELDS}
            named.append(NamedRow(row, picture, numbers.get(row), values, has["audio"][row], row == shown))
    return named


def _check_splits(corpus: Corpus, group: str, splits: set[str | None]) -> None:
    if len(splits) > 1:
        told = ", ".join(sorted(str(s) for s in splits))
        raise UserError(
            f"{corpus.name or corpus.root}: group {group!r} is in several splits ({told}); this layout splits pictures",
            "Split it by picture first (lookhear split).",
        )


def _shown(corpus: Corpus, group: str, rows: list[int]) -> int | None:
    """The first row of a group's picture.

    Raises:
        UserError: there are several pictures.
    """
    seen = set()
    for row in rows:
        cell = corpus.table["image"][row].as_py()
        told = corpus.table["image_hash"][row].as_py() if "image_hash" in corpus.table.column_names else None
        seen.add(told or (cell["path"] if cell["bytes"] is None else hashlib.sha256(cell["bytes"]).digest()))
    if len(seen) > 1:
        raise UserError(
            f"{corpus.name or corpus.root}: group {group!r} has {len(seen)} pictures; in this layout it has one",
            "Give each picture a group of its own.",
        )
    return rows[0] if rows else None


def _free_name(group: str, taken: set[str]) -> str:
    """A name for a file, without what shells and list files stumble over, that no other group has."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", group)[:100].lstrip(".-") or "picture"
    name, more = plain, 1
    while name.casefold() in taken:
        more += 1
        name = f"{plain}-{more}"
    taken.add(name.casefold())
    return name


def _numbers(picture: str, ids: Mapping[int, str]) -> dict[int, int]:
    """A number for each row, no two alike."""
    kept: dict[int, int] = {}
    used: set[int] = set()
    for row, name in ids.items():
        told = re.fullmatch(r"(?:S\d{3,}_)?(.+)_(0|[1-9][0-9]{0,8})", name)
        if told and told[1] == picture and int(told[2]) not in used:
            kept[row] = int(told[2])
            used.add(kept[row])
    free = 0
    for row in ids:
        if row not in kept:
            while free in used:
                free += 1
            used.add(free)
            kept[row] = free
    return dict(sorted(kept.items(), key=lambda k: k[1]))


def differences(name: str, read: Mapping[str, str | None], values: Mapping[str, str | None]) -> str:
    """The line of ``lookhear.jsonl``, or "" where reading gives the values anyway."""
    other = {k: values[k] for k in _FIELDS if values[k] != read.get(k)}
    return json.dumps({"name": name, **other}, ensure_ascii=False) + "\n" if other else ""


def read_own(source: Path, problems: Problems) -> dict[str, dict[str, str | None]]:
    """``lookhear.jsonl``: name in the layout → the fields that it cannot say; empty where there is no such file."""
    path, own = source / OWN, dict[str, dict[str, str | None]]()
    if not path.is_file():
        return own
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                told = json.loads(line.decode())
            except (ValueError, RecursionError):
                told = None
            name = told.pop("name", None) if isinstance(told, dict) else None
            if isinstance(name, str) and _whole(told):
                own[name] = told
            else:
                fault = f"not a JSON object with 'name' and any of {', '.join(_FIELDS)}"
                problems.add(Problem(str(path), number, fault, "Export the corpus again."))
    return own


def _whole(told: Mapping[str, Any]) -> bool:
    texts = all(k in _FIELDS and (v is None or isinstance(v, str)) for k, v in told.items())
    return texts and told.get("id", "") is not None


def put_back(item: Item, told: Mapping[str, str | None] | None) -> Item:
    """The item with what ``lookhear.jsonl`` says of it."""
    return replace(item, **told) if told else item  # type: ignore[arg-type]  # names and types were checked


def sound_as_wav(sound: bytes | Path, name: str) -> bytes:
    """The same samples as a WAV file; a WAV stays as it is, 24 bits stay 24, anything else becomes 16.

    Raises:
        UserError: it cannot be read.
    """
    import soundfile as sf

    try:
        data = sound if isinstance(sound, bytes) else sound.read_bytes()
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            return data
        with sf.SoundFile(io.BytesIO(data)) as file:
            fine = file.subtype == "PCM_24"
            wave, rate = file.read(dtype="int32" if fine else "int16", always_2d=True), file.samplerate
    except (OSError, sf.LibsndfileError) as e:
        raise UserError(f"{name}: the recording cannot be read ({e})", "Prepare the corpus again.") from None
    out = io.BytesIO()
    sf.write(out, wave, rate, format="WAV", subtype="PCM_24" if fine else "PCM_16")
    return out.getvalue()
