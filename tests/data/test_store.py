"""The store: what is written is read again, in place; damage is named; nothing half-written stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookhear.data import store
from lookhear.data.schema import Corpus
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
USUAL = pa.default_memory_pool()
POOL = pa.proxy_memory_pool(USUAL)  # tells the most that was allocated at a time; must outlive all that it allocates


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


@pytest.mark.parametrize(("shard_rows", "shards"), [(7, [7]), (1, [1] * 7), (5, [5, 2]), (50, [7])])
def test_shards_and_batches(tmp_path: Path, monkeypatch: Any, shard_rows: int, shards: list[int]) -> None:
    monkeypatch.setattr(store, "BATCH_ROWS", 2)
    corpus = read_store(write_corpus(iter(ROWS), tmp_path / "c", {}, shard_rows, [AGE]))
    assert [s["rows"] for s in corpus.meta["shards"]] == shards
    assert max(len(c) for c in corpus.table["id"].chunks) <= 2
    assert corpus.column("id") == [r["id"] for r in ROWS]


def test_no_rows(tmp_path: Path) -> None:
    corpus = read_store(write_corpus([], tmp_path / "c", {}))
    assert (len(corpus), len(corpus.recordings), len(corpus.pictures), len(corpus.take([]))) == (0, 0, 0, 0)


def test_media_are_read_in_place(tmp_path: Path) -> None:
    """Neither reading nor choosing rows, in whatever order, allocates what a single picture takes."""
    size, count = 100_000, 60
    media = [bytes([i]) * size for i in range(count)]
    rows = [{"id": str(i), "split": "ab"[i // 40], "image": {"path": None, "bytes": m}} for i, m in enumerate(media)]
    folder = write_corpus(rows, tmp_path / "c", {}, shard_rows=25)
    order = np.random.default_rng(0).permutation(count)
    pa.set_memory_pool(POOL)
    try:
        corpus = read_store(folder)
        part, mixed = corpus.select("b"), corpus.take(order)
        assert len(corpus.pictures) == count
        assert [part.media("image", i) for i in range(len(part))] == media[40:]
        assert [mixed.media("image", i) for i in range(count)] == [media[i] for i in order]
    finally:
        pa.set_memory_pool(USUAL)
    assert 0 < POOL.max_memory() < size


@given(data=st.data(), cell=st.sampled_from([1, 5000]), cuts=st.sets(st.integers(1, 29), max_size=6))
def test_take_is_indexing(data: st.DataObject, cell: int, cuts: set[int]) -> None:
    """Of small cells, which are copied, and of large ones, which are not; across chunks, with repeats and nulls."""
    ids = [None if i % 7 == 3 else f"{i}" * cell for i in range(30)]
    vectors = [None if i % 5 == 0 else [float(i), 0.5] for i in range(30)]
    whole = pa.table({"id": ids, "vector": vectors})
    edges = [0, *sorted(cuts), 30]
    corpus = Corpus(pa.concat_tables([whole.slice(a, b - a) for a, b in pairwise(edges)]), Path())
    rows = data.draw(st.lists(st.integers(0, 29)) | st.permutations(range(30)) | st.builds(range, st.integers(0, 30)))
    taken = corpus.take(rows)
    assert taken.column("id") == [ids[i] for i in rows]
    assert taken.column("vector") == [vectors[i] for i in rows]
    mask = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=30, max_size=30))
    chosen = corpus.take(pa.array(mask, pa.bool_())).column("id")
    assert chosen == corpus.take(np.array([m is True for m in mask])).column("id")
    assert chosen == [v for v, m in zip(ids, mask) if m]


@pytest.mark.parametrize("rows", [[7], [0, -1], np.ones(6, dtype=bool), pa.array([True] * 8)])
def test_rows_that_are_not_there(folder: Path, rows: Any) -> None:
    with pytest.raises(IndexError):
        read_store(folder).take(rows)


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


def flipped(shard: Path) -> None:
    """Offsets of the ids that point outside the file."""
    right = np.array([0, 2, 4, 6], dtype=np.int32).tobytes()
    wrong = np.array([0, 2**30, 4, 6], dtype=np.int32).tobytes()
    assert right in shard.read_bytes()
    shard.write_bytes(shard.read_bytes().replace(right, wrong))


def retyped(shard: Path) -> None:
    table = pa.table({name: pa.array([1, 2, 3]) for name in [*store.SCHEMA.names, "age"]})
    with pa.ipc.new_file(str(shard), table.schema) as writer:
        writer.write_table(table)


def with_another_column(shard: Path) -> None:
    table = pa.ipc.open_file(shard.read_bytes()).read_all().append_column("more", pa.array([1, 2, 3]))
    with pa.ipc.new_file(str(shard), table.schema) as writer:
        writer.write_table(table)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut": (lambda f: f.write_bytes(f.read_bytes()[:-20]), "damaged"),
    "cut in half": (lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2]), "damaged"),
    "empty": (lambda f: f.write_bytes(b""), "damaged"),
    "text": (lambda f: f.write_text("dear diary " * 1000), "damaged"),
    "zeros": (lambda f: f.write_bytes(bytes(f.stat().st_size)), "damaged"),
    "flipped": (flipped, "damaged"),
    "retyped": (retyped, "'audio'.*another type"),
    "another column": (with_another_column, "other columns"),
    "gone": (Path.unlink, "missing"),
    "swapped": (lambda f: f.write_bytes((f.parent / "items-00002.arrow").read_bytes()), "1 rows, not 3"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_shards_are_named(folder: Path, damage: str) -> None:
    shard = folder / "items-00001.arrow"
    spoil, message = DAMAGE[damage]
    spoil(shard)
    with pytest.raises(UserError, match=f"{shard.name}.*{message}") as caught:
        read_store(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [1, 99])  # 1: Parquet shards
def test_other_versions_are_named(folder: Path, version: int) -> None:
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "schema": version}))
    with pytest.raises(UserError, match=f"{MANIFEST} has schema version {version}"):
        read_store(folder)


def test_a_damaged_manifest_is_named(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(UserError, match=MANIFEST):
        read_store(folder)
