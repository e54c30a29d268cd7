"""Lists of JSON entries: read one by one, whole whatever stands beside them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data.corpora import jsonlists
from lookhear.data.corpora.jsonlists import entries, gathered, read_head, write_list
from lookhear.errors import UserError


def looks(value: Any) -> bool:
    return "id" in value


def read(path: Path) -> list[Any]:
    return [e.value if e.value is not None else f"{e.number}: {e.fault}" for e in entries(path, looks)]


def of(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "list.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_it_gives_what_json_gives_whatever_its_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlists, "AHEAD", 300)  # so that entries lie across the pieces that are read
    rows = [{"id": n, "text": '"]}, {"id": ä\n' * (n % 7), "deep": [[{"a": [n]}]]} for n in range(300)]
    value = {"base": "/elsewhere", "more": {"a": [1, 2]}, "data": rows, "behind": "it"}
    for text in (
        json.dumps(value),
        json.dumps(value, indent=2, ensure_ascii=False),
        "\ufeff" + json.dumps(value, separators=(",", ":")),
        json.dumps(value, indent=1).replace("\n", "\r\n"),
        json.dumps(rows),
    ):
        path = of(tmp_path, text)
        assert read(path) == rows
        told = list(entries(path, looks))
        assert [e.number for e in told] == list(range(1, 301))
        lines = text.split("\n")
        for e in told[::17]:
            assert lines[e.line - 1].lstrip("\ufeff").strip()
        if lines[0].strip() == "{":
            assert [text.split("\n")[e.line - 1].strip() for e in told] == ["{"] * 300
    assert read_head(path) == {}
    assert read_head(of(tmp_path, json.dumps(value))) == {"base": "/elsewhere", "more": {"a": [1, 2]}}
    assert read(of(tmp_path, '{"data": [ ]}')) == []


def test_it_writes_what_json_reads(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "ä\n"} for n in range(5)]
    for head in ({}, {"base": "/x"}):
        for some in (rows, []):
            write_list(tmp_path / "deep" / "list.json", head, iter(some))
            path = tmp_path / "deep" / "list.json"
            assert json.loads(path.read_text()) == {**head, "data": some}
            assert read(path) == some


A, B = '{"id": "a", "in": [{"x": 1}, {"y": 2}]}', '{"id": "b"}'
DAMAGE = {
    "value": '{"id": , "in": [{"x": 1}, {"y": 2}]}',
    "quote": '{"id: "c", "in": [{"x": 1}, {"y": 2}]}',
    "bracket": '{"id": "c", "in": [{"x": 1}, {"y": 2}}',
    "open": '{"id": "c", "in": 3',
    "number": "5",
    "word": "nul",
    "string": '"x, {"',
    "extra": '{"id": "c"}}',
    "escape": '{"id": "\\x"}',
    "digits": '{"id": ' + "9" * 5000 + "}",
    "deep": "[" * 100000 + "]" * 100000,
    "surrogate": '{"id": "\\ud800"}',
}


@pytest.mark.parametrize("harm", DAMAGE)
def test_damage_does_not_spread(tmp_path: Path, harm: str) -> None:
    bad = DAMAGE[harm]
    whole = [json.loads(A), json.loads(B)]
    got = read(of(tmp_path, f'{{"data": [{A}, {bad},\n {B}]}}'))
    if harm == "extra":  # the entry is whole, what follows it is not
        assert got.pop(1) == {"id": "c"}
    assert [g for g in got if isinstance(g, dict)] == whole
    assert len(got) == 3
    last_read = [g for g in read(of(tmp_path, f'{{"data": [{A}, {B}, {bad}]}}'))[2:] if isinstance(g, str)]
    assert last_read[0].startswith("4:" if harm == "extra" else "3:")
    assert read(of(tmp_path, f'{{"data": [{bad}, {A}, {bad}, {B}]}}'))[-1] == whole[1]


def test_bytes_that_are_not_utf8_cost_one_entry(tmp_path: Path) -> None:
    path = of(tmp_path, b'{"data": [{"id": "caf\xe9"}, {"id": "caf\xc3\xa9"}]}')
    first, second = entries(path, looks)
    assert (first.value, second.value) == (None, {"id": "café"})
    assert "UTF-8" in first.fault


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'{{"data": [{A}, {B}', "the file ends before its list does"),
        (f'{{"data": [{A}, {B}, {{"id": "c", "x": "y', "nothing behind it"),
        (f'{{"data": [{A}, {B}]', "not JSON"),
        (f'{{"data": [{A}, {B}], "data": [{A}]}}', "second list"),
        (f'{{"data": [{A}, {B}]}} x', "not JSON"),
        (f"[{A}, {B}] x", "behind the end"),
    ],
    ids=["list", "entry", "object", "twice", "more", "bare"],
)
def test_what_is_wrong_behind_the_last_whole_entry(tmp_path: Path, text: str, said: str) -> None:
    a, b, fault = read(of(tmp_path, text))
    assert [a, b] == [json.loads(A), json.loads(B)]
    assert fault.startswith("3:")
    assert said in fault


@pytest.mark.parametrize("text", ["", "x", "{}", "[", '{"data": 3}', '{"a": [1}', '{"data', '{"dat": []}', "\x00\xff"])
def test_what_is_no_list_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = of(tmp_path, text.encode("latin-1"))
    if text == "[":
        assert "ends" in read(path)[0]
        return
    for reads in (read_head, read):
        with pytest.raises(UserError, match="not a JSON object with a list"):
            reads(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_head(tmp_path)


def test_entries_that_belong_together_stand_together(tmp_path: Path) -> None:
    order = "xabcaxadb"
    rows = [{"id": n, "key": key if key != "x" else ""} for n, key in enumerate(order)]
    path = of(tmp_path, json.dumps(rows)[:-1] + ', 5, {"id": 9, "key": "c"}]')
    got = list(gathered(path, looks, lambda value: value["key"]))
    assert [e.value["id"] if e.value else e.fault for e in got] == [0, 5, 1, 4, 6, 2, 8, 3, 9, 7, "not a JSON object"]
    assert sorted(e.number for e in got) == list(range(1, 12))
    assert list(gathered(of(tmp_path, "[]"), looks, str)) == []


def test_a_long_list_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlists, "AHEAD", 1 << 12)
    path = tmp_path / "list.json"
    write_list(path, {}, ({"id": n, "text": "x" * 300} for n in range(8000)))
    tracemalloc.start()
    assert sum(1 for _ in gathered(path, looks, lambda value: str(value["id"]))) == 8000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 800_000 < path.stat().st_size / 3


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(["", *DAMAGE]), st.just(""), st.just("")), max_size=8),
    st.integers(0, 400),
)
def test_whole_entries_are_read_and_damaged_ones_told_of(
    tmp_path_factory: pytest.TempPathFactory, harms: list[str], cut: int
) -> None:
    harms = [h for h in harms if h not in ("deep", "digits", "extra")]
    texts = [DAMAGE[h] if h else json.dumps({"id": n}) for n, h in enumerate(harms)]
    path = of(tmp_path_factory.mktemp("list"), f'{{"data": [{", ".join(texts)}]}}')
    got = read(path)
    for n, h in enumerate(harms):
        if not h:
            assert {"id": n} in got
    if any(harms):
        assert any(isinstance(g, str) for g in got)
    # However it is cut, what comes out is of the list, and the cut is told of.
    whole = path.read_bytes()
    short = whole[: 10 + cut]
    path.write_bytes(short)
    told = read(path)
    if len(short) < len(whole):
        assert isinstance(told[-1], str)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_nothing_makes_it_fall(tmp_path_factory: pytest.TempPathFactory, behind: bytes) -> None:
    path = of(tmp_path_factory.mktemp("list"), b'{"data": [{"id": 1},' + behind)
    first, *rest = read(path)
    assert first == {"id": 1}
    assert rest or b"]}" in b"".join(behind.split())
