"""Exported hits can be read back; the map is a projection of the vectors."""

from __future__ import annotations

import csv
import io
import zipfile

import numpy as np
import pytest
from serve_checks import refused

from lookhear.data.annotations import read_annotation
from lookhear.serve.archive_map import principal


def mark(number, start=0.1, end=0.6, query="dog", score=0.5, **more):
    return {"file": number, "start": start, "end": end, "query": query, "score": score, **more}


@pytest.mark.parametrize(("kind", "ending"), [("textgrid", ".TextGrid"), ("eaf", ".eaf")])
def test_hits_of_one_recording_are_one_document(client, number, tmp_path, kind, ending) -> None:
    hits = [mark(number["tape.wav"]), mark(number["tape.wav"], 3.0, 4.25, "a red boat")]
    answer = client.post("/api/export", json={"format": kind, "hits": hits})
    assert answer.headers["content-disposition"] == f'attachment; filename="tape{ending}"'
    file = tmp_path / f"tape{ending}"
    file.write_bytes(answer.content)
    found = read_annotation(file)
    assert [(t.name, [(i.label, i.start, i.end) for i in t.intervals]) for t in found.tiers] == [
        ("dog", [("dog", 0.1, 0.6)]),
        ("a red boat", [("a red boat", 3.0, 4.25)]),
    ]
    assert b"/tmp" not in answer.content  # the recording is named without its folder


def test_hits_of_several_recordings_are_a_zip(client, number, archive, tmp_path) -> None:
    names = [p.name for p in archive.recordings[:2]]
    hits = [mark(number[n], 0.1, 0.3) for n in names] + [mark(number["notes.txt"], 0, 0)]
    answer = client.post("/api/export", json={"format": "eaf", "hits": hits})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.namelist() == [n.replace(".flac", ".eaf") for n in names]
        for name in file.namelist():
            (tmp_path / name).write_bytes(file.read(name))
            assert [i.label for i in read_annotation(tmp_path / name).tier("dog").intervals] == ["dog"]


def test_names_in_a_zip_are_plain(client, number, archive) -> None:
    script = next(n for n in number if n.startswith("<img"))
    hits = [mark(number[script], 0.1, 0.3), mark(number["link-in.flac"], 0.1, 0.3), mark(number["tape.wav"])]
    answer = client.post("/api/export", json={"format": "textgrid", "hits": hits})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.namelist() == ["img_src_x_onerror_alert_1.TextGrid", "link-in.TextGrid", "tape.TextGrid"]


def test_a_table_has_all(client, number) -> None:
    hits = [mark(number["tape.wav"], probability=0.75), mark(number["notes.txt"], 0, 0, 'a, "b"\nc', -0.25)]
    answer = client.post("/api/export", json={"format": "csv", "hits": hits})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(r["query"], r["start"], r["end"], r["score"], r["probability"]) for r in rows] == [
        ("dog", "0.100", "0.600", "0.5000", "0.7500"),
        ('a, "b"\nc', "0.000", "0.000", "-0.2500", ""),
    ]
    assert rows[0]["file"].endswith("/tape.wav")


def test_exports_that_are_none(client, number) -> None:
    tape = number["tape.wav"]
    for hits, status in (
        ([], 422), ([mark(10**6)], 404), ([mark(tape, 5, 4)], 422), ([mark(tape, 0, 1000)], 422),
        ([mark(tape)] * 1001, 422), ([mark(tape, score=None)], 422), ([{"file": tape}], 422),
    ):  # fmt: skip
        refused(client.post("/api/export", json={"format": "eaf", "hits": hits}), status)
    refused(client.post("/api/export", json={"format": "docx", "hits": [mark(tape)]}), 422)
    refused(client.post("/api/export", json={"format": "eaf", "hits": [mark(number["notes.txt"], 0, 0)]}), 422)


def test_the_map_keeps_distances_that_lie_in_a_plane() -> None:
    rng = np.random.default_rng(0)
    plane, _ = np.linalg.qr(rng.standard_normal((16, 2)))
    flat = rng.standard_normal((50, 2)) * [3.0, 1.0]
    at, share = principal((flat @ plane.T + 5.0).astype(np.float32))
    distances = lambda x: np.linalg.norm(x[:, None] - x[None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(distances(at), distances(flat), atol=1e-4)
    assert sum(share) == pytest.approx(1.0)
    spread = np.sort(np.linalg.eigvalsh(np.cov(flat.T, bias=True)))[::-1]
    np.testing.assert_allclose(at.var(0), spread, rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 4), (5, 1)])
def test_a_map_of_little(shape) -> None:
    vectors = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    at, share = principal(vectors) if len(vectors) else (np.zeros((0, 2)), (0.0, 0.0))
    assert at.shape == (shape[0], 2)
    assert np.isfinite(at).all()
    assert all(0 <= s <= 1 + 1e-9 for s in share)
    same, nothing = principal(np.ones((4, 3), np.float32))
    assert (same == 0).all()
    assert nothing == (0.0, 0.0)


def test_the_map_is_the_same_each_time(client, searcher) -> None:
    first, second = client.get("/api/map").json(), client.get("/api/map").json()
    assert first == second
    assert len(first["points"]) == len(searcher.index)
    assert {p["modality"] for p in first["points"]} == {"audio", "image", "text"}
