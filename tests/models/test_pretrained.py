"""Pretrained speech towers: what transformers hears is what we hear; nobody hears their neighbours; what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from lookhear.audio import load_audio, pad_audio
from lookhear.core import Features, Padded, pool
from lookhear.data.read import open_corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.pretrained import PretrainedTower
from lookhear.models.teacher import VectorTeacher
from lookhear.recipe import check
from lookhear.training.mels import StreamedMels, frames_of, gigabytes, log_mels
from lookhear.training.train import train

H, LAYERS, DIM = 16, 3, 6
SIZES: dict[str, Any] = {
    "hidden_size": H,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
WHISPER: dict[str, Any] = {
    "d_model": H,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 16,
    "num_mel_bins": 10,
    "max_source_positions": 50,  # windows of one second
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
FAMILIES = ["hubert", "wav2vec2", "wavlm", "whisper"]
READOUTS = ["mean", "cls", "attention"]
TUNES = ["none", "last 1", "all"]
LENGTHS = (150, 17_000, 5_000, 9_123)
"""Less than one frame of the convolutions; more than one window of the tiny Whisper."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost models of this size ten times their work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    stable = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
    models = {
        "hubert": transformers.HubertModel(transformers.HubertConfig(**SIZES)),
        "wav2vec2": transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**SIZES, **stable)),
        "wavlm": transformers.WavLMModel(transformers.WavLMConfig(**SIZES)),
        "whisper": transformers.WhisperModel(transformers.WhisperConfig(**WHISPER)),
    }
    found = {}
    for kind, model in models.items():
        for name, p in model.named_parameters():  # all biases and norms away from 0 and 1, as after training
            if p.ndim == 1 and "masked" not in name:
                p.data += torch.randn_like(p) * 0.1
        extractor = (
            transformers.WhisperFeatureExtractor(feature_size=10, chunk_length=1)
            if kind == "whisper"
            else transformers.Wav2Vec2FeatureExtractor(do_normalize=kind != "hubert")
        )
        found[kind] = tmp_path_factory.mktemp("speech") / kind
        model.eval().save_pretrained(found[kind])
        extractor.save_pretrained(found[kind])
    return found


def build(folder: Path, **change: Any) -> PretrainedTower:
    torch.manual_seed(1)
    tower = PretrainedTower.Config(name=str(folder), **change).build(DIM).eval()
    with torch.no_grad():
        tower.mix.copy_(torch.linspace(-1, 1, len(tower.mix)))
        tower.centre.mean.normal_(std=0.1)
        if tower.readout == "attention":
            tower.query.normal_()
    return tower


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * 0.1 + 0.02).astype(np.float32)


def waves() -> list[np.ndarray]:
    return [noise(n, i) for i, n in enumerate(LENGTHS)]


