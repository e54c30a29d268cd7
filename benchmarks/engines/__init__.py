"""Embedded engines, side by side. One more is one more file here and one more line in ENGINES."""

from __future__ import annotations

from engines import clip_retrieval, lance, usearch_hnsw
from engines.archive import Archive
from engines.base import Engine
from engines.faiss_flat import FaissFlat
from engines.faiss_hnsw import FaissHnsw
from engines.faiss_ivf import FaissIvf

__all__ = ["ENGINES"]

ENGINES: dict[str, type[Engine]] = {
    e.name: e
    for e in (FaissFlat, FaissIvf, FaissHnsw, *lance.KINDS, *usearch_hnsw.KINDS, *clip_retrieval.KINDS, Archive)
}
