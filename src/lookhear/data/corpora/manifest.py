"""A folder with a manifest: JSONL, CSV, Parquet or npz, a row an item (or one item for each of its texts).

Options: ``manifest`` names the file where there are several; any other ``OURS=THEIRS`` says what a column is called.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookhear.data.corpora import Raw
from lookhear.data.items import Item, Media, Problem, Problems, Word
from lookhear.data.manifest import find_manifest, read_manifest_rows
from lookhear.data.read import COLUMNS, find_columns, word_times
from lookhear.data.schema import SCHEMA, safe_path
from lookhear.errors import UserError

__all__ = ["open_raw", "recognises"]

LOOKED_AT = 1000
"""Rows that tell which column is what and which type it has."""

Line = tuple[int, dict[str, Any] | None, str]
"""Number of a line (or row), what it holds, and what is wrong with it if it holds nothing."""


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
    first = [row for _, row, _ in islice(_lines(path, columns), LOOKED_AT) if row is not None]
    if not first:
        raise UserError(f"{path}: the manifest has no rows", "List at least one item.")
    if path.suffix == ".npz":
        found = {k: k for k in ("id", "split", *columns)}
    else:
        found = find_columns(first, columns, path.parent, path)
    taken = {found[k] for k in found if k not in columns or k in ("audio", "image", "text")}
    names = [k for k in dict.fromkeys(k for row in first for k in row) if k not in taken and k not in SCHEMA.names]
    extra = tuple(pa.field(name, _type([row.get(name) for row in first])) for name in names)
    items = partial(_items, path, columns, found, extra)
    return Raw(path.parent.resolve().name, items, extra)


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
        reader = csv.DictReader(file)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as e:
                yield reader.line_num, None, f"not CSV ({e})"
                continue
            if row is None:
                return
            if any("\udc80" <= c <= "\udcff" for v in row.values() for c in str(v)):
                yield reader.line_num, None, "not UTF-8 text"
            elif None in row:
                yield reader.line_num, None, "more fields than the first line names"
            else:
                yield reader.line_num, {k: v or None for k, v in row.items()}, ""


def _parquet(path: Path) -> Iterator[Line]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, ""
    except (pa.ArrowException, OSError) as e:
        raise UserError(f"{path}: not a readable Parquet file ({str(e).splitlines()[0]})", "Copy it again.") from None


def _items(
    path: Path,
    columns: Mapping[str, str],
    found: Mapping[str, str],
    extra: tuple[pa.Field, ...],
    problems: Problems,
) -> Iterator[Item]:
    for number, row, fault in _lines(path, columns):
        if row is None:
            problems.add(Problem(str(path), number, fault, "Mend the line."))
            continue
        try:
            yield from _of_row(path, number, row, found, extra)
        except UserError as e:
            key = row.get(found.get("id", "id"))
            problems.add(Problem(str(path), number, e.what, e.fix, id=None if key is None else str(key)))


def _of_row(
    path: Path, number: int, row: Mapping[str, Any], found: Mapping[str, str], extra: tuple[pa.Field, ...]
) -> Iterator[Item]:
    def text(ours: str) -> str | None:
        value = row.get(found[ours]) if ours in found else None
        return None if value is None else str(value)

    def media(ours: str) -> Media | None:
        value = row.get(found[ours]) if ours in found else None
        if isinstance(value, dict) and set(value) <= {"path", "bytes"}:  # as Hugging Face and LookHear keep media
            if value.get("bytes") is not None:
                return Media(data=bytes(value["bytes"]), name=str(value.get("path") or ""))
            value = value.get("path")
        if value is None:
            return None
        if isinstance(value, bytes):
            return Media(data=value)
        return Media(path=safe_path(path.parent, str(value)), name=str(value))

    key = text("id") or str(number - (path.suffix == ".csv") - 1)
    said = row.get(found["text"]) if "text" in found else None
    texts = [str(t) for t in said] if isinstance(said, (list, tuple)) else [None if said is None else str(said)]
    for k, each in enumerate(texts or [None]):
        vector = row.get("vector")
        yield Item(
            id=key if len(texts) <= 1 else f"{key}_{k}",
            group=text("group") or key,
            split=text("split"),
            audio=media("audio"),
            image=media("image"),
            text=each,
            language=text("language"),
            speaker=text("speaker"),
            words=_words(row.get("words")),
            things=_strings(row.get("things")),
            vector=[float(v) for v in vector] if isinstance(vector, list) and not k else None,
            extra={f.name: _value(row.get(f.name), f.type) for f in extra},
            file=str(path),
            line=number,
        )


def _words(value: Any) -> list[Word] | None:
    try:
        times = word_times(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError("word times that are no numbers", "Give seconds: [{word, start, end}].") from None
    return None if times is None else [(w["word"], w["start"], w["end"]) for w in times]


def _strings(value: Any) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def _value(value: Any, kind: pa.DataType) -> Any:
    """A cell as its column has it.

    Raises:
        UserError: it is not of the kind that the first rows are of.
    """
    if value is None or (pa.types.is_string(kind) and isinstance(value, str)):
        return value
    if pa.types.is_string(kind):
        return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError):
        raise UserError(f"{value!r} in a column of {kind}", "Give the rows of a column one type.") from None
