"""CLIP, SigLIP and ensembles as ONNX files: what a pretrained teacher says of pictures and of token ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookhear.exports.onnx import export_onnx
from lookhear.models.ensemble import EnsembleTeacher
from lookhear.models.model import Model
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, Teacher

ort = pytest.importorskip("onnxruntime", reason="needs the 'onnx' extra")
pytest.importorskip("onnxscript", reason="needs the 'onnx' extra")


def ensemble(encoder: Path, tmp_path: Path) -> Teacher:
    config, runs = EmbeddedTeacher(encoder=str(encoder), dim=8, size=16, width=4), []
    for number in range(2):
        run = tmp_path / f"run-{number}"
        Model(config.build(), None).save(run, {"teacher": config.model_dump(mode="json"), "speech": None})
        runs.append(str(run))
    return EnsembleTeacher(runs=tuple(runs)).build()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clip", "siglip", "ensemble"])
def test_texts_and_pictures(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if name == "ensemble":
        teacher = ensemble(request.getfixturevalue("encoder"), tmp_path)
    else:
        teacher = ClipTeacher(name=str(request.getfixturevalue(name))).build()
    model = Model(teacher.eval(), None).eval().requires_grad_(False)
    found = export_onnx(model, tmp_path / "out", ["image", "text"])
    assert max(found.values()) < 1e-5
    about = json.loads((tmp_path / "out" / "onnx.json").read_text())["towers"]["text"]
    assert about["padding"] == ("max_length" if name == "siglip" else "longest")
    texts = ["a red boat on the sea", "dog"]
    read: Any = model.text
    tokens = read.tokenize(texts)
    given = {"input_ids": tokens.values.numpy(), "attention_mask": tokens.mask.long().numpy()}
    pooled, _, mask = ort.InferenceSession(str(tmp_path / "out" / "text.onnx")).run(None, given)
    np.testing.assert_allclose(pooled, model.embed_texts(texts).pooled.numpy(), atol=1e-5)
    assert np.array_equal(mask, tokens.mask.numpy())
