"""PACL against loops that pool every recording anew by every picture; and that training and use read alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from local_views import Table, dot, mean, rows, slow_infonce, value, views

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.objectives.pacl import Pacl
from lookhear.scoring import Compatibility

ATTENTION = Compatibility(kind="attention", temperature=1.0, smooth=0.0)
GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=6)


def attended(items: Features, queries: Sequence[Sequence[float]], temperature: float = 1.0) -> Table:
    """φ of each item with each query: its vectors' weighted mean is made first, and met with the query then."""
    out = []
    for i in range(len(items)):
        local, line = rows(items, i), []
        for t in queries:
            weights = [math.exp(temperature * dot(p, t)) for p in local]
            pooled = [sum(w * p[d] for w, p in zip(weights, local)) / sum(weights) for d in range(len(t))]
            line.append(dot(pooled, t))
        out.append(line)
    return out


@settings(max_examples=30)
@given(GROUPS, st.sampled_from(["audio", "image", "both"]), st.sampled_from([1.0, 7.0]))
def test_by_hand(groups: list[int], dense: str, sharpness: float) -> None:
    batch = views(groups, ATTENTION.model_copy(update={"temperature": sharpness}))
    objective = Pacl(Pacl.Config(dense=dense, temperature=0.5, weight=2.0))  # type: ignore[arg-type]
    tables = []
    if dense != "image":
        tables.append(attended(batch["audio"], batch["image"].pooled.tolist(), sharpness))
    if dense != "audio":
        by_picture = attended(batch["image"], batch["audio"].pooled.tolist(), sharpness)
        tables.append([list(column) for column in zip(*by_picture)])
    table = [[mean([t[i][j] for t in tables]) for j in range(len(groups))] for i in range(len(groups))]
    assert value(objective(batch), "pacl") == pytest.approx(2 * slow_infonce(table, groups, 0.5), abs=1e-4)


@pytest.mark.parametrize("bank", [True, False])
def test_further_pictures_are_attended_to_as_well(bank: bool) -> None:
    groups, more = [0, 1, 2, 1], [5, 1, 7, 0]
    batch = views(groups, ATTENTION, more=more)
    pictures = batch.more("image")[0].pooled.tolist()  # type: ignore[index]
    table = attended(batch["audio"], batch["image"].pooled.tolist())
    further = [
        [s for s, g in zip(line, more) if g != groups[i]] for i, line in enumerate(attended(batch["audio"], pictures))
    ]
    wanted = slow_infonce(table, groups, 0.07, further if bank else None)
    assert value(Pacl(Pacl.Config(bank=bank))(batch), "pacl") == pytest.approx(wanted, abs=1e-4)


def test_every_pair_is_pooled_by_its_own_picture_and_not_by_the_recording_s() -> None:
    """What community code does instead, pooling once by the right picture, is another loss."""
    groups = [0, 1, 2, 3]
    batch = views(groups, ATTENTION.model_copy(update={"temperature": 5.0}))
    pictures = batch["image"].pooled.tolist()
    cheat = []
    for i in range(4):
        local = rows(batch["audio"], i)
        weights = [math.exp(5 * dot(p, pictures[i])) for p in local]
        pooled = [sum(w * p[d] for w, p in zip(weights, local)) / sum(weights) for d in range(6)]
        cheat.append([dot(pooled, t) for t in pictures])
    loss = value(Pacl(Pacl.Config(temperature=0.5))(batch), "pacl")
    assert abs(loss - slow_infonce(cheat, groups, 0.5)) > 0.02


def test_training_reads_as_search_does() -> None:
    batch = views([0, 1, 2], ATTENTION)
    scores, _ = Pacl(Pacl.Config()).scores(batch)
    assert torch.equal(scores, ATTENTION.pooled(batch["audio"], batch["image"].pooled))


@pytest.mark.parametrize("dense", ["audio", "image", "both"])
def test_padding_gets_no_gradient(dense: str) -> None:
    batch = views([0, 1, 2, 0], ATTENTION, patches=[4, 2, 3, 4])
    for side in ("audio", "image"):
        batch[side].local.requires_grad_()
    Pacl(Pacl.Config(dense=dense))(batch)["pacl"].backward()  # type: ignore[arg-type]
    for side in {"audio": ["audio"], "image": ["image"], "both": ["audio", "image"]}[dense]:
        gradient = batch[side].local.grad
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert float(gradient[batch[side].mask].abs().max()) > 1e-4
        assert not gradient[~batch[side].mask].any()


def test_which_recipes_it_is_for() -> None:
    config = Pacl.Config()
    config.check(ATTENTION)
    for kind in ("sum", "max"):
        with pytest.raises(UserError, match=f"compatibility.kind is '{kind}'"):
            config.check(Compatibility(kind=kind))
    assert not config.patches
    assert Pacl.Config(dense="image").patches
    assert Pacl.Config(dense="both").patches
