"""Manifests of every kind become the same corpus; wrong ones are named with their mend."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.data.images import load_image
from lookhear.data.read import Captions, Source, concat, open_corpus, read_source
from lookhear.data.store import write_corpus
from lookhear.data.vectors import Vectors
from lookhear.errors import UserError

ROWS: list[dict[str, Any]] = [
    {"id": "a", "wav": "s/a.wav", "img": "p/1.png", "caption": "a dog", "split": "train", "speaker": "x", "digit": 3},
    {"id": "b", "wav": "s/b.wav", "img": "p/1.png", "caption": "the dog", "split": "test", "speaker": "y", "digit": 4},
    {"id": "c", "wav": "s/c.wav", "img": "p/2.png", "caption": "a boat", "split": "test", "speaker": "x", "digit": 5},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set's folder with its files; the manifest is the test's."""
    for name in ("s/a.wav", "s/b.wav", "s/c.wav", "p/1.png", "p/2.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "set"


def jsonl(folder: Path, rows: list[dict[str, Any]], name: str = "manifest.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return folder


def as_csv(folder: Path, rows: list[dict[str, Any]]) -> Path:
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.parametrize("write", [jsonl, as_csv])
def test_manifests_with_usual_names(folder: Path, write: Any) -> None:
    corpus = open_corpus(write(folder, ROWS))
    assert corpus.name == "set"
    assert corpus.column("id") == ["a", "b", "c"]
    assert corpus.column("text") == ["a dog", "the dog", "a boat"]
    assert corpus.column("split") == ["train", "test", "test"]
    assert corpus.column("speaker") == ["x", "y", "x"]
    assert [str(d) for d in corpus.column("digit")] == ["3", "4", "5"]
    assert corpus.media("audio", 1).read_bytes() == b"s/b.wav"  # type: ignore[union-attr]
    assert corpus.media("image", 2).read_bytes() == b"p/2.png"  # type: ignore[union-attr]
    assert corpus.pictures.tolist() == [0, 2]  # one row for each file
    assert corpus.recordings.tolist() == corpus.texts.tolist() == [0, 1, 2]


def test_a_manifest_may_be_named_itself(folder: Path) -> None:
    jsonl(folder, ROWS, "one.jsonl")
    jsonl(folder, ROWS[:1], "two.jsonl")
    assert len(open_corpus(folder / "two.jsonl")) == 1
    with pytest.raises(UserError, match=r"several manifests \(one.jsonl, two.jsonl\)"):
        open_corpus(folder)


def test_columns_by_name(folder: Path) -> None:
    rows = [{"key": "k", "sound": "s/a.wav", "said": "hello", "who": "z", "part": "dev", "scene": 7}]
    columns = {"audio": "sound", "text": "said", "speaker": "who", "split": "part", "group": "scene"}
    row = open_corpus(jsonl(folder, rows), columns).table.to_pylist()[0]
    assert (row["id"], row["text"], row["speaker"], row["split"], row["group"]) == ("k", "hello", "z", "dev", "7")
    assert row["audio"]["path"] == "set/s/a.wav"


def test_lists_of_captions_become_items_of_one_group(folder: Path) -> None:
    rows = [
        {"id": "p", "image": "p/1.png", "captions": ["one", "two"]},
        {"id": "q", "image": "p/2.png", "captions": []},
    ]
    corpus = open_corpus(jsonl(folder, rows))
    assert corpus.column("id") == ["p_0", "p_1", "q"]
    assert corpus.column("text") == ["one", "two", None]
    assert corpus.groups.tolist() == [0, 0, 1]
    assert len(corpus.pictures) == 2


def test_names_of_pictures_kept_elsewhere_still_group(folder: Path) -> None:
    rows = [{"wav": f"s/{n}.wav", "image": f"elsewhere/{i}.jpg", "text": n} for n, i in (("a", 1), ("b", 1), ("c", 2))]
    corpus = open_corpus(jsonl(folder, rows))
    assert corpus.column("group") == ["elsewhere/1.jpg", "elsewhere/1.jpg", "elsewhere/2.jpg"]
    assert len(corpus.pictures) == 0


def test_captions_from_labels(folder: Path) -> None:
    jsonl(folder, ROWS)
    captions = Captions(column="digit", words={"3": "three", "4": "four"}, templates=("{word}", "the digit {word}"))
    corpus = read_source(Source(name="set", captions=captions), folder.parent)
    assert corpus.column("text") == ["three", "the digit three", "four", "the digit four", "5", "the digit 5"]
    with pytest.raises(UserError, match=r"no column 'digits' for captions. did you mean 'digit'"):
        read_source(Source(name="set", captions=Captions(column="digits")), folder.parent)
    with pytest.raises(ValidationError):
        Captions(column="digit", templates=("the {digit}",))


def test_word_times_and_things(folder: Path) -> None:
    rows = [
        {"wav": "s/a.wav", "words": [{"word": "dog", "start": 0.1, "end": 0.5}], "things": ["dog"]},
        {"wav": "s/b.wav", "words": [{"text": "boat", "start_s": 1, "end_s": 2}]},
        {"wav": "s/c.wav", "words": "no times", "things": 3},
    ]
    corpus = open_corpus(jsonl(folder, rows))
    assert corpus.column("words") == [
        [{"word": "dog", "start": 0.1, "end": 0.5}],
        [{"word": "boat", "start": 1.0, "end": 2.0}],
        None,
    ]
    assert corpus.column("things") == [["dog"], None, None]


# Arrays --------------------------------------------------------------------------------------------------------------


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "set.npz", **arrays)
    return folder


def pixels(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 255, (n, 8, 8), dtype=np.uint8)


def test_arrays_of_each_split(folder: Path) -> None:
    npz(folder, train_x=pixels(3), train_y=[7, 1, 7], test_x=pixels(2), test_y=[1, 1])
    corpus = open_corpus(folder, {"image": "{split}_x", "group": "{split}_y"})
    assert corpus.column("id") == ["train_0", "train_1", "train_2", "test_0", "test_1"]
    assert corpus.column("split") == ["train"] * 3 + ["test"] * 2
    assert corpus.column("group") == ["7", "1", "7", "1", "1"]
    read = np.asarray(load_image(corpus.media("image", 4)))
    assert np.array_equal(read[..., 0], pixels(2)[1])
    assert len(corpus.pictures) == 5


def test_one_set_of_arrays(folder: Path) -> None:
    npz(folder, pictures=pixels(2), label=["one", "two"], key=[10, 11])
    corpus = open_corpus(folder, {"image": "pictures", "text": "label", "id": "key"})
    assert corpus.column("id") == ["10", "11"]
    assert corpus.column("text") == ["one", "two"]


@pytest.mark.parametrize(
    ("arrays", "columns", "said"),
    [
        ({"train_x": pixels(2)}, {"image": "{split}_x", "group": "{split}_y"}, "did you mean 'train_x'"),
        ({"x": pixels(2), "y": [1]}, {"image": "x", "group": "y"}, "different lengths"),
        ({"x": pixels(2)}, {}, "arrays: x"),
        ({"x": np.array([{}, {}], dtype=object)}, {"text": "x"}, "array 'x' cannot be read"),
    ],
)
def test_wrong_arrays(folder: Path, arrays: Any, columns: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_corpus(npz(folder, **arrays), columns)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04cut short"])
def test_damaged_archives(folder: Path, data: bytes) -> None:
    (folder / "set.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"set\.npz: not a readable npz archive"):
        open_corpus(folder, {"image": "x"})


def test_a_picture_inside_an_archive_is_kept_once_whatever_the_captions(folder: Path) -> None:
    npz(folder, pictures=pixels(2), label=[3, 4])
    captions = Captions(column="group", words={"3": "three"}, templates=("{word}", "the digit {word}", "a {word}"))
    source = Source(name="set", columns={"image": "pictures", "group": "label"}, captions=captions)
    corpus = read_source(source, folder.parent)
    assert corpus.column("text") == ["three", "the digit three", "a three", "4", "the digit 4", "a 4"]
    assert corpus.column("id") == ["0_0", "0_1", "0_2", "1_0", "1_1", "1_2"]
    assert [v is not None for v in corpus.column("image")] == [True, False, False] * 2
    assert corpus.pictures.tolist() == [0, 3]
    assert corpus.groups.tolist() == [0, 0, 0, 1, 1, 1]
    for row, picture in zip(corpus.pictures, pixels(2)):
        assert np.array_equal(np.asarray(load_image(corpus.media("image", row)))[..., 0], picture)


def test_a_picture_in_a_file_is_named_in_every_row(folder: Path) -> None:
    jsonl(folder, [{"image": "p/1.png", "captions": ["one", "two"]}])
    corpus = open_corpus(folder)
    assert [v["path"] for v in corpus.column("image")] == ["set/p/1.png"] * 2
    assert corpus.pictures.tolist() == [0]


# Vectors -------------------------------------------------------------------------------------------------------------


def write_vectors(folder: Path, kind: str, ids: list[str], values: Any) -> Vectors:
    if kind == "npz":
        np.savez(folder / "v.npz", key=ids, clip=values)
        (folder / "v.npz").rename(folder / "v.vectors")
        return Vectors(file="v.vectors", ids="key", values="clip")
    pq.write_table(pa.table({"key": ids, "clip": pa.array([list(v) for v in values])}), folder / "v.parquet")
    return Vectors(file="v.parquet", ids="key", values="clip")


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_vectors_join_by_id(folder: Path, kind: str) -> None:
    jsonl(folder, ROWS)
    vectors = write_vectors(folder, kind, ["c", "a", "z", "b"], np.arange(8.0).reshape(4, 2))
    corpus = read_source(Source(name="set", vectors=vectors), folder.parent)
    assert corpus.column("vector") == [[2, 3], [6, 7], [0, 1]]


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_wrong_vectors(folder: Path, kind: str) -> None:
    jsonl(folder, ROWS)

    def read(vectors: Vectors) -> None:
        read_source(Source(name="set", vectors=vectors), folder.parent)

    whole = np.ones((3, 2))
    right = write_vectors(folder, kind, ["a", "b", "c"], whole)
    read(right)
    with pytest.raises(UserError, match="did you mean 'clip'"):
        read(right.model_copy(update={"values": "clp"}))
    with pytest.raises(UserError, match="no such file"):
        read(right.model_copy(update={"file": "w" + Path(right.file).suffix}))
    with pytest.raises(UserError, match="climbs out"):
        read(right.model_copy(update={"file": "../" + right.file}))
    with pytest.raises(UserError, match="no vector for item 'c'"):
        read(write_vectors(folder, kind, ["a", "b"], whole[:2]))
    (folder / right.file).write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(UserError, match="not a readable"):
        read(right)


def test_probabilities_follow_the_vectors_as_square_roots(folder: Path) -> None:
    jsonl(folder, ROWS)
    chances = np.array([[0.0, 1.0], [0.25, 0.75], [0.0, 0.0]])
    np.savez(folder / "v.npz", ids=["a", "b", "c"], embedding=np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]), p=chances)
    vectors = Vectors(file="v.npz", probabilities="p", probability_weight=2.0)
    found = np.array(read_source(Source(name="set", vectors=vectors), folder.parent).column("vector"))
    assert np.allclose(found, [[0.6, 0.8, 0, 2], [0, 1, 1, 3**0.5], [1, 0, 0, 0]], atol=1e-6)
    with pytest.raises(UserError, match="'q'"):
        read_source(Source(name="set", vectors=vectors.model_copy(update={"probabilities": "q"})), folder.parent)
    np.savez(folder / "v.npz", ids=["a", "b", "c"], embedding=np.ones((3, 2)), p=chances - 0.1)
    with pytest.raises(UserError, match="'p' holds numbers below 0"):
        read_source(Source(name="set", vectors=vectors), folder.parent)


def test_vectors_of_unequal_width(folder: Path) -> None:
    jsonl(folder, ROWS)
    vectors = write_vectors(folder, "parquet", ["a", "b", "c"], [[1.0], [1.0, 2.0], [1.0]])
    with pytest.raises(UserError, match="equal width"):
        read_source(Source(name="set", vectors=vectors), folder.parent)


# Mistakes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "columns", "said"),
    [
        ({}, {"text": "captoin"}, r"no column 'captoin' \(for text\). did you mean 'caption'"),
        ({"wav": "s/gone.wav"}, {}, "s/gone.wav: no such file"),
        ({"wav": "../outside.wav"}, {}, "'../outside.wav' climbs out of"),
        ({"wav": "/etc/outside.wav"}, {}, "'/etc/outside.wav' climbs out of"),
        ({"img": "p/gone.png"}, {}, "p/gone.png: no such file"),
    ],
)
def test_mistakes_in_a_manifest(folder: Path, change: dict[str, str], columns: dict[str, str], said: str) -> None:
    (folder.parent / "outside.wav").write_bytes(b"secret")
    rows = [ROWS[0], {**ROWS[1], **change}, ROWS[2]]
    with pytest.raises(UserError, match=said):
        open_corpus(jsonl(folder, rows), columns)


