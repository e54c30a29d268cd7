"""A model's vectors: in order, of any modality, the same after saving and loading."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import torch.nn.functional as F
from PIL import Image

from lookhear.errors import UserError
from lookhear.models.evidence import WordEvidence
from lookhear.models.model import FORMAT, Model, write_atomically
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, VectorTeacher
from lookhear.scoring import Compatibility

SPEECH = LocalTower.Config(width=8, dilations=(1,))


def waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal(n) * 0.1).astype(np.float32) for n in (9000, 3000, 16000, 5000)]


def build(teacher: Any, speech: Any = SPEECH) -> tuple[Model, dict[str, Any]]:
    torch.manual_seed(0)
    built = teacher.build()
    model = Model(built, speech.build(built.dim) if speech else None, Compatibility(kind="max", smooth=0.12)).eval()
    return model, {
        "teacher": teacher.model_dump(mode="json"),
        "speech": speech.model_dump(mode="json") if speech else None,
    }


def embedded(encoder: Path, speech: Any = SPEECH) -> tuple[Model, dict[str, Any]]:
    return build(EmbeddedTeacher(encoder=str(encoder), dim=8, size=32, width=4), speech)


@pytest.mark.parametrize("speech", [SPEECH, SeedTower.Config(width=8, layers=1, positions=True), None])
def test_round_trip(encoder: Path, tmp_path: Path, speech: Any) -> None:
    model, configs = embedded(encoder, speech)
    if speech == SPEECH:
        model.evidence = WordEvidence(["dog", "naïve"], model.dim, 0.5)
        model.evidence.words.copy_(F.normalize(torch.randn(2, model.dim), dim=-1))
        model.evidence.learn(torch.rand(20, 2, generator=torch.Generator().manual_seed(0)))
    picture = Image.new("RGB", (40, 30), "red")
    model.save(tmp_path, configs)
    again = Model.load(tmp_path)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())
    assert again.compatibility == model.compatibility
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())
    assert torch.allclose(again.embed_images([picture]).local, model.embed_images([picture]).local, atol=1e-6)
    assert torch.allclose(again.embed_texts(["a dog"]).pooled, model.embed_texts(["a dog"]).pooled, atol=1e-6)
    if speech:
        assert again.step == model.step
        # Where a weight lies in memory may choose another kernel, which rounds another way.
        heard = model.embed_audio(waves())
        assert torch.allclose(again.embed_audio(waves()).local, heard.local, atol=1e-6)
        assert torch.allclose(again.embed_audio(waves()).pooled, heard.pooled, atol=1e-6)


def test_round_trip_leaves_pretrained_weights_out(clip: Path, tmp_path: Path) -> None:
    model, configs = build(ClipTeacher(name=str(clip)))
    model.save(tmp_path, configs)
    from safetensors.torch import load_file

    assert not [k for k in load_file(tmp_path / "model.safetensors") if k.startswith("teacher.")]
    again = Model.load(tmp_path)
    assert torch.allclose(again.embed_texts(["boat"]).pooled, model.embed_texts(["boat"]).pooled, atol=1e-6)
    assert torch.allclose(again.embed_audio(waves()).pooled, model.embed_audio(waves()).pooled, atol=1e-6)


def test_statistics_of_normalisation_are_kept(encoder: Path, tmp_path: Path) -> None:
    model, configs = embedded(encoder)
    model.audio.norms[0].mean.fill_(3.0)  # type: ignore[union-attr]
    model.save(tmp_path, configs)
    assert Model.load(tmp_path).audio.norms[0].mean.tolist() == [3.0] * 8  # type: ignore[union-attr]


def test_order_and_batches_change_nothing(encoder: Path) -> None:
    model, _ = embedded(encoder)
    together = model.embed_audio(waves(), batch_size=3)
    assert together.mask.sum(1).tolist() == [-(-(1 + len(w) // 160) // 4) for w in waves()]
    for i, wave in enumerate(waves()):
        assert torch.allclose(together.pooled[i], model.embed_audio([wave]).pooled[0], atol=1e-5)
    texts = ["boat", "a red dog", "boat", "a", "the sea"]
    found = model.embed_texts(texts, batch_size=2)
    for i, text in enumerate(texts):
        assert torch.allclose(found.pooled[i], model.embed_texts([text]).pooled[0], atol=1e-5)
    colours = [Image.new("RGB", (32, 32), c) for c in ("red", "blue", "white")]
    found = model.embed_images(colours, batch_size=2)
    for i, colour in enumerate(colours):
        assert torch.allclose(found.pooled[i], model.embed_images([colour]).pooled[0], atol=1e-5)


def test_embedding_while_training_uses_and_changes_no_batch_statistics(encoder: Path) -> None:
    model, _ = embedded(encoder)
    quiet = model.embed_audio(waves()).pooled
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    assert torch.equal(model.embed_audio(waves()).pooled, quiet)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_frozen_teacher_stays_in_eval_mode_when_a_model_that_trains_embeds(encoder: Path) -> None:
    model, _ = embedded(encoder)
    model.train()
    model.teacher.eval()
    model.embed_texts(["a boat"])
    assert model.training
    assert not any(part.training for part in model.teacher.modules())


def test_embed_tells_modalities_apart(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = embedded(encoder)
    sound, odd, picture = tmp_path / "a.wav", tmp_path / "sound.take1", tmp_path / "p.png"
    sf.write(sound, waves()[0], 16000, subtype="FLOAT")
    odd.write_bytes(sound.read_bytes())
    Image.new("RGB", (40, 40), "red").save(picture)
    heard, seen = model.embed_audio(waves()[:1]).pooled, model.embed_images([Image.open(picture)]).pooled
    for thing in (sound, str(sound), odd, waves()[0]):
        assert torch.allclose(model.embed([thing]).pooled, heard, atol=1e-6)
    for thing in (picture, str(picture), Image.open(picture)):
        assert torch.allclose(model.embed([thing]).pooled, seen, atol=1e-6)
    assert torch.equal(model.embed(["a dog", "sea"]).pooled, model.embed_texts(["a dog", "sea"]).pooled)
    for things, said in (
        ([sound, "a dog"], "audio, text"),
        ([picture, sound], "audio, image"),
        ([], "nothing"),
        ([3], "int"),
        ([tmp_path / "gone.wav"], "gone.wav"),
        ([tmp_path / "gone.png"], "gone.png"),
    ):
        with pytest.raises(UserError, match=said):
            model.embed(things)


def test_models_of_vectors(encoder: Path) -> None:
    model, _ = build(VectorTeacher(encoder=str(encoder), dim=8, vector_width=5))
    found = model.embed_vectors(np.eye(5))
    assert found.pooled.shape == (5, 8)
    with pytest.raises(UserError, match="vectors computed elsewhere"):
        model.embed_images([Image.new("RGB", (8, 8))])
    with pytest.raises(UserError, match=r"width 4\. This model takes 5"):
        model.embed_vectors(np.ones((2, 4), np.float32))
    seeing, _ = embedded(encoder, None)
    with pytest.raises(UserError, match="not at vectors"):
        seeing.embed_vectors(np.eye(5))
    with pytest.raises(UserError, match="no speech tower"):
        seeing.embed_audio(waves())


def damage(folder: Path, how: str) -> None:
    weights, path = folder / "model.safetensors", folder / "model.json"
    description = json.loads(path.read_text())
    if how == "format":
        path.write_text(json.dumps({**description, "format": FORMAT + 1, "lookhear": "9.9"}))
    elif how == "unknown key":
        path.write_text(json.dumps({**description, "speech": {**description["speech"], "depth": 3}}))
    elif how == "lacking key":
        path.write_text(json.dumps({k: v for k, v in description.items() if k != "teacher"}))
    elif how == "not JSON":
        path.write_text("{")
    elif how == "not an object":
        path.write_text("[1]")
    elif how == "no JSON":
        path.unlink()
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "no weights":
        weights.unlink()
    elif how == "other width":
        path.write_text(json.dumps({**description, "speech": {**description["speech"], "width": 16}}))
    else:
        path.write_text(json.dumps({**description, "speech": {**description["speech"], "dilations": [1, 1]}}))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("format", f"format {FORMAT + 1}, this LookHear reads format {FORMAT}. Use LookHear 9.9"),
        ("unknown key", "model.json"),
        ("lacking key", "model.json.*'teacher'"),
        ("not JSON", "model.json: damaged"),
        ("not an object", "model.json: damaged"),
        ("no JSON", "no trained model"),
        ("cut", "model.safetensors: damaged"),
        ("no weights", "model.safetensors: damaged"),
        ("other width", "model.safetensors"),
        ("other depth", "does not fit model.json"),
    ],
)
def test_damaged_runs_are_named(encoder: Path, tmp_path: Path, how: str, said: str) -> None:
    model, configs = embedded(encoder)
    model.save(tmp_path, configs)
    damage(tmp_path, how)
    with pytest.raises(UserError, match=said) as e:
        Model.load(tmp_path)
    assert e.value.fix
    assert "\n" not in str(e.value)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["weights"]
    assert path.read_bytes() == b"old"
