"""What an engine can do, tried on a small index: to add, delete and filter, and to be killed in a write."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines import ENGINES
from engines.base import Engine, Unable
from engines.data import LANGUAGES, Data, K, exact, load, rows_beside

__all__ = ["abilities", "killed", "look", "small"]

ROWS, BATCH, BATCHES = 2_400, 480, 36
"""Whole recordings, and as many batches as a killed writer may come to."""


def small(name: str, folder: Path, made: Path) -> None:
    """Builds an engine of the first rows of the data."""
    folder.mkdir(parents=True)
    vectors = folder / "few.npy"
    np.save(vectors, load(made).vectors[:ROWS])
    ENGINES[name](folder, 2).build(np.load(vectors, mmap_mode="r"), rows_beside, lambda rows: None)


def abilities(name: str, folder: Path, made: Path, out: Path) -> None:
    """Writes as JSON whether rows can be filtered, added and deleted, each tried: "yes", "no", or what went wrong."""
    data = load(made)
    engine = ENGINES[name](folder, 2)
    engine.open()
    tried = {"filter": _filter, "add": _add, "delete": _delete}
    told = {}
    for what, trial in tried.items():
        try:
            told[what] = trial(engine, data)
        except Unable:
            told[what] = "no"
    out.write_text(json.dumps(told))


def _filter(engine: Engine, data: Data) -> str:
    """Whether the nearest of one language are found."""
    setting = list(engine.settings.values())[-1]
    spoken = np.flatnonzero([t == LANGUAGES[1] for t in rows_beside(0, ROWS).column("language").to_pylist()])
    truth, _ = exact(data.vectors[spoken], data.queries[:50], K)
    found = [engine.search(q, K, setting, LANGUAGES[1]) for q in data.queries[:50]]
    if not np.isin(np.concatenate(found), spoken).all():
        return "wrong rows"
    recall = np.mean([len(np.intersect1d(f, spoken[t])) / K for f, t in zip(found, truth, strict=True)])
    return "yes" if recall > 0.9 else f"recall {recall:.2f}"


def _add(engine: Engine, data: Data) -> str:
    engine.add(np.ascontiguousarray(data.vectors[ROWS : ROWS + BATCH]), rows_beside(ROWS, BATCH))
    found = _nearest(engine, data, range(ROWS, ROWS + BATCH, 50))
    return "yes" if found and engine.counts() == (ROWS + BATCH, ROWS + BATCH) else "not found"


def _delete(engine: Engine, data: Data) -> str:
    engine.delete(np.arange(0, BATCH))
    gone = not _nearest(engine, data, range(0, BATCH, 50), every=False)
    return "yes" if gone and _nearest(engine, data, range(BATCH, ROWS, 100)) else "wrong rows"


def _nearest(engine: Engine, data: Data, ids: range, every: bool = True) -> bool:
    """Whether the nearest of each of these vectors is itself: of all, or of any."""
    setting = list(engine.settings.values())[-1]
    found = [engine.search(np.ascontiguousarray(data.vectors[i]), K, setting)[0] == i for i in ids]
    return all(found) if every else any(found)


@dataclass(frozen=True)
class Killed:
    """Of so many tries: the index opened, held every row that had been written for good, and no half of a batch."""

    tries: int
    opened: int
    kept: int
    whole: int


def killed(name: str, folder: Path, made: Path, tries: int, seed: int) -> Killed | None:
    """Adds batch upon batch in a process that is killed at a random moment, and looks what is left.

    Returns:
        None where nothing can be added.
    """
    spawn, random = multiprocessing.get_context("spawn"), np.random.default_rng(seed)
    opened = kept = whole = 0
    for _ in range(tries):
        place = folder.with_name(f"{folder.name}-killed")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place)
        journal = place.with_suffix(".journal")
        journal.write_text("")
        writer = spawn.Process(target=_write, args=(name, place, made, journal))
        writer.start()
        while writer.is_alive() and not journal.read_text():
            time.sleep(0.002)
        time.sleep(float(random.uniform(0, 0.5)))
        writer.kill()
        writer.join()
        written = journal.read_text().count("\n")
        if not written:
            return None
        seen = place.with_suffix(".seen")
        seen.unlink(missing_ok=True)
        reader = spawn.Process(target=look, args=(name, place, seen))
        reader.start()
        reader.join()
        if seen.exists():
            vectors, rows = json.loads(seen.read_text())
            opened += 1
            kept += min(vectors, rows) >= ROWS + BATCH * written
            whole += vectors == rows and (vectors - ROWS) % BATCH == 0
        shutil.rmtree(place, ignore_errors=True)
    return Killed(tries, opened, kept, whole)


def _write(name: str, folder: Path, made: Path, journal: Path) -> None:
    data, engine = load(made), ENGINES[name](folder, 1)
    engine.open()
    with journal.open("a") as told:
        for at in range(ROWS, min(len(data.vectors), ROWS + BATCH * BATCHES), BATCH):
            try:
                engine.add(np.ascontiguousarray(data.vectors[at : at + BATCH]), rows_beside(at, BATCH))
            except Unable:
                return
            told.write(f"{at}\n")
            told.flush()


def look(name: str, folder: Path, seen: Path) -> None:
    """Opens an index in a process that may well end badly, and writes how many vectors and rows it has."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    engine = ENGINES[name](folder, 1)
    engine.open()
    counts = engine.counts()
    query = np.zeros(512, np.float32)
    query[0] = 1
    engine.search(query, K, list(engine.settings.values())[-1])
    seen.write_text(json.dumps(counts))
