"""``lookhear tune``: trials proposed here, run here or in worker processes, the best recipe written down."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.model import write_atomically
from lookhear.recipe import Recipe, load_recipe
from lookhear.training.kept import KeptRuns
from lookhear.training.train import Say
from lookhear.tuning.metric import Metric, find_metric
from lookhear.tuning.space import Dimension, check_space
from lookhear.tuning.storage import open_study
from lookhear.tuning.trial import Job, Outcome, become_worker, run_trial

if TYPE_CHECKING:
    import optuna

__all__ = ["Tried", "Tuned", "tune"]


@dataclass(frozen=True)
class Tried:
    """A finished trial: its number, how it ended, the metric (None if it failed), the keys it set, its run."""

    number: int
    state: str
    value: float | None
    values: dict[str, str]
    run: str


@dataclass(frozen=True)
class Tuned:
    """What a study has found so far.

    Attributes:
        metric: ``section.figure``.
        trials: all that ended, best first.
        best: the file of the best recipe.
    """

    metric: str
    trials: list[Tried]
    best: Path


def tune(
    recipe: str,
    data: Path | str,
    out: Path | str,
    trials: int,
    space: Sequence[Dimension],
    *,
    changes: Sequence[str] = (),
    metric: str = "",
    workers: int = 1,
    prune: bool = False,
    progress: bool = True,
    say: Say = lambda line: None,
) -> Tuned:
    """Goes on with the study in ``out``, or begins one, until it has as many finished trials as asked.

    Every trial trains the recipe with other values and is measured on validation items; test items are never read. The
    recipe's own values are tried first, if the space holds them.

    Args:
        recipe: name or path.
        data: the data root, or a prepared corpus.
        out: keeps the study and its runs, and gets ``best.toml``.
        trials: finished ones in all, those of earlier calls included.
        space: the keys to search.
        changes: ``section.key=value``, to all trials.
        metric: ``section.figure``, or a section for its primary figure; by default what chooses checkpoints
            (``training.select``), or the first section.
        workers: processes that train side by side.
        prune: gives a trial up that is, at a validation, worse than half of those before it.
        progress: bars on stderr, of a single worker.
        say: gets a line for each trial.

    Raises:
        UserError: Optuna is not installed, a mistake in recipe, space or data, a study of something else in ``out``,
            another process at work on it, or no trial that could be trained.
    """
    data, out = Path(data), Path(out)
    resolved = check_space(space, recipe, changes)
    if prune and not resolved.training.validate_every:
        raise UserError("nothing to prune by", "Set training.validate_every, in epochs.")
    corpus, fingerprint = KeptRuns(out, data, progress and workers == 1).corpus(resolved)
    found = find_metric(metric, resolved, _validation(corpus, resolved))
    made_for = {
        "recipe": hashlib.sha256(resolved.to_toml().encode()).hexdigest()[:16],
        "data": fingerprint,
        "space": json.dumps({d.key: asdict(d) for d in space}, sort_keys=True),
        "metric": found.name,
    }
    with _alone(out):
        study = open_study(out, found.direction, made_for, resolved.seed, workers)
        work = _Work(study, recipe, list(changes), space, found, data, out, prune, progress and workers == 1, say)
        work.begin(resolved)
        work.until(trials, workers)
        return work.finish(resolved)


def _validation(corpus: Corpus, recipe: Recipe) -> Corpus:
    if not corpus.has("split"):
        raise UserError(f"{corpus.name or corpus.root} has no splits", "Tuning needs validation items.")
    return corpus.select(recipe.data.validation)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No second process proposes trials for the same study: one left running is then one that was stopped."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"another process tunes in {out}", "Wait for it, or start one with more --workers.") from None
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Work:
    """The trials of a study, proposed one by one."""

    study: optuna.Study
    recipe: str
    changes: list[str]
    space: Sequence[Dimension]
    metric: Metric
    data: Path
    out: Path
    prune: bool
    progress: bool
    say: Say

    def begin(self, resolved: Recipe) -> None:
        """Queues the recipe's own values in a new study, if the space holds them."""
        own = {d.key: d.holds(_value_at(resolved.model_dump(mode="json"), d.key)) for d in self.space}
        if not self.study.get_trials(deepcopy=False) and None not in own.values():
            self.study.enqueue_trial(own)

    def until(self, count: int, workers: int) -> None:
        running: dict[Future[Outcome], optuna.Trial] = {}
        with _executor(workers) as executor:
            while True:
                while len(running) < workers and self._ended() + len(running) < count:
                    trial = self.study.ask()
                    running[executor.submit(run_trial, self._job(trial))] = trial
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._tell(running.pop(future), future.result())

    def _ended(self) -> int:
        """Trials that count: finished, pruned or failed by themselves; not those that were stopped."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(t.state.is_finished() and not t.user_attrs.get("stopped") for t in trials)

    def _job(self, trial: optuna.Trial) -> Job:
        values = {d.key: d.suggest(trial) for d in self.space}
        trial.set_user_attr("values", values)
        recipe = load_recipe(self.recipe, [*self.changes, *(f"{k}={v}" for k, v in values.items())])
        plain = recipe.model_dump(mode="json")
        return Job(plain, self.data, self.out, self.metric.name, trial._trial_id, self.prune, self.progress)

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        if outcome.state == "mistake":
            trial.set_user_attr("stopped", True)
            self.study.tell(trial, state=TrialState.FAIL)
            raise UserError(*outcome.why)
        trial.set_user_attr("run", outcome.run)
        if outcome.state == "failed":
            trial.set_user_attr("why", list(outcome.why))
            self.study.tell(trial, state=TrialState.FAIL)
        elif outcome.state == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            self.study.tell(trial, outcome.value)
        told = f" {outcome.value:.4f}" if outcome.value is not None else f" ({outcome.why[0]})"
        self.say(f"trial {trial.number}: {outcome.state}{told}")

    def finish(self, resolved: Recipe) -> Tuned:
        """Writes the best recipe."""
        tried = [
            Tried(t.number, t.state.name.lower(), t.value, t.user_attrs["values"], t.user_attrs.get("run", ""))
            for t in self.study.get_trials()
            if t.state.is_finished() and not t.user_attrs.get("stopped")
        ]
        complete = [t for t in tried if t.state == "complete"]
        if not complete:
            whys = [t.user_attrs["why"] for t in self.study.get_trials() if "why" in t.user_attrs]
            why, fix = whys[-1] if whys else ("all were given up", "Try without --prune.")
            raise UserError(f"none of {len(tried)} trials could be finished; the last: {why}", fix)
        sign = -1 if self.metric.direction == "maximize" else 1
        order = {"complete": 0, "pruned": 1, "fail": 2}
        tried.sort(key=lambda t: (order[t.state], sign * (t.value or 0.0), t.number))
        best = tried[0]
        recipe = load_recipe(self.recipe, [*self.changes, *(f"{k}={v}" for k, v in best.values.items())])
        path = self.out / "best.toml"
        head = (
            f"# Trial {best.number} of {len(tried)}: {self.metric.name} {best.value:.4f} on validation "
            f"({', '.join(resolved.data.validation)}).\n"
        )
        write_atomically(path, (head + recipe.to_toml()).encode())
        return Tuned(self.metric.name, tried, path)


def _value_at(values: Any, key: str) -> Any:
    """A recipe's value at a dotted key, numbers counting list items; None where there is none."""
    for part in key.split("."):
        if isinstance(values, list):
            values = values[int(part)] if part.isdigit() and int(part) < len(values) else None
        else:
            values = values.get(part) if isinstance(values, dict) else None
    return values


class _Here(Executor):
    """Runs each task in this process, before ``submit`` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _executor(workers: int) -> Iterator[Executor]:
    """One process or several; those are told to stop, at the end of a step, when this one is."""
    if workers == 1:
        yield _Here()
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), become_worker, (threads,))
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            "a worker process ended by itself", "Perhaps memory: run again with fewer --workers; it goes on."
        ) from None
    except BaseException:
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGINT)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
