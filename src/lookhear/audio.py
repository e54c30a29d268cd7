"""Sound in, tensors out: decoding, resampling, log-mel and MFCC. Seconds and 16 kHz everywhere."""

from __future__ import annotations

import io
import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lookhear.core import RATE, Padded, lengths_to_mask
from lookhear.errors import UserError

__all__ = [
    "FOREIGN",
    "LogMel",
    "Mfcc",
    "conversion",
    "level_speech",
    "load_audio",
    "load_excerpt",
    "pad_audio",
    "samples_of",
    "speech_frames",
    "stream_audio",
]

Wave = NDArray[np.float32]
_HOP, _WINDOW, _FFT = 160, 400, 512  # 10 ms, 25 ms at 16 kHz
_RANGE = 6.0  # in log power, 26 dB: what lies further below the mean of the speech is not speech
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


def _mel_filters(bins: int, low: float, high: float) -> Tensor:
    """(M, F) triangular filters on the HTK mel scale, m = 1127 ln(1 + f/700)."""

    def mel(f: Tensor | float) -> Tensor:
        return 1127 * torch.log1p(torch.as_tensor(f, dtype=torch.float64) / 700)

    edges = torch.linspace(float(mel(low)), float(mel(high)), bins + 2, dtype=torch.float64)
    freqs = mel(torch.arange(_FFT // 2 + 1) * RATE / _FFT)
    rise = (freqs[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - freqs[None]) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rise, fall).clamp(min=0).float()


class LogMel(nn.Module):
    """Log-mel spectrogram: 25 ms Hann windows every 10 ms, natural logarithm of power.

    Frames are centred, and what lies outside the recording is taken as zeros, so an item's frames are the same alone
    and beside a longer one.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, bins: int = 40, low: float = 60.0, high: float = 7600.0, floor: float = 1e-6) -> None:
        super().__init__()
        self.bins, self.floor = bins, floor
        self.register_buffer("filters", _mel_filters(bins, low, high), persistent=False)
        aside = (_FFT - _WINDOW) // 2
        self.register_buffer("window", F.pad(torch.hann_window(_WINDOW), (aside, aside)), persistent=False)

    def forward(self, x: Padded) -> Padded:
        """(B, S) → (B, M, T) and its (B, T) mask, T = 1 + S // 160; frames past an item's end are the floor."""
        wave = x.values if x.mask is None else x.values * x.mask
        frames = F.pad(wave.float(), (_FFT // 2, _FFT // 2)).unfold(1, _FFT, _HOP)
        spectrum = torch.fft.rfft(frames * self.window)  # frames before bins, as they lie in memory: faster than stft's
        power = spectrum.real.square() + spectrum.imag.square()
        values = torch.log(power @ self.filters.T + self.floor).transpose(1, 2).contiguous()
        if x.mask is None:
            return Padded(values)
        return Padded(values, lengths_to_mask(1 + x.mask.sum(1) // _HOP, values.shape[2]))


def _deltas(x: Tensor, width: int = 2) -> Tensor:
    """(B, C, T) → regression deltas over ±``width`` frames; zeros outside."""
    taps = torch.arange(-width, width + 1, dtype=x.dtype, device=x.device)
    kernel = (taps / taps.square().sum()).expand(x.shape[1], 1, -1)
    return F.conv1d(x, kernel, padding=width, groups=x.shape[1])


class Mfcc(nn.Module):
    """MFCC of log-mel frames: 13 coefficients, the first replaced by log energy, with deltas and double deltas.

    Each coefficient has its mean and variance over the recording removed (CMVN), so the result is 39 channels as in
    Olaleye and Kamper's keyword models, which the seed's tower took over.
    """

    dct: Tensor

    def __init__(self, bins: int = 80, coefficients: int = 13) -> None:
        super().__init__()
        n, k = torch.arange(bins) + 0.5, torch.arange(coefficients)
        dct = torch.cos(math.pi / bins * k[:, None] * n[None]) * math.sqrt(2 / bins)
        self.register_buffer("dct", dct, persistent=False)

    def forward(self, logmel: Padded) -> Padded:
        """(B, M, T) log-mel → (B, 3 × coefficients, T); zero where the mask is False."""
        static = self.dct @ logmel.values
        static[:, 0] = torch.logsumexp(logmel.values, dim=1)
        static = normalise(static, logmel.mask)
        delta = _deltas(static)
        keep = 1.0 if logmel.mask is None else logmel.mask[:, None].to(static.dtype)
        values = torch.cat([static, delta, _deltas(delta * keep)], dim=1) * keep
        return Padded(values, logmel.mask)


def speech_frames(logmel: Tensor, mask: Tensor, reach: int | None = None) -> Tensor:
    """(B, M, T) log-mel and its (B, T) mask → (B, T) bool: frames at most 26 dB below the mean power about them.

    Silence lowers the mean power by 3 dB where it doubles the recording: what counts as speech hardly depends on it.

    Args:
        reach: frames on either side that are looked at; None for the whole recording.
    """
    power = logmel.logsumexp(1).masked_fill(~mask, float("-inf"))
    reach = _bounded(reach, logmel.shape[2])
    if reach is None:
        mean = (power.logsumexp(1) - mask.sum(1).clamp(min=1).log())[:, None]
    else:
        mean = _mean_around(power.double().exp()[:, None], mask, reach)[:, 0].log().to(power.dtype)
    return (power >= mean - _RANGE) & mask


def level_speech(logmel: Tensor, mask: Tensor, reach: int | None = None) -> Tensor:
    """(B, M, T) log-mel as seen from the level of the speech about each frame, zero where the mask is False.

    Of each band its mean over the frames of speech is taken, which takes out the microphone and the voice's colour
    (cepstral mean normalisation; Atal, 1974), and what lies more than 26 dB below it is raised to there. The mean over
    all frames, silent ones included, would say how tightly a recording was cut: with half a second of silence about
    them, digits of unheard speakers fell from 74 to 20 % right.

    Args:
        reach: frames on either side of each whose speech sets its level, so that an hour is heard as its parts would be
            (what is further than twice this has no influence); None for the whole recording.
    """
    spoken = speech_frames(logmel, mask, reach)
    reach = _bounded(reach, logmel.shape[2])
    if reach is None:
        weight = spoken[:, None].to(logmel.dtype)
        mean = (logmel * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp(min=1)
    else:
        mean = _mean_around(logmel.double(), spoken, reach).to(logmel.dtype)
    return (logmel - mean).clamp(min=-_RANGE) * mask[:, None]


def _bounded(reach: int | None, frames: int) -> int | None:
    """``reach``, or None where it takes in all frames wherever it begins. A graph that is exported serves recordings of
    any length, and looks around each frame."""
    return None if reach is None or (reach >= frames - 1 and not torch.compiler.is_exporting()) else reach


def _mean_around(values: Tensor, chosen: Tensor, reach: int) -> Tensor:
    """(B, C, T) → the mean over the chosen (B, T) frames within ``reach`` of each; 0 where there are none.

    In double precision, so that running sums over minutes are as good as sums over seconds.
    """
    weight = chosen[:, None].to(values.dtype)
    total = torch.cat([values * weight, weight], dim=1).cumsum(2)
    t = total.shape[2]
    at = torch.arange(t, device=values.device)
    upper = total[..., (at + reach).clamp(max=t - 1)]
    before = at - reach - 1
    lower = total[..., before.clamp(min=0)] * (before >= 0)
    found = upper - lower
    return found[:, :-1] / found[:, -1:].clamp(min=1)


def normalise(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, C, T) → zero mean and unit variance of each channel over the real frames of each item; zero elsewhere."""
    if mask is None:
        mask = torch.ones(values.shape[0], values.shape[2], dtype=torch.bool, device=values.device)
    m = mask[:, None].to(values.dtype)
    count = m.sum(2, keepdim=True).clamp(min=1)
    centred = (values - (values * m).sum(2, keepdim=True) / count) * m
    return centred / (centred.square().sum(2, keepdim=True) / count).sqrt().clamp(min=1e-2)
