"""Runs kept by what they depend on: one that was trained is used again, one that was stopped goes on.

``FOLDER/runs/<run_key>`` holds a run, ``FOLDER/teachers/<teacher_key>`` a teacher that several of them begin from.
Training a teacher twice from one recipe section, data and seed gives the same teacher twice, so it is done once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from lookhear.data.schema import Corpus
from lookhear.models.model import write_atomically
from lookhear.recipe import Recipe
from lookhear.training.named import runs_held
from lookhear.training.train import Say, Watch, open_data, train, train_teacher

__all__ = ["KeptRun", "KeptRuns", "run_key", "teacher_key"]


_MODEL = (".json", ".safetensors", ".bin", ".txt")
"""Endings of the files that transformers keeps a model in."""


def run_key(recipe: Recipe, data: str) -> str:
    """16 hex digits of the resolved recipe (its seed is in it), the data and, if there are any, the runs that it begins
    or learns from and the models that the recipe names by their folders.

    Args:
        recipe: of the run.
        data: the fingerprint of its corpus.
    """
    h = hashlib.sha256(f"{recipe.to_toml()}\n{data}\n".encode())
    h.update(runs_held(recipe).encode())
    h.update("".join(_weights(recipe.teacher) + _weights(recipe.speech)).encode())
    return h.hexdigest()[:16]


def teacher_key(recipe: Recipe, data: str) -> str | None:
    """16 hex digits of what a teacher depends on; None where it is another run's."""
    if recipe.teacher_run:
        return None
    parts = {
        "teacher": recipe.teacher.model_dump(mode="json"),
        "splits": recipe.data.teacher,
        "seed": recipe.seed,
        "threads": recipe.threads,
        "data": data,
    }
    if stages := [s.model_dump(mode="json") for s in recipe.stages if s.on == "image"]:
        parts["stages"] = stages
        parts["train"] = recipe.data.train
    if weights := _weights(recipe.teacher):
        parts["weights"] = weights
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _weights(section: Any) -> list[str]:
    """Digests of the files of a model that a section names by its folder: another model may be put in its place."""
    named = [getattr(section, key, None) for key in ("name", "encoder")]
    folders = [Path(n).expanduser() for n in named if isinstance(n, str) and n]
    files = [p for f in folders if f.is_dir() for p in sorted(f.iterdir()) if p.suffix in _MODEL]
    return [f"{p.name} {_digest(p, p.stat().st_size, p.stat().st_mtime_ns)}" for p in files]


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Of a file as it was then; half a gigabyte is read once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


@dataclass(frozen=True)
class KeptRun:
    """A finished run.

    Attributes:
        folder: of the run.
        reused: it was finished before.
        wall: seconds it took here and now.
        seconds: of each part, as measured when it was trained: data, teacher, speech, speech_steps.
    """

    folder: Path
    reused: bool
    wall: float
    seconds: dict[str, float]


class KeptRuns:
    """The runs under one folder, all trained on data under one root.

    Args:
        folder: holds ``runs`` and ``teachers``.
        data: the data root, or a prepared corpus.
        progress: bars on stderr.
        say: gets a line for each stage.
    """

    def __init__(self, folder: Path, data: Path, progress: bool = True, say: Say = lambda line: None) -> None:
        self.folder, self.data, self.progress, self.say = folder, data, progress, say
        self._opened: dict[str, tuple[Corpus, str]] = {}

    def corpus(self, recipe: Recipe) -> tuple[Corpus, str]:
        """What a recipe trains on, and its fingerprint; read once for all recipes of the same data.

        Raises:
            UserError: as ``open_data``.
        """
        section = recipe.data.model_dump(mode="json", include={"sources", "voiced"})
        key = json.dumps(section, sort_keys=True)
        if key not in self._opened:
            corpus = open_data(recipe, self.data, self.progress)
            self._opened[key] = corpus, corpus.fingerprint()
        return self._opened[key]

    def place(self, recipe: Recipe) -> Path:
        """The folder of a recipe's run."""
        return self.folder / "runs" / run_key(recipe, self.corpus(recipe)[1])

    def train(self, recipe: Recipe, watch: Watch | None = None) -> KeptRun:
        """The run of a recipe: as it is if it is finished, gone on with if it was begun.

        Args:
            recipe: resolved, with its seed.
            watch: as of ``train``.

        Raises:
            UserError: as ``train``.
        """
        corpus, data = self.corpus(recipe)
        out, began = self.place(recipe), time.monotonic()
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{out}.lock"), _threads(recipe.threads):  # two processes may want the same run
            reused = (out / "speech.done").is_file()
            if not reused:
                self._begin(recipe, corpus, data, out)
                train(recipe, corpus, out, progress=self.progress, say=self.say, watch=watch)
        seconds = json.loads((out / "seconds.json").read_text())
        told = out / "teacher-seconds.json"
        if told.is_file():  # the run itself has only loaded it
            seconds["teacher"] = json.loads(told.read_text())
        return KeptRun(out, reused, time.monotonic() - began, seconds)

    def _begin(self, recipe: Recipe, corpus: Corpus, data: str, out: Path) -> None:
        """Leaves the teacher in the run folder: that of an earlier run if there is one, else a new one for all."""
        key = teacher_key(recipe, data)
        if key is None or (out / "teacher-seconds.json").is_file():
            return
        kept = self.folder / "teachers" / key
        kept.mkdir(parents=True, exist_ok=True)
        with FileLock(kept / "lock"):  # of several processes the first trains it, the others wait for it
            if not (kept / "seconds.json").is_file():
                began = time.monotonic()
                train_teacher(recipe, corpus, out, progress=self.progress, say=self.say)
                if (out / "teacher" / "model.json").is_file():  # one found by name leaves nothing to keep
                    _copy(out / "teacher", kept / "teacher")
                write_atomically(kept / "seconds.json", json.dumps(time.monotonic() - began).encode())
            elif (kept / "teacher").is_dir() and not (out / "teacher" / "model.json").is_file():
                out.mkdir(parents=True, exist_ok=True)
                write_atomically(out / "recipe.toml", recipe.to_toml().encode())
                _copy(kept / "teacher", out / "teacher")
        if (kept / "teacher").is_dir():
            write_atomically(out / "teacher-seconds.json", (kept / "seconds.json").read_bytes())


def _copy(source: Path, target: Path) -> None:
    """A folder copied whole or not at all."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, part)
    part.replace(target)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Leaves PyTorch's threads as they were, whatever the run between set them to."""
    before: Any = torch.get_num_threads()
    try:
        if count:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)
