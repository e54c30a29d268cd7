"""A prepared corpus on disk: Parquet shards and ``corpus.json``, written whole or not at all."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lookhear.data.schema import SCHEMA, SCHEMA_VERSION, Corpus
from lookhear.errors import UserError

__all__ = ["MANIFEST", "read_manifest", "read_store", "write_corpus"]

MANIFEST = "corpus.json"
_AGAIN = "Delete the folder and prepare the corpus again."


def write_corpus(
    rows: Iterable[Mapping[str, Any]],
    folder: Path,
    meta: Mapping[str, Any],
    shard_rows: int = 2000,
    extra: Sequence[pa.Field] = (),
) -> Path:
    """Writes ``items-00000.parquet`` … and ``corpus.json`` into a new folder, which appears only when it is whole.

    Args:
        rows: keys are columns of ``SCHEMA`` or of ``extra``; a missing key is null.
        folder: must not exist, or be empty.
        meta: goes into ``corpus.json`` when all rows are written, so the rows' generator may still fill it. The keys
            "schema" and "shards" are added.

    Raises:
        UserError: the folder is not empty, a row has an unknown key, or the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not empty", "Name another folder, or delete this one.")
    schema = pa.schema([*SCHEMA, *extra])
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as e:
        raise _write_error(e, folder) from e
    try:
        shards: list[dict[str, Any]] = []
        waiting: list[Mapping[str, Any]] = []
        for row in rows:
            unknown = set(row) - set(schema.names)
            if unknown:
                raise UserError(f"row {row.get('id')!r} has unknown columns {sorted(unknown)}", "Pass them as `extra`.")
            waiting.append(row)
            if len(waiting) == shard_rows:
                shards.append(_write_shard(waiting, schema, building, len(shards)))
                waiting = []
        if waiting or not shards:
            shards.append(_write_shard(waiting, schema, building, len(shards)))
        manifest = {"schema": SCHEMA_VERSION, **meta, "shards": shards}
        (building / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        building.chmod(0o755)  # mkdtemp makes it private
        building.replace(folder)
    except OSError as e:
        raise _write_error(e, folder) from e
    finally:
        shutil.rmtree(building, ignore_errors=True)  # already moved when all went well
    return folder


def _write_shard(rows: list[Mapping[str, Any]], schema: pa.Schema, folder: Path, number: int) -> dict[str, Any]:
    name = f"items-{number:05d}.parquet"
    table = pa.Table.from_pylist(rows, schema=schema)
    # FLAC, PNG and JPEG do not shrink further, and no two of them are equal.
    media = {"audio.bytes", "image.bytes", "masks.list.element.png"}
    leaves = _leaves(schema)
    pq.write_table(
        table,
        folder / name,
        compression={c: "none" if c in media else "zstd" for c in leaves},
        use_dictionary=[c for c in leaves if c not in media],
        write_statistics=False,
    )
    return {"file": name, "rows": len(rows)}


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet's names of the leaf columns: ``words.list.element.start``."""

    def walk(name: str, kind: pa.DataType) -> list[str]:
        if pa.types.is_struct(kind):
            return [leaf for f in kind for leaf in walk(f"{name}.{f.name}", f.type)]
        if pa.types.is_list(kind):
            return walk(f"{name}.list.element", kind.value_type)
        return [name]

    return [leaf for f in schema for leaf in walk(f.name, f.type)]


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
    """A prepared folder as a corpus; ``meta`` is its ``corpus.json``.

    Raises:
        UserError: not a prepared corpus, of another version, or a shard that is missing, damaged or cut short.
    """
    folder = Path(folder)
    meta = read_manifest(folder)
    tables = []
    for shard in meta.get("shards", ()):
        path = folder / shard["file"]
        try:
            table = pq.read_table(path, memory_map=True)
        except FileNotFoundError as e:
            raise UserError(f"{path} is missing", _AGAIN) from e
        except (pa.ArrowInvalid, OSError) as e:
            raise UserError(f"{path} is damaged ({str(e).splitlines()[0]})", _AGAIN) from e
        missing = set(SCHEMA.names) - set(table.column_names)
        if missing or table.num_rows != shard["rows"]:
            what = (
                f"lacks the columns {sorted(missing)}" if missing else f"has {table.num_rows} rows, not {shard['rows']}"
            )
            raise UserError(f"{path} {what}", _AGAIN)
        tables.append(table)
    if not tables:
        raise UserError(f"{folder / MANIFEST} names no shards", _AGAIN)
    return Corpus(pa.concat_tables(tables), folder, str(meta.get("name", folder.name)), meta)


def _write_error(error: OSError, folder: Path) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"no space left to write {folder}", "Free some space; nothing half-written was kept.")
    return UserError(f"cannot write {folder} ({error.strerror or error})", "Choose a folder that you can write to.")
