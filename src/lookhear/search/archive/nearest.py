"""The nearest rows by their pooled vectors: those of a file of vectors (FAISS), and fresh ones beside them.

Up to ``SEALED`` rows there is no such file, and search is exact. Beyond, rows lie in an inverted file of scalar
quantised vectors that is mapped into memory, not read; the choice is measured in docs/results.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.search.archive.codec import faiss
from lookhear.search.ranges import Integers, Ranges

__all__ = ["EXACT", "Nearest", "Sealed", "numbers_of", "write_sealed"]

Floats = NDArray[np.float32]
SEALED = 5_000
"""Rows up to which they are compared one by one."""
EXACT = 20_000
"""Rows that a filter leaves up to which all of them are compared."""
PROBED = 32
"""Lists that are looked through for a query, of ``lists(n)``."""
_SAMPLE = 64  # rows a list that the lists are trained on
_MARGIN = 0.25
"""How far beyond the values that it was trained on the scalar quantiser reaches, in their range, on either side."""
_CUT, _OUTSIDE = 0.02, 0.01
"""It is trained anew when of this share of what is new, that much of a unit vector lies beyond."""


def lists(rows: int) -> int:
    """How many lists so many rows lie in: about twice the root, a power of two."""
    return int(2 ** max(4, round(np.log2(2 * np.sqrt(rows)))))


class Sealed:
    """A file of vectors.

    Raises:
        UserError: it is gone or damaged.
    """

    def __init__(self, path: Path, mapped: bool = True) -> None:
        library = faiss()
        try:
            flags = library.IO_FLAG_MMAP | library.IO_FLAG_READ_ONLY if mapped else 0
            self.index: Any = library.read_index(str(path), flags)
        except RuntimeError:
            raise UserError(f"{path}: damaged or missing", "Make the index again with `lookhear index`.") from None
        self._places: tuple[Integers, Integers] | None = None

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def places(self) -> tuple[Integers, Integers]:
        """Row numbers in order, and where each lies: list × 2³² + place in the list."""
        if self._places is None:
            numbers, at = [], []
            for n in range(self.index.nlist):
                ids = _ids(self.index, n)
                numbers.append(ids)
                at.append((n << 32) + np.arange(len(ids), dtype=np.int64))
            rows, where = np.concatenate(numbers), np.concatenate(at)
            order = np.argsort(rows)
            self._places = rows[order], where[order]
        return self._places

    def vectors(self, rows: Integers) -> tuple[Floats, NDArray[np.bool_]]:
        """(H,) rows → (H, D) vectors as they are kept, and whether they are here."""
        library = faiss()
        known, where = self.places
        at = np.minimum(np.searchsorted(known, rows), max(len(known) - 1, 0))
        here = known[at] == rows if len(known) else np.zeros(len(rows), bool)
        out = np.zeros((len(rows), self.index.d), np.float32)
        for i in np.flatnonzero(here):
            place = int(where[at[i]])
            self.index.reconstruct_from_offset(place >> 32, place & 0xFFFFFFFF, library.swig_ptr(out[i]))
        return out, here

    def search(self, query: Floats, k: int, only: Ranges | None, size: int) -> tuple[Floats, Integers]:
        """(Q, D) → (Q, k) similarities and rows; −1 where there are fewer. ``size``: rows are below it."""
        library = faiss()
        total = max(1, len(self) if only is None else min(len(self), only.total))
        k, every = min(k, total), self.index.nlist
        # Of a filter that leaves a tenth, ten times as many lists hold as many rows; and all hits must lie somewhere.
        probed = min(every, max(PROBED * len(self) // total, -(-4 * k * every // total)))
        options = {}
        if only is not None:
            probed = every if only.total <= EXACT else probed
            bits = only.bits(size)
            options["sel"] = library.IDSelectorBitmap(len(bits), library.swig_ptr(bits))
        scores, rows = self.index.search(query, k, params=library.SearchParametersIVF(nprobe=probed, **options))
        if probed < every and (rows < 0).any():
            scores, rows = self.index.search(query, k, params=library.SearchParametersIVF(nprobe=every, **options))
        return scores, rows


def _ids(index: Any, number: int) -> Integers:
    library = faiss()
    size = index.invlists.list_size(number)
    if not size:
        return np.zeros(0, np.int64)
    ids: Integers = library.rev_swig_ptr(index.invlists.get_ids(number), size).astype(np.int64)  # a copy
    return ids


class Nearest:
    """Fresh rows and a file of vectors, searched as one.

    Args:
        sealed: the file, or None.
        fresh: rows (F,) in order, and their vectors (F, D).
    """

    def __init__(self, sealed: Sealed | None, rows: Integers, vectors: Floats) -> None:
        self.sealed, self.rows, self.fresh = sealed, rows, vectors

    def search(self, query: Floats, k: int, only: Ranges | None, size: int) -> tuple[Floats, Integers]:
        """(Q, D) unit queries → (Q, k') similarities, best first, and rows; −1 where there are fewer than k'.

        Args:
            only: rows that count; None for all.
            size: all rows are below it.
        """
        keep = slice(None) if only is None else only.holds(self.rows)
        rows = self.rows[keep]
        scores = query @ self.fresh[keep].T
        found = np.broadcast_to(rows, scores.shape)
        if self.sealed is not None and len(self.sealed):
            more_scores, more_rows = self.sealed.search(query, k, only, size)
            scores = np.concatenate([scores, np.where(more_rows < 0, -np.inf, more_scores)], axis=1)
            found = np.concatenate([found, more_rows], axis=1)
        if scores.shape[1] > 4 * k:  # most of them need no order
            part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            part.sort(axis=1)
            scores, found = np.take_along_axis(scores, part, 1), np.take_along_axis(found, part, 1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, 1), np.take_along_axis(found, best, 1)

    def vectors(self, rows: Integers) -> Floats:
        """(H,) rows → (H, D) unit vectors."""
        out = np.zeros((len(rows), self.fresh.shape[1]), np.float32)
        if self.sealed is not None:
            out, _ = self.sealed.vectors(rows)
            out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
        if len(self.rows):
            at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            here = self.rows[at] == rows
            out[here] = self.fresh[at[here]]
        return out


def write_sealed(
    path: Path, dim: int, old: Sealed | None, live: Ranges, rows: Integers, vectors: Floats, trained: int
) -> int:
    """Writes a new file of vectors: those of the old one that are still live, and fresh ones.

    Args:
        old: the file before, read into memory and not mapped; it is used up.
        live: rows that are still there.
        rows, vectors: those that are fresh; there is at least one row, fresh or of before.
        trained: for how many rows the old file's lists were trained. At four times as many they are trained anew, and
            when what is new is unlike what they were trained on: pictures, say, after recordings.

    Returns:
        For how many rows the lists of the new file were trained.
    """
    library = faiss()
    gone: Integers = np.zeros(0, np.int64)
    if old is not None:
        known, _ = old.places
        gone = known[~live.holds(known)]
        if len(old) - len(gone) + len(rows) > 4 * trained or _outgrown(old.index, vectors):
            kept = np.setdiff1d(known, gone, assume_unique=True)
            before, _ = old.vectors(kept)
            rows, vectors, old = np.concatenate([kept, rows]), np.concatenate([before, vectors]), None
    if old is not None:
        index = old.index
        if len(gone):
            index.remove_ids(library.IDSelectorBatch(gone))
    else:
        trained = len(rows)
        n = min(lists(trained), trained)
        quantizer = library.IndexFlatIP(dim)
        index = library.IndexIVFScalarQuantizer(
            quantizer, dim, n, library.ScalarQuantizer.QT_8bit, library.METRIC_INNER_PRODUCT
        )
        index.cp.spherical = True
        index.cp.min_points_per_centroid = 1  # of few rows it would write a line to stderr
        index.sq.rangestat_arg = _MARGIN
        chosen = np.random.default_rng(0).permutation(trained)[: _SAMPLE * n]
        index.train(np.ascontiguousarray(vectors[np.sort(chosen)]))
    if len(rows):
        index.add_with_ids(np.ascontiguousarray(vectors), np.ascontiguousarray(rows))
    library.write_index(index, str(path))
    return trained


def _outgrown(index: Any, vectors: Floats) -> bool:
    """Whether the quantiser, which knows the differences of rows from their lists' middles, would cut much off these
    (F, D) vectors."""
    if not len(vectors):
        return False
    low, width = faiss().vector_to_array(index.sq.trained).reshape(2, -1)
    _, at = index.quantizer.search(np.ascontiguousarray(vectors), 1)
    rest = vectors - index.quantizer.reconstruct_n(0, index.nlist)[at[:, 0]]
    cut = np.linalg.norm(rest - np.clip(rest, low, low + width), axis=1)
    return bool((cut > _CUT).mean() > _OUTSIDE)


def numbers_of(fresh: Sequence[tuple[int, bytes]], dim: int) -> Integers:
    """(F,) row numbers of (first row, vectors in half precision) of files."""
    parts = [np.arange(first, first + len(data) // (2 * dim), dtype=np.int64) for first, data in fresh]
    return np.concatenate([np.zeros(0, np.int64), *parts])
