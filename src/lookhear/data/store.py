"""A prepared corpus on disk: Arrow IPC shards and ``corpus.json``, written whole or not at all.

Shards are read memory-mapped and in place: sounds and pictures stay in the page cache, which processes share, and cost
no memory of their own. So nothing in them is compressed; FLAC, PNG and JPEG would not shrink further anyway.
"""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookhear.data.schema import SCHEMA, SCHEMA_VERSION, Corpus
from lookhear.errors import UserError

__all__ = [
    "MANIFEST",
    "new_folder",
    "read_manifest",
    "read_store",
    "write_corpus",
    "write_error",
    "write_shard",
    "write_table",
]

MANIFEST = "corpus.json"
BATCH_ROWS, BATCH_BYTES = 2048, 16 << 20
"""The most of a record batch, which is held in memory while it is written; each costs whoever opens the corpus some
kilobytes, so small ones would add up to more than that."""
_AGAIN = "Delete the folder and prepare the corpus again."


def write_corpus(
    rows: Iterable[Mapping[str, Any]],
    folder: Path,
    meta: Mapping[str, Any],
    shard_rows: int = 2000,
    extra: Sequence[pa.Field] = (),
) -> Path:
    """Writes ``items-00000.arrow`` … and ``corpus.json`` into a new folder, which appears only when it is whole.

    Args:
        rows: keys are columns of ``SCHEMA`` or of ``extra``; a missing key is null.
        folder: must not exist, or be empty.
        meta: goes into ``corpus.json`` when all rows are written, so the rows' generator may still fill it. The keys
            "schema" and "shards" are added.

    Raises:
        UserError: the folder is not empty, a row has an unknown key, or the disk is full.
    """
    schema = pa.schema([*SCHEMA, *extra])
    with new_folder(folder) as building:
        shards: list[dict[str, Any]] = []
        known = _known(rows, set(schema.names))
        for first in known:
            shard = chain([first], islice(known, shard_rows - 1))
            shards.append(write_shard(shard, schema, building, len(shards)))
        if not shards:
            shards.append(write_shard(iter(()), schema, building, 0))
        _write_manifest(building, meta, shards)
    return Path(folder)


def write_table(table: pa.Table, folder: Path, meta: Mapping[str, Any], shard_rows: int = 2000) -> Path:
    """As ``write_corpus``, of a table that has the columns of ``SCHEMA`` and perhaps more."""
    with new_folder(folder) as building:
        shards: list[dict[str, Any]] = []
        for start in range(0, max(1, table.num_rows), shard_rows):
            part = table.slice(start, shard_rows)
            name = f"items-{len(shards):05d}.arrow"
            with pa.OSFile(str(building / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(part, max_chunksize=BATCH_ROWS)
            shards.append({"file": name, "rows": part.num_rows})
        _write_manifest(building, meta, shards)
    return Path(folder)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes ``folder`` when all went well, and else is as if it had not been.

    Raises:
        UserError: ``folder`` exists and is not empty, or the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty", "Name another folder, or delete this one.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as e:
        raise write_error(e, folder) from e
    try:
        yield building
        building.chmod(0o755)  # mkdtemp makes it private
        building.replace(folder)
    except OSError as e:
        raise write_error(e, folder) from e
    finally:
        shutil.rmtree(building, ignore_errors=True)  # already moved when all went well


def _write_manifest(folder: Path, meta: Mapping[str, Any], shards: list[dict[str, Any]]) -> None:
    manifest = {"schema": SCHEMA_VERSION, **meta, "shards": shards}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _known(rows: Iterable[Mapping[str, Any]], names: set[str]) -> Iterator[Mapping[str, Any]]:
    """The rows, refused at the first that has another column."""
    for row in rows:
        if unknown := set(row) - names:
            raise UserError(f"row {row.get('id')!r} has unknown columns {sorted(unknown)}", "Pass them as `extra`.")
        yield row


def write_shard(rows: Iterator[Mapping[str, Any]], schema: pa.Schema, folder: Path, number: int) -> dict[str, Any]:
    """Writes one shard; what the manifest says of it."""
    name, count = f"items-{number:05d}.arrow", 0
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return {"file": name, "rows": count}


def _batches(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(m["bytes"] or b"") for m in (row.get("audio"), row.get("image")) if m)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def read_manifest(folder: Path) -> dict[str, Any]:
    """``corpus.json`` of a prepared folder.

    Raises:
        UserError: there is none, it cannot be read, or another version of LookHear wrote it.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a prepared corpus: no {MANIFEST} in it", "Run `lookhear prepare` first.")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise UserError(f"{path} is damaged ({e})", _AGAIN) from e
    version = meta.get("schema") if isinstance(meta, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(f"{path} has schema version {version}, this LookHear reads version {SCHEMA_VERSION}", _AGAIN)
    return dict(meta)


def read_store(folder: Path) -> Corpus:
    """A prepared folder as a corpus; ``meta`` is its ``corpus.json``. The shards stay on disk, memory-mapped.

    Raises:
        UserError: not a prepared corpus, of another version, or a shard that is missing, damaged or cut short.
    """
    folder = Path(folder)
    meta = read_manifest(folder)
    tables: list[pa.Table] = []
    for shard in meta.get("shards", ()):
        path = folder / shard["file"]
        table = _read_shard(path)
        if table.num_rows != shard["rows"]:
            raise UserError(f"{path} has {table.num_rows} rows, not {shard['rows']}", _AGAIN)
        if tables and table.schema != tables[0].schema:
            raise UserError(f"{path} has other columns than the shards before it", _AGAIN)
        tables.append(table)
    if not tables:
        raise UserError(f"{folder / MANIFEST} names no shards", _AGAIN)
    root = Path(meta["media root"]) if "media root" in meta else folder
    return Corpus(pa.concat_tables(tables), root, str(meta.get("name", folder.name)), meta)


def _read_shard(path: Path) -> pa.Table:
    try:
        with pa.memory_map(str(path)) as source:  # what was read keeps the mapping, though not the file, open
            table = pa.ipc.open_file(source).read_all()
        # Wrong offsets would have us read outside the mapping, later. This reads offsets and texts, not the media.
        table.validate(full=True)
        wrong = [f.name for f in SCHEMA if f not in set(table.schema)]
    except FileNotFoundError as e:
        raise UserError(f"{path} is missing", _AGAIN) from e
    except (pa.ArrowException, OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path} is damaged ({(str(e) or type(e).__name__).splitlines()[0]})", _AGAIN) from e
    if wrong:
        raise UserError(f"{path}: columns {wrong} are missing or of another type", _AGAIN)
    return table


def write_error(error: OSError, folder: Path) -> UserError:
    """What to tell a user of a folder that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"no space left to write {folder}", "Free some space; nothing half-written was kept.")
    return UserError(f"cannot write {folder} ({error.strerror or error})", "Choose a folder that you can write to.")
