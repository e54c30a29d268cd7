"""Partners with the same content: equal in one column, and different in another."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.partners.base import Partners, PartnerSection, column_of

__all__ = ["SamePartners"]


class SamePartners(PartnerSection):
    """The same sentence through another channel, or by another speaker.

    Attributes:
        column: equal in both (a prompt, a sentence).
        other: different in the two (a channel, a speaker).
        source: value of ``other`` that partners must have, if one is asked for: the old channel. Items that have it
            themselves are their own partners then, so that the tower does not forget them.
        top: others that are kept for each item, drawn once.
    """

    kind: Literal["same"] = "same"
    column: str
    other: str
    source: str = ""
    top: int = Field(16, ge=1)

    def find(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Partners:
        """See the class.

        Raises:
            UserError: no such columns, an item without a value, or without a partner.
        """
        said, how = column_of(corpus, rows, self.column), [str(v) for v in column_of(corpus, rows, self.other)]
        if self.source and self.source not in how:
            raise UserError(
                f"{corpus.name}: no item has {self.source!r} in {self.other!r}",
                f"It has {', '.join(sorted(set(how))[:8])}: name one of them in partners.source.",
            )
        alike: dict[Any, list[int]] = defaultdict(list)
        for i, value in enumerate(said):
            alike[value].append(i)
        rng, n = np.random.default_rng(0), len(rows)
        found, weights = np.zeros((n, self.top), dtype=np.int64), np.zeros((n, self.top))
        for i in range(n):
            near = [i] if how[i] == self.source else [j for j in alike[said[i]] if self._fits(how[i], how[j])]
            if not near:
                raise UserError(
                    f"{corpus.name}: nothing with the same {self.column!r} and another {self.other!r} as item "
                    f"{corpus.table['id'][int(rows[i])].as_py()}",
                    "Name another column in partners.column, or take its split out of stages.splits.",
                )
            chosen = rng.choice(near, min(self.top, len(near)), replace=False)
            found[i, : len(chosen)], weights[i, : len(chosen)] = chosen, 1.0
        return Partners(found, weights)

    def _fits(self, ours: str, theirs: str) -> bool:
        return theirs == self.source if self.source else theirs != ours
