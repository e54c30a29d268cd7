"""The one loop: steps, log, checkpoints, exact resume; on Lightning Fabric."""

from __future__ import annotations

import ctypes
import io
import json
import math
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lookhear.balance.base import Balance
from lookhear.core import Batch, Losses, bf16_pays
from lookhear.errors import UserError
from lookhear.models.model import write_atomically
from lookhear.objectives.base import Learner
from lookhear.recipe import Optimisation
from lookhear.training.average import Average
from lookhear.training.cached import backward_in_parts
from lookhear.training.lacking import never

__all__ = ["BatchSource", "Progress", "fit", "give_back"]


class BatchSource(Protocol):
    """Batches by number, so that a run can go on anywhere: the same (epoch, index) is always the same batch."""

    steps_per_epoch: int

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch: ...

    def items(self, steps: int) -> int:
        """Items of the first so many steps, over all processes."""
        ...


@dataclass
class Progress:
    """Where a run stands, and what it has seen; saved with every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    validated: int = -1
    history: list[dict[str, Any]] = field(default_factory=list)


def learning_rate(step: int, total: int, peak: float, warmup: float, floor: float = 0.0) -> float:
    """Linear from 0 over the first ``warmup`` share of steps, then half a cosine to ``floor`` × peak."""
    rise = max(1, round(warmup * total))
    if step < rise:
        return peak * (step + 1) / rise
    falling = 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))
    return peak * (floor + (1 - floor) * falling)


def _parameter_groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only: not on biases, norms and scales."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


class _Checkpoint:
    """The state a stopped run goes on from: weights and their average, optimiser and progress, in one file."""

    def __init__(self, path: Path | None, learner: Learner, average: Average, optimizer: Any, key: str) -> None:
        self.path, self.learner, self.average, self.optimizer, self.key = path, learner, average, optimizer, key

    def save(self, progress: Progress) -> None:
        if self.path is None:
            return
        buffer = io.BytesIO()
        state = {
            "key": self.key,
            "learner": self.learner.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(progress),
        }
        torch.save(state, buffer)
        write_atomically(self.path, buffer.getvalue())

    def load(self) -> Progress:
        if self.path is None or not self.path.is_file():
            return Progress()
        try:
            state = torch.load(self.path, weights_only=True)
            stored = state["key"]
        except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as e:
            raise UserError(
                f"{self.path}: damaged checkpoint ({(str(e) or type(e).__name__).splitlines()[0]})",
                "Delete it to start again.",
            ) from None
        if stored != self.key:
            raise UserError(
                f"{self.path} was written by another recipe or other data, or by one that named a run as it was before",
                "Choose another --out, or delete the folder to start again.",
            )
        self.learner.load_state_dict(state["learner"])
        self.average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        return Progress(**state["progress"])


def fit(
    learner: Learner,
    source: BatchSource,
    config: Optimisation,
    *,
    name: str,
    key: str = "",
    folder: Path | None = None,
    validate: Callable[[], dict[str, Any]] | None = None,
    keep: Callable[[], None] | None = None,
    progress: bool = True,
) -> Progress:
    """Trains the parameters of ``learner`` that ask for a gradient.

    Args:
        learner: model and objectives in one forward.
        source: batches by number.
        name: of this stage, for the bar and the file names ``<name>.log.jsonl`` and ``<name>.checkpoint``.
        key: what the run depends on; a checkpoint with another key is refused.
        folder: where log and checkpoint go; None keeps nothing.
        validate: gives figures of the present weights.
        keep: saves the present weights as the run's; called at the best validation, or at the end.
        progress: show a bar on stderr.

    Returns:
        Progress with the history of log lines.

    Raises:
        KeyboardInterrupt: at the end of the step it fell into, after a checkpoint is written and, where nothing better
            was kept, the present weights; the next ``fit`` goes on from there, step for step the same.
        UserError: a batch that the processes cannot share evenly, a checkpoint of another run, a loss that is not
            finite, or no space to save.
    """
    from lightning_fabric import Fabric

    bf16 = config.precision == "bf16" or (config.precision == "auto" and bf16_pays())
    fabric = Fabric(accelerator="auto", devices=int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    fabric.launch()
    for size in (*config.smaller_batches, config.batch_size):
        if size % fabric.world_size:
            raise UserError(
                f"a batch of {size} cannot be shared by {fabric.world_size} processes",
                "Choose a batch_size that their number divides.",
            )
    if config.part and fabric.world_size > 1:
        raise UserError("training.part works in one process", "Leave it out: several processes share a batch already.")
    balance = learner.balance if isinstance(learner.balance, Balance) else Balance()
    balance.ready(config.part)
    optimizer = torch.optim.AdamW(_parameter_groups(learner, config.weight_decay), lr=config.learning_rate, fused=True)
    module, opt = fabric.setup(learner, optimizer)
    main = fabric.global_rank == 0
    average = Average(learner, config.average)
    checkpoint = _Checkpoint(folder / f"{name}.checkpoint" if folder else None, learner, average, optimizer, key)
    state = checkpoint.load()
    total = max(1, round(config.epochs * source.steps_per_epoch)) if config.epochs else 0
    loop = _Loop(fabric, module, learner, average, opt, source, config, total, bf16, balance)
    log = _open_log(folder / f"{name}.log.jsonl", state) if folder and main else None
    bar = _bar(name, source.items(total), source.items(state.step), progress and main)
    try:
        with _Interrupt() as interrupt:
            _run(loop, state, bar, log, checkpoint if main else None, validate, keep, interrupt)
    except KeyboardInterrupt:
        if main and not loop.inside:  # half a step is no state to go on from: the last checkpoint stands
            checkpoint.save(state)
            if keep is not None and state.best == -math.inf:
                with average.in_place():
                    keep()
        raise
    finally:
        bar.close()
        if log:
            log.close()
    average.settle()
    return state


class _Interrupt:
    """Ctrl-C waits for the end of the step, so that no checkpoint holds half of one; a second one stops at once."""

    def __enter__(self) -> _Interrupt:
        self.asked = False
        self.before = signal.getsignal(signal.SIGINT)
        self.ours = threading.current_thread() is threading.main_thread() and self.before is not None
        if self.ours:
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, self.before)


def _open_log(path: Path, state: Progress) -> Any:
    """The log as far as the state goes: lines of steps that will be repeated are dropped."""
    file = path.open("w")
    file.writelines(json.dumps(row) + "\n" for row in state.history)
    return file


def _bar(name: str, total: int, done: int, show: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=done, desc=name, unit="utt", disable=None if show else True, smoothing=0.1)


@dataclass
class _Loop:
    fabric: Any
    module: Any
    learner: Learner
    average: Average
    optimizer: Any
    source: BatchSource
    config: Optimisation
    total: int
    bf16: bool
    balance: Balance
    inside: bool = False

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step; everything random in it is drawn from (seed, step), so a resumed run repeats it."""
        epoch, index = divmod(number, self.source.steps_per_epoch)
        torch.manual_seed((self.config.seed + 1) * 1_000_003 + number)
        batch = self.source.batch(epoch, index, self.fabric.global_rank, self.fabric.world_size)
        if number == 0:
            self.learner.check(batch, self.source.items(self.source.steps_per_epoch), never(self.source))
        rate = learning_rate(number, self.total, self.config.learning_rate, self.config.warmup, self.config.floor)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Fabric's own mixed precision would rewrite the batch, which is frozen: autocast is all that is needed here.
        with torch.autocast(self.fabric.device.type, torch.bfloat16, enabled=self.bf16):
            losses, told = self._backward(batch.to(self.fabric.device), epoch)
        if self.config.clip:
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.learner.after_step(number)
        self.average.update(number + 1)
        values = {k: float(v.detach()) for k, v in losses.items()}
        if not math.isfinite(sum(values.values())):
            raise UserError(f"the loss is not finite at step {number} ({values})", "Lower the learning rate.")
        return {"loss": sum(values.values()), **values, **self.learner.told(), **told, "learning_rate": rate}

    def _backward(self, batch: Batch, epoch: int) -> tuple[Losses, dict[str, float]]:
        """Losses of a batch, their balanced gradient left where it belongs, and what the balance tells the log."""
        told: dict[str, float] = {}

        def send(losses: Losses, back: Callable[[Tensor], None]) -> None:
            with torch.autocast(self.fabric.device.type, enabled=False):
                told.update(self.balance.backward(losses, self.learner.model, back, epoch))

        if 0 < self.config.part < len(batch):
            return backward_in_parts(self.learner, batch, self.config.part, send), told
        losses: Losses = self.module(batch)
        send(losses, self.fabric.backward)
        return losses, told


