"""Tapes: recordings of a corpus strung into long ones, with the times of all that is said known.

What spotting meets in the field is hours, not sentences: pauses, a room, people who interrupt each other. Recordings
with word times are cut at the silences between their words and joined in random order, so that where a word stands in
its recording tells nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from lookhear.core import RATE, Section
from lookhear.data.pieces import Piece, load_even, pieces_of
from lookhear.data.read import open_corpus
from lookhear.data.schema import Corpus
from lookhear.data.store import new_folder
from lookhear.errors import UserError

__all__ = ["Tapes", "string_tapes"]

Wave = NDArray[np.float32]
Placed = tuple[Piece, int, float]
"""A piece, the sample of the tape that it begins at, and its gain."""

GAIN = 0.5
"""Of everything, so that two voices at once are not clipped."""
_FADE = 80  # samples: 5 ms at both ends of a piece
_ROOM = 0.8  # of the filter that noise is made with: a first-order low-pass at about 570 Hz


class Tapes(Section):
    """How recordings are strung.

    Attributes:
        seconds: of a tape.
        count: tapes to make, the recordings told again in new orders as often as it takes; None makes as many as hold
            each recording once, the last one shorter.
        pause: (shortest, longest) seconds between two pieces, from the end of a word to the start of the next.
        overlaps: share of the pieces that begin before the last one ends.
        overlap: (shortest, longest) seconds that they do so by; half of either piece at most.
        noise: (lowest, highest) dB by which the words of a tape are louder than the room's noise; None for none.
        level: dB by which a piece is made louder or softer at most; its own level is kept otherwise, and so are the
            differences between speakers.
        gap: seconds of silence between words at which a recording is cut.
        label: column that says what is said in a recording without word times.
        seed: of everything drawn.
    """

    seconds: float = Field(600.0, gt=0)
    count: int | None = Field(None, ge=1)
    pause: tuple[float, float] = (0.2, 1.0)
    overlaps: float = Field(0.0, ge=0, le=1)
    overlap: tuple[float, float] = (0.05, 0.2)
    noise: tuple[float, float] | None = (20.0, 40.0)
    level: float = Field(0.0, ge=0)
    gap: float = Field(0.3, gt=0)
    label: str = "text"
    seed: int = 0

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name in ("pause", "overlap", "noise"):
            given = getattr(self, name)
            if given is not None and (given[0] > given[1] or (name != "noise" and given[0] < 0)):
                raise ValueError(f"{name}: two numbers, the lower one first")
        return self


def string_tapes(corpus: Corpus, out: Path | str, config: Tapes | None = None) -> Corpus:
    """Writes tapes (FLAC, 16 kHz) and ``manifest.jsonl`` into a new folder, which appears when it is whole.

    A row of the manifest has ``audio``, ``seconds``, ``words`` (``word``, ``start``, ``end``), ``text`` (the words in
    order) and, a value a word, ``speakers`` and ``sources`` (ids); ``split`` and ``language`` where all recordings have
    the same. Memory is bounded by the longest recording, not by the tape.

    Returns:
        The folder as a corpus.

    Raises:
        UserError: as ``pieces_of``; a recording longer than a tape; a folder that is not empty or cannot be written.
    """
    config = config or Tapes()
    pieces = pieces_of(corpus, config.label, config.gap)
    for piece in pieces:
        if piece.end - piece.start + config.pause[1] > config.seconds:
            what = f"{corpus.name or corpus.root}: {corpus.table['id'][piece.row]} does not fit"
            raise UserError(f"{what} on a tape of {config.seconds:g} s", "Make longer tapes.")
    common = {
        k: v.pop() for k in ("split", "language") if len(v := {corpus.table[k][p.row].as_py() for p in pieces}) == 1
    }
    out = Path(out)
    with new_folder(out) as folder, (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for number, (placed, samples) in enumerate(_plan(pieces, config)):
            name = f"tape-{number:03d}"
            _write(folder / f"{name}.flac", corpus, placed, samples, config, number)
            row = {"id": name, "audio": f"{name}.flac", "seconds": samples / RATE, **common, **_told(corpus, placed)}
            manifest.write(json.dumps(row, ensure_ascii=False) + "\n")
    return open_corpus(out)


def _plan(pieces: Sequence[Piece], config: Tapes) -> Iterator[tuple[list[Placed], int]]:
    """Each tape's pieces and its length in samples."""
    rng = np.random.default_rng(config.seed)
    full = round(config.seconds * RATE)
    tape, spoken, made = list[Placed](), 0.0, 0
    for piece in _order(pieces, rng, again=config.count is not None):
        start, end = piece.spoken
        pause, interrupts = rng.uniform(*config.pause), rng.random() < config.overlaps
        gain = 10 ** (rng.uniform(-config.level, config.level) / 20)
        if interrupts and tape:
            last = tape[-1][0].spoken
            pause = -min(rng.uniform(*config.overlap), (last[1] - last[0]) / 2, (end - start) / 2)
        at = _first_sample(piece, spoken + pause)
        if tape and at + round((piece.end - piece.start) * RATE) > full:
            yield tape, full
            made += 1
            if made == config.count:
                return
            tape, at = [], _first_sample(piece, abs(pause))
        tape.append((piece, at, gain))
        spoken = at / RATE + end - piece.start
    yield tape, min(full, max(at + round((p.end - p.start) * RATE) for p, at, _ in tape))


