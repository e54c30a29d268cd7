"""What tapes are strung of: stretches of recordings that say something, by their word times or by their energy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["Piece", "load_even", "pieces_of", "speech_extent"]

Wave = NDArray[np.float32]
Said = tuple[str, float, float]
"""(word, start, end), in seconds."""

MARGIN = 0.1
"""Seconds that a piece keeps before its first word and after its last, where the recording has them."""
JOIN = 0.25
"""Seconds: a shorter silence, as that of a stop consonant, does not end a stretch of speech."""
_LOWEST, _SPEECH = 40.0, 150.0  # Hz: what a tape keeps of a recording, and what extents are told by (no hum)
_HOP = RATE // 100
_QUIETEST, _LOUDEST = 30.0, 15.0  # dB below the loudest frame: where the border of speech may lie


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one recording.

    Attributes:
        row: of the corpus.
        start, end: in seconds of the recording, whole samples.
        said: what is said when, in seconds of the recording, in order.
        power: mean square of the samples within the words.
    """

    row: int
    start: float
    end: float
    said: tuple[Said, ...]
    power: float

    @property
    def spoken(self) -> tuple[float, float]:
        """From the first word's start to the last word's end."""
        return self.said[0][1], max(end for _, _, end in self.said)


def load_even(corpus: Corpus, row: int) -> Wave:
    """A recording without what lies below 40 Hz: an offset of the microphone would be a step at every joint.

    Raises:
        UserError: as ``load_audio``.
    """
    wave = load_audio(corpus.media("audio", row), f"{corpus.name or corpus.root}: {corpus.table['id'][row]}")
    return _high_pass(wave, _LOWEST)


def _high_pass(wave: Wave, hertz: float) -> Wave:
    from scipy.signal import butter, sosfilt

    passed = sosfilt(butter(2, hertz, "high", fs=RATE, output="sos"), wave - wave.mean(dtype=np.float64))
    return np.asarray(passed, dtype=np.float32)


def speech_extent(wave: Wave) -> tuple[float, float]:
    """Where the speech of a recording of one word is, in seconds.

    Speech is what lies 10 dB or more above the quietest tenth of the frames (10 ms, above 150 Hz), but the border is
    never further than 30 dB and never nearer than 15 dB below the loudest frame. Of the stretches of speech, silences
    up to ``JOIN`` included, the one with the most energy is taken: a click of the microphone is none.
    """
    frames = -(-len(wave) // _HOP)
    even = np.pad(_high_pass(wave, _SPEECH), (0, frames * _HOP - len(wave))).reshape(frames, _HOP)
    energy = np.square(even, dtype=np.float64).mean(1) + 1e-12
    level = 10 * np.log10(energy)
    border = np.clip(np.percentile(level, 10) + 10, level.max() - _QUIETEST, level.max() - _LOUDEST)
    loud = np.flatnonzero(level >= border)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > JOIN * RATE / _HOP) + 1)
    best = max(runs, key=lambda run: energy[run].sum())
    return best[0] * _HOP / RATE, min((best[-1] + 1) * _HOP, len(wave)) / RATE


def pieces_of(corpus: Corpus, label: str, gap: float) -> list[Piece]:
    """The pieces of all recordings of a corpus, each decoded once.

    A recording with word times is cut in the middle of every silence of ``gap`` seconds or more between words. One
    without is one piece, which says its ``label`` as long as its speech lasts (``speech_extent``).

    Raises:
        UserError: no recordings, no such column, a recording without word times and without label, a word that lies
            outside its recording, or a recording that cannot be read.
    """
    if not len(corpus.recordings):
        raise UserError(f"{corpus.name or corpus.root}: no recordings", "Choose a corpus, or a split, that has some.")
    times = corpus.column("words")
    labels: list[Any] | None = None
    pieces = list[Piece]()
    for row in corpus.recordings.tolist():
        wave = load_even(corpus, row)
        if times[row]:
            said = _checked(times[row], len(wave) / RATE, corpus, row)
        else:
            labels = corpus.column(label) if labels is None else labels
            if labels[row] is None:
                told = f"{corpus.name or corpus.root}: {corpus.table['id'][row]} has neither word times nor {label!r}"
                raise UserError(told, "Leave it out, or name a column that says what is said.")
            said = [(str(labels[row]), *speech_extent(wave))]
        pieces += _cut(row, wave, said, gap)
    return pieces


def _checked(words: list[Mapping[str, Any]], seconds: float, corpus: Corpus, row: int) -> list[Said]:
    """Words in order of time, ended where the recording ends."""
    said = sorted(((str(w["word"]), float(w["start"]), float(w["end"])) for w in words), key=lambda w: w[1:])
    for word, start, end in said:
        if not 0 <= start < min(end, seconds):
            what = f"{corpus.name or corpus.root}: {corpus.table['id'][row]}: word {word!r} from {start} to {end} s"
            raise UserError(f"{what} of {seconds:.2f} s", "Mend its times.")
    return [(word, start, min(end, seconds)) for word, start, end in said]


def _cut(row: int, wave: Wave, said: list[Said], gap: float) -> Iterator[Piece]:
    groups, until = [[said[0]]], said[0][2]
    borders = [0.0]
    for word in said[1:]:
        if word[1] - until >= gap:
            borders.append((until + word[1]) / 2)
            groups.append([])
        groups[-1].append(word)
        until = max(until, word[2])
    borders.append(len(wave) / RATE)
    for group, low, high in zip(groups, borders, borders[1:], strict=False):
        first = round(max(low, group[0][1] - MARGIN) * RATE)
        last = round(min(high, max(end for _, _, end in group) + MARGIN) * RATE)
        spoken = np.concatenate(
            [wave[round(a * RATE) : max(round(b * RATE), round(a * RATE) + 1)] for _, a, b in group]
        )
        power = float(np.square(spoken, dtype=np.float64).mean())
        yield Piece(row, first / RATE, last / RATE, tuple(group), power)
