"""One trial: a run trained, watched at its validations, and measured on the validation items. In any process."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path
from shutil import rmtree
from typing import Any

from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.recipe import check
from lookhear.tasks.evaluate import evaluate
from lookhear.training.kept import KeptRuns
from lookhear.tuning.metric import NoFigureError, find_metric
from lookhear.tuning.storage import load_study

__all__ = ["Job", "Outcome", "become_worker", "run_trial"]


@dataclass(frozen=True)
class Job:
    """What a process needs to know of a trial.

    Attributes:
        recipe: resolved, as plain values.
        data: the data root.
        out: the study's folder.
        metric: ``section.figure``.
        trial_id: in the storage.
        prune: whether it may be given up early.
        progress: bars on stderr.
    """

    recipe: dict[str, Any]
    data: Path
    out: Path
    metric: str
    trial_id: int
    prune: bool
    progress: bool


@dataclass(frozen=True)
class Outcome:
    """How a trial ended: "complete" with a value, "pruned" with the last one, "failed" or "mistake" with why.

    A "mistake" is one of the whole study; a "failed" trial had values that cannot be trained.
    """

    state: str
    value: float | None = None
    run: str = ""
    why: tuple[str, str] = field(default=("", ""))


PATIENCE = 120.0
"""Seconds a process may take to save and end: a validation in progress is finished first."""
STOPPED = 130
_orphaned = threading.Event()


class _Pruned(Exception):
    """Told to stop by the validations of other trials."""


def run_trial(job: Job) -> Outcome:
    """Trains and measures; never on anything but validation items."""
    recipe = check(job.recipe, "of a trial")
    runs = KeptRuns(job.out, job.data, job.progress)
    values: list[float] = []
    try:
        corpus, _ = runs.corpus(recipe)
        items = corpus.select(recipe.data.validation)
        metric = find_metric(job.metric, recipe, items)
        place = runs.place(recipe)
        watched = _Watched(job)

        def watch(results: dict[str, Any]) -> None:
            values.append(metric.read(results))
            if watched.hopeless(values[-1], _validations(place) + 1):
                rmtree(place, ignore_errors=True)  # nobody goes on with it; here, while no other process may begin it
                raise _Pruned

        kept = runs.train(recipe, watch)
        # The kept weights need not be those of the last validation: they are measured for themselves.
        value = metric.read(evaluate(Model.load(kept.folder), items, [metric.section], job.progress))
    except _Pruned:
        return Outcome("pruned", values[-1], place.name)
    except KeyboardInterrupt:
        if _orphaned.is_set():
            os._exit(STOPPED)
        raise
    except NoFigureError as e:
        return Outcome("mistake", why=(e.what, e.fix))
    except UserError as e:
        return Outcome("failed", why=(e.what, e.fix))
    return Outcome("complete", value, kept.folder.name)


class _Watched:
    """Reports validations to the study, so that trials of all processes are judged by each other."""

    def __init__(self, job: Job) -> None:
        self.study = load_study(job.out)
        self.job = job

    def hopeless(self, value: float, step: int) -> bool:
        storage, number = self.study._storage, self.job.trial_id
        storage.set_trial_intermediate_value(number, step, value)
        return self.job.prune and self.study.pruner.prune(self.study, storage.get_trial(number))


def _validations(run: Path) -> int:
    """Validations that the run's log has already; a run that goes on has those from before."""
    path = run / "speech.log.jsonl"
    return sum('"validation"' in line for line in path.read_text().splitlines()) if path.is_file() else 0


def become_worker(threads: int) -> None:
    """Prepares a process that runs trials: its share of the threads, and an end when its parent ends.

    Ctrl-C in a terminal reaches every process of its group, and a second one stops a run in the middle of a step: so a
    worker leaves the group, and the parent alone tells it to stop, once.
    """
    import torch

    torch.set_num_threads(threads)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Saves what is being trained, as at Ctrl-C, and leaves: a pool's process would wait for tasks for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        _orphaned.set()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(PATIENCE)
        os._exit(STOPPED)
