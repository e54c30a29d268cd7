"""What of a recording or picture a page needs: a stretch as WAV, peaks to draw, a small picture."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import numpy as np

from lookhear.audio import load_excerpt
from lookhear.core import RATE
from lookhear.data.images import load_image
from lookhear.errors import UserError
from lookhear.serve.refusals import Refusal

__all__ = ["Peaks", "excerpt", "peaks", "thumbnail"]

_BLOCK = 1 << 18  # frames read at once


class Peaks(TypedDict):
    """A drawing of a stretch: the lowest and the highest sample of each of its equal parts, in [-1, 1]."""

    start: float
    end: float
    low: list[float]
    high: list[float]


def excerpt(path: Path, start: float, end: float) -> bytes:
    """A stretch of a recording as a WAV file: mono, 16 bits, 16 kHz, whatever the recording is.

    Raises:
        Refusal: 422, the recording ends before ``start``.
        UserError: as ``load_excerpt``.
    """
    samples = load_excerpt(path, start, end)
    if not len(samples):
        raise Refusal(422, f"the recording ends before {start:g} s", "Ask for an earlier stretch.")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def peaks(path: Path, start: float, end: float, bins: int, wanted: Callable[[], bool] = lambda: True) -> Peaks:
    """The lowest and highest samples of ``bins`` equal parts of a stretch; memory does not grow with its length.

    Args:
        start, end: seconds; the end is that of the recording where this comes first.
        wanted: asked between blocks; False gives up.

    Raises:
        Refusal: 422, the recording ends before ``start``; 504, not wanted any more.
        UserError: not a readable recording.
    """
    import soundfile as sf

    try:
        with sf.SoundFile(path) as file:
            first, last = round(start * file.samplerate), min(round(end * file.samplerate), file.frames)
            if first >= last:
                raise Refusal(422, f"the recording ends before {start:g} s", "Ask for an earlier stretch.")
            bins = min(bins, last - first)
            edges = first + np.arange(bins + 1) * (last - first) // bins
            low, high = np.full(bins, np.inf), np.full(bins, -np.inf)
            file.seek(first)
            at = first
            while at < last:
                if not wanted():
                    raise Refusal(504, "drawing this stretch takes too long", "Ask for a shorter one.")
                block = file.read(min(_BLOCK, last - at), dtype="float32", always_2d=True).mean(1)
                if not len(block):
                    break
                _take_in(block, at, edges, low, high)
                at += len(block)
            rate = file.samplerate
    except (sf.LibsndfileError, RuntimeError) as e:
        raise UserError(f"{path}: damaged recording ({str(e).rstrip('.')})", "Copy it again.") from None
    heard = np.isfinite(low) & np.isfinite(high)  # a truncated file ends before its header says
    low, high = np.where(heard, low, 0.0), np.where(heard, high, 0.0)
    return Peaks(start=first / rate, end=last / rate, low=low.round(4).tolist(), high=high.round(4).tolist())


def _take_in(
    block: np.ndarray[tuple[int], np.dtype[np.float32]],
    at: int,
    edges: np.ndarray[tuple[int], np.dtype[np.int64]],
    low: np.ndarray[tuple[int], np.dtype[np.float64]],
    high: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    """Widens the extremes of the parts that a block of samples, the first of them number ``at``, lies in."""
    a = int(np.searchsorted(edges, at, side="right")) - 1
    b = int(np.searchsorted(edges, at + len(block), side="left"))  # parts a … b - 1
    cuts = np.maximum(edges[a:b] - at, 0)
    low[a:b] = np.minimum(low[a:b], np.minimum.reduceat(block, cuts))
    high[a:b] = np.maximum(high[a:b], np.maximum.reduceat(block, cuts))


def thumbnail(path: Path, size: int) -> bytes:
    """A picture as JPEG, no side longer than ``size``.

    Raises:
        UserError: as ``load_image``.
    """
    picture = load_image(path)
    picture.thumbnail((size, size))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
