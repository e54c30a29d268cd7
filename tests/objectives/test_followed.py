"""Runs that teach: one changed on disk is another teacher and another run, and a stopped pupil goes on exactly."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import ranks_views
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lookhear.core import Batch
from lookhear.errors import UserError
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner
from lookhear.objectives.distil import Distil
from lookhear.objectives.frozen import heard_by
from lookhear.objectives.transfer import Transfer
from lookhear.recipe import Optimisation, Recipe, Stage
from lookhear.training.fit import fit
from lookhear.training.kept import run_key
from lookhear.training.train import train


@pytest.fixture
def teacher(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "teacher"))


def change(run: Path) -> None:
    """Other weights of the same shapes, in a file of the same size."""
    path = run / "model.safetensors"
    state = load_file(path)
    state["audio.value.bias"] = state["audio.value.bias"] + 1
    size = path.stat().st_size
    save_file(state, path)
    assert path.stat().st_size == size


def test_a_teacher_trained_anew_is_not_served_as_it_was(teacher: Path, tiny_model: Any) -> None:
    before = heard_by(str(teacher), tiny_model, "runs").audio
    assert heard_by(str(teacher), tiny_model, "runs").audio is before
    assert before is not None
    old = before.value.bias.clone()
    change(teacher)
    after = heard_by(str(teacher), tiny_model, "runs").audio
    assert after is not None
    assert torch.equal(after.value.bias, old + 1)
    assert torch.equal(before.value.bias, old)


def test_what_a_run_depends_on_includes_whom_it_follows(teacher: Path) -> None:
    run = str(teacher)
    recipes = {
        "distil": Recipe(objectives=(Distil.Config(runs=(run,), by="gram"),)),
        "transfer": Recipe(objectives=(Transfer.Config(run=run),)),
        "stage": Recipe(stages=(Stage(objectives=(Transfer.Config(run=run),)),)),
        "joined": Recipe(teacher=EnsembleTeacher(runs=(run, run + "-none"))),
        "second": Recipe(objectives=(Distil.Config(runs=(run + "-none", run)),)),
        "nobody": Recipe(),
    }
    before = {name: run_key(r, "data") for name, r in recipes.items()}
    assert before == {name: run_key(r, "data") for name, r in recipes.items()}
    change(teacher)
    after = {name: run_key(r, "data") for name, r in recipes.items()}
    assert {name for name in recipes if after[name] == before[name]} == {"nobody"}
    assert len(set(before.values()) | set(after.values())) == 11


def test_a_stopped_run_does_not_go_on_with_another_teacher(
    teacher: Path, tiny_book: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [
        f"teacher_run={teacher}",
        f'objectives=[{{kind="distil", runs=["{teacher}"], by="gram"}}]',
        "evaluate=[]",
    ]

    def go() -> None:
        train(str(tiny_recipe), tiny_book, tmp_path / "run", changes=changes, progress=False)

    def stop(self: Distil, model: nn.Module, step: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Distil, "after_step", stop)
    with pytest.raises(KeyboardInterrupt):
        go()
    monkeypatch.undo()
    change(teacher)
    with pytest.raises(UserError, match="named a run as it was before"):
        go()


class Source:
    steps_per_epoch = 3

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        step = epoch * self.steps_per_epoch + index
        if step == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return ranks_views.batch(step)

    def items(self, steps: int) -> int:
        return 8 * steps


def learner(config: Any) -> Learner:
    torch.manual_seed(0)
    model = nn.Module()
    model.audio = LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0.3).build(4)
    model.image, model.dim = ranks_views.ranks.Plain(), 4
    own = isinstance(config, Distil.Config) and config.decay
    return Learner(model, [config.build(model) if own else ranks_views.taught(config)(model)]).train()


FOLLOWING = [
    Distil.Config(runs=("a",), temperature=2.0),
    Distil.Config(runs=("a",), by="hidden"),
    Distil.Config(runs=("a",), by="angles"),
    Distil.Config(runs=("a",), by="contrast", queue=16),
    Distil.Config(decay=0.8, by="hidden"),
    Transfer.Config(run="a"),
    Transfer.Config(run="a", match="offset", radius=1),
]


@pytest.mark.parametrize("stop", [0, 4])
@pytest.mark.parametrize("config", FOLLOWING)
def test_a_stopped_pupil_goes_on_to_the_same_weights(config: Any, stop: int, tmp_path: Path) -> None:
    loop = Optimisation(epochs=2, batch_size=8, learning_rate=0.01, precision="32", average=0.9)

    def run(source: Source, folder: Path | None) -> dict[str, Any]:
        inner = learner(config)
        fit(inner, source, loop, name="t", folder=folder, progress=False)
        return inner.state_dict()

    whole = run(Source(), None)
    assert any(not torch.equal(v, whole[k]) for k, v in learner(config).state_dict().items())
    with pytest.raises(KeyboardInterrupt):
        run(Source(stop), tmp_path)
    resumed = run(Source(), tmp_path)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())
