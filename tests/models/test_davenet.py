"""DAVEnet and ResDAVEnet: the published layers, and an answer that depends on no other recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from tower_checks import every_parameter_learns, two_steps_change_all

from lookhear.audio import pad_audio
from lookhear.core import Padded, pool, unit_from
from lookhear.models.davenet import DavenetTower, ResDavenetTower
from lookhear.models.model import Model
from lookhear.models.norm import MaskedBatchNorm
from lookhear.models.speech import SpeechTower
from lookhear.models.teacher import EmbeddedTeacher
from lookhear.models.towers import SpeechTowerConfig

CONFIGS: dict[str, dict[str, Any]] = {
    "davenet": {"kind": "davenet", "widths": [4, 5, 6, 7, 8]},
    "resdavenet": {"kind": "resdavenet", "widths": [4, 5, 5, 6, 7]},
}
DIM = 12


def config(values: dict[str, Any]) -> Any:
    return TypeAdapter(SpeechTowerConfig).validate_python(values)


def build(name: str) -> SpeechTower:
    torch.manual_seed(0)
    tower = config(CONFIGS[name]).build(DIM).eval()
    for module in tower.modules():
        if isinstance(module, MaskedBatchNorm):  # as after training: not 0 and 1
            module.mean.normal_(0, 0.3)
            module.var.uniform_(0.5, 2.0)
            module.bias.data.normal_(0, 0.3)
    if isinstance(tower, DavenetTower):
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


def test_davenet_sizes_by_hand() -> None:
    tower = DavenetTower.Config(kind="davenet").build(512)
    convolutions = (40 + 1) * 128 + (128 * 11 + 1) * 256 + (256 * 17 + 1) * 512
    convolutions += (512 * 17 + 1) * 512 + (512 * 17 + 1) * 1024
    assert count(tower.convs) == convolutions == 15_965_568  # "about 16.0 M"
    assert count(tower) == convolutions + 2 + 1025 * 512
    assert (tower.width, tower.step) == (1024, 0.16)
    # Frames: one; 11 and a maximum of 3 at 10 ms; 17 and 3 at 20, 40 and 80 ms.
    assert tower.receptive_field == pytest.approx(0.025 + 0.01 * (10 + 2 + 2 * 18 + 4 * 18 + 8 * 18))


def test_resdavenet_sizes_by_hand() -> None:
    tower = ResDavenetTower.Config(kind="resdavenet").build(512)
    stacks = 0
    for width, out in ((128, 256), (256, 256), (256, 512), (512, 1024)):
        stacks += (
            9 * width * out + 3 * 9 * out * out + width * out + 5 * 2 * out
        )  # four convolutions, a shortcut, norms
    assert stacks == 2_099_712 + 2_427_392 + 8_393_728 + 33_564_672
    assert count(tower) == 40 * 128 + 2 * 128 + stacks + 1025 * 512
    assert (tower.width, tower.step) == (1024, 0.16)
    frames = 1 + sum(rate * 8 + 3 * 2 * rate * 8 for rate in (1, 2, 4, 8))
    assert tower.receptive_field == pytest.approx(0.025 + 0.01 * (frames - 1))


def batch_norm(ours: MaskedBatchNorm, plane: bool = True) -> nn.Module:
    theirs = (nn.BatchNorm2d if plane else nn.BatchNorm1d)(len(ours.mean)).eval()
    names = {"weight": ours.weight, "bias": ours.bias, "running_mean": ours.mean, "running_var": ours.var}
    theirs.load_state_dict({**names, "num_batches_tracked": torch.tensor(0)})
    return theirs


def davenet_by_hand(tower: SpeechTower, mel: Tensor) -> Tensor:
    """(1, 40, T) → (1, H, N), as pictures of one channel; the last maximum one frame later than published."""
    x = batch_norm(tower.norm)(mel[:, None])
    for i, conv in enumerate(tower.convs):
        weight = conv.weight[:, None] if i == 0 else conv.weight[:, :, None]  # (40, 1) bands × frames, then (1, k)
        x = F.relu(F.conv2d(x, weight, conv.bias, padding=(0, (0, 5, 8, 8, 8)[i])))
        if 0 < i < 4:
            x = F.max_pool2d(x, (1, 3), (1, 2), (0, 1))
    x = x[:, :, 0]
    return torch.stack([x[..., t : t + 3].amax(-1) for t in range(0, x.shape[2], 2)], dim=-1)


def resdavenet_by_hand(tower: SpeechTower, mel: Tensor) -> Tensor:
    """(1, 40, T) → (1, H, N) for T a multiple of 16; the last halving keeps the frames between those published."""
    x = F.relu(batch_norm(tower.norm, False)(F.conv1d(mel, tower.first.weight)))
    for i, block in enumerate(tower.blocks):
        at = slice(1 if i == 6 else 0, None, 2 if i % 2 == 0 else 1)
        a, b = (batch_norm(n, False) for n in block.norms)
        out = F.relu(a(F.conv1d(x, block.first.weight, padding=4)[..., at]))
        out = b(F.conv1d(out, block.second.weight, padding=4))
        if i % 2 == 0:
            x = batch_norm(block.short_norm, False)(F.conv1d(x, block.short.weight)[..., at])
        x = F.relu(out + x)
    return x


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [("davenet", davenet_by_hand), ("resdavenet", resdavenet_by_hand)],
    ids=["davenet", "resdavenet"],
)
def test_hidden_is_what_the_published_layers_give(name: str, by_hand: Any) -> None:
    tower = build(name)
    mel = tower.extract(pad_audio([noise(160 * 175)]))  # 176 frames, 11 steps
    with torch.no_grad():
        found, wanted = tower(mel), by_hand(tower, mel.values).transpose(1, 2)
        local = tower.value(wanted)
    assert found.hidden is not None
    assert found.hidden.std(1).amax() > 0.1
    assert torch.allclose(found.hidden, wanted, atol=1e-4, rtol=1e-4)
    assert torch.allclose(found.local, local, atol=1e-4, rtol=1e-4)
    assert torch.allclose(found.pooled, unit_from(tower.centre.mean, pool(local, found.mask)), atol=1e-4)


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
            n = -(-(1 + len(wave) // 160) // 16)
            assert alone.local.shape == (1, n, DIM)
            for found in (together, turned):
                assert found.mask[i].tolist() == [k < n for k in range(found.mask.shape[1])]
                assert torch.allclose(found.local[i, :n], alone.local[0], atol=1e-4, rtol=1e-4)
                assert torch.allclose(found.hidden[i, :n], alone.hidden[0], atol=1e-4, rtol=1e-4)
                assert torch.allclose(found.pooled[i], alone.pooled[0], atol=2e-4)
                assert not found.local[i, n:].any()
                assert not found.hidden[i, n:].any()


@pytest.mark.parametrize("training", [False, True], ids=["in use", "in training"])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_lies_in_the_padding_is_not_heard(name: str, training: bool) -> None:
    """Not in the statistics of the batch either."""
    towers = [build(name).train(training) for _ in range(2)]
    mel = towers[0].extract(pad_audio([noise(8000), noise(16000, 1)]))
    loud = Padded(
        F.pad(mel.values.masked_fill(~mel.mask[:, None], 50.0), (0, 40), value=50.0), F.pad(mel.mask, (0, 40))
    )
    with torch.no_grad():
        a, b = towers[0](mel), towers[1](loud)
    assert torch.allclose(a.local, b.local[:, : a.local.shape[1]], atol=1e-4, rtol=1e-4)
    assert torch.allclose(a.pooled, b.pooled, atol=1e-4)
    for mine, theirs in zip(towers[0].buffers(), towers[1].buffers(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_vector_hears_its_field_around_its_middle(name: str) -> None:
    tower = build(name)
    at, reach = 16_000 * 6, tower.receptive_field / 2
    times = (torch.arange(1200 // 16) + 0.5) * tower.step

    def moved(wave: np.ndarray, by: float) -> Tensor:
        changed = wave.copy()
        changed[at] += by
        with torch.no_grad():
            change = tower(pad_audio([wave])).hidden - tower(pad_audio([changed])).hidden
        return change.abs().amax(-1)[0, : len(times)] > 0

    distance = times - at / 16_000
    assert not moved(noise(192_000), 2.0)[distance.abs() > reach].any()
    # Where every weight adds up and silence is zero everywhere, nothing that is heard can hide: the bound is met on
    # either side.
    with torch.no_grad():
        for n, p in tower.named_parameters():
            p.fill_(0.0 if n.endswith("bias") else 0.25)
        for module in tower.modules():
            if isinstance(module, MaskedBatchNorm):
                module.mean.zero_()
                module.var.fill_(1.0)
        if name == "davenet":
            tower.norm.mean.fill_(float(np.log(1e-6)))
    heard = distance[moved(np.zeros(192_000, np.float32), 1000.0)]
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
    model.audio.norm.mean.fill_(3.0)
    model.save(tmp_path, {"teacher": teacher.model_dump(mode="json"), "speech": speech.model_dump(mode="json")})
    again = Model.load(tmp_path)
    waves = [noise(9000), noise(3000, 1)]
    assert type(again.audio) is type(model.audio)
    assert again.step == model.step
    assert torch.equal(again.audio.norm.mean, model.audio.norm.mean)
    assert torch.allclose(again.embed_audio(waves).local, model.embed_audio(waves).local, atol=1e-5)
    assert torch.allclose(again.embed_audio(waves).pooled, model.embed_audio(waves).pooled, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_two_steps_of_training(name: str, tiny_book: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path) -> None:
    two_steps_change_all(CONFIGS[name], tiny_recipe, tiny_book, tiny_run, tmp_path / "run")


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "davenet", "widths": [1, 2, 3, 4]},
        {"kind": "davenet", "bins": 80},
        {"kind": "resdavenet", "widths": [1, 2, 3, 4, 0]},
    ],
    ids=["four widths", "bins", "width 0"],
)
def test_shapes_that_cannot_be_built_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(values)
