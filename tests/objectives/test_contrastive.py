"""Contrastive losses against loops written out, and one batch on two processes against one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ranks
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.core import Batch, Features, Padded
from lookhear.errors import UserError
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.contrastive import InfoNCE, Margin, Sigmoid, same_group

Rows = list[list[float]]


def material(groups: list[int], seed: int = 0) -> tuple[Views, Rows, list[int]]:
    """A batch of random unit vectors, and its cosines as plain numbers."""
    rng = torch.Generator().manual_seed(seed)
    a, b = (F.normalize(torch.randn(len(groups), 6, generator=rng), dim=-1) for _ in range(2))
    batch = Batch({"audio": Features.of_pooled(a), "image": Features.of_pooled(b)}, torch.tensor(groups))
    cosines = [[sum(float(x) * float(y) for x, y in zip(p, q)) for q in b] for p in a]
    return Views(SimpleNamespace(), batch), cosines, groups


def slow_infonce(s: Rows, groups: list[int], temperature: float, symmetric: bool) -> float:
    n = len(s)

    def side(score: Callable[[int, int], float]) -> float:
        total = 0.0
        for i in range(n):
            others = [j for j in range(n) if j == i or groups[j] != groups[i]]
            total -= score(i, i) / temperature - math.log(sum(math.exp(score(i, j) / temperature) for j in others))
        return total / n

    there = side(lambda i, j: s[i][j])
    return (there + side(lambda i, j: s[j][i])) / 2 if symmetric else there


def slow_margin(s: Rows, groups: list[int], margin: float) -> float:
    n, total, count = len(s), 0.0, 0
    for i in range(n):
        for j in range(n):
            if groups[i] != groups[j]:
                count += 1
                total += max(0.0, margin - s[i][i] + s[i][j]) + max(0.0, margin - s[i][i] + s[j][i])
    return total / max(count, 1)


def slow_sigmoid(s: Rows, groups: list[int], scale: float, bias: float) -> float:
    n, total = len(s), 0.0
    for i in range(n):
        for j in range(n):
            if i == j or groups[i] != groups[j]:
                z = 1 if i == j else -1
                total += math.log(1 + math.exp(-z * (scale * s[i][j] + bias)))
    return total / n


GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=7)


def only(losses: dict[str, torch.Tensor], name: str) -> float:
    assert list(losses) == [name]
    return float(losses[name].detach())


@settings(max_examples=40)
@given(GROUPS, st.booleans(), st.sampled_from([0.07, 0.5]))
def test_infonce_by_hand(groups: list[int], symmetric: bool, temperature: float) -> None:
    views, s, _ = material(groups)
    loss = InfoNCE(InfoNCE.Config(symmetric=symmetric, temperature=temperature, weight=2.0))(views)
    wanted = 2 * slow_infonce(s, groups, temperature, symmetric)
    assert only(loss, "infonce_audio_image") == pytest.approx(wanted, abs=1e-4)


def test_infonce_with_a_bank_of_more_negatives_by_hand() -> None:
    """Further pictures of other groups join the denominators of audio → image, and of nothing else."""
    groups, more = [0, 1, 2, 1], [5, 1, 7, 0, 9]
    views, s, _ = material(groups)
    bank = F.normalize(torch.randn(len(more), 6, generator=torch.Generator().manual_seed(9)), dim=-1)
    further = {"image": (Features.of_pooled(bank), torch.tensor(more))}
    batch = Batch(views.batch.inputs, views.group, more=further)
    loss = InfoNCE(InfoNCE.Config(temperature=0.5))(Views(SimpleNamespace(), batch))
    there = back = 0.0
    for i, group in enumerate(groups):
        row = [s[i][j] for j in range(4) if j == i or groups[j] != group]
        row += [float(views["audio"].pooled[i] @ bank[m]) for m in range(5) if more[m] != group]
        column = [s[j][i] for j in range(4) if j == i or groups[j] != group]
        there += math.log(sum(math.exp(v / 0.5) for v in row)) - s[i][i] / 0.5
        back += math.log(sum(math.exp(v / 0.5) for v in column)) - s[i][i] / 0.5
    assert only(loss, "infonce_audio_image") == pytest.approx((there + back) / 8, abs=1e-5)


@settings(max_examples=40)
@given(GROUPS, st.sampled_from([0.2, 1.0]))
def test_margin_by_hand(groups: list[int], margin: float) -> None:
    views, s, _ = material(groups)
    loss = Margin(Margin.Config(margin=margin, weight=0.5))(views)
    assert only(loss, "margin_audio_image") == pytest.approx(slow_margin(s, groups, margin) / 2, abs=1e-5)


@settings(max_examples=40)
@given(GROUPS, st.sampled_from([-10.0, 0.5]))
def test_sigmoid_by_hand(groups: list[int], bias: float) -> None:
    views, s, _ = material(groups)
    loss = Sigmoid(Sigmoid.Config(bias=bias, scale=7.0, weight=3.0))(views)
    assert only(loss, "sigmoid_audio_image") == pytest.approx(3 * slow_sigmoid(s, groups, 7.0, bias), rel=1e-4)


def test_same_group() -> None:
    assert same_group(torch.tensor([1, 2, 1])).tolist() == [
        [False, False, True],
        [False, False, False],
        [True, False, False],
    ]


def test_infonce_of_a_perfect_and_a_blind_model() -> None:
    eye = torch.eye(4)
    perfect = Views(SimpleNamespace(), Batch({k: Features.of_pooled(eye) for k in ("audio", "image")}, torch.arange(4)))
    assert only(InfoNCE(InfoNCE.Config(temperature=0.01))(perfect), "infonce_audio_image") < 1e-6
    same = Features.of_pooled(eye[:1].expand(4, -1))
    blind = Views(SimpleNamespace(), Batch({"audio": same, "image": same}, torch.arange(4)))
    assert only(InfoNCE(InfoNCE.Config())(blind), "infonce_audio_image") == pytest.approx(math.log(4), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.2])
def test_gradient_of_the_learned_temperature(temperature: float) -> None:
    groups = [0, 1, 2, 1, 3]
    views, s, _ = material(groups)
    objective = InfoNCE(InfoNCE.Config(temperature=temperature))
    objective(views)["infonce_audio_image"].backward()
    step = 1e-4  # of the logarithm of the scale, by differences
    around = [slow_infonce(s, groups, temperature * math.exp(-e), True) for e in (step, -step)]
    assert float(objective.logit_scale.grad) == pytest.approx((around[0] - around[1]) / (2 * step), abs=1e-3)


def test_the_scale_stops_at_its_bound() -> None:
    groups = [0, 1, 2]
    views, s, _ = material(groups)
    objective = InfoNCE(InfoNCE.Config(temperature=0.001, max_scale=100.0))
    assert only(objective(views), "infonce_audio_image") == pytest.approx(slow_infonce(s, groups, 0.01, True), abs=1e-3)


@pytest.mark.parametrize("kind", [InfoNCE, Margin, Sigmoid])
def test_other_modalities(kind: Any) -> None:
    views, _, _ = material([0, 1, 2])
    objective = kind(kind.Config(a="text", b="image"))
    assert objective.needs == {"text", "image"}
    batch = Batch({"text": views["audio"], "image": views["image"]}, views.group)
    name = next(iter(objective(Views(SimpleNamespace(), batch))))
    assert name.endswith("text_image")
    usual = kind(kind.Config())(views)
    found = objective(Views(SimpleNamespace(), batch))[name]
    assert torch.allclose(found, next(iter(usual.values())))


def test_learner_adds_up_and_refuses_what_is_missing() -> None:
    views, s, groups = material([0, 1, 2])
    learner = Learner(torch.nn.Module(), [InfoNCE(InfoNCE.Config()), InfoNCE(InfoNCE.Config(weight=2.0))])
    total = only(learner(views.batch), "infonce_audio_image")
    assert total == pytest.approx(3 * slow_infonce(s, groups, 0.07, True), abs=1e-4)
    with pytest.raises(UserError, match="InfoNCE needs image"):
        learner.check(Batch({"audio": views["audio"]}, views.group), 8)


def test_towers_run_once_a_batch() -> None:
    calls = []

    def tower(x: Any) -> Features:
        calls.append(x)
        return Features.of_pooled(torch.eye(2))

    views = Views(SimpleNamespace(audio=tower, image=tower), Batch({"audio": 1, "image@2": 2}, torch.arange(2)))  # type: ignore[dict-item]
    for name in ("audio", "image@2", "audio", "image@2"):
        assert views[name].pooled.shape == (2, 2)
    assert calls == [1, 2]


def test_further_items_go_through_the_tower_unless_computed_before() -> None:
    def tower(x: Padded) -> Features:
        return Features.of_pooled(2 * x.values)

    done, raw, group = Features.of_pooled(torch.eye(3)), Padded(torch.ones(2, 3)), torch.tensor([7, 8])
    more = {"image": (done, torch.arange(3)), "text": (raw, group)}
    views = Views(SimpleNamespace(text=tower), Batch({}, torch.arange(1), more=more))
    assert views.more("audio") is None
    assert views.more("image") == (done, more["image"][1])
    features, groups = views.more("text")  # type: ignore[misc]
    assert torch.equal(features.pooled, 2 * raw.values)
    assert groups is group


# Two processes -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch.multiprocessing as mp

    folder = tmp_path_factory.mktemp("two")
    mp.spawn(ranks.work, args=(str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("local", [False, True], ids=["linear", "local tower with batch norm"])
def test_twice_b_is_once_two_b(two: Path, local: bool) -> None:
    one = ranks.learner(local)
    wanted = ranks.outcome(one, one, ranks.batch(local))
    assert wanted["losses"].keys() == {"infonce_audio_image", "margin_audio_image", "sigmoid_audio_image"}
    assert {"objectives.0.logit_scale", "objectives.2.logit_scale", "objectives.2.bias"} <= wanted["gradients"].keys()
    for rank in (0, 1):
        found = torch.load(two / f"{local}-{rank}.pt")
        assert found["losses"] == pytest.approx(wanted["losses"], abs=1e-5)
        for part in ("gradients", "statistics"):
            assert found[part].keys() == wanted[part].keys()
            for name, value in wanted[part].items():
                assert torch.allclose(found[part][name], value, atol=1e-5), name
    if local:
        assert wanted["statistics"]
        assert any(float(g.abs().max()) > 1e-3 for n, g in wanted["gradients"].items() if n.startswith("model.audio"))
