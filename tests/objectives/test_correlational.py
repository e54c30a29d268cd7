"""Correlational image modelling: map and loss by loops, boxes wherever they are drawn, what is saved, bad inputs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import ranks_views
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.images import PictureTower, VectorTower
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.correlational import Correlational, Correlator, overlap, sinusoids
from lookhear.objectives.exemplars import boxes, boxes_cover, cut_boxes, cut_spans, spans, spans_cover

Vector = list[float]


def linear(x: Vector, layer: nn.Module) -> Vector:
    assert isinstance(layer, nn.Linear)
    return [
        sum(w * v for w, v in zip(row, x, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def norm(x: Vector, layer: nn.Module) -> Vector:
    assert isinstance(layer, nn.LayerNorm)
    mean = sum(x) / len(x)
    spread = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + layer.eps)
    return [(v - mean) / spread * w + b for v, w, b in zip(x, layer.weight.tolist(), layer.bias.tolist(), strict=True)]


def gelu(x: Vector) -> Vector:
    return [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]


def slow_logit(c: Correlator, position: Vector, place: Vector, exemplar: list[Vector]) -> float:
    """One position asks one exemplar, head by head."""
    x = [
        a + float(c.place.detach()) * b for a, b in zip(norm(linear(position, c.map[0]), c.map[1]), place, strict=True)
    ]
    query = linear(norm(x, c.asks), c.query)
    read = [norm(norm(linear(token, c.map[0]), c.map[1]), c.asked) for token in exemplar]
    keys = [linear(token, c.key) for token in read]
    values = [c.nothing.tolist()] + [linear(token, c.value) for token in read]
    wide, found = len(x) // c.heads, []
    for head in range(c.heads):
        part = slice(head * wide, (head + 1) * wide)
        scores = [sum(a * b for a, b in zip(query[part], k[part], strict=True)) / math.sqrt(wide) for k in keys]
        scores = [float(c.score[head].detach()), *scores]
        total = sum(math.exp(s) for s in scores)
        found += [
            sum(math.exp(s) / total * v[i] for s, v in zip(scores, values, strict=True))
            for i in range(head * wide, (head + 1) * wide)
        ]
    x = [a + b for a, b in zip(x, linear(found, c.out), strict=True)]
    x = [a + b for a, b in zip(x, linear(gelu(linear(norm(x, c.mlp[0]), c.mlp[1])), c.mlp[3]), strict=True)]
    return linear(norm(x, c.told[0]), c.told[1])[0]


def slow_place(step: Any, n: int, width: int) -> Vector:
    axes = [n // step[1], n % step[1]] if isinstance(step, tuple) else [n]
    each = width // (2 * len(axes))
    return [f(p / 10000 ** (i / each)) for p in axes for f in (math.sin, math.cos) for i in range(each)]


def cross_entropy(logit: float, share: float) -> float:
    right = 1 / (1 + math.exp(-logit))
    return -share * math.log(right) - (1 - share) * math.log(1 - right)


def slow_loss(objective: Correlational, context: Features, exemplars: Features, share: Any) -> float:
    """The loss by loops; ``share(item, exemplar, position)`` is what is right."""
    k, items = objective.config.exemplars, []
    assert context.hidden is not None
    assert exemplars.hidden is not None
    for b in range(len(context)):
        each = []
        for e in range(k):
            tokens = [h.tolist() for h, m in zip(exemplars.hidden[b * k + e], exemplars.mask[b * k + e]) if m]
            real = [n for n in range(context.mask.shape[1]) if context.mask[b, n]]
            for n in real:
                place = slow_place(context.step, n, objective.config.width)
                logit = slow_logit(objective.correlator, context.hidden[b, n].tolist(), place, tokens)
                each.append(cross_entropy(logit, share(b, e, n)) / (k * len(real)))
        items.append(sum(each))
    return sum(items) / len(items)


def learned(learner: Learner, steps: int = 2) -> Learner:
    """Trained for some steps, so that the slow copy is another than the tower."""
    optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
    for step in range(steps):
        optimiser.zero_grad()
        torch.stack(list(learner(ranks_views.batch(step)).values())).sum().backward()
        optimiser.step()
        learner.after_step(step)
    return learner


def seen(learner: Learner, batch: Batch) -> tuple[Correlational, float, Features, Features, Tensor]:
    """Objective, its loss, what it compared, and where the exemplars were cut out, all of one seed."""
    objective = learner.objectives[0]
    assert isinstance(objective, Correlational)
    tower, on = getattr(learner.model, objective.config.on), objective.config.on
    torch.manual_seed(3)
    loss = float(objective(Views(learner.model, batch))["correlational"].detach())
    torch.manual_seed(3)
    exemplars, drawn = objective._cut(batch, batch.inputs[on])  # type: ignore[arg-type]
    context = objective.slow(tower, objective._context(batch.inputs[on]))  # type: ignore[arg-type]
    return objective, loss, context, tower(exemplars), drawn


def test_loss_of_recordings_by_hand() -> None:
    learner = learned(ranks_views.learner("correlational"))
    learner.model.audio.eval()
    batch = ranks_views.batch(2).take(torch.tensor([4, 2]))
    objective, found, context, exemplars, drawn = seen(learner, batch)
    lengths = batch.inputs["audio"].mask.sum(1).tolist()  # type: ignore[union-attr]

    def share(b: int, e: int, n: int) -> float:
        start, end = drawn[b * 3 + e].tolist()
        frames = range(4 * n, min(4 * n + 4, lengths[b]))
        return sum(start <= t < end for t in frames) / len(frames)

    assert found == pytest.approx(slow_loss(objective, context, exemplars, share), abs=1e-4)


def pictures(count: int, size: int = 64) -> Batch:
    values = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(4))
    return Batch({"image": Padded(values)}, torch.arange(count), [f"picture-{i}" for i in range(count)])


def looking(**changes: Any) -> Learner:
    torch.manual_seed(0)
    model = nn.Module()
    model.image = PictureTower(8, size=32, width=2)
    config = Correlational.Config(**{"exemplars": 2, "width": 8, "heads": 2, "size": 16, "decay": 0.5, **changes})
    return Learner(model, [config.build(model)]).train()


@pytest.mark.parametrize("context", [0, 24])
def test_loss_of_pictures_by_hand(context: int) -> None:
    learner = looking(context=context)
    learner.objectives[0].slow.update(learner.model.image)  # type: ignore[union-attr, operator]
    with torch.no_grad():
        for weight in learner.model.image.parameters():
            weight.add_(0.02)
    learner.model.eval()
    batch = pictures(3, 32)
    objective, found, seen_context, exemplars, drawn = seen(learner, batch)
    side = (context or 32) // 8
    assert seen_context.step == (side, side)

    def share(b: int, e: int, n: int) -> float:
        x, y, half_width, half_height, angle, _ = drawn[b * 2 + e].tolist()
        inside = 0
        for i in range(4):
            for j in range(4):
                dy = (n // side + (i + 0.5) / 4) * 32 / side - y
                dx = (n % side + (j + 0.5) / 4) * 32 / side - x
                along = dx * math.cos(angle) + dy * math.sin(angle)
                across = -dx * math.sin(angle) + dy * math.cos(angle)
                inside += abs(along) <= half_width and abs(across) <= half_height
        return inside / 16

    assert found == pytest.approx(slow_loss(objective, seen_context, exemplars, share), abs=1e-4)


def test_places_are_told_apart() -> None:
    assert torch.allclose(sinusoids((3, 5), 15, 8)[7], torch.tensor(slow_place((3, 5), 7, 8)), atol=1e-6)
    for step, count in (((4, 4), 16), (0.04, 30)):
        rows = sinusoids(step, count, 8)
        assert rows.shape == (count, 8)
        assert float((torch.cdist(rows, rows) + torch.eye(count)).min()) > 0.1


areas = st.tuples(st.floats(0.02, 0.9), st.floats(0.02, 0.9)).map(lambda x: (min(x), max(x)))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(16, 90), st.integers(16, 90), areas, st.floats(1, 4), st.floats(0, 180), st.booleans(), st.integers(0)
)
def test_boxes_lie_in_the_picture_and_cover_what_they_measure(
    height: int, width: int, area: tuple[float, float], aspect: float, turn: float, flip: bool, seed: int
) -> None:
    found = boxes(5, (height, width), area, aspect, turn, flip, torch.Generator().manual_seed(seed % 2**32))
    again = boxes(5, (height, width), area, aspect, turn, flip, torch.Generator().manual_seed(seed % 2**32))
    assert torch.equal(found, again)
    x, y, a, b, angle, mirrored = found.unbind(1)
    for i in (-1, 1):
        for j in (-1, 1):
            across = x + i * a * angle.cos() - j * b * angle.sin()
            down = y + i * a * angle.sin() + j * b * angle.cos()
            assert float(across.min()) >= -1e-3
            assert float(down.min()) >= -1e-3
            assert float(across.max()) <= width + 1e-3
            assert float(down.max()) <= height + 1e-3
    ratio = a / b
    assert float(ratio.maximum(1 / ratio).max()) <= aspect * (1 + 1e-4)
    assert float(angle.abs().max()) <= math.radians(turn) + 1e-6
    assert set(mirrored.tolist()) <= ({-1.0, 1.0} if flip else {1.0})
    measured = 4 * a * b / (height * width)
    assert float(measured.max()) <= area[1] * (1 + 1e-4)
    fine = boxes_cover(found, (height, width), (50, 50)).mean(1)
    assert torch.allclose(fine, measured, atol=0.02)
    coarse = boxes_cover(found, (height, width), (25, 25))
    assert torch.allclose(coarse.mean(1), measured, atol=0.03)
    assert float(coarse.min()) >= 0
    assert float(coarse.max()) <= 1


def test_a_box_that_fits_has_the_area_that_was_drawn() -> None:
    found = boxes(500, (60, 90), (0.1, 0.2), 1.5, 0, False, torch.Generator().manual_seed(0))
    measured = 4 * found[:, 2] * found[:, 3] / (60 * 90)
    assert 0.1 <= float(measured.min()) < 0.105
    assert 0.195 < float(measured.max()) <= 0.2 + 1e-6
    assert 0.146 < float(measured.mean()) < 0.154


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 400), areas, st.integers(1, 16), st.integers(0))
def test_stretches_lie_in_the_recording_and_cover_what_they_are_long(
    length: int, area: tuple[float, float], frames: int, seed: int
) -> None:
    found = spans(6, length, area, frames, torch.Generator().manual_seed(seed % 2**32))
    long = found[:, 1] - found[:, 0]
    assert int(found.min()) >= 0
    assert int(found.max()) <= length
    assert int(long.min()) >= min(frames, length)
    assert int(long.max()) <= max(round(area[1] * length), frames)
    positions = -(-length // frames)
    share = spans_cover(found, torch.full((6,), length), positions + 2, frames)
    real = torch.tensor([min(frames, length - n * frames) for n in range(positions)])
    assert torch.allclose((share[:, :positions] * real).sum(1), long.float(), atol=1e-3)
    assert float(share[:, positions:].abs().sum()) == 0
    values = torch.arange(float(length)).expand(2, length)
    cut = cut_spans(values, found)
    assert cut.mask is not None
    for piece, mask, (start, end) in zip(cut.values, cut.mask, found.tolist(), strict=True):
        assert piece[0, mask].tolist() == list(range(start, end))


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_a_ramp_says_where_each_pixel_of_an_exemplar_was(angle: float, mirrored: float) -> None:
    """The first channel holds x, the second y: what is cut out must hold the places where its pixels were."""
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    image = torch.stack([x, y, torch.zeros_like(x)])[None]
    box = torch.tensor([[33.0, 18.0, 12.0, 7.0, angle, mirrored]])
    found = cut_boxes(image, box, 8)[0]
    for row in range(8):
        for column in range(8):
            along, down = 12 * mirrored * ((column + 0.5) / 4 - 1), 7 * ((row + 0.5) / 4 - 1)
            assert float(found[0, row, column]) == pytest.approx(
                33 + along * math.cos(angle) - down * math.sin(angle), abs=1e-3
            )
            assert float(found[1, row, column]) == pytest.approx(
                18 + along * math.sin(angle) + down * math.cos(angle), abs=1e-3
            )


def test_overlap_by_hand() -> None:
    told = torch.tensor([[True, True, False, True], [False, False, False, True]])
    covered = torch.tensor([[True, False, True, True], [False, False, False, False]])
    real = torch.tensor([[True, True, True, False], [True, True, True, False]])
    assert overlap(told, covered, real).tolist() == pytest.approx([1 / 3, 1.0])


def test_slow_copy_goes_on_from_what_was_saved() -> None:
    first, batch = learned(ranks_views.learner("correlational"), 3), ranks_views.batch(3)
    second = ranks_views.learner("correlational")
    second.load_state_dict(first.state_dict())
    slow, weights = first.objectives[0].slow.weights, dict(first.model.audio.named_parameters())  # type: ignore[union-attr]
    assert len(slow) >= sum(p.numel() for p in weights.values())  # type: ignore[arg-type]
    assert not slow.requires_grad  # type: ignore[union-attr]
    losses = []
    for learner in (first, second):
        optimiser = torch.optim.SGD(learner.parameters(), lr=0.1)
        learner.zero_grad()
        torch.manual_seed(9)
        learner(batch)["correlational"].backward()
        optimiser.step()
        learner.after_step(3)
        torch.manual_seed(10)
        losses.append(learner(batch)["correlational"])
    assert torch.equal(*losses)
    assert torch.equal(first.objectives[0].slow.weights, second.objectives[0].slow.weights)  # type: ignore[union-attr, arg-type]


def test_the_context_gives_no_gradient_and_exemplars_do() -> None:
    learner = looking()
    objective = learner.objectives[0]
    context = objective.slow(learner.model.image, pictures(2).inputs["image"])  # type: ignore[union-attr, operator]
    assert not context.hidden.requires_grad
    learner(pictures(2))["correlational"].backward()
    first = next(learner.model.image.parameters())  # type: ignore[union-attr]
    assert float(first.grad.abs().max()) > 0


def test_it_learns_where_pieces_were() -> None:
    torch.manual_seed(0)
    learner = looking(width=32, turn=0.0, aspect=1.0, flip=False, looks={}, area=(0.2, 0.3), decay=0.9)
    base = torch.nn.functional.interpolate(pictures(6, 4).inputs["image"].values, size=32, mode="bilinear")  # type: ignore[union-attr]
    batch = Batch({"image": Padded(base)}, torch.arange(6), [str(i) for i in range(6)])
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-2)
    found = []
    for step in range(60):
        torch.manual_seed(step)
        optimiser.zero_grad()
        loss = learner(batch)["correlational"]
        loss.backward()
        optimiser.step()
        learner.after_step(step)
        found.append(float(loss.detach()))
    assert sum(found[-10:]) < 0.6 * sum(found[:10])
    assert 0 < learner.told()["IoU"] <= 1


@pytest.mark.parametrize("config", [LocalTower.Config(bins=20, width=8), SeedTower.Config(width=16, layers=1)])
def test_speech_towers_of_any_step_learn(config: Any) -> None:
    torch.manual_seed(0)
    model = nn.Module()
    model.audio = config.build(8)
    learner = Learner(model, [Correlational.Config(on="audio", exemplars=2, width=16, area=(0.2, 0.4)).build(model)])
    values = torch.randn(3, model.audio.channels, 150, generator=torch.Generator().manual_seed(2))
    batch = Batch({"audio": Padded(values, lengths_to_mask(torch.tensor([150, 90, 121]), 150))}, torch.arange(3))
    learner.check(batch, 3)
    loss = learner(batch)["correlational"]
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert any(float(p.grad.abs().max()) > 0 for p in model.audio.parameters() if p.grad is not None)


def test_half_precision_is_near_the_whole() -> None:
    learner, batch = looking(), pictures(4)
    torch.manual_seed(0)
    whole = float(learner(batch)["correlational"].detach())
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(learner(batch)["correlational"].detach()) == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "told", "fix"),
    [
        ({"area": (0.001, 0.2)}, "of 64 positions may cover nothing", "between 0.02 and 0.98"),
        ({"area": (0.2, 0.995)}, "of 64 positions may cover everything", "between 0.02 and 0.98"),
        ({"area": (0.01, 0.2), "context": 16}, "of 4 positions may cover nothing", "between 0.25 and 0.75"),
        ({"context": 8}, "items of 1 positions have no places", "a larger context"),
    ],
)
def test_what_could_not_be_learned_is_refused_before_the_first_step(
    changes: dict[str, Any], told: str, fix: str
) -> None:
    with pytest.raises(UserError, match=told) as error:
        looking(**changes).check(pictures(2), 20)
    assert fix in error.value.fix


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"area": (0.0, 0.2)}, "both above 0"),
        ({"area": (0.5, 0.2)}, "smaller share comes first"),
        ({"area": (0.5, 1.0)}, "below 1"),
        ({"width": 30}, "that 4 and its heads divide"),
        ({"width": 32, "heads": 5}, "that 4 and its heads divide"),
    ],
)
def test_sections_that_say_nothing_sensible(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Correlational.Config(**changes)


def test_towers_of_something_else_and_vectors_are_refused() -> None:
    model = nn.Module()
    model.image = VectorTower(12, 8)
    with pytest.raises(UserError, match="cuts pieces out of pictures"):
        Correlational.Config(on="image").build(model)
    vectors = Batch({"image": Features.of_pooled(torch.eye(4))}, torch.arange(4))
    with pytest.raises(UserError, match="needs pictures or log-mels"):
        looking().check(vectors, 4)
