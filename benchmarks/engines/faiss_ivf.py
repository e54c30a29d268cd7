"""FAISS IVF-SQ8: a byte a number, and of the lists that k-means made only the nearest few are read."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import numpy as np

from engines.base import Settings
from engines.faiss_base import FaissEngine

__all__ = ["FaissIvf"]

POINTS = 64
"""Vectors a list that k-means learns from."""


class FaissIvf(FaissEngine):
    """`IVFn,SQ8` by inner product, n a power of two near 2 √N."""

    name = "faiss-ivf-sq8"
    settings: ClassVar[Settings] = {f"nprobe {n}": {"nprobe": n} for n in (8, 16, 32, 64, 128)}

    def empty(self, vectors: np.ndarray) -> Any:
        import faiss

        lists = 2 ** max(1, round(np.log2(2 * sqrt(len(vectors)))))
        index = faiss.index_factory(vectors.shape[1], f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.cp.spherical = True
        index.cp.min_points_per_centroid = 1
        take = min(len(vectors), POINTS * lists)
        index.train(vectors[np.sort(np.random.default_rng(0).choice(len(vectors), take, replace=False))])
        return index

    def parameters(self, **given: Any) -> Any:
        import faiss

        return faiss.SearchParametersIVF(**given)
