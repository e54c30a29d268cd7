"""How the losses of several tasks become one gradient: what every balance has, and the plain sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from lookhear.core import Losses, Section, processes
from lookhear.errors import UserError

__all__ = ["Back", "Balance", "BalanceSection", "Weighted", "over_processes", "task_names"]

Back = Callable[[Tensor], None]
"""Sends a scalar's gradient back, and leaves it in ``.grad`` wherever the loop wants it."""


def task_names(kinds: Iterable[str]) -> tuple[str, ...]:
    """Names of tasks by the kinds of their objectives, in order: a second "infonce" is "infonce_2"."""
    seen, names = Counter[str](), list[str]()
    for kind in kinds:
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return tuple(names)


def over_processes(x: Tensor) -> Tensor:
    """The mean of a tensor over the processes that train together."""
    if processes() == 1:
        return x
    import torch.distributed as dist

    whole = x.clone()
    dist.all_reduce(whole)
    return whole / processes()


class Balance(nn.Module):
    """What turns named losses into gradients; this one adds them up, as they are named and weighed in the objectives.

    The unit that other balances weigh is a *task*: the sum of the losses of one objective. A batch may have labels for
    some tasks only: the others are not among its losses, and what is known of them stays as it is. State lives in
    buffers and parameters, so that it is saved with the learner and resumes exactly.

    Attributes:
        tasks: names, in the order of the objectives (``task_names``).
        by_task: whether it is given one loss for each task, instead of all by their own names.
        takes_gradients: whether it needs each task's gradient of the shared weights, which gradient caching
            (``training.part``) does not keep.
        least: tasks that it makes sense for.
    """

    by_task: ClassVar[bool] = False
    takes_gradients: ClassVar[bool] = False
    least: ClassVar[int] = 1

    def __init__(self, tasks: Sequence[str] = ()) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    def ready(self, part: int) -> None:
        """Refuses, before step 0, what cannot be balanced.

        Args:
            part: of gradient caching; 0 for none.

        Raises:
            UserError: too few tasks, or gradients that are not kept.
        """
        name = type(self).__name__.lower()
        if self.least > max(1, len(self.tasks)):
            raise UserError(
                f"balance {name!r} weighs tasks against each other, and there is only {self.tasks[0]}"
                if self.tasks
                else f"balance {name!r} was given no tasks",
                "Add an objective, or leave [balance] out.",
            )
        if part and self.takes_gradients:
            raise UserError(
                f"balance {name!r} needs each task's gradient, which training.part does not keep",
                "Leave training.part out, or balance by 'fixed', 'uncertainty', 'dwa' or 'dtp'.",
            )

    def shared(self, model: nn.Module) -> list[nn.Parameter]:
        """The weights of a model that tasks share: all that are trained; those of objectives are their own."""
        return [p for p in model.parameters() if p.requires_grad]

    def backward(self, losses: Losses, model: nn.Module, back: Back, epoch: int = 0) -> dict[str, float]:
        """Sends the gradient of the losses back, once.

        Args:
            losses: name → scalar.
            model: whose weights the tasks share.
            back: see ``Back``.
            epoch: the number of the present one, from 0.

        Returns:
            Further fields of the log, which are no losses.
        """
        back(torch.stack(list(losses.values())).sum())
        return {}


class Weighted(Balance):
    """A balance that weighs the present tasks' losses, whatever it finds the weights by."""

    by_task = True
    least = 2

    def numbers(self, losses: Losses) -> list[int]:
        """Which of the tasks these losses are."""
        return [self.tasks.index(name) for name in losses]

    def weigh(self, losses: Losses, values: Tensor, model: nn.Module, epoch: int) -> Tensor:
        """Weights of n losses, positive and without a gradient.

        Args:
            values: (n,) the losses without a graph, their mean over processes.
        """
        raise TypeError(f"{type(self).__name__} does not say how it weighs")

    def backward(self, losses: Losses, model: nn.Module, back: Back, epoch: int = 0) -> dict[str, float]:
        """Sends Σ wₜ Lₜ back; logs the weights, ``weight_<task>``."""
        if not set(losses) <= set(self.tasks):  # a batch that nothing could be learned from
            return super().backward(losses, model, back, epoch)
        stacked = torch.stack(list(losses.values()))
        weights = self.weigh(losses, over_processes(stacked.detach().float()), model, epoch)
        back((weights * stacked).sum())
        return self.told("weight", losses, weights)

    def told(self, what: str, losses: Losses, values: Tensor) -> dict[str, float]:
        """Log fields, one for each present task."""
        return {f"{what}_{name}": value for name, value in zip(losses, values.tolist())}


class BalanceSection(Section):
    """The part of a recipe that says how tasks are balanced; each ``kind`` is a file of this room."""

    kind: str

    def build(self, tasks: Sequence[str]) -> Balance:
        """
        Args:
            tasks: names (``task_names``).

        Raises:
            UserError: names a task that there is not.
        """
        raise TypeError(f"{type(self).__name__} does not say what it builds")
