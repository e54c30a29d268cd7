"""Writing an index folder whole or not at all: data files beside the old ones first, ``index.json`` last."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.models.model import write_atomically

__all__ = ["FORMAT", "MANIFEST", "row_batch", "row_schema", "write_index"]

FORMAT = 1
"""Version of an index folder; raised when an older LookHear could not read it."""
MANIFEST = "index.json"
_BUILDING = ".building"


def row_schema(dim: int) -> pa.Schema:
    """Rows that an index takes.

    ``file`` as results name it; ``start`` and ``end`` of the segment in seconds (0, 0 for a picture); ``modality``
    "audio" or "image"; ``hash`` of the file's content; ``vector``, its pooled unit vector; ``local``, its (N, D) local
    vectors row by row.
    """
    return pa.schema(
        [
            ("file", pa.string()),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("modality", pa.string()),
            ("hash", pa.string()),
            ("vector", pa.list_(pa.float32(), dim)),
            ("local", pa.large_list(pa.float16())),
        ]
    )


def row_batch(
    columns: Mapping[str, Sequence[Any]], vectors: NDArray[np.float32], local: Sequence[NDArray[np.float16]]
) -> pa.RecordBatch:
    """One batch of ``row_schema``.

    Args:
        columns: "file", "start", "end", "modality" and "hash", n values each.
        vectors: (n, D) pooled vectors.
        local: n arrays (N, D) of local vectors.
    """
    schema = row_schema(vectors.shape[1])
    flat = [part.ravel() for part in local]
    offsets = pa.array(np.cumsum([0, *map(len, flat)]), pa.int64())
    arrays = [pa.array(columns[f.name], type=f.type) for f in schema if f.name not in ("vector", "local")]
    # Built from whole arrays: a list of arrays would be taken apart number by number.
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]))
    arrays.append(pa.LargeListArray.from_arrays(offsets, pa.array(np.concatenate(flat))))
    return pa.record_batch(arrays, schema=schema)


class _Npy:
    """A growing (rows, D) .npy file: the header is written again, at the same length, when the rows are known."""

    def __init__(self, file: IO[bytes], dim: int, dtype: str) -> None:
        self.file, self.dim, self.dtype, self.rows = file, dim, np.dtype(dtype), 0
        self._header()

    def _header(self) -> None:
        shape = (self.rows, self.dim)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values.reshape(-1, self.dim), dtype=self.dtype)
        self.file.write(values.tobytes())
        self.rows += len(values)

    def close(self) -> None:
        self.file.seek(0)
        self._header()  # numpy pads a header so that the first axis can grow in place


def write_index(path: Path, rows: Iterable[pa.RecordBatch], about: Mapping[str, Any]) -> None:
    """Writes rows and ``index.json``; what was there before stays until all is written.

    Args:
        path: a new or empty folder, or one with an index.
        rows: batches of ``row_schema``.
        about: what ``index.json`` says besides the counts and the names of the data files; "dim" is needed.

    Raises:
        UserError: the folder holds something else, there are no rows, or the disk is full.
    """
    _check_folder(path)
    fresh = not path.exists()
    building = path / _BUILDING
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        counts = _write_data(building, rows, int(about["dim"]))
        if not counts["rows"]:
            raise UserError("nothing to index", "Give a folder with recordings or pictures that can be read.")
        whole = {**about, **counts, "format": FORMAT, "data": _publish(building, path)}
        write_atomically(path / MANIFEST, json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n")
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "no space left to write it" if full else f"cannot be written ({e.strerror or e})"
        raise UserError(f"{path}: {what}", "Free some space or name another folder; an index there is kept.") from e
    finally:
        shutil.rmtree(building, ignore_errors=True)
        _remove_unnamed(path)
        if fresh and path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _check_folder(path: Path) -> None:
    if not path.exists() or (path / MANIFEST).is_file():
        return
    # A folder with nothing but what an interrupted first attempt left is free to use.
    if not path.is_dir() or {p.name for p in path.iterdir()} - {_BUILDING}:
        raise UserError(f"{path} is not empty and holds no index", "Name another folder.")


def _write_data(building: Path, rows: Iterable[pa.RecordBatch], dim: int) -> dict[str, int]:
    given = [f for f in row_schema(dim) if f.name not in ("vector", "local")]
    segments_schema = pa.schema([*given, pa.field("frames", pa.int64())])
    files = 0
    last: str | None = None
    with ExitStack() as stack:
        segments = stack.enter_context(pq.ParquetWriter(building / "segments.parquet", segments_schema))
        pooled = _Npy(stack.enter_context((building / "pooled.npy").open("wb")), dim, "<f4")
        local = _Npy(stack.enter_context((building / "local.npy").open("wb")), dim, "<f2")
        for batch in rows:
            frames = np.diff(batch.column("local").offsets.to_numpy()) // dim
            columns = [batch.column(f.name) for f in given]
            segments.write_batch(pa.record_batch([*columns, pa.array(frames)], schema=segments_schema))
            pooled.append(batch.column("vector").flatten().to_numpy())
            local.append(batch.column("local").flatten().to_numpy(zero_copy_only=False))
            for name in batch.column("file").to_pylist():
                files, last = files + (name != last), name
        pooled.close()
        local.close()
    return {"rows": pooled.rows, "frames": local.rows, "files": files}


def _publish(building: Path, path: Path) -> dict[str, str]:
    """Moves the data files into the index folder under names made of their content; what → name."""
    names = {}
    for file in sorted(building.iterdir()):
        with file.open("rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()[:12]
            os.fsync(f.fileno())
        names[file.stem] = f"{file.stem}-{digest}{file.suffix}"
        file.replace(path / names[file.stem])
    return names


def _remove_unnamed(path: Path) -> None:
    """Deletes data files that ``index.json`` does not name (all where there is none); other files are left alone."""
    manifest = path / MANIFEST
    named = json.loads(manifest.read_text())["data"].values() if manifest.is_file() else ()
    for pattern in ("segments-*.parquet", "pooled-*.npy", "local-*.npy"):
        for file in path.glob(pattern):
            if file.name not in named:
                file.unlink(missing_ok=True)
