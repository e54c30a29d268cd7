"""The loop: exact resume wherever it was stopped, checkpoints that fit, the best weights, the schedule."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded
from lookhear.errors import UserError
from lookhear.objectives.base import Learner, Objective, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import Optimisation
from lookhear.training.fit import Progress, fit, learning_rate

STEPS = 12
CONFIG = Optimisation(epochs=3, batch_size=4, learning_rate=0.01, precision="32", warmup=0.25)


class Tower(nn.Module):
    """With dropout and batch statistics, so that a resumed run must repeat both."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 4))

    def forward(self, x: Padded) -> Features:
        return Features.of_pooled(F.normalize(self.layers(x.values), dim=-1))


class Hook(Objective):
    """Adds nothing to the loss; calls back after a step."""

    def __init__(self, call: Callable[[int], None]) -> None:
        super().__init__()
        self.call = call

    def forward(self, views: Views) -> dict[str, Tensor]:
        return {}

    def after_step(self, model: nn.Module, step: int) -> None:
        self.call(step)


class Source:
    steps_per_epoch = 4

    def items(self, steps: int) -> int:
        return 4 * steps

    def __init__(self, call: Callable[[int], None] = lambda step: None) -> None:
        self.call = call

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        step = epoch * self.steps_per_epoch + index
        self.call(step)
        rng = torch.Generator().manual_seed(step)
        audio, image = torch.randn(4, 6, generator=rng), torch.randn(4, 4, generator=rng)
        return Batch(
            {"audio": Padded(audio), "image": Features.of_pooled(F.normalize(image, dim=-1))}, torch.arange(4), "abcd"
        )


def build(call: Callable[[int], None] = lambda step: None) -> Learner:
    torch.manual_seed(0)
    model = nn.Module()
    model.audio = Tower()
    return Learner(model, [InfoNCE(InfoNCE.Config()), Hook(call)])


def run(
    learner: Learner, folder: Path | None, source: Source | None = None, config: Optimisation = CONFIG, **more: Any
) -> Progress:
    return fit(learner, source or Source(), config, name="t", folder=folder, progress=False, **more)


