"""Balances in the loop: bit for bit the old sum, exact resume, two processes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tasks_made_up as made
import torch
from torch import nn

from lookhear.core import Batch
from lookhear.errors import UserError
from lookhear.objectives.base import Learner
from lookhear.recipe import Optimisation, load_recipe
from lookhear.training.fit import fit, learning_rate
from lookhear.training.stages import built_balance
from lookhear.training.train import train

LOOP = Optimisation(epochs=4, batch_size=8, learning_rate=0.01, precision="32", weight_decay=0.0, save_every=1e9)


class Source:
    steps_per_epoch = 3

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop

    def items(self, steps: int) -> int:
        return 8 * steps

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        step = 3 * epoch + index
        if step == self.stop:
            raise KeyboardInterrupt
        return made.batch(step, rank, world, 1 if step % 4 == 2 else None)


def run(inner: Learner, folder: Path | None = None, source: Source | None = None, loop: Optimisation = LOOP) -> Any:
    return fit(inner, source or Source(), loop, name="t", folder=folder, progress=False)


def same(a: nn.Module, b: nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[k].nan_to_num(-1), y[k].nan_to_num(-1)) for k in x)


def test_the_sum_trains_as_a_loop_by_hand() -> None:
    ours, named, hand = made.learner(None), made.learner(made.CONFIGS["sum"].build(made.NAMES)), made.learner(None)
    run(ours)
    run(named)
    optimiser = torch.optim.AdamW(hand.parameters(), lr=0.01, weight_decay=0.0, fused=True)
    for step in range(12):
        optimiser.param_groups[0]["lr"] = learning_rate(step, 12, 0.01, 0.1)
        losses = hand(Source().batch(step // 3, step % 3))
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(hand.parameters(), 1.0, foreach=True)
        optimiser.step()
        optimiser.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), named.parameters()))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(ours.parameters(), hand.parameters()))


@pytest.mark.parametrize("kind", made.CONFIGS)
def test_a_stopped_run_goes_on_to_the_same_weights(kind: str, tmp_path: Path) -> None:
    config = made.CONFIGS[kind]
    whole = made.learner(config.build(made.NAMES))
    run(whole)
    with pytest.raises(KeyboardInterrupt):
        fit_until(made.learner(config.build(made.NAMES)), tmp_path, 7)
    torch.manual_seed(9)
    resumed = made.learner(config.build(made.NAMES))
    run(resumed, tmp_path)
    assert same(resumed, whole)


def fit_until(inner: Learner, folder: Path, step: int) -> None:
    """Stops as Ctrl-C does, between two steps."""
    import os
    import signal

    class Stopped(Source):
        def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
            if 3 * epoch + index == step:
                os.kill(os.getpid(), signal.SIGINT)
            return super().batch(epoch, index, rank, world)

    run(inner, folder, Stopped())


def test_weights_are_told_and_not_added() -> None:
    state = run(
        made.learner(made.CONFIGS["gradnorm"].build(made.NAMES)), loop=LOOP.model_copy(update={"epochs": 1 / 3})
    )
    row = state.history[-1]
    assert {f"weight_{n}" for n in made.NAMES} | {f"norm_{n}" for n in made.NAMES} <= set(row)
    assert row["loss"] == pytest.approx(sum(row[n] for n in made.NAMES), rel=1e-4)


@pytest.mark.parametrize("kind", ["fixed", "uncertainty", "dwa", "dtp"])
def test_weights_alone_work_in_parts(kind: str) -> None:
    whole, parts = (made.learner(made.CONFIGS[kind].build(made.NAMES)) for _ in range(2))
    run(whole)
    run(parts, loop=LOOP.model_copy(update={"part": 3}))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole.parameters(), parts.parameters()))


@pytest.mark.parametrize("kind", ["gradnorm", "mgda", "pcgrad"])
def test_gradients_are_not_kept_in_parts(kind: str) -> None:
    with pytest.raises(UserError, match=r"training\.part does not keep"):
        run(made.learner(made.CONFIGS[kind].build(made.NAMES)), loop=LOOP.model_copy(update={"part": 3}))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch.multiprocessing as mp

    folder = tmp_path_factory.mktemp("two")
    mp.spawn(made.work, args=(str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("kind", made.CONFIGS)
def test_twice_b_is_once_two_b(two: Path, kind: str) -> None:
    inner = made.learner(made.CONFIGS[kind].build(made.NAMES))
    wanted = made.steps(inner, inner)
    ranks = [torch.load(two / f"{kind}-{rank}.pt") for rank in (0, 1)]
    for step, theirs in enumerate(wanted):
        for part, value in theirs["gradients"].items():
            assert torch.equal(ranks[0][step]["gradients"][part], ranks[1][step]["gradients"][part])
            if kind != "pcgrad":  # whose order is drawn
                assert torch.allclose(ranks[0][step]["gradients"][part], value, rtol=1e-3, atol=1e-4), part
        if kind != "pcgrad":
            assert ranks[0][step]["told"] == pytest.approx(theirs["told"], rel=1e-3)


# Bad input ------------------------------------------------------------------------------------------------------------


def test_a_task_without_a_label_in_the_whole_data_is_refused_before_step_0() -> None:
    class Empty(Source):
        never = frozenset({"y2"})

    with pytest.raises(UserError, match="no training item has y2"):
        run(made.learner(made.CONFIGS["uncertainty"].build(made.NAMES)), source=Empty())


@pytest.mark.parametrize("kind", ["uncertainty", "gradnorm", "dwa", "dtp", "mgda", "pcgrad"])
def test_one_task_alone_is_refused(kind: str, tmp_path: Path) -> None:
    recipe = load_recipe("picturebook", ['objectives=[{kind="infonce"}]', f'balance.kind="{kind}"'])
    with pytest.raises(UserError, match="there is only infonce"):
        train(recipe, tmp_path, tmp_path / "out")


def test_unknown_task_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    recipe = load_recipe("picturebook", ['balance={kind="fixed", weights={infonec=2.0}}'])
    with pytest.raises(UserError, match=r"balance.weights: no task 'infonec'. did you mean 'infonce'\?"):
        train(recipe, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("weight", ["-1.0", "0.0", "nan", "inf"])
def test_weights_that_are_not_above_zero_are_refused(weight: str) -> None:
    with pytest.raises(UserError, match=r"balance.weights.infonce"):
        load_recipe("picturebook", [f'balance={{kind="fixed", weights={{infonce={weight}}}}}'])


def test_a_layer_that_there_is_not_is_refused() -> None:
    from lookhear.balance.gradnorm import GradNorm

    with pytest.raises(UserError, match=r"balance.layer: the model trains no part 'audio.mop'"):
        run(made.learner(GradNorm.Config(layer="audio.mop").build(made.NAMES)))


def test_no_balance_leaves_the_recipe_as_it_was() -> None:
    recipe = load_recipe("picturebook")
    assert built_balance(recipe) is None
    assert "[balance]" not in recipe.to_toml()
    assert "balance" not in json.loads(json.dumps(recipe.model_dump(mode="json", exclude_none=True)))
