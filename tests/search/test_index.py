"""The embedded index: exact, filtered, replaced whole or not at all."""

import json
import os

import numpy as np
import pyarrow as pa
import pytest

from lookhear.errors import UserError
from lookhear.search import index as engine
from lookhear.search.index import create_index, open_index
from lookhear.search.store import row_schema

DIM = 8
ABOUT = {"run": "somewhere", "model": "0123", "dim": DIM, "step": 0.04}


def unit(count, seed=0):
    v = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def batch(vectors, prefix="f", modality="audio", frames=3):
    n = len(vectors)
    local = [np.full(DIM * (i % frames + 1), i, dtype=np.float16) for i in range(n)]
    columns = [
        [f"{prefix}{i}.wav" for i in range(n)],
        [float(i) for i in range(n)],
        [i + 1.0 for i in range(n)],
        [modality] * n,
        [f"h{i}" for i in range(n)],
        list(vectors),
        local,
    ]
    schema = row_schema(DIM)
    return pa.record_batch([pa.array(c, type=f.type) for c, f in zip(columns, schema)], schema=schema)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("block", [7, 1000])
def test_search_is_exact(tmp_path, monkeypatch, block):
    monkeypatch.setattr(engine, "_BLOCK", block)
    vectors, queries = unit(50), unit(4, seed=1)
    index = create_index(tmp_path / "i", [batch(vectors[:20]), batch(vectors[20:], "g")], ABOUT)
    for query, hits in zip(queries, index.search(queries, 5)):
        order = np.argsort(-(vectors @ query))[:5]
        assert [h.row for h in hits] == order.tolist()
        np.testing.assert_allclose([h.score for h in hits], (vectors @ query)[order], atol=1e-6)
    assert index.search(queries[:1], 3)[0][0].file in {f"f{i}.wav" for i in range(20)} | {
        f"g{i}.wav" for i in range(30)
    }


def test_more_hits_than_rows_gives_all_rows(tmp_path):
    index = create_index(tmp_path / "i", [batch(unit(3))], ABOUT)
    assert len(index.search(unit(1), 10)[0]) == 3


def test_where_filters_before_ranking(tmp_path):
    vectors = unit(20)
    index = create_index(tmp_path / "i", [batch(vectors[:10]), batch(vectors[10:], "p", "image")], ABOUT)
    hits = index.search(vectors[:1], 10, {"modality": "image"})[0]
    assert {h.row for h in hits} == set(range(10, 20))
    assert [h.file for h in index.search(vectors[:1], 5, {"file": "f7.wav"})[0]] == ["f7.wav"]
    with pytest.raises(UserError, match="did you mean 'modality'"):
        index.search(vectors[:1], 5, {"modalty": "image"})


def test_local_vectors_belong_to_their_row(tmp_path):
    index = create_index(tmp_path / "i", [batch(unit(7))], ABOUT)
    for hit in index.search(unit(1), 7)[0]:
        local = index.local(hit)
        assert local.shape == (hit.row % 3 + 1, DIM)
        assert (local == hit.row).all()


def test_queries_of_another_width_are_refused(tmp_path):
    index = create_index(tmp_path / "i", [batch(unit(3))], ABOUT)
    with pytest.raises(UserError, match="takes"):
        index.search(np.zeros((1, 5), dtype=np.float32))


def test_the_same_rows_give_the_same_bytes(tmp_path):
    create_index(tmp_path / "a", [batch(unit(30))], ABOUT)
    create_index(tmp_path / "b", [batch(unit(30)[:10]), batch(unit(30)).slice(10)], ABOUT)
    once = contents(tmp_path / "a")
    create_index(tmp_path / "a", [batch(unit(30))], ABOUT)
    assert contents(tmp_path / "a") == once
    a, b = np.load(next((tmp_path / "a").glob("pooled*"))), np.load(next((tmp_path / "b").glob("pooled*")))
    np.testing.assert_array_equal(a, b)


def test_add_replaces_rows_of_the_same_file(tmp_path):
    first, second = unit(6), unit(2, seed=5)
    create_index(tmp_path / "i", [batch(first)], ABOUT)
    index = open_index(tmp_path / "i")
    index.add([batch(second)])  # f0 and f1 anew
    assert index.about["rows"] == 6
    found = {h.file: h.score for h in open_index(tmp_path / "i").search(second[:1], 10)[0]}
    assert found["f0.wav"] == pytest.approx(1, abs=1e-6)
    assert found["f4.wav"] == pytest.approx(float(first[4] @ second[0]), abs=1e-6)
    assert len(list((tmp_path / "i").iterdir())) == 4  # the old data files are gone
    for hit in index.search(first[4:5], 1)[0]:
        assert (index.local(hit) == 4).all()


def stop_midway(vectors):
    yield batch(vectors)
    raise KeyboardInterrupt


def test_an_interrupted_rewrite_keeps_the_last_good_index(tmp_path):
    create_index(tmp_path / "i", [batch(unit(5))], ABOUT)
    before = contents(tmp_path / "i")
    with pytest.raises(KeyboardInterrupt):
        create_index(tmp_path / "i", stop_midway(unit(9, seed=3)), ABOUT)
    assert contents(tmp_path / "i") == before


def test_an_interrupted_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        create_index(tmp_path / "i", stop_midway(unit(9)), ABOUT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_a_full_disk_at_any_file_keeps_the_last_good_index(tmp_path, monkeypatch, calls):
    create_index(tmp_path / "i", [batch(unit(5))], ABOUT)
    before, left = contents(tmp_path / "i"), iter(range(calls))

    def sync(_):
        if next(left, None) is None:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(UserError, match="Free some space"):
        create_index(tmp_path / "i", [batch(unit(9, seed=3))], ABOUT)
    assert contents(tmp_path / "i") == before


def test_what_a_killed_process_left_is_no_hindrance(tmp_path):
    (tmp_path / "i" / ".building").mkdir(parents=True)
    (tmp_path / "i" / ".building" / "pooled.npy").write_bytes(b"half")
    create_index(tmp_path / "i", [batch(unit(5))], ABOUT)
    assert not (tmp_path / "i" / ".building").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no index"):
        create_index(tmp_path, [batch(unit(5))], ABOUT)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


def test_nothing_to_index_is_said(tmp_path):
    with pytest.raises(UserError, match="nothing to index"):
        create_index(tmp_path / "i", [], ABOUT)
    assert not (tmp_path / "i").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 99}, "format 99"), ({"engine": "qdrant"}, "engine 'qdrant'"), ({"dim": 9}, "damaged")],
)
def test_an_index_of_another_version_is_refused(tmp_path, change, message):
    create_index(tmp_path / "i", [batch(unit(5))], ABOUT)
    path = tmp_path / "i" / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        open_index(tmp_path / "i")


@pytest.mark.parametrize("part", ["pooled", "local", "segments"])
def test_damaged_data_files_are_refused(tmp_path, part):
    create_index(tmp_path / "i", [batch(unit(50))], ABOUT)
    path = next((tmp_path / "i").glob(f"{part}*"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged index"):
        open_index(tmp_path / "i")


def test_no_index_is_said(tmp_path):
    with pytest.raises(UserError, match="no index"):
        open_index(tmp_path)
