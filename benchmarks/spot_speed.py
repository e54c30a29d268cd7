"""How fast `lookhear spot` is, and how much memory it takes, for one word and a hundred, in ever longer tapes.

    python benchmarks/spot_speed.py RUN --data DATA --out tapes              # 20 min, 1 h and 10 h: for the record
    python benchmarks/spot_speed.py RUN --data DATA --out tapes --hours 0.05 0.1 --repeats 1        # a rehearsal

RUN is a run folder. The tapes are strung of Azerbaijani digits (DATA), or with --book of a picture book's recordings,
once, under OUT. Each measurement is `lookhear spot RUN TAPE --words LIST --json` in a process of its own with two
threads, start, loading and answer included. The best of the repeats counts, for other work on the machine only adds.

Memory is the peak of RssAnon + RssShmem (as demo/memory.py counts, looked at 20 times a second): what belongs to no
file. Beside it stands the peak of all resident memory, mapped files such as libraries included. Both are Linux's.

Run it for the record when nothing else runs: the clock is what is measured. Seconds of the processors stand beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import lookhear
from lookhear.data.picturebook.words import SPOKEN, SYNONYMS
from lookhear.data.tapes import Tapes, string_tapes
from reporting import markdown
from tape_sets import DIGITS

FASTER, SMALLER, FREE, FLAT = 300.0, 1.5, 1.3, 1.1
"""Goals: × real time with all words in the longest tape, GB at most, all words / one word, longest / shortest tape."""
MANY, THREADS = 100, 2


@dataclass(frozen=True)
class Spent:
    """Seconds of the clock and of the processors, gigabytes, and how many hits there were."""

    seconds: float
    processor: float
    anonymous: float
    resident: float
    hits: int


def make_tape(hours: float, data: Path | None, book: Path | None, out: Path) -> Path:
    """A tape of so many hours, strung if it is not there yet."""
    folder = out / f"speed-{'book' if book else 'digits'}-{hours:g}"
    if not folder.is_dir():
        if book is None and data is None:
            raise lookhear.UserError("no recordings to make tapes of", "Name --data or --book.")
        place = book or Path(data or "") / "spoken-digits-az"
        corpus = lookhear.open_corpus(place, None if book else {"audio": "file"}).select("test")
        print(f"stringing a tape of {hours:g} h", file=sys.stderr, flush=True)
        string_tapes(corpus.take(corpus.recordings), folder, Tapes(seconds=3600 * hours, count=1, overlaps=0.1))
    return folder / "tape-000.flac"


def command(run: Path, tape: Path, words: list[str]) -> Spent:
    """`lookhear spot` in a process of its own.

    Raises:
        UserError: it failed.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    with tempfile.TemporaryDirectory() as folder:
        listed, answer, complaint = (Path(folder) / name for name in ("words", "answer", "complaint"))
        listed.write_text("\n".join(words) + "\n", encoding="utf-8")
        line = [sys.executable, "-m", "lookhear.cli", "spot", run, tape, "--words", listed, "--json"]
        with answer.open("w") as out, complaint.open("w") as errors:
            began, before = time.monotonic(), _processor()
            process = subprocess.Popen([str(part) for part in line], env=environment, stdout=out, stderr=errors)
            anonymous = resident = 0.0
            while process.poll() is None:
                now = _memory(process.pid)
                anonymous, resident = max(anonymous, now[0]), max(resident, now[1])
                time.sleep(0.05)
            seconds = time.monotonic() - began
        if process.returncode != 0:
            raise lookhear.UserError(complaint.read_text().strip() or "lookhear spot failed", "Mend that first.")
        return Spent(seconds, _processor() - before, anonymous, resident, len(json.loads(answer.read_text())))


def _processor() -> float:
    """Seconds of processors that ended children have taken so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _memory(process: int) -> tuple[float, float]:
    """RssAnon + RssShmem now, and the peak of VmRSS so far, in GB; zeros of a process that has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    told = {
        name: int(rest.split()[0]) * 1024 / 1e9 for name, _, rest in (x.partition(":") for x in lines) if "kB" in rest
    }
    return told.get("RssAnon", 0.0) + told.get("RssShmem", 0.0), told.get("VmHWM", 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of lookhear spot.")
    parser.add_argument("run", type=Path)
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--book", type=Path, help="a prepared picture book to make the tapes of, instead of digits")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tapes")
    parser.add_argument("--hours", type=float, nargs="+", default=[1 / 3, 1.0, 10.0])
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    said = sorted(SPOKEN) if args.book else list(DIGITS)
    many = list(dict.fromkeys([*said, *sorted(SPOKEN), *sorted(SYNONYMS)]))[:MANY]
    assert len(many) == MANY
    rows = [["tape", "words", "seconds", "of processors", "× real time", "GB (of no file)", "GB (resident)", "hits"]]
    best: dict[tuple[float, int], Spent] = {}
    for hours in sorted(args.hours):
        tape = make_tape(hours, args.data, args.book, args.out)
        for words in (many[:1], many):
            tries = [command(args.run, tape, words) for _ in range(args.repeats)]
            spent = min(tries, key=lambda t: t.seconds)
            best[hours, len(words)] = spent
            took = [f"{spent.seconds:.1f}", f"{spent.processor:.1f}", f"{3600 * hours / spent.seconds:.0f}"]
            memory = [f"{spent.anonymous:.2f}", f"{spent.resident:.2f}"]
            rows.append([f"{60 * hours:.0f} min", f"{len(words)}", *took, *memory, f"{spent.hits:,}"])
            print(" · ".join(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(rows) + "\n")
    print(markdown(_verdicts(best, sorted(args.hours))))


def _verdicts(best: dict[tuple[float, int], Spent], hours: list[float]) -> list[list[str]]:
    short, long = hours[0], hours[-1]
    speed = 3600 * long / best[long, MANY].seconds
    memory = max(spent.anonymous for spent in best.values())
    free = best[long, MANY].seconds / best[long, 1].seconds
    flat = best[long, MANY].anonymous / best[short, MANY].anonymous
    return [
        [f"{MANY} words, {60 * long:.0f} minutes, {THREADS} threads", "measured", "goal", ""],
        ["× real time", f"{speed:.0f}", f"≥ {FASTER:.0f}", _met(speed >= FASTER)],
        ["peak memory of no file, GB", f"{memory:.2f}", f"≤ {SMALLER}", _met(memory <= SMALLER)],
        [f"{MANY} words / one word, seconds", f"{free:.2f}", f"≤ {FREE}", _met(free <= FREE)],
        [f"memory, {60 * long:.0f} / {60 * short:.0f} minutes", f"{flat:.2f}", f"≤ {FLAT}", _met(flat <= FLAT)],
    ]


def _met(yes: bool) -> str:
    return "met" if yes else "MISSED"


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"spot_speed: {e}")
