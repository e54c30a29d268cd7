"""USearch: one graph, its vectors of two bytes or one a number, in a file that is mapped; a payload beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from engines.base import Engine, Rows, Settings, Unable
from engines.payload import Payload

__all__ = ["KINDS"]

BLOCK = 5_000


class _USearch(Engine):
    needs: ClassVar[tuple[str, ...]] = ("usearch",)
    dtype: ClassVar[str]
    settings: ClassVar[Settings] = {f"expansion {n}": {"expansion_search": n} for n in (64, 128, 256)}

    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="cos", dtype=self.dtype)
        payload = Payload(self.folder / "rows.sqlite")
        for at in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[at : at + BLOCK])
            index.add(np.arange(at, at + len(block), dtype=np.uint64), block, threads=self.threads)
            payload.add(rows(at, len(block)))
            done(at + len(block))
        index.save(self.folder / "vectors.usearch")

    def open(self) -> None:
        self._read(view=True)
        self.payload = Payload(self.folder / "rows.sqlite")

    def _read(self, view: bool) -> None:
        from usearch.index import Index

        read = Index.restore(self.folder / "vectors.usearch", view=view)
        if read is None:
            raise OSError("vectors.usearch: no index that can be read")
        self.index, self.mapped = read, view

    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        if language is not None:
            raise Unable
        for name, value in setting.items():
            setattr(self.index, name, value)
        return self.index.search(query, k, threads=self.threads).keys.astype(np.int64)

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        return self.payload.answer(ids)

    def counts(self) -> tuple[int, int]:
        return len(self.index), len(self.payload)

    def add(self, vectors: np.ndarray, rows: pa.Table) -> None:
        if self.mapped:
            self._read(view=False)
        self.index.add(rows.column("id").to_numpy().astype(np.uint64), vectors, threads=self.threads)
        self.payload.add(rows)
        self.index.save(self.folder / "vectors.usearch")

    def delete(self, ids: np.ndarray) -> None:
        if self.mapped:
            self._read(view=False)
        self.index.remove(np.asarray(ids, np.uint64))
        self.payload.delete(ids)
        self.index.save(self.folder / "vectors.usearch")


class USearchHalf(_USearch):
    """float16."""

    name = "usearch-f16"
    dtype = "f16"


class USearchByte(_USearch):
    """int8."""

    name = "usearch-i8"
    dtype = "i8"


KINDS = (USearchHalf, USearchByte)
