"""Log-mels of a corpus's recordings: all in memory where they fit, else decoded ahead of the batch that asks."""

from __future__ import annotations

import math
import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from lookhear.audio import load_audio, samples_of
from lookhear.core import RATE, Padded, lengths_to_mask
from lookhear.data.schema import Corpus
from lookhear.models.speech import SpeechTower

__all__ = ["StreamedMels", "frames_of", "log_mels", "pad_mels"]

HOP = 160
"""Samples between frames, as the towers' front ends have it."""


def pad_mels(mels: Sequence[Tensor]) -> Padded:
    """(M, T) log-mels of any lengths and precision → (B, M, T) float32, zeros past the end, and its mask."""
    lengths = torch.tensor([m.shape[1] for m in mels])
    values = torch.zeros(len(mels), mels[0].shape[0], int(lengths.max()))
    for row, mel in zip(values, mels):
        row[:, : mel.shape[1]] = mel
    return Padded(values, lengths_to_mask(lengths, values.shape[2]))


def frames_of(corpus: Corpus, rows: NDArray[np.int64], tower: SpeechTower | None = None) -> NDArray[np.int64]:
    """Frames of each of these recordings: by ``seconds`` of a prepared corpus, else by the files' own headers.

    Args:
        tower: whose ``extract`` makes them; None for log-mel.

    Raises:
        UserError: a recording that cannot be opened.
    """
    if corpus.has("seconds"):
        seconds = corpus.table["seconds"].to_numpy()[rows]
        if np.isfinite(seconds).all():
            return _frames(np.round(seconds * RATE).astype(np.int64), tower)
    ids = corpus.column("id")
    samples = [samples_of(corpus.media("audio", r), name=f"recording {ids[r]}") for r in rows.tolist()]
    return _frames(np.array(samples, dtype=np.int64), tower)


def _frames(samples: NDArray[np.int64], tower: SpeechTower | None) -> NDArray[np.int64]:
    return 1 + samples // HOP if tower is None else tower.frames(samples)


def log_mels(
    tower: SpeechTower, corpus: Corpus, rows: NDArray[np.int64] | None = None, progress: bool = False
) -> list[Tensor]:
    """(M, T) half-precision features of the recordings (of the given rows), decoded in parallel and kept in memory.

    That is log-mel, or what else the tower's ``extract`` gives.

    Half precision costs 2⁻¹¹ of a log-power value, far below the noise of any recording.
    """
    streamed = StreamedMels(tower, corpus, corpus.recordings if rows is None else rows)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:
        found = pool.map(streamed.make, range(len(streamed)))
        return list(tqdm(found, "features", len(streamed), unit="utt", disable=None if progress else True))


class _File:
    """Log-mels that were made before, in a file without a name, which goes with the process that writes it."""

    def __init__(self, folder: Path, items: int, most: float) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as this object)
        self._begin, self._shape = np.full(items, -1, dtype=np.int64), np.zeros((items, 2), dtype=np.int64)
        self._end, self._most, self._lock = 0, most * 1e9, Lock()

    def get(self, index: int) -> Tensor | None:
        begin = int(self._begin[index])
        if begin < 0:
            return None
        m, t = self._shape[index].tolist()
        cells = bytearray(os.pread(self._file.fileno(), 2 * m * t, begin))
        return torch.frombuffer(cells, dtype=torch.float16).view(m, t)

    def put(self, index: int, mel: Tensor) -> None:
        """Keeps it, unless the file has reached its limit or the disk is full."""
        cells = mel.numpy().tobytes()
        with self._lock:
            begin = self._end
            if begin + len(cells) > self._most:
                return
            self._end += len(cells)
        try:
            whole = os.pwrite(self._file.fileno(), cells, begin) == len(cells)
        except OSError:
            whole = False
        if whole:
            self._shape[index] = mel.shape
            self._begin[index] = begin  # last: another thread reads as soon as it is there
        else:
            self._most = 0.0


class StreamedMels(Sequence[Tensor]):
    """Log-mels that are made when they are asked for, by threads, and kept in a file for the next epoch.

    Args:
        tower: whose front end makes them.
        rows: of the corpus, each with a recording.
        threads: that decode; as many as PyTorch has by default.
        folder: where the file lies, which has no name there and vanishes with the process; none is kept without it.
        most: gigabytes it may take. What does not fit is made anew every time.
    """

    def __init__(
        self,
        tower: SpeechTower,
        corpus: Corpus,
        rows: NDArray[np.int64],
        threads: int = 0,
        folder: Path | None = None,
        most: float = 0.0,
    ) -> None:
        self._tower, self._corpus, self._rows = tower, corpus, rows
        self._file = _File(folder, len(rows), most) if folder is not None and most > 0 else None
        self._ids = corpus.table["id"]
        self._pool = ThreadPoolExecutor(threads or max(1, torch.get_num_threads()), "decode")
        self._ahead: OrderedDict[int, Future[Tensor]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        with self._lock:
            waiting = self._ahead.pop(index, None)
        return self.make(index) if waiting is None else waiting.result()

    def make(self, index: int) -> Tensor:
        """One log-mel, (M, T) in half precision.

        Raises:
            UserError: the recording cannot be decoded.
        """
        kept = None if self._file is None else self._file.get(index)
        if kept is not None:
            return kept
        # One at a time: a recording's spectrum fits in the processor's cache, a padded batch of them does not.
        row = int(self._rows[index])
        wave = load_audio(self._corpus.media("audio", row), name=f"recording {self._ids[row].as_py()}")
        mel = self._tower.extract(Padded(torch.from_numpy(wave)[None])).values[0].half()
        if self._file is not None:
            self._file.put(index, mel)
        return mel

    def ahead(self, indices: Iterable[int], most: int) -> None:
        """Begins to decode what will be asked for next; the oldest of more than ``most`` are given up."""
        with self._lock:
            for index in indices:
                if index not in self._ahead:
                    self._ahead[index] = self._pool.submit(self.make, index)
            while len(self._ahead) > most:
                self._ahead.popitem(last=False)[1].cancel()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def gigabytes(frames: NDArray[np.int64], channels: int) -> float:
    """What features of so many frames take in half precision."""
    return math.fsum(frames.tolist()) * channels * 2 / 1e9
