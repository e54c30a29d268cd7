"""Runs that a recipe names: what lies in their folders is part of what it trains."""

from __future__ import annotations

from lookhear.models.ensemble import EnsembleTeacher
from lookhear.objectives.frozen import Follows, contents
from lookhear.recipe import Recipe

__all__ = ["runs_held", "runs_named"]


def runs_named(recipe: Recipe) -> tuple[str, ...]:
    """Folders of the runs that it begins from, whose teachers it joins, and that objectives learn from, in order."""
    objectives = [*recipe.objectives, *(o for stage in recipe.stages for o in stage.objectives)]
    followed = [run for o in objectives if isinstance(o, Follows) for run in o.followed()]
    joined = recipe.teacher.runs if isinstance(recipe.teacher, EnsembleTeacher) else ()
    return tuple(run for run in (recipe.teacher_run, recipe.speech_run, *joined, *followed) if run)


def runs_held(recipe: Recipe) -> str:
    """Digests of what these folders hold now; empty where none is named."""
    return contents(runs_named(recipe))
