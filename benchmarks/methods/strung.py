"""Recorded words strung into utterances, and how well a word that another speaker says is found in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor
from words import Words

from lookhear.frontend import level_speech

__all__ = ["Strung", "cosines", "found_frames", "levelled", "precision"]


@dataclass(frozen=True)
class Strung:
    """Utterances of several different words of one speaker.

    Attributes:
        mels: N log-mels (M, T).
        said: N rows of (T,) labels, −1 in pauses.
    """

    mels: list[Tensor]
    said: list[np.ndarray]

    @staticmethod
    def make(words: Words, count: int, long: int, seed: int) -> Strung:
        rng = np.random.default_rng((seed, 17))
        mels, said = [], []
        for _ in range(count):
            rows = np.flatnonzero(words.speakers == rng.choice(words.speakers))
            parts, labels = [], []
            for label in rng.choice(np.unique(words.labels), long, replace=False):
                mel = words.mels[int(rng.choice(rows[words.labels[rows] == label]))]
                pause = int(rng.integers(2, 12))
                quiet = mel[:, mel.mean(0).argsort()[:3]].mean(1, keepdim=True)
                noise = 0.4 * torch.from_numpy(rng.standard_normal((len(mel), pause))).float()
                parts += [quiet + noise, mel]
                labels += [np.full(pause, -1), np.full(mel.shape[1], label)]
            mels.append(torch.cat(parts, 1))
            said.append(np.concatenate(labels))
        return Strung(mels, said)


def levelled(mel: Tensor) -> Tensor:
    """(M, T) → (T / 2, M) every second frame, each band from the level of its speech."""
    real = torch.ones(1, mel.shape[1], dtype=torch.bool)
    return level_speech(mel[None], real)[0, :, ::2].T


def cosines(a: Tensor, b: Tensor) -> np.ndarray:
    """(n, H), (m, H) → (n, m) distances, 1 − cosine."""
    return (1 - F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T).numpy()


def found_frames(distance: np.ndarray) -> np.ndarray:
    """(n, m) distances of a query's frames to an utterance's → (m,) how well the best stretch over each frame matches.

    Subsequence dynamic time warping (Müller, 2007, section 4.4): the query is whole, begins and ends anywhere; a
    frame's score is minus the least mean cost of a path that covers it.
    """
    n, m = distance.shape
    cost, start = distance[0].copy(), np.arange(m)
    for i in range(1, n):
        row, begins = distance[i].tolist(), [0] * m
        old, from_old = cost.tolist(), start.tolist()
        new = [0.0] * m
        for j in range(m):
            best, at = old[j], from_old[j]
            if j:
                if old[j - 1] <= best:
                    best, at = old[j - 1], from_old[j - 1]
                if new[j - 1] < best:
                    best, at = new[j - 1], begins[j - 1]
            new[j], begins[j] = best + row[j], at
        cost, start = np.array(new), np.array(begins)
    score = np.full(m, -np.inf)
    for j in range(m):
        score[start[j] : j + 1] = np.maximum(score[start[j] : j + 1], -cost[j] / (j + 1 - start[j] + n))
    return score


def precision(score: np.ndarray, said: np.ndarray, label: int, step: int) -> float:
    """Average precision over an utterance's frames, of scores for every ``step``-th."""
    right = said == label
    return float(average_precision_score(right, np.repeat(score, step)[: len(right)]))
