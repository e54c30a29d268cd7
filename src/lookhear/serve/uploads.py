"""What is sent to be searched with: known by its content, decoded within bounds, kept as vectors only."""

from __future__ import annotations

import io
import secrets
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.images import FORMATS, load_image
from lookhear.errors import UserError
from lookhear.search.files import AUDIO, IMAGE
from lookhear.serve.limits import Limits
from lookhear.serve.refusals import Refusal

__all__ = ["Decoded", "Upload", "Uploads", "decode"]

_RATES = (1_000, 768_000)  # Hz; resampling from what lies outside needs filters of gigabytes
_CHANNELS = 64
_KINDS: dict[str, frozenset[str]] = {"picture": IMAGE, "recording": AUDIO}


@dataclass(frozen=True)
class Decoded:
    """A file that was sent.

    Attributes:
        content: a picture as RGB, or (S,) float32 mono samples at 16 kHz.
        seconds: how long a recording is.
    """

    modality: Literal["picture", "recording"]
    content: Image.Image | NDArray[np.float32]
    seconds: float | None


def decode(data: bytes, name: str, limits: Limits) -> Decoded:
    """A picture or a recording, whichever the bytes are; never more of it in memory than the limits allow.

    Raises:
        Refusal: 413 for what is too large once unpacked, 415 for what is neither, is damaged or silent, or is called
            by the ending of another kind.
    """
    if not data:
        raise Refusal(415, f"{name}: an empty file", "Send a picture or a recording.")
    size = _pixels(data, name)
    _check_name(name, "recording" if size is None else "picture")
    try:
        if size is not None:
            if size[0] * size[1] > limits.pixels:
                raise Refusal(413, f"{name}: {size[0]} × {size[1]} pixels, more than are taken", "Scale it down first.")
            return Decoded("picture", load_image(data, name), None)
        _check_length(data, name, limits.seconds)
        wave = load_audio(data, name)
        return Decoded("recording", wave, len(wave) / RATE)
    except Refusal:
        raise
    except UserError as e:
        raise Refusal(415, e.what, e.fix) from None


def _pixels(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height by the header alone; None for what is no picture."""
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=[f for f in FORMATS if f in Image.OPEN]) as picture:
                return picture.size
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError:
        raise Refusal(413, f"{name}: more pixels than are taken", "Scale it down first.") from None
    except (OSError, SyntaxError, ValueError, RuntimeError):
        raise Refusal(415, f"{name}: damaged picture", "Copy it again.") from None


def _check_name(name: str, modality: str) -> None:
    """An ending of another kind is a mistake, or worse; none at all is none."""
    ending = PurePosixPath(name).suffix.lower()
    if ending and ending not in _KINDS[modality]:
        known = " ".join(sorted(_KINDS[modality]))
        raise Refusal(415, f"{name} holds a {modality} or is damaged, but is called {ending}", f"Known: {known}.")


def _check_length(data: bytes, name: str, longest: float) -> None:
    """Unpacks in blocks that are thrown away, until the end or the limit: headers can lie."""
    import soundfile as sf

    too_long = Refusal(413, f"{name}: longer than {longest:g} s", "Cut out what you want to search with.")
    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            if not _RATES[0] <= file.samplerate <= _RATES[1] or file.channels > _CHANNELS:
                what = f"{name}: {file.channels} channels at {file.samplerate} Hz"
                raise Refusal(415, what, "Export it as WAV at 16 or 44.1 kHz.")
            if file.frames >= 1 << 60:
                raise Refusal(415, f"{name}: does not say how long it is", "Export it as WAV.")
            most = longest * file.samplerate
            if file.frames > most:
                raise too_long
            block = np.empty((65_536, file.channels), dtype=np.float32)
            seen = 0
            while got := len(file.read(out=block)):
                seen += got
                if seen > most:
                    raise too_long
    except sf.LibsndfileError as e:
        what = f"{name}: neither a picture nor a readable recording ({e.error_string.rstrip('.')})"
        raise Refusal(415, what, "Send PNG, JPEG, WebP, WAV, FLAC, OGG or MP3.") from None


@dataclass
class Upload:
    """Something to search with.

    Attributes:
        part: its vectors, as the searcher made them.
        used: when it was last asked for, on a clock that only goes forward.
    """

    id: str
    part: Any
    modality: str
    name: str
    seconds: float | None
    used: float


class Uploads:
    """Vectors of uploads, in memory: so many, for so long. Ids cannot be guessed."""

    def __init__(self, most: int, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, 60 * minutes, clock
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, part: Any, modality: str, name: str, seconds: float | None) -> Upload:
        """Keeps one; the one that was not used for longest makes room."""
        upload = Upload(secrets.token_urlsafe(16), part, modality, name, seconds, self._clock())
        with self._lock:
            self._drop()
            self._kept[upload.id] = upload
        return upload

    def get(self, number: str) -> Upload:
        """One that is still there.

        Raises:
            Refusal: 404, it never was or is not kept any more.
        """
        with self._lock:
            self._drop(0)
            if number not in self._kept:
                raise Refusal(404, "this upload is not kept any more", "Send it again.", more={"upload": number})
            self._kept.move_to_end(number)
            self._kept[number].used = self._clock()
            return self._kept[number]

    def _drop(self, room: int = 1) -> None:
        """Those whose time is over, and as many more as there must be room for."""
        oldest = self._clock() - self._seconds
        while self._kept:
            first = next(iter(self._kept.values()))
            if first.used >= oldest and len(self._kept) + room <= self._most:
                return
            self._kept.popitem(last=False)
