"""LanceDB: table and index in one folder, with float16 vectors, in each of its kinds of index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from engines.base import Engine, Rows, Settings

__all__ = ["KINDS"]

BLOCK = 50_000
K_MEANS = {"sample_rate": 64, "max_iterations": 10}
"""As FAISS is given; with its own 256 and 50 a build takes twenty times as long."""


class _Lance(Engine):
    needs: ClassVar[tuple[str, ...]] = ("lancedb",)
    kind: ClassVar[str | None]
    given: ClassVar[Mapping[str, int]] = {}
    partition: ClassVar[int | None] = None
    """Rows a partition; √N partitions where it is not given."""

    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        def batches() -> Any:
            for at in range(0, len(vectors), BLOCK):
                block = vectors[at : at + BLOCK]
                yield from _beside(block, rows(at, len(block))).to_batches()
                done(at + len(block))

        import lancedb
        import lancedb.index

        base = lancedb.connect(self.folder)
        self.table = base.create_table("segments", batches(), schema=_beside(vectors[:1], rows(0, 1)).schema)
        if self.kind is not None:
            lists = round(len(vectors) / self.partition) if self.partition else round(sqrt(len(vectors)))
            kind = getattr(lancedb.index, self.kind)
            config = kind(distance_type="cosine", num_partitions=max(1, lists), **K_MEANS, **self.given)
            self.table.create_index("vector", config=config)

    def open(self) -> None:
        import lancedb

        self.table = lancedb.connect(self.folder).open_table("segments")
        self.columns = [name for name in self.table.schema.names if name != "vector"]
        self.places: dict[int, int] = {}

    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        asked = self.table.search(query).distance_type("cosine").select(["id", "_distance"]).with_row_id(True).limit(k)
        for name, value in setting.items():
            asked = getattr(asked, name)(value)
        if language is not None:
            asked = asked.where(f"language = '{language}'", prefilter=True)
        found = asked.to_arrow()
        ids: np.ndarray = found.column("id").to_numpy()
        self.places.update(zip(ids.tolist(), found.column("_rowid").to_pylist(), strict=True))
        return ids

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        # By its own row numbers: `id IN (…)` would read the whole column, for there is no index on it.
        found = self.table.take_row_ids([self.places[i] for i in ids.tolist()]).select(self.columns).to_list()
        told = {row["id"]: row for row in found}
        return [told[i] for i in ids.tolist()]

    def counts(self) -> tuple[int, int]:
        count = self.table.count_rows()
        return count, count

    def add(self, vectors: np.ndarray, rows: pa.Table) -> None:
        self.table.add(_beside(vectors, rows))

    def delete(self, ids: np.ndarray) -> None:
        self.table.delete(f"id IN ({', '.join(str(int(i)) for i in ids)})")


def _beside(vectors: np.ndarray, rows: pa.Table) -> pa.Table:
    flat = pa.array(np.asarray(vectors, np.float16).reshape(-1))
    return rows.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))


class LanceFlat(_Lance):
    """No index: every vector is compared."""

    name = "lancedb"
    kind = None
    settings: ClassVar[Settings] = {"exact": {}}


class LancePq(_Lance):
    """IVF_PQ, a byte for 8 numbers, the nearest compared again by the float16 vectors."""

    name = "lancedb-ivf-pq"
    kind = "IvfPq"
    given: ClassVar[Mapping[str, int]] = {"num_sub_vectors": 64}
    settings: ClassVar[Settings] = {
        f"nprobes {n}, refine {r}": {"nprobes": n, "refine_factor": r} for n, r in ((16, 10), (32, 20), (64, 20))
    }


class LanceSq(_Lance):
    """IVF_SQ, a byte a number."""

    name = "lancedb-ivf-sq"
    kind = "IvfSq"
    settings: ClassVar[Settings] = {f"nprobes {n}": {"nprobes": n} for n in (16, 32, 64)} | {
        "nprobes 64, refine 2": {"nprobes": 64, "refine_factor": 2}
    }


class LanceRq(_Lance):
    """IVF_RQ (RaBitQ), a bit a number, the nearest compared again by the float16 vectors."""

    name = "lancedb-ivf-rq"
    kind = "IvfRq"
    settings: ClassVar[Settings] = {
        f"nprobes {n}, refine {r}": {"nprobes": n, "refine_factor": r}
        for n, r in ((16, 10), (32, 10), (64, 10), (64, 20))
    }


class LanceHnsw(_Lance):
    """IVF_HNSW_SQ: a graph in each of few partitions, a byte a number."""

    name = "lancedb-hnsw-sq"
    kind = "IvfHnswSq"
    partition = 250_000
    given: ClassVar[Mapping[str, int]] = {"m": 20, "ef_construction": 150}
    settings: ClassVar[Settings] = {
        f"nprobes {n}, ef {e}": {"nprobes": n, "ef": e} for n, e in ((4, 64), (4, 128), (4, 256))
    }


KINDS = (LanceFlat, LancePq, LanceSq, LanceRq, LanceHnsw)
