"""Matchmaps against loops over frames and patches, for all readings, heads and losses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from local_views import Table, dot, mean, rows, slow_infonce, unit, value, views

from lookhear.errors import UserError
from lookhear.objectives import matchmap
from lookhear.objectives.base import Views
from lookhear.objectives.matchmap import MatchMap
from lookhear.scoring import Compatibility

READINGS = ["sisa", "misa", "sima"]
GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=6)
COSINE = Compatibility(smooth=0.0)


def entry(x: list[float], y: list[float], heads: int) -> float:
    size = len(x) // heads
    parts = [(x[k * size : (k + 1) * size], y[k * size : (k + 1) * size]) for k in range(heads)]
    return max(dot(unit(a), unit(b)) for a, b in parts)


def slow(batch: Views, reading: str, heads: int) -> Table:
    out = []
    for i in range(len(batch.group)):
        line = []
        for j in range(len(batch.group)):
            volume = [[entry(a, v, heads) for v in rows(batch["image"], j)] for a in rows(batch["audio"], i)]
            if reading == "misa":
                line.append(mean([max(r) for r in volume]))
            elif reading == "sima":
                line.append(mean([max(column) for column in zip(*volume)]))
            else:
                line.append(mean([mean(r) for r in volume]))
        out.append(line)
    return out


def slow_margin(table: Table, groups: list[int], margin: float) -> float:
    n, costs = len(table), []
    for i in range(n):
        for j in range(n):
            if groups[i] != groups[j]:
                both = (table[i][j], table[j][i])
                costs.append(sum(max(0.0, margin - table[i][i] + s) for s in both))
    return mean(costs) if costs else 0.0


@settings(max_examples=30)
@given(GROUPS, st.sampled_from(READINGS), st.sampled_from([1, 2, 3]), st.booleans())
def test_infonce_by_hand(groups: list[int], reading: str, heads: int, uneven: bool) -> None:
    patches = [1 + i % 4 for i in range(len(groups))] if uneven else ()
    batch = views(groups, Compatibility(heads=heads), patches=patches)
    objective = MatchMap(MatchMap.Config(reading=reading, temperature=0.5, weight=2.0))  # type: ignore[arg-type]
    wanted = 2 * slow_infonce(slow(batch, reading, heads), groups, 0.5)
    assert value(objective(batch), "matchmap") == pytest.approx(wanted, abs=1e-4)


@settings(max_examples=15)
@given(GROUPS, st.sampled_from(READINGS))
def test_margin_by_hand(groups: list[int], reading: str) -> None:
    batch = views(groups, COSINE)
    objective = MatchMap(MatchMap.Config(reading=reading, loss="margin", margin=0.3))  # type: ignore[arg-type]
    wanted = slow_margin(slow(batch, reading, 1), groups, 0.3)
    assert value(objective(batch), "matchmap") == pytest.approx(wanted, abs=1e-5)
    assert [n for n, p in objective.named_parameters() if p.requires_grad] == []


@pytest.mark.parametrize("reading", READINGS)
def test_a_few_recordings_at_a_time_change_nothing(reading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = views([0, 1, 2, 3, 1], COSINE)
    objective = MatchMap(MatchMap.Config(reading=reading))  # type: ignore[arg-type]
    whole, _ = objective.scores(batch)
    monkeypatch.setattr(matchmap, "AT_ONCE", 2)
    assert torch.allclose(objective.scores(batch)[0], whole, atol=1e-6)


@pytest.mark.parametrize("reading", READINGS)
def test_padding_gets_no_gradient(reading: str) -> None:
    batch = views([0, 1, 2, 0], COSINE, patches=[4, 2, 3, 4])
    for side in ("audio", "image"):
        batch[side].local.requires_grad_()
    MatchMap(MatchMap.Config(reading=reading))(batch)["matchmap"].backward()  # type: ignore[arg-type]
    for side in ("audio", "image"):
        gradient = batch[side].local.grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert float(gradient[batch[side].mask].abs().max()) > 1e-4
        assert not gradient[~batch[side].mask].any()


def test_further_pictures_have_no_patches_and_are_no_negatives() -> None:
    plain, more = views([0, 1, 2], COSINE), views([0, 1, 2], COSINE, more=[7, 8])
    objective = MatchMap(MatchMap.Config())
    assert value(objective(plain), "matchmap") == value(objective(more), "matchmap")


def test_parts_that_do_not_fit_the_vectors() -> None:
    with pytest.raises(UserError, match=r"compatibility.heads = 4 does not divide the 6 numbers"):
        MatchMap(MatchMap.Config())(views([0, 1], Compatibility(heads=4)))
    MatchMap.Config().check(COSINE)
    assert MatchMap.Config().patches