def same(a: nn.Module, b: nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


@pytest.fixture(scope="module")
def whole() -> tuple[Learner, Progress]:
    learner = build()
    return learner, run(learner, None)


def interrupt_at(stop: int) -> Callable[[int], None]:
    def call(step: int) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    return call


# Exact resume --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [0, 1, 5, STEPS - 1])
@pytest.mark.parametrize("where", ["before the step", "after the optimiser"])
def test_a_stopped_run_goes_on_to_the_same_weights(
    whole: tuple[Learner, Progress], tmp_path: Path, stop: int, where: str
) -> None:
    before, after = (interrupt_at(stop), lambda step: None)[:: 1 if where == "before the step" else -1]
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(build(after), tmp_path, Source(before))
    assert signal.getsignal(signal.SIGINT) is handler
    torch.manual_seed(99)  # whatever happened between the two runs
    steps: list[int] = []
    resumed = build()
    state = run(resumed, tmp_path, Source(steps.append))
    assert steps == list(range(stop + 1, STEPS))  # the step that Ctrl-C fell into was finished first
    assert same(resumed, whole[0])
    assert state.step == STEPS


def test_stopped_many_times(whole: tuple[Learner, Progress], tmp_path: Path) -> None:
    for stop in (1, 4, 5, 9):
        with pytest.raises(KeyboardInterrupt):
            run(build(), tmp_path, Source(interrupt_at(stop)))
    resumed = build()
    run(resumed, tmp_path)
    assert same(resumed, whole[0])


def test_a_crash_goes_back_to_the_last_checkpoint(whole: tuple[Learner, Progress], tmp_path: Path) -> None:
    def crash(step: int) -> None:
        if step == 7:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        run(build(crash), tmp_path, config=CONFIG.model_copy(update={"save_every": 1e-9}))
    resumed = build()
    state = run(resumed, tmp_path)
    assert same(resumed, whole[0])
    logged = [json.loads(line) for line in (tmp_path / "t.log.jsonl").read_text().splitlines()]
    assert logged == state.history
    assert [row["step"] for row in logged] == sorted({row["step"] for row in logged})


def test_a_second_ctrl_c_stops_at_once_and_keeps_the_last_checkpoint(
    whole: tuple[Learner, Progress], tmp_path: Path
) -> None:
    def twice(step: int) -> None:
        if step == 6:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(build(twice), tmp_path, config=CONFIG.model_copy(update={"save_every": 1e-9}))
    steps: list[int] = []
    resumed = build()
    run(resumed, tmp_path, Source(steps.append))
    assert steps[0] == 6  # half a step was not kept
    assert same(resumed, whole[0])


def test_a_finished_run_is_not_trained_again(whole: tuple[Learner, Progress], tmp_path: Path) -> None:
    run(build(), tmp_path)
    steps: list[int] = []
    again = build()
    state = run(again, tmp_path, Source(steps.append))
    assert (steps, state.step) == ([], STEPS)
    assert same(again, whole[0])


def test_the_seed_decides(whole: tuple[Learner, Progress]) -> None:
    twin, other = build(), build()
    run(twin, None)
    run(other, None, config=CONFIG.model_copy(update={"seed": 1}))  # another dropout
    assert same(twin, whole[0])
    assert not same(other, whole[0])


# Checkpoints ---------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run(build(), tmp_path, key="one")
    with pytest.raises(UserError, match="another recipe or other data"):
        run(build(), tmp_path, key="two")


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, data: bytes) -> None:
    run(build(), tmp_path)
    (tmp_path / "t.checkpoint").write_bytes(data)
    with pytest.raises(UserError, match=r"t\.checkpoint: damaged"):
        run(build(), tmp_path)


def test_no_space_left_keeps_the_last_checkpoint(
    whole: tuple[Learner, Progress], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(build(), tmp_path, Source(interrupt_at(4)))
    good = (tmp_path / "t.checkpoint").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left"):
            run(build(), tmp_path)
    assert (tmp_path / "t.checkpoint").read_bytes() == good
    assert not list(tmp_path.glob("*.part"))
    resumed = build()
    run(resumed, tmp_path)
    assert same(resumed, whole[0])


# Validation ----------------------------------------------------------------------------------------------------------


class Judge:
    """Figures by number of the validation; remembers the weights at each and what was kept."""

    def __init__(self, figures: list[float], stop: int = -1) -> None:
        self.figures, self.stop = figures, stop
        self.learner = build()
        self.seen: list[Tensor] = []
        self.kept: list[int] = []
        self.modes: list[bool] = []

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.learner.parameters()])

    def validate(self) -> dict[str, Any]:
        self.modes.append(self.learner.training)
        self.seen.append(self.weights())
        if len(self.seen) - 1 == self.stop:
            raise KeyboardInterrupt
        return {"map": self.figures[len(self.seen) - 1]}

    def keep(self) -> None:
        self.kept.append(len(self.seen) - 1)


def judged(judge: Judge, folder: Path | None = None, **change: Any) -> Progress:
    config = CONFIG.model_copy(update={"validate_every": 1.0, "select": "map", **change})
    return run(judge.learner, folder, config=config, validate=judge.validate, keep=judge.keep)


@pytest.mark.parametrize(
    ("figures", "kept"),
    [([0.1, 0.5, 0.3], [0, 1]), ([0.3, 0.2, 0.1], [0]), ([0.1, 0.2, 0.3], [0, 1, 2]), ([0.2, 0.2, 0.2], [0])],
)
def test_the_best_is_kept(figures: list[float], kept: list[int]) -> None:
    judge = Judge(figures)
    state = judged(judge)
    assert judge.kept == kept
    assert state.best == max(figures)
    assert judge.modes == [False] * 3  # asked while evaluating …
    assert judge.learner.training  # … and trained on afterwards
    assert [r["step"] for r in state.history if "validation" in r] == [4, 8, 12]


