"""Kills indexing at random moments, and asks what is left: python benchmarks/kill_indexing.py --times 50

Files made up by seed (no model: rows of random unit vectors, frames, texts) are put into an archive by another process,
in transactions, and every seventh is taken out in the end; its limits are set so low that the file of vectors is
written anew every few files, and frames are put into fewer bytes on the way. It is killed (SIGKILL) after a random time
of up to what an unbroken run took; where it had ended by then, it is done over. Each time the index must open and hold
only whole files, each row of which is found; every second time it then goes on until it is done, being killed no more,
and must end with the rows and vectors of an unbroken run.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from lookhear.search.archive import codec, nearest, tidy
from lookhear.search.index import Entry, Index, create_index, open_index
from lookhear.search.segments import segment_count, segment_times

DIM, STEP, FILES, TOGETHER = 16, 0.04, 60, 3
ABOUT = {"run": "/run", "model": "made up", "dim": DIM, "step": STEP}


def limits() -> None:
    """Low, so that a small archive goes through all that a large one does."""
    nearest.SEALED, tidy.MOST_FRESH, tidy.FITTED, tidy.GONE = 4, 12, 1500, 0.1
    codec.COMPONENTS, codec.STAGES = 8, 2


def made_up(number: int) -> Entry:
    """A file, always the same."""
    rng = np.random.default_rng(number)
    kind = ("audio", "audio", "audio", "text", "image")[number % 5]
    seconds = float(rng.choice([1.3, 4.0, 9.0, 15.5])) if kind == "audio" else 0.0
    texts = tuple(f"line {n} of {number}" for n in range(1 + number % 3)) if kind == "text" else ()
    rows = segment_count(seconds) if seconds else len(texts) or 1
    vectors = rng.standard_normal((rows, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    local = rng.standard_normal((round(seconds / STEP), DIM)).astype(np.float16) if seconds else None
    hashed = number.to_bytes(16, "big")
    return Entry(f"/tapes/{number}", hashed, number, number, kind, seconds, vectors, local, texts)  # type: ignore[arg-type]


def work(folder: Path) -> None:
    """Puts in what is missing, takes out every seventh file in the end."""
    limits()
    index = create_index(folder, ABOUT)
    print("open", flush=True)
    known = {s.path for s in index.sources()}
    with index.writing() as writer:
        for n in range(FILES):
            entry = made_up(n)
            if entry.path not in known:
                writer.put(entry)
                if n % TOGETHER == TOGETHER - 1:
                    writer.commit()
        writer.commit()
        for source in index.sources():
            if source.size % 7 == 0:
                writer.remove(source)


def contents(index: Index) -> dict[str, tuple[int, bytes, np.ndarray, np.ndarray, list[str]]]:
    """Path → rows, hash, vectors, frames, lines."""
    out = {}
    for source in index.sources():
        hits = [source.hit(row) for row in range(source.id, source.id + source.rows)]
        local = index.local(hits)
        out[source.path] = (source.rows, source.hash, index.pooled(hits), np.concatenate(local), index.texts(hits))
    return out


def check_whole(index: Index) -> int:
    """That every file in it is whole, and that each of its rows is found.

    Returns:
        How many files there are.
    """
    held = contents(index)
    for path, (rows, hashed, vectors, frames, lines) in held.items():
        true = made_up(int(Path(path).name))
        assert (rows, hashed) == (len(true.vectors), true.hash), path
        np.testing.assert_allclose(vectors, true.vectors, atol=0.05, err_msg=path)
        lengths = np.concatenate([np.zeros(0), *(np.linalg.norm(part, axis=1) for part in segments(true))])
        # Directions are kept in a byte or two here; lengths, to within 4 %, say that frames lie where they belong.
        np.testing.assert_allclose(np.linalg.norm(frames, axis=1), lengths, rtol=0.04, err_msg=path)
        assert lines == (list(true.texts) or [""] * rows), path
    found = index.search(np.ones((1, DIM), np.float32) / 4, len(index) + 10)[0]
    assert len({f.row for f in found}) == len(found) == len(index)
    return len(held)


def segments(entry: Entry) -> list[np.ndarray]:
    """The frames of each row of a recording."""
    if entry.local is None:
        return []
    times = [segment_times(entry.seconds, n) for n in range(len(entry.vectors))]
    ends = [round(end / STEP) for _, end in times[:-1]] + [len(entry.local)]
    return [entry.local[round(start / STEP) : end].astype(np.float32) for (start, _), end in zip(times, ends)]


def same(a: Index, b: Index) -> None:
    """The same files with the same vectors, to within what quantisers that were trained on other batches are off."""
    left, right = contents(a), contents(b)
    assert left.keys() == right.keys(), left.keys() ^ right.keys()
    for path in left:
        assert left[path][:2] == right[path][:2]
        np.testing.assert_allclose(left[path][2], right[path][2], atol=0.05, err_msg=path)
        assert left[path][3].shape == right[path][3].shape
        assert left[path][4] == right[path][4]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--work", str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert child.stdout is not None
    child.stdout.readline()  # it has loaded what it needs
    return child


def unbroken(folder: Path) -> float:
    """Seconds that it took."""
    child, begun = start(folder), time.monotonic()
    assert child.wait() == 0
    return time.monotonic() - begun


def kill_at_random(times: int, seed: int, folder: Path) -> dict[str, object]:
    """Kills ``times`` runs: one from an empty folder, one that goes on in the same, and then lets it finish; and anew.

    Raises:
        AssertionError: something was lost, torn, or not finished.
    """
    limits()
    rng, took = random.Random(seed), unbroken(folder / "whole")
    seen = Counter({"killed": 0, "too late": 0, "finished to the same set": 0})
    whole = open_index(folder / "whole")
    check_whole(whole)
    fresh, at = True, folder
    while seen["killed"] < times:
        at = folder / str(seen.total()) if fresh else at
        child = start(at)
        time.sleep(rng.uniform(0, took))
        child.send_signal(signal.SIGKILL)
        late = child.wait() == 0
        seen["too late" if late else "killed"] += 1
        seen["left a journal or a file of vectors unnamed"] += left_over(at)
        index = open_index(at)
        seen["held files then"] += check_whole(index) > 0 and not late
        index.close()
        if not fresh and not late:
            unbroken(at)
        if not fresh or late:
            done = open_index(at)
            check_whole(done)
            same(done, whole)
            done.close()
            assert len(list(at.glob("vectors-*"))) == 1
            seen["finished to the same set"] += 1
        fresh = late or not fresh
    return {"times": times, "seed": seed, "seconds of an unbroken run": round(took, 2), **seen}


def left_over(folder: Path) -> bool:
    return (folder / "rows.sqlite-journal").exists() or len(list(folder.glob("vectors-*"))) > 1


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.work:
        work(given.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(kill_at_random(given.times, given.seed, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
