"""What a folder may hold beside plain files: pipes, links out of it, folders, names that are no text; in each layout.

A pipe that is opened for reading waits for ever, so that a reader that opens one never comes to an end here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_fieldwork import eaf, make, sound, textgrid
from raw_flickr8k import write_flickr8k
from raw_places import write as write_places
from raw_speechcoco import write_raw_speechcoco
from raw_spokencoco import write as write_spokencoco
from raw_yfacc import write_yfacc

from lookhear.data.corpora import load_layout
from lookhear.data.items import Problems
from lookhear.data.prepare import prepare
from lookhear.errors import UserError


def _folder(at: Path) -> None:
    for k, name in enumerate("abc"):
        sound(at / f"{name}.wav", seed=k)


def _manifest(at: Path) -> None:
    _folder(at)
    (at / "m.jsonl").write_text("".join(json.dumps({"audio": f"{n}.wav"}) + "\n" for n in "abc"))


def _yfacc(at: Path) -> None:
    """Without the copies at 16 kHz, which would stand in."""
    write_yfacc(at)
    for copies in at.glob("*/16k"):
        shutil.rmtree(copies)


def _praat(at: Path) -> None:
    _folder(at)
    for name in "abc":
        textgrid(at / f"{name}.TextGrid", 0.2, {"words": [(0.0, 0.1, name)]})


def _elan(at: Path) -> None:
    _folder(at)
    for name in "abc":
        eaf(at / f"{name}.eaf", {"words": [(0.0, 0.1, name)]}, [{"MEDIA_URL": f"file:///x/{name}.wav"}])


LAYOUTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flickr8k": (write_flickr8k, "flickr_audio/wavs/*.wav"),
    "places": (lambda at: write_places(at, {"train": 3}, images=f"{at.name}/images"), "wavs/*/*.wav"),
    "spokencoco": (lambda at: write_spokencoco(at, {"train": 2}), "wavs/*/*.wav"),
    "speechcoco": (write_raw_speechcoco, "train2014/wav/*.wav"),
    "yfacc": (_yfacc, "flickr_audio_yoruba_*/S*.wav"),
    "folder": (_folder, "*.wav"),
    "manifest": (_manifest, "*.wav"),
    "praat": (_praat, "*.wav"),
    "elan": (_elan, "*.wav"),
}


def harm(path: Path, how: str, elsewhere: Path) -> None:
    if how == "a link out":
        shutil.copy(path, elsewhere)
    path.unlink()
    if how == "a pipe":
        os.mkfifo(path)
    elif how == "a folder":
        path.mkdir()
    elif how == "a link out":
        path.symlink_to(elsewhere)


@pytest.mark.parametrize("how", ["a pipe", "a link out", "a folder", "nothing"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_recording_that_is_no_file_of_the_folder(tmp_path: Path, layout: str, how: str) -> None:
    write, pattern = LAYOUTS[layout]
    write(tmp_path / "raw")
    before, said = make(tmp_path / "raw", tmp_path / "before", layout)
    path = sorted((tmp_path / "raw").glob(pattern))[1]
    harm(path, how, tmp_path / "elsewhere.wav")
    after, told = make(tmp_path / "raw", tmp_path / "after", layout)
    lost = set(before.column("id")) - set(after.column("id"))
    assert len(after.recordings) == len(before.recordings) - 1
    if layout == "folder" and how in ("a folder", "nothing"):
        return  # nothing else tells that there was one
    new = [p for p in told if p not in said]
    assert new
    assert all(p["what"] and p["fix"] for p in new)
    refused = [p for p in new if p["done"] == "refused"]
    assert refused or layout == "yfacc"  # where the text stays, without its recording
    assert len(lost) == 1 or layout == "yfacc"


@pytest.mark.parametrize("layout", ["flickr8k", "speechcoco"])
@pytest.mark.parametrize("how", ["a pipe", "a link out"])
def test_a_picture_that_is_no_file_of_the_folder(tmp_path: Path, layout: str, how: str) -> None:
    LAYOUTS[layout][0](tmp_path / "raw")
    before, _ = make(tmp_path / "raw", tmp_path / "before", layout)
    harm(sorted((tmp_path / "raw").rglob("*.jpg"))[0], how, tmp_path / "elsewhere.jpg")
    after, told = make(tmp_path / "raw", tmp_path / "after", layout)
    assert len(after.pictures) == len(before.pictures) - 1
    what = "no plain file" if how == "a pipe" else "climbs out"
    assert [p for p in told if what in p["what"]]


LISTS = [
    ("flickr8k", "flickr_audio/flickr_8k.ctm"),
    ("flickr8k", "Flickr8k_text/Flickr_8k.trainImages.txt"),
    ("yfacc", "Flickr8k_alignment/1003163366_44323f5815_0.TextGrid"),
    ("yfacc", "Flickr8k_text/Flickr8k.token.dev_yoruba.txt"),
    ("speechcoco", "train2014/train_2014.sqlite3"),
    ("praat", "b.TextGrid"),
    ("elan", "b.eaf"),
]


@pytest.mark.parametrize(("layout", "name"), LISTS, ids=[name.replace("/", " ") for _, name in LISTS])
def test_a_list_that_is_a_pipe_is_not_waited_for(tmp_path: Path, layout: str, name: str) -> None:
    LAYOUTS[layout][0](tmp_path / "raw")
    harm(tmp_path / "raw" / name, "a pipe", tmp_path)
    assert list(load_layout(layout).open_raw(tmp_path / "raw", {}).items(Problems()))


@pytest.mark.parametrize(
    ("layout", "name"), [("places", "metadata/train.json"), ("spokencoco", "SpokenCOCO_train.json")]
)
def test_the_list_itself_must_be_a_file(tmp_path: Path, layout: str, name: str) -> None:
    LAYOUTS[layout][0](tmp_path / "raw")
    harm(tmp_path / "raw" / name, "a pipe", tmp_path)
    with pytest.raises(UserError, match="no plain file"):
        load_layout(layout).open_raw(tmp_path / "raw", {})


@pytest.mark.parametrize("layout", ["flickr8k", "yfacc", "folder", "praat"])
def test_names_that_are_no_text_are_told_of(tmp_path: Path, layout: str) -> None:
    write, pattern = LAYOUTS[layout]
    write(tmp_path / "raw")
    path = sorted((tmp_path / "raw").glob(pattern))[0]
    name = os.fsencode(path.stem[:-2] if layout == "yfacc" else path.stem) + b"\xff_0.wav"
    shutil.copy(path, path.parent / os.fsdecode(name))
    _, told = make(tmp_path / "raw", tmp_path / "c", layout)
    assert [p for p in told if "\\udcff" in json.dumps(p) or "\\xff" in p["file"]]


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_flickr8k(tmp_path / "raw")
    path = tmp_path / "raw" / "flickr_audio" / "flickr_8k.ctm"
    whole = Path.open

    def denied(self: Path, *how: Any, **more: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return whole(self, *how, **more)

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(UserError, match=r"flickr_8k\.ctm: cannot be read \(Permission denied\)"):
        prepare(tmp_path / "raw", tmp_path / "c", workers=0, progress=False)
