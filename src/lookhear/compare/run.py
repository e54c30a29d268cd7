"""``lookhear compare``: train or use again, measure, summarise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookhear.compare.contest import contestants
from lookhear.compare.measure import Bench, Measured
from lookhear.compare.summary import summarise
from lookhear.training.train import Say

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        summary: the tree that ``--json`` prints.
        runs: label → its runs, one a seed.
    """

    summary: dict[str, Any]
    runs: dict[str, list[Measured]]


def compare(
    recipes: Sequence[str],
    data: Path | str,
    out: Path | str,
    seeds: Sequence[int] = (0,),
    *,
    changes: Iterable[str] = (),
    progress: bool = True,
    say: Say = lambda line: None,
) -> Comparison:
    """Trains every recipe with every seed and compares them on the first one's test items.

    Runs lie in ``out/runs`` under a hash of all they depend on: one that is there is used as it is, one that was
    stopped is gone on with. Teachers that several runs begin from are trained once.

    Args:
        recipes: names or paths; the others are compared with the first.
        data: the data root, or a prepared corpus.
        out: keeps runs, teachers and evaluations.
        seeds: each recipe is trained once with each.
        changes: ``section.key=value``, to all recipes.
        progress: bars on stderr.
        say: gets a line for each run and stage.

    Raises:
        UserError: the same recipe or seed twice, nothing in common to compare by, or any mistake of a single run.
    """
    began = time.monotonic()
    field = contestants(recipes, seeds, changes)
    bench = Bench(Path(data), Path(out), progress, say)
    items = bench.items(field[0].recipe)
    runs: dict[str, list[Measured]] = {one.label: [] for one in field}
    # Seed by seed: a comparison that is stopped half way has as many runs of each recipe.
    for seed in seeds:
        for one in field:
            say(f"{one.label}, seed {seed}")
            runs[one.label].append(bench.measure(one, seed, items))
    summary = summarise(field, runs, say)
    spent = sum(run.wall for measured in runs.values() for run in measured)
    total = time.monotonic() - began
    # Of this call alone: what was found in place took no time.
    summary["seconds"] = {"runs": spent, "total": total, "overhead": total - spent}
    return Comparison(summary, runs)
