"""What a comparison found, as one JSON-able tree: figures over seeds, and differences from the first recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lookhear.compare.contest import Contestant
from lookhear.compare.measure import Measured, primary_figure
from lookhear.compare.significance import ENOUGH_SEEDS, holm, mean_interval, paired, paired_seeds
from lookhear.errors import UserError
from lookhear.training.train import Say

__all__ = ["summarise"]

Runs = Mapping[str, Sequence[Measured]]


def summarise(field: Sequence[Contestant], runs: Runs, say: Say) -> dict[str, Any]:
    """The tree of ``lookhear compare --json``, without its seconds.

    Args:
        field: who is compared, the first being what the others are compared with.
        runs: label → its runs, one a seed, in the same order of seeds for all.
        say: is told what cannot be compared, and why.

    Raises:
        UserError: the first recipe has no figure on these data, or some other has none in common with it.
    """
    recipes = [_recipe(one, runs[one.label]) for one in field]
    first = recipes[0]
    if not first["figures"]:
        raise UserError(f"{first['label']}: no primary figure on these data", "Compare on data its sections can use.")
    for one, recipe in zip(field[1:], recipes[1:], strict=True):
        if not first["figures"].keys() & recipe["figures"].keys():
            raise UserError(
                f"{one.label} and {first['label']} have no figure in common on these data",
                "Give them sections that both can be measured by.",
            )
        recipe["differences"] = _differences(first, recipe, runs[first["label"]], runs[one.label], say)
    for name in first["figures"]:
        having = [r["differences"][name] for r in recipes[1:] if name in r["differences"]]
        for difference, corrected in zip(having, holm([d["p"] for d in having]), strict=True):
            difference["p_holm"] = corrected
    return {
        "seeds": [run.seed for run in runs[field[0].label]],
        "interval_over": next(iter(runs[field[0].label][0].results.values()))["interval_over"],
        "recipes": recipes,
    }


def _recipe(one: Contestant, runs: Sequence[Measured]) -> dict[str, Any]:
    """A recipe's runs, and its figures over them."""
    speeds = [r.utterances_per_second for r in runs if r.utterances_per_second is not None]
    figures = {}
    for section in one.sections:
        found = [primary_figure(section, run.results) for run in runs]
        if any(f is None for f in found) or any(section.name not in run.resampled for run in runs):
            continue
        values = [f["value"] for f in found if f is not None]
        drawn = np.stack([run.resampled[section.name].values for run in runs])
        low, high = mean_interval(values, drawn)
        figures[section.name] = {
            "figure": section.primary.removesuffix(".value"),
            "mean": float(np.mean(values)),
            "low": low,
            "high": high,
            "sd": float(np.std(values, ddof=1)) if len(values) >= ENOUGH_SEEDS else None,
            "chance": found[0]["chance"] if found[0] else None,
            "size": found[0]["size"] if found[0] else None,
            "greater_is_better": section.greater_is_better,
            "by_seed": values,
        }
    return {
        "label": one.label,
        "name": one.recipe.name,
        "parameters": runs[0].parameters,
        "utterances_per_second": float(np.mean(speeds)) if speeds else None,
        "seconds": {k: float(np.mean([r.seconds[k] for r in runs])) for k in runs[0].seconds},
        "figures": figures,
        "differences": {},
        "runs": [
            {
                "seed": run.seed,
                "folder": str(run.folder),
                "reused": run.reused,
                "seconds": run.seconds,
                "utterances_per_second": run.utterances_per_second,
            }
            for run in runs
        ],
    }


def _differences(
    first: dict[str, Any], recipe: dict[str, Any], base: Sequence[Measured], runs: Sequence[Measured], say: Say
) -> dict[str, Any]:
    """Section name → difference from the first recipe, where both were asked the same of the same items."""
    found = {}
    for name, figure in recipe["figures"].items():
        other = first["figures"].get(name)
        if other is None:
            continue
        same = all(a.resampled[name].drawn == b.resampled[name].drawn for a, b in zip(runs, base, strict=True))
        if not same or any(figure[k] != other[k] for k in ("figure", "chance", "size")):
            say(f"{name}: {recipe['label']} was not asked the same as {first['label']}: no difference is taken")
            continue
        drawn, base_drawn = (np.stack([run.resampled[name].values for run in each]) for each in (runs, base))
        found[name] = paired(figure["by_seed"], other["by_seed"], drawn, base_drawn) | {
            "over_seeds": paired_seeds(figure["by_seed"], other["by_seed"])
        }
    return found