def test_without_a_figure_to_choose_by_the_last_is_kept() -> None:
    judge = Judge([0.3, 0.2, 0.1])
    judged(judge, select="")
    assert judge.kept == [2]
    judge = Judge([0.3])
    judged(judge, validate_every=0)
    assert judge.kept == [0]
    assert torch.equal(judge.seen[0], judge.weights())


def test_a_figure_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"no figure 'mpa'\. It has map"):
        judged(Judge([0.1, 0.2, 0.3]), select="mpa")


def test_validation_changes_no_training(whole: tuple[Learner, Progress]) -> None:
    judge = Judge([0.1, 0.2, 0.3])
    judged(judge)
    assert same(judge.learner, whole[0])


@pytest.mark.parametrize("stop", [1, 2])
def test_a_validation_that_was_stopped_is_made_again(
    whole: tuple[Learner, Progress], tmp_path: Path, stop: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        judged(Judge([0.1, 0.5, 0.7], stop), tmp_path)
    rest = Judge([0.5, 0.7][stop - 1 :])
    state = judged(rest, tmp_path)
    assert len(rest.seen) == 3 - stop
    assert rest.kept == list(range(3 - stop))
    assert state.best == 0.7
    assert same(rest.learner, whole[0])


def test_ctrl_c_leaves_weights_to_use(tmp_path: Path) -> None:
    kept: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        run(build(), tmp_path, Source(interrupt_at(3)), keep=lambda: kept.append(1))
    assert kept == [1]


# The average ---------------------------------------------------------------------------------------------------------

AVERAGED = CONFIG.model_copy(update={"average": 0.4, "floor": 0.5})


def floats(learner: Learner) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in learner.state_dict().items() if v.is_floating_point()}


def averaged_by_hand(config: Optimisation) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """The same steps without an average, and the average of what they left."""
    after: list[dict[str, Tensor]] = []
    learner = build(lambda step: after.append(floats(learner)))
    mean = floats(learner)
    run(learner, None, config=config.model_copy(update={"average": 0.0}))
    for n, present in enumerate(after, 1):
        decay = min(config.average, (1 + n) / (10 + n))
        mean = {k: decay * mean[k] + (1 - decay) * present[k] for k in mean}
    return mean, after


def test_the_average_by_hand() -> None:
    wanted, after = averaged_by_hand(AVERAGED)
    assert len(after) == STEPS
    learner = build()
    run(learner, None, config=AVERAGED)
    found = floats(learner)
    assert set(found) == set(wanted) >= {"model.audio.layers.1.running_mean", "model.audio.layers.0.weight"}
    for name, value in found.items():
        assert torch.allclose(value, wanted[name], atol=1e-6), name
    assert not torch.allclose(found["model.audio.layers.0.weight"], after[-1]["model.audio.layers.0.weight"], atol=1e-4)


def test_the_average_is_what_is_validated_and_kept() -> None:
    config = AVERAGED.model_copy(update={"validate_every": 1.5, "select": "f"})
    wanted, after = averaged_by_hand(AVERAGED)
    seen: list[dict[str, Tensor]] = []
    learner = build()

    def validate() -> dict[str, float]:
        seen.append(floats(learner))
        return {"f": float(len(seen))}

    run(learner, None, config=config, validate=validate, keep=lambda: seen.append(floats(learner)))
    assert len(seen) == 4  # half-way and at the end, each validated and then kept
    assert all(torch.equal(seen[2][k], seen[3][k]) for k in wanted)
    assert all(torch.allclose(seen[3][k], wanted[k], atol=1e-6) for k in wanted)
    assert any(not torch.allclose(seen[0][k], after[5][k], atol=1e-4) for k in wanted)


