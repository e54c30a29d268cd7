"""InfoNCE against the pairs of past steps too, which a queue holds."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, gather
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.late import register_late_buffer

__all__ = ["Queue", "QueuedInfoNCE"]


class Queue(nn.Module):
    """The latest pairs of vectors with their groups, newest first; whole batches only.

    Whole batches, because the order within a batch depends on how processes share it: what a queue of half a batch
    held would depend on it too.
    """

    a: Tensor
    b: Tensor
    group: Tensor
    held: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        register_late_buffer(self, "a", torch.zeros(size, 0))
        register_late_buffer(self, "b", torch.zeros(size, 0))
        self.register_buffer("group", torch.zeros(size, dtype=torch.long))
        self.register_buffer("held", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, a: Tensor, b: Tensor, group: Tensor) -> None:
        """Takes B pairs (B, D) and their groups in; what no longer fits, the oldest, is dropped.

        Raises:
            UserError: the queue holds less than a batch.
        """
        n, room = len(group), self.size // len(group) * len(group)
        if not room:
            raise UserError(f"a queue of {self.size} pairs is smaller than a batch of {n}", "Raise its 'size'.")
        if not self.a.shape[1]:
            self.a, self.b = (x.new_zeros(self.size, x.shape[1], dtype=torch.float32) for x in (a, b))
        for kept, new in ((self.a, a), (self.b, b), (self.group, group)):
            kept[:room] = torch.cat([new.to(kept.dtype), kept[: room - n]])
        self.held.fill_(min(int(self.held) + n, room))

    def logits(self, side: Literal["a", "b"], x: Tensor, group: Tensor, scale: Tensor) -> Tensor:
        """(B, D) unit vectors of the other side and their groups → (B, held) scaled cosines; −inf in one group."""
        held = int(self.held)
        if not held:
            return x.new_zeros(len(x), 0)
        keys: Tensor = getattr(self, side)[:held]
        return (x @ keys.T * scale).masked_fill(group[:, None] == self.group[None, :held], float("-inf"))


class QueuedInfoNCE(InfoNCE):
    """InfoNCE with the pairs of past steps as further negatives of both sides.

    L = ½ [CE(s a [b, queue of b]ᵀ) + CE(s b [a, queue of a]ᵀ)]: as many negatives as the queue holds at the memory of
    a batch (He et al., 2020, MoCo, section 3.2; Li et al., 2021, ALBEF, section 3.2). Items of one group are never
    negatives, so neither is a recording's own picture of an epoch ago. The keys are those the towers gave then (Wang et
    al., 2020, "Cross-batch memory for embedding learning"); ``MomentumDistillation`` queues those of a slower tower.
    """

    class Config(InfoNCE.Config):
        """What is kept.

        Attributes:
            size: pairs; best a multiple of the batch size, since whole batches are kept.
            bank: where the batch brings more items of b, frozen vectors of all pictures, those are what a is told
                apart from, and not the queue's b, which are among them.
        """

        about: ClassVar[About] = About(
            name="queue",
            title="pairs of past steps as negatives",
            kind="objective",
            family="cross-modal contrast",
            paper="He et al., 2020, Momentum Contrast for Unsupervised Visual Representation Learning, CVPR",
            inputs=("audio", "image", "text"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["queue"] = "queue"  # type: ignore[assignment]
        size: int = Field(4096, ge=1)
        bank: bool = True

        def build(self) -> QueuedInfoNCE:
            return QueuedInfoNCE(self)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.queue = Queue(config.size) if config.size else None
        self.bank = config.bank
        self._latest: tuple[Tensor, Tensor, Tensor] | None = None

    def forward(self, views: Views) -> Losses:
        losses = super().forward(views)
        self.note(views)
        return losses

    def logits(self, views: Views) -> tuple[Tensor, Tensor]:
        """As ``InfoNCE.logits``, with what the queue holds as further columns of either side."""
        scores, ignore = self.scores(views)
        scale = self.scale()
        near = (scores * scale).masked_fill(ignore, float("-inf"))
        there, back, bank = near, near.T, self.bank and views.more(self.b) is not None
        if bank:
            there = self._with_more(near, scale, views)
        if self.queue is not None:
            a, b, group = self._pairs(views)
            back = torch.cat([back, self.queue.logits("a", b, group, scale)], dim=1)
            if not bank:
                there = torch.cat([there, self.queue.logits("b", a, group, scale)], dim=1)
        return there, back

    def _pairs(self, views: Views) -> tuple[Tensor, Tensor, Tensor]:
        a, b = (gather(views[name].pooled).float() for name in (self.a, self.b))
        return a, b, gather(views.group)

    def note(self, views: Views) -> None:
        """Remembers a training step's pairs until the step is done."""
        if self.training and self.queue is not None:
            with torch.no_grad():
                a, b, group = self._pairs(views)
            self._latest = a.detach(), b.detach(), group

    def after_step(self, model: nn.Module, step: int) -> None:
        if self._latest is not None and self.queue is not None:
            self.queue.push(*self._latest)
            self._latest = None
