"""Made utterances of words, one of them stressed, by a speaker in a room that hums, with labels of all of these.

Nothing of it is spoken: a frame is a vector, and a word a fixed row of sounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lookhear.core import Batch, Padded, lengths_to_mask

__all__ = ["BATCH", "CLASSES", "SOUNDS", "Stressed"]

BATCH, SOUNDS, LONG, SAID, MOST = 64, 12, 3, 2, 12
CLASSES = {"word": 8, "map": 9, "speaker": 8, "room": 8}


@dataclass(frozen=True)
class Stressed:
    """N utterances: ``frames`` (N, SOUNDS, T), ``mask`` (N, T), and labels, (N,) or, of the map, (N, T)."""

    frames: Tensor
    mask: Tensor
    labels: dict[str, Tensor]
    spoken_for: int = 1 << 30
    """Utterances, the first so many, whose stressed word is told."""
    size: int = BATCH

    @staticmethod
    def make(seed: int, part: int, count: int) -> Stressed:
        fixed = np.random.default_rng((seed, 0))
        inventory = fixed.standard_normal((8, SOUNDS))
        words = inventory[fixed.integers(0, 8, (CLASSES["word"], LONG))]
        voices, rooms = (fixed.standard_normal((CLASSES[k], SOUNDS)) for k in ("speaker", "room"))
        stress = fixed.standard_normal(SOUNDS)
        rng = np.random.default_rng((seed, 1 + part))
        frames = np.zeros((count, SOUNDS, MOST))
        told = {"map": np.zeros((count, MOST), dtype=np.int64)}
        lengths = rng.integers(MOST - 3, MOST + 1, count)
        for name in ("word", "speaker", "room"):
            told[name] = rng.integers(0, CLASSES[name], count)
        for i in range(count):
            others = rng.permutation(np.delete(np.arange(CLASSES["word"]), told["word"][i]))[: SAID - 1]
            said, loud = [*others], int(rng.integers(SAID))
            said.insert(loud, told["word"][i])
            gaps = np.sort(rng.integers(0, lengths[i] - LONG * SAID + 1, SAID))
            for k, word in enumerate(said):
                at = slice(gaps[k] + LONG * k, gaps[k] + LONG * (k + 1))
                frames[i, :, at] = words[word].T + (1.5 * stress[:, None] if k == loud else 0)
                told["map"][i, at] = word + 1
            frames[i] += 0.45 * (voices[told["speaker"][i]] + rooms[told["room"][i]])[:, None]
        frames += 1.3 * rng.standard_normal(frames.shape)
        mask = lengths_to_mask(torch.from_numpy(lengths), MOST)
        sounds = torch.from_numpy(frames).float() * mask[:, None]
        return Stressed(sounds, mask, {k: torch.from_numpy(v) for k, v in told.items()})

    @property
    def steps_per_epoch(self) -> int:
        return len(self.frames) // self.size

    def items(self, steps: int) -> int:
        return steps * self.size

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        order = np.random.default_rng((7, epoch)).permutation(len(self.frames))
        return self.take(torch.from_numpy(order[index * self.size : (index + 1) * self.size][rank::world]))

    def take(self, rows: Tensor) -> Batch:
        labels = {k: Padded(v[rows]) for k, v in self.labels.items()}
        return Batch(
            {"audio": Padded(self.frames[rows], self.mask[rows]), **labels},
            rows.clone(),
            present={"word": rows < self.spoken_for},
        )
