"""Models small enough to know the answers of: one that reads samples as words, and a real tower without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lookhear.audio import pad_audio
from lookhear.core import RATE, Features, lengths_to_mask, pool
from lookhear.locators.base import Asked
from lookhear.models.speech import LocalTower
from lookhear.scoring import Compatibility

DIM, STEP = 6, 0.04
HOP = round(STEP * RATE)
E = torch.eye(DIM)


class Toy:
    """A stretch of samples of the value k is word k: a recording's whole is the unit sum of its frames' axes.

    Frames that hold nothing (zeros) are the last axis, weakly.
    """

    def __init__(self, kind: str = "sum", temperature: float = 10.0) -> None:
        self.compatibility = Compatibility(kind=kind, temperature=temperature, smooth=0.0)  # type: ignore[arg-type]
        self.heard: list[int] = []

    def embed_audio(self, waves: Sequence[NDArray[np.float32]]) -> Features:
        self.heard += [len(w) for w in waves]
        lengths = torch.tensor([-(-len(w) // HOP) for w in waves])
        mask = lengths_to_mask(lengths, int(lengths.max()))
        local = torch.zeros(len(waves), mask.shape[1], DIM)
        for b, wave in enumerate(waves):
            for n in range(int(lengths[b])):
                value = int(np.abs(wave[n * HOP : (n + 1) * HOP]).max())
                local[b, n] = E[value - 1] if value else 0.1 * E[-1]
        return Features(pool(local, mask), local, mask, STEP)


def spoken(frames: int, *words: tuple[int, int, int]) -> NDArray[np.float32]:
    """Samples of so many frames in which word k fills the frames from a to b."""
    wave = np.zeros(frames * HOP, dtype=np.float32)
    for k, a, b in words:
        wave[a * HOP : b * HOP] = k + 1
    return wave


def asked(*numbers: int) -> Asked:
    return Asked([f"word {k}" for k in numbers], E[list(numbers)])


class Heard:
    """A local tower with random weights, and a head or word evidence beside it if they are given."""

    def __init__(self, head: Any = None, evidence: Any = None, kind: str = "sum") -> None:
        torch.manual_seed(0)
        self.audio = LocalTower.Config(width=12, dilations=(1,)).build(DIM).eval().requires_grad_(False)
        self.audio.centre.mean.copy_(0.2 * torch.randn(DIM))
        self.compatibility = Compatibility(kind=kind, smooth=0.0)  # type: ignore[arg-type]
        self.head, self.evidence = head, evidence

    def embed_audio(self, waves: Sequence[NDArray[np.float32]]) -> Features:
        with torch.inference_mode():
            found: Features = self.audio(pad_audio(list(waves)))
            if self.head is not None:
                found = self.head(found)
            return found if self.evidence is None else self.evidence(found, self.compatibility)


def noise(seconds: float, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1


def some_words(count: int, seed: int = 5) -> Asked:
    vectors = F.normalize(torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed)), dim=-1)
    return Asked([f"w{i}" for i in range(count)], vectors)
