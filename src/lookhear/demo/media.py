"""Pictures and spectrograms as data-URIs, so that the report is one file."""

from __future__ import annotations

import io
import random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lookhear.core import Padded
from lookhear.data.embedded import data_uri
from lookhear.data.picturebook.plan import Told
from lookhear.data.picturebook.scene import draw_scene
from lookhear.frontend import LogMel

__all__ = ["picture_uri", "spectrogram_uri"]

# Night blue over plum and coral to cream: dark where it is quiet, readable in both themes.
_PALETTE = (
    (0.0, (20, 21, 34)),
    (0.35, (63, 43, 92)),
    (0.65, (176, 72, 98)),
    (0.85, (240, 140, 92)),
    (1, (255, 232, 190)),
)


def picture_uri(told: Told, size: int = 224) -> str:
    """A scene of the picture book as JPEG, drawn again at a size that people like to look at."""
    out = io.BytesIO()
    draw_scene(told.scene, random.Random(told.seed), size)[0].save(out, "JPEG", quality=84, optimize=True)
    return data_uri("image/jpeg", out.getvalue())


def spectrogram_uri(wave: NDArray[np.float32], bins: int = 56) -> str:
    """Log-mel spectrogram as a PNG of (bins × frames) pixels: low notes below, 60 dB from black to cream."""
    mel = LogMel(bins)(Padded(torch.from_numpy(wave)[None])).values[0].numpy()
    loud = np.percentile(mel, 99.7)
    level = np.clip(1 + (mel - loud) / (6 * np.log(10)), 0, 1)[::-1] ** 1.3
    picture = Image.fromarray((level * 63).round().astype(np.uint8), "P")
    at = np.linspace(0, 1, 64)
    stops = [s for s, _ in _PALETTE]
    colours = np.stack([np.interp(at, stops, [c[i] for _, c in _PALETTE]) for i in range(3)], 1)
    picture.putpalette(colours.round().astype(np.uint8).tobytes())
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True, bits=6)
    return data_uri("image/png", out.getvalue())
