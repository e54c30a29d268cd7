"""The demo for several seeds, and every figure that the project promises of it, mean and seed by seed.

    python benchmarks/picturebook_seeds.py --out runs/seeds            # seeds 0, 1 and 2: about half an hour
    python benchmarks/picturebook_seeds.py --out runs/seeds --seeds 0

A demo that is finished already is read, not run again; run it on a quiet machine, for its seconds are judged too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reporting import Row, figures_table

Tree = dict[str, Any]
DIRECTIONS = ("audio_to_image", "image_to_audio", "audio_to_text", "text_to_audio", "image_to_text", "text_to_image")


def demo(folder: Path, seed: int, quick: bool) -> Tree:
    """``results.json`` of one seed; each demo has a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "lookhear.cli", "demo", "--out", str(folder), "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as cache:  # nothing that an earlier demo kept may shorten this one
        subprocess.run(command + ["--quick"] * quick, check=True, env=os.environ | {"LOOKHEAR_CACHE": cache})
    tree: Tree = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    heard = json.loads((folder / "picturebook" / "corpus.json").read_text(encoding="utf-8"))["seconds of audio"]
    return tree | {"real_time": sum(heard.values()) / max(tree["seconds"]["data"], 1e-9)}


def promised(trees: Sequence[Tree]) -> list[Row]:
    """The figures that have a goal."""

    def row(name: str, read: Callable[[Tree], float], goal: float, **options: Any) -> Row:
        return Row(name, [read(t) for t in trees], goal, **options)

    def recall(direction: str, k: str) -> Callable[[Tree], float]:
        return lambda t: t["retrieval"][direction][k]

    size = trees[0]["retrieval"]["audio_to_image"]["size"]
    return [
        row("seconds of the whole demo", lambda t: t["seconds"]["total"], 600, at_most=True, scale=1, digits=0),
        row("peak memory, GB", lambda t: t["peak_memory_gb"], 4, at_most=True, scale=1, digits=2),
        row("picture book made, × real time", lambda t: t["real_time"], 300, scale=1, digits=0),
        row(f"audio → image R@10 among {size} scenes", recall("audio_to_image", "R@10"), 0.98),
        row(f"audio → image R@1 among {size} scenes", recall("audio_to_image", "R@1"), 0.75),
        row("text → audio R@10", recall("text_to_audio", "R@10"), 0.98),
        row("spotting, spoken words: mAP as a share of the teacher's by its best patch", share_of_teacher, 0.95),
        row("localisation, oracle accuracy", lambda t: t["localisation"]["oracle_accuracy"], 0.92),
        row("audio → image R@10: seen − unseen voices, points", voices_apart, 0.03, at_most=True),
    ]


def share_of_teacher(tree: Tree) -> float:
    """The speech tower's keyword mAP over the teacher's own on pictures: best moment against best patch."""
    spoken = tree["spotting"]["spoken"]
    return float(spoken["mAP"] / spoken["teacher_peak_mAP"])


def voices_apart(tree: Tree) -> float:
    seen, unseen = (tree["voices"][v]["audio_to_image_R@10"] for v in ("seen", "unseen"))
    return float(seen - unseen)


def both_towers(trees: Sequence[Tree]) -> list[Row]:
    """Our tower and the seed's, figure under figure."""
    rows = []
    for direction in DIRECTIONS[:4]:
        for k in ("R@1", "R@5", "R@10"):
            name = f"{direction.replace('_to_', ' → ')} {k}"
            rows += pair(f"{name}{chance(trees, direction) if k == 'R@10' else ''}", trees, "retrieval", direction, k)
    for words in ("spoken", "synonym", "unseen"):
        level = trees[0]["spotting"][words]["chance"]
        count = trees[0]["spotting"][words]["words"]
        rows += pair(f"spotting {words} mAP ({count} words, chance {100 * level:.1f})", trees, "spotting", words, "mAP")
        for key, what in (("teacher_peak_mAP", "best patch"), ("teacher_mAP", "whole picture")):
            rows.append(Row(f"… the teacher, on pictures, {what}", [t["spotting"][words][key] for t in trees]))
    level = trees[0]["localisation"]["chance"]
    rows += pair(f"localisation (chance {100 * level:.1f})", trees, "localisation", "oracle_accuracy")
    for voices in ("seen", "unseen"):
        rows += pair(f"audio → image R@10, {voices} voices", trees, "voices", voices, "audio_to_image_R@10")
    return rows


def chance(trees: Sequence[Tree], direction: str) -> str:
    return f" (chance {100 * trees[0]['retrieval'][direction]['chance_R@10']:.1f})"


def pair(name: str, trees: Sequence[Tree], *path: str) -> list[Row]:
    def read(tree: Tree) -> float:
        value: Any = tree
        for key in path:
            value = value[key]
        return float(value)

    return [
        Row(name, [read(t) for t in trees]),
        Row("… the seed's tower", [read(t["seed_tower"]) for t in trees]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="The demo for several seeds.")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the demos, one a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="a few scenes and steps: to see that this script runs")
    args = parser.parse_args()
    trees = [demo(args.out / f"seed-{seed}", seed, args.quick) for seed in args.seeds]
    print("### What is promised\n")
    print(figures_table(promised(trees), args.seeds))
    print("\n### All figures, in percent\n")
    print(figures_table(both_towers(trees), args.seeds))
    print("\n### Seconds\n")
    stages = list(trees[0]["seconds"])
    print(figures_table([Row(s, [t["seconds"][s] for t in trees], scale=1, digits=0) for s in stages], args.seeds))


if __name__ == "__main__":
    main()
