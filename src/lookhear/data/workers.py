"""Work spread over a few processes: results in order, clean stops, errors that keep their words."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from lookhear.errors import UserError

__all__ = ["in_processes"]

AHEAD = 3
"""Tasks a worker that are handed out and not yet asked for: what is held in memory."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    """``work`` of every task, in the order of the tasks.

    Args:
        work: a function of a module, so that other processes find it.
        tasks: taken as workers become free, a few ahead.
        workers: processes; 0 works in this one.

    Raises:
        UserError: what ``work`` raised, or a process was killed.
    """
    if workers <= 0:
        yield from map(work, tasks)
        return
    # Workers here use no torch and no Arrow threads, so forking is safe; and a forked worker does not run the caller's
    # script again, which spawning does (and which fails for a notebook or `python -`).
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_ignore_interrupt)
    # A collection of garbage writes into every object that it looks at, and so ends the sharing of its page between
    # this process and its forks: what was there before them is not looked at while they live.
    gc.freeze()
    try:
        waiting: deque[Future[Any]] = deque()
        left = iter(tasks)
        while True:
            waiting.extend(pool.submit(_guarded, (work, t)) for t in islice(left, AHEAD * workers - len(waiting)))
            if not waiting:
                return
            result = waiting.popleft().result()
            if isinstance(result, _Mistake):
                raise UserError(result.what, result.fix)
            yield result
    except BrokenProcessPool as e:
        raise UserError(
            "a worker process was killed, most likely for want of memory", "Use fewer workers or smaller pictures."
        ) from e
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        gc.unfreeze()


class _Mistake:
    """A UserError on its way between processes."""

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix


def _guarded(call: tuple[Callable[[Any], Any], Any]) -> Any:
    try:
        return call[0](call[1])
    except UserError as e:
        return _Mistake(e.what, e.fix)


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle: it stops the pool in order
