"""Threads that ask the index: each has a searcher of its own, for what an index has open is not shared by threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Searchers"]

T = TypeVar("T")


class Searchers:
    """A pool of searchers of one index and one model.

    Args:
        open_searcher: makes one more; they share a model, which must be in evaluation mode.
        threads: how many ask at one time; what exceeds them waits.
    """

    def __init__(self, open_searcher: Callable[[], Any], threads: int) -> None:
        self._open, self._own, self._all = open_searcher, threading.local(), list[Any]()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="search")
        self._lock = threading.Lock()

    async def ask(self, what: Callable[[Any], T]) -> T:
        """What a function finds out with a searcher, in a thread that may be waited for."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._with_own, what)

    def _with_own(self, what: Callable[[Any], T]) -> T:
        if not hasattr(self._own, "searcher"):
            self._own.searcher = self._open()
            with self._lock:
                self._all.append(self._own.searcher)
        return what(self._own.searcher)

    def close(self) -> None:
        """Ends the threads when they are done, and closes what they had open."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for searcher in self._all:
            searcher.index.close()
