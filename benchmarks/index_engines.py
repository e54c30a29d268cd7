"""Embedded engines side by side: vectors with rows beside them, built, searched, changed, and killed in a write.

    python benchmarks/index_engines.py --work engines                      # 1,000,000 × 512: for the record, hours
    python benchmarks/index_engines.py --work engines --engines faiss-ivf-sq8 lancedb-ivf-rq
    python benchmarks/index_engines.py --work engines --rows 20000 --queries 200           # a rehearsal, minutes

Every engine holds the same made vectors (`engines/data.py`) and what an answer tells of them: file, start, end,
speaker, date and language. A build runs in a process of its own on two processors, under a limit of processor time
(--cap); what does not finish is reported as that, with how far it came. What was built stays in WORK: a second call
only times it (--rebuild builds anew). Then a process for each number of threads, confined to as many processors, asks
each query alone, after fifty for warmth: the time is from a vector to ten ids; "with rows" is to what is told of these
ten. Recall is of the ten that are exactly nearest, with 95 % of a normal interval over the queries. Opening starts
after the libraries are loaded, files warm. Bytes are all files of the engine. Adding, deleting and filtering are tried
once on 2,400 rows, and so is `kill -9` at random moments while batches of 480 are added (--no-trials leaves that out).

What is not installed is named and skipped: nothing here needs lancedb, usearch or autofaiss. Run it for the record when
nothing else runs, for the clock is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lookhear
from engines import ENGINES
from engines.children import build, in_process, measure
from engines.data import DIM, make
from engines.trials import abilities, killed, small
from reporting import markdown

BUILDERS = 2


def built(name: str, place: Path, made: Path, cap: float | None, anew: bool) -> dict[str, Any]:
    """What the build took, now or then; `unfinished` tells why there is none."""
    told = place.with_suffix(".built.json")
    if anew or not told.exists():
        told.unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        status = in_process(build, BUILDERS, name, place, made, BUILDERS, cap=cap)
        if status != 0:
            shutil.rmtree(place)
            rows, seconds = place.with_suffix(".progress").read_text().split()
            why = f"not in {cap:.0f} s of processors" if status == -signal.SIGXCPU else f"failed ({status})"
            told.write_text(json.dumps({"unfinished": why, "rows": int(rows), "rows seconds": float(seconds)}))
    found: dict[str, Any] = json.loads(told.read_text())
    return found


def timed(name: str, place: Path, made: Path, threads: int) -> dict[str, Any]:
    """The figures of `engines.children.measure`.

    Raises:
        UserError: the process failed.
    """
    out = place.with_suffix(f".timed-{threads}.json")
    out.unlink(missing_ok=True)
    status = in_process(measure, threads, name, place, made, threads, out)
    if status != 0:
        raise lookhear.UserError(f"{place}: {name} could not be searched ({status})", "Build it anew with --rebuild.")
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def tried(name: str, place: Path, made: Path, kills: int, seed: int, anew: bool) -> dict[str, Any]:
    """What the engine can do, and what is left of a killed write: found now, or then."""
    kept = place.with_suffix(".tried.json")
    if anew or not kept.exists():
        kept.write_text(json.dumps(_try(name, place, made, kills, seed)))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def _try(name: str, place: Path, made: Path, kills: int, seed: int) -> dict[str, Any]:
    folder, out = place.with_name(f"{place.name}-small"), place.with_suffix(".able.json")
    shutil.rmtree(folder, ignore_errors=True)
    out.unlink(missing_ok=True)
    if in_process(small, BUILDERS, name, folder, made) != 0:
        return {"trial": "no build of 2,400 rows"}
    left = killed(name, folder, made, kills, seed) if kills else None
    status = in_process(abilities, BUILDERS, name, folder, made, out)
    told = json.loads(out.read_text()) if status == 0 else {"trial": f"failed ({status})"}
    shutil.rmtree(folder)
    return told | ({"killed": asdict(left)} if left else {})


def chosen(names: list[str]) -> list[str]:
    """The engines that can be run; the others are named on the way.

    Raises:
        UserError: there is no such engine, or none is installed.
    """
    unknown = sorted(set(names) - ENGINES.keys())
    if unknown:
        raise lookhear.UserError(f"no engine {', '.join(unknown)}", f"There are {', '.join(ENGINES)}.")
    for name in names:
        if lacking := ENGINES[name].missing():
            print(f"{name}: skipped, {' and '.join(lacking)} not installed", file=sys.stderr, flush=True)
    ready = [name for name in names if not ENGINES[name].missing()]
    if not ready:
        raise lookhear.UserError("none of these engines is installed", "pip install faiss-cpu, lancedb or usearch.")
    return ready


def row(name: str, told: dict[str, Any], threads: list[int], rows: int) -> list[list[str]]:
    """The lines of an engine in the table of figures: one a setting."""
    if "unfinished" in told:
        came = f"{told['unfinished']}; {told['rows']:,} rows put after {told['rows seconds']:.0f} s"
        return [[name, came, *[""] * (5 + 3 * len(threads))]]
    start = [f"{told['seconds']:.0f}", f"{told['processor seconds']:.0f}", f"{told['bytes'] / rows:.0f}"]
    lines = []
    for label, figures in told["timed"][threads[0]]["settings"].items():
        of = [told["timed"][n]["settings"][label] for n in threads]
        times = [f"{1000 * f[key]:.2f}" for f in of for key in ("p50", "p99", "with rows p50")]
        opens = told["timed"][threads[0]]
        memory = [f"{opens['first answer']:.2f}", f"{opens['anonymous'] / 1e6:.0f}"]
        lines.append([name, label, *start, *memory, f"{figures['recall']:.3f} ± {figures['recall ±']:.3f}", *times])
    return lines


def tables(results: dict[str, Any], threads: list[int], rows: int) -> str:
    """Figures, then abilities, then notes."""
    times = [f"{what}, {n} thr." for n in threads for what in ("p50 ms", "p99 ms", "with rows p50 ms")]
    head = [
        "engine",
        "setting",
        "build s",
        "of processors",
        "bytes a row",
        "open to answer s",
        "MB of no file",
        "recall@10",
    ]
    figures = [[*head, *times], *(line for name, told in results.items() for line in row(name, told, threads, rows))]
    able = [["engine", "added", "deleted", "filtered", "killed in a write: opens, all kept, whole batches"]]
    for name, told in results.items():
        tries = told.get("tried", {})
        left = tries.get("killed")
        after = "{opened}, {kept}, {whole} of {tries}".format(**left) if left else ""
        able.append([name, *(tries.get(what, tries.get("trial", "")) for what in ("add", "delete", "filter")), after])
    notes = [f"{name}: {t['timed'][threads[0]]['note']}" for name, t in results.items() if "timed" in t]
    return "\n\n".join([markdown(figures), markdown(able), *(n for n in notes if not n.endswith(": "))])


def main() -> None:
    parser = argparse.ArgumentParser(description="Embedded engines side by side.")
    parser.add_argument("--work", type=Path, required=True, help="folder of the made data and of what is built")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), help=", ".join(ENGINES))
    parser.add_argument("--skip", nargs="+", default=[], help="engines to leave out")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cap", type=float, help="seconds of processors that a build may take")
    parser.add_argument("--kills", type=int, default=10, help="kill -9 so often in the middle of a write")
    parser.add_argument("--no-trials", action="store_true")
    parser.add_argument("--rebuild", action="store_true", help="build and try anew what was built and tried before")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    threads = [n for n in args.threads if n <= len(os.sched_getaffinity(0))]
    names = [n for given in args.engines for n in given.split(",") if n not in args.skip]
    names = chosen(names)
    made = args.work / f"data-{args.rows}-{args.seed}"
    about = make(made, args.rows, args.queries, args.seed).about
    results: dict[str, Any] = {}
    for name in names:
        place = args.work / f"built-{args.rows}-{args.seed}" / name
        told = built(name, place, made, args.cap, args.rebuild)
        if "unfinished" not in told:
            told["timed"] = {n: timed(name, place, made, n) for n in threads}
        if not args.no_trials:
            told["tried"] = tried(name, place, made, args.kills, args.seed, args.rebuild)
        results[name] = told
        print(
            *(" · ".join(line) for line in row(name, told, threads, args.rows)), sep="\n", file=sys.stderr, flush=True
        )
    if args.json:
        print(json.dumps({"data": about, "dimensions": DIM, "threads": threads, "engines": results}))
    else:
        print(f"{args.rows:,} × {DIM}; {about}\n\n{tables(results, threads, args.rows)}")


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"index_engines: {e}")
