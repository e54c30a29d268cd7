"""Two steps of each loss over two views of one modality, as each process of a two-process test runs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ranks
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lookhear.core import Batch, Padded
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.clusters import Clusters
from lookhear.objectives.correlational import Correlational
from lookhear.objectives.cpc import PredictiveCoding
from lookhear.objectives.densecl import DenseViews
from lookhear.objectives.distil import Distil
from lookhear.objectives.fastmim import FastMim
from lookhear.objectives.local_contrast import LocalContrast
from lookhear.objectives.mutual import Mutual
from lookhear.objectives.no_negatives import NoNegatives
from lookhear.objectives.regression import Regression
from lookhear.objectives.transfer import Transfer
from lookhear.objectives.transforms import Transforms


class AllPlaces(LocalContrast):
    """Every place is drawn: what is drawn by chance depends on how long a share's longest item is."""

    def _draw(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        return torch.arange(mask.shape[1]).expand(mask.shape), mask


def places(model: Any) -> Objective:
    return AllPlaces(LocalContrast.Config(dim=4), model.audio.width)


def peered(model: Any) -> Objective:
    """Mutual distillation with a peer of fixed random weights."""
    torch.manual_seed(6)
    return Mutual(Mutual.Config(), LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4))


def taught(config: Any) -> Callable[[Any], Objective]:
    """An objective whose teacher is a tower of fixed random weights."""

    def make(model: Any) -> Objective:
        state = torch.get_rng_state()
        torch.manual_seed(5)
        tower = LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4)
        torch.set_rng_state(state)
        if isinstance(config, Distil.Config):
            return Distil(config, [tower], *((8, 8) if config.by == "hidden" else (4, 4)))
        return Transfer(config, tower)

    return make


OBJECTIVES: dict[str, Callable[[Any], Objective]] = {
    "fastmim": FastMim.Config(on="audio", scale=1, block=1, cell=4).build,
    "correlational": Correlational.Config(on="audio", exemplars=3, width=8, heads=2, decay=0.5).build,
    "densecl": DenseViews.Config(on="audio", size=16, dim=6, decay=0.5).build,
    "local_contrast": places,
    "transforms": Transforms.Config().build,
    "cpc": PredictiveCoding.Config(dim=6, first=1, last=3).build,
    "clusters": lambda model: Clusters(Clusters.Config(clusters=4, rare=0.0), 4),
    "regression": lambda model: Regression(Regression.Config()),
    "barlow": NoNegatives.Config(loss="barlow", dim=6, weight=0.05).build,
    "vicreg": NoNegatives.Config(loss="vicreg", dim=6, weight=0.05).build,
    "byol": NoNegatives.Config(loss="byol", dim=6, decay=0.5).build,
    "similarities": taught(Distil.Config(runs=("a",))),
    "contrast": taught(Distil.Config(runs=("a",), by="contrast")),
    "contrast, queue": taught(Distil.Config(runs=("a",), by="contrast", queue=16)),
    "own past": lambda model: Distil(Distil.Config(decay=0.5, by="contrast"), (), 4, 4),
    "distances": taught(Distil.Config(runs=("a",), by="distances")),
    "hidden": taught(Distil.Config(runs=("a",), by="hidden")),
    "mutual": peered,
    "transfer": taught(Transfer.Config(run="a", match="offset", radius=2)),
}


NAMES = [f"item-{i}" for i in range(8)]


def learner(name: str) -> Learner:
    torch.manual_seed(0)
    model = ranks.Two(LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4))
    return Learner(model, [OBJECTIVES[name](model)]).train()


def batch(step: int, rank: int = 0, world: int = 1) -> Batch:
    """The batch of ``ranks`` with its recordings turned about in time as their second view; other groups each step."""
    given = ranks.batch(True, rank, world)
    first = given.inputs["audio"]
    assert isinstance(first, Padded)
    assert first.mask is not None
    lengths = first.mask.sum(1).tolist()
    second = first.values.clone()
    for row, length in zip(second, lengths, strict=True):
        row[:, :length] = row[:, :length].flip(1) * (1 + 0.1 * step)
    return Batch({**given.inputs, "audio@2": Padded(second, first.mask)}, given.group + 10 * step, NAMES[rank::world])


def steps(module: nn.Module, inner: Learner, rank: int = 0, world: int = 1) -> list[dict[str, Any]]:
    """Losses and gradients of three steps."""
    optimiser = torch.optim.SGD(inner.parameters(), lr=0.1)
    found = []
    for step in range(3):
        optimiser.zero_grad()
        found.append(ranks.outcome(module, inner, batch(step, rank, world)))
        optimiser.step()
        inner.after_step(step)
    return found


def work(rank: int, folder: str) -> None:
    """As ``ranks.work``."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for name in OBJECTIVES:
        inner = learner(name)
        module = nn.parallel.DistributedDataParallel(inner, find_unused_parameters=True)
        torch.save(steps(module, inner, rank, 2), Path(folder) / f"{name}-{rank}.pt")
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)


__all__ = ["OBJECTIVES", "batch", "learner", "steps", "work"]