def real(folder: Path, wave: np.ndarray) -> list[torch.Tensor]:
    """The (T, H) hidden states that transformers gives of a recording of one piece."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(wave, sampling_rate=16_000, return_tensors="pt")
    whisper = model.config.model_type == "whisper"
    with torch.no_grad():
        out = (model.encoder if whisper else model)(values[model.main_input_name], output_hidden_states=True)
    last = -(-len(wave) // 320) if whisper else None
    return [h[0, :last] for h in (*out.hidden_states[:-1], out.last_hidden_state)]


@pytest.fixture(params=FAMILIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, folders: dict[str, Path]) -> Path:
    return folders[kind]


def test_hidden_states_are_those_of_transformers(folder: Path) -> None:
    wave = noise(9_123)
    wanted = real(folder, wave)
    assert len(wanted) == LAYERS + 1
    tower = build(folder)
    found = tower.extract(pad_audio([wave]))
    assert found.values.dtype == torch.float16
    assert found.values.shape == (1, (LAYERS + 1) * H, len(wanted[0]))
    assert tower.channels == (LAYERS + 1) * H
    assert tower.step == 0.02
    assert len(wanted[0]) == pytest.approx(9_123 / 320, abs=1)
    for layer, states in enumerate(wanted):
        assert torch.allclose(found.values[0, layer * H : (layer + 1) * H].T.float(), states, rtol=2e-3, atol=2e-3)
    some = build(folder, layers=(2, 0)).extract(pad_audio([wave])).values
    assert torch.equal(some, torch.cat([found.values[:, 2 * H : 3 * H], found.values[:, :H]], dim=1))


def test_whisper_hears_long_recordings_in_windows(folders: dict[str, Path]) -> None:
    wave = noise(40_000)
    found = build(folders["whisper"]).extract(pad_audio([wave])).values[0].float()
    parts = [real(folders["whisper"], wave[i : i + 16_000]) for i in (0, 16_000, 32_000)]
    wanted = torch.cat([torch.cat(states, dim=1) for states in parts]).T
    assert found.shape == wanted.shape == ((LAYERS + 1) * H, 125)
    assert torch.allclose(found, wanted, rtol=2e-3, atol=2e-3)


@settings(max_examples=4)
@given(samples=st.integers(1, 40_000))
@pytest.mark.parametrize("kind", FAMILIES)
def test_frames_are_known_before_they_are_made(folders: dict[str, Path], kind: str, samples: int) -> None:
    for tune, tower in TOWERS.setdefault(kind, {t: build(folders[kind], tune=t) for t in ("none", "all")}).items():
        made = tower.extract(pad_audio([noise(samples)])).values
        assert made.shape[1:] == (tower.channels, *tower.frames(np.array([samples])))
        assert (made.shape[2] == samples) == (tune == "all" or samples == 1)


TOWERS: dict[str, dict[str, PretrainedTower]] = {}


@torch.no_grad()
@pytest.mark.parametrize(
    ("readout", "tune"), [("mean", "none"), ("cls", "none"), ("attention", "last 1"), ("mean", "all")]
)
def test_padding_never_changes_an_answer(folder: Path, readout: str, tune: str) -> None:
    tower = build(folder, readout=readout, tune=tune)
    samples = pad_audio(waves())
    assert samples.mask is not None
    dirty = Padded(samples.values.masked_fill(~samples.mask, 9.0), samples.mask)  # nobody hears what lies there
    apart = [tower(pad_audio([w]) if i % 2 else Padded(torch.from_numpy(w)[None])) for i, w in enumerate(waves())]
    for found in (tower(samples), tower(tower.extract(samples)), tower(dirty)):
        assert found.local.shape == (len(LENGTHS), found.mask.shape[1], DIM)
        assert found.hidden is not None
        assert found.hidden.shape == (*found.mask.shape, tower.width)
        for i, (wave, alone) in enumerate(zip(waves(), apart, strict=True)):
            n = alone.local.shape[1]
            assert n == (-(-len(wave) // 320) if folder.name == "whisper" else 1 + max(0, len(wave) - 400) // 320)
            assert found.mask[i].tolist() == [True] * n + [False] * (found.mask.shape[1] - n)
            assert torch.allclose(found.local[i, :n], alone.local[0], atol=1e-4)
            assert torch.allclose(found.pooled[i], alone.pooled[0], atol=1e-4)
            assert torch.allclose(found.hidden[i, :n], alone.hidden[0], atol=1e-4)  # type: ignore[index]
            assert not found.local[i, n:].any()


@torch.no_grad()
def test_a_frozen_and_a_tuned_tower_hear_the_same_before_training(folder: Path) -> None:
    frozen, tuned = (build(folder, tune=t) for t in ("none", "last 2"))
    for a, b in zip(frozen(pad_audio(waves())), tuned(pad_audio(waves())), strict=True):
        assert torch.allclose(a.pooled, b.pooled, atol=5e-3)
        assert torch.allclose(a.local, b.local, atol=2e-2)


@torch.no_grad()
@pytest.mark.parametrize("readout", READOUTS)
def test_readouts_by_hand(folders: dict[str, Path], readout: str) -> None:
    tower = build(folders["wavlm"], readout=readout)
    wave = noise(5_000)
    share = [float(np.exp(w) / np.exp(tower.mix.numpy()).sum()) for w in tower.mix.numpy()]
    h = sum(s * states for s, states in zip(share, real(folders["wavlm"], wave)))
    assert isinstance(h, torch.Tensor)
    linear = lambda x: tower.value.weight @ x + tower.value.bias  # noqa: E731
    if readout == "cls":
        out = tower.transformer(torch.cat([tower.cls[None], h])[None])[0]
        local, whole = torch.stack([linear(x) for x in out[1:]]), linear(out[0])
        assert tower.transformer.self_attn.num_heads == 4
        assert tower.transformer.linear1.out_features == 24
        assert tower.transformer.dropout.p == 0.1
    elif readout == "mean":
        local = torch.stack([linear(x) / (1 + torch.exp(-tower.gate(x))) for x in h])
        whole = sum(local)  # type: ignore[assignment]
    else:
        weights = [float(torch.exp(tower.query @ x / H**0.5)) for x in h]
        local = torch.stack([linear(x) * w * len(h) / sum(weights) for w, x in zip(weights, h, strict=True)])
        whole = linear(sum(w / sum(weights) * x for w, x in zip(weights, h, strict=True)))
    found = tower(pad_audio([wave]))
    assert torch.allclose(found.local[0], local, atol=1e-2)
    centred = F.normalize(F.normalize(whole, dim=0) - tower.centre.mean, dim=0)
    assert torch.allclose(found.pooled[0], centred, atol=5e-3)
    if readout != "cls":
        assert torch.allclose(tower.centre(pool(found.local, found.mask)), found.pooled, atol=1e-5)


@pytest.mark.parametrize(
    ("readout", "tune", "learns"), [("cls", "none", ""), ("mean", "last 1", "2"), ("attention", "all", "012c")]
)
def test_what_learns(kind: str, folder: Path, readout: str, tune: str, learns: str) -> None:
    tower = build(folder, readout=readout, tune=tune).train()
    rng = torch.Generator().manual_seed(0)
    f: Features = tower(tower.extract(pad_audio(waves()[1:])))
    (f.pooled * torch.randn(f.pooled.shape, generator=rng)).sum().backward()
    assert tower.mix.grad is not None
    assert (tower.mix.grad != 0).all()
    assert all(p.grad is not None for p in tower.parameters() if p.requires_grad), "DDP would wait for it"
    with_grad = {n for n, p in tower.backbone.named_parameters() if p.grad is not None and p.grad.any()}
    for i in range(LAYERS):
        assert any(f"layers.{i}." in n for n in with_grad) == (str(i) in learns)
    assert any("conv_layers" in n or "conv1" in n for n in with_grad) == ("c" in learns)
    trained = {n for n, p in tower.named_parameters() if p.requires_grad}
    assert any(n.startswith("tuned.") for n in trained) == (tune != "none")
    assert tower.backbone.model.training == (tune == "all")  # no dropout in what is frozen


def test_training_draws_from_torch_s_generator_alone(folder: Path) -> None:
    """A stopped run goes on as it began: neither skipped layers nor NumPy's random masks."""
    tower = build(folder, tune="all", readout="cls").train()
    given = tower.extract(pad_audio(waves()[1:]))
    found = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(7)
        tower.centre.mean.zero_()
        found.append(tower(given).pooled)
    assert torch.equal(*found)
    torch.manual_seed(8)
    assert not torch.equal(tower(given).pooled, found[0])  # dropout does work


