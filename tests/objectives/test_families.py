"""Families of self-supervision against loops: changes told, what comes next, clusters, no negatives, regression."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import ranks_views
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.objectives import transforms
from lookhear.objectives.base import Views
from lookhear.objectives.clusters import Clusters
from lookhear.objectives.cpc import PredictiveCoding
from lookhear.objectives.hidden import mean_hidden
from lookhear.objectives.no_negatives import NoNegatives, barlow, vicreg
from lookhear.objectives.regression import Regression
from lookhear.objectives.transforms import CHANGES, Transforms


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(lengths: list[int], width: int = 5, seed: int = 0) -> Features:
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    pooled = F.normalize(some(len(lengths), 4, seed=seed + 1), dim=-1)
    return Features(pooled, torch.zeros(*mask.shape, 4), mask, 0.04, some(*mask.shape, width, seed=seed))


# Transformation prediction -------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.integers(1, 11), min_size=1, max_size=4))
def test_changes_of_recordings_by_loops_and_padding_is_left_alone(lengths: list[int]) -> None:
    mask = lengths_to_mask(torch.tensor(lengths), 12)
    x = Padded(some(len(lengths), 3, 12), mask)
    found = [change(x) for change in CHANGES["audio"]]
    for i, n in enumerate(lengths):
        frames = [x.values[i, :, t] for t in range(n)]
        q = max(1, n // 4)
        quarters = [frames[k * q : (k + 1) * q] for k in (1, 0, 3, 2)] if n >= 4 * q else None
        wanted = [frames, frames[::-1]]
        if quarters is not None:
            wanted.append([f for part in quarters for f in part] + frames[4 * q :])
        for changed, frames_wanted in zip(found, wanted):
            assert torch.equal(changed.values[i, :, :n], torch.stack(frames_wanted, 1))
            assert torch.equal(changed.values[i, :, n:], x.values[i, :, n:])
        assert torch.equal(found[3].values[i], x.values[i].flip(0))
    assert all(torch.equal(f.mask, mask) for f in found if f.mask is not None)


def test_pictures_are_turned_by_quarters() -> None:
    x = Padded(some(2, 3, 4, 4))
    turned = [change(x).values for change in CHANGES["image"]]
    for k, found in enumerate(turned):
        assert torch.equal(torch.rot90(found, -k, (2, 3)), x.values)


def test_transforms_by_hand() -> None:
    learner = ranks_views.learner("transforms")
    objective, batch = learner.objectives[0], ranks_views.batch(0)
    assert isinstance(objective, Transforms)
    learner.eval()
    with torch.no_grad():
        found = float(objective(Views(learner.model, batch))["transforms"])
        given_ = batch.inputs["audio"]
        each = []
        for k, change in enumerate(transforms.CHANGES["audio"]):
            for i in range(len(batch.group)):
                alone = learner.model.audio(change(given_[[i]]))  # type: ignore[arg-type, operator]
                scores = objective.head(mean_hidden(alone))[0].tolist()
                each.append(math.log(sum(map(math.exp, scores))) - scores[k])
    assert found == pytest.approx(sum(each) / len(each), abs=1e-4)


# What comes next -----------------------------------------------------------------------------------------------------


def test_predictive_coding_by_hand() -> None:
    torch.manual_seed(0)
    model = SimpleNamespace(audio=SimpleNamespace(width=5))
    objective = PredictiveCoding.Config(dim=3, first=2, last=4, weight=2.0).build(model)
    audio = features([7, 4, 2])
    found = float(objective(Views(model, Batch({"audio": audio}, torch.arange(3))))["cpc"])
    assert audio.hidden is not None
    means = []
    for i, n in enumerate((7, 4, 2)):
        context, _ = objective.reads(audio.hidden[i : i + 1, :n])
        losses = []
        for s, ahead in zip((2, 3, 4), objective.ahead):
            for t in range(n - s):
                said = ahead(context[0, t])
                scores = [float(said @ F.normalize(audio.hidden[i, j], dim=0)) * 5**0.25 for j in range(n)]
                losses.append(math.log(sum(map(math.exp, scores))) - scores[t + s])
        if losses:
            means.append(sum(losses) / len(losses))
    assert len(means) == 2
    assert found == pytest.approx(2 * sum(means) / 2, abs=1e-4)


def test_predictive_coding_that_has_nothing_to_say_is_refused() -> None:
    model = SimpleNamespace(audio=SimpleNamespace(width=5))
    with pytest.raises(UserError, match="longer than 9"):
        PredictiveCoding.Config(first=9, last=9).build(model)(
            Views(model, Batch({"audio": features([7, 4])}, torch.arange(2)))
        )
    with pytest.raises(ValidationError, match="'last' comes after 'first'"):
        PredictiveCoding.Config(first=5, last=4)


# Clusters and regression ---------------------------------------------------------------------------------------------


def pair(n: int = 6) -> Views:
    audio, image = (Features.of_pooled(F.normalize(some(n, 4, seed=s), dim=-1)) for s in (1, 2))
    return Views(SimpleNamespace(), Batch({"audio": audio, "image": image}, torch.arange(n)))


def test_clusters_by_hand_and_no_gradient_to_pictures() -> None:
    torch.manual_seed(0)
    objective, views = Clusters.Config(clusters=3, weight=2.0).build(SimpleNamespace(dim=4)), pair()
    found = float(objective(views)["clusters"])
    each = []
    for a, v in zip(views["audio"].pooled, views["image"].pooled):
        wanted = min(range(3), key=lambda k: float((objective.quantizer.codes[k] - v).square().sum()))
        scores = objective.head(a * 2.0).tolist()
        each.append(math.log(sum(map(math.exp, scores))) - scores[wanted])
    assert found == pytest.approx(2 * sum(each) / len(each), abs=1e-4)
    with pytest.raises(UserError, match="9 clusters of a batch of 6"):
        Clusters.Config(clusters=9).build(SimpleNamespace(dim=4))(pair())


def test_regression_by_hand() -> None:
    views = pair()
    found = float(Regression(Regression.Config(weight=3.0))(views)["regression"])
    each = [1 - float(a @ v) for a, v in zip(views["audio"].pooled, views["image"].pooled)]
    assert found == pytest.approx(3 * sum(each) / len(each), abs=1e-5)


# No negatives --------------------------------------------------------------------------------------------------------


def test_barlow_by_hand() -> None:
    a, b = some(9, 3), some(9, 3, seed=1)
    rows = [[list(z[:, d].tolist()) for d in range(3)] for z in (a, b)]

    def scaled(x: list[float]) -> list[float]:
        mean = sum(x) / 9
        std = math.sqrt(sum((v - mean) ** 2 for v in x) / 9)
        return [(v - mean) / (std + 1e-6) for v in x]

    left, right = ([scaled(x) for x in side] for side in rows)
    c = [[sum(p * q for p, q in zip(x, y)) / 9 for y in right] for x in left]
    wanted = sum((1 - c[i][i]) ** 2 for i in range(3)) + 0.005 * sum(
        c[i][j] ** 2 for i in range(3) for j in range(3) if i != j
    )
    assert float(barlow(a, b)) == pytest.approx(wanted, abs=1e-4)


def test_vicreg_by_hand() -> None:
    a, b = some(9, 3) * 0.4, some(9, 3, seed=1)
    same = sum((float(x) - float(y)) ** 2 for x, y in zip(a.flatten(), b.flatten())) / 27
    spread = mixed = 0.0
    for z in (a, b):
        mean = [sum(z[:, d].tolist()) / 9 for d in range(3)]
        cov = [
            [sum((float(r[i]) - mean[i]) * (float(r[j]) - mean[j]) for r in z) / 8 for j in range(3)] for i in range(3)
        ]
        spread += sum(max(0.0, 1 - math.sqrt(cov[d][d] + 1e-4)) for d in range(3)) / 3 / 2
        mixed += sum(cov[i][j] ** 2 for i in range(3) for j in range(3) if i != j) / 3
    assert float(vicreg(a, b)) == pytest.approx(25 * same + 25 * spread + mixed, abs=1e-4)


def test_byol_by_hand_and_collapse_is_told() -> None:
    learner = ranks_views.learner("byol")
    objective, batch = learner.objectives[0], ranks_views.batch(0)
    assert isinstance(objective, NoNegatives)
    learner.eval()
    with torch.no_grad():
        found = float(objective(Views(learner.model, batch))["no_negatives"])
        views = Views(learner.model, batch)
        ours = [objective.head(views[k]) for k in ("audio", "audio@2")]  # the copy is the tower itself as yet
        total = 0.0
        for i in range(len(ours[0])):
            for x, y in ((0, 1), (1, 0)):
                said = objective.predict(ours[x][i])  # type: ignore[misc]
                total += 1 - float(F.cosine_similarity(said, ours[y][i], dim=0))
        assert found == pytest.approx(total / len(ours[0]), abs=1e-4)
        assert objective.told["spread of vectors"] > 0.01
        objective.head.layers[-1].weight.zero_()
        objective(Views(learner.model, batch))
        assert objective.told["spread of vectors"] < 1e-6


@pytest.mark.parametrize("name", ["byol", "clusters"])
def test_copies_and_clusters_go_on_from_what_was_saved(name: str) -> None:
    first, second = ranks_views.learner(name), ranks_views.learner(name)
    ranks_views.steps(first, first)
    second.load_state_dict(first.state_dict())
    for learner in (first, second):
        learner.eval()
    batch = ranks_views.batch(3)
    found: list[Any] = [next(iter(learner(batch).values())) for learner in (first, second)]
    assert torch.equal(*found)
