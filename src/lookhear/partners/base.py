"""Which item may stand beside which in a batch, as its second view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.core import Section
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["PartnerSection", "Partners", "column_of"]


@dataclass(frozen=True)
class Partners:
    """For each of N items, up to K others that a pairwise objective takes for a second view of it.

    Attributes:
        rows: (N, K) int64, numbers of items.
        weights: (N, K) how likely each is drawn; 0 where there are fewer than K. Rows need not sum to one.
        group: (N,) int64, items of one group are never each other's negatives; None leaves the corpus's groups.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    group: NDArray[np.int64] | None = None

    def draw(self, items: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """(B,) items → (B,) one partner of each, drawn by its weight."""
        reach = np.cumsum(self.weights[items], axis=1)
        place = (reach < rng.random(len(items))[:, None] * reach[:, -1:]).sum(1)
        drawn: NDArray[np.int64] = self.rows[items, np.minimum(place, self.rows.shape[1] - 1)]
        return drawn

    @property
    def skew(self) -> float:
        """Skewness of how often each item is somebody's partner: far above 0 where a few hubs are everybody's.

        (Radovanović et al., 2010, "Hubs in space", eq. 1: the third standardised moment of the in-degrees.)
        """
        share = self.weights / self.weights.sum(1, keepdims=True)
        degree = np.bincount(self.rows.ravel(), share.ravel(), len(self.rows))
        spread = degree.std()
        return float(((degree - degree.mean()) ** 3).mean() / spread**3) if spread else 0.0


class PartnerSection(Section):
    """The part of a recipe that says where second views come from; each ``kind`` is a file of this room."""

    kind: str

    def find(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Partners:
        """Partners of these rows of the corpus, numbered as they are here.

        Args:
            model: whose teacher may be asked for vectors of pictures and texts.

        Raises:
            UserError: the corpus does not tell them.
        """
        raise TypeError(f"{type(self).__name__} does not say who goes with whom")


def column_of(corpus: Corpus, rows: NDArray[np.int64], column: str) -> list[Any]:
    """A column's value for each of these rows.

    Raises:
        UserError: no such column, or an item without a value.
    """
    values = corpus.column(column)
    chosen = [values[r] for r in rows.tolist()]
    lacking = [int(r) for r, v in zip(rows, chosen) if v is None]
    if lacking:
        raise UserError(
            f"{corpus.name}: {len(lacking)} items have no {column!r}, the first is "
            f"{corpus.table['id'][lacking[0]].as_py()}",
            "Fill the column, or take its items out of stages.splits.",
        )
    return chosen
