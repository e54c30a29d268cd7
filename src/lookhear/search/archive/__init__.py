"""The embedded engine: rows in SQLite, pooled vectors in FAISS, both in one folder."""

from lookhear.search.archive.archive import ArchiveIndex

__all__ = ["ArchiveIndex"]
