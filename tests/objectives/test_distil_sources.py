"""Distillation from tag heads, against a queue of past vectors, and from a slow copy of the student; by hand."""

from __future__ import annotations

import copy
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ranks
import ranks_views
import torch
from local_views import dot, mean
from pydantic import ValidationError
from torch import nn

from lookhear.errors import UserError
from lookhear.models.heads import TagHead
from lookhear.models.model import Model
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.distil import Distil

HEAD = TagHead.Config(reading="mean")


def tower(seed: int, width: int = 8) -> LocalTower:
    torch.manual_seed(seed)
    return LocalTower.Config(bins=8, width=width, dilations=(1,), dropout=0).build(4)


def headed(run: Any, folder: Path, words: list[str], reading: str = "mean", softmax: bool = False) -> str:
    """A copy of a run with a tag head of random weights."""
    model = Model.load(run)
    assert model.audio is not None
    torch.manual_seed(1)
    config = TagHead.Config.model_validate({"reading": reading, "softmax": softmax})
    model.head = TagHead(config, model.audio.width, words)
    shutil.copytree(run, folder)
    told = json.loads((Path(run) / "model.json").read_text())
    model.save(folder, {"teacher": told["teacher"], "speech": told["speech"]})
    return str(folder)


def student(tiny_model: Any, names: list[str] | None) -> Any:
    torch.manual_seed(2)
    head = TagHead(HEAD, tiny_model.audio.width, names) if names else None
    audio = copy.deepcopy(tiny_model.audio)
    return SimpleNamespace(audio=audio, image=tiny_model.image, dim=tiny_model.dim, head=head)


def recordings(model: Any) -> Any:
    rng = torch.Generator().manual_seed(0)
    given = ranks.batch(True)
    mask = given.inputs["audio"].mask  # type: ignore[union-attr]
    values = torch.randn(8, model.audio.channels, 40, generator=rng) * mask[:, None]
    return type(given)({"audio": type(given.inputs["audio"])(values, mask)}, given.group)


def test_tags_by_hand(tiny_run: Any, tiny_model: Any, tmp_path: Path) -> None:
    run = headed(tiny_run, tmp_path / "run", ["sea", "dog", "hill", "cat"])
    model = student(tiny_model, ["dog", "boat", "cat", "sea"])
    objective = Distil.Config(runs=(run,), by="tags", weight=2.0).build(model)
    batch, teacher = recordings(model), Model.load(run).eval()
    model.audio.eval()
    with torch.no_grad():
        found = float(objective(Views(model, batch))["distil"])
        theirs = teacher.head(teacher.audio(batch.inputs["audio"])).tags.tolist()  # type: ignore[misc]
        ours = model.head(model.audio(batch.inputs["audio"])).tags.tolist()
    each = []
    for s, t in zip(ours, theirs, strict=True):
        for a, b in ((0, 1), (2, 3), (3, 0)):  # dog, cat, sea
            p, q = 1 / (1 + math.exp(-t[b])), 1 / (1 + math.exp(-s[a]))
            each.append(-p * math.log(q) - (1 - p) * math.log(1 - q))
    assert found == pytest.approx(2 * mean(each), rel=1e-4)
    assert len({round(x, 4) for x in each}) > 8
    loss = objective(Views(model, batch))["distil"]
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())


@pytest.mark.parametrize(
    ("theirs", "ours", "softmax", "says", "fix"),
    [
        (None, ["dog"], False, "has no tag head", "before 'distil'"),
        (["dog"], None, False, "the student has no tag head", "before 'distil'"),
        (["dog"], ["dog"], True, "answered one by one", "without softmax"),
        (["dog"], ["cat"], False, "none of the student's words", "same words"),
    ],
)
def test_heads_that_do_not_meet_are_refused(
    theirs: Any, ours: Any, softmax: bool, says: str, fix: str, tiny_run: Any, tiny_model: Any, tmp_path: Path
) -> None:
    run = headed(tiny_run, tmp_path / "run", theirs, softmax=softmax) if theirs else str(tiny_run)
    with pytest.raises(UserError, match=says) as told:
        Distil.Config(runs=(run,), by="tags").build(student(tiny_model, ours))
    assert fix in told.value.fix


def steps(objective: Distil, learner: Learner, count: int) -> list[float]:
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.3)
    found = []
    for step in range(count):
        optimiser.zero_grad()
        loss = learner(ranks_views.batch(step))["distil"]
        loss.backward()
        optimiser.step()
        learner.after_step(step)
        found.append(float(loss.detach()))
    return found


