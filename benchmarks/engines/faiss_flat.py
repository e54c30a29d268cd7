"""FAISS without an index: every vector is compared, so it is exact."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from engines.base import Settings
from engines.faiss_base import FaissEngine

__all__ = ["FaissFlat"]


class FaissFlat(FaissEngine):
    """`IDMap2,Flat`, float32, inner product."""

    name = "faiss-flat"
    settings: ClassVar[Settings] = {"exact": {}}

    def empty(self, vectors: np.ndarray) -> Any:
        import faiss

        return faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))

    def parameters(self, **given: Any) -> Any:
        import faiss

        return faiss.SearchParameters(**given)
