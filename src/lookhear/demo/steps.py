"""The demo's stages; each looks first whether its outcome lies there already."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookhear.data.picturebook.build import prepare_picturebook
from lookhear.data.picturebook.plan import DEFAULT_SCENES
from lookhear.data.schema import Corpus
from lookhear.data.store import MANIFEST, read_store
from lookhear.demo.clock import Clock
from lookhear.demo.moments import found_words, ranked_pictures
from lookhear.demo.results import LISTS
from lookhear.demo.towers import Lesson, train_both
from lookhear.errors import UserError
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.model import Model, write_atomically
from lookhear.models.teacher import ClipTeacher
from lookhear.recipe import Recipe
from lookhear.search.searcher import Searcher
from lookhear.search.update import index_files
from lookhear.tasks import Localisation, Retrieval
from lookhear.tasks.base import Encoded
from lookhear.tasks.evaluate import evaluate
from lookhear.training.fit import give_back
from lookhear.training.train import train_teacher

__all__ = ["Demo", "draw_book", "learn", "look_up", "measure", "step_seconds", "teach"]

WORKERS = 2
QUICK_SCENES = {"teacher": 40, "train": 16, "val": 4, "test": 20, "open": 12}
OPEN_LISTS = ("synonym", "unseen")  # said in the split "open" only
INDEXED = 250
QUERIES = ("umbrella", "a red boat", "in the snow", "puppy", "kitten", "locomotive")
"""Searches of the report: a word, a phrase and a place that training says, and three words it never says."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """One demo: where it lies and what it trains.

    ``threads``: CPU threads of the whole demo; None leaves PyTorch's choice. It stands in neither recipe, for a run
    goes on only with the recipe it began with, and how many threads it gets depends on what is trained beside it.
    """

    out: Path
    seed: int
    quick: bool
    ours: Recipe
    seed_tower: Recipe
    threads: int | None = None

    @staticmethod
    def of(out: Path, seed: int, quick: bool, ours: Recipe, seed_tower: Recipe) -> Demo:
        """The recipes fitted to each other: one seed, one teacher, equal steps of equal batches; ``threads`` of ours.

        Raises:
            UserError: a recipe that trains no teacher, or without the evaluation sections that the results need.
        """
        _check(ours)
        threads = ours.threads
        ours = ours.model_copy(update={"seed": seed, "threads": None})
        if quick:
            loop = {"epochs": 2.0, "batch_size": 8, "validate_every": 0.0}
            ours = ours.model_copy(
                update={
                    "training": ours.training.model_copy(update=loop),
                    "teacher": ours.teacher.model_copy(update={"epochs": 3.0, "batch_size": 16, "words": 30}),
                }
            )
        if not ours.training.validate_every:  # one validation at the end would say what stage 4 says better
            ours = ours.model_copy(update={"data": ours.data.model_copy(update={"validation": ()})})
        equal = {k: getattr(ours.training, k) for k in ("epochs", "batch_size", "validate_every", "select")}
        shared = {
            "seed": seed,
            "threads": None,
            "teacher_run": str((out / "run" / "teacher").resolve()),
            "training": seed_tower.training.model_copy(update=equal),
            "evaluate": ours.evaluate,
            "data": seed_tower.data.model_copy(update={"validation": ours.data.validation}),
        }
        return Demo(out, seed, quick, ours, seed_tower.model_copy(update=shared), threads)

    @property
    def book(self) -> Path:
        return self.out / "picturebook"

    @property
    def run(self) -> Path:
        return self.out / "run"

    @property
    def seed_run(self) -> Path:
        return self.out / "run-seed"


def _check(recipe: Recipe) -> None:
    if recipe.teacher_run or isinstance(recipe.teacher, ClipTeacher | EnsembleTeacher):
        raise UserError(f"recipe {recipe.name!r} trains no teacher", "The demo trains one on its picture book.")
    sections = {t.name: t for t in recipe.evaluate}
    missing = {"retrieval", "localisation", *LISTS} - sections.keys()
    if missing:
        raise UserError(
            f"recipe {recipe.name!r} lacks the evaluation sections {', '.join(sorted(missing))}", "The demo shows them."
        )
    retrieval = sections["retrieval"]
    if not isinstance(retrieval, Retrieval) or retrieval.by != "voice_seen":
        raise UserError(f"recipe {recipe.name!r}: retrieval is not split by voice_seen", 'Set by = "voice_seen".')


def read_json(path: Path) -> Any:
    """A file that a stage wrote.

    Raises:
        UserError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path}: damaged", "Delete it: the demo makes it again.") from None


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False).encode())


def draw_book(demo: Demo, clock: Clock, progress: bool) -> None:
    """Stage 1: scenes drawn and spoken."""
    if (demo.book / MANIFEST).is_file():
        return
    scenes = QUICK_SCENES if demo.quick else DEFAULT_SCENES
    what = f"picture book: drawing {sum(scenes.values()):,} scenes and speaking their captions"
    with clock.stage("data", what, WORKERS):
        prepare_picturebook(demo.book, demo.seed, scenes=scenes, workers=WORKERS, progress=progress)


def teach(demo: Demo, clock: Clock, progress: bool) -> None:
    """Stage 2: the teacher of both towers, in the folder of our run."""
    if (demo.run / "teacher" / "model.json").is_file():
        return
    with clock.stage("teacher", "teacher: learning pictures and written words"):
        train_teacher(demo.ours, demo.book, demo.run, progress=progress)


