"""ONNX files answer as the towers do, whatever the length of an item and whatever lies beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lookhear.audio import pad_audio
from lookhear.core import lengths_to_mask
from lookhear.errors import UserError
from lookhear.exports.graphs import SpeechGraph
from lookhear.exports.onnx import export_onnx, largest_difference
from lookhear.models.heads import TagHead
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.models.speech import LocalTower
from lookhear.models.teacher import Teacher
from lookhear.models.towers import SpeechTowerConfig
from lookhear.scoring import Compatibility

ort = pytest.importorskip("onnxruntime", reason="needs the 'onnx' extra")
pytest.importorskip("onnxscript", reason="needs the 'onnx' extra")
pytest.importorskip("transformers", reason="needs the 'text' extra")

ENOUGH = 1e-5


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "files"
    found = export_onnx(tiny_run, out)
    assert set(found) == {"speech", "image", "text"}
    assert max(found.values()) < ENOUGH
    return out


def session(folder: Path, tower: str) -> Any:
    return ort.InferenceSession(str(folder / f"{tower}.onnx"), providers=["CPUExecutionProvider"])


def noise(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.random(samples // 800 + 1) < 0.6, 800)[:samples]
    return (rng.standard_normal(samples) * np.where(loud, 0.1, 0.004)).astype(np.float32)


def heard(files: Any, waves: list[np.ndarray]) -> list[np.ndarray]:
    x = pad_audio(waves)
    assert x.mask is not None
    return list(files.run(None, {"samples": x.values.numpy(), "mask": x.mask.numpy()}))


def test_speech_of_any_length_alone_and_beside_others(exported: Path, tiny_model: Model) -> None:
    files = session(exported, "speech")
    waves = [noise(n, n) for n in (700, 5000, 16_001, 48_000, 260_000)]
    pooled, local, mask = heard(files, waves)
    wanted = tiny_model.embed_audio(waves)
    assert np.array_equal(mask, wanted.mask.numpy())
    np.testing.assert_allclose(pooled, wanted.pooled.numpy(), atol=ENOUGH)
    np.testing.assert_allclose(local, wanted.local.numpy(), atol=ENOUGH)
    for row, wave in enumerate(waves):
        one, frames, _ = heard(files, [wave])
        np.testing.assert_allclose(one[0], pooled[row], atol=ENOUGH)
        np.testing.assert_allclose(frames[0], local[row, : frames.shape[1]], atol=ENOUGH)


def test_pictures(exported: Path, tiny_model: Model) -> None:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)) for _ in range(3)]
    wanted: Any = tiny_model.image
    pooled, local, mask = session(exported, "image").run(None, {"pixels": wanted.prepare(pictures).values.numpy()})
    features = tiny_model.embed_images(pictures)
    np.testing.assert_allclose(pooled, features.pooled.numpy(), atol=ENOUGH)
    np.testing.assert_allclose(local, features.local.numpy(), atol=ENOUGH)
    assert mask.all()
    assert mask.shape == (3, 16)


def test_texts_by_the_tokenizer_beside_the_file(exported: Path, tiny_model: Model) -> None:
    from transformers import AutoTokenizer

    about = json.loads((exported / "onnx.json").read_text())["towers"]["text"]
    read = AutoTokenizer.from_pretrained(exported / about["tokenizer"])
    texts = ["a red boat", "snow", "the dog and the umbrella on the beach at night"]
    given = read(texts, padding=True, truncation=True, max_length=about["max_length"], return_tensors="np")
    asked = {name: given[name].astype(np.int64) for name in about["inputs"]}
    pooled, local, mask = session(exported, "text").run(None, asked)
    for row, text in enumerate(texts):
        wanted = tiny_model.embed_texts([text])
        np.testing.assert_allclose(pooled[row], wanted.pooled[0].numpy(), atol=ENOUGH)
        np.testing.assert_allclose(local[row][mask[row]], wanted.local[0].numpy(), atol=ENOUGH)


def test_what_the_files_are_told_of(exported: Path, tiny_model: Model) -> None:
    told = json.loads((exported / "onnx.json").read_text())
    assert told["dim"] == tiny_model.dim
    speech = told["towers"]["speech"]
    assert (speech["rate"], speech["step"]) == (16_000, tiny_model.step)
    assert speech["outputs"] == ["pooled", "local", "local_mask"]
    assert told["towers"]["image"]["size"] == 32
    for tower in told["towers"].values():
        assert [i.name for i in ort.InferenceSession(str(exported / tower["file"])).get_inputs()] == tower["inputs"]


class _Texts(torch.nn.Module):
    """A text tower that nobody asks."""


def untrained(speech: SpeechTowerConfig, head: TagHead.Config | None = None) -> Model:
    """A model whose tower has random weights, and gates that are all but closed in some frames."""
    torch.manual_seed(0)
    model = Model(Teacher(VectorTower(6, 8), _Texts(), 8), speech.build(8), Compatibility())
    if head is not None:
        assert model.audio is not None
        model.head = TagHead(head, model.audio.width, ["dog", "boat", "snow"])
    return model.eval().requires_grad_(False)


def test_words_heard_by_a_head_and_given_vectors(tmp_path: Path) -> None:
    """With gates all but closed: onnxruntime's own sigmoid is right to 1e-7 of one and not of its value, so that such
    frames' vectors were turned about."""
    model = untrained(LocalTower.Config(width=8, dilations=(1,)), TagHead.Config(reading="max"))
    assert isinstance(model.audio, LocalTower)
    model.audio.gate.bias.fill_(-17.0)
    found = export_onnx(model, tmp_path / "out", ["speech", "image"])
    assert max(found.values()) < ENOUGH
    told = json.loads((tmp_path / "out" / "onnx.json").read_text())["towers"]
    assert told["speech"]["outputs"] == ["pooled", "local", "local_mask", "tags", "tag_curve"]
    assert told["speech"]["tags"] == ["dog", "boat", "snow"]
    assert told["image"]["inputs"] == ["vectors"]
    waves = [noise(20_000), noise(9000, 1)]
    pooled, local, mask, tags, curve = heard(session(tmp_path / "out", "speech"), waves)
    wanted = model.embed_audio(waves)
    assert wanted.tags is not None
    np.testing.assert_allclose(pooled, wanted.pooled.numpy(), atol=1e-4)
    np.testing.assert_allclose(tags, wanted.tags.numpy(), atol=ENOUGH)
    assert np.isneginf(curve[~mask]).all()
    one, other = local[mask], wanted.local[wanted.mask].numpy()
    assert 0 < np.abs(other).max() < 1e-6
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-4)


