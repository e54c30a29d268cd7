"""Word times of real people: Lithuanian words, hand-marked, located on tapes that put them in random order.

    python benchmarks/word_times.py --data DATA --out runs/lt --seeds 0 1 2

DATA holds word-times-lt: 17 speakers, each saying the same 20 words in the same order, so recordings are cut at the
pauses and strung anew (lookhear.data.tapes): where a word stands tells nothing. There are no pictures of these words.
The recipe answers/word-times-lt.toml learns from the words as they are written, from the 11 training speakers; measured
is the oracle accuracy of localisation (docs/protocols.md) on tapes of half a minute of the four test speakers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

import lookhear
from lookhear.core import RATE
from lookhear.data.pieces import load_even, pieces_of
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.data.tapes import Tapes, string_tapes
from lookhear.recipe import load_recipe
from reporting import markdown

RECIPE = Path(__file__).parent / "answers" / "word-times-lt.toml"
CUT = "word-times-lt-cut"


def cut(corpus: Corpus, folder: Path) -> None:
    """The words of the training speakers, a recording each, and a vector for each word, that of no picture."""
    train = corpus.select("train")
    pieces = [p for p in pieces_of(train, "text", 0.3) if len(p.said) == 1]
    words = sorted({p.said[0][0] for p in pieces})
    speakers = train.column("speaker")
    with new_folder(folder) as building, (building / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        rows: list[dict[str, Any]] = []
        for i, word in enumerate(words):
            vector = np.eye(len(words))[i].tolist()
            rows.append({"id": f"word-{i}", "text": word, "word": word, "vector": vector, "split": "train"})
        for i, piece in enumerate(pieces):
            wave = load_even(train, piece.row)[round(piece.start * RATE) : round(piece.end * RATE)]
            sf.write(building / f"{i:03d}.flac", wave, RATE)
            told = {"audio": f"{i:03d}.flac", "text": piece.said[0][0], "word": piece.said[0][0], "split": "train"}
            rows.append({"id": f"{i:03d}", "speaker": speakers[piece.row], **told})
        manifest.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Lithuanian words, located.")
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="a folder for cut words, tapes and runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="change the recipe")
    args = parser.parse_args()
    if args.data is None:
        parser.error("name the data root with --data, or set LOOKHEAR_DATA")
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = lookhear.open_corpus(args.data / "word-times-lt", {"audio": "file"})
    if not (args.out / CUT).is_dir():
        cut(corpus, args.out / CUT)
    tapes = args.out / "tapes"
    if not tapes.is_dir():
        string_tapes(corpus.select("test"), tapes, Tapes(seconds=30, count=20, overlaps=0.1))
    rows = [["seed", "oracle accuracy [95 %]", "chance", "pairs"]]
    for seed in args.seeds:
        folder = args.out / f"run-{seed}"
        lookhear.train(load_recipe(str(RECIPE), [f"seed={seed}", *args.changes]), args.out, folder, say=say)
        found = lookhear.evaluate(folder, tapes, split=None)["localisation"]["oracle_accuracy"]
        span = f"{100 * found['value']:.1f} [{100 * found['low']:.1f}–{100 * found['high']:.1f}]"
        rows.append([str(seed), span, f"{100 * found['chance']:.1f}", str(found["size"])])
    print(markdown(rows))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"word_times: {e}")
