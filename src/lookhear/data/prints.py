"""A print of a sound in 64 bits: near-identical sounds, louder or softer or encoded again, differ in few of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lookhear.core import RATE

__all__ = ["sound_print"]

_BANDS, _PARTS = 9, 8
_EDGES = np.geomspace(150, 5000, _BANDS + 1)


def sound_print(wave: NDArray[np.float32]) -> int:
    """The print of a (S,) recording at 16 kHz.

    The recording is cut into 8 equal parts, and the log energy of each in 9 bands of equal ratio between 150 and
    5,000 Hz is taken. A bit says whether the step from one band to the next is larger than in the mean over the parts,
    (after Haitsma and Kalker, "A highly robust audio fingerprinting system", 2002, section 4.2: signs of differences
    of band energies, which levels and equalisers leave alone).
    """
    parts = np.array_split(wave, _PARTS)
    energy = np.zeros((_PARTS, _BANDS))
    for row, part in zip(energy, parts):
        spectrum = np.abs(np.fft.rfft(part, n=max(len(part), 512))) ** 2
        frequencies = np.linspace(0, RATE / 2, len(spectrum))
        places = np.searchsorted(frequencies, _EDGES)
        row[:] = [spectrum[a : max(b, a + 1)].sum() for a, b in pairwise(places)]
    step = np.diff(np.log(energy + 1e-9), axis=1)
    bits = (step > step.mean(0)).ravel()
    return int(np.packbits(bits).view(">u8")[0])
