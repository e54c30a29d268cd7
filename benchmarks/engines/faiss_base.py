"""What the engines made of FAISS share: an index file, rewritten as a whole, and a payload beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from engines.base import Engine, Rows
from engines.payload import Payload

__all__ = ["BLOCK", "FaissEngine"]

BLOCK = 20_000


class FaissEngine(Engine):
    """FAISS as its documentation shows it: `write_index` over the file, `read_index` at the start."""

    needs: ClassVar[tuple[str, ...]] = ("faiss",)

    @abstractmethod
    def empty(self, vectors: np.ndarray) -> Any:
        """An index, trained if it is to be."""

    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        import faiss

        faiss.omp_set_num_threads(self.threads)
        index, payload = self.empty(vectors), Payload(self.folder / "rows.sqlite")
        for at in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[at : at + BLOCK])
            self.put(index, block, np.arange(at, at + len(block)))
            payload.add(rows(at, len(block)))
            done(at + len(block))
        faiss.write_index(index, str(self.folder / "vectors.faiss"))

    def put(self, index: Any, vectors: np.ndarray, ids: np.ndarray) -> None:
        index.add_with_ids(vectors, ids)

    def open(self) -> None:
        import faiss

        faiss.omp_set_num_threads(self.threads)
        self.index = faiss.read_index(str(self.folder / "vectors.faiss"))
        self.payload = Payload(self.folder / "rows.sqlite")

    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        import faiss

        chosen = {} if language is None else {"sel": faiss.IDSelectorBatch(self.payload.of_language(language))}
        _, ids = self.index.search(query[None], k, params=self.parameters(**setting, **chosen))
        return ids[0][ids[0] >= 0]

    @abstractmethod
    def parameters(self, **given: Any) -> Any:
        """FAISS's search parameters."""

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        return self.payload.answer(ids)

    def counts(self) -> tuple[int, int]:
        return int(self.index.ntotal), len(self.payload)

    def add(self, vectors: np.ndarray, rows: pa.Table) -> None:
        import faiss

        self.put(self.index, vectors, rows.column("id").to_numpy())
        self.payload.add(rows)
        faiss.write_index(self.index, str(self.folder / "vectors.faiss"))

    def delete(self, ids: np.ndarray) -> None:
        import faiss

        self.index.remove_ids(np.asarray(ids, np.int64))
        self.payload.delete(ids)
        faiss.write_index(self.index, str(self.folder / "vectors.faiss"))
