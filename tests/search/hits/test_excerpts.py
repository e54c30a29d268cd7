"""Excerpts: the sound and the curve that the whole recording has there; envelopes of any length."""

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.audio import load_audio
from lookhear.core import Features, Hit
from lookhear.errors import UserError
from lookhear.models.streaming import stream
from lookhear.search.curves import Curves
from lookhear.search.hits.excerpts import Excerpts, envelope
from lookhear.search.queries import written
from lookhear.search.spot import Heard


@pytest.fixture(scope="module")
def long(tiny_folder, tmp_path_factory):
    """A recording of some 40 s, and its samples."""
    wave = np.concatenate([load_audio(p) for p in sorted(tiny_folder.glob("*.flac"))])
    wave = np.tile(wave, -(-40 * 16_000 // len(wave)))
    path = tmp_path_factory.mktemp("long") / "tape.wav"
    sf.write(path, wave, 16_000, subtype="FLOAT")
    return path, wave


@pytest.mark.parametrize(("start", "end"), [(20.3, 20.42), (0.1, 0.3), (35.0, 36.9), (38.9, 39.1), (10.0, 30.0)])
@pytest.mark.parametrize("query", ["dog", "red boat"])
def test_sound_and_curve_are_those_of_the_whole_recording(tiny_model, long, query, start, end):
    path, wave = long
    asked = written(tiny_model, ["dog", "red boat"])
    curves = Curves(asked, tiny_model.compatibility, None)
    local = torch.cat([s.features.local for s in stream(tiny_model, path)], dim=1)
    features = Features(local[:, 0], local, torch.ones(local.shape[:2], dtype=torch.bool), tiny_model.step)
    whole = curves.of_queries(curves.of_parts(features), tiny_model.step)[:, ["dog", "red boat"].index(query)]

    excerpt = Excerpts(tiny_model, asked).about(Hit(str(path), query, start, end, 0.5), len(wave) / 16_000)
    first = round(excerpt.start * 16_000)
    assert np.array_equal(excerpt.wave, wave[first : first + len(excerpt.wave)])
    assert excerpt.start <= start
    assert excerpt.start + excerpt.seconds >= min(end + 0.29, excerpt.start + 8, len(wave) / 16_000)
    frames = np.round(excerpt.times / tiny_model.step - 0.5).astype(int)
    assert len(frames) == pytest.approx(excerpt.seconds / tiny_model.step, abs=1.01)
    assert excerpt.values == pytest.approx(whole[torch.from_numpy(frames)].numpy(), abs=1e-4)


def test_a_recording_of_another_rate_and_two_channels(tiny_model, long, tmp_path):
    _, wave = long
    sf.write(tmp_path / "a.wav", np.stack([np.repeat(wave[: 16_000 * 12], 3)] * 2, 1), 48_000)
    hit = Hit(str(tmp_path / "a.wav"), "dog", 6.0, 6.2, 0.5)
    excerpt = Excerpts(tiny_model, written(tiny_model, ["dog"])).about(hit, 12.0)
    expected = load_audio(tmp_path / "a.wav")[round(excerpt.start * 16_000) :][: len(excerpt.wave)]
    assert len(excerpt.wave) == pytest.approx(2 * 16_000, abs=1)
    assert excerpt.wave == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("bins", [1, 7, 100, 640])
def test_an_envelope_is_the_lowest_and_highest_of_each_stretch(monkeypatch, long, bins):
    path, wave = long
    low, high = envelope(Heard(str(path), len(wave) / 16_000, ()), bins)
    at = np.arange(len(wave)) * bins // len(wave)
    assert low == pytest.approx([min(0, wave[at == b].min()) for b in range(bins)])
    assert high == pytest.approx([max(0, wave[at == b].max()) for b in range(bins)])


def test_an_envelope_over_several_pieces_of_the_stream(long, tmp_path):
    wave = np.tile(long[1], 4)  # more than a minute
    sf.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    low, high = envelope(Heard(str(tmp_path / "a.wav"), len(wave) / 16_000, ()), 90)
    at = np.arange(len(wave)) * 90 // len(wave)
    assert high == pytest.approx([max(0, wave[at == b].max()) for b in range(90)])
    assert low == pytest.approx([min(0, wave[at == b].min()) for b in range(90)])


def test_a_recording_that_is_gone(tiny_model, tmp_path):
    with pytest.raises(UserError, match="no such recording"):
        Excerpts(tiny_model, written(tiny_model, ["dog"])).about(Hit(str(tmp_path / "a.wav"), "dog", 1, 2, 0.5), 3.0)