def learn(demo: Demo, clock: Clock, progress: bool, say: Say) -> dict[str, Encoded]:
    """Stage 3: our speech tower and the seed's from the same teacher, in as many steps, side by side.

    Returns:
        held-out splits as our tower hears them, if it had time for that while the other was still learning.
    """
    lessons = (
        Lesson("our tower", demo.ours, demo.book, demo.run),
        Lesson("the seed's tower", demo.seed_tower, demo.book, demo.seed_run),
    )
    left = [lesson for lesson in lessons if not lesson.finished]
    heard: dict[str, Encoded] = {}
    if not left:
        return heard
    who = "our tower and the seed's, side by side" if len(left) == 2 else f"{left[0].name}, the other is done"
    with clock.stage("speech", f"speech: learning to hear what the teacher sees ({who})", len(left) - 1):
        if len(left) == 2:
            train_both(left[0], left[1], progress, say, lambda: heard.update(_hear(demo)))
        else:
            left[0].learn(progress)
    return heard


def _hear(demo: Demo) -> dict[str, Encoded]:
    """What stage 4 will ask first of the finished tower."""
    give_back()  # what training held: the other tower's training goes on beside this
    book, ours = read_store(demo.book), Model.load(demo.run)
    heard = {split: Encoded(ours, book.select(split)) for split in (demo.ours.data.test, "open")}
    for encoded in heard.values():
        _ = encoded.audio_parts
    test = heard[demo.ours.data.test]
    _ = test.image, test.text
    return heard


def step_seconds(demo: Demo) -> dict[str, float]:
    """How long each tower's training steps took, without its preparations and validations."""
    runs = {"ours": demo.run, "seed_tower": demo.seed_run}
    return {name: read_json(run / "seconds.json")["speech_steps"] for name, run in runs.items()}


def measure(demo: Demo, clock: Clock, progress: bool, say: Say, ready: dict[str, Encoded]) -> None:
    """Stage 4: both towers on the held-out splits; writes ``evaluation.json`` and ``moments.json``.

    Args:
        ready: what ``learn`` returned; taken out, so that it is not held longer than needed.
    """
    if (demo.out / "evaluation.json").is_file():
        return
    with clock.stage("evaluation", "evaluation: retrieval, spotting, localisation"):
        book = read_store(demo.book)
        ours, seed = Model.load(demo.run), Model.load(demo.seed_run)
        found: dict[str, dict[str, Any]] = {"ours": {}, "seed_tower": {}}
        for split in (demo.ours.data.test, "open"):
            chosen = [t for t in demo.ours.evaluate if (t.name in OPEN_LISTS) == (split == "open")]
            heard = ready.pop(split, None) or Encoded(ours, book.select(split), progress)
            corpus = heard.corpus
            found["ours"] |= evaluate(ours, corpus, chosen, say=say, encoded=heard)
            if split == demo.ours.data.test:
                _write_json(demo.out / "moments.json", _moments(demo, heard))
            # Pictures and texts are the teacher's business: they are the same beside either tower.
            again = Encoded(seed, corpus, progress, image=heard.image, text=heard.text)
            del heard
            found["seed_tower"] |= evaluate(seed, corpus, chosen, encoded=again)
        _complete(found, demo)
        _write_json(demo.out / "evaluation.json", found)


def _complete(found: Mapping[str, Mapping[str, Any]], demo: Demo) -> None:
    wanted = {t.name for t in demo.ours.evaluate}
    for name, results in found.items():
        if wanted - results.keys():
            raise UserError(
                f"{demo.book}: {', '.join(sorted(wanted - results.keys()))} could not be measured for {name}",
                "The picture book is too small or of another kind: delete it.",
            )


def _moments(demo: Demo, heard: Encoded) -> dict[str, Any]:
    section = next(t for t in demo.ours.evaluate if t.name == "localisation")
    assert isinstance(section, Localisation)
    words = list(heard.corpus.meta["words"]["spoken"])
    return {"scenes": found_words(heard, words, section.template, seed=demo.seed), **ranked_pictures(heard)}


def look_up(demo: Demo, progress: bool) -> None:
    """Part of stage 5: an index of test recordings in unseen voices, and what it answers; writes ``searches.json``."""
    if (demo.out / "searches.json").is_file():
        return
    folder = demo.out / "recordings"
    _export(read_store(demo.book).select(demo.ours.data.test), folder)
    index_files(demo.run, [folder], demo.out / "index", progress=progress)
    searcher = Searcher(demo.out / "index")
    answers = []
    for query in QUERIES:
        hits = [h.as_dict() | {"id": Path(h.file).stem} for h in searcher.search(query, 4, "recordings")]
        answers.append({"query": query, "hits": hits})
    _write_json(demo.out / "searches.json", answers)


def _export(corpus: Corpus, folder: Path) -> None:
    """Recordings in unseen voices as FLAC files named by their ids."""
    folder.mkdir(parents=True, exist_ok=True)
    ids, seen = corpus.column("id"), corpus.column("voice_seen")
    for row in [r for r in corpus.recordings.tolist() if not seen[r]][:INDEXED]:
        source = corpus.media("audio", row)
        assert isinstance(source, bytes)
        (folder / f"{ids[row]}.flac").write_bytes(source)
