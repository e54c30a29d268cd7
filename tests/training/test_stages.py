"""Stages: a tower learns alone first, goes on where it was stopped, and mistakes are told before any step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lookhear.errors import UserError
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import load_recipe
from lookhear.training.kept import run_key, teacher_key
from lookhear.training.train import train

TWO = '{kind="infonce", a="audio", b="audio@2"}'
SEEN = '{kind="infonce", a="image", b="image@2"}'
FEW = ["training.epochs=1", "training.batch_size=5"]


def stage(objectives: str, on: str = "audio", more: str = "") -> str:
    loop = "{epochs=1, batch_size=5}"
    return f'stages=[{{on="{on}", objectives=[{objectives}], training={loop}{more}}}]'


@pytest.fixture
def go(tiny_recipe: Path, tiny_book: Path, tiny_run: Path, tmp_path: Path) -> Any:
    """``go("name", "section.key=value", …)`` → the run; its teacher is another run's unless ``own``."""

    def train_one(name: str, *changes: str, own: bool = False) -> Any:
        given = [*([] if own else [f"teacher_run={tiny_run}"]), *FEW, *changes]
        return train(str(tiny_recipe), tiny_book, tmp_path / name, changes=given, progress=False)

    return train_one


def weights(run: Any) -> dict[str, torch.Tensor]:
    return {k: v for k, v in run.model.audio.state_dict().items() if v.is_floating_point()}


def test_speech_begins_as_the_stage_left_it(go: Any, tmp_path: Path) -> None:
    run = go("staged", stage(TWO), "training.epochs=0")
    rows = [json.loads(line) for line in (tmp_path / "staged" / "stage-0.log.jsonl").read_text().splitlines()]
    assert "infonce_audio_audio@2" in rows[-1]
    kept = load_file(tmp_path / "staged" / "stage-0.safetensors")
    plain = weights(go("plain", "training.epochs=1e-9", "training.learning_rate=1e-12"))
    assert all(torch.equal(kept[k], w) for k, w in weights(run).items())
    assert not torch.allclose(plain["value.weight"], kept["value.weight"], atol=1e-3)


@pytest.mark.parametrize("when", [1, 3])
def test_a_stopped_stage_goes_on_step_for_step(go: Any, monkeypatch: pytest.MonkeyPatch, when: int) -> None:
    whole = weights(go("whole", stage(TWO)))
    after = InfoNCE.after_step

    def stop(self: InfoNCE, model: torch.nn.Module, step: int) -> None:
        after(self, model, step)
        if step == when:
            raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(InfoNCE, "after_step", stop)
        with pytest.raises(KeyboardInterrupt):
            go("halves", stage(TWO))
    halves = weights(go("halves", stage(TWO)))
    assert all(torch.equal(whole[k], halves[k]) for k in whole)


def test_the_picture_tower_learns_alone_before_its_lesson(go: Any, tmp_path: Path) -> None:
    more = ', looks={crop=[0.5, 1.0], flip=true, brightness=0.4}, splits=["teacher"]'
    go("seen", stage(SEEN, "image", more), "teacher.epochs=1", own=True)
    assert (tmp_path / "seen" / "stage-0.safetensors").is_file()
    assert "stages.0.weight" in load_file(tmp_path / "seen" / "stage-0.safetensors")


def test_what_is_frozen_stays_with_its_statistics(go: Any, tmp_path: Path) -> None:
    go("frozen", stage(TWO, more=', freeze=["stem", "norms"]'), "training.epochs=1e-9")
    kept = load_file(tmp_path / "frozen" / "stage-0.safetensors")
    torch.manual_seed(0)
    recipe = load_recipe(str(tmp_path / "frozen" / "recipe.toml"))
    fresh = recipe.speech.build(32).state_dict()
    same = {k for k, v in fresh.items() if torch.equal(v, kept[k])}
    assert {k for k in fresh if k.startswith(("stem.", "norms."))} <= same
    assert "blocks.0.norm.mean" not in same


def test_a_tower_begins_as_another_run_s(go: Any, tiny_run: Path) -> None:
    from lookhear.models.model import Model

    run = go("begun", f"speech_run={tiny_run}", "training.epochs=1e-9", "training.learning_rate=1e-12")
    theirs = Model.load(tiny_run).audio
    assert theirs is not None
    assert torch.allclose(weights(run)["value.weight"], theirs.state_dict()["value.weight"], atol=1e-6)
    with pytest.raises(UserError, match=r"differs in speech\.width"):
        go("other", f"speech_run={tiny_run}", "speech.width=24")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([stage(TWO, more=', freeze=["stems"]')], "no part 'stems'"),
        ([stage(TWO, more=', freeze=["stem","norms","blocks","value","gate"]')], "nothing to learn"),
        ([stage(SEEN, "image")], "comes before the lesson"),
        ([stage('{kind="infonce"}')], "needs image"),
        ([stage(TWO, more=', splits=["none"]')], "0 recordings to learn from"),
        ([stage('{kind="tags"}')], "asks words of pictures"),
    ],
)
def test_mistakes_are_told_before_any_step(go: Any, tmp_path: Path, changes: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        go("wrong", *changes)
    log = tmp_path / "wrong" / "stage-0.log.jsonl"
    assert not log.is_file() or not log.read_text()


def test_what_a_run_depends_on_includes_its_stages(tiny_recipe: Path) -> None:
    plain, seen, heard = (
        load_recipe(str(tiny_recipe), changes) for changes in ([], [stage(SEEN, "image")], [stage(TWO)])
    )
    assert len({run_key(r, "data") for r in (plain, seen, heard)}) == 3
    assert teacher_key(plain, "data") == teacher_key(heard, "data") != teacher_key(seen, "data")


def test_partners_stand_in_as_second_views(go: Any, tmp_path: Path) -> None:
    partners = ', partners={kind="language", by="sentence", least=-1.0}'
    go("stage", stage(TWO, more=partners))
    go("speech", f'objectives=[{{kind="infonce"}}, {TWO}]', 'data.partners={kind="language", by="picture", least=-1.0}')
    log = (tmp_path / "speech" / "speech.log.jsonl").read_text()
    assert "infonce_audio_audio@2" in log
    with pytest.raises(UserError, match=r"stages\.0\.partners\.tops: unknown key"):
        go("wrong", stage(TWO, more=', partners={kind="language", tops=3}'))
