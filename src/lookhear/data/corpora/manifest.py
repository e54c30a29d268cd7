"""A folder with a manifest: JSONL, CSV, Parquet or npz, a row an item (or one item for each of its texts).

Options: ``manifest`` names the file where there are several; any other ``OURS=THEIRS`` says what a column is called.

A column of our name that holds something else, such as ``words`` without times, is told of once and not read. A line of
CSV whose quotes do not close is refused alone.
"""

from __future__ import annotations

import csv
import json
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookhear.data.corpora import Raw
from lookhear.data.corpora.cells import as_column, is_unicode, media_of, rows_of, strings, words_of
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.data.manifest import find_manifest, read_manifest_rows
from lookhear.data.read import COLUMNS, find_columns
from lookhear.data.rows import EXTRA as OURS
from lookhear.data.schema import SCHEMA, safe_path
from lookhear.errors import UserError

__all__ = ["open_raw", "recognises"]

LOOKED_AT = 1000
"""Rows that tell which column is what and which type it has."""
MOST_LINES = 1000
"""Of one row of CSV; more lines are taken for a quote that was never closed."""
HELD = ("words", "things", "vector")
LARGEST = 3.4e38
"""Of numbers of 32 bits, about."""

Line = tuple[int, dict[str, Any] | None, str]
"""Number of a line (or row), what it holds, and what is wrong with it if it holds nothing."""


@dataclass(frozen=True)
class _Columns:
    """Which column is what.

    Attributes:
        found: our name → the manifest's.
        held: of ``HELD``, those that hold what we mean by them.
        unread: columns that mean something to us and hold something else, or that are no Unicode, and what is said.
    """

    found: Mapping[str, str]
    held: frozenset[str]
    extra: tuple[pa.Field, ...]
    unread: Mapping[str, str]


def recognises(source: Path) -> bool:
    suffixes = {".jsonl", ".csv", ".parquet", ".npz"}
    if source.is_file():
        return source.suffix in suffixes
    return any(p.suffix in suffixes for p in source.iterdir() if p.is_file())


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: no manifest or several, no column that names recordings, pictures or texts, a wrong column name.
    """
    columns = {k: v for k, v in options.items() if k != "manifest"}
    for name in columns:
        if name not in COLUMNS:
            raise UserError(f"no column {name!r} to be named", f"Known: manifest, {', '.join(COLUMNS)}.")
    path = source if source.is_file() else find_manifest(source, options.get("manifest", ""))
    told = list(islice(_lines(path, columns), LOOKED_AT))
    first = [row for _, row, _ in told if row is not None]
    if not first and told:
        raise UserError(f"{path}: no row can be read; line {told[0][0]}: {told[0][2]}", "Mend the manifest.")
    if not first:
        raise UserError(f"{path}: the manifest has no rows", "List at least one item.")
    if path.suffix == ".npz":
        found = {k: k for k in ("id", "split", *columns)}
    else:
        found = find_columns(first, columns, path.parent, path)
    taken = {found[k] for k in found if k not in columns or k in ("audio", "image", "text")}
    names = [k for k in dict.fromkeys(k for row in first for k in row) if k not in taken]
    held = frozenset(n for n in HELD if n in names and any(_fits(n, row.get(n)) for row in first))
    kept = [n for n in names if n not in SCHEMA.names and is_unicode(n)]
    wrong = [n for n in names if n not in kept and n not in held and n not in found.values()]
    unread = {n: "is not read" + (f": it holds no {n}" if n in SCHEMA.names else "") for n in wrong}
    if "group" not in columns and found.get("group") in (*COLUMNS["audio"], *COLUMNS["image"]):
        unread[found["group"]] = f"names files, and none of them is in {path.parent}: it only tells groups"
    # The seconds of a recording and the like are measured.
    fields = [n for n in kept if n not in {f.name for f in OURS}]
    extra = tuple(pa.field(name, _type([row.get(name) for row in first])) for name in fields)
    items = partial(_items, path, columns, _Columns(found, held, extra, unread))
    return Raw(path.parent.resolve().name, items, extra)


def _fits(name: str, value: Any) -> bool:
    """Whether a cell holds what we mean by its column; of numbers and times it is seen later if they are sound."""
    if name == "words":
        try:
            return words_of(value) is not None
        except UserError:
            return True
    return isinstance(value, list) if name == "vector" else strings(value) is not None


def _type(values: list[Any]) -> pa.DataType:
    """Of a further column: numbers and truth values as they are, anything else as text."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


def _lines(path: Path, columns: Mapping[str, str]) -> Iterator[Line]:
    if path.suffix == ".jsonl":
        yield from _jsonl(path)
    elif path.suffix == ".csv":
        yield from _csv(path)
    elif path.suffix == ".parquet":
        yield from _parquet(path)
    else:
        yield from ((i, row, "") for i, row in enumerate(read_manifest_rows(path, columns), 1))