def test_links_do_not_lead_out(folder: Path) -> None:
    (folder.parent / "outside.wav").write_bytes(b"secret")
    (folder / "s" / "a.wav").unlink()
    (folder / "s" / "a.wav").symlink_to(folder.parent / "outside.wav")
    with pytest.raises(UserError, match="climbs out"):
        open_corpus(jsonl(folder, ROWS))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.jsonl", b'{"text": "a"}\n{"text": \n', "m.jsonl, line 2: not JSON"),
        ("m.jsonl", b'{"text": "a"}\n\n[1]\n', "m.jsonl, line 3: not a JSON object"),
        ("m.jsonl", b"", "no rows"),
        ("m.jsonl", b'{"text": "\xff\xfe"}\n', "m.jsonl: not UTF-8"),
        ("m.jsonl", b'{"text": "\\ud800"}\n', "m.jsonl: text that is no Unicode"),
        ("m.csv", b"text\ncaf\xe9\n", "m.csv: not UTF-8"),
        ("m.csv", b"text\n", "no rows"),
        ("m.csv", b'text\n"' + b"a" * 200_000 + b'"\n', "m.csv: not CSV"),
        ("m.jsonl", b'{"colour": "red"}\n', r"no column names recordings.*\['colour'\]"),
    ],
)
def test_damaged_manifests(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=said) as e:
        open_corpus(tmp_path)
    assert name in e.value.what


