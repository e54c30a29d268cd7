"""Language-guided sampling: an item's partner is one of those whose texts, or pictures, mean nearly the same."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from lookhear.about import About
from lookhear.core import Features, bf16_pays
from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.texts import TextTower
from lookhear.partners.base import Partners, PartnerSection

__all__ = ["LanguagePartners", "nearest"]

AT_ONCE = 1024
"""Rows of the matrix of similarities that are looked at together."""


class LanguagePartners(PartnerSection):
    """Nearest neighbours by what is written of items (El Banani et al., 2023, section 3.1; there the one nearest).

    Text chooses who goes with whom, and no gradient runs through it. Pairs would be learned by heart were they fixed,
    so a partner is drawn among the ``top`` with probability ∝ exp(similarity / ``temperature``). Items of one group
    (other captions of the same picture) are no partners. One without a neighbour is its own partner.

    Attributes:
        by: "sentence", vectors of the sentence encoder for the texts of an item or, where it has none, of its group;
            "text", the teacher's text tower for the same; "picture", the teacher's vectors for the pictures of its
            group, where nothing is written.
        least: cosine below which two items are no partners.
    """

    about: ClassVar[About] = About(
        name="language-guided-sampling",
        title="partners that mean the same",
        kind="pairs",
        family="instance contrast",
        paper="El Banani, Desai, Johnson, 2023, Learning Visual Representations via Language-Guided Sampling, CVPR",
        inputs=("audio", "image", "text"),
        recipe="picturebook-partners",
        negatives=True,
        second_modality=True,
        augmentation=True,
    )

    kind: Literal["language"] = "language"
    by: Literal["sentence", "text", "picture"] = "sentence"
    top: int = Field(4, ge=1)
    least: float = Field(0.0, ge=-1, le=1)
    temperature: float = Field(0.1, gt=0)

    def find(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Partners:
        """See the class.

        Raises:
            UserError: items without a text or picture, or fewer of them than two groups.
        """
        vectors = _pictures(model, corpus, rows) if self.by == "picture" else self._texts(model, corpus, rows)
        found, scores = nearest(vectors, corpus.groups[rows], self.top)
        near = np.isfinite(scores) & (scores >= self.least)
        if not near.any():
            raise UserError(
                f"partners: no two items of different groups have a similarity of {self.least}", "Lower partners.least."
            )
        weights = np.where(near, np.exp((np.where(near, scores, 0) - 1) / self.temperature), 0.0)
        alone = ~near.any(1)
        found[alone, 0], weights[alone, 0] = np.flatnonzero(alone), 1.0
        return Partners(found, weights)

    def _texts(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Tensor:
        column, by_group = corpus.column("text"), defaultdict[int, list[str]](list)
        for row in corpus.texts.tolist():
            by_group[int(corpus.groups[row])].append(column[row])
        said = [[column[r]] if column[r] else by_group[int(corpus.groups[r])] for r in rows.tolist()]
        _complete(corpus, rows, [bool(s) for s in said], "text")
        texts = sorted({t for s in said for t in s})
        if self.by == "sentence":
            if not isinstance(model.text, TextTower):
                raise UserError(
                    "partners: by = 'sentence' asks the sentence encoder of a teacher of our own", "Set by = 'text'."
                )
            given = model.text.encoder.vectors(texts, bf16=bf16_pays("cpu"))
        else:
            given = model.embed_texts(texts).pooled
        place = {t: i for i, t in enumerate(texts)}
        return torch.stack([F.normalize(given[[place[t] for t in s]].float().mean(0), dim=-1) for s in said])


def nearest(vectors: Tensor, groups: NDArray[np.int64], top: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N, D) unit vectors and their groups → the ``top`` nearest of other groups, and their cosines, nearest first.

    Where there are fewer, the cosine is −inf.
    """
    n, group = len(vectors), torch.from_numpy(groups)
    top = min(top, n)
    rows, scores = np.empty((n, top), dtype=np.int64), np.empty((n, top))
    for i in range(0, n, AT_ONCE):
        near = vectors[i : i + AT_ONCE] @ vectors.T
        near.masked_fill_(group[i : i + AT_ONCE, None] == group[None], float("-inf"))
        best = near.topk(top, dim=1)
        rows[i : i + AT_ONCE], scores[i : i + AT_ONCE] = best.indices.numpy(), best.values.numpy()
    return rows, scores


def _pictures(model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Tensor:
    """(N, D) unit vectors of the first picture of each item's group."""
    first: dict[int, int] = {}
    for row in corpus.pictures.tolist():
        first.setdefault(int(corpus.groups[row]), row)
    shown = [first.get(int(corpus.groups[r]), -1) for r in rows.tolist()]
    _complete(corpus, rows, [s >= 0 for s in shown], "picture")
    unique = sorted(set(shown))
    if isinstance(model.image, VectorTower):
        cells = [corpus.table["vector"][row].as_py() for row in unique]
        seen: Features = model.embed_vectors(np.array(cells, dtype=np.float32))
    else:
        ids = corpus.column("id")
        parts = [unique[i : i + AT_ONCE] for i in range(0, len(unique), AT_ONCE)]
        seen = Features.of_pooled(
            torch.cat(
                [
                    model.embed_images(
                        [load_image(corpus.media("image", r), name=f"picture {ids[r]}") for r in part]
                    ).pooled
                    for part in parts
                ]
            )
        )
    place = {row: i for i, row in enumerate(unique)}
    return seen.pooled[[place[s] for s in shown]].clone()


def _complete(corpus: Corpus, rows: NDArray[np.int64], there: list[bool], what: str) -> None:
    lacking = [int(r) for r, known in zip(rows, there) if not known]
    if lacking:
        raise UserError(
            f"{corpus.name}: {len(lacking)} items have no {what} to find partners by, the first is "
            f"{corpus.table['id'][lacking[0]].as_py()}",
            f"Give their groups a {what}, or choose another partners.by.",
        )
