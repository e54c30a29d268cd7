"""How long `lookhear --help` takes, in a process of its own, the start of Python included.

    python benchmarks/help_speed.py             # exit code 1 if it takes more than 0.3 s
    python benchmarks/help_speed.py --limit 0.1 --runs 50

The verdict is on processor seconds, the best of several runs: on a quiet machine they are the seconds one waits (the
command does nothing but compute), and on a busy one they leave out the time that other programs had.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

CODE = "from lookhear.cli import main; main(['--help'])"
"""What the installed script `lookhear` does."""


def once() -> tuple[float, float]:
    """Processor seconds and wall-clock seconds of one run."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("lookhear --help failed")
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description="Time `lookhear --help`.")
    parser.add_argument("--limit", type=float, default=0.3, help="seconds (%(default)s)")
    parser.add_argument("--runs", type=int, default=10, help="(%(default)s)")
    args = parser.parse_args()
    runs = [once() for _ in range(args.runs)]
    cpu, wall = (min(column) for column in zip(*runs, strict=True))
    verdict = "within" if cpu <= args.limit else "OVER"
    print(
        f"lookhear --help: {cpu:.3f} processor seconds, {wall:.3f} s on the clock, the best of {args.runs} runs; "
        f"{verdict} {args.limit} s"
    )
    return 0 if cpu <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
