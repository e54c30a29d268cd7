"""Which tasks may share a net, and down to where: by how alike nets of single tasks see the same items.

Vandenhende et al., 2020, Branched Multi-Task Networks (BMVC), sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lookhear.errors import UserError

__all__ = ["Branches", "affinity", "cheapest", "dissimilarity", "partitions"]

Partition = tuple[tuple[int, ...], ...]
"""Clusters of task numbers, each ascending, in the order of their first."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Branches:
    """A tree: how tasks are clustered at each depth, from the input on; a depth's clusters lie within those before.

    Attributes:
        depths: a partition each.
        cost: of the tree; lower is better.
        size: parameters of its blocks.
    """

    depths: tuple[Partition, ...]
    cost: float
    size: int


def dissimilarity(features: Floats) -> Floats:
    """(K, …) features of K items → (K, K) 1 − Pearson correlation between items.

    Raises:
        UserError: fewer than three items, or one whose features are all alike, so that nothing correlates with it.
    """
    flat = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    if len(flat) < 3:
        raise UserError(f"{len(flat)} items to compare tasks by", "Give three at least; hundreds are better.")
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    if (length == 0).any():
        raise UserError("an item has features that are all alike, so that nothing correlates with it", "Leave it out.")
    flat = flat / length
    found: Floats = 1 - flat @ flat.T
    return found


def affinity(features: Sequence[Sequence[Floats]]) -> Floats:
    """Features by task and depth, each (K, …) of the same items → (depths, T, T) Spearman correlation of the tasks'
    dissimilarities, upper triangles alone.

    Raises:
        UserError: as ``dissimilarity``, or all items of a task are equally unlike.
    """
    depths = len(features[0])
    found = np.empty((depths, len(features), len(features)))
    for depth in range(depths):
        ranks = []
        for number, of_task in enumerate(features):
            apart = dissimilarity(of_task[depth])
            rank = rankdata(apart[np.triu_indices(len(apart), 1)])
            if np.ptp(rank) == 0:
                raise UserError(f"task {number}: all items are equally unlike", "Give more items.")
            ranks.append(rank)
        found[depth] = np.corrcoef(ranks)
    return found


def partitions(items: Sequence[int]) -> Iterator[Partition]:
    """All ways to put items into clusters."""
    if not items:
        yield ()
        return
    *rest, last = items
    for smaller in partitions(rest):
        for i, cluster in enumerate(smaller):
            yield (*smaller[:i], (*cluster, last), *smaller[i + 1 :])
        yield (*smaller, (last,))


def _refined(partition: Partition) -> Iterator[Partition]:
    """All partitions whose clusters lie within those of another."""
    if not partition:
        yield ()
        return
    for first in partitions(partition[0]):
        for others in _refined(partition[1:]):
            yield tuple(sorted(first + others))


def _cost(partition: Partition, alike: Floats) -> float:
    """Mean over tasks of the largest 1 − affinity to another of the same cluster; 0 for one that stands alone.

    Not the mean over clusters: there a task alone, which costs nothing, would count as much as three together, and
    trees that split off one task would win whatever is alike.
    """
    largest = np.zeros(len(alike))
    for cluster in partition:
        rows = 1 - alike[np.ix_(cluster, cluster)]
        np.fill_diagonal(rows, 0)
        largest[list(cluster)] = rows.max(1)
    return float(largest.mean())


def cheapest(alike: Floats, sizes: Sequence[int], budget: int, beam: int = 0) -> Branches:
    """The tree of least cost within a budget.

    Args:
        alike: (depths, T, T), see ``affinity``.
        sizes: parameters of one copy of the block at each depth.
        budget: parameters of all copies at most.
        beam: partial trees that are kept at each depth; 0 keeps all, which is exact, for few tasks.

    Raises:
        UserError: the budget does not pay for one copy of every block, or sizes and depths differ.
    """
    if len(sizes) != len(alike):
        raise UserError(f"sizes of {len(sizes)} blocks for {len(alike)} depths", "Give one of each.")
    if budget < sum(sizes):
        raise UserError(
            f"a budget of {budget} parameters for blocks of {sum(sizes)}", "Raise it, or make them smaller."
        )
    open_trees = [Branches((), 0.0, 0)]
    everything: Partition = (tuple(range(alike.shape[1])),)
    for depth, size in enumerate(sizes):
        after, grown = sum(sizes[depth + 1 :]), list[Branches]()
        for tree in open_trees:
            for p in _refined(tree.depths[-1] if tree.depths else everything):
                spent = tree.size + len(p) * size
                if spent + len(p) * after <= budget:  # below, there are as many clusters at least
                    grown.append(Branches((*tree.depths, p), tree.cost + _cost(p, alike[depth]), spent))
        grown.sort(key=lambda t: (round(t.cost, 12), t.size, t.depths))
        open_trees = grown[:beam] if beam else grown
    return open_trees[0]
