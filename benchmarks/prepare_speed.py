"""How fast a corpus is prepared, and how much memory that takes however many items it has.

    python benchmarks/prepare_speed.py                          # some minutes; the million items are most of it
    python benchmarks/prepare_speed.py --rows 1000 10000        # quickly

Speed: recordings of 4 s (noise, WAV and FLAC) as files of a manifest, taken in, by one process; seconds of sound per
second of the clock and of the processor, beside a plain copy of the same files. Memory: manifests of more and more
items over a few sounds of 0.1 s, left where they are; the peak over this process and its workers of memory that is not
a file's (Pss_Anon, which counts pages that processes share once). Each number of items has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import soundfile as sf

from lookhear.core import RATE
from lookhear.data.prepare import prepare
from reporting import markdown

SECONDS, RECORDINGS, SOUNDS = 4.0, 400, 50


def manifest(folder: Path, names: list[str], rows: int) -> None:
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as file:
        for i in range(rows):
            row = {
                "id": f"u{i}",
                "audio": names[i % len(names)],
                "text": "a dog in the snow",
                "speaker": f"s{i % 40}",
                "split": "train",
            }
            file.write(json.dumps(row) + "\n")


def recordings(folder: Path, count: int, seconds: float, kind: str) -> list[str]:
    folder.mkdir(parents=True)
    rng, names = np.random.default_rng(0), []
    for i in range(count):
        name = f"{i}.{kind}"
        sf.write(folder / name, rng.normal(0, 0.1, round(seconds * RATE)), RATE, subtype="PCM_16")
        names.append(name)
    return names


def speed(folder: Path, kind: str) -> list[str]:
    raw = folder / kind
    manifest(raw, recordings(raw, RECORDINGS, SECONDS, kind), RECORDINGS)
    began = time.monotonic()
    shutil.copytree(raw, folder / f"{kind}-copy")
    copied = time.monotonic() - began
    began, busy = time.monotonic(), time.process_time()
    prepare(raw, folder / f"{kind}-corpus", workers=0, progress=False)
    clock, processor = time.monotonic() - began, time.process_time() - busy
    sound = RECORDINGS * SECONDS
    return [kind, f"{sound / clock:,.0f}", f"{sound / processor:,.0f}", f"{sound / copied:,.0f}"]


def anonymous() -> int:
    """Bytes of this process and its children that no file stands behind, shared pages counted once."""
    total = 0
    own = os.getpid()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if own in (parent, int(process.name)):
                told = (process / "smaps_rollup").read_text()
                total += 1024 * int(told.split("Pss_Anon:")[1].split()[0])
        except (OSError, IndexError, ValueError):
            continue  # it ended meanwhile
    return total


def memory(folder: Path, rows: int, workers: int) -> dict[str, float]:
    """Peak bytes and seconds of preparing so many items; to be called in a process that did nothing before."""
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.25):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    try:
        prepare(folder / f"rows-{rows}", folder / f"corpus-{rows}", inside=False, workers=workers, progress=False)
    finally:
        over.set()
        watcher.join()
    return {"peak": peak, "seconds": time.monotonic() - began}


def apart(folder: Path, rows: int, workers: int) -> dict[str, float]:
    """``memory`` in a process of its own."""
    raw = folder / f"rows-{rows}"
    manifest(raw, recordings(raw, SOUNDS, 0.1, "wav"), rows)
    call = [sys.executable, __file__, "--in", str(folder), "--rows", str(rows), "--workers", str(workers)]
    told: dict[str, float] = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder:
        print(json.dumps(memory(given.folder, given.rows[0], given.workers)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        head = ["files", "× real time, clock", "× real time, processor", "a copy of the files, × real time"]
        print(f"{RECORDINGS} recordings of {SECONDS:.0f} s, one process\n")
        print(markdown([head, speed(folder, "wav"), speed(folder, "flac")]), flush=True)
        print(f"\nitems over {SOUNDS} sounds of 0.1 s, {given.workers} workers\n")
        found = {rows: apart(folder, rows, given.workers) for rows in given.rows}
        lines = [[f"{n:,}", f"{t['peak'] / 1e6:.0f}", f"{n / t['seconds']:,.0f}"] for n, t in found.items()]
        print(markdown([["items", "peak memory, MB", "items a second"], *lines]))
        peaks = [told["peak"] for told in found.values()]
        print(f"\nlargest over smallest peak: {max(peaks) / min(peaks):.2f}")


if __name__ == "__main__":
    main()
