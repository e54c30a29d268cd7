"""How `lookhear serve` answers many users at once, with queries that share forward passes and with each by itself.

    python benchmarks/serve_load.py INDEX                                    # 50 users, a minute each: for the record
    python benchmarks/serve_load.py INDEX --users 5 --seconds 5              # a rehearsal

Each run is `lookhear serve INDEX --port 0 --batch N` in a process of its own, N as it is by default and 1, in turn. The
users are in this process, on the same processors: each asks, reads the whole answer, thinks for a time drawn between 0
and --think seconds, and asks anew; texts and times are drawn from the seed, the same ones in each run. A time is that
from the first byte sent to the last one read, over a connection that is kept. What came in the first --warm seconds
does not count. Errors are all answers but 200, and connections that broke.

Forward passes and queries are told by /metrics; a text that the service has met lately needs no pass. "First answer" is
from the start of the process to the end of its first search, loading included.

Run it for the record when nothing else runs: the clock is what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from lookhear.data.picturebook.words import PLACE_WORDS, SPOKEN
from reporting import markdown

SLOW = 10.0
"""Goal: p99 at most so many times p50, and no error."""
TEXTS = ("{0}", "a {0} and a {1}", "the {0} in the {2}", "a {0} beside a {1} in the {2}")


@dataclass
class Run:
    """What the users of one run saw.

    Attributes:
        seconds: of each answer.
        errors: kind → how many.
        passes, queries: forward passes of the text encoder, and texts that were encoded.
        first: seconds from the start to the first answer.
        processor: seconds of the processors that the service used, loading included.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    passes: float = 0.0
    queries: float = 0.0
    first: float = 0.0
    processor: float = 0.0

    def row(self, length: float) -> list[str]:
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1000
        bad = sum(self.errors.values())
        met = "met" if not bad and p99 <= SLOW * p50 else "MISSED"
        shared = f"{self.passes / self.queries:.2f} ({self.passes:.0f} / {self.queries:.0f})" if self.queries else "–"
        told = f"{bad}" + "".join(f", {kind}: {n}" for kind, n in self.errors.items())
        times = [f"{p50:.0f}", f"{p99:.0f}", f"{p99 / p50:.1f}", met]
        rate = f"{len(self.seconds) / length:.1f}"
        spent = [f"{self.first:.1f}", f"{self.processor:.0f}"]
        return [self.name, str(len(self.seconds)), rate, told, *times, shared, *spent]


def text_of(rng: random.Random) -> str:
    return rng.choice(TEXTS).format(rng.choice(SPOKEN), rng.choice(SPOKEN), rng.choice(PLACE_WORDS))


async def user(client: httpx.AsyncClient, number: int, run: Run, args: argparse.Namespace, begun: float) -> None:
    """Asks until the time is over."""
    rng = random.Random(args.seed * 10_000 + number)
    await asyncio.sleep(rng.uniform(0, max(args.think, 0.1)))
    while time.perf_counter() < begun + args.warm + args.seconds:
        body = {"all": [{"text": text_of(rng)}], "kind": args.kind, "k": args.k}
        asked = time.perf_counter()
        try:
            answer = await client.post("/api/search", json=body)
            kind = "" if answer.status_code == 200 else str(answer.status_code)
        except httpx.HTTPError as e:
            kind = type(e).__name__
        if asked > begun + args.warm:
            if kind:
                run.errors[kind] += 1
            else:
                run.seconds.append(time.perf_counter() - asked)
        await asyncio.sleep(rng.uniform(0, args.think))


async def crowd(address: str, run: Run, args: argparse.Namespace) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        before = await counted(client)
        begun = time.perf_counter()
        await asyncio.gather(*(user(client, i, run, args, begun) for i in range(args.users)))
        after = await counted(client)
    run.passes, run.queries = (b - a for a, b in zip(before, after, strict=True))


async def counted(client: httpx.AsyncClient) -> tuple[float, float]:
    """Forward passes, and texts in them."""
    lines = (await client.get("/metrics")).text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("lookhear_batch_texts_"))
    return float(found["lookhear_batch_texts_count"]), float(found["lookhear_batch_texts_sum"])


def measure(batch: int, args: argparse.Namespace) -> Run:
    """One service from its start to its end."""
    run = Run("shared passes" if batch > 1 else "each by itself")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "lookhear.cli", "serve", str(args.index), "--port", "0", "--batch", str(batch)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise SystemExit("the service did not start: see above")
            httpx.post(f"{address}api/search", json={"all": [{"text": "a dog"}]}, timeout=60).raise_for_status()
            run.first = time.perf_counter() - begun
            asyncio.run(crowd(address, run, args))
        finally:
            process.terminate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm", type=float, default=5.0)
    parser.add_argument("--think", type=float, default=1.0, help="seconds at most between an answer and the next query")
    parser.add_argument("--kind", default="moments")
    parser.add_argument("-k", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs = [measure(batch, args) for _ in range(args.repeats) for batch in (args.batch, 1)]
    head = ["queries", "answers", "a second", "errors", "p50 ms", "p99 ms", "p99 / p50", f"≤ {SLOW:g}, no error"]
    head += ["passes a query", "first answer s", "processor s"]
    print(f"{args.users} users, {args.seconds:g} s, thinking up to {args.think:g} s, k = {args.k}, seed {args.seed}\n")
    print(markdown([head, *(run.row(args.seconds) for run in runs)]))


if __name__ == "__main__":
    main()
