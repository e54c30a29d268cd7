"""A tiny picture book, a run trained on it for a few steps, and the command line called in this process."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile as sf
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: an unreachable hub is asked six times otherwise
settings.register_profile("untimed", deadline=None)  # a slow machine is no mistake
settings.load_profile("untimed")

TINY = """# Runs in seconds; learns next to nothing
name = "tiny"
threads = 1
[teacher]
kind = "embedded"
size = 32
width = 8
dim = 32
epochs = 2
batch_size = 16
words = 8
[speech]
kind = "local"
width = 16
dilations = [1]
[training]
epochs = 2
batch_size = 8
precision = "32"
[[evaluate]]
kind = "retrieval"
[[evaluate]]
kind = "spotting"
list_name = "spoken"
"""


class Answer(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr of a user's mistake; nothing on stdout, no traceback, exit code 2."""
        assert self.code == 2, self
        assert self.out == ""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("lookhear: ")
        return lines[0]


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_before(tmp_path_factory):
    """Nothing that was kept before these tests is read, and nothing of them is kept."""
    os.environ["LOOKHEAR_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of this test alone."""
    monkeypatch.setenv("LOOKHEAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def lookhear(capfd, monkeypatch):
    """``lookhear("search", index, "a boat")`` → Answer; anything but an exit is a traceback, and fails the test."""
    from lookhear.cli import main

    monkeypatch.delenv("LOOKHEAR_DATA", raising=False)

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        sys.stdout.flush()
        return Answer(stop.value.code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def tiny_book(tmp_path_factory):
    """A prepared picture book of a few scenes."""
    from lookhear.data.picturebook.build import prepare_picturebook

    folder = tmp_path_factory.mktemp("tiny") / "book"
    scenes = {"teacher": 24, "train": 10, "val": 2, "test": 4}
    prepare_picturebook(folder, scenes=scenes, size=32, workers=0, progress=False)
    return folder


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_book, tiny_recipe):
    """A run folder, trained for a few steps."""
    from lookhear.training.train import train

    out = tiny_book.parent / "run"
    train(str(tiny_recipe), tiny_book, out, progress=False)
    return out


@pytest.fixture(scope="session")
def plain_run(tiny_run):
    """The same run without its calibration, so that every word has its best moment in every file."""
    out = tiny_run.parent / "plain"
    shutil.copytree(tiny_run, out)
    (out / "calibration.safetensors").unlink()
    return out


@pytest.fixture(scope="session")
def tiny_model(tiny_run):
    """That run's model, without its calibration: what it learned would pass no moment for said."""
    from lookhear.models.model import Model

    model = Model.load(tiny_run)
    model.calibration = None
    return model


@pytest.fixture(scope="session")
def tiny_folder(tiny_book):
    """The test scenes' recordings and pictures as files in a folder and its subfolder."""
    from lookhear.data.read import open_corpus

    folder = tiny_book.parent / "files"
    (folder / "pictures").mkdir(parents=True)
    for row in open_corpus(tiny_book).select("test").table.to_pylist():
        if row["audio"]:
            (folder / f"{row['id']}.flac").write_bytes(row["audio"]["bytes"])
        if row["image"]:
            (folder / "pictures" / f"{row['id']}.png").write_bytes(row["image"]["bytes"])
    return folder


@pytest.fixture(scope="session")
def tiny_index(tiny_run, tiny_folder):
    from lookhear.search.update import index_files

    out = tiny_folder.parent / "index"
    index_files(tiny_run, [tiny_folder], out)
    return out


@pytest.fixture
def sound(tmp_path):
    """Writes noise with a loud burst; ``sound("a.flac", seconds=2, rate=8000, channels=2)`` → its path."""

    def make(name: str, seconds: float = 1.0, rate: int = 16_000, channels: int = 1, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        wave = rng.standard_normal((round(seconds * rate), channels)) * 0.05
        third = len(wave) // 3
        wave[third : third + rate // 5] *= 8
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, wave.clip(-1, 1), rate)
        return path

    return make


@pytest.fixture
def full_disk(monkeypatch):
    """Every file that is to be kept meets a full disk."""

    def refuse(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    return monkeypatch