@pytest.mark.parametrize("stop", [0, 7])
def test_a_stopped_run_goes_on_to_the_same_average(tmp_path: Path, stop: int) -> None:
    straight, stopped, resumed = build(), build(interrupt_at(stop)), build()
    run(straight, None, config=AVERAGED)
    left: list[dict[str, Tensor]] = []
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path, config=AVERAGED, keep=lambda: left.append(floats(stopped)))
    run(resumed, tmp_path, config=AVERAGED)
    assert same(straight, resumed)
    assert len(left) == 1
    again = build()
    run(again, tmp_path, config=AVERAGED)  # nothing left to do
    assert same(straight, again)


# The step ------------------------------------------------------------------------------------------------------------


def test_learning_rate_by_hand() -> None:
    found = [learning_rate(s, 10, 2.0, 0.4) for s in range(10)]
    rise = [0.5, 1.0, 1.5, 2.0]
    fall = [1 + math.cos(math.pi * n / 6) for n in range(6)]
    assert found == pytest.approx(rise + fall)
    assert learning_rate(0, 10, 2.0, 0.0) == 2.0
    assert learning_rate(10, 10, 2.0, 0.4) == pytest.approx(0)
    assert [learning_rate(s, 10, 2.0, 0.4, 0.5) for s in (3, 4, 7, 10)] == pytest.approx([2.0, 2.0, 1.5, 1.0])


def test_one_step_by_hand() -> None:
    """AdamW's first step moves every weight by the rate, against its gradient's sign, after decay of matrices only."""
    ours, theirs = build(), build()
    config = CONFIG.model_copy(update={"epochs": 0.25, "warmup": 0.0, "weight_decay": 0.1, "clip": 0.0})
    run(ours, None, config=config)
    torch.manual_seed(1_000_003)
    theirs(Source().batch(0, 0))["infonce_audio_image"].backward()
    for (name, new), old in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        decay = 1 - 0.01 * 0.1 if old.ndim > 1 else 1.0
        sure = old.grad.abs() > 1e-5
        wanted = old.detach() * decay - 0.01 * old.grad.sign()
        assert torch.allclose(new.detach()[sure], wanted[sure], atol=1e-4), name


def test_the_log_says_what_happened(tmp_path: Path) -> None:
    state = run(build(), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "t.log.jsonl").read_text().splitlines()]
    assert rows == state.history
    assert [(r["step"], r["epoch"]) for r in rows] == [(4, 1.0), (8, 2.0), (12, 3.0)]
    assert all(r["loss"] == r["infonce_audio_image"] > 0 for r in rows)
    assert all(r["utterances_per_second"] > 0 for r in rows)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    class Broken(Objective):
        def forward(self, views: Views) -> dict[str, Tensor]:
            return {"broken": views["audio"].pooled.sum() * float("nan")}

    torch.manual_seed(0)
    model = nn.Module()
    model.audio = Tower()
    with pytest.raises(UserError, match="not finite at step 0"):
        run(Learner(model, [Broken()]), None)


def test_an_objective_without_its_data_is_refused_before_step_0() -> None:
    learner = Learner(nn.Module(), [InfoNCE(InfoNCE.Config(b="text"))])
    learner.model.audio = Tower()
    with pytest.raises(UserError, match="InfoNCE needs text"):
        run(learner, None)


def test_frozen_parameters_stay() -> None:
    learner = build()
    learner.model.audio.layers[0].requires_grad_(False)
    before = learner.model.audio.layers[0].weight.clone()
    run(learner, None)
    assert torch.equal(learner.model.audio.layers[0].weight, before)
    assert not torch.equal(learner.model.audio.layers[3].weight, build().model.audio.layers[3].weight)


def test_bf16_trains_close_to_full_precision(whole: tuple[Learner, Progress]) -> None:
    learner = build()
    state = run(learner, None, config=CONFIG.model_copy(update={"precision": "bf16"}))
    assert all(p.dtype == torch.float32 for p in learner.parameters())
    losses = [[r["loss"] for r in s.history] for s in (state, whole[1])]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]
