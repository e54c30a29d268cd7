"""The figure that a study is about, read from an evaluation section's result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lookhear.data.schema import Corpus
from lookhear.errors import UserError, did_you_mean
from lookhear.recipe import Recipe
from lookhear.tasks.base import Task

__all__ = ["Metric", "NoFigureError", "find_metric"]

LOWER_IS_BETTER = ("EER", "median_rank")


class NoFigureError(UserError):
    """The section does not give the figure asked for: a mistake of the whole study, not of one trial."""


@dataclass(frozen=True)
class Metric:
    """``section.figure``, as in ``spoken.mAP`` or ``retrieval.text_to_audio.R@10``.

    Attributes:
        section: that gives it.
        path: keys of the figure in the section's result.
    """

    section: Task
    path: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join((self.section.name, *self.path))

    @property
    def direction(self) -> str:
        """ "maximize" or "minimize"."""
        if ".".join(self.path) == self.section.primary.removesuffix(".value"):
            return "maximize" if self.section.greater_is_better else "minimize"
        return "minimize" if self.path[-1] in LOWER_IS_BETTER else "maximize"

    def read(self, results: dict[str, Any]) -> float:
        """Its value in the results of evaluation sections.

        Raises:
            NoFigureError: it is not there; the figures that are, are named.
        """
        node: Any = results.get(self.section.name, {})
        for key in self.path:
            found = node.get(key) if isinstance(node, dict) else None
            if found is None:
                known = [k for k, v in node.items() if isinstance(v, dict)] if isinstance(node, dict) else []
                raise NoFigureError(
                    f"--metric {self.name}: no {key!r} on the validation items", did_you_mean(key, known)
                )
            node = found
        value = node.get("value") if isinstance(node, dict) else node
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            known = [k for k, v in node.items() if isinstance(v, dict)] if isinstance(node, dict) else []
            raise NoFigureError(
                f"--metric {self.name} is no figure", f"Go on below it: {', '.join(known) or 'nothing'}."
            )
        return float(value)


def find_metric(name: str, recipe: Recipe, validation: Corpus) -> Metric:
    """The metric of this name among the recipe's evaluation sections; "" is what chooses checkpoints, or the first.

    Raises:
        UserError: the recipe has no such section, or it cannot be run on the validation items.
    """
    sections = {section.name: section for section in recipe.evaluate}
    if not sections:
        raise UserError(f"recipe {recipe.name!r} has no evaluation sections to tune by", "Add [[evaluate]].")
    chosen, _, figure = (name or recipe.training.select or next(iter(sections))).partition(".")
    if chosen not in sections:
        raise UserError(f"--metric: no evaluation section {chosen!r}", did_you_mean(chosen, sections))
    section = sections[chosen]
    reason = section.missing(validation)
    if reason is not None:
        raise UserError(f"--metric {chosen}: {reason} among the validation items", "Choose another section.")
    return Metric(section, tuple((figure or section.primary).removesuffix(".value").split(".")))
