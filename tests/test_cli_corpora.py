"""The verbs about corpora: prepare, inspect, export, subset, merge, split, convert; as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookhear.data.read import open_corpus


@pytest.fixture
def raw(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder of recordings and a manifest, one line of it broken."""
    folder = tmp_path / "raw"
    folder.mkdir()
    rows = []
    for i, sound in enumerate(sorted(tiny_folder.glob("*.flac"))[:6]):
        (folder / sound.name).write_bytes(sound.read_bytes())
        rows.append({"id": f"u{i}", "audio": sound.name, "text": f"a dog {i}", "speaker": "anna" if i % 2 else "ben"})
    lines = [json.dumps(r) for r in rows]
    lines.insert(2, "{")
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def test_prepare_tells_what_it_made_and_what_was_wrong(lookhear, raw, tmp_path):
    out = tmp_path / "c"
    answer = lookhear("prepare", raw, "--out", out, "--workers", 0)
    assert (answer.code, answer.out) == (0, f"{out}\n")
    assert "refused: 1, mended: 0; see" in answer.err
    assert "lengths, in seconds" in answer.err  # the histogram
    assert str(out / "problems.jsonl") in answer.err
    assert len(open_corpus(out)) == 6
    assert "line 3: not JSON" in lookhear("prepare", raw, "--out", tmp_path / "d", "--strict").err
    assert not (tmp_path / "d").exists()


def test_prepare_names_mistakes(lookhear, raw, tmp_path):
    assert "no such folder" in lookhear("prepare", tmp_path / "none", "--out", tmp_path / "x").complaint
    assert (
        "did you mean 'flickr8k'" in lookhear("prepare", raw, "--out", tmp_path / "x", "--layout", "flickr8").complaint
    )
    assert (
        "no column 'speekr'"
        in lookhear("prepare", raw, "--out", tmp_path / "x", "--option", "speaker=speekr").complaint
    )
    assert not (tmp_path / "x").exists()


def test_parts_unions_and_new_splits(lookhear, raw, tmp_path):
    whole = tmp_path / "c"
    lookhear("prepare", raw, "--out", whole, "--workers", 0)
    assert lookhear("subset", whole, "--out", tmp_path / "anna", "--where", "speaker=anna").code == 0
    assert set(open_corpus(tmp_path / "anna").column("speaker")) == {"anna"}
    assert (
        lookhear("split", whole, "--out", tmp_path / "s", "--by", "speaker", "--share", "a=1", "--share", "b=1").code
        == 0
    )
    made = open_corpus(tmp_path / "s")
    assert len(set(zip(made.column("speaker"), made.column("split"), strict=True))) == 2
    assert "no number" in lookhear("split", whole, "--out", tmp_path / "t", "--share", "a=many").complaint
    again = lookhear("merge", whole, whole, "--out", tmp_path / "m").complaint
    assert "two corpora are called 'raw'" in again
    assert "write" in lookhear("export", whole, "--layout", "manifest", "--out", tmp_path / "e").complaint


def test_inspect_in_tables_as_json_and_as_a_page(lookhear, raw, tmp_path):
    whole = tmp_path / "c"
    lookhear("prepare", raw, "--out", whole, "--workers", 0)
    answer = lookhear("inspect", whole, "--html", tmp_path / "page.html")
    assert answer.code == 0
    assert "6" in answer.out
    assert "<html" in (tmp_path / "page.html").read_text()
    assert json.loads(lookhear("inspect", whole, "--json").out)


def test_convert(lookhear, tmp_path):
    (tmp_path / "a.csv").write_text("tier,label,start,end\nwords,dog,0.25,0.5\nwords,boat,0.5,1\n")
    assert lookhear("convert", tmp_path / "a.csv", tmp_path / "a.ctm").code == 0
    assert "dog" in (tmp_path / "a.ctm").read_text()
    assert "No such file" in lookhear("convert", tmp_path / "b.csv", tmp_path / "b.ctm").complaint
