"""What the teacher makes of the pictures of a corpus, computed once before speech is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Features, Padded
from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model

__all__ = ["look", "picture_tensor", "picture_vectors"]

AT_ONCE = 256


def picture_tensor(corpus: Corpus, rows: NDArray[np.int64], tower: Any) -> Tensor:
    """(pictures, 3, H, W) uint8 of the given rows, cut and scaled as the image tower asks."""
    ids = corpus.column("id")
    out = torch.empty(len(rows), 3, tower.size, tower.size, dtype=torch.uint8)
    for i, row in enumerate(rows.tolist()):
        image = load_image(corpus.media("image", row), name=f"picture {ids[row]}")
        out[i] = (tower.prepare([image]).values[0] * 255).round().to(torch.uint8)
    return out


def picture_vectors(corpus: Corpus, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(pictures, V) vectors computed elsewhere, of the given rows.

    Raises:
        UserError: a row without one.
    """
    cells = [corpus.table["vector"][int(i)].as_py() for i in rows]
    if any(c is None for c in cells):
        raise UserError(f"{corpus.name}: pictures without vectors", "This teacher reads vectors: name them.")
    return np.array(cells, dtype=np.float32)


def look(model: Model, corpus: Corpus, rows: NDArray[np.int64], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The frozen image tower that speech learns from over the given rows, a few hundred at a time.

    Args:
        words: (Q, D) unit vectors.

    Returns:
        (pictures, D) unit vectors, and (pictures, Q) how well each word meets each picture: by its best patch, or by
        the whole where there are no patches. Q is 0 without words.
    """
    pooled, met = [], []
    with torch.inference_mode():
        for f in _features(model, corpus, rows):
            pooled.append(f.pooled)
            if words is not None:
                met.append(model.compatibility.peak(f, words))
    return torch.cat(pooled).clone(), torch.cat(met).clone() if met else torch.empty(len(rows), 0)


def _features(model: Model, corpus: Corpus, rows: NDArray[np.int64]) -> Iterator[Features]:
    tower = model.teacher.lesson or model.image
    for i in range(0, len(rows), AT_ONCE):
        part = rows[i : i + AT_ONCE]
        if isinstance(tower, VectorTower):
            yield tower(Padded(torch.from_numpy(picture_vectors(corpus, part))))
        else:
            yield tower(Padded(picture_tensor(corpus, part, tower).float() / 255))
