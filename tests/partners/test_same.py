"""Partners with the same sentence in another channel: who they are, the old channel alone, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.partners.same import SamePartners


def corpus(items: list[tuple[str | None, str]]) -> Corpus:
    """Items of (sentence, channel); the sentence is the text and the channel the split."""
    rows = [
        {"id": f"r{i}", "group": str(i), "text": s, "split": c, "audio": {"path": f"{i}.wav", "bytes": None}}
        for i, (s, c) in enumerate(items)
    ]
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), Path(), "made")


def partners(items: list[tuple[str | None, str]], **changes: Any) -> list[set[int]]:
    found = SamePartners(column="text", other="split", **changes).find(None, corpus(items), np.arange(len(items)))
    return [set(r[w > 0].tolist()) for r, w in zip(found.rows, found.weights, strict=True)]


ITEMS = [("a", "old"), ("a", "new"), ("b", "new"), ("b", "old"), ("a", "far"), ("a", "old")]


def test_any_other_channel() -> None:
    assert partners(ITEMS) == [{1, 4}, {0, 4, 5}, {3}, {2}, {0, 1, 5}, {1, 4}]


def test_the_old_channel_alone_and_itself_for_those_that_have_it() -> None:
    assert partners(ITEMS, source="old") == [{0}, {0, 5}, {3}, {3}, {0, 5}, {5}]


def test_no_more_than_top() -> None:
    assert [len(p) for p in partners(ITEMS, top=1)] == [1] * 6


@pytest.mark.parametrize(
    ("items", "changes", "says"),
    [
        ([*ITEMS, ("c", "new")], {}, "another 'split' as item r6"),
        ([*ITEMS, ("c", "new")], {"source": "old"}, "as item r6"),
        (ITEMS, {"source": "cassette"}, "no item has 'cassette'"),
        ([*ITEMS, (None, "new")], {}, "1 items have no 'text'"),
    ],
)
def test_refused(items: list[tuple[str | None, str]], changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        partners(items, **changes)
