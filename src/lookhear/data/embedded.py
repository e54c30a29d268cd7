"""Media as data-URIs, for pages that are one file and need no network."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from lookhear.core import RATE

__all__ = ["audio_uri", "data_uri"]


def data_uri(kind: str, data: bytes) -> str:
    """Bytes of a MIME type as the address of themselves."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def audio_uri(wave: NDArray[np.float32]) -> str:
    """16 kHz samples as MP3, or as FLAC where the sound library was built without MP3."""
    import soundfile as sf

    out = io.BytesIO()
    if "MP3" in sf.available_formats():
        sf.write(out, wave, RATE, format="MP3", subtype="MPEG_LAYER_III")
        return data_uri("audio/mpeg", out.getvalue())
    sf.write(out, wave, RATE, format="FLAC", subtype="PCM_16")
    return data_uri("audio/flac", out.getvalue())
