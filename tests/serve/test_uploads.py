"""Uploads: known by content, refused before they cost much, kept as vectors for a while."""

from __future__ import annotations

import tracemalloc

import hostile
import numpy as np
import pytest

from lookhear.audio import load_audio
from lookhear.serve.limits import Limits
from lookhear.serve.refusals import Refusal
from lookhear.serve.uploads import Uploads, decode

LIMITS = Limits(seconds=10.0, pixels=1_000_000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_known_by_its_content(kind: str) -> None:
    sent = decode(hostile.picture((40, 30), kind), "upload", LIMITS)
    assert (sent.modality, sent.seconds) == ("picture", None)
    assert sent.content.size == (40, 30)
    assert sent.content.mode == "RGB"


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_recording_is_known_by_its_content(kind: str) -> None:
    data = hostile.recording(2.0, kind)
    sent = decode(data, "upload", LIMITS)
    assert sent.modality == "recording"
    np.testing.assert_array_equal(sent.content, load_audio(data))
    assert sent.seconds == pytest.approx(2.0, abs=0.1)


def test_other_rates_and_channels_are_heard_as_one_at_16_khz() -> None:
    sent = decode(hostile.recording(1.0, rate=44_100, channels=2), "a.wav", LIMITS)
    assert sent.content.shape == (16_000,)
    assert sent.seconds == 1.0


@pytest.mark.parametrize(
    ("data", "name", "status", "why"),
    [
        (b"", "a.wav", 415, "empty"),
        (b"hello, this is a text", "a.wav", 415, "neither a picture nor a readable recording"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", 415, "called .svg"),
        (hostile.recording(), "cat.png", 415, "called .png"),
        (hostile.picture(), "cat.wav", 415, "called .wav"),
        (hostile.recording(), "song.exe", 415, "called .exe"),
        (hostile.picture()[:60], "cut.png", 415, "damaged picture"),
        (hostile.picture((2_000, 600)), "big.png", 413, "2000 × 600 pixels"),
        (hostile.recording(10.1), "long.wav", 413, "longer than 10 s"),
        (hostile.of_unknown_length(hostile.recording(2.0, "FLAC")), "a.flac", 415, "does not say how long"),
        (hostile.with_rate(hostile.recording(0.1), 2**31 - 1), "a.wav", 415, "2147483647 Hz"),
        (hostile.with_rate(hostile.recording(0.1), 1), "a.wav", 415, "at 1 Hz"),
        (hostile.recording(0.5)[:9_000], "cut.wav", 415, "truncated"),
    ],
    ids=lambda x: x if isinstance(x, str) and len(x) < 20 else "",
)
def test_what_is_refused(data: bytes, name: str, status: int, why: str) -> None:
    with pytest.raises(Refusal, match=why) as error:
        decode(data, name, LIMITS)
    assert error.value.status == status
    assert error.value.fix


def test_silence_is_refused() -> None:
    with pytest.raises(Refusal, match="silent") as error:
        decode(hostile.silence(5), "a.wav", LIMITS)
    assert error.value.status == 415


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (hostile.huge_picture, "pixels"),
        (hostile.hours_of_silence, "longer than"),
        (lambda: hostile.of_unknown_length(hostile.hours_of_silence()), "how long"),
    ],
    ids=["picture", "flac", "flac of unknown length"],
)
def test_bombs_are_refused_before_they_are_unpacked(make, why) -> None:
    data = make()
    assert len(data) < 2 << 20
    tracemalloc.start()
    with pytest.raises(Refusal, match=why):
        decode(data, "bomb", LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20  # unpacked they have 200 MB and more


def test_uploads_go_when_their_time_is_over_or_others_need_the_room() -> None:
    now = [0.0]
    uploads = Uploads(most=3, minutes=1.0, clock=lambda: now[0])
    first, second, third = (uploads.add(i, "picture", f"{i}.png", None) for i in range(3))
    assert len({first.id, second.id, third.id}) == 3
    assert uploads.get(first.id).part == 0
    uploads.add(3, "picture", "3.png", None)  # the second was not used for longest
    with pytest.raises(Refusal, match="not kept any more") as error:
        uploads.get(second.id)
    assert (error.value.status, error.value.more) == (404, {"upload": second.id})
    now[0] = 59.0
    assert uploads.get(third.id).part == 2
    now[0] = 61.0
    assert uploads.get(third.id).part == 2  # used meanwhile
    with pytest.raises(Refusal, match="not kept"):
        uploads.get(first.id)
    assert len(uploads) == 1
