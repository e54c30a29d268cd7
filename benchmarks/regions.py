"""Which place in a picture goes with a word: the pointing game and IoU against masks, beside what needs no learning.

    python benchmarks/regions.py runs/book --on BOOK --as benchmarks/answers/regions-book.toml --images sheets
    python benchmarks/regions.py runs/photos --data DATA --as benchmarks/answers/regions-photos.toml --teach

Every section of kind "regions" of the recipe is measured on the recipe's test split, for each run. The height above
which a region is, is learned before that on its validation split. With --teach, the recipe's teacher is trained into
the run folder if it is not there yet; a run that has no speech tower is its teacher alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lookhear
from lookhear.api import find_corpus
from lookhear.data.schema import Corpus
from lookhear.models.model import Model
from lookhear.recipe import Recipe, load_recipe
from lookhear.tasks import Regions
from lookhear.tasks.base import Encoded
from lookhear.tasks.tables import tables
from lookhear.training.train import open_data, train_teacher
from region_pictures import montage, overlaid


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def model_of(run: Path, recipe: Recipe) -> Model:
    """The run's model, or the teacher that stands alone in its folder."""
    if (run / "model.json").is_file():
        return lookhear.load(run)
    model = Model.load(run / "teacher")
    model.compatibility = recipe.compatibility
    return model


def measure(model: Model, corpus: Corpus, recipe: Recipe, sections: list[Regions]) -> dict[str, Any]:
    """Section name → its result on the test split, the height learned on the validation splits."""
    held = Encoded(model, corpus.select(recipe.data.validation))
    test = Encoded(model, corpus.select(recipe.data.test))
    results = {}
    for section in sections:
        reason = section.missing(held.corpus) or section.missing(test.corpus)
        if reason is not None:
            say(f"skipped {section.name}: {reason}")
            continue
        learned = section.model_copy(update={"threshold": section.learned_threshold(held)})
        results[section.name] = learned.run(test)
    return results


def draw(model: Model, corpus: Corpus, section: Regions, count: int, path: Path) -> None:
    """The first words of the first pictures: nothing is chosen by hand."""
    encoded = Encoded(model, corpus)
    montage([overlaid(corpus, found) for found in islice(_spread(section, encoded), count)], 6, path)
    say(f"wrote {path}")


def _spread(section: Regions, encoded: Encoded) -> Iterator[Any]:
    """At most three words of a picture."""
    seen: dict[int, int] = {}
    for found in section.found(encoded):
        seen[found.row] = seen.get(found.row, 0) + 1
        if seen[found.row] <= 3:
            yield found


def main() -> None:
    parser = argparse.ArgumentParser(description="Regions of words in pictures.")
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--as", dest="recipe", required=True, help="the recipe whose sections are measured")
    parser.add_argument("--on", type=Path, help="a prepared corpus; by default the recipe's own data sets")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--teach", action="store_true", help="train the recipe's teacher where a run has none")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--images", type=Path, help="a folder for pictures with their maps")
    parser.add_argument("--count", type=int, default=18, help="how many of them")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    args = parser.parse_args()
    recipe = load_recipe(args.recipe, args.changes)
    if args.on is None and args.data is None:
        parser.error("name a corpus with --on, or the data root with --data or LOOKHEAR_DATA")
    corpus = open_data(recipe, args.data, False) if args.on is None else find_corpus(args.on, recipe, args.data)
    sections = [s for s in recipe.evaluate if isinstance(s, Regions)]
    every = {}
    for run in args.runs:
        if args.teach and not (run / "teacher" / "model.json").is_file():
            train_teacher(recipe, corpus, run, say=say)
        model = model_of(run, recipe)
        every[run.name] = measure(model, corpus, recipe, sections)
        print(f"\n{run}\n\n{tables(every[run.name])}", flush=True)
        if args.images:
            args.images.mkdir(parents=True, exist_ok=True)
            for section in (s for s in sections if s.name in every[run.name]):
                path = args.images / f"{run.name}-{section.name}.jpg"
                draw(model, corpus.select(recipe.data.test), section, args.count, path)
    if args.json:
        args.json.write_text(json.dumps(every, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"regions: {e}")
