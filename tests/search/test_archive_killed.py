"""An archive survives whatever kills a writer, and answers rightly while it is written."""

import importlib.util
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from archives import check, contents, files, fill
from made_up import unit

from lookhear.search.archive import archive
from lookhear.search.index import open_index

ROOT = Path(__file__).parents[2]


def test_killed_before_any_statement_it_holds_what_was_committed(tmp_path, low, monkeypatch):
    """The folder as it is before each statement of a writer is what a killed one leaves."""
    path, images, real = tmp_path / "i", [], archive.connect
    fill(path, 0, 3).close()
    committed = [set(range(3))]

    def watched(folder, write=False):
        database = real(folder, write)
        if write:

            def copy(statement):
                to = tmp_path / "images" / str(len(images))
                shutil.copytree(folder, to)
                images.append((to, len(committed)))

            database.set_trace_callback(copy)
        return database

    monkeypatch.setattr(archive, "connect", watched)
    index = open_index(path)
    with index.writing() as writer:
        for n in range(3, 9):
            writer.put(files(n, n + 1)[0])
            if n % 3 == 2:
                committed.append(set(range(n + 1)))
                writer.commit()
        writer.remove(next(s for s in index.sources() if s.path == "/tapes/0.wav"))
        committed.append(set(range(1, 9)))
    index.close()
    monkeypatch.setattr(archive, "connect", real)
    assert len(images) > 100
    # A new file of vectors is there, and the commit that names it is not.
    between = [pair for pair in images if len(list(pair[0].glob("vectors-*"))) > 1]
    assert len(between) > 2
    for to, count in dict.fromkeys([*between[:4], *images[:: len(images) // 20]]):
        held = contents(to)
        known = {int(Path(p).stem) for p in held}
        assert known in committed[max(0, count - 2) : count]
        check(held, known)
        index = open_index(to)
        with index.writing() as writer:  # and goes on
            for e in files(0, 10):
                if int(Path(e.path).stem) not in known:
                    writer.put(e)
        index.close()
        check(contents(to), range(10))
        assert len(list(to.glob("vectors-*"))) == 1


DIES = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from archives import fill
from lookhear.search.archive import nearest, tidy
nearest.SEALED = 4
tidy._to_disk = lambda path: os.kill(os.getpid(), signal.SIGKILL)
fill({folder!r}, 0, 5)
"""


def test_killed_between_the_file_of_vectors_and_its_commit(tmp_path, low):
    path = tmp_path / "i"
    code = DIES.format(tests=str(Path(__file__).parent), folder=path)
    code = code.replace("PosixPath(", "__import__('pathlib').Path(")
    died = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert [p.name for p in path.glob("vectors-*")] == ["vectors-1.faiss"]
    check(contents(path), range(5))
    fill(path, 5, 8).close()
    check(contents(path), range(8))
    assert len(list(path.glob("vectors-*"))) == 1


def killing():
    spec = importlib.util.spec_from_file_location("kill_indexing", ROOT / "benchmarks" / "kill_indexing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_it_goes_on_to_the_same_set(tmp_path, low, times):
    told = killing().kill_at_random(times, 3, tmp_path)
    assert told["killed"] == times
    assert told["finished to the same set"] >= times // 2


def test_searched_while_it_is_written_every_answer_is_right(tmp_path, low):
    module = killing()
    made = {e.path: e for e in map(module.made_up, range(module.FILES))}
    query, asked = unit(1, seed=4)[0], 0
    child = module.start(tmp_path / "i")
    index = open_index(tmp_path / "i")
    while child.poll() is None:
        hits = index.search(query[None], 20)[0]
        for hit, local in zip(hits, index.local(hits)):
            true, place = made[hit.file], hit.row - hit.source.id
            assert hit.score == pytest.approx(float(true.vectors[place] @ query), abs=0.05)
            if hit.source.size % 7:  # the others leave in the end
                parts = module.segments(true)
                lengths = np.linalg.norm(parts[place], axis=1) if parts else np.zeros(0)
                np.testing.assert_allclose(np.linalg.norm(local, axis=1), lengths, rtol=0.04)
        asked += bool(hits)
    assert child.returncode == 0
    assert asked > 5
    assert {s.path for s in index.sources()} == {p for p, e in made.items() if e.size % 7}


def test_several_threads_ask_one_index_while_it_is_written(tmp_path, low):
    index, wrong = fill(tmp_path / "i", 0, 5), []
    other, stop = open_index(tmp_path / "i"), threading.Event()
    made = {e.path: e for e in files(0, 30)}

    def ask(seed):
        query = unit(1, seed)
        while not stop.is_set():
            try:
                for hit in index.search(query, 10)[0]:
                    true = float(made[hit.file].vectors[hit.row - hit.source.id] @ query[0])
                    if abs(hit.score - true) > 0.05:
                        wrong.append(hit)
            except Exception as e:
                wrong.append(e)
                return

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    with other.writing() as writer:
        for n in range(5, 30):
            writer.put(files(n, n + 1)[0])
            writer.commit()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
