"""From a recipe and data to a run folder: teacher, features, speech tower."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookhear.data.augment import Augment
from lookhear.data.read import concat, open_corpus, read_source
from lookhear.data.schema import Corpus
from lookhear.data.voiced import voice_corpus
from lookhear.errors import UserError
from lookhear.models.calibration import Calibration
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.model import Model, write_atomically
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, Teacher, VectorTeacher
from lookhear.objectives.base import Learner
from lookhear.objectives.local import LocalSection
from lookhear.recipe import Recipe, load_recipe
from lookhear.tasks.base import Encoded, primary_value
from lookhear.training.calibrate import calibrate_by_pictures
from lookhear.training.finetune import finetune
from lookhear.training.fit import Progress, fit
from lookhear.training.material import (
    asking,
    objectives_and_targets,
    speech_batches,
    targets,
    training_pairs,
    training_pictures,
)
from lookhear.training.named import runs_held
from lookhear.training.pictures import no_patches
from lookhear.training.stages import begin_as, built_balance, run_stages
from lookhear.training.tags import check_tagging, learn_evidence
from lookhear.training.teach import TEACHER_STAGES, teach

__all__ = ["Run", "open_data", "train", "train_teacher"]

Say = Callable[[str], None]
Watch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Run:
    """A trained run: its folder, recipe and model, and the seconds each part took."""

    folder: Path
    recipe: Recipe
    model: Model
    seconds: dict[str, float]


def open_data(recipe: Recipe, root: Path, progress: bool = True) -> Corpus:
    """The corpus a recipe trains on: a prepared folder given as the root itself, or data sets named under the root.

    Raises:
        UserError: a data set is missing or wrong.
    """
    if not root.exists():
        raise UserError(f"{root}: no such data root", "Name it with --data or LOOKHEAR_DATA.")
    sources = [s for s in recipe.data.sources if not s.evaluate_only]
    if (root / "corpus.json").is_file():
        corpus = open_corpus(root)
    elif not sources:
        raise UserError(f"recipe {recipe.name or '?'} names no data sets", "Give a prepared corpus as --data.")
    else:
        corpus = concat([read_source(s, root) for s in sources], recipe.name)
    return voice_corpus(corpus, recipe.data.voiced, progress) if recipe.data.voiced else corpus


def train(
    recipe: Recipe | str,
    data: Path | str | Corpus,
    out: Path | str,
    *,
    changes: Iterable[str] = (),
    progress: bool = True,
    say: Say = lambda line: None,
    watch: Watch | None = None,
) -> Run:
    """Trains a recipe and leaves a run folder that ``lookhear.load`` reads.

    Args:
        recipe: a Recipe, or the name or path of one.
        data: the data root, a prepared corpus folder, or what ``open_data`` gave for this recipe.
        out: the run folder. A stopped run in it goes on where it was, step for step; a finished one is returned.
        changes: ``section.key=value`` as of ``--set``.
        say: gets a line for each stage.
        watch: gets the results of the evaluation sections at every validation, section name → result; what it raises
            stops the run, which can be gone on with.

    Raises:
        UserError: a mistake in the recipe or data, or a folder that another recipe's run lies in.
    """
    recipe = load_recipe(recipe, changes) if isinstance(recipe, str) else recipe
    _check_augment(recipe)
    _check_reading(recipe)
    _check_stages(recipe)
    built_balance(recipe)
    for stage in recipe.stages:
        built_balance(stage)
    out = Path(out)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    seconds: dict[str, float] = {}
    began = time.monotonic()
    corpus = data if isinstance(data, Corpus) else open_data(recipe, Path(data), progress)
    key = _claim(out, recipe, corpus)
    seconds["data"] = time.monotonic() - began
    if (out / "speech.done").is_file():
        say(f"{out} is finished already")
        return Run(out, recipe, Model.load(out), json.loads((out / "seconds.json").read_text()))
    _check_material(recipe, corpus)
    teacher, seconds["teacher"] = _teacher(recipe, corpus, out, key, progress, say)
    began = time.monotonic()
    torch.manual_seed(recipe.seed)
    tower = recipe.speech.build(teacher.dim)
    if recipe.speech_run:
        begin_as(tower, recipe)
    model = Model(teacher, tower, recipe.compatibility)
    if recipe.stages:
        run_stages("audio", model, recipe, corpus, out, key=key, progress=progress, say=say)
        torch.manual_seed(recipe.seed)  # the same objectives whether the stages were run now or before
    state = _speech(model, recipe, corpus, out, key, progress, say, watch)
    seconds["speech"], seconds["speech_steps"] = time.monotonic() - began, state.seconds
    _calibrate(recipe, corpus, out, say)
    write_atomically(out / "seconds.json", json.dumps(seconds).encode())
    write_atomically(out / "speech.done", b"")
    return Run(out, recipe, Model.load(out), seconds)


def train_teacher(
    recipe: Recipe, data: Path | str | Corpus, out: Path | str, *, progress: bool = True, say: Say = lambda line: None
) -> Teacher:
    """The teacher of a run alone, left in ``out/teacher``, where other runs can use it (``teacher_run``).

    ``train`` with the same arguments goes on from there, and finds in the cache what the teacher makes of the pictures.

    Raises:
        UserError: as ``train``.
    """
    out = Path(out)
    corpus = data if isinstance(data, Corpus) else open_data(recipe, Path(data), progress)
    teacher, _ = _teacher(recipe, corpus, out, _claim(out, recipe, corpus), progress, say)
    targets(Model(teacher, None, recipe.compatibility), recipe, corpus, training_pictures(recipe, corpus))
    return teacher


def _check_augment(recipe: Recipe) -> None:
    """Refuses to change the frames of a log-mel that the speech tower does not have."""
    if not getattr(recipe.speech, "log_mel", True) and recipe.augment != Augment():
        raise UserError(
            f"recipe {recipe.name or '?'}: [augment] changes log-mel frames, and a {recipe.speech.kind} speech tower "
            "hears none",
            "Leave [augment] out.",
        )


def _check_reading(recipe: Recipe) -> None:
    """Refuses objectives whose local vectors would be read otherwise than they were trained, or that can see none."""
    for objective in recipe.objectives:
        if isinstance(objective, LocalSection):
            objective.check(recipe.compatibility)
            if objective.patches and isinstance(recipe.teacher, VectorTeacher) and not recipe.teacher_run:
                raise no_patches()


def _check_stages(recipe: Recipe) -> None:
    """Refuses stages on a picture tower that this run does not train."""
    if any(stage.on == "image" for stage in recipe.stages) and (
        recipe.teacher_run or not isinstance(recipe.teacher, EmbeddedTeacher)
    ):
        raise UserError(
            f"recipe {recipe.name or '?'}: a stage on 'image' comes before the lesson of a teacher of kind 'embedded', "
            "and this recipe trains none",
            "Leave teacher_run out and choose that teacher, or a stage on 'audio'.",
        )


_ANY_DIM = 64  # the teacher's is not known yet, and no tower is refused for its dimension


def _check_material(recipe: Recipe, corpus: Corpus) -> None:
    """Finds mistakes in pairs, words, taggers and the speech tower before the minutes that a teacher takes."""
    recipe.speech.build(_ANY_DIM)
    pictures = training_pictures(recipe, corpus)
    training_pairs(recipe, corpus, pictures)
    for objective in asking(recipe):
        check_tagging(objective, corpus, recipe.data.teacher, pictures)


def _claim(out: Path, recipe: Recipe, corpus: Corpus) -> str:
    """Writes the resolved recipe into the run folder; refuses a folder that another recipe's run lies in.

    A recipe that nothing was trained by yet, for a mistake in it perhaps, makes room for another.
    """
    text = recipe.to_toml()
    path = out / "recipe.toml"
    others = [p for p in out.iterdir() if p != path] if out.is_dir() else []
    if path.is_file() and path.read_text() != text and others:
        raise UserError(f"{out} holds a run of another recipe", "Choose another --out, or delete it.")
    if others and not path.is_file():
        raise UserError(f"{out} is not empty and no run", "Choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
    return hashlib.sha256((text + corpus.fingerprint() + runs_held(recipe)).encode()).hexdigest()[:16]


def _teacher(recipe: Recipe, corpus: Corpus, out: Path, key: str, progress: bool, say: Say) -> tuple[Teacher, float]:
    began = time.monotonic()
    if recipe.teacher_run:
        teacher: Teacher = Model.load(recipe.teacher_run).teacher
    elif isinstance(recipe.teacher, EnsembleTeacher) or (
        isinstance(recipe.teacher, ClipTeacher) and recipe.teacher.finetune is None
    ):
        say(f"teacher: {recipe.teacher.name}")
        teacher = recipe.teacher.build()
    elif (out / "teacher" / "model.json").is_file():
        teacher = Model.load(out / "teacher").teacher
    else:
        how: Any = {"seed": recipe.seed, "folder": out, "key": key, "progress": progress}
        if isinstance(recipe.teacher, ClipTeacher):
            say(f"teacher: finetuning {recipe.teacher.name}")
            teacher, _ = finetune(recipe.teacher, corpus, recipe.data.teacher, recipe.data.validation, **how, say=say)
        else:
            say("teacher: learning pictures and words")

            def begin(teacher: Teacher) -> None:
                if recipe.stages:
                    run_stages("image", Model(teacher, None), recipe, corpus, out, key=key, progress=progress, say=say)
                    torch.manual_seed(recipe.seed)

            teacher, _ = teach(recipe.teacher, corpus, recipe.data.teacher, **how, begin=begin)
        Model(teacher, None).save(out / "teacher", {"teacher": recipe.teacher.model_dump(mode="json"), "speech": None})
        for name in TEACHER_STAGES:
            (out / f"{name}.checkpoint").unlink(missing_ok=True)
    return teacher.eval().requires_grad_(False), time.monotonic() - began


def _speech(
    model: Model, recipe: Recipe, corpus: Corpus, out: Path, key: str, progress: bool, say: Say, watch: Watch | None
) -> Progress:
    pictures = training_pictures(recipe, corpus)
    pairing = training_pairs(recipe, corpus, pictures)
    say(f"speech: {len(pairing.rows)} recordings, {len(pictures)} pictures")
    objectives, vectors, tags = objectives_and_targets(model, recipe, corpus, pictures)
    twice = any("audio@2" in objective.needs for objective in objectives)
    source, mels = speech_batches(model, recipe, corpus, pairing, pictures, (vectors, tags), out, progress, twice)
    split = np.array(corpus.column("split"), dtype=object)
    held = np.isin(split, recipe.data.validation)
    validation = corpus.take(np.flatnonzero(held)) if held.any() and recipe.evaluate else None
    configs = {"teacher": recipe.teacher.model_dump(mode="json"), "speech": recipe.speech.model_dump(mode="json")}
    if recipe.teacher_run:
        configs["teacher"] = json.loads((Path(recipe.teacher_run) / "model.json").read_text())["teacher"]

    def validate() -> dict[str, float]:
        learn_evidence(model, mels)
        assert validation is not None
        return _validation(model, validation, recipe, watch)

    def keep() -> None:
        learn_evidence(model, mels)
        model.save(out, configs)

    learner = Learner(model, objectives, built_balance(recipe))
    return fit(
        learner,
        source,
        recipe.training.model_copy(update={"seed": recipe.seed}),
        name="speech",
        key=key,
        folder=out,
        validate=None if validation is None else validate,
        keep=keep,
        progress=progress,
    )


def _calibrate(recipe: Recipe, corpus: Corpus, out: Path, say: Say) -> None:
    """Leaves a calibration in the run folder, where the validation recordings allow one; else says why not."""
    found: Calibration | str
    try:
        found = calibrate_by_pictures(Model.load(out), recipe, corpus)
    except UserError as e:  # a teacher without texts has no words that it could be asked
        found = e.what
    if isinstance(found, str):
        say(f"not calibrated, so that spotting goes by each file's own statistics: {found}")
    else:
        found.save(out)


def _validation(model: Model, corpus: Corpus, recipe: Recipe, watch: Watch | None) -> dict[str, float]:
    """Primary figures of the evaluation sections that have one on the validation items.

    A section that lacks its figure there (pictures without recordings, say), or that wants what the model does not have
    before its training ends, is left out; if checkpoints are chosen by
    it (``training.select``), the loop says that it is missing.
    """
    encoded = Encoded(model, corpus)
    asked = [t for t in recipe.evaluate if t.missing(corpus) is None and t.unready(model) is None]
    results = {task.name: task.run(encoded) for task in asked}
    if watch is not None:
        watch(results)
    figures: dict[str, float] = {}
    for task in recipe.evaluate:
        if task.name in results:
            with contextlib.suppress(UserError):  # only that the figure is not there
                figures[task.name] = primary_value(task, results[task.name])
    return figures
