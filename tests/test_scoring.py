"""The one reading of local vectors, against loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.scoring import Compatibility, spans_above

LENGTHS = [7, 1, 4]


@pytest.fixture
def features() -> Features:
    rng = torch.Generator().manual_seed(1)
    mask = lengths_to_mask(torch.tensor(LENGTHS), 7)
    local = torch.randn(3, 7, 5, generator=rng) * mask[..., None]
    return Features(pool(local, mask), local, mask, 0.04)


@pytest.fixture
def queries() -> torch.Tensor:
    return F.normalize(torch.randn(2, 5, generator=torch.Generator().manual_seed(2)), dim=-1)


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


@pytest.mark.parametrize("kind", ["sum", "max", "attention"])
@pytest.mark.parametrize("smooth", [0.0, 0.12, 0.2])
def test_against_loops(features: Features, queries: torch.Tensor, kind: str, smooth: float) -> None:
    reading = Compatibility(kind=kind, smooth=smooth, temperature=3.0)  # type: ignore[arg-type]
    curve, pooled = reading.curve(features, queries), reading.pooled(features, queries)
    peak = reading.peak(features, queries)
    half = {0.0: 0, 0.12: 1, 0.2: 2}[smooth]
    for b, item in enumerate(features):
        for q, query in enumerate(queries):
            cosines = [cosine(v, query) for v in item.local]
            raw = [dot(v, query) for v in item.local] if kind == "sum" else cosines
            smoothed = []
            for n in range(len(raw)):
                window = raw[max(0, n - half) : n + half + 1]
                smoothed.append(sum(window) / len(window))
            assert curve[b, : len(raw), q].tolist() == pytest.approx(smoothed, abs=1e-5)
            assert float(peak[b, q]) == pytest.approx(max(smoothed), abs=1e-5)
            if kind == "sum":
                wanted = cosine(item.local.sum(0), query)
            elif kind == "max":
                wanted = max(cosines)
            else:
                weights = [math.exp(3 * c) for c in cosines]
                wanted = sum(w * c for w, c in zip(weights, cosines, strict=True)) / sum(weights)
            assert float(pooled[b, q]) == pytest.approx(wanted, abs=1e-5)
    assert torch.isinf(curve[~features.mask]).all()
    assert (curve[~features.mask] < 0).all()


def test_contributions_add_up_to_the_pooled_similarity(features: Features, queries: torch.Tensor) -> None:
    reading = Compatibility(kind="sum", smooth=0)
    contributions = reading.curve(features, queries).masked_fill(~features.mask[..., None], 0).sum(1)
    length = features.local.sum(1).norm(dim=-1, keepdim=True)
    assert torch.allclose(reading.pooled(features, queries) * length, contributions, atol=1e-5)


@pytest.mark.parametrize("kind", ["sum", "max", "attention"])
def test_padding_changes_no_score(features: Features, queries: torch.Tensor, kind: str) -> None:
    reading = Compatibility(kind=kind)  # type: ignore[arg-type]
    for b, item in enumerate(features):
        alone = Features(item.pooled[None], item.local[None], item.mask[None], item.step)
        assert torch.allclose(reading.pooled(alone, queries)[0], reading.pooled(features, queries)[b], atol=1e-6)
        curve = reading.curve(features, queries)[b, : LENGTHS[b]]
        assert torch.allclose(reading.curve(alone, queries)[0], curve, atol=1e-6)


def test_pictures_are_not_smoothed(features: Features, queries: torch.Tensor) -> None:
    patches = Features(features.pooled, features.local, features.mask, (1, 7))
    assert torch.equal(
        Compatibility(smooth=0.2).curve(patches, queries), Compatibility(smooth=0.0).curve(patches, queries)
    )


def test_spans_by_hand() -> None:
    curve = torch.tensor([0.9, 0.1, 0.5, 0.7, 0.2, 0.6, float("-inf")])
    found = [(s.start, s.end, s.score) for s in spans_above(curve, 0.5, 0.5, offset=10.0)]
    assert found == [
        (10.0, 10.5, pytest.approx(0.9)),
        (11.0, 12.0, pytest.approx(0.7)),
        (12.5, 13.0, pytest.approx(0.6)),
    ]
    assert spans_above(curve, 0.5, 1.0) == []


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30), st.floats(-1, 1, width=32))
def test_spans_cover_exactly_the_frames_above(values: list[float], threshold: float) -> None:
    covered = set()
    spans = spans_above(torch.tensor(values), 1.0, threshold)
    for s in spans:
        frames = range(int(s.start), int(s.end))
        assert s.score == max(values[n] for n in frames)
        covered |= set(frames)
    assert covered == {n for n, v in enumerate(values) if v >= threshold}
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))
