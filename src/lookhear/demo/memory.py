"""How much memory the demo takes, with all of its processes at once."""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType

__all__ = ["MemoryPeak", "anonymous_memory", "resident_bound"]

PROC = Path("/proc")


def _children() -> dict[int, list[int]]:
    """Process → the processes it started, of all that run now."""
    found: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                # "pid (name) state parent …": the name may hold spaces and brackets itself.
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            except (OSError, IndexError):  # it has ended meanwhile
                continue
            found.setdefault(parent, []).append(int(entry.name))
    return found


def _own_bytes(process: int) -> int | None:
    """RssAnon + RssShmem of one process; None if it has ended, or the system does not tell the kinds apart."""
    try:
        lines = (PROC / str(process) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return None
    sizes = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
    return 1024 * sum(sizes) if sizes else None


def anonymous_memory() -> float | None:
    """Memory of this process and of all that it started, now, in GB; None where the system does not say (not Linux).

    Counted is what lies in memory and belongs to no file: RssAnon + RssShmem of ``/proc/<pid>/status``, summed. Pages
    of memory-mapped files (RssFile: the corpus, the libraries' code) are left out: processes share them, and the system
    drops them when memory is short. What a forked worker shares with its parent is counted in both.
    """
    own = _own_bytes(os.getpid())
    if own is None:
        return None
    children = _children()
    total, waiting = own, list(children.get(os.getpid(), ()))
    while waiting:
        process = waiting.pop()
        total += _own_bytes(process) or 0
        waiting += children.get(process, ())
    return total / 1e9


def resident_bound(workers: int = 0) -> float:
    """The most resident memory, in GB, that this process and ``workers`` children at once can have had so far.

    The peak of this process, and for each worker that of the largest child that has ended (``ru_maxrss``), as if all
    peaks fell together; pages of memory-mapped files included, once for each process.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return float((own + workers * child) * unit / 1e9)


class MemoryPeak:
    """The largest ``anonymous_memory`` while this context lasts.

    Args:
        interval: seconds between looks; a shorter peak may be missed.

    Attributes:
        gigabytes: the largest value seen; 0 where the system does not say.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.gigabytes = 0.0
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def __enter__(self) -> MemoryPeak:
        if self._look():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._look()

    def _look(self) -> bool:
        now = anonymous_memory()
        self.gigabytes = max(self.gigabytes, now or 0.0)
        return now is not None

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._look()
