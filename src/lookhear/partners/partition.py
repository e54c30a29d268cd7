"""Partners by place: items of roughly aligned volumes (slices of scans, sections of a ritual) at the same place."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lookhear.about import About
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.partners.base import Partners, PartnerSection, column_of

__all__ = ["PartitionPartners"]


class PartitionPartners(PartnerSection):
    """Items of the same partition of other volumes (Chaitanya et al., 2020, section 3.1).

    Volumes are alike: the first section of one recording of a ritual is like the first of another. So items of one
    partition are never each other's negatives (G^D-), and with ``pull`` an item's second view is, by turns, its own or
    that of an item of the same partition in another volume (G^D).

    Attributes:
        volume, partition: columns that say which whole an item is of, and which part of it.
        itself: how often an item is its own partner; published, one pair in two.
        top: others that are kept for each item, drawn once.
    """

    about: ClassVar[About] = About(
        name="partitions",
        title="partners at the same place of aligned volumes",
        kind="pairs",
        family="instance contrast",
        paper=(
            "Chaitanya et al., 2020, Contrastive learning of global and local features for medical image segmentation "
            "with limited annotations, NeurIPS"
        ),
        inputs=("audio", "image"),
        recipe="digits-en-partitions",
        negatives=True,
        order=True,
        augmentation=True,
    )

    kind: Literal["partition"] = "partition"
    volume: str = "volume"
    partition: str = "partition"
    pull: bool = True
    itself: float = Field(0.5, ge=0, lt=1)
    top: int = Field(16, ge=1)

    def find(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Partners:
        """See the class.

        Raises:
            UserError: no such columns, an item without a value, or all items of one partition.
        """
        volume, part = (self._numbers(corpus, rows, column) for column in (self.volume, self.partition))
        if part.max() == 0:
            raise UserError(
                f"{corpus.name}: all items have one {self.partition!r}, so nothing is left to be told apart",
                "Name another column in partners.partition.",
            )
        n, rng = len(rows), np.random.default_rng(0)
        found, weights = np.zeros((n, 1 + self.top), dtype=np.int64), np.zeros((n, 1 + self.top))
        found[:, 0], weights[:, 0] = np.arange(n), 1.0
        for i in range(n) if self.pull else ():
            others = np.flatnonzero((part == part[i]) & (volume != volume[i]))
            others = rng.choice(others, min(self.top, len(others)), replace=False)
            if len(others):
                found[i, 1 : 1 + len(others)] = others
                weights[i, 0], weights[i, 1 : 1 + len(others)] = self.itself, (1 - self.itself) / len(others)
        return Partners(found, weights, part)

    def _numbers(self, corpus: Corpus, rows: NDArray[np.int64], column: str) -> NDArray[np.int64]:
        numbers: dict[Any, int] = {}
        return np.array([numbers.setdefault(v, len(numbers)) for v in column_of(corpus, rows, column)], dtype=np.int64)