def test_nothing_there(folder: Path) -> None:
    with pytest.raises(UserError, match="no such corpus"):
        open_corpus(folder / "gone")
    with pytest.raises(UserError, match="no manifest"):
        open_corpus(folder)
    jsonl(folder, ROWS)
    with pytest.raises(UserError, match=r"sett: no such data set. did you mean 'set'"):
        read_source(Source(name="sett"), folder.parent)
    with pytest.raises(UserError, match=r"manifst.jsonl: no such manifest. did you mean 'manifest.jsonl'"):
        read_source(Source(name="set", manifest="manifst.jsonl"), folder.parent)
    with pytest.raises(UserError, match="nothing left"):
        read_source(Source(name="set", splits=("dev",)), folder.parent)


def test_splits_kept_and_mixed_types(folder: Path) -> None:
    rows = [{**r, "mixed": v, "large": 2**70} for r, v in zip(ROWS, (1, "one", [1]))]
    corpus = read_source(Source(name="set", splits=("test",)), jsonl(folder, rows).parent)
    assert corpus.column("id") == ["b", "c"]
    assert corpus.column("mixed") == ["one", "[1]"]
    assert corpus.column("large") == [str(2**70)] * 2


def test_corpora_of_one_root_together(folder: Path) -> None:
    jsonl(folder, ROWS)
    other = folder.parent / "other"
    other.mkdir()
    jsonl(other, [{"text": "a word", "accent": "north"}])
    root = folder.parent
    both = concat([read_source(Source(name=n), root) for n in ("set", "other")], "both")
    assert (len(both), both.name) == (4, "both")
    assert both.column("accent") == [None] * 3 + ["north"]
    assert both.media("audio", 0) == (folder / "s/a.wav").resolve()


