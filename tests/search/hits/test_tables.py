"""Rows of hits: the same in every table, recording by recording, in order of time."""

import csv
import json

import pytest

from lookhear.search.hits.tables import write_table


@pytest.fixture
def found(tape):
    first = tape("a.wav", 4.0, ("dog", 0.52, 1.0, 0.25, 0.9), ('a, "b"\nc', 2.0, 2.12345, 0.5, 0.75))
    return [first, tape("none.wav", 2.0), tape("b.wav", 3.0, ("dog", 1.0, 1.5, 0.125, 0.6))]


def rows(found):
    return [
        {"file": h.file, "word": h.query, "start": round(h.start, 4), "end": round(h.end, 4), "score": h.score}
        | ({} if h.probability is None else {"probability": h.probability})
        for each in found
        for h in each.hits
    ]


def test_tables_hold_the_same(found, tmp_path):
    for kind in ("json", "jsonl", "csv"):
        write_table(kind, found, tmp_path / kind)
    assert json.loads((tmp_path / "json").read_text()) == rows(found)
    assert [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()] == rows(found)
    with (tmp_path / "csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [{k: v if k in ("file", "word") else float(v) for k, v in row.items()} for row in table] == rows(found)


def test_without_calibration_there_is_no_column_of_probabilities(tape, tmp_path):
    write_table("csv", [tape("a.wav", 2.0, ("dog", 0.5, 1.0, 0.25))], tmp_path / "csv")
    assert (tmp_path / "csv").read_text().splitlines()[0] == "file,word,start,end,score"


def test_nothing_found_is_an_empty_table(tape, tmp_path):
    for kind, text in (("json", "[]\n"), ("jsonl", ""), ("csv", "file,word,start,end,score\n")):
        write_table(kind, [tape("a.wav", 2.0)], tmp_path / kind)
        assert (tmp_path / kind).read_text() == text
