"""Two steps of each loss that chooses, queues or averages, as each process of a two-process test runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ranks
import torch
import torch.distributed as dist
from torch import nn

from lookhear.core import Batch
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.mms import MaskedMarginSoftmax
from lookhear.objectives.momentum import MomentumDistillation
from lookhear.objectives.queue import QueuedInfoNCE
from lookhear.objectives.small_loss import SmallLoss
from lookhear.objectives.soft_targets import SoftTargets
from lookhear.objectives.triplet import Triplet

OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "triplet": lambda: Triplet(Triplet.Config(sampled=0, margin=0.5)),
    "sampled": lambda: Triplet(Triplet.Config(semi_hard=0, margin=1.0)),
    "mms": lambda: MaskedMarginSoftmax(MaskedMarginSoftmax.Config(margin=0.5, growth=2, every=1)),
    "queue": lambda: QueuedInfoNCE(QueuedInfoNCE.Config(size=12)),
    "momentum": lambda: MomentumDistillation(MomentumDistillation.Config(warmup=0, decay=0.5, size=8)),
    "small_loss": lambda: SmallLoss(SmallLoss.Config(forget=0.5, ramp=2)),
    "soft_targets": lambda: SoftTargets(SoftTargets.Config(smoothing=0.1, soft=0.3)),
}


def learner(name: str) -> Learner:
    torch.manual_seed(0)
    audio = LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4)
    return Learner(ranks.Two(audio), [OBJECTIVES[name]()]).train()


def two_steps(module: nn.Module, inner: Learner, rank: int = 0, world: int = 1) -> list[dict[str, Any]]:
    """Losses and gradients of two steps; the second batch is of other groups, so the first's are its negatives."""
    optimiser = torch.optim.SGD(inner.parameters(), lr=0.1)
    found = []
    for step in range(2):
        share = ranks.batch(True, rank, world)
        optimiser.zero_grad()
        found.append(ranks.outcome(module, inner, Batch(share.inputs, share.group + 10 * step)))
        optimiser.step()
        inner.after_step(step)
    return found


def work(rank: int, folder: str) -> None:
    """As ``ranks.work``."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for name in OBJECTIVES:
        inner = learner(name)
        module = nn.parallel.DistributedDataParallel(inner)
        torch.save(two_steps(module, inner, rank, 2), Path(folder) / f"{name}-{rank}.pt")
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)


__all__ = ["OBJECTIVES", "learner", "two_steps", "work"]
