"""clip-retrieval's way: autofaiss chooses and builds an index, metadata lie in Arrow beside, looked up by row number.

It is what `clip-retrieval index` and `clip-retrieval back --use_arrow` of 2.45 do, told from their source:
`clip_index.quantize` calls `autofaiss.build_index(max_index_memory_usage="4G", current_memory_available="16G")`, which
at 1,000,000 × 512 comes to the key HNSW32 on float32 vectors; `KnnService.knn_search` asks `search_and_reconstruct`;
`ArrowMetadataProvider` slices mapped record batches row by row. Nothing is added, deleted or filtered.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from engines.base import Engine, Rows, Settings, Unable

__all__ = ["KINDS"]

BLOCK = 100_000


class _ClipRetrieval(Engine):
    needs: ClassVar[tuple[str, ...]] = ("faiss", "autofaiss")
    memory: ClassVar[str]
    settings: ClassVar[Settings] = {"as autofaiss set it": {}}

    def build(self, vectors: np.ndarray, rows: Rows, done: Callable[[int], None]) -> None:
        import faiss
        from autofaiss import build_index

        embeddings = self.folder / "img_emb"
        embeddings.mkdir()
        (embeddings / "img_emb_0.npy").symlink_to(vectors.filename)  # type: ignore[attr-defined]
        table = pa.concat_tables(rows(at, min(BLOCK, len(vectors) - at)) for at in range(0, len(vectors), BLOCK))
        with pa.ipc.new_file(self.folder / "metadata.arrow", table.schema) as file:
            file.write_table(table, max_chunksize=10_000)
        # It writes what it found as JSON itself, but fails at that under NumPy 2.
        index, told = build_index(
            embeddings=str(embeddings),
            save_on_disk=False,
            max_index_memory_usage=self.memory,
            current_memory_available="16G",
            nb_cores=self.threads,
            verbose=logging.ERROR,
        )
        if index is None or told is None:
            raise OSError("autofaiss built no index")
        faiss.write_index(index, str(self.folder / "image.index"))
        chosen = {name: told[name] for name in ("index_key", "index_param")}
        (self.folder / "image.json").write_text(json.dumps(chosen))
        done(len(vectors))

    def open(self) -> None:
        import faiss

        faiss.omp_set_num_threads(self.threads)
        self.index = faiss.read_index(str(self.folder / "image.index"))
        told = json.loads((self.folder / "image.json").read_text())
        self.note = f"autofaiss: {told['index_key']}, {told['index_param']}"
        faiss.ParameterSpace().set_index_parameters(self.index, told["index_param"])
        self.table = pa.ipc.open_file(pa.memory_map(str(self.folder / "metadata.arrow"))).read_all()

    def search(self, query: np.ndarray, k: int, setting: Mapping[str, int], language: str | None = None) -> np.ndarray:
        if language is not None:
            raise Unable
        _, ids, _ = self.index.search_and_reconstruct(query[None], k)
        return ids[0][ids[0] >= 0]

    def answer(self, ids: np.ndarray) -> list[dict[str, Any]]:
        return pa.concat_tables([self.table[i : i + 1] for i in ids.tolist()]).to_pylist()

    def counts(self) -> tuple[int, int]:
        return int(self.index.ntotal), len(self.table)


class ClipRetrieval(_ClipRetrieval):
    """With the 4 GB that `clip-retrieval index` allows an index."""

    name = "clip-retrieval"
    memory = "4G"


class ClipRetrievalSmall(_ClipRetrieval):
    """Told that an index may take 1 GB, where 4 is its default: autofaiss then quantises."""

    name = "clip-retrieval-1g"
    memory = "1G"


KINDS = (ClipRetrieval, ClipRetrievalSmall)
