"""Several teachers as one: their vectors side by side, so that a cosine is the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import nn

from lookhear.core import Features, Padded, Section
from lookhear.errors import UserError
from lookhear.models.images import VectorTower

if TYPE_CHECKING:
    from lookhear.models.teacher import Teacher

__all__ = ["EnsembleTeacher", "joined"]


class EnsembleTeacher(Section):
    """The teachers of several runs, each of which counts the same; they stay as they are.

    The mistakes of teachers that learned apart, from other seeds or other data, average out, and what they agree on
    stays (Hansen and Salamon, 1990, "Neural network ensembles"; as teachers, Hinton et al., 2015, "Distilling the
    knowledge in a neural network"). D is the sum of theirs. They must read pictures and texts alike: teachers of one
    kind, size and encoder.

    Attributes:
        runs: their run folders, or what ``lookhear`` left in the folder ``teacher`` of each. Their weights are not
            copied, so a run that has learned from them needs these folders where they are.
    """

    kind: Literal["ensemble"] = "ensemble"
    runs: tuple[str, ...] = Field(min_length=2)

    @property
    def name(self) -> str:
        return " + ".join(self.runs)

    def build(self) -> Teacher:
        """
        Raises:
            UserError: a folder without a run, or teachers that read pictures or texts differently.
        """
        from lookhear.models.model import Model
        from lookhear.models.teacher import Teacher

        teachers = [Model.load(run).teacher for run in self.runs]
        for run, other in zip(self.runs[1:], teachers[1:], strict=True):
            _check_alike(teachers[0], other, self.runs[0], run)
        image = _over([t.image for t in teachers])
        lesson = _over([t.lesson or t.image for t in teachers]) if any(t.lesson for t in teachers) else None
        teacher = Teacher(image, _Texts([t.text for t in teachers]), sum(t.dim for t in teachers), lesson)
        teacher.own_weights = False
        return teacher.eval().requires_grad_(False)


def joined(parts: Sequence[Features]) -> Features:
    """Features of the same inputs by M towers → one of their summed width: ⟨x, y⟩ is the mean of the M cosines.

    So it is for local vectors, whose lengths are not kept: each tower has a measure of its own for them.
    """
    share = len(parts) ** -0.5
    pooled = torch.cat([F.normalize(p.pooled.float(), dim=-1) for p in parts], dim=-1) * share
    local = torch.cat([F.normalize(p.local.float(), dim=-1) for p in parts], dim=-1) * share
    return Features(pooled, local, parts[0].mask, parts[0].step)


def _over(towers: list[nn.Module]) -> nn.Module:
    return _Vectors(towers) if isinstance(towers[0], VectorTower) else _Images(towers)


class _Images(nn.Module):
    def __init__(self, towers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)
        self.size, self.grid, self.squash = (getattr(towers[0], name) for name in ("size", "grid", "squash"))

    def prepare(self, images: list[Image.Image]) -> Padded:
        first: Any = self.towers[0]
        prepared: Padded = first.prepare(images)
        return prepared

    def forward(self, x: Padded) -> Features:
        return joined([tower(x) for tower in self.towers])


class _Vectors(VectorTower):
    """A VectorTower to whoever asks what to give it; its maps are the members'."""

    def __init__(self, towers: Sequence[nn.Module]) -> None:
        nn.Module.__init__(self)
        self.towers = nn.ModuleList(towers)
        self.width = int(towers[0].width)  # type: ignore[arg-type]

    def forward(self, x: Padded) -> Features:
        return joined([tower(x) for tower in self.towers])


class _Texts(nn.Module):
    def __init__(self, towers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)

    def tokenize(self, texts: list[str]) -> Padded:
        first: Any = self.towers[0]
        tokens: Padded = first.tokenize(texts)
        return tokens

    def forward(self, x: Padded) -> Features:
        return joined([tower(x) for tower in self.towers])


def _check_alike(one: Teacher, other: Teacher, name: str, other_name: str) -> None:
    """
    Raises:
        UserError: they would have to be given different inputs for the same picture or text.
    """
    different = []
    if _reads_pictures(one.image) != _reads_pictures(other.image):
        different.append("pictures")
    if _reads_texts(one.text) != _reads_texts(other.text):
        different.append("texts")
    if different:
        raise UserError(
            f"teachers of {name} and {other_name} read {' and '.join(different)} differently, so they make no ensemble",
            "Name runs whose teachers are of one kind, size and encoder.",
        )


def _reads_pictures(tower: Any) -> tuple[Any, ...]:
    """What a tower makes of a picture before it looks at it, told by one that every cut and scale changes."""
    if isinstance(tower, VectorTower):
        return ("vectors", tower.width)
    picture = Image.fromarray((np.random.default_rng(0).random((61, 97, 3)) * 255).astype(np.uint8))
    return ("pictures", tower.grid, tower.prepare([picture]).values.numpy().tobytes())


def _reads_texts(tower: Any) -> tuple[Any, ...]:
    if isinstance(tower, _Texts):
        return _reads_texts(tower.towers[0])
    encoder = getattr(tower, "encoder", tower)
    return (type(tower), getattr(encoder, "name", ""), encoder.length, encoder.tokenizer.get_vocab())
