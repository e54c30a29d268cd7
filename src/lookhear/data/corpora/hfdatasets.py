"""Hugging Face ``datasets`` as ``save_to_disk`` leaves them: Arrow streams, and JSON files that say what they hold.

A dataset is ``dataset_info.json``, ``state.json`` and ``data-00000-of-00001.arrow`` …; a ``DatasetDict`` is
``dataset_dict.json`` and a dataset in a folder for each split. They are read with pyarrow alone.

The recording and the picture are the columns of features Audio and Image, and the others are found by their usual
names; ``ClassLabel`` numbers become names. What is left is kept as columns: numbers and truth values as they are,
anything else as text. A column that holds a list of texts gives an item each, ``ID_0``, …; the recording goes with the
first. The id is that of its column, else the row's number; of several splits, numbers get their split before them,
``train_17``. Items of equal pictures share a group where no column tells it.

Options: ``ids=row`` takes the row's number for the id; any other ``OURS=THEIRS`` says what a column is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookhear.data.corpora import Raw
from lookhear.data.corpora.cells import SPLITS, as_column, media_of, rows_of, strings, words_of
from lookhear.data.items import Item, Media, Problem, Problems
from lookhear.data.read import COLUMNS
from lookhear.data.rows import EXTRA as OURS
from lookhear.data.schema import SCHEMA, safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = ["open_raw", "recognises"]

MORE_NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("transcription", "sentences", "normalized_text"),
    "speaker": ("client_id",),
    "language": ("locale",),
}
"""Names of columns that are usual among these data sets, beyond ``COLUMNS``."""
ROWS = 16
"""Rows that are made Python values at a time: they hold sounds and pictures."""
_END = b"\xff\xff\xff\xff\0\0\0\0"
_AGAIN = "Save it again with save_to_disk, or copy it again."


@dataclass(frozen=True)
class _Part:
    """A dataset: its split, its folder, its files and what its columns hold (``datasets``' features)."""

    split: str | None
    folder: Path
    files: tuple[str, ...]
    features: Mapping[str, Any]
    schema: pa.Schema


@dataclass(frozen=True)
class _Reader:
    """Makes items of rows.

    Attributes:
        columns: our name → theirs.
        held: of words, things and vector, those that there are.
        several: whether there are several splits.
    """

    columns: Mapping[str, str]
    held: frozenset[str]
    extra: tuple[pa.Field, ...]
    several: bool


def recognises(source: Path) -> bool:
    if not source.is_dir():
        return False
    return (source / "dataset_dict.json").is_file() or all(
        (source / name).is_file() for name in ("dataset_info.json", "state.json")
    )


def open_raw(source: Path, options: Mapping[str, str]) -> Raw:
    """See ``Layout``.

    Raises:
        UserError: a JSON file that is missing or damaged, no file of rows, a wrong column name, or no column of
            recordings, pictures or texts.
    """
    parts = _parts(source)
    features = {name: feature for part in parts for name, feature in part.features.items()}
    types = {field.name: field.type for part in parts for field in part.schema}
    given = {ours: theirs for ours, theirs in options.items() if ours != "ids"}
    if options.get("ids", "row") != "row":
        raise UserError(f"ids={options['ids']}", "Choose row, or name the column: id=COLUMN.")
    for ours, theirs in given.items():
        if ours not in COLUMNS:
            raise UserError(f"no column {ours!r} to be named", f"Known: ids, {', '.join(COLUMNS)}.")
        if theirs not in types:
            raise UserError(f"{source}: no column {theirs!r} (for {ours})", did_you_mean(theirs, types))
    columns = _columns(source, features, types, given)
    if "ids" in options:
        columns.pop("id", None)
    own = {*SCHEMA.names, *(f.name for f in OURS)}
    left = {n: t for n, t in types.items() if n not in columns.values() and n not in own and not _binary(t)}
    extra = tuple(pa.field(name, _type(left[name], features.get(name))) for name in left)
    held = frozenset(n for n, t in types.items() if n not in columns.values() and _fits(n, t))
    reader = _Reader(columns, held, extra, len(parts) > 1)
    unread = sorted(set(types) - set(columns.values()) - set(left) - held)
    return Raw(source.resolve().name, partial(_items, parts, reader, unread), extra)


def _parts(source: Path) -> list[_Part]:
    if not (source / "dataset_dict.json").is_file():
        return [_part(source, None)]
    splits = _read_json(source / "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or not splits or not all(isinstance(s, str) for s in splits):
        raise UserError(f"{source / 'dataset_dict.json'}: names no splits", _AGAIN)
    for split in splits:
        inside = "/" not in split and split not in ("", ".", "..") and "\0" not in split
        if not inside or not (source / split).is_dir() or (source / split).is_symlink():
            raise UserError(f"{source / 'dataset_dict.json'}: no folder {split!r} in {source}", _AGAIN)
    return [_part(source / split, split) for split in splits]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing", _AGAIN) from None
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(f"{path}: not readable JSON ({e})", _AGAIN) from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a JSON object", _AGAIN)
    return value


def _part(folder: Path, split: str | None) -> _Part:
    state, info = _read_json(folder / "state.json"), _read_json(folder / "dataset_info.json")
    if state.get("_indices_data_files"):
        raise UserError(f"{folder}: rows chosen by a list of indices", "Call flatten_indices() before save_to_disk().")
    listed = state.get("_data_files")
    told = listed if isinstance(listed, list) else []
    named = [f.get("filename") for f in told if isinstance(f, dict)]
    files = [f for f in named if isinstance(f, str)]
    if not files or len(files) < len(told):
        raise UserError(f"{folder / 'state.json'}: names no data files", _AGAIN)
    fault: UserError | None = None
    for file in files:
        try:
            with pa.memory_map(str(safe_path(folder, file))) as data, pa.ipc.open_stream(data) as stream:
                schema = stream.schema
                _ = [field.name for field in schema]  # which may be no UTF-8
                break
        except UserError as e:
            fault = fault or e
        except (pa.ArrowException, OSError, ValueError) as e:
            fault = fault or UserError(f"{folder / file}: not an Arrow stream ({_line(e)})", _AGAIN)
    else:
        assert fault is not None
        raise fault
    features = info.get("features")
    if not isinstance(features, dict):
        features = _features(schema)
    name = split if split is not None else state.get("_split")
    return _Part(SPLITS.get(name, name) if isinstance(name, str) else None, folder, tuple(files), features, schema)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What the schema itself says of its columns."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _kind(feature: Any) -> str:
    return str(feature.get("_type", "")) if isinstance(feature, dict) else ""


def _binary(kind: pa.DataType) -> bool:
    """Whether it is a file's bytes, which no further column holds."""
    if pa.types.is_struct(kind):
        return any(_binary(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _binary(kind.value_type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _fits(name: str, kind: pa.DataType) -> bool:
    """Whether a column of one of our names holds what we mean by it."""
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if listed else pa.null()
    if name == "words":
        return bool(pa.types.is_struct(kind) or pa.types.is_struct(inner))
    if name == "things":
        return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))
    return bool(name == "vector" and (pa.types.is_floating(inner) or pa.types.is_integer(inner)))


def _columns(
    source: Path, features: Mapping[str, Any], types: Mapping[str, pa.DataType], given: Mapping[str, str]
) -> dict[str, str]:
    """Our name → theirs."""
    columns = dict(given)
    for ours in ("audio", "image"):
        told = [n for n in types if _kind(features.get(n)).lower() == ours and n not in given.values()]
        told += [n for n in COLUMNS[ours] if n in types and n not in features and _binary(types[n])]
        usual = [n for n in COLUMNS[ours] if n in told]
        if ours not in columns and told:
            columns[ours] = (usual or told)[0]
    for ours, names in COLUMNS.items():
        if ours in columns or ours in ("audio", "image"):
            continue
        for name in (*names, *MORE_NAMES.get(ours, ())):
            if name in types and name not in columns.values() and not _binary(types[name]):
                columns[ours] = name
                break
    if not {"audio", "image", "text"} & set(columns):
        raise UserError(
            f"{source}: no column of recordings, pictures or texts", f"Name one: text=…; has {list(types)}."
        )
    return columns


def _type(kind: pa.DataType, feature: Any) -> pa.DataType:
    """Of a further column."""
    if _kind(feature) != "ClassLabel":
        if pa.types.is_boolean(kind):
            return pa.bool_()
        if pa.types.is_integer(kind):
            return pa.int64() if kind != pa.uint64() else kind
        if pa.types.is_floating(kind):
            return pa.float64()
    return pa.string()


def _items(parts: Sequence[_Part], reader: _Reader, unread: Sequence[str], problems: Problems) -> Iterator[Item]:
    for name in unread:
        what = f"column {name!r} is not read"
        problems.add(Problem(str(parts[0].folder), None, what, "Name it if it is needed.", "repaired"))
    for part in parts:
        number = 0
        for file in part.files:
            for row, fault in _rows(part, file, problems):
                try:
                    if row is None:
                        raise UserError(fault, "Mend the row, or leave it out.")
                    given = list(_of_row(part, file, number, row, reader))
                except UserError as e:
                    problems.add(Problem(str(part.folder / file), None, e.what, e.fix, id=f"row {number}"))
                    given = []
                number += 1
                yield from given


def _rows(part: _Part, file: str, problems: Problems) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """The rows of a file, as ``rows_of`` has them, up to where it is damaged, which is noted."""
    count = 0
    try:
        path = safe_path(part.folder, file)
        with path.open("rb") as raw:
            raw.seek(max(0, path.stat().st_size - len(_END)))
            whole = raw.read() == _END  # pyarrow takes the end of the file for the end of the stream
        with pa.memory_map(str(path)) as data, pa.ipc.open_stream(data) as stream:
            for batch in stream:
                batch.validate(full=True)  # wrong offsets would have us read outside the file
                for start in range(0, batch.num_rows, ROWS):
                    rows = batch.slice(start, ROWS)
                    count += rows.num_rows
                    yield from rows_of(rows)
        if not whole:
            raise pa.ArrowInvalid("no end of stream")
    except UserError as e:
        problems.add(Problem(str(part.folder / file), None, e.what, e.fix))
    except (pa.ArrowException, OSError, ValueError) as e:
        what = f"cut off or damaged ({_line(e)}): nothing is read after its {count} rows"
        problems.add(Problem(str(part.folder / file), None, what, _AGAIN))


def _of_row(part: _Part, file: str, number: int, row: Mapping[str, Any], reader: _Reader) -> Iterator[Item]:
    """The items of a row. Raises a UserError for one that must be refused."""

    def cell(ours: str) -> Any:
        name = reader.columns.get(ours, "")
        return _named(row.get(name), part.features.get(name)) if name else None

    def said(ours: str) -> str | None:
        value = cell(ours)
        return None if value is None else str(value)

    audio, image = (_media(part.folder, ours, cell(ours)) for ours in ("audio", "image"))
    key, split = cell("id"), said("split") or part.split
    if key is None or (reader.several and isinstance(key, int)):
        told = number if key is None else key
        key = f"{part.folder.name}_{told}" if reader.several else f"{told}"
    texts = cell("text")
    listed = [None if t is None else str(t) for t in texts] if isinstance(texts, list) and texts else []
    words, things, vector = (row.get(n) if n in reader.held else None for n in ("words", "things", "vector"))
    times = words_of(words)
    for k, text in enumerate(listed or [None if texts is None or texts == [] else str(texts)]):
        yield Item(
            id=str(key) if len(listed) <= 1 else f"{key}_{k}",
            group=said("group") or (str(key) if image is None else image.name),
            split=SPLITS.get(split, split) if split else None,
            audio=audio if not k else None,
            image=image,
            text=text,
            language=said("language"),
            speaker=said("speaker"),
            words=times if not k else None,
            things=strings(things),
            vector=_numbers(vector) if not k else None,
            extra={f.name: as_column(_named(row.get(f.name), part.features.get(f.name)), f.type) for f in reader.extra},
            file=str(part.folder / file),
        )


def _named(value: Any, feature: Any) -> Any:
    """A value with numbers of classes replaced by their names; −1 is none.

    Raises:
        UserError: a class that has no name.
    """
    if _kind(feature) == "ClassLabel":
        if isinstance(value, list):
            return [_named(v, feature) for v in value]
        names = feature.get("names")
        if not isinstance(value, int) or not isinstance(names, list):
            return value
        if not -1 <= value < len(names):
            raise UserError(f"class {value} of {len(names)}", "Mend the label.")
        return None if value < 0 else str(names[value])
    if isinstance(value, list):
        inner = feature.get("feature") if isinstance(feature, dict) else feature
        inner = inner[0] if isinstance(inner, list) and inner else inner
        return [_named(v, inner) for v in value]
    if isinstance(value, dict) and isinstance(feature, dict):
        inner = feature.get("feature") if isinstance(feature.get("feature"), dict) else feature
        return {k: _named(v, inner.get(k) if isinstance(inner, dict) else None) for k, v in value.items()}
    return value


def _media(folder: Path, ours: str, value: Any) -> Media | None:
    """A sound or picture. Raises a UserError for what is none."""
    if isinstance(value, dict):
        data, path = value.get("bytes"), value.get("path")
    else:
        data, path = (value, None) if isinstance(value, bytes) else (None, value)
    if data is not None and not isinstance(data, bytes):
        raise UserError(f"{ours} holds {type(data).__name__}, no bytes of a file", "Save it as an Audio or Image.")
    if data is not None:
        return media_of(data, path)
    if path is None:
        return None
    if not isinstance(path, str):
        raise UserError(f"{ours} holds {type(path).__name__}, no file", "Save it as an Audio or Image.")
    try:
        return Media(path=safe_path(folder, path), name=path)
    except UserError as e:
        raise UserError(
            f"{ours} without bytes: {e.what}", "Embed the files: save_to_disk of a newer datasets."
        ) from None


def _numbers(value: Any) -> list[float] | None:
    if not isinstance(value, list) or not all(isinstance(v, int | float) for v in value):
        return None
    return [float(v) for v in value]
