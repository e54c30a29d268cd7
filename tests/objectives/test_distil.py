"""Distillation against loops, frames stretched and padded, a teacher that stays as it is, runs that do not fit."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import ranks
import torch
from local_views import dot, mean, unit
from pydantic import ValidationError

from lookhear.core import Batch, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.objectives import likeness
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.distil import Distil
from lookhear.objectives.stretched import stretch

ALL = [by for by in get_args(Distil.Config.model_fields["by"].annotation) if by != "tags"]  # which needs heads


def tower(seed: int, width: int = 8) -> LocalTower:
    torch.manual_seed(seed)
    return LocalTower.Config(bins=8, width=width, dilations=(1,), dropout=0).build(4)


def build(by: str, teachers: int = 1, **changes: Any) -> Learner:
    towers = [tower(5 + i, 12) for i in range(teachers)]
    config = Distil.Config(runs=["a"] * teachers, by=by, **changes)
    student = tower(1)
    ours, theirs = (8, 12) if by == "hidden" else (4, 4)
    torch.manual_seed(0)
    learner = Learner(ranks.Two(student), [Distil(config, towers, ours, theirs)])
    return learner.eval()


def seen(learner: Learner) -> tuple[Views, Any, list[Any]]:
    batch = ranks.batch(True)
    views = Views(learner.model, batch)
    return views, views["audio"], [t(batch.inputs["audio"]) for t in learner.objectives[0].towers]  # type: ignore[union-attr]


@torch.no_grad()
def found(learner: Learner, batch: Batch | None = None) -> float:
    return float(learner.objectives[0](Views(learner.model, batch or ranks.batch(True)))["distil"])


@pytest.mark.parametrize("teachers", [1, 2])
def test_response_by_hand(teachers: int) -> None:
    learner = build("similarities", teachers, temperature=3.0, scale=10.0)
    views, s, ts = seen(learner)
    bank = views["image"].pooled.tolist()

    def softmax(x: list[float]) -> list[float]:
        powers = [math.exp(10 * dot(x, b) / 3) for b in bank]
        return [p / sum(powers) for p in powers]

    each = []
    for i in range(len(bank)):
        rows = [softmax(t.pooled[i].tolist()) for t in ts]
        p = [mean(column) for column in zip(*rows, strict=True)]
        q = softmax(s.pooled[i].tolist())
        each.append(9 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert found(learner) == pytest.approx(mean(each), rel=1e-4)
    assert found(learner) > 0


def test_logits_embedding_and_contrast_by_hand() -> None:
    learner = build("logits", scale=2.0)
    views, s, (t,) = seen(learner)
    bank = views["image"].pooled.tolist()
    a, b = s.pooled.tolist(), t.pooled.tolist()
    wanted = mean([(2 * dot(x, v) - 2 * dot(y, v)) ** 2 for x, y in zip(a, b, strict=True) for v in bank])
    assert found(learner) == pytest.approx(wanted, rel=1e-4)
    assert found(build("embedding")) == pytest.approx(
        mean([1 - dot(x, y) for x, y in zip(a, b, strict=True)]), rel=1e-4
    )
    each = [math.log(sum(math.exp(dot(x, y) / 0.5) for y in b)) - dot(x, b[i]) / 0.5 for i, x in enumerate(a)]
    assert found(build("contrast", temperature=0.5)) == pytest.approx(mean(each), rel=1e-4)


def test_frames_by_hand() -> None:
    learner = build("hidden")
    _, s, (t,) = seen(learner)
    mapped = learner.objectives[0].regressor(s.hidden).detach()  # type: ignore[union-attr, operator]
    items = [
        mean([float((mapped[i, n] - t.hidden[i, n]).pow(2).mean()) for n in range(int(s.mask[i].sum()))])
        for i in range(len(s.mask))
    ]
    assert found(learner) == pytest.approx(mean(items), rel=1e-4)
    items = []
    for i in range(len(s.mask)):
        n = int(s.mask[i].sum())
        maps = [unit([dot(v, v) for v in x.hidden[i, :n].tolist()]) for x in (s, t)]
        items.append(sum((p - q) ** 2 for p, q in zip(*maps, strict=True)) / n)
    assert found(build("attention")) == pytest.approx(mean(items), rel=1e-4)


def _huber(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def test_relations_by_hand() -> None:
    rng = torch.Generator().manual_seed(3)
    s, t = torch.randn(5, 3, generator=rng), torch.randn(5, 6, generator=rng)
    tables, corners, grams, near = [], [], [], []
    for x in (s.tolist(), t.tolist()):
        far = [[math.dist(a, b) for b in x] for a in x]
        middle = mean([far[i][j] for i in range(5) for j in range(5) if i != j])
        tables.append([d / middle for row in far for d in row])
        side = [[unit([q - p for p, q in zip(a, b, strict=True)]) if a != b else [0.0] * len(a) for b in x] for a in x]
        corners.append([dot(side[i][j], side[i][k]) for i in range(5) for j in range(5) for k in range(5)])
        grams.append([v for a in x for v in unit([dot(a, b) for b in x])])
        rows = [[(dot(unit(a), unit(b)) + 1) / 2 for b in x if b is not a] for a in x]
        near.append([[v / sum(row) for v in row] for row in rows])

    def compare(pair: list[list[float]], each: Any) -> float:
        return mean([each(a - b) for a, b in zip(*pair, strict=True)])

    assert float(likeness.distances(s, t)) == pytest.approx(compare(tables, _huber), rel=1e-4)
    assert float(likeness.angles(s, t)) == pytest.approx(compare(corners, _huber), rel=1e-4)
    assert float(likeness.gram(s, t)) == pytest.approx(compare(grams, lambda d: d * d), rel=1e-4)
    kl = mean([sum(p * math.log(p / q) for p, q in zip(b, a, strict=True)) for a, b in zip(*near, strict=True)])
    assert float(likeness.neighbours(s, t)) == pytest.approx(kl, rel=1e-4)


@pytest.mark.parametrize("by", likeness.RELATIONS)
def test_relations_see_no_space_and_have_finite_gradients(by: str) -> None:
    rng = torch.Generator().manual_seed(4)
    t = torch.randn(6, 5, generator=rng)
    turned = t @ torch.linalg.qr(torch.randn(5, 5, generator=rng))[0]
    assert float(likeness.RELATIONS[by](turned, t)) == pytest.approx(0, abs=1e-6)
    s = torch.randn(6, 3, generator=rng)
    s[1] = s[0]  # two of one recording
    s.requires_grad_()
    likeness.RELATIONS[by](s, t).backward()
    assert s.grad is not None
    assert bool(s.grad.isfinite().all())


def test_stretch_by_hand() -> None:
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    mask, onto = lengths_to_mask(torch.tensor([4, 2]), 4), lengths_to_mask(torch.tensor([6, 2]), 7)
    x[1, 2:] = 99
    out = stretch(x, mask, onto)
    for i, (p, q) in enumerate([(4, 6), (2, 2)]):
        for m in range(q):
            at = min(max((m + 0.5) * p / q - 0.5, 0), p - 1)
            low = int(at)
            wanted = (1 - (at - low)) * x[i, low] + (at - low) * x[i, min(low + 1, p - 1)]
            assert torch.allclose(out[i, m], wanted, atol=1e-5)
        assert not out[i, q:].any()


@pytest.mark.parametrize("by", ALL)
def test_padding_and_order_change_nothing(by: str) -> None:
    learner, batch = build(by), ranks.batch(True)
    audio = batch.inputs["audio"]
    assert isinstance(audio, Padded)
    assert audio.mask is not None
    longer = Padded(torch.nn.functional.pad(audio.values, (0, 12)), torch.nn.functional.pad(audio.mask, (0, 12)))
    wanted = found(learner, batch)
    assert wanted > 0
    padded = Batch({**batch.inputs, "audio": longer}, batch.group)
    close = {"rel": 1e-3, "abs": 3e-8}  # what differences of logarithms near 1 are exact to
    assert found(learner, padded) == pytest.approx(wanted, **close)
    assert found(learner, batch.take(torch.randperm(8))) == pytest.approx(wanted, **close)


@pytest.mark.parametrize("by", ALL)
def test_the_student_learns_and_the_teacher_is_neither_changed_nor_saved(by: str) -> None:
    learner = build(by).train()
    teacher = learner.objectives[0].towers[0].tower  # type: ignore[union-attr, index]
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    optimiser = torch.optim.Adam(learner.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = learner(ranks.batch(True))["distil"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())
    assert not any("tower" in k for k in learner.objectives[0].state_dict())


def test_a_run_teaches_itself_nothing_and_others_are_refused(tiny_run: Any, tiny_model: Any) -> None:
    run = str(tiny_run)
    assert Distil.Config(runs=[run]).build(tiny_model).regressor is not None
    other = SimpleNamespace(dim=7, audio=tiny_model.audio, image=tiny_model.image)
    with pytest.raises(UserError, match="32 dimensions, the student 7") as told:
        Distil.Config(runs=[run], by="embedding").build(other)
    assert "regressor" in told.value.fix
    assert Distil.Config(runs=[run], by="embedding", regressor=True).build(other).regressor.weight.shape == (32, 7)
    with pytest.raises(UserError, match="pictures lie elsewhere"):
        Distil.Config(runs=[run]).build(SimpleNamespace(dim=32, audio=tiny_model.audio, image=ranks.Plain()))
    with pytest.raises(UserError, match="channels"):
        Distil.Config(runs=[run], by="gram").build(SimpleNamespace(dim=32, audio=tower(0)))
    with pytest.raises(UserError, match="no trained model"):
        Distil.Config(runs=[run + "-none"]).build(tiny_model)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"runs": []}, "either runs teach"),
        ({"runs": ["a", "b"], "by": "gram"}, "takes one run"),
        ({"runs": ["a"], "by": "gram", "regressor": True}, "a regressor is for"),
    ],
)
def test_bad_sections(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Distil.Config(**changes)


def test_a_run_learns_from_another_alone_and_beside_pictures(
    tiny_run: Any, tiny_book: Any, tiny_recipe: Any, tmp_path: Any
) -> None:
    from lookhear.models.model import Model
    from lookhear.training.train import train

    recipe = tmp_path / "small.toml"
    recipe.write_text(
        f"""extends = "{tiny_recipe}"
teacher_run = "{tiny_run}"
objectives = [{{ kind = "infonce" }}, {{ kind = "distil", runs = ["{tiny_run}"], temperature = 2.0 }}]
[speech]
width = 8
[[stages]]
objectives = [
    {{ kind = "distil", runs = ["{tiny_run}"], by = "hidden" }},
    {{ kind = "transfer", run = "{tmp_path / "first"}" }},
]
[stages.training]
epochs = 1
batch_size = 8
precision = "32"
"""
    )
    train(str(recipe), tiny_book, tmp_path / "first", changes=["stages=[]"], progress=False)
    train(str(recipe), tiny_book, tmp_path / "small", progress=False)
    small = Model.load(tmp_path / "small")
    assert small.audio is not None
    assert small.audio.width == 8
    assert not any("regressor" in k for k in small.state_dict())
