"""What a corpus is: Arrow rows of one schema, a root folder, and views of its recordings, pictures and texts.

A row is an *item*: any of a recording, a picture and a text that belong together. Items of one ``group`` show or say
the same thing (five captions of one photograph; every seven among digits): any recording of a group may be paired with
any picture of it, and they are never each other's negatives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookhear.errors import UserError, did_you_mean

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Corpus"]

SCHEMA_VERSION = 2
"""Goes up when a prepared corpus is written in another form, so that an older folder is not misread."""

MEDIA = pa.struct([("path", pa.string()), ("bytes", pa.binary())])
"""A file beside the corpus (relative path) or inside it (bytes: FLAC/WAV or PNG/JPEG); null where there is none."""

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("audio", MEDIA),
        ("image", MEDIA),
        ("text", pa.string()),
        ("language", pa.string()),
        ("speaker", pa.string()),
        ("words", pa.list_(pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
        ("things", pa.list_(pa.string())),  # what is shown (rows with a picture) or spoken of (rows with a recording)
        ("masks", pa.list_(pa.struct([("thing", pa.string()), ("png", pa.binary())]))),
        ("vector", pa.list_(pa.float32())),  # an image vector computed elsewhere
    ]
)

SLICE_BYTES = 2000
"""About what a slice of a column takes, as Arrow keeps it."""
JOINED = 4096
"""How many slices are copied into one array, where their cells are smaller than that."""


@dataclass(frozen=True)
class Corpus:
    """Items and where their files are.

    Attributes:
        table: rows of ``SCHEMA``; more columns may follow (digit, gender, voice, …) and are kept.
        root: the folder that relative media paths start from.
        name: for messages and reports.
        meta: what came with it (word lists, generator settings, …), JSON-able.
    """

    table: pa.Table
    root: Path
    name: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def select(self, split: str | Sequence[str] | None) -> Corpus:
        """The items of one or several splits; ``None`` keeps all.

        Raises:
            UserError: the corpus has no such split (the known ones are named).
        """
        if split is None:
            return self
        wanted = [split] if isinstance(split, str) else list(split)
        known = set(self.table["split"].unique().to_pylist())
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"{self.name or self.root}: no split {name!r}", did_you_mean(name, {str(k) for k in known if k})
                )
        return self.take(pc.is_in(self.table["split"], pa.array(wanted)))

    def take(self, rows: Any) -> Corpus:
        """The items of a boolean mask, or of an index list in its order (repeats allowed).

        Sounds and pictures are not copied: the result refers to them where they lie.

        Raises:
            IndexError: a row beyond the last, or a mask of another length.
        """
        if isinstance(rows, (pa.ChunkedArray, pa.BooleanArray)):
            rows = pc.fill_null(rows, False).to_numpy(zero_copy_only=False)
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if len(rows) != len(self):
                raise IndexError(f"a mask of {len(rows)} for {len(self)} rows")
            rows = np.flatnonzero(rows)
        columns = [_pick(column, rows.astype(np.int64)) for column in self.table.columns]
        return replace(self, table=pa.table(columns, schema=self.table.schema))

    def column(self, name: str) -> list[Any]:
        """One column as Python values.

        Raises:
            UserError: no such column; the nearest name is suggested.
        """
        if name not in self.table.column_names:
            raise UserError(
                f"{self.name or self.root}: no column {name!r}", did_you_mean(name, self.table.column_names)
            )
        return list(self.table[name].to_pylist())

    def has(self, name: str) -> bool:
        """Whether any item has a value in this column."""
        return name in self.table.column_names and self.table[name].null_count < len(self)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(rows,) a number for each row's group; equal numbers, equal groups. A row without one is its own group."""
        names = [g if g is not None else f"\0{i}" for i, g in enumerate(self.table["group"].to_pylist())]
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(n, len(numbers)) for n in names], dtype=np.int64)

    @cached_property
    def recordings(self) -> NDArray[np.int64]:
        """Rows that have a recording."""
        return np.flatnonzero(self.table["audio"].is_valid().to_numpy())

    @cached_property
    def texts(self) -> NDArray[np.int64]:
        """Rows that have a text."""
        return np.flatnonzero(self.table["text"].is_valid().to_numpy())

    @cached_property
    def pictures(self) -> NDArray[np.int64]:
        """The first row of every distinct picture: rows with an image or an image vector, one for each image file."""
        has_image = self.table["image"].is_valid().to_numpy()
        has_vector = self.table["vector"].is_valid().to_numpy()
        if not (has_image.any() or has_vector.any()):
            return np.zeros(0, dtype=np.int64)
        paths = pc.struct_field(self.table["image"], "path").to_pylist()
        seen: set[str] = set()
        rows: list[int] = []
        for i in np.flatnonzero(has_image | has_vector):
            # The same file named by several captions is one picture; bytes and bare vectors are one a row.
            key = paths[i] if has_image[i] and paths[i] is not None else f"\0{i}"
            if key not in seen:
                seen.add(key)
                rows.append(int(i))
        return np.array(rows, dtype=np.int64)

    def media(self, column: str, row: int) -> bytes | Path:
        """The bytes, or the checked path, of one row's ``audio`` or ``image``.

        Raises:
            UserError: the path leaves the corpus folder, or there is no such file.
        """
        cell = self.table[column][int(row)].as_py()
        if cell is None:
            raise UserError(f"{self.name or self.root}: row {row} has no {column}", "Choose rows that have one.")
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        return safe_path(self.root, cell["path"])

    def fingerprint(self) -> str:
        """A short hash, to notice that a run meets other data than it was trained on.

        Of ids, splits, groups and texts, and of sounds and pictures as far as columns tell their hashes, which those of
        ``prepare`` do; the media themselves are not read.
        """
        h = hashlib.sha256()
        for name in ("id", "split", "group", "text", "audio_hash", "image_hash"):
            if name in self.table.column_names:
                for value in self.table[name].to_pylist():
                    h.update(repr(value).encode(errors="surrogatepass") + b"\n")
        return h.hexdigest()[:16]


