"""Event-based and segment-based F1 of sound event detection, counted by the package ``sed_eval``.

Mesaros, Heittola and Virtanen (2016), "Metrics for polyphonic sound event detection". An event is right if it starts
within the collar of an occurrence's start and ends within the collar, or half of the occurrence's length, of its end.
Segments are counted word by word: one that both an answer and an occurrence touch is right.
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.errors import UserError
from lookhear.tasks.answers import Moments, Occurrences
from lookhear.tasks.rates import Counts

__all__ = ["count_events"]

WORD = "word"
"""The label of all events: each word is counted by itself."""


def _sed_eval() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it imports announces its own end
            import sed_eval
    except ModuleNotFoundError as e:
        raise UserError(
            f"event-based figures need the package sed_eval ({e})",
            "pip install 'lookhear[sed]', or leave `events` out of the section.",
        ) from None
    return sed_eval  # type: ignore[no-any-return]


def count_events(
    moments: Moments, said: Occurrences, seconds: NDArray[np.float64], collar: float, segment: float
) -> dict[str, Counts]:
    """Counts (R, 1) of every recording, added up over words: by ``event`` and by ``segment``.

    Args:
        moments: the answers that count.
        said: what is said where.
        seconds: (R,).
        collar: seconds by which an event's start and end may be off.
        segment: length of a segment in seconds.

    Raises:
        UserError: the extra ``sed`` is not installed.
    """
    metrics = _sed_eval().sound_event
    # Word by word, since answers to one never match another: on tapes all events with all others take minutes.
    truth: dict[tuple[int, int], list[dict[str, Any]]] = {}
    answers: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for pair, spans in said.items():
        truth[pair] = [_event(start, end) for start, end in spans]
    columns = (moments.recording, moments.word, moments.start, moments.end)
    for recording, word, start, end in zip(*(c.tolist() for c in columns)):
        answers.setdefault((recording, word), []).append(_event(start, end))
    tables = {name: np.zeros((3, len(seconds), 1)) for name in ("event", "segment")}
    for recording, word in truth.keys() | answers.keys():
        true, answered = (events.get((recording, word), []) for events in (truth, answers))
        by_event = metrics.EventBasedMetrics([WORD], t_collar=collar)
        by_event.evaluate(true, answered)
        by_segment = metrics.SegmentBasedMetrics([WORD], time_resolution=segment)
        by_segment.evaluate(true, answered, evaluated_length_seconds=float(seconds[recording]))
        for name, metric in (("event", by_event), ("segment", by_segment)):
            hits, found, there = (float(metric.overall[k]) for k in ("Ntp", "Nsys", "Nref"))
            tables[name][:, recording, 0] += (hits, found - hits, there - hits)
    return {name: Counts(*table) for name, table in tables.items()}


def _event(start: float, end: float) -> dict[str, Any]:
    return {"event_label": WORD, "event_onset": start, "event_offset": end}
