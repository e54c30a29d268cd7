"""Indexes: what an engine must do, and the embedded exact one over vectors kept on disk.

An index folder holds ``index.json`` and the data files that it names. Data files are named by their content and
written beside the old ones; ``index.json`` is replaced last, so that a crash or a full disk leaves the last good index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookhear.core import Hit
from lookhear.errors import UserError, did_you_mean
from lookhear.search.store import FORMAT, MANIFEST, row_batch, write_index

__all__ = ["FlatIndex", "Found", "Index", "create_index", "open_index"]

Floats = NDArray[np.float32]
_BLOCK = 65_536  # rows multiplied at once: 64 MiB of vectors of 256 values
_AGAIN = "Make it again with `lookhear index`."


@dataclass(frozen=True, slots=True)
class Found(Hit):
    """A hit as an engine gives it: one whole segment of a recording, or one picture.

    Attributes:
        modality: "audio" or "image".
        row: its number in the index.
    """

    modality: str
    row: int


class Index(Protocol):
    """What every search engine does."""

    @property
    def about(self) -> Mapping[str, Any]:
        """``index.json``: "format", "engine", "run" (folder), "model" (fingerprint), "dim", "step", "rows", …"""
        ...

    def add(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Adds rows of ``row_schema``; those of a file that is there already replace it."""
        ...

    def search(self, query: Floats, k: int = 10, where: Mapping[str, str] | None = None) -> list[list[Found]]:
        """The ``k`` rows nearest to each unit query (Q, D) by cosine, best first, among those that ``where`` names."""
        ...

    def pooled(self, hits: Sequence[Found]) -> Floats:
        """(H, D) unit vectors of hits as wholes."""
        ...

    def local(self, hit: Found) -> NDArray[np.float16]:
        """(N, D) local vectors of a hit's segment; (0, D) for a picture."""
        ...


def create_index(path: Path | str, rows: Iterable[pa.RecordBatch], about: Mapping[str, Any]) -> FlatIndex:
    """Writes an index folder; the index that lay in it before is replaced when the new one is whole.

    Args:
        path: a new or empty folder, or one with an index.
        about: "run", "model", "dim", "step" and whatever else ``index.json`` shall say.

    Raises:
        UserError: the folder holds something else, there are no rows, or the disk is full.
    """
    path = Path(path)
    write_index(path, rows, {**about, "engine": "flat"})
    return FlatIndex(path)


def open_index(path: Path | str) -> Index:
    """The index in a folder.

    Raises:
        UserError: none there, one of another format or engine, or damaged files.
    """
    return FlatIndex(Path(path))


class FlatIndex:
    """Exact search: every stored vector is multiplied with the query, in blocks, from memory-mapped files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.about = _read_manifest(self.path)
        data, dim = self.about["data"], self.about["dim"]
        try:
            self.rows: pa.Table = pq.read_table(self.path / data["segments"])
            self._pooled: Floats = np.load(self.path / data["pooled"], mmap_mode="r")
            self._local: NDArray[np.float16] = np.load(self.path / data["local"], mmap_mode="r")
        except (OSError, ValueError, EOFError, pa.ArrowInvalid) as e:
            raise UserError(f"{self.path}: damaged index ({str(e).splitlines()[0]})", _AGAIN) from None
        self._offsets = np.concatenate([[0], np.cumsum(self.rows["frames"].to_numpy())]).astype(np.int64)
        shapes = (self._pooled.shape, self._local.shape)
        if shapes != ((len(self.rows), dim), (int(self._offsets[-1]), dim)):
            raise UserError(f"{self.path}: damaged index (its files do not fit each other)", _AGAIN)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Adds rows; those of a file that is there already replace it. All or nothing.

        Raises:
            UserError: the disk is full.
        """
        new: set[str] = set()

        def both() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                new.update(batch.column("file").to_pylist())
                yield batch
            yield from self._batches(new)

        write_index(self.path, both(), self.about)
        self._open()

    def _batches(self, without: set[str], size: int = 1024) -> Iterator[pa.RecordBatch]:
        """The rows as they were added, less those of some files."""
        kept = np.array([i for i, name in enumerate(self.rows["file"].to_pylist()) if name not in without], dtype=int)
        for i in range(0, len(kept), size):
            at = kept[i : i + size]
            local = [self._local[self._offsets[r] : self._offsets[r + 1]] for r in at]
            yield row_batch(self.rows.take(pa.array(at)).to_pydict(), self._pooled[at], local)

    def search(self, query: Floats, k: int = 10, where: Mapping[str, str] | None = None) -> list[list[Found]]:
        """The ``k`` nearest rows to each unit query (Q, D) by cosine, best first; equal scores in order of rows.

        Raises:
            UserError: queries of another width, or an unknown column in ``where``.
        """
        if query.ndim != 2 or query.shape[1] != self.about["dim"]:
            raise UserError(f"queries of shape {query.shape}", f"This index takes (Q, {self.about['dim']}).")
        keep = self._where(where or {})
        scores = np.zeros((len(query), 0), dtype=np.float32)
        rows = np.zeros((len(query), 0), dtype=np.int64)
        for a in range(0, len(self), _BLOCK):
            numbers = a + np.flatnonzero(keep[a : a + _BLOCK])
            block = query @ np.asarray(self._pooled[a : a + _BLOCK])[numbers - a].T
            scores = np.concatenate([scores, block], axis=1)
            rows = np.concatenate([rows, np.broadcast_to(numbers, block.shape)], axis=1)
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
        return [[self._found(int(r), float(s)) for r, s in zip(*pair)] for pair in zip(rows, scores)]

    def _where(self, where: Mapping[str, str]) -> NDArray[np.bool_]:
        keep = np.ones(len(self), dtype=bool)
        for column, value in where.items():
            if column not in ("file", "modality", "hash"):
                raise UserError(f"no filter {column!r}", did_you_mean(column, ("file", "modality", "hash")))
            keep &= np.asarray(pc.equal(self.rows[column], value))
        return keep

    def _found(self, row: int, score: float) -> Found:
        r = {name: self.rows[name][row].as_py() for name in ("file", "start", "end", "modality")}
        return Found(r["file"], "", r["start"], r["end"], score, r["modality"], row)

    def pooled(self, hits: Sequence[Found]) -> Floats:
        """(H, D) unit vectors of hits as wholes."""
        return np.array(self._pooled[[h.row for h in hits]])

    def local(self, hit: Found) -> NDArray[np.float16]:
        """(N, D) local vectors of a hit's segment; (0, D) for a picture."""
        return np.array(self._local[self._offsets[hit.row] : self._offsets[hit.row + 1]])


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path}: no index (no {MANIFEST} in it)", "Make one with `lookhear index RUN FOLDER -o INDEX`."
        )
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        found, engine = about["format"], about["engine"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file}: damaged", _AGAIN) from None
    if found != FORMAT:
        raise UserError(f"{path}: an index of format {found}, this LookHear reads format {FORMAT}", _AGAIN)
    if engine != "flat":
        raise UserError(f"{path}: an index of the engine {engine!r}, which this LookHear does not have", _AGAIN)
    return dict(about)
