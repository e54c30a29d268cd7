"""Two runs trained side by side: one in this process, the other in a second one."""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch

from lookhear.errors import UserError
from lookhear.recipe import Recipe
from lookhear.training.train import train

__all__ = ["Child", "Lesson", "torch_threads", "train_both"]

PATIENCE = 120.0
"""Seconds a child may take to save and end: a validation in progress is finished first."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Lesson:
    """A run to train.

    Attributes:
        name: for people: "the seed's tower".
        recipe: of the run.
        data: the corpus folder.
        out: the run folder.
    """

    name: str
    recipe: Recipe
    data: Path
    out: Path

    @property
    def finished(self) -> bool:
        return (self.out / "speech.done").is_file()

    def learn(self, progress: bool) -> None:
        """Trains it in this process."""
        train(self.recipe, self.data, self.out, progress=progress)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """``count`` CPU threads of this process for a while; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_both(
    ours: Lesson, other: Lesson, progress: bool, say: Say, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Trains ``ours`` in this process and ``other`` in a child, each with half of this process's threads.

    If the child is the last, ``meanwhile`` is called while it goes on.

    Several threads share the work of each operation, and wait for each other at its end; a batch of speech is small, so
    much time is lost there. Two processes with one thread each did 1.3 to 1.5 times the steps of one with two.

    Raises:
        UserError: of either; or the child ended otherwise.
        KeyboardInterrupt: when both have saved where they are.
    """
    each = max(1, torch.get_num_threads() // 2)
    child = Child(other, each)
    try:
        with _Watch(child, progress), torch_threads(each):
            began = time.monotonic()
            ours.learn(progress)
            if child.running:
                took = time.monotonic() - began
                say(f"{ours.name} is done after {took:.0f} s; {other.name} is still learning ({child.share():.0%})")
                meanwhile()
            child.wait()
    except KeyboardInterrupt:
        child.check()  # the watch interrupts this process when the child has failed: then that is what happened
        raise
    finally:
        child.stop()


class Child:
    """A lesson that a process of its own learns (``lookhear.demo.child``).

    It is no ``multiprocessing`` process, for those run the caller's script again, which a script without a
    ``__main__`` guard, ``python -`` and some notebooks do not bear.

    Args:
        lesson: what it learns.
        threads: CPU threads it may use.
    """

    def __init__(self, lesson: Lesson, threads: int) -> None:
        self.lesson = lesson
        self.log = lesson.out.with_name(f"{lesson.out.name}.log")
        job = {
            "recipe": lesson.recipe.model_dump(mode="json"),
            "data": str(lesson.data),
            "out": str(lesson.out),
            "threads": threads,
        }
        # OpenMP reads its number when it is loaded, and so do libraries that torch.set_num_threads does not reach; all
        # of them by themselves take every core, and two processes that each do so are slower than one.
        path = os.pathsep.join(p or str(Path.cwd()) for p in sys.path)
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C in a terminal is ours to pass on, once: a second one saves nothing
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already: its exit code is looked at later
            self._process.stdin.write(json.dumps(job).encode() + b"\n")

    @staticmethod
    def command() -> list[str]:
        return [sys.executable, "-P", "-m", "lookhear.demo.child"]

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        return self._process.poll() not in (None, 0)

    def wait(self) -> None:
        """Until it has learned.

        Raises:
            UserError: as ``check``.
        """
        self._process.wait()
        self.check()

    def check(self) -> None:
        """Raises what it has failed with, if it has.

        Raises:
            UserError: its own; or how it ended, and where what it wrote can be read.
        """
        if not self.failed:
            return
        code, output = self._process.returncode, self._process.stdout
        assert output is not None
        lines = output.read().splitlines()
        if code == 2 and lines:
            raise UserError(**json.loads(lines[-1]))
        again = "The same command goes on where it was."
        if code == -signal.SIGKILL:
            raise UserError(f"{self.lesson.name}: its process was killed, most likely for want of memory", again)
        written = self.log.read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(written) if line.strip()), "it left no word")
        end = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise UserError(f"{self.lesson.name}: its process ended with {end} ({last})", f"See {self.log}. {again}")

    def row(self) -> dict[str, Any]:
        """The last line of its log; empty before there is one."""
        try:
            text = (self.lesson.out / "speech.log.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        rows = [json.loads(line) for line in text.split("\n")[:-1]]  # what follows the last break is half a line
        return next((r for r in reversed(rows) if "epoch" in r), {})

    def share(self) -> float:
        """How much of its lesson is behind it, in [0, 1]."""
        return min(1.0, float(self.row().get("epoch", 0.0)) / self.lesson.recipe.training.epochs)

    def stop(self) -> None:
        """Lets it save where it is, if it still runs, and waits for its end; a second Ctrl-C kills it."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        except KeyboardInterrupt:
            process.kill()
            raise
        finally:
            process.wait()
            process.stdout.close()
            if process.returncode in (0, 130) or not self.log.stat().st_size:
                self.log.unlink()


_FAILED = signal.SIGUSR1
"""Not SIGINT, which shells tell the jobs that they start in the background to ignore."""


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(number, frame)


class _Watch:
    """Looks after a child from a thread: draws its bar, and interrupts this process's main thread if it fails.

    Its bar is opened first and so stands above the others, for lines below one that ends would be left behind.
    """

    def __init__(self, child: Child, progress: bool, interval: float = 0.5) -> None:
        from tqdm import tqdm

        self._child, self._interval = child, interval
        self._bar = tqdm(
            total=1.0,
            desc=child.lesson.name,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}{postfix}]",
            disable=None if progress else True,
        )
        self._over = threading.Event()
        self._main = threading.current_thread() is threading.main_thread()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> _Watch:
        if self._main:
            self._before = signal.signal(_FAILED, _as_ctrl_c)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._main:
            signal.signal(_FAILED, self._before)
        self._draw()
        self._bar.close()

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._draw()
            if not self._child.running:
                if self._child.failed and self._main:
                    _thread.interrupt_main(_FAILED)
                return

    def _draw(self) -> None:
        if self._bar.disable:
            return
        row = self._child.row()
        self._bar.n = self._child.share()
        if row:
            self._bar.set_postfix_str(f"{row['utterances_per_second']} utt/s, loss={row['loss']:.3f}", refresh=False)
        self._bar.refresh()
