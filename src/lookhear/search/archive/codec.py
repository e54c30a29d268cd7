"""Local vectors as a few bytes each.

Every frame of every recording is kept, so its size decides that of the index. A frame's direction is projected on its
principal components and quantised by residuals (Chen et al., 2010, "Approximate nearest neighbor search by residual
vector quantization"; FAISS), and its length, which says how much the frame counts, is one byte of its logarithm.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lookhear.errors import UserError

__all__ = ["Codec", "HalfPrecision", "Residual", "faiss", "train_codec"]

Floats = NDArray[np.float32]
COMPONENTS, STAGES = 96, 12
"""Principal components, and bytes of a direction. On the made-up picture book (D = 256) cosines of words with a frame
are then off by .016 (root mean square), where product quantisation in 16 bytes is off by .024; 16 bytes after 128
components, on two paths, would be off by .013 (a trial: docs/architecture.md, "Use")."""
FITTED = 20_000  # frames that it is trained on
_LOWEST, _HIGHEST = np.log(1e-4), np.log(1e4)


def faiss() -> Any:
    """FAISS, from the extra ``search``.

    Raises:
        UserError: it is not installed.
    """
    try:
        import faiss as module
    except ImportError:
        raise UserError("an index needs FAISS", "Install it: pip install 'lookhear[search]'.") from None
    return module


class Codec(Protocol):
    """(N, D) local vectors ↔ bytes, so many a frame."""

    width: int

    def encode(self, local: NDArray[np.floating]) -> bytes: ...

    def decode(self, codes: bytes) -> Floats: ...

    def reduce(self, codes: bytes) -> Floats:
        """(N, C) vectors whose lengths, and whose products with what ``project`` gives, are those of decoded ones."""
        ...

    def project(self, queries: Floats) -> Floats:
        """(Q, D) → (Q, C)."""
        ...


class HalfPrecision:
    """As they are, in half precision: for archives too small to train anything on."""

    def __init__(self, dim: int) -> None:
        self.dim, self.width = dim, 2 * dim

    def encode(self, local: NDArray[np.floating]) -> bytes:
        return np.ascontiguousarray(local, dtype="<f2").tobytes()

    def decode(self, codes: bytes) -> Floats:
        return np.frombuffer(codes, dtype="<f2").reshape(-1, self.dim).astype(np.float32)

    reduce = decode

    def project(self, queries: Floats) -> Floats:
        return queries


class Residual:
    """Directions by residual quantisation, lengths by a byte.

    Args:
        data: a trained FAISS index, as ``serialize`` gives it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._index = faiss().deserialize_index(np.frombuffer(data, dtype=np.uint8))
        self.dim, self.width = int(self._index.d), int(self._index.sa_code_size()) + 1
        self._quantised = faiss().downcast_index(self._index.index)
        components = faiss().downcast_VectorTransform(self._index.chain.at(0))
        self._axes = faiss().vector_to_array(components.A).reshape(-1, self.dim)
        self._shift = faiss().vector_to_array(components.b)

    def encode(self, local: NDArray[np.floating]) -> bytes:
        values = np.ascontiguousarray(local, dtype=np.float32)
        if not len(values):
            return b""
        norms = np.linalg.norm(values, axis=1, keepdims=True)
        directions = self._index.sa_encode(values / np.maximum(norms, 1e-12))
        return np.concatenate([directions, _length_codes(norms)], axis=1).tobytes()

    def decode(self, codes: bytes) -> Floats:
        values: Floats = self.reduce(codes) @ self._axes
        return values

    def reduce(self, codes: bytes) -> Floats:
        rows = np.frombuffer(codes, dtype=np.uint8).reshape(-1, self.width)
        if not len(rows):
            return np.zeros((0, len(self._axes)), np.float32)
        values: Floats = self._quantised.sa_decode(np.ascontiguousarray(rows[:, :-1])) - self._shift
        values *= _lengths(rows[:, -1:]) / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        return values

    def project(self, queries: Floats) -> Floats:
        projected: Floats = np.ascontiguousarray(queries, dtype=np.float32) @ self._axes.T
        return projected


def train_codec(local: Floats) -> Residual:
    """A codec for vectors like these (N, D); N is at least 256."""
    library = faiss()
    norms = np.linalg.norm(local, axis=1, keepdims=True)
    components = min(COMPONENTS, local.shape[1])
    index = library.index_factory(local.shape[1], f"PCA{components},RQ{STAGES}x8")
    quantiser = library.downcast_index(index.index).rq
    # One path instead of two: 24 µs a frame where it takes 40, and cosines are off by .016 where they would be by .015.
    quantiser.max_beam_size = 1
    quantiser.cp.min_points_per_centroid = 1  # of few frames it would write a line to stderr for every table
    index.train(np.ascontiguousarray((local / np.maximum(norms, 1e-12))[:FITTED], dtype=np.float32))
    return Residual(library.serialize_index(index).tobytes())


def _length_codes(norms: Floats) -> NDArray[np.uint8]:
    """0 for nothing, else 1 … 255 in equal steps of the logarithm (7.5 %)."""
    logs = np.log(np.maximum(norms, 1e-12))
    steps = 1 + np.rint(254 * (np.clip(logs, _LOWEST, _HIGHEST) - _LOWEST) / (_HIGHEST - _LOWEST))
    return np.where(norms > 0, steps, 0).astype(np.uint8)


def _lengths(codes: NDArray[np.uint8]) -> Floats:
    logs = _LOWEST + (codes.astype(np.float32) - 1) * (_HIGHEST - _LOWEST) / 254
    return np.where(codes > 0, np.exp(logs), 0).astype(np.float32)