def test_prepared_folders_open_the_same_way(tmp_path: Path) -> None:
    write_corpus([{"id": "a", "text": "dog"}], tmp_path / "c", {"name": "prepared"})
    assert open_corpus(tmp_path / "c").name == "prepared"
    assert read_source(Source(name="c"), tmp_path).column("text") == ["dog"]


WORD = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)
ITEMS = st.lists(
    st.fixed_dictionaries({"id": WORD, "text": WORD, "group": WORD, "split": WORD, "age": st.integers(-99, 99)}),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(ITEMS, st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], unescaped: bool
) -> None:
    folder = tmp_path_factory.mktemp("m")
    lines = [json.dumps(r, ensure_ascii=not unescaped) for r in rows]
    (folder / "manifest.jsonl").write_bytes("\n".join(lines).encode())
    corpus = open_corpus(folder)
    for name in rows[0]:
        assert corpus.column(name) == [r[name] for r in rows]
    # Written into the store and read again, nothing changes.
    kept = [{k: v for k, v in row.items() if k != "age"} for row in corpus.table.to_pylist()]
    again = open_corpus(write_corpus(kept, folder / "store", {}))
    assert again.table.to_pylist() == kept
    assert again.fingerprint() == corpus.fingerprint()
    assert again.groups.tolist() == corpus.groups.tolist()


def test_a_manifests_own_vectors_are_read(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "a dog", "vector": [1, 2.5, -3]}, {"id": "b", "text": "a cat", "vector": None}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    assert open_corpus(tmp_path).column("vector") == [[1.0, 2.5, -3.0], None]
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"id": "a", "text": "a dog", "vector": "no"}))
    with pytest.raises(UserError, match="vector"):
        open_corpus(tmp_path)


@pytest.mark.parametrize(
    "path",
    ["a\0b.wav", "x" * 5000 + ".wav", "y" * 300 + ".wav", "../../x.wav", "/x.wav"],
    ids=["null", "long", "longer than a name", "climbs", "absolute"],
)
def test_paths_that_are_none_are_refused(folder: Path, path: str) -> None:
    for rows in ([ROWS[0], {**ROWS[1], "wav": path}], [{**ROWS[1], "wav": path}, ROWS[0]]):
        jsonl(folder, rows)
        with pytest.raises(UserError):
            open_corpus(folder)
