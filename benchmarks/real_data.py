"""Real data, seed by seed: trains the recipes `digits-az`, `digits-en` and `photos`, measures them, prints tables.

    python benchmarks/real_data.py --data DATA --out runs/real                   # everything, seeds 0, 1 and 2
    python benchmarks/real_data.py --data DATA --out runs/real --recipes digits-az --seeds 0

DATA (or LOOKHEAR_DATA) is the data root that holds the folders the recipes name. Finished runs are read again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lookhear
from reporting import Row, figures_table, markdown

Results = dict[str, Any]
REAL_CAPTIONS = "spoken-captions-flickr"
"""Real people's speech, for the recipe that is trained on synthetic speech."""

GOALS: dict[str, dict[str, float]] = {
    "digits-az": {"mAP": 0.99, "accuracy": 0.98, "seconds": 120},
    "digits-en": {"mAP": 0.85, "accuracy": 0.70},
    "photos": {"mAP": 0.55, "audio_to_image": 0.52, "image_to_audio": 0.55, "seconds": 600, "real mAP": 0.38},
}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(recipe: str, seed: int, data: Path, out: Path, changes: Sequence[str]) -> Results:
    """One run: trained if it is not yet, and evaluated on its test items; seconds, and what real speech gives."""
    folder = out / f"{recipe}-{seed}"
    run = lookhear.train(recipe, data, folder, changes=[f"seed={seed}", *changes], say=say)
    found: Results = {"test": lookhear.evaluate(folder, data=data, split=run.recipe.data.test, say=say)}
    if any(s.name == REAL_CAPTIONS for s in run.recipe.data.sources):
        found["real"] = lookhear.evaluate(folder, REAL_CAPTIONS, data=data, say=say)
    found["seconds"] = run.seconds
    (out / f"{recipe}-{seed}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def rows(recipe: str, runs: Sequence[Results]) -> list[Row]:
    """The figures of one recipe over its runs."""
    goals = GOALS.get(recipe, {})
    table = []
    for name in ("mAP", "accuracy", "P@10"):
        if runs[0]["test"]["spotting"].get(name) is not None:
            table.append(row(f"keyword {name}", [r["test"]["spotting"][name] for r in runs], goals.get(name)))
    for key, what in (("teacher_mAP", "pooled"), ("teacher_peak_mAP", "best patch")):
        teacher = [r["test"]["spotting"].get(key) for r in runs]
        if None not in teacher:
            table.append(row(f"keyword mAP of the teacher, on pictures, {what}", teacher))
    for direction in ("audio_to_image", "image_to_audio", "text_to_audio"):
        found = [r["test"]["retrieval"].get(direction) for r in runs]
        if found[0] is None:
            continue
        title = direction.replace("_to_", " → ")
        for k in ("R@1", "R@10"):
            table.append(row(f"{title} {k}", [f[k] for f in found], goals.get(direction) if k == "R@10" else None))
        if "P@10" in found[0]:
            table.append(row(f"{title} P@10", [f["P@10"] for f in found]))
    if "real" in runs[0]:
        real = [r["real"]["spotting"]["mAP"] for r in runs]
        table.append(row("real speech: keyword mAP", real, goals.get("real mAP")))
        for end in ("low", "high"):
            table.append(Row(f"… its 95 % interval, {end}", [f[end] for f in real]))
        recall = [r["real"]["retrieval"].get("text_to_audio") for r in runs]
        if recall[0] is not None:
            table += [row(f"real speech: text → audio {k}", [f[k] for f in recall]) for k in ("R@1", "R@5", "R@10")]
    trained = [r["seconds"]["teacher"] + r["seconds"]["speech"] for r in runs]
    table.append(Row("seconds of training", trained, goals.get("seconds"), at_most=True, scale=1, digits=0))
    return table


def row(name: str, figures: Sequence[dict[str, Any]], goal: float | None = None) -> Row:
    """A figure with its chance and size in its name."""
    first = figures[0]
    chance = "" if first["chance"] is None else f"chance {100 * first['chance']:.1f}, "
    return Row(f"{name} ({chance}of {first['size']})", [f["value"] for f in figures], goal)


def confusion(runs: Sequence[Results]) -> str:
    """Who was taken for whom, summed over the seeds; rows are true, columns answered."""
    tables = [r["test"]["spotting"]["confusion"] for r in runs]
    labels = tables[0]["labels"]
    counts = [[sum(t["counts"][i][j] for t in tables) for j in range(len(labels))] for i in range(len(labels))]
    return markdown([["true \\ answered", *labels], *([w, *map(str, c)] for w, c in zip(labels, counts, strict=True))])


def main() -> None:
    parser = argparse.ArgumentParser(description="Real data, seed by seed.")
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--recipes", nargs="+", default=list(GOALS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="change the recipes")
    args = parser.parse_args()
    if args.data is None:
        parser.error("name the data root with --data, or set LOOKHEAR_DATA")
    args.out.mkdir(parents=True, exist_ok=True)
    for recipe in args.recipes:
        runs = [measure(recipe, seed, args.data, args.out, args.changes) for seed in args.seeds]
        print(f"\n### {recipe}\n")
        print(figures_table(rows(recipe, runs), args.seeds), flush=True)
        if "confusion" in runs[0]["test"]["spotting"]:
            print(f"\nAnswers on the test recordings, {len(runs)} runs together:\n")
            print(confusion(runs), flush=True)


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"real_data: {e}")
