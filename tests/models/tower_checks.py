"""What is asked of every convolutional tower, whatever its layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lookhear.core import Padded
from lookhear.models.speech import SpeechTower
from lookhear.training.train import train


def every_parameter_learns(tower: SpeechTower, waves: Padded, dim: int) -> None:
    """One step's gradient reaches all weights of a tower of ``dim`` and is finite."""
    f = tower.train()(waves)
    weights = torch.randn(len(waves.values), dim, generator=torch.Generator().manual_seed(3))
    (f.pooled * weights).sum().backward()
    still = [n for n, p in tower.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert all(torch.isfinite(p.grad).all() for p in tower.parameters() if p.grad is not None)


def two_steps_change_all(speech: Mapping[str, Any], recipe: Path, book: Path, run: Path, out: Path) -> None:
    """A short training with the teacher of ``run`` moves all weights and statistics of the tower."""
    inline = ", ".join(f"{k} = {json.dumps(v)}" for k, v in speech.items())
    changes = [f"teacher_run={run}", f"speech={{{inline}}}", "training.batch_size=5", "training.epochs=1"]
    trained = train(str(recipe), book, out, changes=changes, progress=False)
    torch.manual_seed(trained.recipe.seed)
    fresh = trained.recipe.speech.build(trained.model.dim).state_dict()
    told = trained.recipe.speech.model_dump(mode="json")
    assert told | dict(speech) == told
    learned = {k for k, v in trained.model.audio.state_dict().items() if not torch.equal(v, fresh[k])}
    assert learned == set(fresh)
    assert json.loads((trained.folder / "speech.log.jsonl").read_text().splitlines()[-1])["step"] >= 2
