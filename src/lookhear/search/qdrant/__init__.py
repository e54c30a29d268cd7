"""An index on a Qdrant server, for archives that many machines ask, or that are larger than one machine."""

from lookhear.search.qdrant.index import QdrantIndex

__all__ = ["QdrantIndex"]
