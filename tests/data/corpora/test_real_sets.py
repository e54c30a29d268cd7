"""The audio sets that lie at hand, through the general readers: every row and every file of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from raw_fieldwork import make, read

from lookhear.data.corpora import layout_of
from lookhear.data.corpora.tree import AUDIO, IMAGE

pytestmark = pytest.mark.shared
SETS = (
    "audio-visual-pairs",
    "commands-en",
    "environmental-sounds",
    "keywords-en",
    "speech-commands-mini",
    "spoken-captions-flickr",
    "spoken-digits",
    "spoken-digits-az",
    "word-times-lt",
)
SMALL = ("audio-visual-pairs", "commands-en", "spoken-captions-flickr", "word-times-lt")
"""Those whose recordings are decoded here too."""


def shared(name: str) -> Path:
    root = Path(os.environ.get("LOOKHEAR_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (root / name).is_dir():
        pytest.skip(f"no data set {name} (LOOKHEAR_DATA, or ../shared/data)")
    return root / name


def listed(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


@pytest.mark.parametrize("name", SETS)
def test_every_row_of_the_manifest_is_an_item(name: str) -> None:
    folder = shared(name)
    assert layout_of(folder) == "manifest"
    items, told = read(folder, "manifest")
    elsewhere = ["column 'image' names files"] if name == "spoken-captions-flickr" else []
    assert [p["what"].split(",")[0] for p in told] == elsewhere
    assert len(items) == len(listed(folder))
    assert {i.audio.path for i in items if i.audio is not None} == {
        (folder / str(row.get("audio") or row.get("path") or row.get("file"))).resolve() for row in listed(folder)
    }


@pytest.mark.parametrize("name", SETS)
def test_every_file_of_the_folder_is_an_item(name: str) -> None:
    folder = shared(name)
    items, told = read(folder, "folder")
    files = {p.resolve() for p in folder.rglob("*") if p.suffix.lower() in AUDIO | IMAGE}
    assert {m.path for i in items for m in (i.audio, i.image) if m is not None} == files
    assert {p["what"] for p in told} <= {"a text that belongs to no recording and no picture"}  # a readme


@pytest.mark.parametrize("name", SMALL)
def test_every_recording_is_whole(tmp_path: Path, name: str) -> None:
    corpus, told = make(shared(name), tmp_path / "c", "manifest")
    rows = listed(shared(name))
    assert not [p for p in told if p["done"] == "refused"]
    assert len(corpus.recordings) == len(rows)
    for seconds, row in zip(corpus.column("seconds"), rows, strict=True):
        assert seconds == pytest.approx(row["duration_s"], abs=0.011)
