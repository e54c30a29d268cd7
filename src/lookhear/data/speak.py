"""Speech with exact word times, from the espeak-ng library of the ``espeakng-loader`` wheel, through ctypes.

The library (GPL-3.0) is an optional extra that is loaded at run time and never bundled. It keeps one global state, so
all ``Synthesiser`` objects of a process share one engine. Its waveforms are not bit-reproducible between calls (a few
samples more or less), so the times belong to the very waveform they are returned with.
"""

from __future__ import annotations

import ctypes as C
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from lookhear.errors import UserError

__all__ = ["RATE", "Synthesiser", "Word", "align"]

RATE = 16_000
Word = tuple[str, float, float]
"""A word with its start and end in seconds."""

# From speak_lib.h of espeak-ng 1.52.
_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_CHARACTERS, _UTF8 = 1, 1
_WORD, _END, _PHONEME = 1, 5, 7
_SPEED, _PITCH, _PITCH_RANGE = 1, 3, 4


class _Id(C.Union):
    _fields_ = [("number", C.c_int), ("name", C.c_char_p), ("string", C.c_char * 8)]


class _Event(C.Structure):
    _fields_ = [
        ("type", C.c_int),
        ("unique_identifier", C.c_uint),
        ("text_position", C.c_int),
        ("length", C.c_int),
        ("audio_position", C.c_int),
        ("sample", C.c_int),
        ("user_data", C.c_void_p),
        ("id", _Id),
    ]


_Callback = C.CFUNCTYPE(C.c_int, C.POINTER(C.c_short), C.c_int, C.POINTER(_Event))


class Mark(NamedTuple):
    """One espeak event: where in the audio something starts.

    Attributes:
        kind: 1 word, 5 end of a clause, 7 phoneme.
        position: the word's first character, counted from 1.
        sample: where it starts in the audio.
        pause: a phoneme that is silence.
    """

    kind: int
    position: int
    sample: int
    pause: bool