def _jsonl(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as e:
                yield number, None, f"not UTF-8 text ({e.reason})"
            except (ValueError, RecursionError) as e:
                yield number, None, f"not JSON ({str(e) or type(e).__name__})"
            else:
                whole = isinstance(row, dict)
                yield number, row if whole else None, "" if whole else "not a JSON object"


def _csv(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        names: list[str] = []
        for number, fields, fault in _records(file):
            if fields is None:
                yield number, None, fault
                if not names:  # rows would be read under the names of none
                    return
            elif not is_unicode("".join(fields)):
                yield number, None, "not UTF-8 text"
                if not names:
                    return
            elif not names:
                names = fields
                twice = sorted({n for n in names if names.count(n) > 1})
                if twice:
                    raise UserError(f"{path}, line {number}: two columns {twice[0]!r}", "Rename one of them.")
            elif len(fields) != len(names):
                yield number, None, f"{len(fields)} fields, and the first line names {len(names)}"
            else:
                yield number, {k: v or None for k, v in zip(names, fields)}, ""


def _records(file: IO[str]) -> Iterator[tuple[int, list[str] | None, str]]:
    """The rows of a CSV file with the line where each begins; of a line that is none, what is wrong.

    A quote that is not closed costs its own line alone: the reader would take all that follows into one field.
    """
    ahead: deque[str] = deque()
    number = 1
    while True:
        taken: list[str] = []

        def lines(taken: list[str] = taken) -> Iterator[str]:
            while len(taken) < MOST_LINES and (line := ahead.popleft() if ahead else file.readline()):
                taken.append(line)
                yield line

        try:
            fields = next(csv.reader(lines(), strict=True), None)
        except csv.Error as e:
            yield number, None, f"not CSV ({e})"
            ahead.extendleft(reversed(taken[1:]))
            number += 1
            continue
        if fields is None:
            return
        if fields:
            yield number, fields, ""
        number += len(taken)


def _parquet(path: Path) -> Iterator[Line]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(64):
                for row, fault in rows_of(batch):
                    number += 1
                    yield number, row, fault
    except (pa.ArrowException, OSError, ValueError) as e:
        why = (str(e) or type(e).__name__).splitlines()[0]
        if not number:
            raise UserError(f"{path}: not a readable Parquet file ({why})", "Copy it again.") from None
        yield number + 1, None, f"cut off or damaged ({why}): nothing is read from there on"


def _items(path: Path, options: Mapping[str, str], columns: _Columns, problems: Problems) -> Iterator[Item]:
    for name, said in columns.unread.items():
        fix = "Give it another name, or the form that is meant."
        problems.add(Problem(str(path), None, f"column {name!r} {said}", fix, "repaired"))
    for number, row, fault in _lines(path, options):
        if row is None:
            problems.add(Problem(str(path), number, fault, "Mend the line."))
            continue
        try:
            yield from _of_row(path, number, row, columns, problems)
        except UserError as e:
            key = row.get(columns.found.get("id", "id"))
            problems.add(Problem(str(path), number, e.what, e.fix, id=None if key is None else str(key)))


def _of_row(path: Path, number: int, row: Mapping[str, Any], columns: _Columns, problems: Problems) -> Iterator[Item]:
    def text(ours: str) -> str | None:
        return _said(ours, row.get(columns.found[ours]) if ours in columns.found else None)

    key = text("id") or str(number - (path.suffix == ".csv") - 1)
    said = row.get(columns.found["text"]) if "text" in columns.found else None
    texts = [_said("text", t) for t in (said if isinstance(said, (list, tuple)) else [said])]
    media = {
        ours: _media(path.parent, ours, row.get(columns.found[ours]) if ours in columns.found else None)
        for ours in ("audio", "image")
    }
    told = {name: row.get(name) for name in columns.held if row.get(name) is not None}
    words, things = words_of(told.get("words")), strings(told.get("things"))
    vector = _vector(told.get("vector"))
    if vector is None and not any((*media.values(), *texts)):
        raise UserError("no recording, picture, text or vector", "Give one of them, or take the row out.")
    for k, each in enumerate(texts or [None]):
        item = Item(
            id=key if len(texts) <= 1 else f"{key}_{k}",
            group=text("group") or key,
            split=text("split"),
            audio=media["audio"],
            image=media["image"],
            text=each,
            language=text("language"),
            speaker=text("speaker"),
            words=words,
            things=things,
            vector=vector if not k else None,
            extra={f.name: as_column(row.get(f.name), f.type) for f in columns.extra},
            file=str(path),
            line=number,
        )
        for name, read in (("words", words), ("things", things)):
            if read is None and name in told and not k:
                problems.repair(item, f"{name} of another form: left out", "Give them as in the other rows, or null.")
        yield item


def _said(ours: str, value: Any) -> str | None:
    """A cell that holds a text.

    Raises:
        UserError: it holds something else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{ours} is {value}", "Write null where there is none.")
    if isinstance(value, (list, tuple, dict, bytes)):
        raise UserError(f"{ours} holds {type(value).__name__}, no text", "Give a text, or null.")
    return str(value)


def _media(folder: Path, ours: str, value: Any) -> Media | None:
    """A sound or picture: a path, bytes, or both as Hugging Face and LookHear keep them.

    Raises:
        UserError: it is none of these, or a path that leaves the folder or leads to no file.
    """
    name = None
    if isinstance(value, dict) and set(value) <= {"path", "bytes"}:
        name, value = value.get("path"), value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if value is None:
        return None
    if isinstance(value, bytes):
        return media_of(value, name)
    if not isinstance(value, str):
        raise UserError(f"{ours} holds {type(value).__name__}, no file", "Give a path, or null.")
    return Media(path=safe_path(folder, value), name=value)


def _vector(value: Any) -> list[float] | None:
    """An image vector.

    Raises:
        UserError: it holds something else than finite numbers of 32 bits.
    """
    if value is None:
        return None
    numbers: Sequence[Any] = value if isinstance(value, list) else ["none"]
    if not all(isinstance(v, (int, float)) and abs(v) <= LARGEST for v in numbers):  # NaN is not, either
        raise UserError("vector holds what is no number", "Give a list of finite numbers, or null.")
    return [float(v) for v in numbers]