@pytest.mark.parametrize("size", [8, 20])
def test_contrast_with_a_queue_by_hand(size: int) -> None:
    objective = Distil(Distil.Config(runs=("a",), by="contrast", temperature=0.5, queue=size), [tower(5)], 4, 4)
    learner = Learner(ranks.Two(tower(1)), [objective]).train()
    past: list[tuple[list[float], int]] = []
    for step in range(4):
        batch = ranks_views.batch(step if step != 2 else 1)  # the groups of a step come again
        with torch.no_grad():
            s = copy.deepcopy(learner.model.audio)(batch.inputs["audio"]).pooled.tolist()  # type: ignore[operator]
            t = tower(5).eval()(batch.inputs["audio"]).pooled.tolist()  # type: ignore[arg-type]
        each = []
        for i, x in enumerate(s):
            near = [dot(x, y) / 0.5 for y in t]
            near += [dot(x, y) / 0.5 for y, g in past if g != int(batch.group[i])]
            each.append(math.log(sum(math.exp(z) for z in near)) - dot(x, t[i]) / 0.5)
        found = learner(batch)["distil"]
        learner.after_step(step)
        assert float(found.detach()) == pytest.approx(mean(each), rel=1e-4)
        past = [*zip(t, batch.group.tolist(), strict=True), *past][: size // 8 * 8]


def test_a_queue_smaller_than_a_batch_is_refused() -> None:
    objective = Distil(Distil.Config(runs=("a",), by="contrast", queue=4), [tower(5)], 4, 4)
    with pytest.raises(UserError, match="smaller than a batch"):
        steps(objective, Learner(ranks.Two(tower(1)), [objective]).train(), 1)


def test_the_tower_own_past_by_hand() -> None:
    model = ranks.Two(tower(1))
    model.dim = 4  # type: ignore[assignment]
    objective = Distil.Config(decay=0.7, by="embedding").build(model)
    learner = Learner(model, [objective]).train()
    slow = copy.deepcopy(model.audio).eval()
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.5)
    for step in range(4):
        given = ranks_views.batch(step).inputs["audio"]
        with torch.no_grad():
            live = copy.deepcopy(model.audio).train()(given).pooled
            wanted = mean([1 - dot(a, b) for a, b in zip(live.tolist(), slow(given).pooled.tolist(), strict=True)])
        optimiser.zero_grad()
        loss = learner(ranks_views.batch(step))["distil"]
        assert float(loss.detach()) == pytest.approx(wanted, rel=1e-3, abs=1e-6)
        loss.backward()
        for p in learner.parameters():  # something else than the copy moves the tower, too
            p.grad = torch.ones_like(p) * 0.05 if p.grad is None else p.grad + 0.05
        optimiser.step()
        learner.after_step(step)
        with torch.no_grad():
            for name, value in slow.state_dict().items():
                value.copy_(0.7 * value + 0.3 * model.audio.state_dict()[name])
    assert wanted > 1e-4
    assert "objectives.0.copy.weights" in learner.state_dict()
    assert not any("copy" in k for k in model.state_dict())


@pytest.mark.parametrize("by", ["similarities", "hidden", "attention", "angles", "contrast"])
def test_a_copy_teaches_by_all_but_tags(by: str) -> None:
    model: Any = ranks.Two(tower(1))
    model.dim = 4
    objective = Distil.Config(decay=0.9, by=by).build(model)
    found = steps(objective, Learner(model, [objective]).train(), 3)
    assert all(math.isfinite(x) for x in found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "either runs teach"),
        ({"runs": ["a"], "decay": 0.9}, "either runs teach"),
        ({"decay": 1.0}, "less than 1"),
        ({"runs": ["a"], "by": "gram", "queue": 8}, "a queue is for"),
        ({"decay": 0.9, "by": "tags"}, "asks a run"),
    ],
)
def test_bad_sections(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Distil.Config(**changes)


def test_nothing_of_a_module_is_shared_with_the_teacher(tiny_run: Any, tiny_model: Any, tmp_path: Path) -> None:
    """The teacher's head is in no state and no optimiser."""
    run = headed(tiny_run, tmp_path / "run", ["dog"])
    objective = Distil.Config(runs=(run,), by="tags").build(student(tiny_model, ["dog"]))
    assert isinstance(objective, nn.Module)
    assert not list(objective.parameters())
    assert not objective.state_dict()