def test_a_file_that_answers_otherwise_is_noticed(exported: Path, tiny_run: Path, tiny_model: Model) -> None:
    other = Model.load(tiny_run)
    assert isinstance(other.audio, LocalTower)
    other.audio.value.weight.mul_(1.5)
    assert largest_difference(SpeechGraph(tiny_model).eval(), exported / "speech.onnx") < ENOUGH
    assert largest_difference(SpeechGraph(other).eval(), exported / "speech.onnx") > 1e-3


def test_nothing_is_left_where_the_answers_differ(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookhear.exports.onnx.TOLERANCE", -1.0)
    with pytest.raises(UserError, match="image tower's ONNX file differs from the tower by"):
        export_onnx(tiny_run, tmp_path / "out", ["image"])
    assert list(tmp_path.iterdir()) == []


def test_towers_that_are_no_graph_are_refused_in_a_line(tmp_path: Path) -> None:
    from lookhear.models.pretrained import PretrainedTower

    model = untrained(LocalTower.Config(width=8, dilations=(1,)))
    model.audio = PretrainedTower.__new__(PretrainedTower)
    torch.nn.Module.__init__(model.audio)
    with pytest.raises(UserError, match="a pretrained speech tower is no one graph"):
        export_onnx(model, tmp_path / "out", ["speech"])
    model.audio = None
    with pytest.raises(UserError, match="no speech tower"):
        export_onnx(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


class _Branching(LocalTower):
    """Goes two ways by what it hears, which no graph can."""

    def encode(self, mel: Any) -> Any:
        if mel.values.sum() > 0:
            mel.values.mul_(2)
        return super().encode(mel)


def test_a_tower_without_a_graph(tmp_path: Path) -> None:
    model = untrained(LocalTower.Config(width=8, dilations=(1,)))
    model.audio = _Branching(LocalTower.Config(width=8, dilations=(1,)), 8).eval()
    with pytest.raises(UserError, match=r"^the speech tower has no ONNX graph \(.+\)\. Name the other"):
        export_onnx(model, tmp_path / "out", ["speech"])
    assert list(tmp_path.iterdir()) == []


def test_as_a_person_types_it(lookhear: Any, tiny_run: Path, tmp_path: Path) -> None:
    answer = lookhear("export", tiny_run, "--onnx", tmp_path / "out", "--tower", "image")
    assert answer.code == 0, answer
    assert answer.out == f"{tmp_path / 'out'}\n"
    assert "image: its numbers differ" in answer.err
    assert "is not empty" in lookhear("export", tiny_run, "--onnx", tmp_path / "out").complaint
    assert (
        "did you mean 'speech'" in lookhear("export", tiny_run, "--onnx", tmp_path / "x", "--tower", "spech").complaint
    )
    assert "0 things to write" in lookhear("export", tiny_run).complaint
    assert (
        "--tower says nothing of --card"
        in lookhear("export", tiny_run, "--card", tmp_path / "c", "--tower", "image").complaint
    )
    assert "no trained model" in lookhear("export", tmp_path, "--onnx", tmp_path / "y").complaint


@pytest.mark.slow
@pytest.mark.parametrize(
    "speech",
    [
        {"kind": "seed", "width": 16, "layers": 1, "heads": 2, "positions": True},
        {"kind": "seed", "width": 16, "layers": 1, "heads": 2, "readout": "mean"},
        {"kind": "cnn_attend", "width": 8, "hidden": 12},
        {"kind": "cnn_pool", "widths": [4, 8, 12]},
        {"kind": "psc", "width": 8},
        {"kind": "davenet", "widths": [4, 4, 6, 6, 8]},
        {"kind": "resdavenet", "widths": [4, 4, 6, 6, 8]},
    ],
    ids=lambda speech: str(speech["kind"]),
)
def test_every_convolutional_tower(speech: dict[str, Any], tmp_path: Path) -> None:
    from pydantic import TypeAdapter

    model = untrained(TypeAdapter(SpeechTowerConfig).validate_python(speech))
    assert export_onnx(model, tmp_path / "out", ["speech"])["speech"] < ENOUGH
    waves = [noise(n, n) for n in (3000, 50_000, 130_000)]
    pooled, _, mask = heard(session(tmp_path / "out", "speech"), waves)
    wanted = model.embed_audio(waves)
    assert torch.equal(torch.from_numpy(mask), lengths_to_mask(wanted.mask.sum(1), mask.shape[1]))
    np.testing.assert_allclose(pooled, wanted.pooled.numpy(), atol=1e-4)
