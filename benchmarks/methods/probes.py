"""What frozen vectors know: a linear probe, and classes told from five examples."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

__all__ = ["five_shot", "linear_probe"]


def linear_probe(
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    strengths: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0),
) -> float:
    """Accuracy in percent of logistic regression on (n, H) vectors and (n,) labels; validation chooses its C."""
    scale = StandardScaler().fit(train[0])
    best = (-1.0, 0.0)
    for c in strengths:
        probe = LogisticRegression(C=c, max_iter=1000).fit(scale.transform(train[0]), train[1])
        held = probe.score(scale.transform(validation[0]), validation[1])
        if held > best[0]:
            best = held, 100 * probe.score(scale.transform(test[0]), test[1])
    return float(best[1])


def five_shot(
    x: np.ndarray, labels: np.ndarray, seed: int, episodes: int = 1000, ways: int = 5, shots: int = 5
) -> float:
    """Accuracy in percent of the nearest class mean (El Banani et al., 2023, section 4.2).

    Of each episode's classes, ``shots`` items each are support and six are asked; vectors are centred on the mean of
    the support and brought to unit length.
    """
    rng = np.random.default_rng(seed)
    of = {k: np.flatnonzero(labels == k) for k in np.unique(labels)}
    usable = [k for k, rows in of.items() if len(rows) >= shots + 6]
    right = []
    for _ in range(episodes):
        chosen = rng.choice(usable, ways, replace=False)
        rows = np.stack([rng.choice(of[k], shots + 6, replace=False) for k in chosen])
        vectors = x[rows] - x[rows[:, :shots]].mean((0, 1))
        vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)
        means = vectors[:, :shots].mean(1)
        means = means / np.linalg.norm(means, axis=-1, keepdims=True).clip(1e-9)
        found = (vectors[:, shots:] @ means.T).argmax(-1)
        right.append((found == np.arange(ways)[:, None]).mean())
    return float(100 * np.mean(right))
