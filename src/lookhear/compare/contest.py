"""Who is compared: recipes by label, each with its evaluation sections; refused before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookhear.errors import UserError
from lookhear.recipe import Recipe, load_recipe
from lookhear.tasks.base import Task

__all__ = ["Contestant", "contestants"]


@dataclass(frozen=True)
class Contestant:
    """One recipe of a comparison.

    Attributes:
        label: for people; unique.
        recipe: resolved; its seed is set for each run.
        sections: what it is measured by: its own sections, or the first recipe's where it has none.
    """

    label: str
    recipe: Recipe
    sections: tuple[Task, ...]

    def seeded(self, seed: int) -> Recipe:
        return self.recipe.model_copy(update={"seed": seed})


def contestants(recipes: Sequence[str], seeds: Sequence[int], changes: Iterable[str] = ()) -> list[Contestant]:
    """The recipes by name or path, with ``--set`` changes to every one of them.

    Raises:
        UserError: a mistake in a recipe, the same recipe or seed twice, or nothing to compare them by.
    """
    if twice := [s for s, n in Counter(seeds).items() if n > 1]:
        raise UserError(f"seed {twice[0]} is given twice", "Give each seed once.")
    if not recipes or not seeds:
        raise UserError("nothing to compare", "Give recipes and seeds.")
    changes = list(changes)
    resolved = [load_recipe(name, changes) for name in recipes]
    told = [_nameless(recipe) for recipe in resolved]
    for i, text in enumerate(told):
        for k in range(i):
            if text == told[k]:
                raise UserError(f"{recipes[k]} and {recipes[i]} are the same recipe", "Leave one out, or change it.")
    first = resolved[0].evaluate
    if not first:
        raise UserError(f"{recipes[0]}: no evaluation sections to compare by", "Add [[evaluate]].")
    stems = [Path(r).stem for r in recipes]
    labels = stems if len(set(stems)) == len(stems) else list(recipes)
    found = [Contestant(label, r, r.evaluate or first) for label, r in zip(labels, resolved, strict=True)]
    known = {_name(s) for s in first}
    for one in found:
        if twice_named := [n for n, count in Counter(s.name for s in one.sections).items() if count > 1]:
            raise UserError(
                f"{one.label}: several evaluation sections are called {twice_named[0]!r}", "Give each its own name."
            )
        if known.isdisjoint(map(_name, one.sections)):
            raise UserError(
                f"{one.label} and {labels[0]} have no evaluation section in common",
                "Give one the same kind and name in both.",
            )
    return found


def _nameless(recipe: Recipe) -> str:
    """Everything that a run depends on; the seed is the comparison's."""
    return recipe.model_copy(update={"name": "", "seed": 0}).to_toml()


def _name(section: Task) -> tuple[str, str]:
    return type(section).__name__, section.name
