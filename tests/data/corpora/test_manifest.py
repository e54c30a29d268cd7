"""Manifests of any form, and all that may be wrong with their rows: each is an item, or a problem that is told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_fieldwork import make, picture, read, sound

from lookhear.data.corpora import layout_of
from lookhear.errors import UserError

GOOD = {"id": "good", "audio": "a.wav", "text": "a dog"}


def jsonl(folder: Path, *rows: Any) -> Path:
    """A manifest of objects and of lines as they stand, beside a recording."""
    sound(folder / "a.wav")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "m.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def table(folder: Path, suffix: str, data: bytes) -> Path:
    sound(folder / "a.wav")
    (folder / f"m{suffix}").write_bytes(data)
    return folder


def as_parquet(columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


REFUSED = {
    "infinite id": ('{"id": 1e999, "text": "x"}', "id is inf"),
    "NaN text": ('{"id": "x", "text": NaN}', "text is nan"),
    "an object for a text": ({"text": {"a": 1}}, "text holds dict"),
    "an object among texts": ({"text": ["x", {"a": 1}]}, "text holds dict"),
    "a number for a recording": ({"audio": 7}, "audio holds int"),
    "a list for a recording": ({"audio": ["a.wav"]}, "audio holds list"),
    "text for bytes": ({"audio": {"path": None, "bytes": [1]}}, "audio holds list"),
    "absolute": ({"audio": "/etc/passwd"}, "climbs out"),
    "climbing, as media are kept": ({"audio": {"path": "../../a.wav"}}, "climbs out"),
    "half a character": ('{"audio": "\\ud800.wav"}', "is no path"),
    "nothing in it": ({"id": "x", "speaker": "ann"}, "no recording, picture"),
    "words in a vector": ({"text": "x", "vector": ["x"]}, "vector holds"),
    "NaN in a vector": ('{"text": "x", "vector": [1, NaN]}', "vector holds"),
    "a vector beyond 32 bits": ({"text": "x", "vector": [1e300]}, "vector holds"),
    "a vector beyond any number": ({"text": "x", "vector": [10**400]}, "vector holds"),
    "times beyond any number": ({"text": "x", "words": [{"word": "a", "start": 10**400, "end": 1}]}, "no numbers"),
    "deep": ("[" * 100_000, "not JSON"),
    "a list": ("[1]", "not a JSON object"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_row_that_is_wrong_is_refused_and_told_of(tmp_path: Path, fault: str) -> None:
    row, said = REFUSED[fault]
    held = {**GOOD, "vector": [1.0], "words": [{"word": "dog", "start": 0.1, "end": 0.2}]}
    corpus, told = make(jsonl(tmp_path / "raw", held, row), tmp_path / "c", "manifest")
    assert corpus.column("id") == ["good"]
    (problem,) = told
    assert (problem["line"], problem["done"]) == (2, "refused")
    assert said in problem["what"]
    assert problem["file"].endswith("m.jsonl")
    assert problem["fix"]
    assert corpus.meta["problems"] == {"refused": 1, "repaired": 0}


def test_ids_that_are_no_unicode_are_told_of(tmp_path: Path) -> None:
    half = '{"id": "\\ud800", "text": "x"}'
    corpus, told = make(jsonl(tmp_path / "raw", GOOD, half, half), tmp_path / "c", "manifest")
    assert corpus.column("id") == ["good"]
    assert {p["line"]: p["what"][:13] for p in told} == {2: "text that is ", 3: "a second item"}
    assert {p["id"] for p in told} == {"\ud800"}


def test_columns_of_our_names_that_hold_something_else_are_told_of_once(tmp_path: Path) -> None:
    rows = [{"text": "x", "words": 3, "masks": "m", "\ud800": 1, "seconds": "5 s", "n": k} for k in range(3)]
    corpus, told = make(jsonl(tmp_path / "raw", *rows), tmp_path / "c", "manifest")
    assert len(corpus) == 3
    assert corpus.column("n") == [0, 1, 2]
    assert corpus.column("seconds") == [None] * 3  # which are measured, of recordings
    assert [(p["done"], p["line"]) for p in told] == [("repaired", None)] * 3
    assert [p["what"].split("'")[1] for p in told] == ["words", "masks", "\\ud800"]


def test_word_times_of_another_form_leave_the_item(tmp_path: Path) -> None:
    timed = [{"word": "a", "start": 0.0, "end": 0.1}]
    rows = [{**GOOD, "words": timed}, {**GOOD, "id": "b", "words": ["a", "dog"]}]
    items, told = read(jsonl(tmp_path, *rows), "manifest")
    assert [i.words for i in items] == [[("a", 0.0, 0.1)], None]
    assert [(p["id"], p["done"], p["what"]) for p in told] == [("b", "repaired", "words of another form: left out")]


def test_a_wrong_path_does_not_hide_the_column(tmp_path: Path) -> None:
    items, told = read(jsonl(tmp_path, GOOD, {"audio": 5}, {"audio": "no ending"}, {"audio": 6}), "manifest")
    assert items[0].audio is not None
    assert [p["line"] for p in told] == [2, 3, 4]


def test_recordings_that_all_lie_elsewhere_are_told_of(tmp_path: Path) -> None:
    items, told = read(jsonl(tmp_path, *({"audio": f"wavs/{k}.wav", "text": "x"} for k in range(3))), "manifest")
    assert [(i.audio, i.text, i.group) for i in items] == [(None, "x", f"wavs/{k}.wav") for k in range(3)]
    assert [p["what"] for p in told] == [
        f"column 'audio' names files, and none of them is in {tmp_path}: it only tells groups"
    ]
    with pytest.raises(UserError, match="column 'audio' names files, and none of them is in"):
        read(jsonl(tmp_path, {"id": "a", "audio": "../a.wav"}), "manifest")


@pytest.mark.parametrize(
    ("rows", "ids", "lines"),
    [
        ('1,"a dog\n2,a cat\n3,"a hen"\n4,a fox\n', ["2", "3", "4"], [2]),
        ('1,a dog\n2,"a cat\n3,a hen\n', ["1", "3"], [3]),
        ('1,"a dog,\nand a cat"\n2,a hen\n', ["1", "2"], []),
        ("1\n2,a cat\n3,a hen,x\n", ["2"], [2, 4]),
        ('1,"' + "x" * 140_000 + '"\n2,a hen\n', ["2"], [2]),
        ('1,"a" dog\n2,a hen\n', ["2"], [2]),
    ],
    ids=["open quote", "open quote to the end", "two lines", "short and long", "endless", "after a quote"],
)
def test_a_line_of_csv_costs_itself_alone(tmp_path: Path, rows: str, ids: list[str], lines: list[int]) -> None:
    items, told = read(table(tmp_path, ".csv", f"id,text\n{rows}".encode()), "manifest")
    assert [i.id for i in items] == ids
    assert [p["line"] for p in told] == lines


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("id,text\n1,é\n".encode("utf-16"), "line 1: not UTF-8 text"),
        ("id,text,größe\n1,x,2\n".encode("latin-1"), "line 1: not UTF-8 text"),
        (b"id,text,text\n1,x,y\n", "two columns 'text'"),
        (b'id,"text\n1,x\n', "line 1: not CSV"),
    ],
    ids=["utf-16", "latin-1", "twice", "open quote"],
)
def test_a_header_that_is_none_refuses_the_file(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(table(tmp_path, ".csv", data), "manifest")


def test_a_folder_with_a_parquet_table(tmp_path: Path) -> None:
    one, other = picture(tmp_path / "1.png", 1), picture(tmp_path / "2.png", 2)
    wav = tmp_path / "raw" / "a.wav"
    sound(wav)
    media = pa.array([{"path": "p.png", "bytes": one}, {"path": "p.png", "bytes": other}])
    columns = {"id": ["a", "b"], "audio": [wav.read_bytes()] * 2, "image": media, "text": ["x", "y"]}
    folder = table(tmp_path / "raw", ".parquet", as_parquet(columns))
    assert layout_of(folder) == "manifest"
    corpus, told = make(folder, tmp_path / "c", "")
    assert told == []
    assert corpus.column("id") == ["a", "b"]
    assert [corpus.media("audio", row) for row in (0, 1)] == [wav.read_bytes()] * 2
    # Two pictures, though their paths are one.
    assert [corpus.media("image", int(row)) for row in corpus.pictures] == [one, other]


def test_cells_that_python_cannot_hold_cost_their_rows(tmp_path: Path) -> None:
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0\6\0\0\0"), pa.py_buffer(b"\xff\xfeokno")]
    )
    when = pa.array([0, 1, 2**62], pa.timestamp("us"))
    folder = table(tmp_path, ".parquet", as_parquet({"id": ["a", "b", "c"], "text": texts, "when": when}))
    items, told = read(folder, "manifest")
    assert [(i.id, i.text) for i in items] == [("b", "ok")]
    assert [(p["line"], p["what"][:28]) for p in told] == [(n, "a value that cannot be read ") for n in (1, 3)]


def test_a_parquet_table_that_is_damaged_in_the_middle(tmp_path: Path) -> None:
    columns = {"id": [str(n) for n in range(400)], "text": [f"text {n}" for n in range(400)]}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=100, compression="gzip", use_dictionary=False)
    data = bytearray(buffer.getvalue())
    second = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(2).column(0)
    at = second.data_page_offset + 40
    data[at : at + 200] = b"\xaa" * 200
    items, told = read(table(tmp_path, ".parquet", bytes(data)), "manifest")
    assert [i.id for i in items] == columns["id"][: len(items)]
    assert 0 < len(items) <= 200
    assert [(p["line"], p["done"]) for p in told] == [(len(items) + 1, "refused")]
    assert "nothing is read from there on" in told[0]["what"]


value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just("a.wav")),
    lambda some: st.one_of(st.lists(some, max_size=3), st.dictionaries(st.text(max_size=4), some, max_size=3)),
    max_leaves=4,
)
names = st.sampled_from(["id", "audio", "image", "text", "group", "words", "things", "vector", "masks", "seconds", "k"])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(names, value, max_size=4), max_size=5))
def test_every_row_is_an_item_or_a_problem(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    corpus, told = make(jsonl(folder / "raw", GOOD, *rows), folder / "c", "manifest")
    assert corpus.meta["problems"]["refused"] == len([p for p in told if p["done"] == "refused"])
    lost = {p["line"] for p in told if p["done"] == "refused"}
    lists = [len(r["text"]) for r in rows if isinstance(r.get("text"), list)]
    assert 1 + len(rows) - len(lost) <= len(corpus) + sum(lists)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(alphabet='ab,"\n\r é', max_size=12), max_size=6))
def test_every_line_of_csv_is_an_item_or_a_problem(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("lines")
    text = "id,text\ngood,a dog\n" + "\n".join(lines) + "\nlast,a cat\n"
    items, told = read(table(folder, ".csv", text.encode()), "manifest")
    assert items[0].id == "good"
    assert "last" in {i.id for i in items} or any(p["what"].startswith("not CSV") for p in told)
    assert all(p["line"] for p in told if p["done"] == "refused")
