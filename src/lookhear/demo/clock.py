"""What the demo has spent: seconds by stage and peak memory, kept on disk so that a stopped demo goes on counting."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookhear.errors import UserError
from lookhear.models.model import write_atomically

__all__ = ["STAGES", "Clock", "peak_memory"]

STAGES: dict[str, float] = {
    "data": 105.0,
    "teacher": 85.0,
    "speech": 200.0,
    "seed_tower": 110.0,
    "evaluation": 25.0,
    "search": 10.0,
}
"""Stage → rough seconds on two cores: the first estimate; once a stage is measured, only their proportions matter."""


def peak_memory(workers: int = 0) -> float:
    """Largest resident memory of this process so far, in GB, with that of ``workers`` children beside it.

    The system keeps the largest child only: so many of it at once, while this process was at its own peak, is the most
    that can have been in use.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return float((own + workers * child) * unit / 1e9)


def about(seconds: float) -> str:
    """``"about 6 min"``, ``"about 40 s"``."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(5, 5 * round(seconds / 5))} s"


class Clock:
    """Times stages and says how long is left.

    Args:
        path: where the state is kept.
        settings: what the demo was started with; a folder with other settings is refused.
        scale: expected length relative to ``STAGES``.
        say: gets the announcements.

    Raises:
        UserError: the file is damaged, or of a demo with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], scale: float, say: Callable[[str], None]) -> None:
        self.path, self.settings, self.scale, self.say = path, dict(settings), scale, say
        self.seconds: dict[str, float] = {}
        self.memory = 0.0
        self._now: str | None = None
        self._since = 0.0
        self._measured: set[str] = set()
        if path.is_file():
            self._load()

    def _load(self) -> None:
        try:
            state = json.loads(self.path.read_text(encoding="utf-8"))
            settings, self.seconds, self.memory = state["settings"], state["seconds"], state["peak_memory_gb"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self.path}: damaged", "Delete its folder, or choose another --out.") from None
        if settings != self.settings:
            was = ", ".join(f"{k} {v}" for k, v in settings.items())
            raise UserError(f"{self.path.parent} holds a demo with {was}", "Choose another --out, or delete it.")

    def _save(self) -> None:
        state = {"settings": self.settings, "seconds": self.seconds, "peak_memory_gb": self.memory}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(state, indent=1).encode())

    @contextmanager
    def stage(self, name: str, what: str, workers: int = 0) -> Iterator[None]:
        """Announces and times a stage; what an interrupted one has spent is counted too."""
        self._enter(name, what)
        try:
            yield
            self._measured.add(self._now or name)
        finally:
            self._leave(workers)

    def turn(self, name: str, what: str) -> None:
        """Inside a stage: the next one begins here."""
        if self._now != name:
            self._measured.add(self._now or name)
            self._leave(0)
            self._enter(name, what)

    def _enter(self, name: str, what: str) -> None:
        self._now, self._since = name, time.monotonic()
        place = list(STAGES).index(name) + 1
        self.say(f"[{place}/{len(STAGES)}] {what} … {about(self.left())} left in all")

    def _leave(self, workers: int) -> None:
        assert self._now is not None
        self.seconds[self._now] = self.seconds.get(self._now, 0.0) + time.monotonic() - self._since
        self.memory = max(self.memory, peak_memory(workers))
        self._save()

    def left(self) -> float:
        """Seconds from the present stage's beginning to the end, at the speed measured in the stages behind."""
        expected = sum(STAGES[s] for s in self._measured) * self.scale
        pace = sum(self.seconds[s] for s in self._measured) / expected if expected else 1.0
        ahead = list(STAGES)[list(STAGES).index(self._now) :] if self._now else list(STAGES)
        return pace * self.scale * sum(STAGES[s] for s in ahead)

    def total(self) -> float:
        """Seconds of all stages, interrupted ones included."""
        return sum(self.seconds.values())
