"""Gradients of tasks by the weights that they share: found, met with each other, and put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lookhear.balance.base import Back, Weighted, over_processes
from lookhear.core import Losses, processes
from lookhear.errors import UserError

__all__ = ["Together", "gramian", "library", "task_gradients"]


def library() -> Any:
    """torchjd's aggregations.

    Raises:
        UserError: it is not installed.
    """
    try:
        import torchjd.aggregation
    except ModuleNotFoundError:
        raise UserError("this balance needs torchjd", "pip install 'lookhear[multitask]'") from None
    return torchjd.aggregation


def task_gradients(losses: Losses, weights: Sequence[nn.Parameter]) -> tuple[list[nn.Parameter], list[list[Tensor]]]:
    """The weights that at least two of the losses reach, and each loss's gradient of them, the mean over processes.

    What a loss does not reach has a gradient of zero. The graph stays, for the backward pass proper.
    """
    found = list[Sequence[Tensor | None]]()
    with torch.autocast(weights[0].device.type, enabled=False):
        for loss in losses.values():
            if loss.requires_grad:
                found.append(torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True))
            else:
                found.append([None] * len(weights))
    shared = [i for i in range(len(weights)) if sum(of[i] is not None for of in found) > 1]

    def filled(given: Tensor | None, weight: nn.Parameter) -> Tensor:
        return over_processes(torch.zeros_like(weight) if given is None else given.detach())

    return [weights[i] for i in shared], [[filled(of[i], weights[i]) for i in shared] for of in found]


def gramian(gradients: Sequence[Sequence[Tensor]]) -> Tensor:
    """(T, T) inner products of T tasks' gradients, in double precision: norms may be a hundred times apart."""
    flat = [torch.stack([g.flatten().double() for g in of_one]) for of_one in zip(*gradients)]
    products = [x @ x.T for x in flat]
    return torch.stack(products).sum(0)


class Together(Weighted):
    """A balance that puts gradients of the shared weights together; what is a task's own learns from its loss alone.

    The sum of the losses is sent back for the weights that are a task's own, and the shared ones are then given
    Σ wₜ gₜ, with w from the inner products of the gₜ. That is a backward pass for each task, and one more.
    """

    takes_gradients = True

    def combine(self, products: Tensor, values: Tensor) -> Tensor:
        """(n, n) inner products and (n,) losses → (n,) weights."""
        raise TypeError(f"{type(self).__name__} does not say how gradients are put together")

    def backward(self, losses: Losses, model: nn.Module, back: Back, epoch: int = 0) -> dict[str, float]:
        """As ``Weighted``; logs ``norm_<task>``, the gradients' lengths, too."""
        if not set(losses) <= set(self.tasks):
            return super().backward(losses, model, back, epoch)
        shared, gradients = task_gradients(losses, self.shared(model))
        stacked = torch.stack(list(losses.values()))
        back(stacked.sum())
        if not shared:  # one task has labels here, or they have no weights in common
            return {}
        products = gramian(gradients)
        weights = self._agreed(products, stacked)
        for i, p in enumerate(shared):
            assert p.grad is not None
            p.grad.copy_(sum(w * of[i] for w, of in zip(weights.tolist(), gradients)))
        return {**self.told("weight", losses, weights), **self.told("norm", losses, products.diagonal().sqrt())}

    def _agreed(self, products: Tensor, stacked: Tensor) -> Tensor:
        """Weights, which draw at random in some balances, as the first process has them."""
        weights = self.combine(products, over_processes(stacked.detach().double()))
        if processes() > 1:
            import torch.distributed as dist

            dist.broadcast(weights, 0)
        return weights
