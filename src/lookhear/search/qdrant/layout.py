"""How an index lies in Qdrant: a collection of rows with their vectors, and one of files, state and lease.

A row's point has the number of the row, and a payload to filter by. It also keeps the frames from its segment's start
to the next one's, so that every frame is kept once and two neighbours hold a segment. A file's point has the number of
its first row. Rows without a file that names them are not there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.search.index import Entry, Source, Where, dates_between
from lookhear.search.qdrant.address import qdrant
from lookhear.search.segments import HOP, segment_times

__all__ = ["INDEXES", "LEASE", "STATE", "admits", "filters", "frames_of", "record", "row_payloads", "source_of", "tags"]

STATE, LEASE = "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"
"""Points of the collection of files: what the index is, and who is writing it."""
INDEXES = {"source": "integer", "modality": "keyword", "folders": "keyword", "details": "keyword", "date": "integer"}
"""Payload of rows that is filtered by → its kind."""


def record(source: Source) -> dict[str, Any]:
    """A file as payload."""
    names = ("path", "size", "modified", "modality", "seconds", "rows")
    return {**{n: getattr(source, n) for n in names}, "hash": source.hash.hex(), "details": dict(source.details)}


def source_of(number: int, payload: Mapping[str, Any]) -> Source:
    values = {n: payload[n] for n in ("path", "size", "modified", "modality", "seconds", "rows", "details")}
    return Source(number, hash=bytes.fromhex(payload["hash"]), **values)


def tags(source: Source) -> dict[str, Any]:
    """What rows are filtered by, and what can change of a file whose content does not."""
    date = source.details.get("date")
    return {
        "file": source.path,
        "folders": [str(p) for p in Path(source.path).parents],
        "details": [_pair(c, v) for c, v in source.details.items()],
        "date": _day(date, "0") if date else None,
    }


def row_payloads(source: Source, entry: Entry, step: float) -> Iterator[dict[str, Any]]:
    """Payloads of a new file's rows, with its frames and lines."""
    local = entry.local if entry.local is not None else np.zeros((0, 1), np.float16)
    bounds = [round(n * HOP / step) for n in range(source.rows)] + [max(len(local), 1)]
    for n in range(source.rows):
        start, end = source.times(source.id + n)
        payload = {"source": source.id, "modality": source.modality, "start": start, "end": end, **tags(source)}
        if entry.texts:
            payload["text"] = entry.texts[n]
        if source.modality == "audio":
            own = np.ascontiguousarray(local[bounds[n] : bounds[n + 1]], dtype="<f2")
            payload["frames"] = base64.b64encode(own.tobytes()).decode()
        yield payload


def frames_of(source: Source, row: int, own: str, following: str, dim: int, step: float) -> NDArray[np.float32]:
    """(N, D) local vectors of a segment, of what its row and the next one keep."""
    data = base64.b64decode(own) + base64.b64decode(following)
    frames = np.frombuffer(data, "<f2").reshape(-1, dim).astype(np.float32)
    if row - source.id == source.rows - 1:
        return frames
    start, end = segment_times(source.seconds, row - source.id)
    return frames[: round(end / step) - round(start / step)]


# Filters ---------------------------------------------------------------------------------------------------------


def filters(where: Where, below: int) -> Any:
    """The filter of rows that count, among those of files numbered below ``below``."""
    models = qdrant().models
    must = [models.FieldCondition(key="source", range=models.Range(lt=below))]
    if where.modality:
        must.append(models.FieldCondition(key="modality", match=models.MatchValue(value=where.modality)))
    if where.folder:
        folder = models.MatchValue(value=str(Path(where.folder).absolute()))
        must.append(models.FieldCondition(key="folders", match=folder))
    for column, values in where.details.items():
        pairs = models.MatchAny(any=[_pair(column, v) for v in values])
        must.append(models.FieldCondition(key="details", match=pairs))
    if where.since or where.until:
        days = models.Range(gte=_day(where.since or "0000", "0"), lte=_day(where.until or "9999", "9"))
        must.append(models.FieldCondition(key="date", range=days))
    return models.Filter(must=must)


def admits(where: Where, source: Source) -> bool:
    """Whether a file counts.

    Raises:
        UserError: a date that is none.
    """
    low, high = dates_between(where.since, where.until)
    details = source.details
    return (
        where.modality in (None, source.modality)
        and (not where.folder or Path(where.folder).absolute() in Path(source.path).parents)
        and all(details.get(c) in values for c, values in where.details.items())
        and (not (where.since or where.until) or low <= details.get("date", "") <= high)
    )


def _pair(column: str, value: str) -> str:
    return json.dumps([column, value], ensure_ascii=False)


def _day(date: str, rest: str) -> int:
    """ "1957-03" → 19570300 (``rest`` "0") or 19570399 ("9"): numbers in the order of the dates as strings."""
    return int(date.replace("-", "").ljust(8, rest))
