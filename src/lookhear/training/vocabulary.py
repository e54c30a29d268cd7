"""Which words a lesson asks, and which items' texts say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.wording import STOP_WORDS

__all__ = ["said_by_group", "vocabulary"]

FEWEST = 5


def vocabulary(
    texts: Iterable[str], most: int, always: Iterable[str] = (), leave_out: Container[str] = ()
) -> list[str]:
    """``always``, then the most frequent words that are no function words and are said in five texts or more."""
    counts = Counter(w for t in texts for w in set(t.lower().split()) if w.isalpha() and w not in STOP_WORDS)
    frequent = [w for w, n in counts.most_common() if n >= FEWEST and w not in leave_out]
    return list(dict.fromkeys([*always, *frequent[:most]]))


def said_by_group(texts: Sequence[str], groups: NDArray[np.int64], words: Sequence[str], n_groups: int) -> Tensor:
    """(groups, words) bool: whether any text of the group says the word."""
    place = {w: i for i, w in enumerate(words)}
    said = torch.zeros(n_groups, len(words), dtype=torch.bool)
    for text, group in zip(texts, groups.tolist(), strict=True):
        for w in set(text.lower().split()) & place.keys():
            said[group, place[w]] = True
    return said
