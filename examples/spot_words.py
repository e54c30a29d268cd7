"""Find where words are said in recordings, without an index; hours-long files are streamed.

python examples/spot_words.py RUN tape.wav -w dog boat "palm tree"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lookhear


def main() -> None:
    parser = argparse.ArgumentParser(description="Spot words.")
    parser.add_argument("run", type=Path, help="a run folder of `lookhear train`, or demo-out/run")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-w", "--words", nargs="+", required=True)
    args = parser.parse_args()

    model = lookhear.load(args.run)
    for hit in lookhear.spot(model, args.files, args.words):
        sure = hit.score if hit.probability is None else hit.probability  # a cosine of a run without a calibration
        print(f"{sure:8.3f}  {hit.start:8.2f}–{hit.end:.2f} s  {hit.query:<12} {hit.file}")


if __name__ == "__main__":
    main()
