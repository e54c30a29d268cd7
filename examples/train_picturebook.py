"""Make a small picture book, train on it, and measure what was learned. A minute or two; needs the extras.

    python examples/train_picturebook.py --out runs/example

The full size (`--scale 1`) is what `make demo` trains.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import lookhear
from lookhear.audio import load_audio
from lookhear.data.picturebook.build import prepare_picturebook
from lookhear.data.picturebook.plan import DEFAULT_SCENES
from lookhear.tasks.evaluate import tables


def main() -> None:
    parser = argparse.ArgumentParser(description="From an empty folder to a measured model.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=0.1, help="share of the full picture book (%(default)s)")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="change the recipe")
    args = parser.parse_args()

    # Scenes drawn and captioned; all but the teacher's captions are spoken, with the time of every word kept.
    scenes = {split: max(1, round(args.scale * count)) for split, count in DEFAULT_SCENES.items()}
    book = prepare_picturebook(args.out / "book", scenes=scenes)

    # First the teacher learns pictures and written words; then the speech tower learns from pictures alone.
    run = lookhear.train("picturebook", book.root, args.out / "run", changes=args.changes, say=print)

    # Retrieval, spotting and localisation on scenes that nobody was trained on. The word lists that are never spoken
    # in training are said in the split "open"; evaluation says what it skips, and why.
    results = lookhear.evaluate(run.folder, book, split="test", say=lambda line: print(line, file=sys.stderr))
    print(tables(results))

    # What it is for: written words and recordings in one space.
    test = book.select("test")
    row = test.recordings[0]
    recording = load_audio(test.media("audio", row))
    for word in ("dog", "boat", "umbrella"):
        similarity = run.model.embed([recording]).pooled @ run.model.embed([word]).pooled.T
        print(f"{float(similarity):6.3f}  {word:<10} in “{test.column('text')[row]}”")


if __name__ == "__main__":
    main()
