"""CNN-Attend, CNN-Pool and PSC: the published layers, and an answer that depends on no other recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn
from tower_checks import every_parameter_learns, two_steps_change_all

from lookhear import frontend
from lookhear.audio import pad_audio
from lookhear.core import Padded, pool, unit_from
from lookhear.models.attend import AttendTower, PoolTower, PscTower
from lookhear.models.heads import TagHead
from lookhear.models.model import Model
from lookhear.models.speech import SpeechTower
from lookhear.models.teacher import EmbeddedTeacher
from lookhear.models.towers import SpeechTowerConfig

CONFIGS: dict[str, dict[str, Any]] = {
    "cnn_attend": {"kind": "cnn_attend", "width": 6, "hidden": 10},
    "psc": {"kind": "psc", "width": 6},
    "cnn_pool": {"kind": "cnn_pool", "widths": [5, 6, 7]},
    "cnn_pool_attend": {"kind": "cnn_pool", "widths": [5, 6, 7], "rectify": False},
}
STRIDE = {"cnn_attend": 1, "psc": 1, "cnn_pool": 9, "cnn_pool_attend": 9}
DIM = 12


def config(values: dict[str, Any]) -> Any:
    return TypeAdapter(SpeechTowerConfig).validate_python(values)


def build(name: str) -> SpeechTower:
    torch.manual_seed(0)
    tower = config(CONFIGS[name]).build(DIM).eval()
    with torch.no_grad():
        for conv in tower.convs:
            conv.weight.mul_(2.5)  # as they begin, what is heard fades from layer to layer, and mistakes with it
    tower.centre.mean.normal_(0, 0.1)
    return tower


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


# As published --------------------------------------------------------------------------------------------------------


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


FIVE = (39 * 9 + 1) * 96 + 4 * (96 * 11 + 1) * 96  # 33,792 + 4 × 101,472
POOLED = (39 * 9 + 1) * 64 + (64 * 11 + 1) * 256 + (256 * 11 + 1) * 1024


@pytest.mark.parametrize(
    ("made", "convolutions", "width", "step", "frames"),
    [
        (AttendTower.Config(kind="cnn_attend"), FIVE + 1_057_000, 1000, 0.01, 1 + 8 + 8 + 5 * 10),
        (PscTower.Config(kind="psc"), FIVE, 96, 0.01, 1 + 8 + 8 + 4 * 10),
        (PoolTower.Config(kind="cnn_pool"), POOLED, 1024, 0.09, 1 + 8 + (8 + 2) + 3 * (10 + 2) + 9 * 10),
    ],
    ids=["cnn_attend", "psc", "cnn_pool"],
)
def test_sizes_by_hand(made: Any, convolutions: int, width: int, step: float, frames: int) -> None:
    tower = made.build(512)
    assert count(tower.convs) == convolutions
    assert count(tower) == convolutions + (width + 1) * 512
    assert (tower.width, tower.step) == (width, pytest.approx(step))
    assert tower.receptive_field == pytest.approx(0.025 + 0.01 * (frames - 1))


def test_models_with_their_heads_by_hand() -> None:
    words = [f"w{i}" for i in range(67)]
    tower = AttendTower.Config(kind="cnn_attend").build(8)
    attend = TagHead(TagHead.Config(reading="query", mlp=8192), tower.width, words)
    assert FIVE + 1_057_000 + count(attend) == 9_772_065  # of which 67,000 are the queries: "about 9.7 M" without
    head = TagHead.Config(reading="log_sum_exp", r=1.2, kernel=11)
    psc = TagHead(head, PscTower.Config(kind="psc").build(8).width, words)
    assert count(psc) == (96 * 11 + 1) * 67  # the sixth convolution


@pytest.mark.parametrize("name", CONFIGS)
def test_hidden_is_what_the_published_layers_give(name: str) -> None:
    tower = build(name)
    mel = tower.extract(pad_audio([noise(160 * 89)]))  # 90 frames, which two poolings of 3 leave nothing of
    layers: list[nn.Module] = []
    for i, conv in enumerate(tower.convs):
        published = nn.Conv1d(conv.in_channels, conv.out_channels, 9 if i == 0 else 11, 1, 4 if i == 0 else 5)
        published.load_state_dict(conv.state_dict())
        layers += [published, nn.ReLU()] + [nn.MaxPool1d(3)] * (name.startswith("cnn_pool") and i < 2)
    if name in ("cnn_attend", "cnn_pool_attend"):
        layers.pop()  # no rectifier at the end
    with torch.no_grad():
        wanted = nn.Sequential(*layers)(tower.mfcc(mel).values).transpose(1, 2)
        found = tower(mel)
    assert found.hidden is not None
    assert torch.allclose(found.hidden, wanted, atol=1e-5)
    local = torch.stack([tower.value.weight @ h + tower.value.bias for h in wanted[0]])[None]
    assert torch.allclose(found.local, local, atol=1e-5)
    assert torch.allclose(found.pooled, unit_from(tower.centre.mean, pool(local, found.mask)), atol=1e-5)


# One recording at a time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=8)
@given(lengths=st.lists(st.integers(200, 16_000), min_size=2, max_size=3))
def test_padding_never_changes_an_answer(name: str, lengths: list[int]) -> None:
    tower = build(name)
    waves = [noise(n, i) for i, n in enumerate(lengths)]
    with torch.no_grad():
        together, turned = tower(pad_audio(waves)), tower(pad_audio(waves[::-1]))[list(range(len(waves)))[::-1]]
        for i, wave in enumerate(waves):
            alone = tower(Padded(torch.from_numpy(wave)[None]))
            n = -(-(1 + len(wave) // 160) // STRIDE[name])
            assert alone.local.shape == (1, n, DIM)
            for found in (together, turned):
                assert found.mask[i].tolist() == [k < n for k in range(found.mask.shape[1])]
                assert torch.allclose(found.local[i, :n], alone.local[0], atol=1e-4)
                assert torch.allclose(found.hidden[i, :n], alone.hidden[0], atol=1e-4)
                assert torch.allclose(found.pooled[i], alone.pooled[0], atol=2e-4)
                assert not found.local[i, n:].any()
                assert not found.hidden[i, n:].any()


@pytest.mark.parametrize("name", CONFIGS)
def test_what_lies_in_the_padding_is_not_heard(name: str) -> None:
    tower = build(name)
    mel = tower.extract(pad_audio([noise(8000), noise(16000, 1)]))
    loud = Padded(mel.values.masked_fill(~mel.mask[:, None], 50.0), mel.mask)
    with torch.no_grad():
        a, b = tower(mel), tower(loud)
    assert torch.allclose(a.local, b.local, atol=1e-5)
    assert torch.allclose(a.pooled, b.pooled, atol=1e-5)


# The mean and variance of each coefficient over the recording couple all frames; they are left out here, to see what
# the deltas and the layers hear.


@pytest.mark.parametrize("name", CONFIGS)
def test_a_vector_hears_its_field_around_its_middle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontend, "normalise", lambda values, mask: values)
    tower = build(name)
    at, reach = 32_000, tower.receptive_field / 2
    first = {1: 0.0, 9: 0.04}[STRIDE[name]]  # the middle of steps of 9 frames, at 10 ms each, is the fifth
    times = torch.arange(401 // STRIDE[name]) * tower.step + first

    def moved(wave: np.ndarray) -> torch.Tensor:
        changed = wave.copy()
        changed[at] += 1000.0
        with torch.no_grad():
            change = tower(pad_audio([wave])).hidden - tower(pad_audio([changed])).hidden
        return change.abs().amax(-1)[0, : len(times)] > 1e-3

    distance = times - at / 16_000
    assert not moved(noise(64_000))[distance.abs() > reach].any()
    # Where every weight adds up and silence is zero everywhere, nothing that is heard can hide: the bound is met on
    # either side. Of the coefficients only the double delta of the energy is read, which sees furthest.
    with torch.no_grad():
        for i, conv in enumerate(tower.convs):
            conv.bias.zero_()
            conv.weight.fill_(0.5)
            if i == 0:
                conv.weight[:, [k for k in range(39) if k != 26]] = 0
    heard = distance[moved(np.zeros(64_000, np.float32))]
    assert -reach <= heard.min() <= -reach + tower.step + 0.02
    assert reach >= heard.max() >= reach - tower.step - 0.02


# In use --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_every_parameter_learns(name: str) -> None:
    every_parameter_learns(build(name), pad_audio([noise(16000), noise(9000, 1), noise(12000, 2)]), DIM)


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_and_loaded(name: str, encoder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    teacher, speech = EmbeddedTeacher(encoder=str(encoder), dim=8, size=32, width=4), config(CONFIGS[name])
    model = Model(teacher.build(), speech.build(8)).eval()
    model.save(tmp_path, {"teacher": teacher.model_dump(mode="json"), "speech": speech.model_dump(mode="json")})
    again = Model.load(tmp_path)
    waves = [noise(9000), noise(3000, 1)]
    assert type(again.audio) is type(model.audio)
    assert again.step == model.step
    assert torch.allclose(again.embed_audio(waves).local, model.embed_audio(waves).local, atol=1e-6)
    assert torch.allclose(again.embed_audio(waves).pooled, model.embed_audio(waves).pooled, atol=1e-6)


@pytest.mark.parametrize("name", ["cnn_attend", "psc", "cnn_pool"])
def test_two_steps_of_training(name: str, tiny_book: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path) -> None:
    two_steps_change_all(CONFIGS[name], tiny_recipe, tiny_book, tiny_run, tmp_path / "run")


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "cnn_attend", "hidden": 0},
        {"kind": "psc", "hidden": 5},
        {"kind": "cnn_pool", "widths": [1, 2]},
        {"kind": "cnn_pool", "widths": [1, 2, 0]},
    ],
    ids=["hidden 0", "hidden of psc", "two widths", "width 0"],
)
def test_shapes_that_cannot_be_built_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(values)
