"""An index in two collections of a Qdrant server (or of qdrant-client alone): see ``layout`` for what lies where.

Beside the embedded archive it is larger: frames are in half precision (2 × D bytes each, a third more as base64), and
vectors in single. Filters of up to ``EXACT`` rows are exact, else the server's HNSW graph finds what is near.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.search.index import FORMAT, Found, Source, Where
from lookhear.search.qdrant.address import connect, disconnect, parse_address, qdrant, server_errors
from lookhear.search.qdrant.layout import INDEXES, STATE, admits, filters, frames_of, source_of
from lookhear.search.qdrant.writer import QdrantWriter
from lookhear.search.ranges import Integers, ranges_of

__all__ = ["EXACT", "QdrantIndex"]

Floats = NDArray[np.float32]
EXACT = 20_000
"""Rows that a filter leaves up to which they are compared one by one."""
_SCROLLED = 10_000  # files asked for at once


class QdrantIndex:
    """See ``Index``. Searching sees what was committed last; the list of files is kept here and read again after each
    commit.

    Raises:
        UserError: no such address, no answer, no index there, or one of another format.
    """

    def __init__(self, address: str) -> None:
        self.address = parse_address(address)
        self.path: str = address
        self.rows, self.files = self.address.collection, f"{self.address.collection}-files"
        self.client = connect(self.address)
        self._commit = -1
        try:
            with server_errors(self.address):
                if not self.client.collection_exists(self.files):
                    raise UserError(f"{address}: no index", f"Make one with `lookhear index RUN FOLDER -o {address}`.")
                state = self._state()
            found = state["about"]["format"]
            if found != FORMAT:
                raise UserError(
                    f"{address}: an index of format {found}, this LookHear reads {FORMAT}", "Make it again."
                )
        except BaseException:
            self.close()
            raise
        self.about: Mapping[str, Any] = state["about"]
        self.dim: int = self.about["dim"]

    @classmethod
    def create(cls, address: str, about: Mapping[str, Any]) -> QdrantIndex:
        """An empty one, or the one that is there, if it is of the same model.

        Raises:
            UserError: no answer, or something else has that name.
        """
        place = parse_address(address)
        client, models = connect(place), qdrant().models
        rows, files = place.collection, f"{place.collection}-files"
        try:
            with server_errors(place):
                state = client.retrieve(files, [STATE]) if client.collection_exists(files) else []
                if not state:
                    if any(client.collection_exists(n) and client.count(n).count for n in (rows, files)):
                        raise UserError(f"{address}: a collection that is no index", "Name another.")
                    _make(client, rows, files, about["dim"], local=place.place is not None)
                    now = {"about": {**about, "format": FORMAT, "engine": "qdrant"}, "next": 0, "commit": 0}
                    client.upsert(files, [models.PointStruct(id=STATE, vector={}, payload=now)], wait=True)
                elif state[0].payload["about"]["model"] != about["model"]:
                    raise UserError(f"{address} was made with another model", "Name another collection, or delete it.")
                elif state[0].payload["about"]["run"] != about["run"]:
                    known = {**state[0].payload["about"], "run": about["run"]}
                    client.set_payload(files, {"about": known}, points=[STATE], wait=True)
            return cls(address)
        finally:
            disconnect(place, client)

    def close(self) -> None:
        disconnect(self.address, self.client)

    def __len__(self) -> int:
        self._refresh()
        return self._ranges.total

    # Reading -----------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        found = self.client.retrieve(self.files, [STATE])
        if not found:
            raise UserError(f"{self.address}: no index (its state is missing)", "Make it again.")
        payload: dict[str, Any] = found[0].payload
        return payload

    def _refresh(self) -> None:
        """Takes in what was committed since; files and state are of one moment."""
        with server_errors(self.address):
            state = self._state()
            while state["commit"] != self._commit:
                sources = sorted(self._read_files(), key=lambda s: s.id)
                again = self._state()
                if again["commit"] == state["commit"]:
                    self._sources = {s.id: s for s in sources}
                    self._ranges = ranges_of((s.id, s.rows) for s in sources)
                    self._next, self._commit = int(state["next"]), state["commit"]
                state = again

    def _read_files(self) -> Iterator[Source]:
        models, offset = qdrant().models, None
        one = models.FieldCondition(key="gone", match=models.MatchValue(value=True))
        while True:
            points, offset = self.client.scroll(
                self.files, scroll_filter=models.Filter(must_not=[one]), limit=_SCROLLED, offset=offset
            )
            yield from (source_of(p.id, p.payload) for p in points if "path" in p.payload)
            if offset is None:
                return

    def sources(self) -> list[Source]:
        self._refresh()
        return list(self._sources.values())

    def source(self, number: int) -> Source:
        self._refresh()
        if number not in self._sources:
            raise UserError(f"{self.path}: no file of number {number}", "It may have left the index: search again.")
        return self._sources[number]

    def search(self, query: Floats, k: int = 10, where: Where | None = None) -> list[list[Found]]:
        if query.ndim != 2 or query.shape[1] != self.dim:
            raise UserError(f"queries of shape {query.shape}", f"This index takes (Q, {self.dim}).")
        where = where or Where()
        left = sum(s.rows for s in self._admitted(where))
        if not left:
            return [[] for _ in query]
        wanted, models = k, qdrant().models
        chosen = filters(where, self._next)
        while True:
            # qdrant-client alone compares one by one in any case, and warns of being asked to.
            how = None if self.address.place else models.SearchParams(exact=left <= EXACT, hnsw_ef=max(256, wanted))
            asked = [models.QueryRequest(query=q.tolist(), limit=wanted, filter=chosen, params=how) for q in query]
            with server_errors(self.address):
                answers = [a.points for a in self.client.query_batch_points(self.rows, asked)]
            found = [self._known(points, where)[:k] for points in answers]
            # Rows that were taken out may lie there for a moment yet.
            if all(len(f) >= min(k, left) or len(p) < wanted for f, p in zip(found, answers)):
                return found
            wanted *= 4

    def _known(self, points: Sequence[Any], where: Where) -> list[Found]:
        """Points whose file is in the index and counts, as hits; of equal ones the first row first."""
        hits = []
        for point in sorted(points, key=lambda p: (-p.score, p.id)):
            source = self._source_at(point.id)
            if source is not None and admits(where, source):
                hits.append(source.hit(point.id, float(point.score)))
        return hits

    def _source_at(self, row: int) -> Source | None:
        at = int(np.searchsorted(self._ranges.first, row, side="right")) - 1
        if at < 0 or row >= self._ranges.first[at] + self._ranges.count[at]:
            return None
        return self._sources[int(self._ranges.first[at])]

    def _admitted(self, where: Where) -> list[Source]:
        return [s for s in self.sources() if admits(where, s)]

    def _points(self, rows: Sequence[int], **what: Any) -> dict[int, Any]:
        with server_errors(self.address):
            return {p.id: p for p in self.client.retrieve(self.rows, list(rows), **what)} if rows else {}

    def pooled(self, hits: Sequence[Found]) -> Floats:
        points = self._points(sorted({h.row for h in hits}), with_payload=False, with_vectors=True)
        nothing = np.zeros(self.dim, np.float32)
        out = np.array([points[h.row].vector if h.row in points else nothing for h in hits], dtype=np.float32)
        out = out.reshape(-1, self.dim)
        return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12), dtype=np.float32)

    def local(self, hits: Sequence[Found]) -> list[Floats]:
        heard = [h for h in hits if h.modality == "audio"]
        rows = {r for h in heard for r in (h.row, h.row + 1) if r < h.source.id + h.source.rows}
        points = self._points(sorted(rows), with_payload=["frames"])
        kept = {r: p.payload["frames"] for r, p in points.items()}
        out = []
        for hit in hits:
            last = hit.row + 1 >= hit.source.id + hit.source.rows
            following = "" if last else kept.get(hit.row + 1, "")
            own = kept.get(hit.row, "") if hit.modality == "audio" else ""
            out.append(frames_of(hit.source, hit.row, own, following, self.dim, self.about["step"]))
        return out

    def reduced(self, hits: Sequence[Found], queries: Floats) -> tuple[list[Floats], Floats]:
        return self.local(hits), queries

    def texts(self, hits: Sequence[Found]) -> list[str]:
        points = self._points(sorted({h.row for h in hits if h.modality == "text"}), with_payload=["text"])
        return [points[h.row].payload["text"] if h.row in points else "" for h in hits]

    def sample(self, n: int, seed: int = 0, where: Where | None = None) -> list[Found]:
        chosen: Integers = ranges_of((s.id, s.rows) for s in self._admitted(where or Where())).drawn(n, seed)
        found = ((row, self._source_at(row)) for row in chosen.tolist())
        return [source.hit(row) for row, source in found if source is not None]

    def counts(self) -> dict[str, float]:
        sources = self.sources()
        files = Counter(s.modality for s in sources)
        return {
            "recordings": files["audio"],
            "pictures": files["image"],
            "texts": files["text"],
            "segments": sum(s.rows for s in sources),
            "hours": sum(s.seconds for s in sources if s.modality == "audio") / 3600,
        }

    def facets(self, most: int = 200) -> dict[str, dict[str, int]]:
        table: dict[str, Counter[str]] = {"folder": Counter()}
        for source in self.sources():
            # As in the archive, a column of details that is called so gives way to where files lie.
            about = {**source.details, "folder": source.path.rpartition("/")[0] or "/"}
            for column, value in about.items():
                table.setdefault(column, Counter())[value] += 1
        return {c: dict(sorted(v.items(), key=lambda x: (-x[1], x[0]))[:most]) for c, v in sorted(table.items())}

    # Writing -----------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[QdrantWriter]:
        """See ``QdrantWriter`` for what a server cannot promise."""
        with server_errors(self.address):
            self._refresh()
            writer = QdrantWriter(self)
            try:
                yield writer
                writer.commit()
            except BaseException:
                writer.give_up()
                raise
            finally:
                writer.release()


def _make(client: Any, rows: str, files: str, dim: int, local: bool) -> None:
    """Both collections; what a killed process left of them half made is made anew."""
    models = qdrant().models
    for name in (rows, files):
        if client.collection_exists(name):
            client.delete_collection(name)
    # By dot product, which is the cosine of unit vectors. For cosines a server would scale each vector anew, so that
    # one written twice could come back in other last digits.
    vectors = models.VectorParams(size=dim, distance=models.Distance.DOT)
    client.create_collection(rows, vectors_config=vectors, on_disk_payload=True)
    # One shard, so that one request is one entry of its log: done or not done.
    client.create_collection(files, vectors_config={}, shard_number=1)
    if not local:  # which has none, and says so each time
        for name, kind in INDEXES.items():
            client.create_payload_index(rows, name, kind, wait=True)
        client.create_payload_index(files, "gone", "bool", wait=True)
        client.create_payload_index(files, "stale", "bool", wait=True)
