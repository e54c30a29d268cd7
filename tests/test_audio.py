"""Decoding in every format and rate, pieces of long recordings, and spectra against sums written out."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct

from lookhear.audio import load_audio, load_excerpt, pad_audio, samples_of, stream_audio
from lookhear.core import RATE, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.frontend import LogMel, Mfcc, level_speech, normalise, speech_frames


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


def encoded(wave: np.ndarray, rate: int = RATE, **how: str) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, wave, rate, **how)
    return buffer.getvalue()


# Decoding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "FLOAT", 0),
        ("WAV", "ULAW", 0.03),
        ("FLAC", "PCM_16", 1e-4),
        ("AIFF", "PCM_24", 1e-6),
        ("OGG", "VORBIS", 0.05),
    ],
)
def test_formats(tmp_path: Path, kind: str, subtype: str, tolerance: float) -> None:
    path = tmp_path / "a.sound"
    path.write_bytes(encoded(tone(0.5), format=kind, subtype=subtype))
    for source in (path, str(path), path.read_bytes()):
        wave = load_audio(source)
        assert (wave.dtype, wave.shape) == (np.float32, (8000,))
        assert np.abs(wave - tone(0.5)).max() <= tolerance


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_rates_become_16_khz_and_keep_pitch_and_length(rate: int) -> None:
    wave = load_audio(encoded(tone(1.0, rate), rate, format="WAV", subtype="FLOAT"))
    assert len(wave) == pytest.approx(RATE, abs=1)
    middle = slice(1000, 15000)  # the resampling filter rings at both ends
    assert np.abs(wave[middle] - tone(1.0)[: len(wave)][middle]).max() < 0.01


def test_stereo_is_the_mean_of_both() -> None:
    both = np.stack([tone(0.3), noise(4800)], 1)
    wave = load_audio(encoded(both, format="WAV", subtype="FLOAT"))
    assert np.allclose(wave, both.mean(1), atol=1e-6)


def wav(samples: np.ndarray, **how: str) -> bytes:
    return encoded(samples, format="WAV", **{"subtype": "FLOAT", **how})


# every case by a name of its own: libsndfile writes the time of day into a float WAV, and a name
# made of the bytes would differ between two processes that collect the tests in different seconds
@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"this is no sound at all", "not a readable recording", id="text"),
        pytest.param(wav(np.zeros(8000, np.float32)), "silent", id="silent"),
        pytest.param(wav(np.array([0.1, np.nan, 0.2], np.float32)), "NaN", id="nan"),
        pytest.param(wav(np.array([0.1, np.inf], np.float32)), "NaN or infinite", id="infinite"),
        pytest.param(wav(np.zeros(0, np.float32)), "no samples", id="no-samples"),
        pytest.param(wav(tone(1.0))[:-9000], "truncated", id="truncated-float"),
        pytest.param(wav(tone(1.0), subtype="PCM_16")[:-9000], "truncated", id="truncated-pcm"),
        pytest.param(
            encoded(noise(16000), format="FLAC", subtype="PCM_16")[:-9000],
            "truncated|damaged",
            id="truncated-flac",
        ),
    ],
)
def test_bad_recordings_are_named_with_a_mend(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(UserError, match=said) as e:
        load_audio(path)
    assert "bad.wav" in e.value.what
    assert e.value.fix
    with pytest.raises(UserError, match=said) as e:
        load_audio(data, name="item 7")
    assert "item 7" in e.value.what
    with pytest.raises(UserError, match=said) as e:
        list(stream_audio(path))
    assert "bad.wav" in e.value.what


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.wav: no such recording"):
        load_audio(tmp_path / "gone.wav")


def test_silence_at_the_start_is_no_silence(tmp_path: Path) -> None:
    path = tmp_path / "late.wav"
    path.write_bytes(wav(np.concatenate([np.zeros(RATE * 2, np.float32), tone(0.5)])))
    assert len(list(stream_audio(path, 1.0, 0.0))) == 3


# Pieces --------------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    samples=st.integers(1, 40_000),
    piece=st.integers(1000, 9000),
    overlap=st.integers(0, 900),
)
def test_pieces_join_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, samples: int, piece: int, overlap: int
) -> None:
    path = tmp_path_factory.mktemp("s") / "a.wav"
    whole = noise(samples)
    path.write_bytes(wav(whole))
    joined = np.zeros(0, np.float32)
    for start, chunk in stream_audio(path, piece / RATE, overlap / RATE):
        first = round(start * RATE)
        assert len(chunk) <= piece  # memory is bounded by one piece
        assert first <= len(joined), "a gap between pieces"
        assert np.array_equal(chunk[: len(joined) - first], joined[first:]), "the overlap differs"
        assert len(chunk) > len(joined) - first, "a piece that holds nothing new"
        joined = np.concatenate([joined[:first], chunk])
    assert np.array_equal(joined, whole)


def test_pieces_of_another_rate_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(3.0, 8000), 8000, format="WAV", subtype="FLOAT"))
    pieces = list(stream_audio(path, 1.0, 0.25))
    assert [start for start, _ in pieces] == [0.0, 0.75, 1.5, 2.25]
    for start, chunk in pieces:
        a = round(start * RATE)
        inner = slice(800, len(chunk) - 800)
        assert np.abs(chunk[inner] - tone(3.0)[a : a + len(chunk)][inner]).max() < 0.01


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_excerpt_is_a_slice_of_the_whole(tmp_path: Path, kind: str, subtype: str | None, rate: int) -> None:
    if kind not in sf.available_formats():
        pytest.skip(f"libsndfile without {kind}")
    path = tmp_path / "a"
    sf.write(path, np.stack([noise(rate * 5), noise(rate * 5, 1)], 1), rate, format=kind, subtype=subtype)
    whole = load_audio(path)
    for start, end in ((0, 1.5), (2, 3.21), (4, 9), (-3, 1)):
        excerpt, expected = load_excerpt(path, start, end), whole[max(0, start) * RATE : round(end * RATE)]
        assert len(excerpt) == pytest.approx(len(expected), abs=1)
        inner = slice(RATE // 50, min(len(excerpt), len(expected)) - RATE // 50)  # beside the filter's edges
        assert excerpt[inner] == pytest.approx(expected[inner], abs=1e-4)
    assert len(load_excerpt(path, 7, 8)) == 0


def test_an_overlap_must_be_shorter_than_a_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(tone(1.0)))
    with pytest.raises(UserError, match="overlap"):
        list(stream_audio(path, 0.2, 0.2))


# Spectra -------------------------------------------------------------------------------------------------------------


def mel(hertz: float) -> float:
    return 1127 * math.log(1 + hertz / 700)


def slow_log_mel(wave: np.ndarray, frame: int, bins: int, low: float, high: float, floor: float) -> np.ndarray:
    """One frame by the definitions: window, a DFT as a sum, triangles between equal steps of mel, logarithm."""
    n = np.arange(400)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 400)
    at = frame * 160 - 200 + n  # 25 ms around the frame's middle
    inside = (at >= 0) & (at < len(wave))
    x = np.where(inside, wave[np.clip(at, 0, len(wave) - 1)], 0) * hann
    edges = np.linspace(mel(low), mel(high), bins + 2)
    out = np.zeros(bins)
    for k in range(257):
        power = abs(np.sum(x * np.exp(-2j * np.pi * k * n / 512))) ** 2
        at_mel = mel(k * RATE / 512)
        for b in range(bins):
            left, middle, right = edges[b : b + 3]
            if left < at_mel < right:
                out[b] += power * min((at_mel - left) / (middle - left), (right - at_mel) / (right - middle))
    return np.log(out + floor)


@pytest.mark.parametrize("frame", [0, 7, 25])
def test_log_mel_against_a_sum_written_out(frame: int) -> None:
    wave = noise(4000)
    module = LogMel(bins=20)
    found = module(Padded(torch.from_numpy(wave)[None])).values
    assert found.shape == (1, 20, 1 + 4000 // 160)
    slow = slow_log_mel(wave, frame, 20, 60.0, 7600.0, 1e-6)
    assert np.abs(found[0, :, frame].numpy() - slow).max() < 1e-3


def test_mfcc_against_scipy() -> None:
    values = torch.randn(1, 80, 30)
    found = Mfcc(80)(Padded(values)).values[0].numpy()
    static = dct(values[0].numpy(), type=2, norm="ortho", axis=0)[:13]
    static[0] = np.log(np.exp(values[0].numpy()).sum(0))
    static = (static - static.mean(1, keepdims=True)) / static.std(1, keepdims=True)

    def deltas(x: np.ndarray) -> np.ndarray:
        wide = np.pad(x, ((0, 0), (2, 2)))
        return np.stack(
            [sum(n * (wide[:, t + 2 + n] - wide[:, t + 2 - n]) for n in (1, 2)) / 10 for t in range(x.shape[1])], 1
        )

    slow = np.concatenate([static, deltas(static), deltas(deltas(static))])
    assert np.abs(found - slow).max() < 1e-4


@settings(max_examples=25)
@given(st.lists(st.integers(1, 5000), min_size=2, max_size=4))
def test_padding_changes_no_frame(lengths: list[int]) -> None:
    waves = [noise(n, seed=i) for i, n in enumerate(lengths)]
    front, mfcc = LogMel(80), Mfcc(80)
    together = front(pad_audio(waves))
    coefficients = mfcc(together)
    for i, wave in enumerate(waves):
        alone = front(pad_audio([wave]))
        frames = 1 + len(wave) // 160
        assert int(together.mask[i].sum()) == frames == alone.values.shape[2]  # type: ignore[index]
        assert torch.allclose(together.values[i, :, :frames], alone.values[0], atol=1e-4)
        assert torch.allclose(coefficients.values[i, :, :frames], mfcc(alone).values[0], atol=2e-3)
        assert not coefficients.values[i, :, frames:].any()


def test_what_lies_past_the_mask_is_not_heard() -> None:
    wave = torch.from_numpy(noise(3200))[None]
    mask = lengths_to_mask(torch.tensor([2000]), 3200)
    loud = torch.where(mask, wave, 9.0)
    assert torch.equal(LogMel()(Padded(wave, mask)).values, LogMel()(Padded(loud, mask)).values)


def test_normalise_by_hand() -> None:
    values = torch.tensor([[[1.0, 3.0, 99.0]]])
    mask = torch.tensor([[True, True, False]])
    assert normalise(values, mask).tolist() == [[[-1.0, 1.0, 0.0]]]


def test_level_speech_by_hand() -> None:
    """Two bands, five frames: the third is 30 below the others, the fourth just within 6, the last is padding."""
    bands = torch.tensor([[0.0, 2.0, -28.0, -2.0, 99.0], [1.0, -1.0, -29.0, -4.0, 99.0]])
    mask = torch.tensor([[True, True, True, True, False]])
    power = bands.exp().sum(0)
    assert power[3] > power[:4].mean() * math.exp(-6) > power[2]
    assert speech_frames(bands[None], mask).tolist() == [[True, True, False, True, False]]
    want = torch.zeros(2, 5)
    for b in range(2):
        mean = (bands[b, 0] + bands[b, 1] + bands[b, 3]) / 3
        for t in range(4):
            want[b, t] = max(float(bands[b, t] - mean), -6.0)
    assert torch.allclose(level_speech(bands[None], mask)[0], want)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3), reach=st.integers(1, 13), seed=st.integers(0, 99))
def test_level_speech_about_each_frame_by_hand(lengths: list[int], reach: int, seed: int) -> None:
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    bands = torch.randn(len(lengths), 2, max(lengths), generator=torch.Generator().manual_seed(seed)) * 6
    found = level_speech(bands, mask, reach)
    for b, n in enumerate(lengths):
        power = [float(bands[b, :, t].exp().sum()) for t in range(n)]
        near = [range(max(0, t - reach), min(n, t + reach + 1)) for t in range(n)]
        spoken = [power[t] >= sum(power[s] for s in near[t]) / len(near[t]) * math.exp(-6) for t in range(n)]
        for t in range(n):
            heard = [s for s in near[t] if spoken[s]]
            for m in range(2):
                mean = sum(float(bands[b, m, s]) for s in heard) / len(heard) if heard else 0.0
                assert float(found[b, m, t]) == pytest.approx(max(float(bands[b, m, t]) - mean, -6.0), abs=1e-4)
    assert not found[~mask[:, None].expand_as(found)].any()


@given(gain=st.floats(0.01, 1), hops=st.integers(0, 100), hiss=st.floats(0, 1e-3))
def test_neither_loudness_nor_silence_changes_what_is_heard(gain: float, hops: int, hiss: float) -> None:
    """Up to two seconds of silence, 40 dB below half a second of sound."""
    wave = noise(8000) * np.linspace(1, 0.2, 8000, dtype=np.float32)
    around = np.pad(wave, (160 * hops, 160 * hops)) + hiss * noise(8000 + 320 * hops, seed=1)
    plain, longer = (LogMel(floor=1e-12)(pad_audio([w.astype(np.float32)])) for w in (wave, gain * around))
    plain, longer = (level_speech(x.values, x.mask)[0] for x in (plain, longer))  # type: ignore[arg-type]
    assert (longer[:, hops + 2 : hops + 49] - plain[:, 2:49]).abs().max() < 0.3
    assert longer.min() >= -6


def test_pad_audio() -> None:
    padded = pad_audio([np.array([1, 2, 3], np.float32), np.array([4], np.float32)])
    assert padded.values.tolist() == [[1, 2, 3], [4, 0, 0]]
    assert padded.mask.tolist() == [[True] * 3, [True, False, False]]  # type: ignore[union-attr]


def test_a_header_that_does_not_say_how_long_it_is(tmp_path):
    """FLAC's STREAMINFO with 0 samples, as programs write that stream."""
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 40_000).astype(np.float32)
    path = tmp_path / "a.flac"
    sf.write(path, wave, 16_000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    for read in (load_audio, samples_of):
        with pytest.raises(UserError, match="does not say how long"):
            read(path)
    with pytest.raises(UserError, match="damaged recording"):
        list(stream_audio(path))


@pytest.mark.parametrize("rate", [1, 999, 1 << 31])
def test_rates_that_nobody_records_at(tmp_path, rate):
    path = tmp_path / "a.wav"
    sf.write(path, np.full(4_000, 0.5), 16_000)
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"Hz|not a readable recording"):
        load_audio(path)