def _pick(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.ChunkedArray:
    """Some rows of a column, as slices of its chunks unless copies are smaller: media, and runs of rows such as splits.

    Raises:
        IndexError: there is no such row.
    """
    if len(rows) and (rows.min() < 0 or rows.max() >= len(column)):
        raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(column)}")
    chunks = column.chunks
    ends = np.cumsum([len(c) for c in chunks], dtype=np.int64)
    where = np.searchsorted(ends, rows, side="right")
    starts = np.flatnonzero((np.diff(rows, prepend=-2) != 1) | (np.diff(where, prepend=-1) != 0))
    lengths = np.diff(starts, append=len(rows))
    first = np.concatenate([[0], ends])[where[starts]]
    pieces = [chunks[w].slice(r, n) for w, r, n in zip(where[starts], rows[starts] - first, lengths)]
    picked = pa.chunked_array(pieces, type=column.type)
    if len(pieces) <= len(chunks) or picked.nbytes > len(pieces) * SLICE_BYTES:
        return picked
    # Not column.take(): that first joins all chunks into one, media and all, which can hold 2 GB at most.
    joined = [pa.concat_arrays(pieces[i : i + JOINED]) for i in range(0, len(pieces), JOINED)]
    return pa.chunked_array(joined, type=column.type)


def safe_path(root: Path, relative: str) -> Path:
    """``root / relative``, refused if it climbs out of ``root`` or is not a file that exists."""
    try:
        path = (root / relative).resolve()
        there = path.is_file()
    except (ValueError, OSError):  # a null character, a name longer than any file's
        raise UserError(f"{relative[:80]!r} is no path", "Check the paths of the list.") from None
    if not path.is_relative_to(root.resolve()):
        raise UserError(f"{relative!r} climbs out of {root}", "Name files inside the data set's own folder.")
    if not there:
        what = "no plain file" if path.exists() else "no such file"
        raise UserError(f"{path}: {what}", f"Check the paths of the manifest in {root}.")
    return path
