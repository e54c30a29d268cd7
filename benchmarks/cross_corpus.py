"""Cross-corpus matrix: what was learned on one corpus, asked on every other, in written words.

    python benchmarks/cross_corpus.py az=runs/az en=runs/en book=runs/book photos=runs/photos --data DATA --book BOOK

Each run (NAME=FOLDER, several folders of one name are seeds: NAME=FOLDER,FOLDER) is read by the evaluation sections of
every test set, with the run's own readings of time; the figure is the mAP over the words of that test set, its chance
beside it. DATA is the root of the real data sets, BOOK a prepared picture book.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import lookhear
from lookhear.data.schema import Corpus
from lookhear.recipe import load_recipe
from lookhear.tasks import Spotting
from lookhear.training.train import open_data
from reporting import markdown

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Figure = dict[str, float]


def test_sets(data: Path, book: Path) -> dict[str, tuple[Corpus, Spotting]]:
    """Name → items and the section that asks for words in them."""
    found = {}
    for title, recipe_name, name, root in (
        ("digits, Azerbaijani", "digits-az", "spotting", data),
        ("digits, English, a new speaker", "digits-en", "spotting", data),
        ("picture book, synthetic", "picturebook", "spoken", book),
        ("photo captions, synthetic", "photos", "spotting", data),
    ):
        recipe = load_recipe(recipe_name)
        (section,) = (s for s in recipe.evaluate if isinstance(s, Spotting) and s.name == name)
        corpus = open_data(recipe, root, progress=False).select(recipe.data.test)
        found[title] = (corpus, section)
    (photos,) = (s for s in load_recipe("photos").evaluate if isinstance(s, Spotting))
    real = lookhear.open_corpus(data / "spoken-captions-flickr", {"audio": "file", "group": "image"})
    found["photo captions, real people"] = (real, photos)
    asked = Spotting(words={w: w for w in DIGITS}, truth="text", template=["the digit {word}", "{word}"])
    commands = lookhear.open_corpus(data / "speech-commands-mini", {"audio": "file"})
    found["single words, many people"] = (commands, asked)
    return found


def measure(folder: Path, sets: Mapping[str, tuple[Corpus, Spotting]]) -> dict[str, Figure]:
    model = lookhear.load(folder)
    found = {}
    for title, (corpus, section) in sets.items():
        result: dict[str, Any] = lookhear.evaluate(model, corpus, split=None, sections=[section])[section.name]
        found[title] = {k: result["mAP"][k] for k in ("value", "low", "high", "chance", "size")}
        print(f"{folder} on {title}: {100 * found[title]['value']:.1f}", file=sys.stderr, flush=True)
    return found


def table(runs: Mapping[str, Sequence[dict[str, Figure]]], sets: Sequence[str]) -> list[list[str]]:
    rows = [["learned on \\ asked on", *sets]]
    for name, seeds in runs.items():
        cells = []
        for title in sets:
            of = [seed[title] for seed in seeds]
            span = f"[{100 * min(f['low'] for f in of):.1f}–{100 * max(f['high'] for f in of):.1f}]"
            cells.append(f"{100 * mean(f['value'] for f in of):.1f} {span}")
        rows.append([f"{name} ({len(seeds)})", *cells])
    first = next(iter(runs.values()))[0]
    rows.append(["chance", *(f"{100 * first[t]['chance']:.1f}" for t in sets)])
    rows.append(["recordings", *(f"{first[t]['size']:.0f}" for t in sets)])
    return rows


def as_study(runs: Mapping[str, Sequence[dict[str, Figure]]]) -> dict[str, Any]:
    """The table as ``forest.py`` reads it."""
    recipes = []
    for name, seeds in runs.items():
        figures = {}
        for title, first in seeds[0].items():
            of = [seed[title] for seed in seeds]
            ends = {"low": min(f["low"] for f in of), "high": max(f["high"] for f in of)}
            figures[title] = {"figure": "mAP", "mean": mean(f["value"] for f in of), "chance": first["chance"], **ends}
        recipes.append({"label": name, "figures": figures})
    return {"recipes": recipes}


def main() -> None:
    parser = argparse.ArgumentParser(description="Cross-corpus matrix.")
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER[,FOLDER…]")
    parser.add_argument("--data", type=Path, required=True, help="root of the real data sets")
    parser.add_argument("--book", type=Path, required=True, help="a prepared picture book")
    parser.add_argument("--json", type=Path, help="write the figures there too, for forest.py")
    args = parser.parse_args()
    folders = {name: rest.split(",") for name, _, rest in (r.partition("=") for r in args.runs)}
    sets = test_sets(args.data, args.book)
    runs = {name: [measure(Path(f), sets) for f in seeds] for name, seeds in folders.items()}
    if args.json:
        args.json.write_text(json.dumps(as_study(runs), indent=1), encoding="utf-8")
    print("mAP in %, mean over seeds (their number in brackets); lowest to highest end of the seeds' 95 % intervals\n")
    print(markdown(table(runs, list(sets))))


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"cross_corpus: {e}")
