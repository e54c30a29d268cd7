"""What the teacher makes of the pictures of a corpus, computed once before speech is trained."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Features, Padded
from lookhear.data.cache import cache_folder
from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model

__all__ = ["look", "no_patches", "picture_patches", "picture_tensor", "picture_vectors"]

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

    What it makes of a picture is kept in the cache folder, by the tower's weights, the words and the picture, and read
    from there when the same is asked again: by a run that goes on, or by another with the same teacher.

    Args:
        words: (Q, D) unit vectors.

    Returns:
        (pictures, D) unit vectors, and (pictures, Q) how well each word meets each picture: by its best patch, or by
        the whole where there are no patches. Q is 0 without words.
    """
    tower = model.teacher.lesson or model.image
    words = torch.empty(0, model.dim) if words is None else words
    if isinstance(tower, VectorTower):  # a map of vectors is sooner made than read
        return _looked(model, tower, corpus, rows, words)
    kept = _Kept(model, tower, words)
    keys = [_key(corpus, row) for row in rows.tolist()]
    new = np.array([i for i, key in enumerate(keys) if key not in kept.rows], dtype=np.int64)
    if len(new):
        kept.add([keys[i] for i in new], *_looked(model, tower, corpus, rows[new], words))
    return kept.get(keys)


def no_patches() -> UserError:
    """What is wrong where an objective looks at patches and the teacher is given vectors."""
    return UserError(
        "an objective needs the patches of pictures, and this teacher's pictures are vectors computed elsewhere",
        "Choose a teacher that looks at pictures, or another objective.",
    )


def picture_patches(model: Model, corpus: Corpus, rows: NDArray[np.int64]) -> Features:
    """The same tower's local vectors: Features of the given rows with ``local`` (pictures, P, D) in half precision.

    They are not kept in the cache folder: a picture has as many as it has patches.

    Raises:
        UserError: the tower is given vectors, which have no patches.
    """
    tower = model.teacher.lesson or model.image
    if isinstance(tower, VectorTower):
        raise no_patches()
    with torch.inference_mode():
        parts = [replace(f, local=f.local.half(), hidden=None) for f in _features(tower, corpus, rows)]
    return Features.concat(parts).clone()


def _looked(model: Model, tower: Any, corpus: Corpus, rows: NDArray[np.int64], words: Tensor) -> tuple[Tensor, Tensor]:
    pooled, met = [], []
    with torch.inference_mode():
        for f in _features(tower, corpus, rows):
            pooled.append(f.pooled)
            met.append(model.compatibility.peak(f, words) if len(words) else torch.empty(len(f.pooled), 0))
    return torch.cat(pooled).clone(), torch.cat(met).clone()


def _features(tower: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Iterator[Features]:
    for i in range(0, len(rows), AT_ONCE):
        part = rows[i : i + AT_ONCE]
        if isinstance(tower, VectorTower):
            yield tower(Padded(torch.from_numpy(picture_vectors(corpus, part))))
        else:
            yield tower(Padded(picture_tensor(corpus, part, tower).float() / 255))


def _key(corpus: Corpus, row: int) -> bytes:
    """What tells a picture from every other: its bytes, or its file and when that was last changed."""
    media = corpus.media("image", row)
    if isinstance(media, Path):
        about = media.stat()
        media = repr((str(media.resolve()), about.st_size, about.st_mtime_ns)).encode()
    return hashlib.blake2b(media, digest_size=16).digest()


class _Kept:
    """What one image tower made of pictures, under certain words; one file in the cache folder.

    A file that cannot be read counts as none, and one that cannot be written is left out: all of it can be made again.
    """

    def __init__(self, model: Model, tower: torch.nn.Module, words: Tensor) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        h = hashlib.blake2b(model.compatibility.model_dump_json().encode(), digest_size=16)
        for name, value in [("words", words), *tower.state_dict().items()]:
            h.update(repr((name, tuple(value.shape), value.dtype)).encode())
            h.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        self.path = cache_folder() / "pictures" / f"{h.hexdigest()}.safetensors"
        self.pooled, self.met = torch.empty(0, model.dim), torch.empty(0, len(words))
        self.rows: dict[bytes, int] = {}
        try:
            found = load_file(self.path)
            keys = [key.tobytes() for key in found["keys"].numpy()]
            if len(keys) == len(found["pooled"]) == len(found["met"]):
                self.pooled, self.met, self.rows = found["pooled"], found["met"], {k: i for i, k in enumerate(keys)}
        except (OSError, SafetensorError, KeyError):
            pass

    def add(self, keys: list[bytes], pooled: Tensor, met: Tensor) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        self.rows |= {key: len(self.pooled) + i for i, key in enumerate(keys)}
        self.pooled, self.met = torch.cat([self.pooled, pooled]), torch.cat([self.met, met])
        order = sorted(self.rows, key=self.rows.__getitem__)
        chosen = torch.tensor([self.rows[key] for key in order])  # the same picture twice is kept once
        self.rows = {key: i for i, key in enumerate(order)}
        self.pooled, self.met = self.pooled[chosen], self.met[chosen]
        table = {
            "keys": torch.from_numpy(np.frombuffer(b"".join(order), dtype=np.uint8).reshape(-1, 16).copy()),
            "pooled": self.pooled,
            "met": self.met,
        }
        part = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(table, part)
            part.replace(self.path)
        except (OSError, SafetensorError):
            with contextlib.suppress(OSError):
                part.unlink()

    def get(self, keys: list[bytes]) -> tuple[Tensor, Tensor]:
        rows = torch.tensor([self.rows[key] for key in keys], dtype=torch.long)
        return self.pooled[rows], self.met[rows]
