"""Spotting on tapes whose every word is known: precision, recall and F1 at the threshold that `lookhear spot` uses.

    python benchmarks/spot_tapes.py digits-az=runs/az-0,runs/az-1 book=runs/book --data DATA --book BOOK --out tapes

SET=RUN[,RUN…]: a set of tapes (digits-az, digits-en, book, words-lt, commands-en, captions-flickr) and the runs that
are asked for its words in writing; several are seeds of one. The recordings of a set are those of its test split, so of
speakers that no run of its corpus heard; they are strung into tapes once, under OUT (see tape_sets.py).

F1 is that of the default threshold. "best F1" is that of the best single score on these very tapes: an upper bound, for
nobody knows it beforehand (a model that was not calibrated goes by each word's own statistics, and may pass it). Chance
F1 gives the same hits other words' names. The picture book's speech is synthetic.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import lookhear
from lookhear.core import Hit
from lookhear.models.model import Model
from lookhear.search.spot import spot
from reporting import markdown
from tape_scores import Found, as_rows, figures
from tape_sets import SETS, TapeSet, open_set

__all__ = ["founds", "lowest", "measure"]


def lowest(model: Model) -> float:
    """A threshold that leaves nothing of interest out: a probability of a calibrated model, else a cosine."""
    return 0.02 if model.calibration is not None else 0.0


def founds(tapes: TapeSet, hits: Iterator[Hit]) -> list[Found]:
    """Hits as they are scored: by probability, where there is one."""
    number = {str(file): i for i, file in enumerate(tapes.files)}
    out = []
    for h in hits:
        score = h.score if h.probability is None else h.probability
        out.append(Found(number[h.file], h.query, h.start, h.end, score, h.probability))
    return out


def measure(run: Path, tapes: TapeSet, threshold: float | None = None) -> dict[str, Any]:
    """Figures of a run's hits at ``threshold``, by default that of `lookhear spot`."""
    model = lookhear.load(run)
    words = tapes.truth.words
    default = founds(tapes, spot(model, tapes.files, words, threshold=threshold))
    every = founds(tapes, spot(model, tapes.files, words, threshold=lowest(model)))
    return figures(default, every, tapes.truth)


def _told(name: str, tapes: TapeSet, runs: list[dict[str, Any]]) -> None:
    truth = tapes.truth
    unit = "words" if truth.timed else "clips that say a word"
    print(
        f"\n### {name}: {len(truth.said)} {unit} of {len(truth.words)}, {len(tapes.files)} tapes, "
        f"{sum(truth.seconds) / 60:.1f} min\n"
    )
    if len(runs) > 1:
        keys = ("F1", "best F1", "mAP")
        means = {k: fmean(r[k] if isinstance(r[k], float) else r[k]["value"] for r in runs) for k in keys}
        print(f"means of {len(runs)} runs: " + ", ".join(f"{k} {100 * m:.1f}" for k, m in means.items()) + "\n")
    print(markdown(as_rows({f"run {i}": r for i, r in enumerate(runs)})))
    each = {w: fmean(r["per_word"][w] for r in runs) for w in truth.words}
    print("\nF1 by word: " + ", ".join(f"{w} {100 * f:.0f}" for w, f in sorted(each.items(), key=lambda x: -x[1])))
    sure = runs[0]["calibration"]
    if sure is not None:
        bins = ", ".join(f"{p:.2f} → {q:.2f} ({n})" for p, q, n in sure["bins"])
        print(f"\nprobability → share right (hits), run 0: {bins}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="Spotting on tapes.")
    parser.add_argument("runs", nargs="+", metavar="SET=RUN[,RUN…]", help=f"sets: {', '.join(SETS)}")
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--book", type=Path, help="a prepared picture book")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tapes")
    parser.add_argument("--split", default="test")
    parser.add_argument("--passes", type=int, default=1, help="how often each recording is told, in other orders")
    parser.add_argument("--threshold", type=float, help="instead of the default one")
    parser.add_argument("--json", type=Path, help="write all figures there too")
    args = parser.parse_args()
    results = {}
    for given in args.runs:
        name, _, folders = given.partition("=")
        tapes = open_set(name, args.split, args.out, args.data or Path(), args.book, args.passes)
        runs = [measure(Path(folder), tapes, args.threshold) for folder in folders.split(",")]
        results[given] = runs
        _told(name, tapes, runs)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"spot_tapes: {e}")
