"""Streaming: the vectors of a long recording are those of the whole, wherever it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.audio import load_audio, pad_audio
from lookhear.models.davenet import DavenetTower
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.models.streaming import ASIDE, WINDOW, layout, stream


class Hears:
    def __init__(self, tower):
        self.tower, self.step, self.context = tower.eval(), tower.step, tower.context

    def embed_audio(self, waves):
        with torch.inference_mode():
            return self.tower(pad_audio(waves))


def build(config):
    torch.manual_seed(0)
    return Hears(config.build(8))


def noise(path, seconds, rate=16000):
    rng = np.random.default_rng(0)
    wave = (
        rng.standard_normal(round(seconds * rate))
        * np.repeat(rng.uniform(0.001, 0.2, 1000), seconds * rate / 1000 + 1)[: round(seconds * rate)]
    )
    sf.write(path, wave.clip(-1, 1), rate, subtype="FLOAT")
    return path


def joined(model, path, piece):
    stretches = list(stream(model, path, piece))
    at = 0
    for s in stretches:
        assert s.first == at
        at += s.features.local.shape[1]
    assert [s.last for s in stretches] == [False] * (len(stretches) - 1) + [True]
    return torch.cat([s.features.local[0] for s in stretches]), stretches[-1].end


@pytest.mark.parametrize("piece", [1.0, 5.0, 60.0])
@pytest.mark.parametrize("seconds", [0.5, 12.34, 31.0])
def test_a_bounded_tower_hears_what_it_would_of_the_whole(tmp_path, seconds, piece):
    model = build(LocalTower.Config(width=16, level=1.5))
    path = noise(tmp_path / "a.wav", seconds)
    whole = model.embed_audio([load_audio(path)]).local[0]
    found, end = joined(model, path, piece)
    assert found.shape == whole.shape
    assert torch.allclose(found, whole, atol=1e-4)
    assert end == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_so_it_does_at_every_sample_rate(tmp_path, rate):
    model = build(LocalTower.Config(width=16, level=1.0))
    path = noise(tmp_path / "a.wav", 20.3, rate)
    whole = model.embed_audio([load_audio(path)]).local[0]
    found, _ = joined(model, path, 3.0)
    assert found.shape == whole.shape
    assert torch.allclose(found, whole, atol=1e-3)


def test_a_tower_without_level_too(tmp_path):
    model = build(DavenetTower.Config(kind="davenet", widths=(8, 8, 8, 8, 8)))
    path = noise(tmp_path / "a.wav", 40.0)
    whole = model.embed_audio([load_audio(path)]).local[0]
    found, _ = joined(model, path, 4.0)
    assert torch.allclose(found, whole, atol=1e-4)


def test_an_unbounded_tower_answers_by_windows_at_fixed_times(tmp_path):
    model = build(SeedTower.Config(width=16, layers=1, heads=2))
    path = noise(tmp_path / "a.wav", 30.0)
    wave, (own, aside) = load_audio(path), layout(model.step, model.context, 99.0)
    assert (own, aside) == (WINDOW, 2 * ASIDE)  # whole seconds and whole steps of 160 ms
    found, _ = joined(model, path, 99.0)
    start, steps = 2 * own, round(aside / model.step)
    window = wave[round(start * 16000) : round((start + own + 2 * aside) * 16000)]
    alone = model.embed_audio([window]).local[0]
    first = round((start + aside) / model.step)
    assert torch.allclose(found[first : first + 25], alone[steps : steps + 25], atol=1e-5)


@pytest.mark.parametrize(("step", "own"), [(0.04, 60), (0.16, 60), (0.09, 63), (0.02, 60), (0.01, 60)])
def test_pieces_share_one_grid_of_frames(step, own):
    found, aside = layout(step, 1.0, 60.0)
    assert found == own
    assert (found / step) == pytest.approx(round(found / step))
    assert (aside / step) == pytest.approx(round(aside / step))
