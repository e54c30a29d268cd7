"""The seconds about a hit: their sound, and the score curve of its query over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lookhear.audio import load_excerpt, stream_audio
from lookhear.core import RATE, Hit
from lookhear.models.model import Model
from lookhear.models.streaming import layout
from lookhear.moments import APART
from lookhear.search.curves import NEAR, Curves
from lookhear.search.queries import Asked
from lookhear.search.spot import Heard

__all__ = ["ASIDE", "Excerpt", "Excerpts", "envelope"]

ASIDE = 1.0
"""Seconds that are heard on either side of a hit's middle, at least."""
EDGE, LONGEST = 0.3, 8.0
"""Seconds on either side of a hit, at least, and of an excerpt, at most."""


@dataclass(frozen=True)
class Excerpt:
    """A stretch of a recording about a hit.

    Attributes:
        start: in seconds.
        wave: (S,) samples at 16 kHz.
        times, values: (N,) middles of the frames in it, in seconds of the recording, and the query's values there:
            probabilities of a calibrated model, else cosines; lowest where something is said that is not meant.
    """

    start: float
    wave: NDArray[np.float32]
    times: NDArray[np.floating]
    values: NDArray[np.floating]

    @property
    def seconds(self) -> float:
        return len(self.wave) / RATE


class Excerpts:
    """Excerpts of hits of some queries.

    The curve is heard again, with enough sound on either side that it is the one the hit was found on; towers without
    a bound on what they hear are given as much as ``models.streaming`` gives them, and answer about the same.

    Args:
        asked: the queries by whose names hits are called.
    """

    def __init__(self, model: Model, asked: Sequence[Asked]) -> None:
        self.model = model
        self.curves = {a.name: Curves([a], model.compatibility, model.calibration) for a in asked}
        unit, context = layout(model.step, model.context, 0.01)
        self.unit = int(unit)  # pieces that start at multiples of it share the frames of the whole recording
        self.context = context + NEAR + 2 * APART

    def about(self, hit: Hit, seconds: float) -> Excerpt:
        """The excerpt about a hit of a recording so long.

        Raises:
            UserError: the recording cannot be read any more.
        """
        middle = (hit.start + hit.end) / 2
        low, high = max(0.0, min(middle - ASIDE, hit.start - EDGE)), min(seconds, max(middle + ASIDE, hit.end + EDGE))
        high = min(high, low + LONGEST)
        first = max(0, math.floor((low - self.context) / self.unit) * self.unit)
        heard = load_excerpt(hit.file, first, high + self.context)
        curves, step = self.curves[hit.query], self.model.step
        scores = curves.of_queries(curves.of_parts(self.model.embed_audio([heard])), step)[:, 0]
        values = (torch.sigmoid(scores) if curves.calibrated else scores.clamp(min=-1)).double().numpy()
        times = first + (np.arange(len(values)) + 0.5) * step
        inside = (times >= low) & (times < high)
        wave = heard[round((low - first) * RATE) : round((high - first) * RATE)]
        return Excerpt(low, wave, times[inside], values[inside])


def envelope(heard: Heard, bins: int) -> NDArray[np.float32]:
    """(2, bins): the lowest and the highest sample of each of so many equal stretches of a recording.

    Raises:
        UserError: it cannot be read any more.
    """
    found = np.zeros((2, bins), dtype=np.float32)
    samples = max(1, round(heard.seconds * RATE))
    for start, wave in stream_audio(heard.file, 60.0, 0.0):
        at = np.minimum((round(start * RATE) + np.arange(len(wave))) * bins // samples, bins - 1)
        edges = np.flatnonzero(np.diff(at, prepend=-1))
        inside = at[edges]
        found[0, inside] = np.minimum(found[0, inside], np.minimum.reduceat(wave, edges))
        found[1, inside] = np.maximum(found[1, inside], np.maximum.reduceat(wave, edges))
    return found
