"""What towers hear of samples: log-mel and MFCC as modules, and the level of the speech in them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import RATE, Padded, lengths_to_mask

__all__ = ["LogMel", "Mfcc", "level_speech", "normalise", "speech_frames"]

_HOP, _WINDOW, _FFT = 160, 400, 512  # 10 ms, 25 ms at 16 kHz
_RANGE = 6.0  # in log power, 26 dB: what lies further below the mean of the speech is not speech


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
