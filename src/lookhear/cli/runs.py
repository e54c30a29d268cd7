"""Verbs about runs: the demo, training, evaluation; and the recipes."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lookhear.cli import searching
from lookhear.cli.options import DATA, FOLDER, as_json_text, pair, say
from lookhear.cli.spotting import calibrate, spot
from lookhear.errors import UserError, did_you_mean

__all__ = ["VERBS", "demo"]


@click.command(short_help="The whole line, on a made-up picture book.")
@click.option("--out", type=FOLDER, default=Path("demo-out"), show_default=True, help="Folder of the report.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A few scenes and steps only: to see that everything runs.")
def demo(out: Path, seed: int, quick: bool) -> None:
    """The whole line on a made-up picture book: data, teacher, speech, evaluation, search, report."""
    from lookhear.demo import run_demo

    run_demo(out, seed, quick)


@click.command(short_help="Train a recipe; leaves a run folder.")
@click.argument("recipe")
@DATA
@click.option("--out", type=FOLDER, required=True, help="The run folder; a stopped run in it goes on.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the recipe: section.key=value.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.")
def train(
    recipe: str, data: Path | None, out: Path, changes: tuple[str, ...], threads: int | None, seed: int | None
) -> None:
    """Train RECIPE (a name, see `lookhear recipes`, or a file) and leave a run folder."""
    if data is None:
        raise UserError("no data to train on", "Name the data root with --data, or set LOOKHEAR_DATA.")
    from lookhear.training.train import train as run

    more = [f"{k}={v}" for k, v in (("threads", threads), ("seed", seed)) if v is not None]
    run(recipe, data, out, changes=[*changes, *more], say=say)
    click.echo(out)


@click.command(short_help="Measure a run, on its own data or any corpus.")
@click.argument("run", type=FOLDER)
@click.option("--on", metavar="CORPUS", help="A corpus folder, a manifest, or a data set's name under --data.")
@click.option("--split", help="Its items; the recipe's test split by default.")
@DATA
@click.option("--columns", multiple=True, metavar="OURS=THEIRS", help="What a column is called in CORPUS.")
@click.option("--as", "like", metavar="RECIPE", help="By the sections, and on the data, of another recipe.")
@click.option("--json", "json_file", type=FOLDER, metavar="FILE", help="Write the figures as JSON too ('-': stdout).")
def evaluate(
    run: Path,
    on: str | None,
    split: str | None,
    data: Path | None,
    columns: tuple[str, ...],
    like: str | None,
    json_file: Path | None,
) -> None:
    """Measure RUN by its own evaluation sections, on its own test items or on any corpus."""
    from lookhear.api import by_kind, recipe_of
    from lookhear.api import evaluate as measure
    from lookhear.models.model import write_atomically
    from lookhear.recipe import load_recipe
    from lookhear.tasks.tables import tables

    named = dict(pair("--columns", c) for c in columns)
    other = load_recipe(like) if like else None
    split, shown = split or (other or recipe_of(run)).data.test, sys.stderr.isatty()
    results = measure(run, on, split, data=data, columns=named, like=other, progress=shown, say=say)
    if json_file == Path("-"):
        click.echo(as_json_text(by_kind(results)))
        return
    if json_file is not None:
        write_atomically(json_file, (as_json_text(by_kind(results)) + "\n").encode())
    click.echo(tables(results))


@click.command(short_help="List or print the recipes.")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a recipe, for editors.")
def recipes(name: str | None, schema: bool) -> None:
    """List the recipes that come with LookHear, or print one."""
    if schema:
        from lookhear.recipe import json_schema

        click.echo(json_schema())
        return
    from importlib import resources

    # Not through lookhear.recipe, which imports torch to know what a recipe may say.
    folder = resources.files("lookhear") / "recipes"
    texts = {p.name[:-5]: p.read_text(encoding="utf-8") for p in folder.iterdir() if p.name.endswith(".toml")}
    if name is not None:
        if name not in texts:
            raise UserError(f"no recipe {name!r}", did_you_mean(name, texts))
        click.echo(texts[name], nl=False)
        return
    for known in sorted(texts):
        first = next((line for line in texts[known].splitlines() if line.startswith("#")), "")
        click.echo(f"{known:<16}  {first.lstrip('# ')}".rstrip())


VERBS = (train, evaluate, calibrate, *searching.VERBS, spot, recipes)
