"""Query by example with dynamic time warping on MFCC: what finds a spoken word where nothing is written or learned.

Subsequence DTW (Müller, 2007, "Information Retrieval for Music and Motion", section 4.4): the example may begin and end
anywhere in the recording. All examples are aligned at once, along the anti-diagonals of the cost matrix, so memory does
not grow with the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lookhear.audio import pad_audio, stream_audio
from lookhear.core import Span
from lookhear.frontend import LogMel, Mfcc
from lookhear.moments import distinct, peaks
from tape_scores import Found

__all__ = ["dtw_hits", "subsequence_costs"]

Floats = NDArray[np.float32]
FRAME = 0.01
PIECE, OVERLAP = 60.0, 4.0
"""Seconds: coefficients are normalised over such a piece; no example is longer than the overlap."""


def mfcc(wave: NDArray[np.float32]) -> Floats:
    """(S,) samples → (T, 39) unit vectors, every 10 ms; mean and variance of each coefficient taken out before."""
    with torch.inference_mode():
        frames = Mfcc()(LogMel(bins=80)(pad_audio([wave]))).values[0].T
        return np.asarray(torch.nn.functional.normalize(frames, dim=1).numpy(), dtype=np.float32)


def subsequence_costs(examples: Sequence[Floats], recording: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Every example's cheapest alignment that ends at each frame of a recording.

    D(i, j) = c(i, j) + min(D(i−1, j), D(i, j−1), D(i−1, j−1)), D(1, j) = c(1, j), c = 1 − cosine.

    Args:
        examples: E arrays (m_e, C).
        recording: (N, C).

    Returns:
        (E, N) D(m_e, j) / m_e, and the frames at which those alignments begin.
    """
    lengths = np.array([len(e) for e in examples])
    rows, count, n = int(lengths.max()), len(examples), len(recording)
    padded = np.zeros((rows, count, recording.shape[1]), dtype=np.float32)
    for e, example in enumerate(examples):
        padded[: len(example), e] = example
    # Row i of a diagonal k holds cell (i, k − i): its neighbours are rows i and i − 1 of the two diagonals before.
    outside = np.float32(1e9)
    last = before = np.full((rows, count), outside, dtype=np.float32)
    last_from = before_from = np.zeros((rows, count), dtype=np.int64)
    costs, begins = np.empty((count, n), dtype=np.float32), np.empty((count, n), dtype=np.int64)
    frames = np.concatenate([np.zeros((rows, recording.shape[1]), np.float32), recording, padded[:, 0] * 0])
    order = np.arange(rows)
    for k in range(n + rows - 1):
        at = frames[k + rows - order]  # (rows, C): frame k − i of the recording beside row i
        inside = (k - order >= 0) & (k - order < n)
        cell = 1 - np.matmul(padded, at[:, :, None])[..., 0]
        # Rows above: of the last diagonal (i − 1, j) and of the one before (i − 1, j − 1); beside: (i, j − 1).
        up, across, left = last[:-1], before[:-1], last[1:]
        smallest = np.minimum(np.minimum(up, across), left)
        came = np.where(across == smallest, before_from[:-1], np.where(up == smallest, last_from[:-1], last_from[1:]))
        now, now_from = np.empty_like(cell), np.empty_like(last_from)
        now[0], now_from[0] = cell[0], k
        now[1:], now_from[1:] = cell[1:] + smallest, came
        now[~inside] = outside
        ends = k - (lengths - 1)
        done = np.flatnonzero((ends >= 0) & (ends < n))
        costs[done, ends[done]] = now[lengths[done] - 1, done] / lengths[done]
        begins[done, ends[done]] = now_from[lengths[done] - 1, done]
        before, before_from, last, last_from = last, last_from, now, now_from
    return costs, begins


def dtw_hits(files: Sequence[Path], examples: Mapping[str, Sequence[Floats]]) -> list[Found]:
    """All moments of all words, each scored by its best example.

    A score is how many robust deviations the cost lies below what is usual for the word in that minute.

    Args:
        examples: word → (m, 39) MFCC of some recordings of it.
    """
    flat = [e for of_word in examples.values() for e in of_word]
    found = list[Found]()
    for tape, file in enumerate(files):
        spans: dict[str, list[Span]] = {word: [] for word in examples}
        for start, wave in stream_audio(file, PIECE, OVERLAP):
            costs, begins = subsequence_costs(flat, mfcc(wave))
            at = 0
            for word, of_word in examples.items():
                spans[word] += _moments(costs[at : at + len(of_word)], begins[at : at + len(of_word)], start)
                at += len(of_word)
        for word, moments in spans.items():
            found += [Found(tape, word, s.start, s.end, s.score) for s in distinct(moments)]
    return found


def _moments(costs: Floats, begins: NDArray[np.int64], offset: float) -> Iterator[Span]:
    """(E, N) costs of a word's examples → its moments."""
    best = costs.argmin(0)
    column = np.arange(costs.shape[1])
    cost, begin = costs[best, column], begins[best, column]
    middle = np.median(cost)
    score = (middle - cost) / (1.4826 * np.median(np.abs(cost - middle)) + 1e-9)
    for end in np.flatnonzero(peaks(torch.from_numpy(score)[:, None], FRAME)[:, 0].numpy() & (score > 0)).tolist():
        yield Span(offset + begin[end] * FRAME, offset + (end + 1) * FRAME, float(score[end]))
