"""Hand-made corpora and a model whose vectors are what the test says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Features
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.scoring import Compatibility


class FakeModel:
    """Reads text vectors from a table; hears the mean and sees the mean colour; counts how often it is asked."""

    def __init__(self, vectors=None, dim=4, smooth=0.0):
        self.compatibility = Compatibility(kind="sum", smooth=smooth)
        self.vectors, self.dim, self.texts = vectors or {}, dim, []
        self.calls = {"audio": 0, "images": 0, "vectors": 0}

    def embed_texts(self, texts):
        self.texts += texts
        if unknown := [t for t in texts if t not in self.vectors]:
            raise UserError(f"the text encoder knows no piece of {unknown[0]!r}", "Use another.")
        return Features.of_pooled(torch.stack([torch.as_tensor(self.vectors[t], dtype=torch.float32) for t in texts]))

    def contrast(self, pooled):
        return torch.ones(len(pooled))

    def embed_audio(self, waves, progress=False):
        self.calls["audio"] += 1
        longest = max(len(w) for w in waves) // 160
        local, mask = torch.zeros(len(waves), longest, self.dim), torch.zeros(len(waves), longest, dtype=torch.bool)
        for i, w in enumerate(waves):
            n = len(w) // 160
            local[i, :n], mask[i, :n] = float(np.abs(w).max()), True
        return Features(F.normalize(local.sum(1), dim=-1), local, mask, 0.01)

    def embed_images(self, images):
        self.calls["images"] += 1
        return Features.of_pooled(
            torch.stack([torch.tensor([np.asarray(i).mean() / 255] * self.dim) for i in images]).float()
        )

    def embed_vectors(self, vectors):
        self.calls["vectors"] += 1
        return Features.of_pooled(torch.from_numpy(vectors))


@pytest.fixture
def fake():
    return FakeModel


@pytest.fixture
def corpus_of():
    """Rows as dicts → a corpus; ``audio=True`` and ``image="name"`` stand for media that are never opened."""

    def make(rows, meta=None, name="tiny", root=Path("nowhere")):
        filled = []
        for i, row in enumerate(rows):
            row = {"id": f"r{i}", "split": "test", **row}
            if row.get("audio") is True:
                row["audio"] = {"path": f"{i}.wav", "bytes": None}
            if isinstance(row.get("image"), str):
                row["image"] = {"path": row["image"], "bytes": None}
            filled.append(row)
        extra = sorted({k for row in filled for k in row} - set(SCHEMA.names))
        table = pa.Table.from_pylist(filled, schema=SCHEMA)
        for column in extra:
            table = table.append_column(column, pa.array([row.get(column) for row in filled]))
        return Corpus(table, root, name, meta or {})

    return make


@pytest.fixture
def unit():
    """Random unit vectors as features: (count, dim, seed)."""

    def make(count, dim=8, seed=0):
        vectors = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
        return Features.of_pooled(F.normalize(vectors, dim=-1))

    return make
