"""Regions by CLIP and SigLIP: the maps are those that transformers' own numbers give, laid where the processor cut."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
import transformers
from PIL import Image

from lookhear.data.schema import SCHEMA, Corpus
from lookhear.models.model import Model
from lookhear.models.teacher import ClipTeacher
from lookhear.tasks.base import Encoded
from lookhear.tasks.regions import Regions

WIDTH, HEIGHT = 96, 64


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.random((HEIGHT // 8, WIDTH // 8, 3)) * 255).astype(np.uint8).repeat(8, 0).repeat(8, 1) for _ in "ab"]


def corpus() -> Corpus:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 30:70] = 255
    masks = [{"thing": "dog", "png": png(mask)}, {"thing": "boat", "png": png(255 - mask)}]
    rows = [{"id": str(i), "image": {"path": None, "bytes": png(p)}, "masks": masks} for i, p in enumerate(pictures())]
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), Path("nowhere"))


@torch.no_grad()
def patches(model: Any, kind: str, pixels: torch.Tensor) -> torch.Tensor:
    """(B, 4, 4, D) of unit length, as transformers has them."""
    tokens = model.vision_model(pixel_values=pixels).last_hidden_state
    if kind == "clip":
        tokens = model.visual_projection(model.vision_model.post_layernorm(tokens[:, 1:]))
    return F.normalize(tokens, dim=-1).reshape(len(tokens), 4, 4, -1)


def test_maps_are_transformers_own(kind: str, folder: Path) -> None:
    by = ["dog", "boat"]
    encoded = Encoded(Model(ClipTeacher(name=str(folder)).build().eval(), None), corpus())
    found = list(Regions(words=by).found(encoded))
    assert [(f.row, f.word) for f in found] == [(0, "dog"), (0, "boat"), (1, "dog"), (1, "boat")]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=[Image.fromarray(p) for p in pictures()], return_tensors="pt")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    cells = torch.einsum("brcd,qd->bqrc", patches(model, kind, inputs["pixel_values"]), encoded.words(by))
    # CLIP cuts the middle square out, SigLIP squeezes all of the picture.
    size = {"clip": (HEIGHT, HEIGHT), "siglip": (HEIGHT, WIDTH)}[kind]
    wanted = F.interpolate(cells, size, mode="bilinear", align_corners=False)
    for f in found:
        assert f.window == (slice(0, 64), {"clip": slice(16, 80), "siglip": slice(0, 96)}[kind])
        assert np.allclose(f.values, wanted[f.row, by.index(f.word)].numpy(), atol=1e-4)
    dog = np.zeros((HEIGHT, WIDTH), bool)
    dog[10:30, 30:70] = True
    assert (found[0].mask == dog[found[0].window]).all()
