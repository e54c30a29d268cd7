"""Headers of sound files that lie: refused before anything is decoded."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile as sf

from lookhear.data.sounds import check_header
from lookhear.errors import UserError


def sound(kind: str = "WAV", rate: int = 16000, channels: int = 1) -> bytearray:
    wave = np.random.default_rng(0).normal(0, 0.1, (1600, channels)).astype(np.float32)
    buffer = io.BytesIO()
    sf.write(buffer, wave, rate, format=kind, subtype="PCM_16")
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "AIFF", "AU", "W64", "RF64", "CAF", "NIST"])
@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_whole_files_pass(kind: str, rate: int) -> None:
    check_header(bytes(sound(kind, rate, channels=2)), "x")


def test_what_is_no_sound_is_left_to_the_decoder() -> None:
    for data in (b"", b"RIFF", b"hello", bytes(100)):
        check_header(data, "x")


@pytest.mark.parametrize("rate", [1, 100, 999, 1_000_001, 2**31 - 1])
def test_rates_that_no_recording_has(rate: int) -> None:
    data = sound()
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(UserError, match=f"x: a rate of {rate} Hz"):
        check_header(bytes(data), "x")


@pytest.mark.parametrize("kind", ["AIFF", "AU", "W64", "RF64", "NIST"])
def test_files_that_end_before_their_data(kind: str) -> None:
    data = bytes(sound(kind))
    with pytest.raises(UserError, match="truncated recording"):
        check_header(data[: len(data) * 2 // 3], "x")


def test_a_file_that_was_streamed_has_no_size_and_is_whole() -> None:
    data = sound("AU")
    data[8:12] = b"\xff\xff\xff\xff"
    check_header(bytes(data), "x")


def test_a_length_that_would_fill_the_memory() -> None:
    data = sound("FLAC")
    data[21] |= 0x0F  # the 36 bits of the number of samples
    data[22:26] = b"\xff\xff\xff\xff"
    with pytest.raises(UserError, match="1,193 h of sound in 1 channels"):
        check_header(bytes(data), "x")
