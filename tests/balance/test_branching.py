"""Trees of tasks, and Δm, against loops and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from lookhear.balance.branching import affinity, cheapest, dissimilarity, partitions
from lookhear.balance.delta import Measured, delta_m
from lookhear.errors import UserError


def seen(seed: int = 0, noise: float = 0.1) -> list[list[np.ndarray]]:
    """Four tasks over two depths: 0 and 1 see alike, and so do 2 and 3 at the first depth alone."""
    rng = np.random.default_rng(seed)
    a, b, c, d = (rng.normal(size=(12, 5)) for _ in range(4))
    kinds = [(a, c), (a, c), (b, d), (b, rng.normal(size=(12, 5)))]
    return [[x + noise * rng.normal(size=x.shape) for x in pair] for pair in kinds]


def test_dissimilarity_and_affinity_by_loops() -> None:
    features = seen()
    apart = dissimilarity(features[0][1])
    for i, j in itertools.product(range(12), repeat=2):
        assert apart[i, j] == pytest.approx(1 - pearsonr(features[0][1][i], features[0][1][j])[0], abs=1e-9)
    found = affinity(features)
    upper = np.triu_indices(12, 1)
    for depth, i, j in itertools.product(range(2), range(4), range(4)):
        one, other = (dissimilarity(features[t][depth])[upper] for t in (i, j))
        assert found[depth, i, j] == pytest.approx(spearmanr(one, other)[0], abs=1e-9)
    assert found[0, 0, 1] > 0.8 > 0.3 > abs(found[0, 0, 2])


def test_affinity_does_not_see_scale_turn_or_the_order_of_items() -> None:
    features = seen()
    order = np.random.default_rng(1).permutation(12)
    changed = [[x[order] * 7 for x in task] for task in features]
    assert np.allclose(affinity(changed), affinity(features))


def test_all_partitions_are_there_once() -> None:
    for n, bell in enumerate([1, 1, 2, 5, 15, 52]):
        found = list(partitions(range(n)))
        assert len(found) == len(set(found)) == bell


def slow_cheapest(alike: np.ndarray, sizes: list[int], budget: int) -> float:
    """All sequences of partitions, nested or not; the least cost of those that are, within the budget."""
    best = np.inf
    for tree in itertools.product(list(partitions(range(alike.shape[1]))), repeat=len(sizes)):
        nested = all(any(set(c) <= set(p) for p in before) for before, after in itertools.pairwise(tree) for c in after)
        if not nested or sum(len(p) * s for p, s in zip(tree, sizes)) > budget:
            continue
        cost = 0.0
        for depth, p in enumerate(tree):
            cost += np.mean([max([1 - alike[depth, i, j] for j in c if j != i] or [0]) for c in p for i in c])
        best = min(best, cost)
    return float(best)


@pytest.mark.parametrize("budget", [30, 40, 55, 70, 120])
def test_the_cheapest_tree_is_that_of_all(budget: int) -> None:
    alike, sizes = affinity(seen(3)), [10, 20]
    found = cheapest(alike, sizes, budget)
    assert found.cost == pytest.approx(slow_cheapest(alike, sizes, budget))
    assert found.size <= budget
    assert cheapest(alike, sizes, budget, beam=15).cost == pytest.approx(found.cost)


def test_related_tasks_stay_together() -> None:
    found = cheapest(affinity(seen()), [10, 10], 50)
    assert found.depths == (((0, 1), (2, 3)), ((0, 1), (2,), (3,)))


def test_a_task_alone_does_not_pay_for_three_that_are_unlike() -> None:
    alike = np.full((1, 4, 4), 0.1)
    for i, j in ((0, 1), (2, 3)):
        alike[0, i, j] = alike[0, j, i] = 0.4
    assert cheapest(alike, [10], 20).depths == (((0, 1), (2, 3)),)


def test_what_no_tree_can_be_made_of_is_refused() -> None:
    alike = affinity(seen())
    with pytest.raises(UserError, match="budget of 20"):
        cheapest(alike, [10, 20], 20)
    with pytest.raises(UserError, match="sizes of 1 blocks for 2 depths"):
        cheapest(alike, [10], 20)
    with pytest.raises(UserError, match="2 items"):
        dissimilarity(np.eye(2))
    with pytest.raises(UserError, match="all alike"):
        dissimilarity(np.ones((4, 3)))


def test_delta_m_by_hand() -> None:
    alone = {"seg": Measured(40.0), "depth": Measured(0.5, lower=True)}
    together = {"seg": Measured(42.0), "depth": Measured(0.6, lower=True)}
    assert delta_m(together, alone) == pytest.approx((0.05 - 0.2) / 2)
    assert delta_m(alone, alone) == 0


@pytest.mark.parametrize(
    ("together", "says"),
    [
        ({"seg": Measured(1.0, lower=True)}, "better higher in one"),
        ({"sag": Measured(1.0)}, "same tasks"),
        ({}, "same tasks"),
    ],
)
def test_delta_m_of_what_cannot_be_compared(together: dict[str, Measured], says: str) -> None:
    with pytest.raises(UserError, match=says):
        delta_m(together, {"seg": Measured(1.0)})
    with pytest.raises(UserError, match="alone is 0"):
        delta_m({"seg": Measured(1.0)}, {"seg": Measured(0.0)})