def _order(pieces: Sequence[Piece], rng: np.random.Generator, again: bool) -> Iterator[Piece]:
    while True:
        yield from (pieces[i] for i in rng.permutation(len(pieces)))
        if not again:
            return


def _first_sample(piece: Piece, at: float) -> int:
    """The sample that a piece begins at for its first word to begin ``at``, in seconds, or as early as it can."""
    return max(0, round((at - (piece.spoken[0] - piece.start)) * RATE))


def _told(corpus: Corpus, placed: Sequence[Placed]) -> dict[str, Any]:
    """What the manifest says of a tape's words."""
    ids, speakers = corpus.table["id"], corpus.table["speaker"]
    said = [
        (at / RATE + start - piece.start, at / RATE + end - piece.start, word, piece.row)
        for piece, at, _ in placed
        for word, start, end in piece.said
    ]
    said.sort()
    return {
        "text": " ".join(word for _, _, word, _ in said),
        "words": [{"word": word, "start": round(a, 5), "end": round(b, 5)} for a, b, word, _ in said],
        "speakers": [speakers[row].as_py() for *_, row in said],
        "sources": [ids[row].as_py() for *_, row in said],
    }


def _write(path: Path, corpus: Corpus, placed: list[Placed], samples: int, config: Tapes, number: int) -> None:
    """One tape, mixed and written piece by piece."""
    import soundfile as sf

    rng = np.random.default_rng([config.seed, number])
    power = float(np.mean([piece.power * gain**2 for piece, _, gain in placed]))
    decibels = np.inf if config.noise is None else rng.uniform(*config.noise)
    room = _Room(float(np.sqrt(power / 10 ** (decibels / 10))), rng)
    # Pieces are in the order of their words; one with a longer margin may begin before the one before it.
    done = np.minimum.accumulate([at for _, at, _ in placed][::-1])[::-1]
    waiting, written = np.zeros(0, dtype=np.float32), 0
    try:
        with sf.SoundFile(path, "w", RATE, 1, "PCM_16", format="FLAC") as file:
            for (piece, at, gain), until in zip(placed, done):
                for part in _parts(waiting, until - written):
                    file.write(GAIN * room.over(part))
                waiting, written = waiting[until - written :], int(until)
                waiting = _mixed(waiting, _cut_out(corpus, piece) * np.float32(gain), at - written)
            for part in _parts(waiting, samples - written):
                file.write(GAIN * room.over(part))
    except sf.LibsndfileError as e:
        raise UserError(f"cannot write {path.name} ({e.error_string.rstrip('.')})", "Free some space.") from None


def _parts(waiting: Wave, samples: int) -> Iterator[Wave]:
    """The first samples of what waits, silence after it, a minute at a time."""
    for start in range(0, samples, 60 * RATE):
        part = waiting[start : min(samples, start + 60 * RATE)]
        yield np.pad(part, (0, min(samples - start, 60 * RATE) - len(part)))


def _mixed(under: Wave, wave: Wave, at: int) -> Wave:
    both = np.zeros(max(len(under), at + len(wave)), dtype=np.float32)
    both[: len(under)] = under
    both[at : at + len(wave)] += wave
    return both


def _cut_out(corpus: Corpus, piece: Piece) -> Wave:
    """The samples of a piece, faded in and out."""
    wave = load_even(corpus, piece.row)[round(piece.start * RATE) : round(piece.end * RATE)].copy()
    fade = min(_FADE, len(wave) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        wave[:fade] *= ramp
        wave[-fade:] *= ramp[::-1]
    return wave


class _Room:
    """The same faint noise under everything, however it is asked for piece by piece."""

    def __init__(self, level: float, rng: np.random.Generator) -> None:
        self.level, self.rng = level, rng
        self.state = np.zeros(1)

    def over(self, wave: Wave) -> Wave:
        from scipy.signal import lfilter

        if not self.level:
            return wave
        white = self.rng.standard_normal(len(wave))
        # Unit variance: white noise through (1 − a) / (1 − a/z) has (1 − a)/(1 + a).
        gain = self.level * np.sqrt((1 + _ROOM) / (1 - _ROOM))
        noise, self.state = lfilter([1 - _ROOM], [1, -_ROOM], white, zi=self.state)
        return np.asarray(wave + gain * noise, dtype=np.float32)
