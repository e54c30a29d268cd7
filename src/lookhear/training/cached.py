"""Batches larger than memory: the gradient of the whole batch from parts of it, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lookhear.core import Batch, Features, Losses, Padded
from lookhear.objectives.base import Learner

__all__ = ["backward_in_parts"]

FIELDS = ("pooled", "local", "hidden")


@dataclass
class _Part:
    """Some items of one modality, and the random state that their tower ran with."""

    name: str
    given: Padded
    random: Tensor


def backward_in_parts(
    learner: Learner, batch: Batch, size: int, send: Callable[[Losses, Callable[[Tensor], None]], None] | None = None
) -> Losses:
    """Losses of a batch, and their gradient left in ``.grad``, in the memory of ``size`` items.

    Towers run twice (gradient caching; Gao et al., 2021, section 3): once without a graph for the features that the
    losses and their gradients by features are computed from, and once more, part by part and with the same dropout,
    for the gradient of the weights. The sum is the gradient of the whole batch, but for what looks across a batch
    inside a tower: batch norm sees the parts, as it does with gradient accumulation.

    Local vectors are kept only if an objective reads them (``Objective.reads_local``).

    Args:
        size: items a part.
        send: turns the losses into one scalar and hands it to what sends its gradient back; their sum without it.
    """
    towers = [name for name, given in batch.inputs.items() if isinstance(given, Padded) and _trained(learner, name)]
    keep = FIELDS if any(o.reads_local for o in learner.objectives) else FIELDS[:1]
    parts, leaves, running = [], dict[str, Features](), _Running(learner)
    for name in towers:
        given = batch.inputs[name]
        assert isinstance(given, Padded)
        seen = []
        for part in _cut(given, size):
            parts.append(_Part(name, part, torch.get_rng_state()))
            with torch.no_grad():
                seen.append(_only(_run(learner, parts[-1]), keep))
            running.restore()
        leaves[name] = _leaf(Features.concat(seen))
    losses: Losses = learner(replace(batch, inputs={**batch.inputs, **leaves}))
    if send is None:
        _go_back([torch.stack(list(losses.values())).sum()], [None])
    else:
        send(losses, lambda total: _go_back([total], [None]))
    after, at = torch.get_rng_state(), dict.fromkeys(towers, 0)
    running.begin()
    for again in parts:
        torch.set_rng_state(again.random)
        found = _only(_run(learner, again), keep)
        running.take(len(found))
        _back(found, leaves[again.name], at[again.name])
        at[again.name] += len(found)
    running.settle(sum(at.values()))
    torch.set_rng_state(after)
    return losses


def _run(learner: Learner, part: _Part) -> Features:
    found: Features = getattr(learner.model, part.name.split("@")[0])(part.given)
    return found


def _trained(learner: Learner, name: str) -> bool:
    tower = getattr(learner.model, name.split("@")[0], None)
    return isinstance(tower, nn.Module) and any(p.requires_grad for p in tower.parameters())


def _cut(given: Padded, size: int) -> Iterator[Padded]:
    """Parts of a batch, each as long as its own longest item."""
    for i in range(0, len(given.values), size):
        values, mask = given.values[i : i + size], None if given.mask is None else given.mask[i : i + size]
        if mask is not None:
            longest = int(mask.any(0).nonzero().max()) + 1
            values, mask = values[..., :longest], mask[:, :longest]
        yield Padded(values, mask)


def _only(features: Features, keep: tuple[str, ...]) -> Features:
    """Without the vectors that nobody reads; a place of no width stands for the local ones."""
    if "local" in keep:
        return features
    return Features(features.pooled, features.local[:, :1, :0], features.mask[:, :1], features.step)


def _leaf(features: Features) -> Features:
    tensors: dict[str, Any] = {k: getattr(features, k) for k in FIELDS}
    return replace(features, **{k: v.detach().requires_grad_() for k, v in tensors.items() if v is not None})


def _go_back(tensors: list[Tensor], gradients: list[Tensor | None]) -> None:
    with torch.autocast(tensors[0].device.type, enabled=False):  # forward alone is what autocast is meant for
        torch.autograd.backward(tensors, gradients)


def _back(found: Features, leaf: Features, start: int) -> None:
    """From the features of a part on, with the gradients that the whole batch gave them."""
    tensors, gradients = list[Tensor](), list[Tensor | None]()
    for name in FIELDS:
        out, whole = getattr(found, name), getattr(leaf, name)
        if whole is None or whole.grad is None or not out.requires_grad:
            continue
        rows = whole.grad[start : start + len(found)]
        tensors.append(out)
        gradients.append(rows if name == "pooled" else rows[:, : out.shape[1]])
    if tensors:
        _go_back(tensors, gradients)


class _Running:
    """Running statistics: every part begins from those before the step, and the step leaves the mean of the parts'."""

    def __init__(self, learner: nn.Module) -> None:
        self.live: dict[str, Tensor] = {k: b for k, b in learner.named_buffers() if b.is_floating_point()}
        self.before = {k: b.clone() for k, b in self.live.items()}
        self.sums: dict[str, Tensor] = {}

    def restore(self) -> None:
        for name, buffer in self.live.items():
            buffer.copy_(self.before[name])

    def begin(self) -> None:
        """What the losses themselves changed (queues) stays changed."""
        self.before = {k: b.clone() for k, b in self.live.items()}
        self.sums = {k: torch.zeros_like(b) for k, b in self.live.items()}

    def take(self, items: int) -> None:
        for name, buffer in self.live.items():
            self.sums[name] += (buffer - self.before[name]) * items
        self.restore()

    def settle(self, items: int) -> None:
        for name, buffer in self.live.items():
            buffer.copy_(self.before[name] + self.sums[name] / max(items, 1))
