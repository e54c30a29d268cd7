"""One step of each loss over local vectors, as each process of a two-process test runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import ranks
import torch
import torch.distributed as dist
from torch import nn

from lookhear.core import Features, Padded, pool
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.dense import Dense
from lookhear.objectives.dictionary import Dictionary
from lookhear.objectives.matchmap import MatchMap
from lookhear.objectives.pacl import Pacl
from lookhear.scoring import Compatibility

ATTENTION, PARTS = Compatibility(kind="attention", temperature=3.0), Compatibility(heads=2)


OBJECTIVES: dict[str, tuple[Callable[[], Objective], Compatibility]] = {
    "pacl": (lambda: Pacl(Pacl.Config()), ATTENTION),
    "pacl, both": (lambda: Pacl(Pacl.Config(dense="both")), ATTENTION),
    "misa": (lambda: MatchMap(MatchMap.Config(reading="misa")), PARTS),
    "sima": (lambda: MatchMap(MatchMap.Config(reading="sima", loss="margin", margin=0.5)), Compatibility()),
    "dictionary": (lambda: Dictionary(Dictionary.Config(codes=6, heads=2, masked=0.7), 4), Compatibility()),
    "dictionary, hard": (lambda: Dictionary(Dictionary.Config(codes=6, heads=2, negatives="hard"), 4), Compatibility()),
    "dense": (lambda: Dense(Dense.Config(warmup=0)), Compatibility()),
    "dense, patches": (lambda: Dense(Dense.Config(warmup=0, negatives="patches")), Compatibility()),
}


class Patches(nn.Module):
    """A linear map to three patches."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(5, 3 * 4)

    def forward(self, x: Padded) -> Features:
        local = self.map(x.values).view(-1, 3, 4)
        mask = torch.ones(local.shape[:2], dtype=torch.bool)
        return Features(pool(local, mask), local, mask, (1, 3))


def learner(name: str) -> Learner:
    torch.manual_seed(0)
    objective, compatibility = OBJECTIVES[name]
    model = ranks.Two(LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4))
    model.image = Patches()  # type: ignore[assignment]
    model.compatibility = compatibility  # type: ignore[assignment]
    return Learner(model, [objective()]).train()


def work(rank: int, folder: str) -> None:
    """As ``ranks.work``."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for name in OBJECTIVES:
        inner = learner(name)
        module = nn.parallel.DistributedDataParallel(inner, find_unused_parameters=True)
        torch.save(ranks.outcome(module, inner, ranks.batch(True, rank, 2)), Path(folder) / f"{name}-{rank}.pt")
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)


__all__ = ["OBJECTIVES", "learner", "work"]
