"""Partners are drawn by their weights, and only those that have any."""

from __future__ import annotations

import numpy as np

from lookhear.partners.base import Partners

ROWS = np.array([[1, 2, 3], [0, 2, 0], [0, 1, 3], [2, 1, 0]])
WEIGHTS = np.array([[1.0, 2.0, 1.0], [0.0, 5.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.5]])


def test_shares_are_those_of_the_weights() -> None:
    rng, partners = np.random.default_rng(0), Partners(ROWS, WEIGHTS)
    drawn = np.array([partners.draw(np.arange(4), rng) for _ in range(4000)])
    for item in range(4):
        expected = np.zeros(4)
        np.add.at(expected, ROWS[item], WEIGHTS[item] / WEIGHTS[item].sum())
        found = np.bincount(drawn[:, item], minlength=4) / len(drawn)
        assert np.abs(found - expected).max() < 0.04
        assert (found[expected == 0] == 0).all()


def test_the_same_chance_draws_the_same() -> None:
    partners = Partners(ROWS, WEIGHTS)
    a, b = (partners.draw(np.array([0, 0, 2]), np.random.default_rng(7)) for _ in range(2))
    assert (a == b).all()
