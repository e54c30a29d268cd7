"""Recordings as spotting hears them, without a model."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from lookhear.core import Hit
from lookhear.search.spot import Heard


@pytest.fixture
def tape(tmp_path):
    """``tape("a/tape.wav", 4.0, ("dog", 1.0, 1.5, 0.8), …)`` → Heard, of a recording that is there."""

    def make(name: str, seconds: float, *hits: tuple) -> Heard:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = np.random.default_rng(len(name)).uniform(-0.3, 0.3, round(seconds * 16_000))
        sf.write(path, wave, 16_000)
        rows = [Hit(str(path), q, a, b, s, probability=p[0] if p else None) for q, a, b, s, *p in hits]
        return Heard(str(path), seconds, tuple(rows))

    return make
