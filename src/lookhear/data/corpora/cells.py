"""Values out of the tables and objects of raw corpora: checked, and brought to the form that items have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from lookhear.data.items import Media, Word
from lookhear.data.read import word_times
from lookhear.errors import UserError

__all__ = ["SPLITS", "as_column", "is_unicode", "media_of", "rows_of", "strings", "words_of"]

SPLITS: Mapping[str, str] = {"valid": "val", "validation": "val", "dev": "val", "eval": "val"}
"""What other corpora call the split ``val``."""


def is_unicode(name: str) -> bool:
    """Whether a text has no halves of characters, which no column may be called by."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def media_of(data: bytes, path: Any) -> Media:
    """A sound or picture; its name starts with a hash of its bytes: paths in tables may be equal for different ones."""
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    name = str(path or "").replace("\\", "/").rpartition("/")[2]
    return Media(data=data, name=f"{digest}-{name}" if name else digest)


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Its rows as Python values; for one that has none (a text that is no UTF-8, the year 150000) what is wrong."""
    try:
        rows = batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as e:
        if batch.num_rows == 1:
            yield None, f"a value that cannot be read ({e})"
        else:
            for row in range(batch.num_rows):
                yield from rows_of(batch.slice(row, 1))
    else:
        yield from ((row, "") for row in rows)


def strings(value: Any) -> list[str] | None:
    """A list of texts, or None for anything else."""
    return value if isinstance(value, list) and all(isinstance(v, str) for v in value) else None


def words_of(value: Any) -> list[Word] | None:
    """Word times, [{word, start, end}, …] or {word: […], start: […], end: […]}; None for what is neither.

    Raises:
        UserError: lists of different lengths, or times that are no numbers.
    """
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        if len({len(v) for v in value.values()}) > 1:
            raise UserError("word times of different lengths", "Give as many starts and ends as words.")
        value = [dict(zip(value, cells)) for cells in zip(*value.values())]
    try:
        times = word_times(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError("word times that are no numbers", "Give seconds: [{word, start, end}].") from None
    return None if times is None else [(w["word"], w["start"], w["end"]) for w in times]


def as_column(value: Any, kind: pa.DataType) -> Any:
    """A value as its column has it: in a column of text, lists and objects as JSON.

    Raises:
        UserError: it is of another type than the column.
    """
    if value is None or (pa.types.is_string(kind) and isinstance(value, str)):
        return value
    if pa.types.is_string(kind):
        return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        raise UserError(f"{str(value)[:80]!r} in a column of {kind}", "Give a column's values one type.") from None
