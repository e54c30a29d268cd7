"""Momentum distillation against a tower copied and averaged by hand; the copy is no part of the model."""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pairs import mean, only, slow_cross_entropy, slow_probabilities, slow_rows
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.momentum import MomentumDistillation
from lookhear.objectives.moving import MovingCopy
from lookhear.recipe import Optimisation
from lookhear.training.fit import fit

NAME = "momentum_audio_image"
GROUPS = [[0, 1, 1, 2], [3, 4, 5, 6], [6, 7, 0, 8], [1, 9, 9, 3]]
LENGTHS = torch.tensor([30, 12, 21, 30])


def tower(dropout: float = 0.5) -> LocalTower:
    torch.manual_seed(0)
    return LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=dropout).build(4)


def batch(step: int, more: bool = True) -> Batch:
    rng = torch.Generator().manual_seed(step)
    mel = Padded(torch.randn(4, 8, 30, generator=rng) * 2, lengths_to_mask(LENGTHS, 30))
    image, bank = (F.normalize(torch.randn(n, 4, generator=rng), dim=-1) for n in (4, 3))
    further = {"image": (Features.of_pooled(bank), torch.tensor([7, 2, 20]))} if more else {}
    return Batch({"audio": mel, "image": Features.of_pooled(image)}, torch.tensor(GROUPS[step % 4]), more=further)


def learner(**config: Any) -> Learner:
    model = nn.Module()
    model.audio = tower()
    return Learner(model, [MomentumDistillation(MomentumDistillation.Config(**config))]).train()


def take_step(inner: Learner, step: int) -> float:
    torch.manual_seed(step)
    losses = inner(batch(step))
    optimiser = torch.optim.SGD(inner.parameters(), lr=0.5)
    optimiser.zero_grad()
    losses[NAME].backward()
    optimiser.step()
    inner.after_step(step)
    return only(losses, NAME)


class ByHand:
    """The copy as a tower of its own, the queue as lists, the loss as loops."""

    def __init__(self, audio: nn.Module, momentum: float, size: int, alpha: float, warmup: int) -> None:
        self.copy = copy.deepcopy(audio).eval()
        self.momentum, self.size, self.alpha, self.warmup = momentum, size, alpha, warmup
        self.audio, self.image, self.groups = list[Tensor](), list[Tensor](), list[int]()

    @torch.no_grad()
    def loss(self, audio: nn.Module, scale: float, step: int) -> float:
        given, groups = batch(step), GROUPS[step % 4]
        torch.manual_seed(step)
        live = copy.deepcopy(audio).train()(given.inputs["audio"]).pooled
        slow = self.copy(given.inputs["audio"]).pooled
        b, bank = Views(nn.Module(), given)["image"].pooled, given.more["image"]
        there = [
            slow_rows(a, groups, torch.cat([b, bank[0].pooled]), [*groups, *bank[1].tolist()], scale)
            for a in (live, slow)
        ]
        back = [
            slow_rows(b, groups, torch.stack([*a, *self.audio]), [*groups, *self.groups], scale) for a in (live, slow)
        ]
        alpha = self.alpha * min(1.0, step / self.warmup) if self.warmup else self.alpha
        losses = []
        for p, q in (there, back):
            each = []
            for i, row in enumerate(p):
                soft = slow_probabilities(q[i])
                targets = [alpha * s + (1 - alpha) * (j == i) for j, s in enumerate(soft)]
                each.append(slow_cross_entropy(row, targets))
            losses.append(mean(each))
        self.audio, self.groups = [*slow, *self.audio][: self.size], [*groups, *self.groups][: self.size]
        return mean(losses)

    @torch.no_grad()
    def follow(self, audio: nn.Module) -> None:
        for name, value in self.copy.state_dict().items():
            value.copy_(self.momentum * value + (1 - self.momentum) * audio.state_dict()[name])


@pytest.mark.parametrize("size", [0, 8])
@pytest.mark.parametrize("warmup", [0, 3])
def test_by_hand(size: int, warmup: int) -> None:
    config = {"decay": 0.7, "size": size, "alpha": 0.6, "warmup": warmup}
    inner = learner(temperature=0.5, **config)
    hand = ByHand(inner.model.audio, 0.7, size, 0.6, warmup)
    for step in range(5):
        scale = float(inner.objectives[0].logit_scale.detach().exp())  # type: ignore[operator,union-attr]
        wanted = hand.loss(inner.model.audio, scale, step)
        assert take_step(inner, step) == pytest.approx(wanted, abs=1e-4), step
        hand.follow(inner.model.audio)


def test_without_alpha_it_is_infonce() -> None:
    audio = tower(dropout=0)
    views = Views(SimpleNamespace(audio=audio), batch(0))
    plain = only(InfoNCE(InfoNCE.Config())(views), "infonce_audio_image")
    objective = MomentumDistillation(MomentumDistillation.Config(alpha=0, warmup=0))
    assert only(objective(views), NAME) == pytest.approx(plain, abs=1e-5)


# The copy ------------------------------------------------------------------------------------------------------------


