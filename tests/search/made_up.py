"""Files made up for engines: entries of an index without a model, and what an index of them must answer, slowly."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookhear.search.index import Entry, Source, Where
from lookhear.search.segments import segment_count, segment_times

DIM, STEP = 16, 0.04
ABOUT = {"run": "/runs/a", "model": "0123", "dim": DIM, "step": STEP}


def unit(count, seed=0, dim=DIM):
    v = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def entry(path, content=0, seconds=0.0, texts=(), details=None):
    """A recording of so many seconds, a text, or a picture; the same content has the same vectors."""
    modality = "audio" if seconds else "text" if texts else "image"
    rows = segment_count(seconds) if seconds else len(texts) or 1
    seed = int.from_bytes(hashlib.sha256(f"{content}{modality}{seconds}".encode()).digest()[:4], "big")
    local = None
    if seconds:
        frames = max(1, round(seconds / STEP))
        sizes = np.random.default_rng(seed).uniform(0.5, 3, (frames, 1))
        local = (unit(frames, seed + 1) * sizes).astype(np.float16)
    digest = hashlib.sha256(f"{content} {modality} {seconds}".encode()).digest()[:16]
    return Entry(
        path, digest, 100 + content, 1_700_000_000_000_000_000 + content, modality, seconds,
        vectors=unit(rows, seed), local=local, texts=tuple(texts), details=dict(details or {}),
    )  # fmt: skip


def library(count=40):
    """Recordings, pictures and texts in folders, some with a speaker, a date and a language."""
    rng = np.random.default_rng(5)
    dates = ["", "1957", "1957-03", "1957-03-21", "1962-11", "1980-01-01"]
    for n in range(count):
        folder = ["/tapes/a", "/tapes/a/deep", "/tapes/b", "/tapes/ab", "/photos"][n % 5]
        details = {"speaker": ["Anna", "Bo", "Ève"][n % 3], "date": dates[int(rng.integers(6))], "language": "lt"}
        details = {c: v for c, v in details.items() if v and rng.random() < 0.8}
        if n % 4 == 3:
            yield entry(f"{folder}/{n}.png", n, details=details)
        elif n % 8 == 2:
            yield entry(f"{folder}/{n}.txt", n, texts=[f"line {i} of {n}" for i in range(1 + n % 5)], details=details)
        else:
            yield entry(
                f"{folder}/{n}.wav", n, seconds=[1.3, 5.98, 6.5, 11.0, 23.7][int(rng.integers(5))], details=details
            )


class Slow:
    """A dictionary that answers as an index must, one comparison at a time.

    Rows are numbered as ``Writer`` says: on and on, each file's one after another.
    """

    def __init__(self):
        self.files: dict[str, tuple[int, Entry]] = {}
        self.next = 0

    def put(self, e: Entry):
        self.files.pop(e.path, None)
        self.files[e.path] = (self.next, e)
        self.next += len(e.vectors)

    def touch(self, path, to, size, modified, details):
        first, e = self.files.pop(path)
        self.files[to] = (first, replace(e, path=to, size=size, modified=modified, details=dict(details)))

    def remove(self, path):
        del self.files[path]

    def sources(self):
        return sorted(
            (
                Source(n, e.path, e.hash, e.size, e.modified, e.modality, e.seconds, len(e.vectors), dict(e.details))
                for n, e in self.files.values()
            ),
            key=lambda s: s.id,
        )

    def rows(self, where=None):
        """(row, entry, place in it) of all that count, in order."""
        out = [
            (first + n, e, n)
            for first, e in self.files.values()
            if where is None or counts(where, e)
            for n in range(len(e.vectors))
        ]
        return sorted(out, key=lambda r: r[0])

    def scores(self, query, where=None):
        """Row → cosine of all that count."""
        return {row: float(e.vectors[n] @ query) for row, e, n in self.rows(where)}

    @staticmethod
    def local(e, n):
        """The frames of a segment."""
        if e.local is None:
            return np.zeros((0, DIM), np.float32)
        start, end = segment_times(e.seconds, n)
        last = n == len(e.vectors) - 1
        return e.local[round(start / STEP) : len(e.local) if last else round(end / STEP)].astype(np.float32)


def counts(where: Where, e: Entry) -> bool:
    date = e.details.get("date")
    if where.modality and e.modality != where.modality:
        return False
    if where.folder and not f"{Path(e.path).parent}/".startswith(where.folder.rstrip("/") + "/"):
        return False
    if (where.since or where.until) and date is None:
        return False
    if where.since and date < where.since:
        return False
    if where.until and date[: len(where.until)] > where.until:
        return False
    return all(e.details.get(c) in list(v) for c, v in where.details.items())
