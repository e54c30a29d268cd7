"""Verbs about many runs: recipes compared over seeds, and a recipe tuned."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from lookhear.cli.options import DATA, FOLDER, as_json_text, say
from lookhear.errors import UserError

__all__ = ["VERBS"]


class _Several(click.Command):
    """A verb whose option takes several values at once, as in ``--seeds 0 1 2``: as if it were given for each."""

    takes: tuple[str, Callable[[str], object]]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        option, fits = self.takes
        spread: list[str] = []
        taking, taken = False, 0
        for word in args:
            if word == option:
                taking, taken = True, 0
                spread.append(word)
            elif taking and (taken == 0 or fits(word)):
                spread += [option, word] if taken else [word]
                taken += 1
            else:
                taking = False
                spread.append(word)
        return super().parse_args(ctx, spread)


class _Seeds(_Several):
    takes = ("--seeds", str.isdecimal)


class _Searches(_Several):
    takes = ("--search", re.compile(r"[^-=][^=]*=.").match)


CHANGES = click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the recipe(s): section.key=value."
)


@click.command(cls=_Seeds, short_help="Train several recipes over seeds and compare them.")
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...")
@DATA
@click.option("--seeds", type=click.IntRange(0), multiple=True, default=(0,), metavar="SEED...", show_default=True,
              help="Each recipe is trained with each: --seeds 0 1 2.")  # fmt: skip
@click.option("--out", type=FOLDER, required=True, help="Keeps the runs; what was begun there is gone on with.")
@CHANGES
@click.option("--html", type=FOLDER, metavar="FILE", help="Write a page with learning curves and words one by one.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON instead of the table.")
def compare(
    recipes: tuple[str, ...],
    data: Path | None,
    seeds: tuple[int, ...],
    out: Path,
    changes: tuple[str, ...],
    html: Path | None,
    as_json: bool,
) -> None:
    """Train each RECIPE with each seed (or use the run that is there), and measure all on the same test items.

    One table: a row a recipe, its primary figures with 95 % intervals, and differences from the first recipe with
    paired significance.
    """
    if data is None:
        raise UserError("no data to train on", "Name the data root with --data, or set LOOKHEAR_DATA.")
    from lookhear.compare.page import write_page
    from lookhear.compare.run import compare as run
    from lookhear.compare.table import table

    found = run(recipes, data, out, seeds, changes=changes, progress=sys.stderr.isatty(), say=say)
    if html is not None:
        say(f"page: {write_page(found, html)}")
    click.echo(as_json_text(found.summary) if as_json else table(found.summary))


@click.command(cls=_Searches, short_help="Search a recipe's numbers on validation items.")
@click.argument("recipe")
@DATA
@click.option("--out", type=FOLDER, required=True, help="Keeps study and runs, gets best.toml; a study there goes on.")
@click.option("--trials", type=click.IntRange(1), required=True, help="Finished trials in all, earlier calls included.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that train at once.")
@click.option("--search", "searches", multiple=True, metavar="KEY=LOW:HIGH[:log]...",
              help="A key and its range, whole numbers if both ends are; or choices: key=a,b,c.")  # fmt: skip
@click.option("--space", type=FOLDER, metavar="FILE", help="The same in TOML: key = {low, high, log} or key = [a, b].")
@click.option("--metric", default="", metavar="SECTION.FIGURE",
              help="An evaluation section or a figure of it; by default what chooses checkpoints.")  # fmt: skip
@click.option("--prune", is_flag=True, help="Give trials up that validate worse than half of those before.")
@CHANGES
def tune(
    recipe: str,
    data: Path | None,
    out: Path,
    trials: int,
    workers: int,
    searches: tuple[str, ...],
    space: Path | None,
    metric: str,
    prune: bool,
    changes: tuple[str, ...],
) -> None:
    """Search numbers of RECIPE with Optuna, each trial a run.

    The metric is read on the recipe's validation items only: the test split is never looked at. The best recipe is
    written to best.toml in --out; stopped and run again, the study goes on.
    """
    if data is None:
        raise UserError("no data to train on", "Name the data root with --data, or set LOOKHEAR_DATA.")
    from lookhear.tuning.space import parse_search, read_space
    from lookhear.tuning.study import tune as run
    from lookhear.tuning.table import table

    dimensions = [*(read_space(space) if space is not None else []), *map(parse_search, searches)]
    found = run(
        recipe, data, out, trials, dimensions,
        changes=changes, metric=metric, workers=workers, prune=prune, progress=sys.stderr.isatty(), say=say,
    )  # fmt: skip
    say(f"best recipe: {found.best}")
    click.echo(table(found))


VERBS = (compare, tune)
