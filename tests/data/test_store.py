"""The store: what is written is read again; damage is named; nothing half-written stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lookhear.data.store import MANIFEST, read_store, write_corpus
from lookhear.errors import UserError

ROWS: list[dict[str, Any]] = [
    {
        "id": f"r{i}",
        "group": f"g{i // 2}",
        "split": "train",
        "audio": {"path": None, "bytes": bytes([i, 0, 255])},
        "words": [{"word": "boat", "start": 0.1, "end": 0.1 * i + 0.2}],
        "things": ["boat"] if i % 2 else [],
        "masks": [{"thing": "boat", "png": b"\x89PNG"}],
        "vector": [0.5, float(i)],
        "age": i,
    }
    for i in range(7)
]
AGE = pa.field("age", pa.int32())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(ROWS, tmp_path / "c", {"name": "small", "seed": 3}, shard_rows=3, extra=[AGE])


def test_round_trip(folder: Path) -> None:
    corpus = read_store(folder)
    assert (corpus.name, corpus.meta["seed"], len(corpus)) == ("small", 3, 7)
    assert [s["rows"] for s in corpus.meta["shards"]] == [3, 3, 1]
    for row, wanted in zip(corpus.table.to_pylist(), ROWS):
        for key, value in row.items():
            assert value == wanted.get(key), key
    assert corpus.media("audio", 4) == bytes([4, 0, 255])


def test_meta_may_be_filled_while_rows_are_made(tmp_path: Path) -> None:
    meta: dict[str, Any] = {"name": "late"}

    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": "a"}
        meta["count"] = 1

    assert read_store(write_corpus(rows(), tmp_path / "c", meta)).meta["count"] == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError(28, "No space left on device")])
def test_nothing_half_written(tmp_path: Path, error: Any) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"id": str(i)} for i in range(5))
        raise error

    expected = UserError if isinstance(error, OSError) else error
    with pytest.raises(expected, match="no space" if isinstance(error, OSError) else None):
        write_corpus(rows(), tmp_path / "c", {}, shard_rows=2)
    assert list(tmp_path.iterdir()) == []


def test_bad_folders_and_rows(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        write_corpus(ROWS, folder, {})
    with pytest.raises(UserError, match="agee"):
        write_corpus([{"id": "a", "agee": 3}], tmp_path / "d", {})
    with pytest.raises(UserError, match=MANIFEST):
        read_store(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "gone", "swapped", "version", "manifest"])
def test_damage_is_named(folder: Path, damage: str) -> None:
    shard, manifest = folder / "items-00001.parquet", folder / MANIFEST
    culprit = manifest if damage in ("version", "manifest") else shard
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-20])
    elif damage == "gone":
        shard.unlink()
    elif damage == "swapped":
        shard.write_bytes((folder / "items-00002.parquet").read_bytes())
    elif damage == "version":
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": 99}))
    else:
        manifest.write_text("{")
    with pytest.raises(UserError, match=culprit.name):
        read_store(folder)
