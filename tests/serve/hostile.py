"""Files that are not what they seem."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import soundfile as sf
from PIL import Image


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, kind)
    return out.getvalue()


def recording(seconds: float = 1.0, kind: str = "WAV", rate: int = 16_000, channels: int = 1) -> bytes:
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    sf.write(out, rng.standard_normal((round(seconds * rate), channels)) * 0.1, rate, format=kind)
    return out.getvalue()


def huge_picture(width: int = 40_000, height: int = 40_000) -> bytes:
    """A PNG of 1,600 million pixels in less than 200 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    line = b"\0" * (1 + width // 8)
    rows = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def silence(seconds: float) -> bytes:
    out = io.BytesIO()
    sf.write(out, np.zeros(round(seconds * 16_000)), 16_000, format="WAV")
    return out.getvalue()


def hours_of_silence(hours: int = 5) -> bytes:
    """A FLAC of hours in about 200 kB an hour."""
    out = io.BytesIO()
    with sf.SoundFile(out, "w", 16_000, 1, format="FLAC") as file:
        minute = np.zeros(16_000 * 60, dtype="int16")
        for _ in range(hours * 60):
            file.write(minute)
    return out.getvalue()


def of_unknown_length(flac: bytes) -> bytes:
    """The same FLAC with a header that does not say how long it is (STREAMINFO: total samples 0)."""
    changed = bytearray(flac)
    changed[21] &= 0xF0
    changed[22:26] = bytes(4)
    return bytes(changed)


def with_rate(wav: bytes, rate: int) -> bytes:
    """The same WAV with another sample rate in its header."""
    return wav[:24] + struct.pack("<I", rate) + wav[28:]
