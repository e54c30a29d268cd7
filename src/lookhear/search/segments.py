"""How recordings are cut into the segments that an index holds."""

from __future__ import annotations

import math

__all__ = ["HOP", "SEGMENT", "WHOLE", "segment_count", "segment_times"]

SEGMENT, HOP, WHOLE = 4.0, 2.0, 6.0
"""Seconds: long recordings are cut into segments of the length of the captions that towers learn from, each second in
two of them, so that a phrase of up to ``SEGMENT - HOP`` lies whole in one; those up to ``WHOLE`` are one segment."""


def segment_count(seconds: float) -> int:
    """How many segments a recording of so many seconds has."""
    return 1 if seconds <= WHOLE else 1 + math.ceil((seconds - SEGMENT) / HOP - 1e-6)


def segment_times(seconds: float, number: int) -> tuple[float, float]:
    """Start and end of a segment, in seconds; the last one ends with the recording."""
    if seconds <= WHOLE:
        return 0.0, seconds
    start = number * HOP
    return start, min(start + SEGMENT, seconds)
