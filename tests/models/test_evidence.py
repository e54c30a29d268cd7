"""Single words that stand out, added to the whole: by hand, in use, on disk, and left alone by what was not heard."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.models.evidence import WordEvidence
from lookhear.scoring import Compatibility


def heard(items: int, seed: int = 0, dim: int = 6, longest: int = 9) -> Features:
    rng = torch.Generator().manual_seed(seed)
    mask = lengths_to_mask(torch.randint(1, longest + 1, (items,), generator=rng), longest)
    local = torch.randn(items, longest, dim, generator=rng) * mask[..., None]
    return Features(pool(local, mask), local, mask, 0.04)


def learned(compatibility: Compatibility, weight: float = 0.7, words: int = 4) -> tuple[WordEvidence, torch.Tensor]:
    evidence = WordEvidence([f"w{i}" for i in range(words)], 6, weight)
    evidence.words.copy_(F.normalize(torch.randn(words, 6, generator=torch.Generator().manual_seed(9)), dim=-1))
    peaks = compatibility.peak(heard(50, seed=5), evidence.words)
    evidence.learn(peaks)
    return evidence, peaks


def unit(x: np.ndarray) -> np.ndarray:
    return x / max(np.linalg.norm(x), 1e-12)


def by_hand(peaks: np.ndarray, training: np.ndarray, words: np.ndarray) -> np.ndarray:
    """unit(Σ max(0, z − 1) q) of one recording, word by word."""
    total = np.zeros(words.shape[1])
    for w, word in enumerate(words):
        z = (peaks[w] - training[:, w].mean()) / training[:, w].std()
        if z > 1:
            total += (z - 1) * word
    return unit(total)


def test_by_hand() -> None:
    compatibility, features = Compatibility(smooth=0.12), heard(8)
    evidence, peaks = learned(compatibility)
    training, words = peaks.double().numpy(), evidence.words.double().numpy()
    middle = np.mean([by_hand(p, training, words) for p in training], axis=0)
    found = evidence(features, compatibility)
    here = compatibility.peak(features, evidence.words).double().numpy()
    for i in range(8):
        added = 0.7 * unit(by_hand(here[i], training, words) - middle)
        expected = unit(features.pooled[i].double().numpy() + added)
        np.testing.assert_allclose(found.pooled[i], expected, atol=1e-5)
    assert found.local is features.local
    assert found.mask is features.mask


@given(st.integers(0, 1000), st.floats(0, 3))
def test_wholes_stay_unit_vectors_and_nothing_added_is_nothing_changed(seed: int, weight: float) -> None:
    compatibility, features = Compatibility(smooth=0), heard(5, seed)
    evidence, _ = learned(compatibility, weight)
    found = evidence(features, compatibility).pooled
    assert torch.allclose(found.norm(dim=-1), torch.ones(5), atol=1e-5)
    if weight == 0:
        assert torch.allclose(found, features.pooled, atol=1e-6)


def test_a_word_that_is_never_heard_otherwise_is_no_evidence() -> None:
    """All training recordings alike: no deviation, and no division by nothing."""
    evidence = WordEvidence(["w"], 6, 0.5)
    evidence.words.copy_(torch.eye(6)[:1])
    evidence.learn(torch.full((10, 1), 0.3))
    features = heard(4)
    assert torch.isfinite(evidence(features, Compatibility()).pooled).all()
