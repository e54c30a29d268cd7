"""Where in a score curve something is said: peaks, and the stretch around a peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Span

__all__ = ["APART", "around", "distinct", "peaks", "spans_above"]

APART = 0.25
"""Seconds: two peaks nearer than this are one moment. Shorter than the time between two words of fast speech."""

LEAST = 0.24
"""Seconds that a moment lasts at least, about as long as a short word. Less than ``APART``, so that two moments do not
become one by it. On the picture book's validation recordings the overlap of right spans with their words (IoU) is .62
so, .55 with .2 and .37 with .12 (one run)."""


def peaks(curve: Tensor, step: float) -> Tensor:
    """(N, Q) score curves → (N, Q) bool: frames that no frame within ``APART`` seconds exceeds.

    A frame outside the recording (−inf) is no peak. Equal neighbours are all peaks; ``distinct`` makes them one.
    """
    radius = max(1, round(APART / step))
    highest = F.max_pool1d(curve.T[None], 2 * radius + 1, stride=1, padding=radius)[0].T
    return (curve == highest) & torch.isfinite(curve)


def around(curve: Tensor, frame: int, step: float, offset: float = 0.0) -> Span:
    """The stretch around a peak of a (N,) curve where the score stays at or above half of the peak's.

    Towers that learned the best moment of words have peaks of a frame or two: no stretch is shorter than ``LEAST``, the
    peak in its middle. It may end after the recording does. Half the height is measured from 0, the cosine of a frame
    that has nothing in common with the query and the usual score of a curve; around a peak of 0 or less there is no
    such stretch, and the frame alone is taken.

    Args:
        frame: the peak.
        step: seconds per frame.
        offset: seconds to add to both times.
    """
    peak = float(curve[frame])
    start, end = offset + frame * step, offset + (frame + 1) * step
    middle = (start + end) / 2
    if peak > 0:
        for span in spans_above(curve, step, peak / 2, offset):
            if span.start <= middle <= span.end:
                start, end = span.start, span.end
    return Span(max(0.0, min(start, middle - LEAST / 2)), max(end, middle + LEAST / 2), peak)


S = TypeVar("S", bound=Span)


def distinct(spans: Sequence[S]) -> list[S]:
    """Of spans that overlap (or touch) the best-scored, in order of time."""
    out: list[S] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if out and span.start <= out[-1].end + 1e-9:
            out[-1] = span if span.score > out[-1].score else out[-1]
        else:
            out.append(span)
    return out


def spans_above(curve: Tensor, step: float, threshold: float, offset: float = 0.0) -> list[Span]:
    """Stretches of a (N,) score curve at or above the threshold, each scored by its peak.

    Args:
        curve: local scores; −inf where there is nothing.
        step: seconds per frame; a frame covers [n × step, (n + 1) × step].
        threshold: lowest score that counts.
        offset: seconds to add to every time.
    """
    above = (curve >= threshold).to(torch.int8)
    edges = torch.diff(above, prepend=above.new_zeros(1), append=above.new_zeros(1))
    starts, ends = torch.nonzero(edges == 1).flatten().tolist(), torch.nonzero(edges == -1).flatten().tolist()
    return [
        Span(offset + a * step, offset + b * step, float(curve[a:b].max())) for a, b in zip(starts, ends, strict=True)
    ]