def test_the_copy_runs_without_dropout_gradient_or_traces() -> None:
    audio = tower().train()
    audio.blocks[0].eval()  # a part that its owner keeps at rest
    before = {k: v.clone() for k, v in audio.state_dict().items()}
    modes = [m.training for m in audio.modules()]
    moving = MovingCopy(0.9)
    given = batch(0).inputs["audio"]
    assert isinstance(given, Padded)
    torch.manual_seed(5)
    first, second = moving(audio, given), moving(audio, given)
    assert torch.equal(first.pooled, second.pooled)
    assert not first.pooled.requires_grad
    assert [m.training for m in audio.modules()] == modes
    assert all(torch.equal(v, audio.state_dict()[k]) for k, v in before.items())
    drawn = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(()))  # nothing random was taken from the step
    assert torch.allclose(first.pooled, copy.deepcopy(audio).eval()(given).pooled, atol=1e-6)


def test_an_item_alone_is_what_it_is_beside_longer_ones() -> None:
    audio, moving = tower().train(), MovingCopy(0.9)
    given = batch(0).inputs["audio"]
    assert isinstance(given, Padded)
    assert given.mask is not None
    together = moving(audio, given).pooled
    for i, n in enumerate(LENGTHS.tolist()):
        alone = moving(audio, Padded(given.values[i : i + 1, :, :n], given.mask[i : i + 1, :n]))
        assert torch.allclose(alone.pooled[0], together[i], atol=1e-5)


def test_what_is_frozen_is_not_held_twice() -> None:
    audio, moving = tower(), MovingCopy(0.5)
    audio.stem.requires_grad_(False)
    moving.update(audio)
    buffers = {k for k, _ in audio.named_buffers()} & audio.state_dict().keys()
    held = sum(p.numel() for p in audio.parameters() if p.requires_grad) + sum(
        audio.state_dict()[k].numel() for k in buffers
    )
    assert moving.weights.numel() == held < sum(v.numel() for v in audio.state_dict().values())


def test_the_copy_is_neither_trained_nor_part_of_the_model() -> None:
    inner = learner(size=8)
    names = {k for k, _ in inner.named_parameters()}
    saved = set(inner.model.state_dict())
    take_step(inner, 0)
    take_step(inner, 1)
    assert {k for k, _ in inner.named_parameters()} == names
    assert set(inner.model.state_dict()) == saved
    assert "objectives.0.copy.weights" in inner.state_dict()
    held = inner.objectives[0].copy.weights  # type: ignore[union-attr]
    assert not held.requires_grad  # type: ignore[union-attr]


# Going on ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_fresh_one_goes_on_from_a_saved_state(steps: int) -> None:
    config = {"size": 8, "warmup": 4, "decay": 0.8}
    first = learner(**config)
    for step in range(steps):
        take_step(first, step)
    second = learner(**config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for step in range(steps, steps + 3):
        assert take_step(first, step) == take_step(second, step)
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


class Source:
    steps_per_epoch = 4

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        step = epoch * self.steps_per_epoch + index
        if step == self.stop:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(step)

    def items(self, steps: int) -> int:
        return 4 * steps


@pytest.mark.parametrize("stop", [0, 3])
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, stop: int) -> None:
    loop = Optimisation(epochs=2, batch_size=4, learning_rate=0.01, precision="32", average=0.9)

    def run(source: Source, folder: Path | None) -> Learner:
        inner = learner(size=8, warmup=6, decay=0.8)
        fit(inner, source, loop, name="t", folder=folder, progress=False)
        return inner

    whole = run(Source(), None).state_dict()
    with pytest.raises(KeyboardInterrupt):
        run(Source(stop), tmp_path)
    kept = torch.load(tmp_path / "t.checkpoint", weights_only=True)["learner"]
    assert len(kept["objectives.0.copy.weights"]) > 100
    resumed = run(Source(), tmp_path).state_dict()
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())


def test_vectors_computed_before_are_refused() -> None:
    given = batch(0)
    done = Features.of_pooled(torch.eye(4))
    views = Views(nn.Module(), Batch({**given.inputs, "audio": done}, given.group))
    with pytest.raises(UserError, match="needs the audio itself"):
        MomentumDistillation(MomentumDistillation.Config())(views)


def test_a_run_keeps_the_tower_and_its_checkpoint_the_copy(tiny_book: Path, tiny_run: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    from lookhear.training.train import train

    objectives = 'objectives=[{kind="momentum", size=16, warmup=2}]'
    changes = (objectives, f'teacher_run="{tiny_run}"', "training.epochs=1", "evaluate=[]")
    train(str(tiny_run / "recipe.toml"), tiny_book, tmp_path / "run", changes=changes, progress=False)
    with (
        safe_open(tmp_path / "run" / "model.safetensors", "pt") as kept,
        safe_open(tiny_run / "model.safetensors", "pt") as plain,
    ):
        assert set(kept.keys()) == set(plain.keys())
    state = torch.load(tmp_path / "run" / "speech.checkpoint", weights_only=True)["learner"]
    tower = {k for k in state if k.startswith("model.audio.")}
    assert len(state["objectives.0.copy.weights"]) == sum(state[k].numel() for k in tower)
    assert int(state["objectives.0.queue.held"]) == 16
