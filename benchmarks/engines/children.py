"""What runs in processes of its own: a build under a limit of processor time, and the timing of what was built."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engines import ENGINES
from engines.data import Data, K, load, rows_beside

__all__ = ["build", "in_process", "measure"]

WARM = 50


def in_process(task: Callable[..., None], threads: int, *given: Any, cap: float | None = None) -> int:
    """Runs a task in a fresh process on so many processors; minus the signal, or the status, it ended with.

    Libraries read how many threads they may use when they load, so these are told in the environment.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    told = dict.fromkeys(names, str(threads))
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        process = multiprocessing.get_context("spawn").Process(target=_confined, args=(task, threads, cap, given))
        process.start()
        process.join()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    assert process.exitcode is not None
    return process.exitcode


def _confined(task: Callable[..., None], threads: int, cap: float | None, given: tuple[Any, ...]) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if cap is not None:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (int(np.ceil(cap)), resource.RLIM_INFINITY))
    task(*given)


def build(name: str, folder: Path, data: Path, threads: int) -> None:
    """Builds an engine in its folder and leaves `built.json` beside it; `progress` tells how far it came."""
    vectors = np.load(data / "vectors.npy", mmap_mode="r")
    progress, began = folder.with_suffix(".progress"), time.monotonic()

    def done(rows: int) -> None:
        progress.write_text(f"{rows} {time.monotonic() - began:.1f}")

    done(0)
    ENGINES[name](folder, threads).build(vectors, rows_beside, done)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    told = {"seconds": time.monotonic() - began, "processor seconds": spent.ru_utime + spent.ru_stime}
    folder.with_suffix(".built.json").write_text(json.dumps(told | {"bytes": _size(folder)}))


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def measure(name: str, folder: Path, made: Path, threads: int, out: Path) -> None:
    """Opens what was built, asks every query in each setting, one after the other, and writes the figures."""
    data = load(made)
    ENGINES[name](folder, threads).open()  # loads the libraries, and the files into memory
    engine = ENGINES[name](folder, threads)
    began = time.perf_counter()
    engine.open()
    opened = time.perf_counter() - began
    first = next(iter(engine.settings.values()))
    engine.answer(engine.search(data.queries[0], K, first))
    answered = time.perf_counter() - began
    figures = {label: _asked(engine, data, setting) for label, setting in engine.settings.items()}
    told = {"open": opened, "first answer": answered, "anonymous": _anonymous(), "note": engine.note}
    out.write_text(json.dumps(told | {"settings": figures}))


def _asked(engine: Any, data: Data, setting: dict[str, int]) -> dict[str, float]:
    for query in data.queries[:WARM]:
        engine.search(query, K, setting)
    seconds, whole, recall = [], [], []
    for query, truth in zip(data.queries, data.truth, strict=True):
        began = time.perf_counter()
        ids = engine.search(query, K, setting)
        seconds.append(time.perf_counter() - began)
        told = engine.answer(ids)
        whole.append(time.perf_counter() - began)
        assert [row["id"] for row in told] == ids.tolist()
        recall.append(len(np.intersect1d(ids, truth)) / len(truth))
    return {
        "recall": float(np.mean(recall)),
        "recall ±": float(1.96 * np.std(recall, ddof=1) / np.sqrt(len(recall))),
        "p50": float(np.percentile(seconds, 50)),
        "p99": float(np.percentile(seconds, 99)),
        "with rows p50": float(np.percentile(whole, 50)),
        "with rows p99": float(np.percentile(whole, 99)),
    }


def _anonymous() -> int:
    """Bytes of memory that belong to no file; Linux's RssAnon."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
