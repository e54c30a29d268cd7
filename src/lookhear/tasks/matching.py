"""Answers in time matched with what is said, one to one: as many as can be, at every threshold at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.answers import Moments, Occurrences

__all__ = ["match", "one_to_one"]


def one_to_one(allowed: Sequence[Sequence[int]]) -> list[int | None]:
    """A partner for each answer, best first, so that of every first k as many as possible have one.

    Each answer in turn takes a free partner, or one that is freed by moving earlier answers to others of theirs (an
    augmenting path; Kuhn 1955). Nobody who has a partner loses it, so what is matched of the first k answers is a
    largest matching of them, and among the largest the one of the highest scores (sets that can be matched are a
    matroid): what NIST's scorer asks of its Hungarian matching, at every threshold.

    Args:
        allowed: for each answer its possible partners.
    """
    partner: list[int | None] = [None] * len(allowed)
    holder: dict[int, int] = {}
    for answer in range(len(allowed)):
        reached = dict.fromkeys(allowed[answer], answer)  # occurrence → the answer that could take it
        waiting = deque(reached)
        while waiting:
            occurrence = waiting.popleft()
            if occurrence not in holder:
                free: int | None = occurrence
                while free is not None:  # back along the path: each takes what the next one leaves
                    taker = reached[free]
                    holder[free] = taker
                    partner[taker], free = free, partner[taker]
                break
            further = [o for o in allowed[holder[occurrence]] if o not in reached]
            reached |= dict.fromkeys(further, holder[occurrence])
            waiting.extend(further)
    return partner


def match(moments: Moments, said: Occurrences, margin: float = 0.0) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which moments are right: their middle lies in an occurrence of their word, and no other has that occurrence.

    Args:
        moments: M of them.
        said: what is said where.
        margin: seconds by which every occurrence is widened at both ends.

    Returns:
        (M,) whether a moment is right, and (M, 2) start and end of the occurrence it has, NaN without one.
    """
    words = 1 + int(max(moments.word.max(initial=0), max((q for _, q in said), default=0)))
    pair = moments.recording * words + moments.word
    order = np.lexsort((moments.start, -moments.score, pair))
    pair, middle = pair[order], moments.middle[order]
    right, spans = np.zeros(len(order), dtype=bool), np.full((len(order), 2), np.nan)
    for (recording, word), times in said.items():
        first, last = (int(np.searchsorted(pair, recording * words + word, side)) for side in ("left", "right"))
        at = np.array(times)
        here = middle[first:last, None]
        near = (here >= at[:, 0] - margin) & (here <= at[:, 1] + margin)
        rows = np.flatnonzero(near.any(1))
        for row, partner in zip(rows, one_to_one([np.flatnonzero(near[row]).tolist() for row in rows])):
            if partner is not None:
                right[order[first + row]] = True
                spans[order[first + row]] = at[partner]
    return right, spans