def test_bf16(folder: Path) -> None:
    for tune in ("none", "all"):
        tower = build(folder, tune=tune).train()
        with torch.autocast("cpu", torch.bfloat16):
            f: Features = tower(tower.extract(pad_audio(waves())))
        assert f.pooled.dtype == f.local.dtype == torch.float32
        f.pooled[:, 0].sum().backward()
        assert torch.isfinite(tower.mix.grad).all()  # type: ignore[arg-type]


def test_large_values_stay_finite(folders: dict[str, Path]) -> None:
    tower = build(folders["hubert"])
    with torch.no_grad():
        tower.backbone.model.encoder.layer_norm.bias[3] = 1e6
    found = tower.extract(pad_audio([noise(5_000)])).values
    assert torch.isfinite(found).all()
    assert (found[0, 3] == 65504).all()


# Kept ----------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_kept_features_give_the_same_answer(folder: Path, tiny_book: Path, tmp_path: Path) -> None:
    corpus = open_corpus(tiny_book)
    rows = corpus.recordings[:3]
    for tune in ("none", "last 1"):
        tower = build(folder, tune=tune)
        lengths = frames_of(corpus, rows, tower)
        in_memory = log_mels(tower, corpus, rows)
        assert sum(m.nbytes for m in in_memory) / 1e9 == pytest.approx(gigabytes(lengths, tower.channels))
        streamed = StreamedMels(tower, corpus, rows, folder=tmp_path, most=1.0)
        for i, row in enumerate(rows.tolist()):
            fresh = tower(pad_audio([load_audio(corpus.media("audio", row))]))
            for kept in (in_memory[i], streamed[i], streamed[i]):  # made, then read from the file
                assert kept.shape == (tower.channels, lengths[i])
                assert torch.allclose(tower(Padded(kept[None].float())).local, fresh.local, atol=1e-6)


