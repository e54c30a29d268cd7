"""What is written into a Qdrant index."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lookhear.errors import UserError
from lookhear.search.index import Entry, Source, check_width
from lookhear.search.qdrant.address import qdrant
from lookhear.search.qdrant.layout import LEASE, STATE, record, row_payloads, source_of, tags

if TYPE_CHECKING:
    from lookhear.search.qdrant.index import QdrantIndex

__all__ = ["LEASED", "QdrantWriter"]

LEASED = 900.0
"""Seconds after the last file it put in that a writer is taken for dead."""
_ROWS = 128  # in a request, which stays below the 32 MB that a server takes
_FILES = 20_000  # in one step


class QdrantWriter:
    """See ``Writer``. Rows are sent as they come and are nothing until the commit, which is one request: new files,
    those taken out, and the state. What a killed writer sent is swept away by the next one.

    What Qdrant cannot: there are no transactions over several requests, so a commit of more than 20,000 files is made
    in several steps; no locks, so the lease that keeps a second writer out is one that is looked at after it was taken,
    and a writer that was killed keeps others out for ``LEASED`` seconds; and between the commit that says where an
    unchanged file lies now and the rewriting of its rows' payload a filter may miss it for a moment (what it finds is
    right). A writer that died there is made up for by the next.

    Args:
        index: as it is now.
    """

    def __init__(self, index: QdrantIndex) -> None:
        self.index, self.client, self.models = index, index.client, qdrant().models
        self.token = uuid.uuid4().hex
        self._lease()
        self._known = {s.path: s for s in index.sources()}
        self._next, self._commit = index._next, index._commit
        self._committed = self._next
        self._clear()
        self._sweep()

    def _clear(self) -> None:
        self._new: dict[int, Source] = {}
        self._touched: dict[int, Source] = {}
        self._gone: set[int] = set()

    # Files -------------------------------------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        check_width(entry, self.index.dim)
        self._lease()
        source = self._add(entry, len(entry.vectors))
        payloads = row_payloads(source, entry, self.index.about["step"])
        self._send(source.id, zip(entry.vectors.tolist(), payloads))

    def touch(self, source: Source, *, path: str, size: int, modified: int, details: Mapping[str, str]) -> None:
        if path != source.path:
            self._drop(path)
            self._known.pop(source.path, None)
        now = replace(source, path=path, size=size, modified=modified, details=dict(details))
        self._known[path] = now
        (self._new if source.id in self._new else self._touched)[source.id] = now
        if source.id in self._new:
            self._retag([now])

    def copy(self, source: Source, entry: Entry) -> None:
        rows = list(self._rows_of(source))
        new = self._add(entry, source.rows)
        own = {"source": new.id, **tags(new)}
        self._send(new.id, ((p.vector, {**p.payload, **own}) for p in rows))

    def remove(self, source: Source) -> None:
        self._drop(source.path)

    def _add(self, entry: Entry, rows: int) -> Source:
        self._drop(entry.path)
        about = (entry.hash, entry.size, entry.modified, entry.modality, entry.seconds)
        source = Source(self._next, entry.path, *about, rows, dict(entry.details))
        self._next += rows
        self._new[source.id] = self._known[entry.path] = source
        return source

    def _drop(self, path: str) -> None:
        source = self._known.pop(path, None)
        if source is None:
            return
        self._touched.pop(source.id, None)
        if self._new.pop(source.id, None) is not None:
            self._delete_rows([source.id])
        else:
            self._gone.add(source.id)

    def _rows_of(self, source: Source) -> Iterator[Any]:
        numbers = range(source.id, source.id + source.rows)
        for n in range(0, len(numbers), _ROWS):
            found = self.client.retrieve(self.index.rows, list(numbers[n : n + _ROWS]), with_vectors=True)
            yield from sorted(found, key=lambda p: p.id)

    def _send(self, first: int, rows: Iterable[tuple[Any, dict[str, Any]]]) -> None:
        points = (self.models.PointStruct(id=first + n, vector=v, payload=p) for n, (v, p) in enumerate(rows))
        while batch := list(islice(points, _ROWS)):
            self.client.upsert(self.index.rows, batch, wait=True)

    # Commits -----------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        self._lease()
        marks = [
            *((s.id, record(s)) for s in self._new.values()),
            *((s.id, {**record(s), "stale": True}) for s in self._touched.values()),
            *((n, {"gone": True}) for n in sorted(self._gone)),
        ]
        points = [self.models.PointStruct(id=n, vector={}, payload=p) for n, p in marks]
        # Numbers of files that came and went since the last commit are used up, though nothing else is to be said.
        while points or self._next != self._committed:
            batch, points = points[:_FILES], points[_FILES:]
            self._commit += 1
            now = {"about": dict(self.index.about), "next": self._next, "commit": self._commit}
            state = self.models.PointStruct(id=STATE, vector={}, payload=now)
            self.client.upsert(self.index.files, [*batch, state], wait=True)
            self._committed = self._next
        self._retag(list(self._touched.values()))
        self._settle(list(self._touched), sorted(self._gone))
        self._clear()

    def give_up(self) -> None:
        """Takes back what was sent since the last commit, unless the numbers are another writer's by now."""
        if (self._holder() or {}).get("token") == self.token:
            # An error may have come after the commit, or in the midst of its steps: what is there stays.
            there = {p.id for p in self.client.retrieve(self.index.files, list(self._new), with_payload=False)}
            self._delete_rows(sorted(self._new.keys() - there))
        self._clear()

    def _retag(self, sources: Sequence[Source]) -> None:
        """Tells rows what is known about their files now."""
        for source in sources:
            numbers = list(range(source.id, source.id + source.rows))
            self.client.set_payload(self.index.rows, tags(source), points=numbers, wait=True)

    def _settle(self, touched: Sequence[int], gone: Sequence[int]) -> None:
        """Forgets what there was to do."""
        if touched:
            self.client.delete_payload(self.index.files, ["stale"], points=list(touched), wait=True)
        if gone:
            self._delete_rows(gone)
            self.client.delete(self.index.files, points_selector=list(gone), wait=True)

    def _delete_rows(self, sources: Sequence[int]) -> None:
        for n in range(0, len(sources), _FILES):
            self._delete_where(match=self.models.MatchAny(any=list(sources[n : n + _FILES])))

    def _delete_where(self, **condition: Any) -> None:
        chosen = self.models.Filter(must=[self.models.FieldCondition(key="source", **condition)])
        self.client.delete(self.index.rows, self.models.FilterSelector(filter=chosen), wait=True)

    def _sweep(self) -> None:
        """Finishes what a killed writer committed, and takes away what it did not."""
        self._delete_where(range=self.models.Range(gte=self._next))
        for name in ("stale", "gone"):
            marked = self.models.FieldCondition(key=name, match=self.models.MatchValue(value=True))
            chosen = self.models.Filter(must=[marked])
            while points := self.client.scroll(self.index.files, scroll_filter=chosen, limit=_FILES)[0]:
                numbers = [p.id for p in points]
                if name == "stale":
                    self._retag([source_of(p.id, p.payload) for p in points])
                self._settle(numbers if name == "stale" else [], numbers if name == "gone" else [])

    # The lease ---------------------------------------------------------------------------------------------------

    def _lease(self) -> None:
        """Takes it, or holds it for longer."""
        held = self._holder()
        if held is not None and held["token"] != self.token and held["until"] > time.time():
            left = round(held["until"] - time.time())
            raise UserError(
                f"{self.index.path}: another process is writing it",
                f"Try again when it is done; one that was killed is forgotten in {left} s.",
            )
        lease = {"token": self.token, "until": time.time() + LEASED}
        self.client.upsert(self.index.files, [self.models.PointStruct(id=LEASE, vector={}, payload=lease)], wait=True)
        if (self._holder() or lease)["token"] != self.token:
            raise UserError(f"{self.index.path}: another process is writing it", "Try again when it is done.")

    def _holder(self) -> dict[str, Any] | None:
        found = self.client.retrieve(self.index.files, [LEASE])
        return found[0].payload if found else None

    def release(self) -> None:
        if (self._holder() or {}).get("token") == self.token:
            self.client.delete(self.index.files, points_selector=[LEASE], wait=True)
