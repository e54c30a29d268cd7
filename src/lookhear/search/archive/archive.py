"""An archive: an index in a folder that can be written and searched, and survives whatever stops a writer.

``index.json`` says what it is; ``rows.sqlite`` holds files, frames and what was added last, in transactions; and
``vectors-N.faiss`` the pooled vectors of all others. The database names the file of vectors that counts, so a new one
counts from the transaction on that names it, and one that was never named is swept away by the next writer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.models.model import write_atomically
from lookhear.search.archive.codec import Codec, HalfPrecision, Residual
from lookhear.search.archive.nearest import Nearest, Sealed, numbers_of
from lookhear.search.archive.schema import CHUNK, DATABASE, connect, create, holds_files, storage_errors
from lookhear.search.archive.writer import ArchiveWriter
from lookhear.search.index import MANIFEST, Found, Source, Where, as_manifest, dates_between, read_manifest
from lookhear.search.ranges import Ranges, ranges_of

__all__ = ["ArchiveIndex"]

Floats = NDArray[np.float32]
_FILES = """SELECT f.id, d.path, f.name, f.hash, f.size, f.modified, f.modality, f.seconds, f.rows, a.json
            FROM files f JOIN folders d ON d.id = f.folder LEFT JOIN details a ON a.id = f.details"""
_CODES = f"""SELECT f.codec, c.codes FROM files f JOIN chunks c
             ON c.id BETWEEN f.chunk + ? AND f.chunk + min(?, (f.frames - 1) / {CHUNK})
             WHERE f.id = ? AND f.frames > 0 ORDER BY c.id"""
LOCK = ".writing"
_CHOSEN = 32  # filters whose rows are remembered


class ArchiveIndex:
    """See ``Index``. Searching sees what was committed last, also by another process while this one is open."""

    UNFINISHED = frozenset((DATABASE, f"{DATABASE}-journal", f"{MANIFEST}.part", LOCK))
    """What a process that was killed while it made an empty archive may have left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about: Mapping[str, Any] = read_manifest(path)
        self.dim: int = self.about["dim"]
        self._database = connect(path)
        self._codecs: dict[int, Codec] = {0: HalfPrecision(self.dim)}
        self._seen: tuple[int, int] | None = None
        self._refreshing = Lock()  # several threads may ask
        self._refresh()

    @classmethod
    def create(cls, path: Path, about: Mapping[str, Any]) -> ArchiveIndex:
        """An empty one in a new or empty folder."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / DATABASE).exists() and holds_files(path):
                raise UserError(
                    f"{path}: damaged index ({MANIFEST} is missing)",
                    "Put it back, or delete the folder to make it anew.",
                )
            for name in cls.UNFINISHED:
                (path / name).unlink(missing_ok=True)
        except OSError as e:
            raise UserError(f"{path}: cannot be written ({e.strerror or e})", "Name another folder.") from None
        try:
            create(path)
            write_atomically(path / MANIFEST, as_manifest(about))
        except UserError:
            _clear(path)
            raise
        return cls(path)

    @classmethod
    def discard(cls, path: Path) -> None:
        """Takes an archive away, unless somebody has begun to fill it."""
        with _locked(path):
            if not holds_files(path):
                (path / MANIFEST).unlink()
                _clear(path)

    def close(self) -> None:
        self._database.close()

    def __len__(self) -> int:
        return int(self._ask("SELECT coalesce(sum(rows), 0) FROM files")[0][0])

    # Reading -----------------------------------------------------------------------------------------------------

    def _ask(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with storage_errors(self.path):
            return self._database.execute(statement, values).fetchall()

    def _refresh(self) -> None:
        """Takes in what was committed since."""
        with self._refreshing:
            self._take_in()

    def _take_in(self) -> None:
        seen = self._ask("PRAGMA data_version")[0][0], self._database.total_changes
        if seen == self._seen:
            return
        with storage_errors(self.path):
            self._database.execute("BEGIN")  # the name of the file and what is not in it, of one moment
            try:
                state = dict(self._ask("SELECT key, value FROM state"))
                fresh = self._ask("SELECT id, vectors FROM fresh ORDER BY id")
                name = state.get("sealed")
                sealed = Sealed(self.path / name) if name else None
            finally:
                self._database.execute("ROLLBACK")
        vectors = np.frombuffer(b"".join(v for _, v in fresh), "<f2").reshape(-1, self.dim).astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self._nearest = Nearest(sealed, numbers_of(fresh, self.dim), vectors)
        self._size = int(state.get("rows", 0))
        self._newest = int(state.get("trained_codec", 0))
        self._chosen: dict[str, Ranges | None] = {}
        self._seen = seen

    def sources(self) -> list[Source]:
        return [_source(r) for r in self._ask(f"{_FILES} ORDER BY f.id")]

    def source(self, number: int) -> Source:
        found = self._ask(f"{_FILES} WHERE f.id = ?", (number,))
        if not found:
            raise UserError(f"{self.path}: no file of number {number}", "It may have left the index: search again.")
        return _source(found[0])

    def search(self, query: Floats, k: int = 10, where: Where | None = None) -> list[list[Found]]:
        if query.ndim != 2 or query.shape[1] != self.dim:
            raise UserError(f"queries of shape {query.shape}", f"This index takes (Q, {self.dim}).")
        self._refresh()
        only = self._only(where)
        query = np.ascontiguousarray(query, dtype=np.float32)
        wanted = k
        while True:
            scores, rows = self._nearest.search(query, wanted, only, self._size)
            known = self._sources_of(rows)
            found = [
                [known[int(r)].hit(int(r), float(s)) for r, s in zip(*pair) if int(r) in known][:k]
                for pair in zip(rows, scores)
            ]
            # Rows that were taken out still lie in the file of vectors until it is written anew.
            if scores.shape[1] < wanted or all(len(f) >= k or (r < 0).any() for f, r in zip(found, rows)):
                return found
            wanted *= 4

    def _sources_of(self, rows: NDArray[np.int64]) -> dict[int, Source]:
        """Row → its file, of those that are in the index."""
        known: dict[int, Source] = {}
        last: Source | None = None
        for row in np.unique(rows[rows >= 0]).tolist():
            if last is None or not last.id <= row < last.id + last.rows:
                found = self._ask(f"{_FILES} WHERE f.id <= ? ORDER BY f.id DESC LIMIT 1", (row,))
                last = _source(found[0]) if found else None
            if last is not None and last.id <= row < last.id + last.rows:
                known[row] = last
        return known

    def _only(self, where: Where | None) -> Ranges | None:
        """``_ranges``, made once for what is committed; None where all rows count."""
        if where is None or where.everything:
            return None
        key = repr(where)
        if key not in self._chosen:
            if len(self._chosen) >= _CHOSEN:
                self._chosen.clear()
            found = self._ranges(where)
            self._chosen[key] = None if found.total == len(self) else found
        return self._chosen[key]

    def _ranges(self, where: Where) -> Ranges:
        """The rows that count."""
        low, high = dates_between(where.since, where.until)
        tests, values = ["1"], list[Any]()
        if where.modality:
            tests.append("f.modality = ?")
            values.append(where.modality)
        if where.folder:
            folder = str(Path(where.folder).absolute())
            tests.append("f.folder IN (SELECT id FROM folders WHERE path = ? OR substr(path, 1, ?) = ?)")
            below = folder.rstrip("/") + "/"
            values += [folder, len(below), below]
        if where.since or where.until or where.details:
            every = [(i, json.loads(j)) for i, j in self._ask("SELECT id, json FROM details")]
            dated = where.since or where.until
            kept = [
                i
                for i, d in every
                if all(d.get(k) in set(v) for k, v in where.details.items())
                and (not dated or low <= d.get("date", "") <= high)
            ]
            tests.append(f"f.details IN ({','.join(map(str, kept))})")
        return ranges_of(self._ask(f"SELECT id, rows FROM files f WHERE {' AND '.join(tests)} ORDER BY id", values))

    def pooled(self, hits: Sequence[Found]) -> Floats:
        self._refresh()
        return self._nearest.vectors(np.array([h.row for h in hits], dtype=np.int64))

    def local(self, hits: Sequence[Found]) -> list[Floats]:
        return self._frames(hits, lambda codec, codes: codec.decode(codes), self.dim)

    def reduced(self, hits: Sequence[Found], queries: Floats) -> tuple[list[Floats], Floats]:
        newest = self._codec(self._newest)
        asked = newest.project(queries)
        return self._frames(hits, lambda codec, codes: self._like(newest, codec, codes), asked.shape[1]), asked

    @staticmethod
    def _like(newest: Codec, codec: Codec, codes: bytes) -> Floats:
        return codec.reduce(codes) if codec is newest else newest.project(codec.decode(codes))

    def _frames(self, hits: Sequence[Found], read: Callable[[Codec, bytes], Floats], width: int) -> list[Floats]:
        """The frames of each hit's segment; all of one codec at once, which is many times quicker than one by one."""
        pieces = [self._codes_of(hit) for hit in hits]
        out: list[Floats] = [np.zeros((0, width), np.float32)] * len(pieces)
        for number in {n for n, _ in pieces}:
            codec, mine = self._codec(number), [i for i, (n, _) in enumerate(pieces) if n == number]
            frames = read(codec, b"".join(pieces[i][1] for i in mine))
            ends = np.cumsum([len(pieces[i][1]) // codec.width for i in mine])
            for i, part in zip(mine, np.split(frames, ends[:-1])):
                out[i] = part
        return out

    def _codes_of(self, hit: Found) -> tuple[int, bytes]:
        """Codec and codes of a hit's segment; no codes of a picture, a text, or what was taken out since."""
        if hit.modality != "audio":
            return self._newest, b""
        start, end = hit.source.times(hit.row)
        first = round(start / self.about["step"])
        is_last = hit.row - hit.source.id == hit.source.rows - 1
        last = None if is_last else round(end / self.about["step"])
        low = first // CHUNK
        high = 1 << 31 if last is None else max(first, last - 1) // CHUNK
        # In one statement: a writer may be putting the frames of a whole archive into fewer bytes.
        found = self._ask(_CODES, (low, high, hit.source.id))
        if not found:
            return self._newest, b""
        width = self._codec(found[0][0]).width
        codes = b"".join(c for _, c in found)
        until = None if last is None else (last - low * CHUNK) * width
        return found[0][0], codes[(first - low * CHUNK) * width : until]

    def _codec(self, number: int) -> Codec:
        if number not in self._codecs:
            found = self._ask("SELECT data FROM codecs WHERE id = ?", (number,))
            if not found:
                raise UserError(f"{self.path}: damaged index (codec {number} is missing)", "Make it again.")
            self._codecs[number] = Residual(found[0][0])
        return self._codecs[number]

    def texts(self, hits: Sequence[Found]) -> list[str]:
        lines = {
            h.row: self._ask("SELECT text FROM texts WHERE id = ?", (h.row,)) for h in hits if h.modality == "text"
        }
        return [lines[h.row][0][0] if lines.get(h.row) else "" for h in hits]

    def sample(self, n: int, seed: int = 0, where: Where | None = None) -> list[Found]:
        self._refresh()
        rows = self._ranges(where or Where()).drawn(n, seed)
        return [source.hit(row) for row, source in self._sources_of(rows).items()]

    def counts(self) -> dict[str, float]:
        by = {
            m: (n, r, s)
            for m, n, r, s in self._ask(
                "SELECT modality, count(*), sum(rows), sum(seconds) FROM files GROUP BY modality"
            )
        }
        names = {"audio": "recordings", "image": "pictures", "text": "texts"}
        return {
            **{names[m]: by.get(m, (0, 0, 0.0))[0] for m in names},
            "segments": sum(r for _, r, _ in by.values()),
            "hours": by.get("audio", (0, 0, 0.0))[2] / 3600,
        }

    def facets(self, most: int = 200) -> dict[str, dict[str, int]]:
        table: dict[str, dict[str, int]] = {}
        for text, n in self._ask(
            "SELECT a.json, count(*) FROM files f JOIN details a ON a.id = f.details GROUP BY a.id"
        ):
            for column, value in json.loads(text).items():
                values = table.setdefault(column, {})
                values[value] = values.get(value, 0) + n
        table["folder"] = dict(
            self._ask("SELECT d.path, count(*) FROM files f JOIN folders d ON d.id = f.folder GROUP BY d.id")
        )
        return {c: dict(sorted(v.items(), key=lambda x: (-x[1], x[0]))[:most]) for c, v in sorted(table.items())}

    # Writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[ArchiveWriter]:
        with _locked(self.path), storage_errors(self.path):
            database = connect(self.path, write=True)
            try:
                writer = ArchiveWriter(self.path, database, self.dim)
                yield writer
                writer.finish()
            finally:
                database.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{path}: another process is writing it", "Try again when it is done.") from None
    except OSError as e:
        raise UserError(f"{path}: nothing can be written there ({e.strerror or e})", "Check its permissions.") from None
    try:
        yield
    finally:
        lock.release()


def _clear(path: Path) -> None:
    """Deletes what an unfinished archive is made of, and its folder if nothing else lies there."""
    for name in ArchiveIndex.UNFINISHED:
        (path / name).unlink(missing_ok=True)
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def _source(row: Sequence[Any]) -> Source:
    number, folder, name, digest, size, modified, modality, seconds, rows, details = row
    path = f"{folder.rstrip('/')}/{name}"
    return Source(number, path, digest, size, modified, modality, seconds, rows, json.loads(details) if details else {})
