"""Made vectors, as hard to search as a model's, the rows beside them, and the exact answers.

A point is the sum of one of thirty directions for each of three parts (27,000 centres, parts as frequent as one over
the square root of their rank), a spread and noise, made unit; parts and spread lie in 96 directions whose energy falls
as exp(-j / 20), the noise in all 512. A query is such a point that the index does not hold, three tenths of its energy
foreign. The shares were chosen so that 3,000 such vectors are as near a query, and as hard to find by an inverted file,
as 3,000 pooled vectors of the picture-book model: `engines/likeness.py` prints both. Made data tells engines from each
other, not how well speech is found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

__all__ = ["LANGUAGES", "Data", "K", "Mixture", "exact", "load", "make", "rows_beside"]

K = 10
DIM, DIRECTIONS, DECAY = 512, 96, 20.0
PARTS = (0.3, 0.3, 0.25)
CHOICES = 30
SPREAD, NOISE = 0.1, 0.05
"""Shares of the energy; with PARTS, 1."""
FOREIGN = 0.3
BLOCK = 20_000
SEGMENTS = 60
"""Rows of one recording."""
LANGUAGES = ("az", "en", "lt", "de")


@dataclass(frozen=True)
class Data:
    """What is in a folder of made data, memory-mapped.

    Attributes:
        vectors: (N, 512) float32 of unit length.
        queries: (Q, 512) float32 of unit length; the index holds none of them.
        truth: (Q, 10) int64, rows of the largest inner products, the largest first.
    """

    vectors: np.ndarray
    queries: np.ndarray
    truth: np.ndarray
    about: dict[str, object]


def make(folder: Path, rows: int, queries: int, seed: int) -> Data:
    """Makes the data in the folder, if it is not whole there already, and opens it."""
    told = folder / "about.json"
    wanted = {"rows": rows, "queries": queries, "seed": seed}
    if not told.exists() or any(json.loads(told.read_text()).get(n) != v for n, v in wanted.items()):
        folder.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        source = Mixture(seed)
        file = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (rows, DIM))
        for at in range(0, rows, BLOCK):
            file[at : at + BLOCK] = source.points(min(BLOCK, rows - at))
        file.flush()
        asked = source.queries(queries)
        near, cosines = exact(file, asked, min(100, rows))
        np.save(folder / "queries.npy", asked)
        np.save(folder / "truth.npy", near[:, :K])
        nearest = {f"nearest {n}": float(np.median(cosines[:, n - 1])) for n in (1, 10, 100) if n <= rows}
        told.write_text(json.dumps(wanted | {"median cosine of a query": nearest}))
    return load(folder)


def load(folder: Path) -> Data:
    """Opens what `make` made."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    asked, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    return Data(vectors, asked, truth, json.loads((folder / "about.json").read_text()))


class Mixture:
    """Points and queries of the distribution above, drawn one after the other from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.basis = np.linalg.qr(self.random.normal(size=(DIM, DIRECTIONS)))[0].T.astype(np.float32)
        energy = np.exp(-np.arange(DIRECTIONS) / DECAY)
        self.scale = np.sqrt(energy / energy.sum()).astype(np.float32)
        self.parts = [self._latent(CHOICES, share) for share in PARTS]
        often = 1 / np.sqrt(np.arange(1, CHOICES + 1))
        self.often = often / often.sum()

    def _latent(self, n: int, share: float) -> np.ndarray:
        return self.random.standard_normal((n, DIRECTIONS), dtype=np.float32) * self.scale * np.float32(share**0.5)

    def points(self, n: int) -> np.ndarray:
        latent = self._latent(n, SPREAD)
        for part in self.parts:
            latent += part[self.random.choice(CHOICES, n, p=self.often)]
        noise = self.random.standard_normal((n, DIM), dtype=np.float32) * np.float32((NOISE / DIM) ** 0.5)
        return _unit(latent @ self.basis + noise)

    def queries(self, n: int) -> np.ndarray:
        foreign = _unit(self._latent(n, 1.0) @ self.basis)
        return _unit(np.float32((1 - FOREIGN) ** 0.5) * self.points(n) + np.float32(FOREIGN**0.5) * foreign)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def exact(vectors: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q, k) rows of the largest inner products and these, by multiplying all with all."""
    ids = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for at in range(0, len(vectors), BLOCK):
        block = queries @ vectors[at : at + BLOCK].T
        best = np.argpartition(-block, min(k, block.shape[1]) - 1, axis=1)[:, :k]
        ids = np.hstack([ids, best + at])
        scores = np.hstack([scores, np.take_along_axis(block, best, 1)])
        order = np.argsort(-scores, axis=1)[:, :k]
        ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
    return ids, scores


def rows_beside(first: int, count: int) -> pa.Table:
    """What an answer tells of rows `first` to `first + count`: id, file, start, end, speaker, date and language.

    Sixty overlapping segments are a recording; speakers, days and languages belong to recordings.
    """
    ids = np.arange(first, first + count)
    tape, place = ids // SEGMENTS, ids % SEGMENTS
    tapes, at = np.unique(tape, return_inverse=True)
    day = [date(1950, 1, 1) + timedelta(days=int(t * 7919 % 18262)) for t in tapes]
    told = {
        "file": pa.array([f"interviews/{d.year}/tape-{t:06d}.wav" for t, d in zip(tapes, day)]),
        "speaker": pa.array([f"speaker-{t * 31 % 997:03d}" for t in tapes]),
        "date": pa.array(day),
        "language": pa.array([LANGUAGES[t % len(LANGUAGES)] for t in tapes]),
    }
    index = pa.array(at)
    return pa.table(
        {
            "id": pa.array(ids),
            "start": pa.array((place * 2.0).astype(np.float32)),
            "end": pa.array((place * 2.0 + 4.0).astype(np.float32)),
            **{name: column.take(index) for name, column in told.items()},
        }
    )
