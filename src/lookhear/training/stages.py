"""Stages: what a tower learns alone, before speech and pictures meet; and towers that begin as another run's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn

from lookhear.balance.base import Balance, task_names
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import PictureTower
from lookhear.models.model import Model, write_atomically
from lookhear.objectives.base import Learner, Objective, Shaped
from lookhear.recipe import Recipe, Stage
from lookhear.training.alone import AloneBatches
from lookhear.training.fit import fit
from lookhear.training.mels import StreamedMels, frames_of, gigabytes, log_mels
from lookhear.training.pictures import picture_tensor
from lookhear.training.second import Make, SecondView, pictures_seen, recordings_heard

__all__ = ["begin_as", "built_balance", "run_stages"]


def begin_as(tower: nn.Module, recipe: Recipe) -> None:
    """Gives a new speech tower the weights of the run that ``speech_run`` names.

    Raises:
        UserError: that run's tower is another kind, or of another shape: its weights would fit and mean something else.
    """
    run = Path(recipe.speech_run)
    other = Model.load(run).audio
    if other is None:
        raise UserError(f"{run}: this run has no speech tower", "Name a run that trained one in speech_run.")
    theirs = json.loads((run / "model.json").read_text())["speech"]
    ours = recipe.speech.model_dump(mode="json")
    differing = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k) and k != "dropout")
    if differing:
        raise UserError(
            f"{run}: its speech tower differs in {', '.join(f'speech.{k}' for k in differing)}",
            "Give both recipes the same [speech].",
        )
    tower.load_state_dict(other.state_dict())


def run_stages(
    on: str,
    model: Model,
    recipe: Recipe,
    corpus: Corpus,
    folder: Path,
    *,
    key: str = "",
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains the tower that ``on`` names through the recipe's stages on it, one after another.

    Each leaves the tower's weights in ``folder``, so that a run that goes on does not repeat it.

    Args:
        on: "audio" or "image".
        key: what the run depends on.

    Raises:
        UserError: a stage whose tower or data lack what it asks for.
    """
    for number, stage in enumerate(recipe.stages):
        if stage.on != on:
            continue
        name = f"stage-{number}"
        kept = folder / f"{name}.safetensors"
        tower = getattr(model, on)
        if kept.is_file():
            tower.load_state_dict(load_file(kept))
            continue
        say(f"{name}: {', '.join(c.kind for c in stage.objectives)} on {on} alone")
        torch.manual_seed(recipe.seed + 1 + number)
        opened = _freeze(tower, stage)
        objectives = [_build(config, model) for config in stage.objectives]
        twice = any(f"{on}@2" in objective.needs for objective in objectives)
        source = _material(stage, twice, model, recipe, corpus, folder, progress)
        loop = stage.training.model_copy(update={"seed": recipe.seed + 1 + number})
        learner = Learner(model, objectives, built_balance(stage))
        fit(learner, source, loop, name=name, key=key, folder=folder, progress=progress)
        for weight in opened:
            weight.requires_grad_(True)
        write_atomically(kept, save({k: v.contiguous() for k, v in tower.state_dict().items()}))
        (folder / f"{name}.checkpoint").unlink(missing_ok=True)


def built_balance(section: Recipe | Stage) -> Balance | None:
    """What balances the objectives of a recipe, or of a stage of it; None for their plain sum.

    Raises:
        UserError: it names tasks that there are not, cannot weigh those that there are, or needs an extra.
    """
    if section.balance is None:
        return None
    built = section.balance.build(task_names(config.kind for config in section.objectives))
    built.ready(section.training.part)
    return built


def _build(config: Any, model: Model) -> Objective:
    built: Objective = config.build(model) if isinstance(config, Shaped) else config.build()
    return built


def _freeze(tower: nn.Module, stage: Stage) -> list[nn.Parameter]:
    """Freezes what the stage names; those that had a gradient before."""
    frozen: list[nn.Parameter] = []
    for prefix in stage.freeze:
        found = [p for n, p in tower.named_parameters() if n == prefix or n.startswith(f"{prefix}.")]
        if not found:
            parts = sorted({n.split(".")[0] for n, _ in tower.named_parameters()})
            raise UserError(f"stages.freeze: the tower has no part {prefix!r}", f"It has {', '.join(parts)}.")
        frozen += [p for p in found if p.requires_grad]
    for weight in frozen:
        weight.requires_grad_(False)
    if not any(p.requires_grad for p in tower.parameters()):
        raise UserError("stages.freeze leaves nothing to learn", "Name fewer parts of the tower.")
    return frozen


def _material(
    stage: Stage, twice: bool, model: Model, recipe: Recipe, corpus: Corpus, folder: Path, progress: bool
) -> AloneBatches:
    split = np.array(corpus.column("split"), dtype=object)
    given = corpus.recordings if stage.on == "audio" else corpus.pictures
    rows = given[np.isin(split[given], stage.splits or recipe.data.train)]
    partners = stage.partners.find(model, corpus, rows) if stage.partners else None
    if stage.on == "audio":
        first, second, lengths = _recordings(stage, model, recipe, corpus, rows, folder, progress)
    else:
        first, second, lengths = _pictures(stage, model, corpus, rows)
    ids = corpus.table["id"].take(rows).to_pylist()
    groups = corpus.groups[rows] if partners is None or partners.group is None else partners.group
    return AloneBatches(
        stage.on,
        first,
        SecondView(second, partners) if twice else None,
        groups,
        ids,
        lengths,
        stage.training.batch_size,
        recipe.seed,
    )


def _recordings(
    stage: Stage,
    model: Model,
    recipe: Recipe,
    corpus: Corpus,
    rows: NDArray[np.int64],
    folder: Path,
    progress: bool,
) -> tuple[Make, Make, NDArray[np.int64]]:
    tower = model.audio
    assert tower is not None
    lengths = frames_of(corpus, rows, tower)
    if gigabytes(lengths, tower.channels) <= recipe.data.in_memory:
        mels: Any = log_mels(tower, corpus, rows, progress)
    else:
        mels = StreamedMels(tower, corpus, rows, folder=folder, most=recipe.data.on_disk)
    second = stage.augment if stage.augment_second is None else stage.augment_second
    return recordings_heard(mels, stage.augment), recordings_heard(mels, second), lengths


def _pictures(
    stage: Stage, model: Model, corpus: Corpus, rows: NDArray[np.int64]
) -> tuple[Make, Make, NDArray[np.int64]]:
    if not isinstance(model.image, PictureTower):
        raise UserError(
            "a stage on 'image' trains the picture tower of a teacher of kind 'embedded', and this teacher has none",
            "Choose [teacher] kind = 'embedded', or a stage on 'audio'.",
        )
    pictures = picture_tensor(corpus, rows, model.image)
    seen = pictures_seen(pictures, stage.looks)
    return seen, seen, np.ones(len(rows), dtype=np.int64)
