"""What the demo has spent: seconds by stage and peak memory, kept on disk so that a stopped demo goes on counting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lookhear.core import bf16_pays
from lookhear.demo.memory import MemoryPeak, resident_bound
from lookhear.errors import UserError
from lookhear.models.model import write_atomically

__all__ = ["STAGES", "Clock"]

STAGES: dict[str, float] = {
    "data": 55.0,
    "teacher": 110.0,
    "speech": 330.0,
    "evaluation": 25.0,
    "search": 8.0,
}
"""Stage → rough seconds on two cores with bf16: the first estimate; once a stage is measured, only their proportions
matter."""
LEARNING = ("teacher", "speech")
IN_FP32 = 2.5
"""How many times as long ``LEARNING`` takes on processors that do not multiply bf16."""


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

    Attributes:
        seconds: stage → seconds, interrupted attempts included.
        memory: peak over the stages, in GB: of ``MemoryPeak`` where the system says, else ``resident_bound``.
        resident: peak of ``resident_bound``, in GB.

    Raises:
        UserError: the file is damaged, or of a demo with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], scale: float, say: Callable[[str], None]) -> None:
        self.path, self.settings, self.scale, self.say = path, dict(settings), scale, say
        self.seconds: dict[str, float] = {}
        self.memory = self.resident = 0.0
        self._now: str | None = None
        self._measured: set[str] = set()
        if path.is_file():
            self._load()

    def _load(self) -> None:
        try:
            state = json.loads(self.path.read_text(encoding="utf-8"))
            settings, self.seconds = state["settings"], state["seconds"]
            self.memory, self.resident = state["peak_memory_gb"], state["peak_resident_gb"]
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{self.path}: damaged", "Delete its folder, or choose another --out.") from None
        if settings != self.settings:
            was = ", ".join(f"{k} {v}" for k, v in settings.items())
            raise UserError(f"{self.path.parent} holds a demo with {was}", "Choose another --out, or delete it.")

    def _save(self) -> None:
        state = {
            "settings": self.settings,
            "seconds": self.seconds,
            "peak_memory_gb": self.memory,
            "peak_resident_gb": self.resident,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(state, indent=1).encode())

    @contextmanager
    def stage(self, name: str, what: str, workers: int = 0) -> Iterator[None]:
        """Announces and times a stage, and looks how much memory it takes; what an interrupted one has spent counts.

        Args:
            name: of ``STAGES``.
            what: is being done, for people.
            workers: how many processes it has beside this one.
        """
        self._now, began = name, time.monotonic()
        place = list(STAGES).index(name) + 1
        self.say(f"[{place}/{len(STAGES)}] {what} … {about(self.left())} left in all")
        peak = MemoryPeak()
        try:
            with peak:
                yield
            self._measured.add(name)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
            bound = resident_bound(workers)
            self.memory = max(self.memory, peak.gigabytes or bound)
            self.resident = max(self.resident, bound)
            self._save()

    def left(self) -> float:
        """Seconds from the present stage's beginning to the end, at the speed measured in the stages behind."""
        slower = 1.0 if bf16_pays() else IN_FP32
        rough = {s: self.scale * took * (slower if s in LEARNING else 1.0) for s, took in STAGES.items()}
        expected = sum(rough[s] for s in self._measured)
        pace = sum(self.seconds[s] for s in self._measured) / expected if expected else 1.0
        ahead = list(STAGES)[list(STAGES).index(self._now) :] if self._now else list(STAGES)
        return pace * sum(rough[s] for s in ahead)

    def total(self) -> float:
        """Seconds of all stages, interrupted ones included."""
        return sum(self.seconds.values())
