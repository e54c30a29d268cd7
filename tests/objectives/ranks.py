"""What each process of the two-process tests runs; a module of its own, so that a spawned process finds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.contrastive import InfoNCE, Margin, Sigmoid

GROUPS = torch.tensor([0, 1, 2, 3, 1, 4, 5, 0])
LENGTHS = torch.tensor([40, 31, 25, 40, 13, 22, 36, 9])


class Plain(nn.Module):
    """A linear map to unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(5, 4)

    def forward(self, x: Padded) -> Features:
        return Features.of_pooled(F.normalize(self.map(x.values), dim=-1))


class Two(nn.Module):
    """A model of two trained towers."""

    def __init__(self, audio: nn.Module) -> None:
        super().__init__()
        self.audio, self.image = audio, Plain()


def objectives() -> list[Objective]:
    return [
        InfoNCE(InfoNCE.Config()),
        Margin(Margin.Config(margin=0.5)),
        Sigmoid(Sigmoid.Config(bias=-1.0)),
    ]


def learner(local: bool) -> Learner:
    torch.manual_seed(0)
    audio: nn.Module = LocalTower.Config(bins=8, width=8, dilations=(1,), dropout=0).build(4) if local else Plain()
    return Learner(Two(audio), objectives()).train()


def batch(local: bool, rank: int = 0, world: int = 1) -> Batch:
    """Every ``world``-th item, padded only as far as this share needs, as the loop makes it."""
    rng = torch.Generator().manual_seed(1)
    mel = torch.randn(8, 8, 40, generator=rng) * 2
    flat, images = torch.randn(8, 5, generator=rng), torch.randn(8, 5, generator=rng)
    mine = slice(rank, None, world)
    lengths = LENGTHS[mine]
    longest = int(lengths.max())
    audio = Padded(mel[mine, :, :longest], lengths_to_mask(lengths, longest)) if local else Padded(flat[mine])
    return Batch({"audio": audio, "image": Padded(images[mine])}, GROUPS[mine], [str(i) for i in range(8)[mine]])


def outcome(module: nn.Module, inner: Learner, share: Batch) -> dict[str, Any]:
    """Losses, gradients and statistics after one backward pass."""
    losses: dict[str, Tensor] = module(share)
    torch.stack(list(losses.values())).sum().backward()
    return {
        "losses": {k: float(v.detach()) for k, v in losses.items()},
        "gradients": {k: p.grad.clone() for k, p in inner.named_parameters() if p.grad is not None},
        "statistics": {k: b.clone() for k, b in inner.named_buffers() if k.endswith((".mean", ".var"))},
    }


def work(rank: int, folder: str) -> None:
    """Never returns: once both outcomes are on disk the process ends at once.

    Taking a process group down lets its threads race the interpreter's end, and now and then aborts a process that
    has done all its work.
    """
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for local in (False, True):
        inner = learner(local)
        module = nn.parallel.DistributedDataParallel(inner)
        torch.save(outcome(module, inner, batch(local, rank, 2)), Path(folder) / f"{local}-{rank}.pt")
    dist.barrier()
    sys.stderr.flush()
    os._exit(0)


__all__ = ["GROUPS", "batch", "learner", "outcome", "work"]
