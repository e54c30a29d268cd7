"""Sound in, samples out: decoding, resampling, streaming. Seconds and 16 kHz everywhere."""

from __future__ import annotations

import io
import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lookhear.core import RATE, Padded, lengths_to_mask
from lookhear.errors import UserError

__all__ = [
    "FOREIGN",
    "conversion",
    "load_audio",
    "load_excerpt",
    "pad_audio",
    "samples_of",
    "stream_audio",
]

Wave = NDArray[np.float32]
FOREIGN = frozenset(
    (".mp4", ".m4a", ".m4b", ".m4v", ".mov", ".aac", ".wma", ".wmv", ".mkv", ".mka", ".webm", ".avi", ".mpg", ".amr")
)
"""Endings of sound and video that libsndfile does not read."""
_RATES = (1_000, 768_000)  # Hz; resampling from what lies outside needs filters of gigabytes
_UNTOLD = 1 << 60  # samples that a header promises which does not know
_SILENT = 1e-5  # peak amplitude: below one step of 16-bit audio


def _resample(wave: Wave, rate: int) -> Wave:
    if rate == RATE:
        return wave
    from scipy.signal import resample_poly

    g = math.gcd(rate, RATE)
    return np.asarray(resample_poly(wave, RATE // g, rate // g), dtype=np.float32)


def _open(source: Path | str | bytes, name: str):  # type: ignore[no-untyped-def]
    import soundfile as sf

    try:
        if isinstance(source, bytes):
            if not source:
                raise UserError(f"{name}: empty recording (0 bytes)", "Record or copy it again.")
            return _of_usual_rate(sf.SoundFile(_in_memory(source)), name)
        path = Path(source)
        if not path.is_file():
            raise UserError(f"{name}: no such recording", "Check the path.")
        if path.stat().st_size == 0:
            raise UserError(f"{name}: empty recording (0 bytes)", "Record or copy it again.")
        return _of_usual_rate(sf.SoundFile(path), name)
    except sf.LibsndfileError as e:
        fix = "Give WAV, FLAC, OGG or MP3 (convert others with ffmpeg), or copy it again if it is damaged."
        if not isinstance(source, bytes) and Path(source).suffix.lower() in FOREIGN:
            fix = f"Install ffmpeg and convert it: {conversion(source)}"
        raise UserError(f"{name}: not a readable recording ({e.error_string.rstrip('.')})", fix) from None


def _of_usual_rate(file, name: str):  # type: ignore[no-untyped-def]
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        rate = file.samplerate
        file.close()
        raise UserError(f"{name}: a recording at {rate} Hz", "Its header is damaged: export it again from the source.")
    return file


def _check_told(file, name: str) -> None:  # type: ignore[no-untyped-def]
    """Refuses a header that does not say how many samples there are: libsndfile loses its way at their end."""
    if file.frames >= _UNTOLD:
        raise UserError(f"{name}: does not say how long it is", "Export it again, as WAV for example.")


def conversion(path: Path | str) -> str:
    """The command that makes a WAV of what libsndfile does not read."""
    return f"ffmpeg -i {shlex.quote(str(path))} -vn -ac 1 -ar {RATE} {shlex.quote(str(Path(path).with_suffix('.wav')))}"


def _in_memory(given: bytes) -> io.BytesIO | int:
    """Bytes as a file: where the system has files in memory one of those (its descriptor, which SoundFile closes).

    libsndfile reads it without calling Python back, so that threads that decode do not wait for each other.
    """
    if not hasattr(os, "memfd_create"):
        return io.BytesIO(given)
    file = os.memfd_create("recording")
    with memoryview(given) as rest:
        while rest:
            rest = rest[os.write(file, rest) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _check_whole(file, name: str) -> None:  # type: ignore[no-untyped-def]
    """Refuses a WAV whose header promises more samples than the file holds."""
    for line in file.extra_info.splitlines():
        if line.startswith("data :") and "should be" in line:
            promised = int(line.split(":")[1].split()[0])
            if promised < 0x7FFFFFF0:  # recorders that stream write an open-ended size, which is no damage
                raise UserError(f"{name}: truncated recording (the file ends before its data)", "Copy it again.")


def _check_samples(wave: Wave, name: str) -> None:
    if not np.isfinite(wave).all():
        raise UserError(f"{name}: the recording holds NaN or infinite samples", "Export it again from the source.")
    if wave.size == 0:
        raise UserError(f"{name}: the recording has no samples", "Record or export it again.")


def load_audio(source: Path | str | bytes, name: str | None = None) -> Wave:
    """One recording, any format libsndfile reads, any rate, any channels.

    Args:
        source: a path, or the bytes of a sound file.
        name: how messages call it; the path by default.

    Returns:
        (S,) float32 mono samples at 16 kHz.

    Raises:
        UserError: empty, truncated, silent, NaN-filled, zero-length, or no recording at all.
    """
    import soundfile as sf

    name = name or (str(source) if not isinstance(source, bytes) else "recording")
    with _open(source, name) as file:
        _check_whole(file, name)
        _check_told(file, name)
        try:
            frames = file.read(dtype="float32", always_2d=True)
        except sf.LibsndfileError as e:
            raise UserError(f"{name}: damaged recording ({e.error_string.rstrip('.')})", "Copy it again.") from None
        if len(frames) < file.frames:
            raise UserError(f"{name}: truncated recording ({len(frames)} of {file.frames} samples)", "Copy it again.")
        wave, rate = frames[:, 0] if frames.shape[1] == 1 else frames.mean(1, dtype=np.float32), file.samplerate
    _check_samples(wave, name)
    if np.abs(wave).max() < _SILENT:
        raise UserError(f"{name}: the recording is silent", "Check the microphone or the export.")
    return _resample(wave, rate)


def samples_of(source: Path | str | bytes, name: str | None = None) -> int:
    """Samples that ``load_audio`` gives of a recording, by its header alone.

    Raises:
        UserError: empty, no recording, or a header that does not say it.
    """
    name = name or (str(source) if not isinstance(source, bytes) else "recording")
    with _open(source, name) as file:
        _check_told(file, name)
        up = RATE // math.gcd(file.samplerate, RATE)
        down = file.samplerate // math.gcd(file.samplerate, RATE)
        return int(-(-file.frames * up // down))


def stream_audio(path: Path | str, seconds: float = 60.0, overlap: float = 2.0) -> Iterator[tuple[float, Wave]]:
    """A recording of any length in overlapping pieces, with memory bounded by one piece.

    Args:
        path: the recording.
        seconds: length of a piece.
        overlap: seconds that a piece shares with the one before it.

    Yields:
        (start in seconds, (S,) float32 mono samples at 16 kHz). A last piece no longer than ``overlap`` is not given
        alone: the piece before it held it already.

    Raises:
        UserError: as ``load_audio``, and an overlap as long as a piece; silence is refused only when the whole
            recording is silent.
    """
    import soundfile as sf

    if not 0 <= overlap < seconds:
        raise UserError(f"pieces of {seconds} s with an overlap of {overlap} s", "Choose an overlap below the length.")
    name, peak, seen = str(path), 0.0, 0
    with _open(path, name) as file:
        _check_whole(file, name)
        rate = file.samplerate
        block, keep = round(seconds * rate), round(overlap * rate)
        tail: Wave = np.zeros(0, dtype=np.float32)
        while True:
            try:
                fresh = file.read(block - len(tail), dtype="float32", always_2d=True).mean(1, dtype=np.float32)
            except sf.LibsndfileError as e:
                raise UserError(f"{name}: damaged recording ({e.error_string.rstrip('.')})", "Copy it again.") from None
            if len(fresh) == 0:
                break
            _check_samples(fresh, name)
            peak = max(peak, float(np.abs(fresh).max()))
            piece = np.concatenate([tail, fresh])
            start = (seen - len(tail)) / rate
            seen += len(fresh)
            yield start, _resample(piece, rate)
            tail = piece[-keep:] if keep else piece[:0]
        if seen == 0:
            raise UserError(f"{name}: the recording has no samples", "Record or export it again.")
        if 0 < file.frames < _UNTOLD and seen < file.frames:
            raise UserError(f"{name}: truncated recording ({seen} of {file.frames} samples)", "Copy it again.")
    if peak < _SILENT:
        raise UserError(f"{name}: the recording is silent", "Check the microphone or the export.")


def load_excerpt(path: Path | str, start: float, end: float) -> Wave:
    """A stretch of a recording, read without what lies before it.

    Args:
        start, end: seconds; what lies outside the recording is not given. Where ``start`` is a whole second the samples
            are those of ``load_audio``, but for the filter's first and last milliseconds at other rates than 16 kHz.

    Returns:
        (S,) float32 mono samples at 16 kHz; none where the recording ends before ``start``.

    Raises:
        UserError: as ``load_audio``; silence is no fault here.
    """
    import soundfile as sf

    name = str(path)
    with _open(path, name) as file:
        rate = file.samplerate
        first = max(0, round(start * rate))
        try:
            file.seek(min(first, file.frames))
            wave = file.read(max(0, round(end * rate) - first), dtype="float32", always_2d=True).mean(1, np.float32)
        except (sf.LibsndfileError, RuntimeError) as e:
            raise UserError(f"{name}: damaged recording ({str(e).rstrip('.')})", "Copy it again.") from None
    return _resample(wave, rate) if len(wave) else wave


def pad_audio(waves: list[Wave]) -> Padded:
    """(S,) arrays of any lengths → (B, S) and its mask."""
    lengths = torch.tensor([len(w) for w in waves])
    values = torch.zeros(len(waves), int(lengths.max()))
    for row, wave in zip(values, waves):
        row[: len(wave)] = torch.from_numpy(np.asarray(wave, dtype=np.float32))
    return Padded(values, lengths_to_mask(lengths, values.shape[1]))
