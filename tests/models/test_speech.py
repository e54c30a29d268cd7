"""Speech towers: padding changes nothing, frames see only their field, the seed's shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.audio import pad_audio
from lookhear.core import Padded, lengths_to_mask, pool, unit_from
from lookhear.models import speech
from lookhear.models.speech import LocalTower, SeedTower, SpeechTower

LOCAL = LocalTower.Config(width=16)
TOWERS = {
    "local": LOCAL,
    "wide": LocalTower.Config(width=16, kernel=3, dilations=(1, 2, 4), bins=24),
    **{
        f"seed-{readout}{'-positions' if positions else ''}": SeedTower.Config(
            width=32, layers=2, positions=positions, readout=readout
        )
        for readout in ("first", "mean")
        for positions in (False, True)
    },
}


def build(config: LocalTower.Config | SeedTower.Config, dim: int = 12) -> SpeechTower:
    torch.manual_seed(0)
    tower = config.build(dim).eval()
    rng = torch.Generator().manual_seed(1)
    for name, buffer in tower.named_buffers():  # statistics as after training: not 0 and 1
        if name.endswith(".mean"):
            buffer.normal_(generator=rng)
        elif name.endswith(".var"):
            buffer.uniform_(0.5, 2.0, generator=rng)
    if isinstance(tower, SeedTower) and tower.positions is not None:
        tower.positions.data.normal_(generator=rng)  # the start's 0.01 would hide a mistake
    return tower


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1).astype(np.float32)


@pytest.mark.parametrize("name", TOWERS)
@settings(max_examples=8)
@given(lengths=st.lists(st.integers(200, 20_000), min_size=2, max_size=3))
def test_padding_never_changes_an_answer(name: str, lengths: list[int]) -> None:
    tower = build(TOWERS[name])
    waves = [noise(n, i) for i, n in enumerate(lengths)]
    samples = pad_audio(waves)
    with torch.no_grad():
        together, from_mel = tower(samples), tower(tower.extract(samples))
        for i, wave in enumerate(waves):
            for alone in (tower(pad_audio([wave])), tower(Padded(torch.from_numpy(wave)[None]))):
                n = alone.local.shape[1]
                for found in (together, from_mel):
                    assert int(found.mask[i].sum()) == n
                    assert torch.allclose(found.local[i, :n], alone.local[0], atol=2e-4)
                    assert torch.allclose(found.pooled[i], alone.pooled[0], atol=1e-4)
                    assert not found.local[i, n:].any()


def test_whole_channels_of_a_recording_drop_out_and_the_rest_keeps_their_sum() -> None:
    torch.manual_seed(0)
    frames = speech._Frames(torch.tensor([[True] * 5, [True, True, False, False, False]]))
    rows = torch.ones(7, 1000)
    dropped = frames.drop(rows, 0.25)
    for recording in (dropped[:5], dropped[5:]):
        assert (recording == recording[0]).all()
        assert recording.unique().tolist() == pytest.approx([0, 4 / 3])
        assert float(recording.mean()) == pytest.approx(1, abs=0.1)
    assert not torch.equal(dropped[0], dropped[5])


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 2),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
)
def test_frames_in_rows_are_convolved_as_conv1d_does(
    lengths: list[int], stride: int, kernel: int, dilation: int
) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv1d(3, 4, kernel, stride, kernel // 2 * dilation, dilation)
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    frames, x = speech._Frames(mask), torch.randn(len(lengths), max(lengths), 3)
    rows = frames.pack(x)
    assert torch.equal(rows, x[mask])
    padded = frames.pad(rows)
    assert torch.equal(padded, x * mask[..., None])
    assert torch.allclose(speech._convolve(conv, padded), conv(padded.transpose(1, 2)).transpose(1, 2), atol=1e-5)


@pytest.mark.parametrize("name", TOWERS)
def test_what_lies_in_the_padding_is_not_heard(name: str) -> None:
    tower = build(TOWERS[name])
    mel = tower.extract(pad_audio([noise(8000), noise(16000, 1)]))
    assert mel.mask is not None
    loud = Padded(mel.values.masked_fill(~mel.mask[:, None], 50.0), mel.mask)
    with torch.no_grad():
        a, b = tower(mel), tower(loud)
    assert torch.allclose(a.local, b.local, atol=1e-5)
    assert torch.allclose(a.pooled, b.pooled, atol=1e-5)


@pytest.mark.parametrize("name", TOWERS)
def test_shapes_and_pooling(name: str) -> None:
    config = TOWERS[name]
    tower = build(config)
    f = tower(pad_audio([noise(16000), noise(5000)]))
    stride = round(tower.step * 100)
    assert f.step == tower.step
    assert f.mask.sum(1).tolist() == [-(-101 // stride), -(-(1 + 5000 // 160) // stride)]
    assert f.local.shape == (2, -(-101 // stride), 12)
    assert torch.allclose(f.pooled.norm(dim=-1), torch.ones(2))
    first = isinstance(config, SeedTower.Config) and config.readout == "first"
    tower.centre.mean.copy_(torch.linspace(0, 0.2, 12))
    f = tower(pad_audio([noise(16000), noise(5000)]))
    whole = F.normalize(f.local[:, 0], dim=-1) if first else pool(f.local, f.mask)
    assert torch.allclose(f.pooled, unit_from(tower.centre.mean, whole), atol=1e-6)


# Receptive field of the local tower. The mean of each log-mel band over the recording is taken off first, which couples
# all frames through one number a band; what a frame hears beyond that is bounded, and that is what is tested here.


@pytest.mark.parametrize("name", ["local", "wide"])
def test_a_frame_hears_only_its_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "level_speech", lambda values, mask, reach: values * mask[:, None])
    tower = build(TOWERS[name])
    wave = noise(48_000)
    at = 24_080  # between the frames of 1.48 s and 1.52 s
    changed = wave.copy()
    changed[at] += 2.0
    with torch.no_grad():
        moved = (tower(pad_audio([wave])).local - tower(pad_audio([changed])).local).abs().amax(-1)[0]
    distance = (torch.arange(len(moved)) * tower.step - at / 16_000).abs()
    inside = distance <= tower.receptive_field / 2
    assert not moved[~inside].any()
    # The bound is tight: frames within a step of it do move.
    assert moved[distance <= tower.receptive_field / 2 - 2 * tower.step].all()


def test_frames_meet_only_through_the_mean_of_each_band() -> None:
    tower = build(LOCAL)
    mel = tower.extract(pad_audio([noise(48_000)]))
    changed = mel.values.clone()
    changed[0, :, 10] += 3.0
    changed[0, :, 20] -= 3.0  # the means stay
    with torch.no_grad():
        moved = (tower(mel).local - tower(Padded(changed, mel.mask)).local).abs().amax(-1)[0]
    reach = tower.receptive_field / 2
    times = torch.arange(len(moved)) * tower.step
    assert moved[times > 0.20 + reach].max() < 1e-4
    assert moved[:6].min() > 1e-4


def test_beyond_its_context_nothing_reaches_a_frame() -> None:
    tower = build(LocalTower.Config(width=16, dilations=(1,), level=0.5))
    wave = noise(16_000 * 6)
    loud = wave.copy()
    loud[: 16_000 * 2] = noise(16_000 * 2, seed=5) * 30  # other sound, and so loud that it would set the level
    with torch.no_grad():
        here, there = (tower(pad_audio([w])).local[0] for w in (wave, loud))
    first = math.ceil((2 + tower.context) / tower.step)
    assert torch.allclose(here[first:], there[first:], atol=1e-5)
    near = round(2.4 / tower.step)  # beyond its receptive field, within what sets its level
    assert not torch.allclose(here[near], there[near], atol=1e-2)


def test_receptive_field_by_hand() -> None:
    # 9 frames, then 5 taps of 2 frames, then 5 taps of 4, 4 and 8 frames, of 25 ms windows every 10 ms.
    frames = 9 + 4 * 2 + 4 * 4 + 4 * 4 + 4 * 8
    assert LocalTower.Config().build(8).receptive_field == pytest.approx(0.025 + 0.01 * (frames - 1))


# The seed's tower ----------------------------------------------------------------------------------------------------


def test_seed_tower_is_as_described() -> None:
    tower = SeedTower.Config().build(512)
    convs = [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in tower.convs]
    assert convs == [
        (39, 96, 9, 2),
        (96, 96, 11, 1),
        (96, 96, 11, 2),
        (96, 96, 11, 1),
        (96, 96, 11, 2),
        (96, 96, 11, 1),
        (96, 128, 11, 2),
    ]
    layers = tower.transformer.layers
    assert len(layers) == 8
    assert {(layer.self_attn.embed_dim, layer.self_attn.num_heads, layer.linear1.out_features) for layer in layers} == {
        (128, 4, 512)
    }
    assert all(layer.norm_first for layer in layers)
    assert tower.project.weight.shape == (512, 128)
    assert sum(p.numel() for p in tower.parameters()) == 2_328_416  # "about 2.33 M"
    assert tower.step == 0.16
    assert tower.positions is None
    assert SeedTower.Config(positions=True).build(8).positions is not None


def test_positions_tell_order() -> None:
    """Without positions the Transformer's mean over steps of shuffled inputs is the same; with them it is not."""
    h = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(0))
    plain, placed = (build(TOWERS[n]) for n in ("seed-mean", "seed-mean-positions"))
    with torch.no_grad():
        assert torch.allclose(plain.transformer(h).mean(1), plain.transformer(h.flip(1)).mean(1), atol=1e-5)
        p = placed.positions[:9]
        assert not torch.allclose(
            placed.transformer(h + p).mean(1), placed.transformer(h.flip(1) + p).mean(1), atol=1e-2
        )


def test_recordings_longer_than_the_positions() -> None:
    tower = build(SeedTower.Config(width=8, layers=1, positions=True))
    frames = 16 * (SeedTower.MAX_STEPS + 3)
    f = tower(Padded(torch.randn(1, 80, frames)))
    assert f.local.shape[1] == SeedTower.MAX_STEPS + 3
    assert torch.isfinite(f.pooled).all()


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (LocalTower.Config, {"kernel": 4}),
        (LocalTower.Config, {"dilations": (0,)}),
        (SeedTower.Config, {"width": 100, "heads": 3}),
        (SeedTower.Config, {"layers": 0}),
    ],
)
def test_shapes_that_cannot_be_built_are_refused_by_the_recipe(config: type, values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**values)


@pytest.mark.parametrize("name", TOWERS)
def test_every_parameter_learns(name: str) -> None:
    tower = build(TOWERS[name]).train()
    f = tower(pad_audio([noise(16000), noise(9000, 1), noise(12000, 2)]))
    (f.pooled * torch.randn(3, 12, generator=torch.Generator().manual_seed(3))).sum().backward()
    silent = [n for n, p in tower.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert silent == []
