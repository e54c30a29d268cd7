"""Three small regressions over one linear tower, as the tests of balances and their processes see them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.balance.base import Balance, BalanceSection
from lookhear.balance.dtp import Dtp
from lookhear.balance.dwa import Dwa
from lookhear.balance.gradnorm import GradNorm
from lookhear.balance.mgda import Mgda
from lookhear.balance.pcgrad import PcGrad
from lookhear.balance.plain import Fixed, Sum
from lookhear.balance.uncertainty import Uncertainty
from lookhear.core import Batch, Features, Padded
from lookhear.objectives.base import Learner, Objective, Views

NAMES = ("near", "near_2", "far")
CONFIGS: dict[str, BalanceSection] = {
    "sum": Sum.Config(),
    "fixed": Fixed.Config(weights={"far": 0.25, "near": 2.0}),
    "uncertainty": Uncertainty.Config(regression=("far",)),
    "gradnorm": GradNorm.Config(learning_rate=0.1),
    "dwa": Dwa.Config(),
    "dtp": Dtp.Config(gamma=2.0, share=0.3),
    "mgda": Mgda.Config(),
    "pcgrad": PcGrad.Config(),
}


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(6, 4)

    def forward(self, x: Padded) -> Features:
        return Features.of_pooled(torch.tanh(self.map(x.values)))


class Squares(Objective):
    """A head of its own, and the mean square of what it misses of one input."""

    def __init__(self, name: str, target: str, scale: float) -> None:
        super().__init__()
        self.name, self.target, self.scale = name, target, scale
        self.needs = frozenset({"audio", target})  # type: ignore[misc]
        self.head = nn.Linear(4, 1)

    def forward(self, views: Views) -> dict[str, Tensor]:
        given = views.batch.inputs[self.target]
        assert isinstance(given, Padded)
        return {self.name: self.scale * F.mse_loss(self.head(views["audio"].pooled), given.values)}


def learner(balance: Balance | None, scales: Sequence[float] = (1.0, 2.0, 100.0)) -> Learner:
    torch.manual_seed(0)
    model = nn.Module()
    model.audio = Tower()
    objectives: list[Objective] = [Squares(n, f"y{i}", s) for i, (n, s) in enumerate(zip(NAMES, scales))]
    return Learner(model, objectives, balance).train()


def batch(step: int, rank: int = 0, world: int = 1, lacking: int | None = None) -> Batch:
    rng = torch.Generator().manual_seed(step)
    x = torch.randn(8, 6, generator=rng)
    y = torch.stack([x[:, 0] - x[:, 1], x[:, 1] - x[:, 0] + 0.3 * x[:, 2], x[:, 3]], 1)[..., None]
    mine = slice(rank, None, world)
    inputs = {"audio": Padded(x[mine]), **{f"y{i}": Padded(y[mine, i]) for i in range(3)}}
    present = {} if lacking is None else {f"y{lacking}": torch.zeros(8, dtype=torch.bool)}
    return Batch(inputs, torch.arange(8)[mine], present=present)


def steps(module: nn.Module, inner: Learner, rank: int = 0, world: int = 1) -> list[dict[str, Any]]:
    """Gradients and weights of four steps, two an epoch."""
    optimiser, found = torch.optim.SGD(inner.parameters(), lr=0.01), []
    assert isinstance(inner.balance, Balance)
    for step in range(4):
        torch.manual_seed(step)
        optimiser.zero_grad()
        told = inner.balance.backward(module(batch(step, rank, world)), inner.model, lambda t: t.backward(), step // 2)
        grads = {k: p.grad.clone() for k, p in inner.named_parameters() if p.grad is not None}
        found.append({"told": told, "gradients": grads})
        optimiser.step()
    return found


def work(rank: int, folder: str) -> None:
    """Ends the process at once when all is on disk (see ``tests/objectives/ranks.py``)."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for kind, config in CONFIGS.items():
        inner = learner(config.build(NAMES))
        module = nn.parallel.DistributedDataParallel(inner)
        torch.manual_seed(rank)  # what is drawn at random differs, and is told by the first process
        torch.save(steps(module, inner, rank, 2), Path(folder) / f"{kind}-{rank}.pt")
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)
