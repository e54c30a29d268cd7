"""Keyword spotting in recordings of any length: streamed in overlapping pieces, every word's best moments placed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.audio import stream_audio
from lookhear.core import RATE, Hit, Span
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.moments import APART, around, distinct, peaks, spans_above

__all__ = ["DEVIATIONS", "spot"]

DEVIATIONS = 5.0
"""Without a threshold, a moment counts that scores this many deviations above its word's usual score in the file, and
at least half of its word's best there. Usual cosines are near 0 and deviate by 0.1, so 5 ask for about 0.5 (made-up
picture book, 8 recordings of half a minute, 79 words: F1 of the moments 0.54, at 4 deviations 0.49, at 6 0.47)."""
MOST = 1000
"""Moments kept of one word in one file without a threshold: the best ones. It bounds memory, whatever the length."""
_SAMPLES = 8192  # frames of a file that its usual scores are read from
_PIECE, _OVERLAP = 32.0, 2.4  # seconds; near multiples of every tower's step, so that pieces share one frame grid
_BATCH = 8


@dataclass(frozen=True)
class _Piece:
    """A stretch of a recording and the part of it that no other piece answers for, in seconds."""

    file: str
    start: float
    wave: NDArray[np.float32]
    first: bool
    last: bool

    @property
    def end(self) -> float:
        return self.start + len(self.wave) / RATE

    @property
    def own(self) -> tuple[float, float]:
        edge = _OVERLAP / 2
        low = -np.inf if self.first else self.start + edge
        return low, np.inf if self.last else self.end - edge


def spot(
    model: Model,
    files: Sequence[Path | str],
    words: Sequence[str],
    *,
    threshold: float | None = None,
    template: str = "{word}",
    on_error: Callable[[UserError], None] | None = None,
    progress: bool = False,
) -> Iterator[Hit]:
    """Where in the recordings the words are said, best score first.

    A score is a point of the model's score curve (``Compatibility.curve``): the cosine, in [-1, 1], of the word with
    the local vectors about that moment.

    Without ``threshold`` each word's own statistics decide: of every file its best moment, and each other peak that
    has half of the best one's score and lies ``DEVIATIONS`` deviations above the median of that word's curve there. A
    deviation is 1.4826 × the median absolute deviation, which is the standard deviation of normally distributed
    scores, and unlike it does not grow when the word is said often. A moment's span is where the curve stays above
    half its peak, and no shorter than ``LEAST``. With ``threshold``, the spans are the stretches of the
    curve at or above it.

    Args:
        files: recordings of any length; memory is bounded by a few pieces of 32 s.
        words: written words or phrases.
        threshold: lowest cosine that counts.
        template: prompt around the word.
        on_error: gets the error of a file that cannot be read, which is then left out whole; None raises it.
        progress: a bar on stderr, in seconds of sound, if that is a terminal.

    Raises:
        UserError: no words, a word the text encoder can make nothing of, a template without ``{word}``, a file that
            cannot be read (without ``on_error``).
    """
    words = list(dict.fromkeys(words))
    if not words:
        raise UserError("no words to spot", "Name at least one.")
    if "{word}" not in template:
        raise UserError(f"template {template!r}", "Put {word} where the word goes.")
    queries = model.embed_texts([template.replace("{word}", w) for w in words]).pooled.float()
    hits: list[Hit] = []
    batch: list[_Piece] = []
    file = _File(words, threshold)

    def flush() -> None:
        nonlocal file
        features = model.embed_audio([p.wave for p in batch])
        curves = model.compatibility.curve(features, queries)
        if torch.isnan(curves).any():
            raise UserError("the model gives scores that are not numbers", "Its training diverged: train again.")
        for piece, curve, mask in zip(batch, curves, features.mask, strict=True):
            if piece.first:
                file = _File(words, threshold)
            file.add(piece, curve[mask], model.step)
            if piece.last:
                hits.extend(file.hits(piece.file, piece.end))
        batch.clear()

    for piece in _read(files, on_error, progress):
        batch.append(piece)
        if len(batch) == _BATCH:
            flush()
    if batch:
        flush()
    yield from sorted(hits, key=lambda h: (-h.score, h.file, h.start))


def _read(
    files: Sequence[Path | str], on_error: Callable[[UserError], None] | None, progress: bool
) -> Iterator[_Piece]:
    """Pieces of all files; one that turns out damaged ends without its last piece, and so gives no hits."""
    from tqdm import tqdm

    with tqdm(desc="spotting", unit="s", unit_scale=True, disable=None if progress else True) as bar:
        for file in map(str, files):
            waiting: _Piece | None = None
            try:
                for start, wave in stream_audio(file, _PIECE, _OVERLAP):
                    if waiting is not None:
                        yield waiting
                    waiting = _Piece(file, start, wave, waiting is None, False)
                    bar.update(len(wave) / RATE - (0 if waiting.first else _OVERLAP))
            except UserError as e:
                if on_error is None:
                    raise
                on_error(e)
                continue
            assert waiting is not None  # stream_audio refuses a recording without samples
            yield _Piece(file, waiting.start, waiting.wave, waiting.first, True)


class _File:
    """What is known of one recording so far: each word's usual scores and its moments."""

    def __init__(self, words: list[str], threshold: float | None) -> None:
        self.words, self.threshold = words, threshold
        self.spans: list[list[Span]] = [[] for _ in words]
        self.usual = _Sample()

    def add(self, piece: _Piece, curve: Tensor, step: float) -> None:
        """Takes in the (N, Q) score curve of the next piece."""
        low, high = piece.own
        if self.threshold is not None:
            for spans, scores in zip(self.spans, curve.T):
                found = spans_above(scores, step, self.threshold, piece.start)
                spans += [s for s in found if s.end > low and s.start < high]
            return
        middles = piece.start + (torch.arange(len(curve)) + 0.5) * step
        self.usual.add(curve[(middles >= low) & (middles < high)])
        # A peak at the border may lie a frame apart in the two pieces: both look a little further, doubles are joined.
        near = (middles >= low - APART) & (middles < high + APART)
        # What is far below the bar is dropped at once, except the piece's best: it may be the file's.
        low_bar = torch.minimum(_above(curve, DEVIATIONS / 2), curve[near].amax(0))
        candidates = peaks(curve, step) & near[:, None] & (curve >= low_bar)
        for q, spans in enumerate(self.spans):
            at = torch.nonzero(candidates[:, q]).flatten().tolist()
            found = [self._moment(curve[:, q], n, step, piece.start) for n in at]
            self.spans[q] = sorted([*spans, *found], key=_worse)[:MOST]

    @staticmethod
    def _moment(curve: Tensor, frame: int, step: float, start: float) -> Span:
        """The span around a peak, looked for no further than the pieces overlap, so that every cut gives the same."""
        reach = int(_OVERLAP / 2 / step)
        first = max(0, frame - reach)
        return around(curve[first : frame + reach + 1], frame - first, step, start + first * step)

    def hits(self, file: str, end: float) -> Iterator[Hit]:
        """The moments that count, each once."""
        join = self.threshold is not None
        bars = [0.0] * len(self.words) if join else _above(self.usual.frames, DEVIATIONS).tolist()
        for word, spans, bar in zip(self.words, self.spans, bars):
            moments = sorted(distinct(spans, join), key=_worse)
            for i, s in enumerate(moments):
                if join or i == 0 or s.score >= max(bar, moments[0].score / 2):
                    yield Hit(file, word, s.start, min(s.end, end), s.score)


def _worse(span: Span) -> tuple[float, float]:
    return -span.score, span.start


class _Sample:
    """Every n-th frame of a stream of (N, Q) curves; n doubles whenever there are more than ``_SAMPLES``."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        self.stride, self.seen = 1, 0

    def add(self, curve: Tensor) -> None:
        first = -self.seen % self.stride
        self.kept.append(curve[first :: self.stride])
        self.seen += len(curve)
        while sum(map(len, self.kept)) > _SAMPLES:
            self.kept = [self.frames[::2].clone()]
            self.stride *= 2

    @property
    def frames(self) -> Tensor:
        return torch.cat(self.kept)


def _above(curve: Tensor, deviations: float) -> Tensor:
    """(N, Q) → (Q,): the median plus so many robust standard deviations."""
    median = curve.median(0).values
    return median + deviations * 1.4826 * (curve - median).abs().median(0).values
