"""What a method is: where it comes from, and what it needs to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["About", "Family", "Kind"]

Kind = Literal["objective", "pairs", "balance", "strategy", "teacher"]
"""The seam that a method plugs into: a loss, what meets in a batch, how losses are weighed, the order of stages, or
where targets come from."""

Family = Literal[
    "transformation prediction",
    "masked prediction",
    "temporal contrast",
    "instance contrast",
    "cross-modal contrast",
    "clustering",
    "no negatives",
    "distillation",
    "multi-task",
]
"""Families of self-supervised objectives (after Deldari et al., 2022), and multi-task learning beside them."""


@dataclass(frozen=True, slots=True)
class About:
    """One row of the taxonomy that ``lookhear methods`` prints.

    Attributes:
        name: as recipes and ``lookhear methods NAME`` call it; results of its benchmark go by it.
        title: a few words.
        paper: authors, year, title and venue.
        inputs: what it learns from: "audio", "image", "text".
        negatives, second_modality, order, moving_average, augmentation: whether it needs negatives, another modality
            beside the first, the order of time or place, a slowly moving copy of a tower, and augmented views.
        recipe: a recipe that uses it; empty where none of those that come with LookHear does.
    """

    name: str
    title: str
    kind: Kind
    family: Family
    paper: str
    inputs: tuple[str, ...]
    recipe: str = ""
    negatives: bool = False
    second_modality: bool = False
    order: bool = False
    moving_average: bool = False
    augmentation: bool = False
