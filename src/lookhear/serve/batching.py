"""Concurrent queries in one forward pass."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from lookhear.errors import UserError

__all__ = ["Batcher"]

T = TypeVar("T")
_Job = tuple[str, "Future[T]"]


class Batcher(Generic[T]):
    """Collects texts that arrive together and encodes them at once, in a thread of its own.

    The first text waits ``window`` seconds for others; those that arrive during a forward pass are the next batch.

    Args:
        encode: texts, each once → what each becomes, in their order. An error it raises for a batch is told to those
            alone who asked for a text that is at fault.
        most: texts of one pass; 1 turns batching off.
        window: seconds.
        passed: told the number of texts of each pass.
    """

    def __init__(
        self,
        encode: Callable[[Sequence[str]], Sequence[T]],
        most: int = 64,
        window: float = 0.003,
        passed: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self._encode, self._most, self._window, self._passed = encode, most, window, passed
        self._jobs: queue.SimpleQueue[_Job[T] | None] = queue.SimpleQueue()
        self._open, self._lock = True, threading.Lock()
        self._thread = threading.Thread(target=self._work, name="encoding", daemon=True)
        self._thread.start()

    def submit(self, text: str) -> Future[T]:
        """What a text becomes, some time soon.

        Raises:
            RuntimeError: closed already.
        """
        future: Future[T] = Future()
        with self._lock:  # nothing may come after the word to stop, or it would never be answered
            if not self._open:
                raise RuntimeError("the batcher is closed")
            self._jobs.put((text, future))
        return future

    def close(self) -> None:
        """Answers what was submitted, then ends the thread."""
        with self._lock:
            if self._open:
                self._open = False
                self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        more = True
        while more:
            jobs, more = self._collect()
            # A request that timed out has cancelled its future: nobody waits for it.
            jobs = [(text, future) for text, future in jobs if future.set_running_or_notify_cancel()]
            if jobs:
                self._answer(jobs)

    def _collect(self) -> tuple[list[_Job[T]], bool]:
        """The next batch, and whether there may be others after it."""
        job = self._jobs.get()
        if job is None:
            return [], False
        jobs, until = [job], time.monotonic() + self._window
        while len(jobs) < self._most:
            try:
                job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if job is None:
                return jobs, False
            jobs.append(job)
        return jobs, True

    def _answer(self, jobs: Sequence[_Job[T]]) -> None:
        texts = list(dict.fromkeys(text for text, _ in jobs))
        try:
            self._passed(len(texts))
            made = dict(zip(texts, self._encode(texts), strict=True))
        except UserError as e:
            if len(texts) == 1:
                for _, future in jobs:
                    future.set_exception(e)
                return
            for text in texts:  # one of them is at fault: the others are none the worse
                self._answer([job for job in jobs if job[0] == text])
            return
        except Exception as e:  # whatever it is, those who wait must hear of it, and the thread must live
            for _, future in jobs:
                future.set_exception(e)
            return
        for text, future in jobs:
            future.set_result(made[text])
