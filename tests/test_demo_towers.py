"""The demo's two towers side by side, in two processes: stops, failures, threads, and the memory of both."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from lookhear.demo import memory, numbers, towers
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.recipe import Optimisation, Recipe

pytest.importorskip("espeakng_loader", reason="the 'speech' extra is not installed")

EPOCHS = 80.0, 600.0  # the second is still learning when the first has saved itself, however busy the machine


@pytest.fixture
def pair(tiny_book, tiny_run, tmp_path):
    recipes = [
        Recipe(
            seed=seed,
            teacher_run=str(tiny_run / "teacher"),
            speech=LocalTower.Config(width=16, dilations=(1,)),
            training=Optimisation(epochs=epochs, batch_size=8),
        )
        for seed, epochs in enumerate(EPOCHS)
    ]
    return tuple(
        towers.Lesson(name, recipe, tiny_book, tmp_path / folder)
        for recipe, (name, folder) in zip(recipes, {"ours": "run", "the other": "other"}.items(), strict=True)
    )


def until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_stopped_towers_save_both_and_go_on_side_by_side(pair, monkeypatch):
    logs = [one.out / "speech.log.jsonl" for one in pair]
    learn, start = towers.Lesson.learn, towers.Child.__init__
    children = []

    def begun(log: Path) -> bool:
        return log.is_file() and log.read_text().count("\n") > 0

    def learn_when_the_child_does(*args) -> None:
        until(lambda: begun(logs[1]))
        children[0].send_signal(signal.SIGSTOP)  # or it could be done before this process begins
        learn(*args)

    def stop() -> None:
        until(lambda: all(map(begun, logs)))
        children[0].send_signal(signal.SIGCONT)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(towers.Child, "__init__", lambda c, *a: (start(c, *a), children.append(c._process))[0])
        patch.setattr(towers.Lesson, "learn", learn_when_the_child_does)
        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(KeyboardInterrupt):
            towers.train_both(*pair, False, lambda line: None)
        stopper.join()
    assert [one.finished for one in pair] == [False, False]
    assert all((one.out / "speech.checkpoint").is_file() for one in pair)
    before = [numbers.read_log(log) for log in logs]
    towers.train_both(*pair, False, lambda line: None)
    assert [one.finished for one in pair] == [True, True]
    for log, rows in zip(logs, before):
        after = numbers.read_log(log)
        assert after[: len(rows)] == rows != after  # the seconds too: those steps were not made again
    assert after[-1]["epoch"] == EPOCHS[1]
    assert not (pair[1].out.parent / "other.log").exists()


def test_a_mistake_that_the_child_finds_is_the_demos(pair):
    pair[1].out.mkdir()
    (pair[1].out / "letter.txt").write_text("dear diary")
    with pytest.raises(UserError, match=r"other is not empty and no run\. Choose another --out\."):
        towers.train_both(*pair, False, lambda line: None)


def python(monkeypatch, program: str) -> None:
    monkeypatch.setattr(towers.Child, "command", staticmethod(lambda: [sys.executable, "-c", program]))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "the other: its process was killed, most likely for want of memory"),
        ("raise OSError('no space')", r"ended with exit code 1 \(OSError: no space\). See .*other.log"),
    ],
)
def test_a_child_that_dies_ends_the_training_beside_it_at_once(pair, monkeypatch, program, said):
    def forever(*args):
        until(lambda: False)
        raise AssertionError("not interrupted")

    python(monkeypatch, program)
    monkeypatch.setattr(towers.Lesson, "learn", forever)
    with pytest.raises(UserError, match=said):
        towers.train_both(*pair, False, lambda line: None)


def test_a_failure_here_ends_the_child(pair, monkeypatch):
    def fails(*args):
        raise UserError("no space", "Free some.")

    python(monkeypatch, "import sys; job = sys.stdin.readline(); sys.stdin.read(); open('ended', 'w').write(job)")
    monkeypatch.chdir(pair[1].out.parent)
    monkeypatch.setattr(towers.Lesson, "learn", fails)
    with pytest.raises(UserError, match="no space"):
        towers.train_both(*pair, False, lambda line: None)
    job = json.loads(Path("ended").read_text())
    assert Recipe.model_validate(job["recipe"]).to_toml() == pair[1].recipe.to_toml()


def test_each_of_two_gets_half_of_the_threads(pair, monkeypatch):
    program = "import os, sys; assert os.environ['OMP_NUM_THREADS'] == '2' and '\"threads\": 2' in sys.stdin.readline()"
    seen = []
    python(monkeypatch, program)
    monkeypatch.setattr(towers.Lesson, "learn", lambda *a: seen.append(torch.get_num_threads()))
    with towers.torch_threads(5):
        towers.train_both(*pair, False, lambda line: None)
        seen.append(torch.get_num_threads())
    assert seen == [2, 5]


@pytest.mark.skipif(memory.anonymous_memory() is None, reason="this system does not tell kinds of memory apart")
def test_memory_counts_grandchildren_and_no_mapped_files(tmp_path):
    (tmp_path / "file").write_bytes(bytes(300_000_000))
    big = "import sys; x = b'x' * 200_000_000; print('ready', flush=True); sys.stdin.read()"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {big!r}])"
    before = memory.anonymous_memory()
    with (tmp_path / "file").open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) == 0
        assert memory.anonymous_memory() - before < 0.1
    with memory.MemoryPeak() as peak:
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"ready\n"
            until(lambda: peak.gigabytes > before + 0.19)
            child.communicate()
    assert before + 0.19 < peak.gigabytes < before + 0.4