def _run(
    loop: _Loop,
    state: Progress,
    bar: Any,
    log: Any,
    checkpoint: _Checkpoint | None,
    validate: Callable[[], dict[str, Any]] | None,
    keep: Callable[[], None] | None,
    interrupt: _Interrupt,
) -> None:
    config, per_epoch = loop.config, loop.source.steps_per_epoch
    every = round(config.validate_every * per_epoch)
    loop.learner.train()
    sums: dict[str, float] = {}
    count, saved = 0, time.monotonic()
    while True:
        due = state.step == loop.total or (every and state.step % every == 0 and state.step > 0)
        if validate is not None and due and state.validated != state.step:
            with loop.average.in_place():
                _validate(loop, state, config.select, validate, keep, log)
            state.validated = state.step
        interrupt.check()
        if state.step >= loop.total:
            break
        began = time.monotonic()
        loop.inside = True
        values = loop.step(state.step)
        state.step += 1
        loop.inside = False
        state.seconds += time.monotonic() - began
        bar.update(loop.source.items(state.step) - bar.n)
        count += 1
        for k, v in values.items():
            sums[k] = sums.get(k, 0.0) + v
        last = state.step == loop.total
        if count == max(1, min(50, per_epoch)) or last:
            _log(state, {k: v / count for k, v in sums.items()}, loop.source, log)
            bar.set_postfix(loss=f"{sums['loss'] / count:.3f}")
            sums, count = {}, 0
        if state.step % 20 == 0:
            give_back()
        if checkpoint is not None and (time.monotonic() - saved > config.save_every and not last):
            checkpoint.save(state)
            saved = time.monotonic()
    if keep is not None and not (config.select and validate is not None):
        with loop.average.in_place():
            keep()
    if checkpoint is not None:
        checkpoint.save(state)