@pytest.mark.parametrize("tune", TUNES)
def test_round_trip(folder: Path, encoder: Path, tmp_path: Path, tune: str) -> None:
    speech = PretrainedTower.Config(name=str(folder), tune=tune, readout="cls")
    teacher = VectorTeacher(encoder=str(encoder), dim=8, vector_width=5, hidden=0)
    model = Model(teacher.build(), speech.build(8)).eval()
    assert model.audio is not None
    with torch.no_grad():
        for p in model.audio.parameters():
            if p.requires_grad:
                p += torch.randn_like(p) * 0.1
    model.save(tmp_path, {c: v.model_dump(mode="json") for c, v in (("teacher", teacher), ("speech", speech))})
    kept = {k.removeprefix("audio.") for k in load_file(tmp_path / "model.safetensors") if k.startswith("audio.")}
    assert {"mix", "cls", "value.weight", "transformer.linear1.weight", "centre.mean"} <= kept
    of_encoder = {k for k in kept if k.startswith("tuned.")}
    block = {n for n, _ in model.audio.backbone.blocks[LAYERS - 1].named_parameters()}
    wanted = {"none": set(), "last 1": {f"tuned.0.{n}" for n in block}}
    if tune != "all":
        assert of_encoder == wanted[tune]
    else:
        assert len(of_encoder) == len(model.audio.backbone.state_dict())
    again = Model.load(tmp_path)
    assert not any(p.requires_grad for p in again.parameters())
    assert torch.allclose(again.embed_audio(waves()).local, model.embed_audio(waves()).local, atol=1e-5)
    assert torch.allclose(again.embed_audio(waves()).pooled, model.embed_audio(waves()).pooled, atol=1e-5)


# Training ------------------------------------------------------------------------------------------------------------


def recipe(speech: dict[str, Any], teacher_run: Path, **change: Any) -> Any:
    values = {
        "name": "heard",
        "threads": 1,
        "teacher_run": str(teacher_run),
        "speech": {"kind": "pretrained", **speech},
        "training": {"epochs": 0.5, "batch_size": 8, "precision": "32", "learning_rate": 0.01},
        **change,
    }
    return check(values, "test")


@pytest.mark.parametrize(
    ("kind", "tune", "in_memory"), [("hubert", "none", 4), ("whisper", "none", 0), ("wav2vec2", "last 2", 0)]
)
def test_a_run(
    folders: dict[str, Path], kind: str, tune: str, in_memory: float, tiny_book: Path, tiny_run: Path, tmp_path: Path
) -> None:
    before = load_file(folders[kind] / "model.safetensors")
    config = recipe(
        {"name": str(folders[kind]), "tune": tune, "readout": "attention"}, tiny_run, data={"in_memory": in_memory}
    )
    run = train(config, tiny_book, tmp_path / "run", progress=False)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "speech.log.jsonl").read_text().splitlines()]
    assert steps[-1] >= 2
    tower = run.model.audio
    assert isinstance(tower, PretrainedTower)
    assert tower.mix.any()
    assert run.model.embed_audio(waves()).pooled.isfinite().all()
    fresh = build(folders[kind])
    changed = [
        n
        for (n, a), b in zip(tower.backbone.blocks.named_parameters(), fresh.backbone.blocks.parameters(), strict=True)
        if not torch.equal(a, b)
    ]
    assert {n.split(".")[0] for n in changed} == (set() if tune == "none" else {"1", "2"})
    after = load_file(folders[kind] / "model.safetensors")
    assert all(torch.equal(v, after[k]) for k, v in before.items())


