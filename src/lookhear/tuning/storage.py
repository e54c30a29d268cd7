"""Optuna's persistent study in a folder, and what it was made for."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookhear.errors import UserError

if TYPE_CHECKING:
    import optuna

__all__ = ["load_study", "open_study"]

NAME = "lookhear"
MADE_FOR = {
    "recipe": "another recipe",
    "data": "other data",
    "space": "another search space",
    "metric": "another metric",
}
"""What a study depends on → how a study that differs in it is refused."""


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as e:
        if e.name is not None and e.name.partition(".")[0] != "optuna":
            raise
        raise UserError("tuning needs the 'tune' extra", "pip install 'lookhear[tune]'.") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _storage(folder: Path) -> Any:
    # SQLite, for its transactions outlive a kill; a process that finds it locked waits.
    url = f"sqlite:///{(folder / 'study.db').resolve()}"
    return _optuna().storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 120}})


def load_study(folder: Path, seed: int = 0, workers: int = 1) -> optuna.Study:
    """The study that lies in a folder.

    Args:
        folder: that ``open_study`` was called for.
        seed: of what is tried next, with the number of trials so far.
        workers: processes; with several, trials still running count as bad ones, so that no two try the same.

    Raises:
        UserError: Optuna is not installed.
    """
    found = _optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", found.exceptions.ExperimentalWarning)
        study: optuna.Study = found.load_study(
            study_name=NAME, storage=_storage(folder), pruner=found.pruners.MedianPruner()
        )
        # One that began anew with the same seed would propose the same again.
        seed += len(study.get_trials(deepcopy=False))
        study.sampler = found.samplers.TPESampler(seed=seed, constant_liar=workers > 1)
    return study


def open_study(folder: Path, direction: str, made_for: dict[str, str], seed: int, workers: int) -> optuna.Study:
    """The study of a folder, made if there is none, and gone on with if it was made for the same.

    Trials that an earlier process left unfinished are queued again. The caller sees to it that no other process works
    on the study.

    Args:
        folder: of the study.
        direction: "maximize" or "minimize".
        made_for: what it depends on: "recipe", "data", "space", "metric".
        seed, workers: as of ``load_study``.

    Raises:
        UserError: it was made for something else and has finished trials; Optuna is not installed.
    """
    found = _optuna()
    storage = _storage(folder)
    present = {s.study_name: s for s in found.study.get_all_study_summaries(storage)}.get(NAME)
    if present is not None and present.user_attrs != made_for:
        trials = found.load_study(study_name=NAME, storage=storage).get_trials(deepcopy=False)
        if any(t.state in (found.trial.TrialState.COMPLETE, found.trial.TrialState.PRUNED) for t in trials):
            differs = next(k for k in MADE_FOR if present.user_attrs.get(k) != made_for[k])
            raise UserError(f"{folder} holds a study of {MADE_FOR[differs]}", "Choose another --out, or delete it.")
        found.delete_study(study_name=NAME, storage=storage)  # nothing was found out yet
        present = None
    if present is None:
        made = found.create_study(study_name=NAME, storage=storage, direction=direction)
        for key, value in made_for.items():
            made.set_user_attr(key, value)
    study = load_study(folder, seed, workers)
    for trial in study.get_trials(states=(found.trial.TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, "stopped", True)
        study.tell(trial.number, state=found.trial.TrialState.FAIL)
        if set(trial.params) == set(json.loads(made_for["space"])):
            study.enqueue_trial(trial.params)  # the same recipe, so the same run folder: it goes on where it was
    return study
