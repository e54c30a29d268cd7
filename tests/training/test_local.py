"""Recipes that train local vectors: they train, go on after a stop, and are refused where they cannot be meant so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lookhear.errors import UserError
from lookhear.training.train import train

FEW = ["training.epochs=1", "training.batch_size=5"]
RECIPES = {
    "pacl": ['objectives=[{kind="pacl"}]', "compatibility.kind=attention", "compatibility.temperature=1.0"],
    "pacl, both": ['objectives=[{kind="pacl", dense="both"}]', "compatibility.kind=attention"],
    "matchmap": ['objectives=[{kind="infonce"}, {kind="matchmap", reading="sima"}]'],
    "dense av": ['objectives=[{kind="matchmap"}]', "compatibility.heads=2"],
    "dense": ['objectives=[{kind="infonce"}, {kind="dense", warmup=1}]'],
}


def losses(folder: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in (folder / "speech.log.jsonl").read_text().splitlines()]
    last = [row for row in rows if "loss" in row][-1]
    return {k: v for k, v in last.items() if k in ("infonce_audio_image", "pacl", "matchmap", "dense")}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train(name: str, tiny_recipe: Path, tiny_book: Path, tiny_run: Path, tmp_path: Path) -> None:
    changes = [f"teacher_run={tiny_run}", *FEW, *RECIPES[name]]
    run = train(str(tiny_recipe), tiny_book, tmp_path, changes=changes, progress=False)
    assert set(losses(tmp_path)) == {
        str(c.kind).replace("infonce", "infonce_audio_image") for c in run.recipe.objectives
    }
    assert all(0 < v < 20 for v in losses(tmp_path).values())
    torch.manual_seed(run.recipe.seed)
    fresh = run.recipe.speech.build(run.model.dim).state_dict()
    assert any(not torch.equal(v, fresh[k]) for k, v in run.model.audio.state_dict().items() if k == "value.weight")  # type: ignore[union-attr]


def test_a_stopped_run_goes_on_as_warm_as_it_was(
    tiny_recipe: Path, tiny_book: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [f"teacher_run={tiny_run}", "training.epochs=2", "training.batch_size=5", *RECIPES["dense"]]

    def go(out: Path) -> dict[str, Any]:
        model = train(str(tiny_recipe), tiny_book, out, changes=changes, progress=False).model
        return model.audio.state_dict()  # type: ignore[union-attr]

    whole = go(tmp_path / "whole")
    from lookhear.objectives.dense import Dense

    after = Dense.after_step

    def stop(self: Dense, model: torch.nn.Module, step: int) -> None:
        after(self, model, step)
        if step == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Dense, "after_step", stop)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "stopped")
    monkeypatch.undo()
    assert all(torch.equal(v, whole[k]) for k, v in go(tmp_path / "stopped").items())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (['objectives=[{kind="pacl"}]'], "compatibility.kind is 'sum'"),
        ([*RECIPES["dense"], "compatibility.heads=2"], "compatibility.heads is 2"),
        ([*RECIPES["matchmap"], 'teacher={kind="vectors"}'], "needs the patches of pictures"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_trained(
    changes: list[str], told: str, tiny_recipe: Path, tiny_book: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        train(str(tiny_recipe), tiny_book, tmp_path / "run", changes=changes, progress=False)
    assert not (tmp_path / "run").exists()


def test_heads_that_do_not_fit_are_told(tiny_recipe: Path, tiny_book: Path, tiny_run: Path, tmp_path: Path) -> None:
    changes = [f"teacher_run={tiny_run}", *FEW, *RECIPES["dense av"], "compatibility.heads=3"]
    with pytest.raises(UserError, match="heads = 3 does not divide the 32 numbers"):
        train(str(tiny_recipe), tiny_book, tmp_path / "run", changes=changes, progress=False)