class _Engine:
    """The library, initialised once for the process."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as e:
            raise UserError("speech synthesis needs the 'speech' extra", "pip install 'lookhear[speech]'") from e
        self.lib = C.CDLL(espeakng_loader.get_library_path())
        self.rate = self.lib.espeak_Initialize(
            _SYNCHRONOUS, 500, espeakng_loader.get_data_path().encode(), _PHONEME_EVENTS
        )
        if self.rate <= 0:
            raise UserError("espeak-ng did not start", "Reinstall it: pip install --force-reinstall espeakng-loader")
        self.lock = threading.Lock()
        self.voice = ""
        self._chunks: list[NDArray[np.int16]] = []
        self._marks: list[Mark] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only a bare pointer to it
        self.lib.espeak_SetSynthCallback(self._callback)
        # scipy's own anti-aliasing filter for 22,050 → 16,000 Hz, designed once instead of at every call.
        self.down = self.rate // 50
        self.up = RATE // 50
        self.window = firwin(20 * self.down + 1, 1 / self.down, window=("kaiser", 5.0)).astype(np.float32)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if count > 0 and samples:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type:
            e = events[i]
            if e.type in (_WORD, _END, _PHONEME):
                pause = e.type == _PHONEME and e.id.string[:1] in (b"", b"_")
                self._marks.append(Mark(e.type, e.text_position, e.sample, pause))
            i += 1
        return 0

    def speak(self, text: str, voice: str, settings: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int16], list[Mark]]:
        if voice != self.voice:
            if self.lib.espeak_SetVoiceByName(voice.encode()) != 0:
                raise UserError(
                    f"espeak-ng has no voice {voice!r}",
                    "Name an accent and a variant, as in 'en-us', 'en-us+f3' or 'en-gb-scotland+m2'.",
                )
            self.voice = voice
        for parameter, value in settings:
            self.lib.espeak_SetParameter(parameter, value, 0)
        self._chunks, self._marks = [], []
        raw = text.encode()
        self.lib.espeak_Synth(raw, len(raw) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
        pcm = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        return pcm, self._marks


@cache
def _engine() -> _Engine:
    return _Engine()


class Synthesiser:
    """Says English text and tells where each word lies.

    Raises:
        UserError: the 'speech' extra is missing.
    """

    def __init__(self) -> None:
        self._engine = _engine()

    def say(
        self,
        text: str,
        voice: str,
        rate: int = 175,
        pitch: int = 50,
        pitch_range: int = 50,
        *,
        rng: np.random.Generator | None = None,
    ) -> tuple[NDArray[np.float32], list[Word]]:
        """One utterance.

        Args:
            text: what to say; words are what white space separates.
            voice: an espeak-ng voice, accent+variant: ``en-us``, ``en-gb-scotland+m2``.
            rate: words a minute, 80–450.
            pitch, pitch_range: 0–99.
            rng: draws the silence kept before and after the speech, each 0.05–0.3 s; 0.1 s both without it.

        Returns:
            (S,) float32 in [-1, 1] at 16 kHz, and every word of the text in order with its start and end in seconds.

        Raises:
            UserError: an unknown voice, or nothing in the text that can be spoken.
        """
        engine = self._engine
        with engine.lock:
            settings = ((_SPEED, rate), (_PITCH, pitch), (_PITCH_RANGE, pitch_range))
            pcm, marks = engine.speak(text, voice, settings)
        words = align(text, marks, len(pcm))
        if not words or not len(pcm):
            raise UserError(f"nothing to say in {text!r}", "Give a text with words in it.")
        lead, tail = (0.1, 0.1) if rng is None else rng.uniform(0.05, 0.3, 2)
        pcm, offset = _trim(pcm, words[0][1], words[-1][2], round(lead * engine.rate), round(tail * engine.rate))
        wave = resample_poly(pcm.astype(np.float32) / 32768, engine.up, engine.down, window=engine.window)
        wave = np.clip(wave, -1, 1).astype(np.float32, copy=False)
        longest = len(wave) / RATE
        times = [((s + offset) / engine.rate, (e + offset) / engine.rate) for _, s, e in words]
        return wave, [(w, s, min(e, longest)) for (w, _, _), (s, e) in zip(words, times)]


def _trim(pcm: NDArray[np.int16], start: int, end: int, lead: int, tail: int) -> tuple[NDArray[np.int16], int]:
    """Cuts or pads so that ``lead`` samples come before ``start`` and ``tail`` after ``end``; and how far all moved."""
    padded = np.pad(pcm, (lead, max(0, end + tail - len(pcm))))
    return padded[start : start + lead + (end - start) + tail], lead - start


def align(text: str, marks: Sequence[Mark], total: int) -> list[tuple[str, int, int]]:
    """White-space words of ``text`` with start and end samples, from espeak's events.

    A word starts at its WORD event and ends where a pause or the next word starts. espeak's English dictionary speaks
    some pairs as one word ("on the", "in the", "it is"): either one event covers both, and then the span is divided at
    the phoneme boundary that answers to the share of letter groups (th, ng, a run of vowels, … count as one; "on the"
    is O n | D @); or the second event lies within the first word's letters, and is then given to the word that has
    none. Events inside a word ("25" is spoken as two) are joined. A token without a letter or digit takes no time.

    Args:
        marks: the events, any order.
        total: samples of audio.
    """
    tokens = [(m.group(), m.start() + 1) for m in re.finditer(r"\S+", text)]
    words = sorted((m.sample, m.position) for m in marks if m.kind == _WORD)
    if not tokens or not words:
        return []
    starts = _starts([t for t, _ in tokens], [p for _, p in tokens], words)
    if starts[0] is None:  # a first token that is not spoken
        starts[0] = words[0][0]
    stops = sorted({m.sample for m in marks if m.kind == _END or m.pause} | {total})
    phonemes = sorted({m.sample for m in marks if m.kind == _PHONEME and not m.pause})
    out: list[tuple[str, int, int]] = []
    i = 0
    while i < len(tokens):
        j = i + 1
        while j < len(tokens) and starts[j] is None:
            j += 1
        begin = starts[i]
        assert begin is not None
        upto = next((s for s in starts[j:] if s is not None), total)
        end = max(begin, min(upto, next((s for s in stops if s > begin), total)))
        inside = [p for p in phonemes if begin < p < end]
        shares = [_letter_groups(t) for t, _ in tokens[i:j]]
        edges = _divide(begin, end, inside, shares)
        out += [(tokens[i + k][0], edges[k], edges[k + 1]) for k in range(j - i)]
        i = j
    return out


def _starts(tokens: list[str], positions: list[int], words: list[tuple[int, int]]) -> list[int | None]:
    """For each token the sample of its own WORD event; None where it shares the event of the token before it."""
    owned: list[list[int]] = [[] for _ in tokens]
    for sample, position in words:
        owner = max((k for k, p in enumerate(positions) if p <= position), default=0)
        owned[owner].append(sample)
    for k in range(1, len(tokens)):
        if not owned[k] and len(owned[k - 1]) > 1 and _letter_groups(tokens[k]):
            owned[k].append(owned[k - 1].pop())
    return [o[0] if o else None for o in owned]


def _letter_groups(token: str) -> int:
    """About how many phonemes the spelling stands for."""
    letters = "".join(c for c in token.lower() if c.isalnum())
    return len(re.findall(r"th|sh|ch|ph|wh|ng|ck|[aeiouy]+|\w", letters))


def _divide(begin: int, end: int, phonemes: list[int], shares: list[int]) -> list[int]:
    """Edges that divide [begin, end] by shares, at phoneme starts where there are enough of them."""
    total = sum(shares) or len(shares)
    shares = shares if sum(shares) else [1] * len(shares)
    cells = [begin, *phonemes, end]
    edges, done = [begin], 0
    for share in shares[:-1]:
        done += share
        if len(cells) > len(shares):
            edge = cells[round((len(cells) - 1) * done / total)]
        else:
            edge = begin + round((end - begin) * done / total)
        edges.append(max(edge, edges[-1]))
    return [*edges, end]
