"""FAISS HNSW: a graph over vectors of a byte a number."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from engines.base import Settings, Unable
from engines.faiss_base import FaissEngine

__all__ = ["FaissHnsw"]


class FaissHnsw(FaissEngine):
    """`HNSW32,SQ8` by inner product, efConstruction 80. Rows are numbered as they come; none can be taken out."""

    name = "faiss-hnsw-sq8"
    settings: ClassVar[Settings] = {f"efSearch {n}": {"efSearch": n} for n in (32, 64, 128, 256)}

    def empty(self, vectors: np.ndarray) -> Any:
        import faiss

        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexHNSWSQ(vectors.shape[1], kind, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 80
        index.train(vectors[:: max(1, len(vectors) // 100_000)])
        return index

    def put(self, index: Any, vectors: np.ndarray, ids: np.ndarray) -> None:
        assert ids[0] == index.ntotal
        index.add(vectors)

    def parameters(self, **given: Any) -> Any:
        import faiss

        return faiss.SearchParametersHNSW(**given)

    def delete(self, ids: np.ndarray) -> None:
        raise Unable