def test_log_mel_augmentation_is_refused_before_anything_is_made(
    folders: dict[str, Path], tiny_run: Path, tmp_path: Path
) -> None:
    config = recipe({"name": str(folders["hubert"])}, tiny_run, augment={"tilt": 3.0})
    with pytest.raises(UserError, match=r"\[augment\] changes log-mel frames") as e:
        train(config, tmp_path / "no data", tmp_path / "run", progress=False)
    assert "\n" not in str(e.value)
    assert not (tmp_path / "run").exists()


# Refusals ------------------------------------------------------------------------------------------------------------


def refused(name: str | Path, **change: Any) -> str:
    with pytest.raises(UserError) as e:
        PretrainedTower.Config(name=str(name), **change).build(DIM)
    assert e.value.fix
    assert "\n" not in str(e.value)
    return str(e.value)


@pytest.mark.parametrize("name", ["nobody/has-made-this", "facebook/hubert-base-ls960"])
def test_a_hub_name_that_cannot_be_reached(name: str) -> None:
    said = refused(name)
    assert f"model '{name}' cannot be loaded" in said
    assert f"hf download {name} --local-dir FOLDER" in said
    assert "preprocessor_config.json" in said


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert "no such model folder" in refused(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "empty' cannot be loaded" in refused(tmp_path / "empty")


def test_models_of_another_kind(clip: Path) -> None:
    assert "is a clip model" in refused(clip)


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def test_damaged_folders(folder: Path, tmp_path: Path) -> None:
    cut = copied(folder, tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be loaded" in refused(cut)
    unread = copied(folder, tmp_path / "unread")
    (unread / "config.json").write_text("{")
    assert "cannot be loaded" in refused(unread)
    deaf = copied(folder, tmp_path / "deaf")
    (deaf / "preprocessor_config.json").unlink()
    assert "cannot be loaded" in refused(deaf)
    poor = copied(folder, tmp_path / "poor")
    values = load_file(poor / "model.safetensors")
    lost = next(k for k in values if "layers.1." in k and "decoder" not in k)
    save_file({k: v for k, v in values.items() if k != lost}, poor / "model.safetensors", {"format": "pt"})
    assert "its files lack" in refused(poor)
    other = copied(folder, tmp_path / "other")
    save_file({k: v[:1] for k, v in values.items()}, other / "model.safetensors", {"format": "pt"})
    assert "cannot be loaded" in refused(other)


def test_files_of_two_whispers(folders: dict[str, Path], tmp_path: Path) -> None:
    mixed = copied(folders["whisper"], tmp_path / "mixed")
    transformers.WhisperFeatureExtractor(feature_size=10, chunk_length=2).save_pretrained(mixed)
    assert "32000 samples" in refused(mixed)


def test_another_rate(folders: dict[str, Path], tmp_path: Path) -> None:
    slow = copied(folders["hubert"], tmp_path / "slow")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(slow)
    assert "hears 8000 Hz" in refused(slow)


def test_layers_that_are_not_there(folders: dict[str, Path]) -> None:
    assert "has no layer 4" in refused(folders["hubert"], layers=(0, 4))
    assert "of 3 layers" in refused(folders["hubert"], tune="last 4")
    assert "mixed up to layer 1" in refused(folders["hubert"], tune="last 2", layers=(0, 1))
    for wrong in ({"tune": "last"}, {"tune": "last 0"}, {"tune": "some"}, {"layers": ()}, {"layers": (1, 1)}):
        with pytest.raises(ValidationError):
            PretrainedTower.Config(**wrong)  # type: ignore[arg-type]
