"""The one reading of local vectors, against loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.errors import UserError
from lookhear.scoring import Compatibility

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


KINDS = pytest.mark.parametrize("kind", ["sum", "max", "attention"])


def slow_curve(local: torch.Tensor, query: torch.Tensor, half: int) -> list[float]:
    """Cosines with the mean vector of each frame and its neighbours; the window is cut at both ends of the item."""
    out = []
    for n in range(len(local)):
        window = [v.tolist() for v in local[max(0, n - half) : n + half + 1]]
        mean = torch.tensor([sum(values) / len(window) for values in zip(*window, strict=True)])
        out.append(cosine(mean, query))
    return out


@KINDS
@pytest.mark.parametrize(("smooth", "half"), [(0.0, 0), (0.05, 0), (0.12, 1), (0.2, 2), (0.6, 7)])
def test_curves_against_loops(features: Features, queries: torch.Tensor, kind: str, smooth: float, half: int) -> None:
    reading = Compatibility(kind=kind, smooth=smooth)  # type: ignore[arg-type]
    curve, peak = reading.curve(features, queries), reading.peak(features, queries)
    for b, item in enumerate(features):
        for q, query in enumerate(queries):
            wanted = slow_curve(item.local, query, half)
            assert curve[b, : len(wanted), q].tolist() == pytest.approx(wanted, abs=1e-5)
            assert float(peak[b, q]) == pytest.approx(max(wanted), abs=1e-5)
    assert torch.isneginf(curve[~features.mask]).all()
    assert float(curve[features.mask].abs().max()) <= 1 + 1e-6


def test_the_window_is_three_frames_of_40_ms_unless_told() -> None:
    assert Compatibility().smooth == 0.12
    # Vectors are averaged and not cosines: a long neighbour turns the mean, and what lies past the mask never does.
    local = torch.tensor([[[3.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 100.0]]])
    features = Features(local[:, 0] / 3, local, lengths_to_mask(torch.tensor([3]), 4), 0.04)
    curve = Compatibility().curve(features, torch.tensor([[1.0, 0.0]]))[0, :, 0]
    assert curve[:2].tolist() == pytest.approx([3 / math.sqrt(10), 3 / math.sqrt(10)])
    assert curve[2:].tolist() == [0.0, float("-inf")]


def test_what_lies_past_the_mask_changes_nothing(features: Features, queries: torch.Tensor) -> None:
    junk = features.local.masked_fill(~features.mask[..., None], 9.0)
    dirty = Features(features.pooled, junk, features.mask, features.step)
    reading = Compatibility(smooth=0.2)
    assert torch.equal(reading.curve(dirty, queries), reading.curve(features, queries))


def test_only_directions_count(features: Features, queries: torch.Tensor) -> None:
    louder = Features(features.pooled, features.local * 7, features.mask, features.step)
    assert torch.allclose(Compatibility().curve(louder, queries), Compatibility().curve(features, queries), atol=1e-6)


@KINDS
def test_whole_items_against_loops(features: Features, queries: torch.Tensor, kind: str) -> None:
    pooled = Compatibility(kind=kind, temperature=3.0).pooled(features, queries)  # type: ignore[arg-type]
    for b, item in enumerate(features):
        for q, query in enumerate(queries):
            cosines = [cosine(v, query) for v in item.local]
            if kind == "sum":
                wanted = cosine(item.local.sum(0), query)
            elif kind == "max":
                wanted = max(cosines)
            else:
                weights = [math.exp(3 * c) for c in cosines]
                wanted = sum(w * c for w, c in zip(weights, cosines, strict=True)) / sum(weights)
            assert float(pooled[b, q]) == pytest.approx(wanted, abs=1e-5)


@KINDS
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


@pytest.mark.parametrize("kind", ["max", "attention"])
def test_the_best_of_several_parts_counts(kind: str) -> None:
    rng = torch.Generator().manual_seed(3)
    mask = lengths_to_mask(torch.tensor([4, 2]), 4)
    local = torch.randn(2, 4, 6, generator=rng) * mask[..., None]
    features = Features(pool(local, mask), local, mask, 0.04)
    queries = F.normalize(torch.randn(2, 6, generator=rng), dim=-1)
    reading = Compatibility(kind=kind, heads=3, smooth=0.0, temperature=2.0)  # type: ignore[arg-type]
    curve, pooled = reading.curve(features, queries), reading.pooled(features, queries)
    for b, n in enumerate([4, 2]):
        for q, query in enumerate(queries):
            parts = [slice(0, 2), slice(2, 4), slice(4, 6)]
            wanted = [max(cosine(v[p], query[p]) for p in parts) for v in local[b, :n]]
            assert curve[b, :n, q].tolist() == pytest.approx(wanted, abs=1e-5)
            weights = [math.exp(2 * c) for c in wanted]
            whole = max(wanted) if kind == "max" else sum(w * c for w, c in zip(weights, wanted)) / sum(weights)
            assert float(pooled[b, q]) == pytest.approx(whole, abs=1e-5)
    assert torch.isinf(curve[1, 2:]).all()
    with pytest.raises(UserError, match="heads = 4 does not divide the 6 numbers"):
        Compatibility(heads=4).curve(features, queries)


def test_one_part_is_the_whole(features: Features, queries: torch.Tensor) -> None:
    assert torch.allclose(Compatibility().parts(queries)[0], queries, atol=1e-6)
    assert Compatibility(heads=5).parts(features.local).shape == (5, 3, 7, 1)
