"""``lookhear demo``: the whole line at once, from drawn pictures to a report that a newcomer can read and play."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lookhear.recipe import Recipe

__all__ = ["run_demo"]

RECIPES = ("picturebook", "picturebook-seed")


def run_demo(
    out: Path | str,
    seed: int = 0,
    quick: bool = False,
    *,
    recipes: tuple[Recipe, Recipe] | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Picture book → teacher → our speech tower beside the seed's → evaluation → search → report.

    A stopped demo goes on where it was when it is started again with the same arguments; a finished one answers at
    once.

    Args:
        out: gets ``report.html``, ``results.json``, ``evaluation.json`` (with intervals), the picture book, both runs
            and an index of some recordings.
        seed: of the picture book and of all training.
        quick: a few scenes and steps: to see that everything runs, not what it can do.
        recipes: ours and the seed's; by default "picturebook" and "picturebook-seed".
        progress: bars on stderr.

    Returns:
        What ``results.json`` holds.

    Raises:
        UserError: the folder holds a demo of other settings, or a stage could not be run.
        KeyboardInterrupt: when what is being trained is saved.
    """
    from tqdm import tqdm

    from lookhear.demo import report, steps
    from lookhear.demo.clock import Clock
    from lookhear.demo.results import results_tree
    from lookhear.demo.towers import torch_threads
    from lookhear.models.model import write_atomically
    from lookhear.recipe import load_recipe

    out = Path(out)

    def say(line: str) -> None:
        tqdm.write(line, file=sys.stderr)  # bars that are on the screen make room for it

    ours, older = recipes or (load_recipe(RECIPES[0]), load_recipe(RECIPES[1]))
    demo = steps.Demo.of(out, seed, quick, ours, older)
    clock = Clock(out / "demo.json", {"seed": seed, "quick": quick}, 0.03 if quick else 1.0, say)
    if (out / "results.json").is_file() and (out / "report.html").is_file():
        say(f"finished already: {out / 'report.html'}")
        return dict(steps.read_json(out / "results.json"))
    with torch_threads(demo.threads):
        steps.draw_book(demo, clock, progress)
        steps.teach(demo, clock, progress)
        heard = steps.learn(demo, clock, progress, say)
        steps.measure(demo, clock, progress, say, heard)
        with clock.stage("search", "search and report"):
            steps.look_up(demo, progress)
            parts = report.gather(demo)
    evaluation = steps.read_json(out / "evaluation.json")
    spent = {
        "seconds": clock.seconds | {"total": clock.total()},
        "step_seconds": steps.step_seconds(demo),
        "memory": {"peak_memory_gb": clock.memory, "peak_resident_gb": clock.resident},
    }
    results = results_tree(evaluation, seed=seed, **spent)
    write_atomically(out / "report.html", report.write(parts, evaluation, results).encode())
    write_atomically(out / "results.json", report.as_json(results))
    say(f"report: {out / 'report.html'}")
    return results
