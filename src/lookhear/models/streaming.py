"""Recordings of any length as one row of local vectors, with memory bounded by a piece.

A piece is heard together with all the sound that can reach its vectors, and gives only those that nothing beyond it can
change: where the cuts fall makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lookhear.audio import stream_audio
from lookhear.core import RATE, Features

__all__ = ["Hearing", "Stretch", "stream"]

PIECE = 60.0
"""Seconds of sound that a piece answers for, where a tower's context is bounded."""
WINDOW, ASIDE = 4.0, 2.0
"""Seconds that a piece answers for, and that it hears on either side, where it is not bounded (Transformers, norms over
the recording): about what the captions last that towers learn from. Such a tower's answer is that of its windows, which
lie at fixed times."""
MARGIN = 0.2
"""Seconds beyond a tower's context that resampling and the windows of the first frames reach."""


class Hearing(Protocol):
    """What is asked of a model."""

    @property
    def step(self) -> float: ...

    @property
    def context(self) -> float: ...

    def embed_audio(self, waves: Any) -> Features: ...


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a recording.

    Attributes:
        first: number of the first frame; stretches follow each other without a gap.
        features: of one item, (1, N, D), N frames.
        end: seconds of sound known so far; of the last stretch, how long the recording is.
        last: whether the recording ends here.
    """

    first: int
    features: Features
    end: float
    last: bool


def stream(model: Hearing, path: Path | str, piece: float = PIECE) -> Iterator[Stretch]:
    """All frames of a recording, in order.

    Args:
        model: its ``context`` says how far a frame hears.
        path: the recording.
        piece: least seconds that a stretch covers, where the context is bounded; the vectors do not depend on it.

    Raises:
        UserError: as ``stream_audio``, perhaps after some stretches were given.
    """
    own, aside = layout(model.step, model.context, piece)
    before, until = round(aside / model.step), round((aside + own) / model.step)
    pieces = stream_audio(path, own + 2 * aside, 2 * aside)
    following = next(pieces, None)
    while following is not None:
        (start, wave), following = following, next(pieces, None)
        features = model.embed_audio([wave])
        low, high = 0 if start == 0 else before, features.mask.shape[1] if following is None else until
        kept = _frames(features, low, high)
        yield Stretch(round(start / model.step) + low, kept, start + len(wave) / RATE, following is None)


def layout(step: float, context: float, piece: float) -> tuple[float, float]:
    """Seconds that a piece answers for, and that it hears beside them on either side.

    Both are whole seconds, at which every sample rate has a sample, and whole steps, so that all pieces share one grid
    of frames.
    """
    unit = math.lcm(round(step * RATE), RATE) // RATE
    own, aside = (piece, context + MARGIN) if math.isfinite(context) else (WINDOW, ASIDE)
    return float(math.ceil(own / unit) * unit), float(math.ceil(aside / unit) * unit)


def _frames(features: Features, low: int, high: int) -> Features:
    """Some frames of one item."""
    curve = None if features.tag_curve is None else features.tag_curve[:, low:high]
    return Features(
        features.pooled, features.local[:, low:high], features.mask[:, low:high], features.step, tag_curve=curve
    )
