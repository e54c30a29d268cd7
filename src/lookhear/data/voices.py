"""Voices to train on and to test on, recording conditions, and written captions spoken in many voices."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from tqdm import tqdm

from lookhear.data.speak import RATE, Synthesiser, Word
from lookhear.data.workers import in_processes
from lookhear.errors import UserError

__all__ = ["TEST_VOICES", "TRAIN_VOICES", "clean", "perturb", "speak_varied", "voice_captions"]

_VARIANTS: dict[str, str] = {
    # American
    "en-us": "m1 f3 Annie klatt4 Lee Reed Alex Diogo Jacky antonio edward2 ian klatt2 miguel pablo sandro zac",
    "en": "f2 m3 steph edward robert Andy Gene caleb grandpa klatt6 mike2 travis Gene2",  # British
    "en-gb-x-rp": "f4 m4 linda benjamin Denis Marco ed iven michel pedro victor",  # Received Pronunciation
    "en-gb-scotland": "m2 f1 Alicia Henrique gustave norbert",  # Scottish
    "en-gb-x-gbclan": "m6 aunty Mario Michael iven3 quincy",  # Lancastrian
    "en-029": "m5 f1 marcelo Mike john rob",  # Caribbean
}
TRAIN_VOICES: tuple[str, ...] = tuple(
    f"{accent}+{variant}" if variant else accent
    for accent, variants in _VARIANTS.items()
    for variant in ("", *variants.split())
)
"""65 voices: six accents, with variants of both genders."""

TEST_VOICES: tuple[str, ...] = (
    *("en-us+f5", "en-us+adam", "en-us+belinda", "en+shelby", "en+max"),
    *("en-gb-x-rp+m8", "en-gb-x-rp+steph2", "en-gb-scotland+m7", "en-029+anika"),
)
"""9 voices of accents that training hears, in variants that no training voice has: new speakers, not new accents."""

NOISES = ("white", "pink", "babble")


@cache
def _noise(kind: str) -> NDArray[np.float32]:
    """65 s of noise at 16 kHz with a power of one, made once a process; recordings take stretches of it."""
    size = 1 << 20
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    if kind == "white":
        return rng.standard_normal(size, dtype=np.float32)
    frequency = rfftfreq(size, 1 / RATE)
    if kind == "pink":
        shape = 1 / np.sqrt(np.maximum(frequency, 40))
        noise = irfft(rfft(rng.standard_normal(size)) * shape, size)
    else:
        # Eight talkers: noise with speech's long-term spectrum (flat to 500 Hz, then 9 dB an octave down; Byrne et
        # al., JASA 1994, in outline), each waxing and waning at the rate of syllables, below 5 Hz.
        shape = (frequency > 80) / np.maximum(frequency / 500, 1) ** 1.5
        noise = np.zeros(size)
        for _ in range(8):
            slow = irfft(rfft(rng.standard_normal(size)) * (frequency < 5), size)
            noise += irfft(rfft(rng.standard_normal(size)) * shape, size) * np.maximum(slow, 0)
    return np.asarray(noise / np.sqrt((noise**2).mean()), dtype=np.float32)


def perturb(wave: NDArray[np.float32], rng: np.random.Generator, strength: float = 1.0) -> NDArray[np.float32]:
    """The recording as another room, microphone and level would have taken it; words stay where they are.

    A room (a noise tail that decays by 60 dB in up to 0.5 s, the direct sound first and at its own place), a spectral
    tilt of up to ±3 dB an octave, noise (white, pink or babble) at 10–30 dB below the speech, and a level between
    -12 and -1 dB of full scale; each at ``strength`` 1, less or more of it at others, and nothing at 0.

    Args:
        wave: (S,) float32 in [-1, 1] at 16 kHz.
        strength: 0 for the wave itself.

    Returns:
        (S,) float32, never clipped.
    """
    size = len(wave)
    if strength <= 0 or size == 0:
        return wave.copy()
    power = float(np.dot(wave, wave)) / size
    room = _room(rng, strength)
    length = next_fast_len(size + len(room) - 1, real=True)
    tilt = rng.uniform(-3, 3) * strength / 6.02  # dB an octave → exponent of the amplitude
    gain = np.interp(np.arange(length // 2 + 1), *_tilt_points(tilt, length)).astype(np.float32)
    out = irfft(rfft(wave, length) * rfft(room, length) * gain, length)[:size]
    out *= np.sqrt(power / max(float(np.dot(out, out)) / size, 1e-12))
    noise = _noise(NOISES[rng.integers(len(NOISES))])
    if size > len(noise):
        noise = np.resize(noise, size)
    start = rng.integers(len(noise) - size + 1)
    snr = 30 - 20 * strength * rng.random()
    out += np.float32(np.sqrt(power / 10 ** (snr / 10))) * noise[start : start + size]
    level = 10 ** (-(1 + 11 * min(strength, 1.5) * rng.random()) / 20)
    return np.asarray(out * (level / max(float(np.abs(out).max()), 1e-9)), dtype=np.float32)


def _room(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    """An impulse response: the direct sound at 0, then exponentially decaying noise (Polack's model of a room)."""
    decay = 0.08 + 0.42 * min(strength, 2.0) * rng.random()  # seconds to fall by 60 dB
    count = round(decay * 0.6 * RATE)  # to -36 dB, below the noise
    tail = rng.standard_normal(count, dtype=np.float32)
    tail *= np.exp(np.arange(count, dtype=np.float32) * np.float32(-6.91 / (decay * RATE)))
    tail[: round(rng.uniform(0.001, 0.006) * RATE)] = 0  # the first reflection comes later than the direct sound
    # Energy of the direct sound over that of the tail, in dB: from a dry studio to across a table.
    ratio = 20 - 17 * min(strength, 1.5) * rng.random()
    tail *= np.sqrt(10 ** (-ratio / 10) / max(float(np.dot(tail, tail)), 1e-12))
    tail[0] = 1
    return tail


def _tilt_points(exponent: float, length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bins and gains of a power law around 1 kHz, flat below 100 Hz, at 24 points for interpolation."""
    frequency = np.concatenate([[0.0], np.geomspace(100, RATE / 2, 23)])
    return frequency * length / RATE, (np.maximum(frequency, 100) / 1000) ** exponent


def speak_varied(
    text: str, voice: str, rng: np.random.Generator, strength: float = 1.0
) -> tuple[NDArray[np.float32], list[Word]]:
    """``text`` in a voice at a random rate (150–230 words a minute), pitch and liveliness, in a random room.

    Returns:
        (S,) float32 at 16 kHz and the words with their times in seconds.
    """
    rate, pitch, pitch_range = int(rng.integers(150, 231)), int(rng.integers(30, 71)), int(rng.integers(25, 86))
    wave, words = Synthesiser().say(text, voice, rate, pitch, pitch_range, rng=rng)
    return perturb(wave, rng, strength), words


def clean(text: str) -> str:
    """Lower case, no punctuation but apostrophes and hyphens within words."""
    return " ".join(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower()))


def voice_captions(
    texts: Iterable[tuple[str, str]],
    voices: Sequence[str] = TRAIN_VOICES,
    *,
    seed: int = 0,
    strength: float = 1.0,
    workers: int = 2,
    progress: bool = True,
) -> Iterator[tuple[str, NDArray[np.float32], list[Word], str]]:
    """Written captions, spoken in many voices under many recording conditions.

    Args:
        texts: (id, caption) pairs; they are cleaned first (``clean``). The same id may come several times and is then
            spoken anew.
        seed: voices, rates, rooms and noise are drawn from it, item by item, whatever the number of workers.
        workers: processes; 0 works in this one.

    Yields:
        (id, (S,) float32 at 16 kHz, words with times in seconds, voice), in the order given.

    Raises:
        UserError: the 'speech' extra is missing, or a caption has no word.
    """
    Synthesiser()  # before any process starts: is the extra there?
    items = [(i, key, clean(text)) for i, (key, text) in enumerate(texts)]
    for _, key, text in items:
        if not text:
            raise UserError(f"caption {key!r} has no word in it", "Drop it, or give it a text.")
    chunks = [items[i : i + 16] for i in range(0, len(items), 16)]
    work = partial(_voice_chunk, voices=tuple(voices), seed=seed, strength=strength)
    with tqdm(total=len(items), desc="speaking", unit="captions", disable=None if progress else True) as bar:
        for results in in_processes(work, chunks, workers):
            yield from results
            bar.update(len(results))


def _voice_chunk(
    items: list[tuple[int, str, str]], voices: tuple[str, ...], seed: int, strength: float
) -> list[tuple[str, NDArray[np.float32], list[Word], str]]:
    out = []
    for number, key, text in items:
        rng = np.random.default_rng([seed, number])
        voice = voices[rng.integers(len(voices))]
        out.append((key, *speak_varied(text, voice, rng, strength), voice))
    return out
