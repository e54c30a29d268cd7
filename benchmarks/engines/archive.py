"""LookHear's own: rows in SQLite, vectors in a mapped FAISS file, both of one transaction (`lookhear.search.archive`).

Its rows are counted on in their files, so whole recordings are put and taken out. Frames are left out: no other engine
here holds any. Every batch is a commit. (Imported late, that torch does not load beside the other engines.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from engines.base import Engine, Rows, Settings

__all__ = ["Archive"]

ROOT = "/archive/"
BLOCK = 60 * 300
"""Rows of a commit while it is built: whole recordings."""


class Archive(Engine):
    """As `lookhear index` writes and `lookhear search` opens it, but for the frames."""

    name = "lookhear"
    needs = ("faiss",)
    settings: ClassVar[Settings] = {"as it is": {}}

    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        import faiss

        from lookhear.search.index import create_index

        faiss.omp_set_num_threads(self.threads)
        about = {"run": "made", "model": "made", "dim": vectors.shape[1], "step": 0.04}
        with create_index(self.folder / "index", about).writing() as writer:
            for at in range(0, len(vectors), BLOCK):
                block = vectors[at : at + BLOCK]
                self._put(writer, block, rows(at, len(block)))
                writer.commit()
                done(at + len(block))

    @staticmethod
    def _put(writer: Any, vectors: np.ndarray, rows: pa.Table) -> None:
        from lookhear.search.index import Entry

        files = rows.column("file").to_numpy(zero_copy_only=False)
        starts = np.flatnonzero(np.r_[True, files[1:] != files[:-1]])
        for first, end in zip(starts, [*starts[1:], len(rows)]):
            head, last = rows.slice(first, 1).to_pylist()[0], rows.column("end")[int(end) - 1].as_py()
            details = {"speaker": head["speaker"], "date": head["date"].isoformat(), "language": head["language"]}
            content = int(head["id"]).to_bytes(32, "big")  # in the place of a hash
            about = (ROOT + head["file"], content, 1, 1, "audio", last)
            writer.put(Entry(*about, np.asarray(vectors[first:end]), details=details))

    def open(self) -> None:
        import faiss

        from lookhear.search.index import open_index

        faiss.omp_set_num_threads(self.threads)
        self.index = open_index(self.folder / "index")
        self.told: dict[int, Any] = {}

    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        from lookhear.search.index import Where

        where = Where(details={"language": (language,)}) if language else None
        # Its hits tell their rows already, so `answer` has nothing left to look up.
        hits = self.index.search(query[None], k, where)[0]
        self.told.update({hit.row: hit for hit in hits})
        return np.array([hit.row for hit in hits], np.int64)

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        return [self._row(self.told[int(i)]) for i in ids]

    @staticmethod
    def _row(hit: Any) -> dict[str, Any]:
        place = {"file": hit.source.path.removeprefix(ROOT), "start": hit.start, "end": hit.end}
        return {"id": hit.row, **place, **hit.source.details}

    def counts(self) -> tuple[int, int]:
        rows = len(self.index)
        query = np.zeros((1, self.index.about["dim"]), np.float32)
        return len(self.index.search(query, rows + 1)[0]), rows

    def add(self, vectors: np.ndarray, rows: pa.Table) -> None:
        with self.index.writing() as writer:
            self._put(writer, vectors, rows)

    def delete(self, ids: np.ndarray) -> None:
        gone = set(ids.tolist())
        with self.index.writing() as writer:
            for source in self.index.sources():
                if source.id in gone:
                    writer.remove(source)
