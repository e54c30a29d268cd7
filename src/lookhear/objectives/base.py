"""What an objective is, and what it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lookhear.core import Batch, Features, Losses, Padded, Section, processes
from lookhear.errors import UserError

__all__ = ["Learner", "Objective", "Shaped", "Views"]


class Views:
    """Features of one batch; each tower runs once, when first asked.

    ``views["audio"]`` runs ``model.audio``; "image@2" runs the image tower on a second view. What was computed before
    (``Features`` in the batch) is given as it is.
    """

    def __init__(self, model: Any, batch: Batch) -> None:
        self.model, self.batch = model, batch
        self._seen: dict[str, Features] = {}

    def __getitem__(self, name: str) -> Features:
        if name not in self._seen:
            self._seen[name] = self._features(name, self.batch.inputs[name])
        return self._seen[name]

    def more(self, name: str) -> tuple[Features, Tensor] | None:
        """Further items of a modality and their groups, to serve as negatives; None where the batch has none."""
        if name not in self.batch.more:
            return None
        given, group = self.batch.more[name]
        return self._features(name, given), group

    def _features(self, name: str, given: Padded | Features) -> Features:
        if isinstance(given, Features):
            return given
        features: Features = getattr(self.model, name.split("@")[0])(given)
        return features

    @property
    def group(self) -> Tensor:
        return self.batch.group

    def having(self, names: Iterable[str]) -> Views:
        """The same of those items alone that have all of these inputs.

        Raises:
            UserError: items that lack some, in several processes: their shares of a batch would not be alike.
        """
        asked = [self.batch.present[name] for name in names if name in self.batch.present]
        if asked and processes() > 1:
            raise UserError(
                "data.pictured and data.texted work in one process", "Train without torchrun, or leave them out."
            )
        if not asked or bool(torch.stack(asked).all()):
            return self
        return _Some(self, torch.stack(asked).all(0).nonzero()[:, 0])


class _Some(Views):
    """Views of some items of a batch; towers run for the whole of it, once."""

    def __init__(self, whole: Views, rows: Tensor) -> None:
        super().__init__(whole.model, whole.batch.take(rows))
        self._whole, self._rows = whole, rows

    def __getitem__(self, name: str) -> Features:
        return self._whole[name][self._rows]


class Objective(nn.Module):
    """One loss, or a few that belong together.

    Attributes:
        needs: batch keys it asks for, checked before step 0.
        reads_local: whether it looks at more than the pooled vectors of its batch.
        told: figures of the last batch for the log, which are no losses.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    reads_local: ClassVar[bool] = True
    told: Mapping[str, float] = MappingProxyType({})

    def forward(self, views: Views) -> Losses:
        raise TypeError(f"{type(self).__name__} does not say how it scores a batch")

    def ready(self, batch: Batch, items: int) -> None:
        """Refuses, before step 0, what could not be learned.

        Args:
            batch: the first one, this process's share of it.
            items: of an epoch, over all processes.

        Raises:
            UserError: names the key to change.
        """

    def after_step(self, model: nn.Module, step: int) -> None:
        """Moving averages and queues; called once after each optimiser step."""


class Shaped(Section):
    """The part of an objective's section whose heads are as wide as the towers, so that it is built for a model."""

    kind: str

    def build(self, model: Any) -> Objective:
        raise TypeError(f"{type(self).__name__} does not say what it builds")


class Learner(nn.Module):
    """A model and its objectives in one forward, which is what DDP wraps.

    Attributes:
        balance: how the losses of several tasks become one gradient; the plain sum where it is None. One that weighs
            tasks (``by_task``) is given each objective's losses as one, by the task's name.
    """

    def __init__(self, model: nn.Module, objectives: list[Objective], balance: nn.Module | None = None) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleList(objectives)
        self.balance = balance

    def train(self, mode: bool = True) -> Learner:
        """As ``nn.Module.train``, but for parts all of whose weights are frozen: their statistics are frozen, too."""
        super().train(mode)
        for module in self.model.modules():
            weights = list(module.parameters())
            if weights and not any(p.requires_grad for p in weights):
                module.eval()
        return self

    def check(self, batch: Batch, items: int, never: frozenset[str] = frozenset()) -> None:
        """Refuses a first batch that lacks what an objective needs, and what an objective could not learn from.

        Args:
            items: of an epoch, over all processes.
            never: inputs that no item of the training data has.

        Raises:
            UserError: names the objective and what is missing.
        """
        for objective in self.objectives:
            lacking = sorted(objective.needs - set(batch.inputs))  # type: ignore[operator]
            if lacking:
                raise UserError(
                    f"objective {type(objective).__name__} needs {', '.join(lacking)}, which the data do not have",
                    "Choose another objective, or a corpus with these columns.",
                )
            unlabelled = sorted(never & objective.needs)  # type: ignore[operator]
            if unlabelled:
                raise UserError(
                    f"objective {type(objective).__name__}: no training item has {', '.join(unlabelled)}",
                    "Leave the objective out, or give some items what it learns from (data.pictured, data.texted).",
                )
            objective.ready(batch, items)  # type: ignore[operator]

    def forward(self, batch: Batch) -> Losses:
        views = Views(self.model, batch)
        losses: Losses = {}
        by_task = self.balance is not None and self.balance.by_task
        for number, objective in enumerate(self.objectives):
            some = views.having(objective.needs)  # type: ignore[arg-type]
            if len(some.batch) < 2:  # a batch by chance without two items that have what this objective needs
                continue
            found = objective(some)
            if by_task and found:
                losses[self.balance.tasks[number]] = torch.stack(list(found.values())).sum()  # type: ignore[index,union-attr]
                continue
            for name, value in found.items():
                losses[name] = losses[name] + value if name in losses else value
        if not losses:  # nothing to learn from this batch, which the loop goes on after
            losses["nothing"] = 0 * next(p for p in self.parameters() if p.requires_grad).sum()
        return losses

    def told(self) -> dict[str, float]:
        """What the objectives tell of the last batch beside their losses."""
        told: dict[str, float] = {}
        for objective in self.objectives:
            told |= objective.told  # type: ignore[arg-type]
        return told

    def after_step(self, step: int) -> None:
        with torch.no_grad():
            for objective in self.objectives:
                objective.after_step(self.model, step)  # type: ignore[operator]
