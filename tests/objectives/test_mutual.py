"""Mutual distillation against loops, whose gradient reaches whom, an exact resume, and peers that do not fit."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ranks
import torch
from local_views import dot, mean
from torch import nn

from lookhear.core import Batch, Features
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.mutual import Mutual
from lookhear.recipe import Optimisation
from lookhear.training.fit import fit

PEER: dict[str, Any] = {"kind": "local", "bins": 8, "width": 12, "dilations": [1], "dropout": 0.2}


def built(**changes: Any) -> Learner:
    torch.manual_seed(1)
    model: Any = ranks.Two(LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0.2).build(4))
    model.dim = 4
    return Learner(model, [Mutual.Config(peer=PEER, **changes).build(model)])


@pytest.mark.parametrize("more", [False, True])
def test_by_hand(more: bool) -> None:
    learner, given = built(temperature=2.0, scale=5.0, weight=0.3).eval(), ranks.batch(True)
    rng = torch.Generator().manual_seed(3)
    bank = torch.nn.functional.normalize(torch.randn(3, 4, generator=rng), dim=-1)
    further = {"image": (Features.of_pooled(bank), torch.tensor([20, 21, 22]))} if more else {}
    batch = Batch(given.inputs, given.group, more=further)
    objective: Any = learner.objectives[0]
    with torch.no_grad():
        found = objective(Views(learner.model, batch))
        image = learner.model.image(batch.inputs["image"])  # type: ignore[operator]
        audio = [t(batch.inputs["audio"]) for t in (learner.model.audio, objective.peer)]  # type: ignore[operator]
        inputs = {"audio": audio[1], "image": image}
        own = InfoNCE(InfoNCE.Config())(Views(nn.Module(), Batch(inputs, batch.group, more=further)))
    pictures = image.pooled.tolist() + (bank.tolist() if more else [])

    def softmax(x: list[float]) -> list[float]:
        powers = [math.exp(5 * dot(x, b) / 2) for b in pictures]
        return [v / sum(powers) for v in powers]

    each = []
    for a, b in zip(audio[0].pooled.tolist(), audio[1].pooled.tolist(), strict=True):
        p, q = softmax(a), softmax(b)
        each.append(4 * sum(y * math.log(y / x) + x * math.log(x / y) for x, y in zip(p, q, strict=True)))
    assert float(found["mutual"]) == pytest.approx(0.3 * mean(each), rel=1e-4)
    assert float(found["mutual_peer"]) == pytest.approx(float(own["infonce_audio_image"]), rel=1e-5)


def test_each_follows_the_other_as_it_stands() -> None:
    """The peer's pictures move the peer alone; of the distance, the tower gets the gradient of one KL."""
    learner, batch = built().eval(), ranks.batch(True)
    for p in learner.model.image.parameters():  # type: ignore[union-attr]
        p.requires_grad_(False)
    peer: Any = learner.objectives[0].peer  # type: ignore[union-attr]
    found = learner(batch)
    found["mutual_peer"].backward(retain_graph=True)
    assert all(p.grad is None for p in learner.model.audio.parameters())  # type: ignore[union-attr]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in peer.parameters())
    found["mutual"].backward()
    got = learner.model.audio.value.weight.grad.clone()  # type: ignore[union-attr, operator]
    learner.zero_grad()
    views = Views(learner.model, batch)
    bank = views["image"].pooled
    q = (14 * peer(batch.inputs["audio"]).pooled @ bank.T).softmax(1).detach()
    logs = (14 * views["audio"].pooled @ bank.T).log_softmax(1)
    (-(q * logs).sum(1).mean()).backward()
    assert torch.allclose(got, learner.model.audio.value.weight.grad, atol=1e-6)  # type: ignore[union-attr, arg-type]


def test_both_learn_and_come_closer() -> None:
    learner = built().train()
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)
    losses = []
    for step in range(20):
        torch.manual_seed(step)
        optimiser.zero_grad()
        found = learner(ranks.batch(True))
        sum(found.values()).backward()  # type: ignore[union-attr]
        optimiser.step()
        losses.append({k: float(v.detach()) for k, v in found.items()})
    assert losses[-1]["mutual"] < losses[0]["mutual"]
    assert losses[-1]["mutual_peer"] < losses[0]["mutual_peer"]


class Source:
    steps_per_epoch = 3

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        if epoch * 3 + index == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return ranks.batch(True)

    def items(self, steps: int) -> int:
        return 8 * steps


def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    loop = Optimisation(epochs=2, batch_size=8, learning_rate=0.01, precision="32", average=0.9)

    def run(source: Source, folder: Path | None) -> dict[str, Any]:
        inner = built()
        fit(inner, source, loop, name="t", folder=folder, progress=False)
        return inner.state_dict()

    whole = run(Source(), None)
    with pytest.raises(KeyboardInterrupt):
        run(Source(2), tmp_path)
    resumed = run(Source(), tmp_path)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())
    assert not torch.equal(
        whole["objectives.0.peer.value.weight"], built().state_dict()["objectives.0.peer.value.weight"]
    )


def test_what_does_not_fit_is_refused() -> None:
    audio = SimpleNamespace(channels=40)
    with pytest.raises(UserError, match="the peer reads 8 channels, the tower 40") as told:
        Mutual.Config(peer=PEER).build(SimpleNamespace(audio=audio, dim=4))
    assert "peer.bins=40" in told.value.fix
    learner, given = built(), ranks.batch(True)
    done = Batch({**given.inputs, "audio": Features.of_pooled(torch.eye(4))}, given.group)
    with pytest.raises(UserError, match="needs the recordings themselves"):
        learner.objectives[0](Views(learner.model, done))


def test_the_run_keeps_one_tower(tiny_run: Path, tiny_book: Path, tmp_path: Path) -> None:
    from lookhear.training.train import train

    changes = [
        f"teacher_run={tiny_run}",
        'objectives=[{kind="infonce"}, {kind="mutual", peer={kind="local", width=8, dilations=[1]}}]',
        "training.epochs=1",
        "evaluate=[]",
    ]
    train(str(tiny_run / "recipe.toml"), tiny_book, tmp_path / "run", changes=changes, progress=False)
    kept = Model.load(tmp_path / "run")
    assert kept.audio is not None
    assert kept.audio.width == 16
    assert not any("peer" in k for k in kept.state_dict())
