"""What an archive costs and gives: indexing, size, the first answer, whole queries, and what the two stages lose.

    python benchmarks/archive_speed.py RUN TAPES --work DIR          # TAPES: a folder of lookhear.data.tapes, 10 h say
    python benchmarks/archive_speed.py RUN TAPES --work DIR --threads 1 --repeats 1

TAPES are strung of a picture book's recordings (**synthetic speech**), with the times of every word; `spot_speed.py
--book` leaves such a folder. Printed are

- `lookhear index` in a process of its own: × real time, and bytes on disk a segment;
- `lookhear search` in a process of its own: seconds from its start to its answer;
- a word → ten placed moments, in one process: median and 99th percentile, over all words, of each part;
- of ten moments, how many are right (a moment that overlaps its word), as the first stage takes fewer or more
  segments; and with --plain, frames kept whole (half precision) and everything read again, where no stage can lose
  anything: for an hour or so.

Words are the things' usual names, each asked once as warm-up. Run it for the record when nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import lookhear
from lookhear.data.picturebook.words import SPOKEN_NAMES
from lookhear.search import searcher as stages
from lookhear.search.archive import codec, tidy
from lookhear.search.searcher import Searcher
from reporting import markdown

TAKEN = (32, 64, 128, 256, 512, 1024, 4096)


def command(threads: int, *arguments: object) -> float:
    """Seconds of a `lookhear` in a process of its own.

    Raises:
        UserError: it failed.
    """
    line = [sys.executable, "-m", "lookhear.cli", *map(str, arguments)]
    began = time.monotonic()
    done = subprocess.run(line, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True)
    if done.returncode:
        raise lookhear.UserError(f"{' '.join(line)} failed", done.stderr.strip().splitlines()[-1])
    return time.monotonic() - began


def on_disk(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.iterdir())


def said_when(tapes: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """File → word → its times."""
    corpus = lookhear.open_corpus(tapes)
    out: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in corpus.recordings.tolist():
        times = out.setdefault(str(Path(corpus.media("audio", row)).absolute()), {})
        for word in corpus.column("words")[row]:
            times.setdefault(word["word"], []).append((word["start"], word["end"]))
    return out


def right(hits, truth, names) -> float:  # type: ignore[no-untyped-def]
    """Share of hits that overlap one of the names' times."""

    def meets(hit):  # type: ignore[no-untyped-def]
        times = [t for n in names for t in truth[hit.file].get(n, ())]
        return any(start < hit.end and hit.start < end for start, end in times)

    return float(np.mean([meets(h) for h in hits]))


def timed(searcher: Searcher, words: list[str]) -> dict[str, list[float]]:
    """Milliseconds of each part of a query for a word."""
    spent: dict[str, list[float]] = {"text → vectors": [], "index": [], "all": []}
    for word in words:
        began = time.perf_counter()
        (part,) = searcher.parts([word])
        embedded = time.perf_counter()
        searcher.find([part], k=10)
        ended = time.perf_counter()
        searcher.index.search(part.whole.numpy(), stages.FIRST)
        found = time.perf_counter()
        for name, value in zip(spent, (embedded - began, found - ended, ended - began)):
            spent[name].append(1000 * value)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("tapes", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="Where the indexes are made.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="Of the first answer; the median counts.")
    parser.add_argument("--plain", action="store_true", help="Frames kept whole and all read again, too: slow.")
    given = parser.parse_args()
    archive = given.work / "archive"
    seconds = None if archive.is_dir() else command(given.threads, "index", given.run, given.tapes, "-o", archive)
    import torch

    torch.set_num_threads(given.threads)
    searcher = Searcher(archive)
    counts = searcher.index.counts()
    rows = [["figure", "goal", "measured"]]
    if seconds is not None:
        rows.append(["indexing, × real time", "≥ 300", f"{3600 * counts['hours'] / seconds:.0f}"])
    rows.append(["bytes a segment", "≤ 1,200", f"{on_disk(archive) / counts['segments']:,.0f}"])
    first = [command(given.threads, "search", archive, "dog") for _ in range(given.repeats)]
    rows.append(["start to first answer, s", "≤ 3", f"{np.median(first):.1f} ({min(first):.1f}–{max(first):.1f})"])
    truth = said_when(given.tapes)
    words = {t: names for t, names in SPOKEN_NAMES.items() if any(names[0] in said for said in truth.values())}
    timed(searcher, list(words))
    for name, values in timed(searcher, list(words)).items():
        goal = "p50 ≤ 60" if name == "all" else "p50 ≤ 10, p99 ≤ 50" if name == "index" else ""
        low, high = np.percentile(values, [50, 99])
        rows.append([f"query, {name}: ms, p50 / p99", goal, f"{low:.1f} / {high:.1f}"])
    print(f"{counts['hours']:.1f} hours, {counts['segments']:,.0f} segments, {given.threads} threads\n")
    print(markdown(rows), "\n")
    print(losses(searcher, words, truth))
    if given.plain:
        read_whole(given, words, truth)


def read_whole(given, words, truth) -> None:  # type: ignore[no-untyped-def]
    """P@10 when frames are kept in half precision and every segment is read again."""
    plain = given.work / "plain"
    if not plain.is_dir():
        codec.FITTED = tidy.FITTED = sys.maxsize  # frames stay in half precision
        lookhear.index_files(given.run, [given.tapes], plain, progress=True)
    exact = Searcher(plain)
    stages.FIRST = len(exact.index)
    print("\nframes in half precision, all segments read again:", percent(exact, words, truth))


def percent(searcher: Searcher, words, truth) -> str:  # type: ignore[no-untyped-def]
    shares = np.array([right(searcher.search(w, 10), truth, names) for w, names in words.items()])
    again = np.random.default_rng(0).choice(shares, (2000, len(shares))).mean(1)
    low, high = np.percentile(100 * again, [2.5, 97.5])
    return f"{100 * shares.mean():.1f} [{low:.1f}–{high:.1f}]"


def losses(searcher: Searcher, words, truth) -> str:  # type: ignore[no-untyped-def]
    """P@10 over words, and the time of a query, by how many segments the first stage takes."""
    rows, usual = [["segments of the first stage", "right of ten, %", "ms a query, p50"]], stages.FIRST
    for taken in (t for t in TAKEN if t < len(searcher.index)):
        stages.FIRST = taken
        spent = np.median(timed(searcher, list(words))["all"])
        mark = " (as shipped)" if taken == usual else ""
        rows.append([f"{taken:,}{mark}", percent(searcher, words, truth), f"{spent:.1f}"])
    stages.FIRST = usual
    return markdown(rows)


if __name__ == "__main__":
    main()