def give_back() -> None:
    """Returns free pages to the system, where the C library can (glibc).

    Every batch has another length, so the heap falls into pieces that fit nothing: after 60 steps of the picture book
    it held 0.5 GB that nobody used, after 300 1.3. Called every twenty steps this costs 1 % of their time.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _log(state: Progress, means: dict[str, float], source: BatchSource, log: Any) -> None:
    row = {
        "step": state.step,
        "epoch": round(state.step / source.steps_per_epoch, 3),
        "seconds": round(state.seconds, 2),
        "utterances_per_second": round(source.items(state.step) / max(state.seconds, 1e-9), 1),
        **{k: round(v, 6) for k, v in means.items()},
    }
    _write(state, row, log)


def _write(state: Progress, row: dict[str, Any], log: Any) -> None:
    state.history.append(row)
    if log:
        log.write(json.dumps(row) + "\n")
        log.flush()


def _validate(
    loop: _Loop,
    state: Progress,
    select: str,
    validate: Callable[[], dict[str, Any]],
    keep: Callable[[], None] | None,
    log: Any,
) -> None:
    loop.learner.eval()
    figures = validate()
    loop.learner.train()
    _write(state, {"step": state.step, "seconds": round(state.seconds, 2), "validation": figures}, log)
    if not select:
        return
    if select not in figures:
        raise UserError(f"training.select: validation has no figure {select!r}", f"It has {', '.join(figures)}.")
    if figures[select] > state.best:
        state.best = figures[select]
        if keep is not None:
            keep()
