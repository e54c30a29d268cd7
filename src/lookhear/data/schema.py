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

SCHEMA_VERSION = 1

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
        """The items of a boolean mask, or of an index list in its order (repeats allowed)."""
        if isinstance(rows, (pa.ChunkedArray, pa.BooleanArray)):
            return replace(self, table=self.table.filter(rows))
        # Arrow's take by index first joins all shards into one, sound and all: filter, then order what is left.
        wanted, place = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        mask = np.zeros(len(self), dtype=bool)
        mask[wanted] = True
        table = self.table.filter(pa.array(mask))
        in_order = len(place) == len(wanted) and bool((np.diff(place) > 0).all())
        return replace(self, table=table if in_order else table.take(pa.array(place)))

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
        media = self.table["image"].combine_chunks()
        has_image = media.is_valid().to_numpy(zero_copy_only=False)
        has_vector = self.table["vector"].is_valid().to_numpy()
        if not (has_image.any() or has_vector.any()):
            return np.zeros(0, dtype=np.int64)
        paths = pc.struct_field(media, "path").to_pylist()
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
        """A short hash of ids and splits, to notice that a run meets other data than it was trained on."""
        h = hashlib.sha256()
        for name in ("id", "split"):
            h.update("\n".join(map(str, self.table[name].to_pylist())).encode())
        return h.hexdigest()[:16]


def safe_path(root: Path, relative: str) -> Path:
    """``root / relative``, refused if it climbs out of ``root`` or does not exist."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UserError(f"{relative!r} climbs out of {root}", "Name files inside the data set's own folder.")
    if not path.is_file():
        raise UserError(f"{path}: no such file", f"Check the paths of the manifest in {root}.")
    return path
