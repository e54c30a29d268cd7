"""The loss of a tag head against loops, and its way into a run and out of it."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask, pool
from lookhear.models.heads import TagHead
from lookhear.objectives.asked import Tags
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.tag_head import TagHeadLoss

H, V = 5, 3
TARGET = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.7, 0.3], [0.0, 0.0, 1.0], [0.5, 0.5, 0.1]])


class Tower(nn.Module):
    width = H


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.audio, self.head = Tower(), None


def built(**config: object) -> tuple[Model, TagHeadLoss]:
    torch.manual_seed(0)
    model = Model()
    tags = Tags(["dog", "cat", "sea"], torch.eye(V), TARGET)
    return model, TagHeadLoss.Config.model_validate(config).build(model, tags)


def batch() -> Batch:
    g = torch.Generator().manual_seed(0)
    mask = lengths_to_mask(torch.tensor([4, 2, 3, 1]), 4)
    local = torch.randn(4, 4, 2, generator=g) * mask[..., None]
    audio = Features(pool(local, mask), local, mask, 0.04, torch.randn(4, 4, H, generator=g))
    return Batch({"audio": audio, "tag_head": Padded(TARGET.half())}, torch.arange(4))


def by_hand(z: list[list[float]], config: TagHeadLoss.Config) -> float:
    share = TARGET.mean(0).tolist()
    total = 0.0
    for i in range(4):
        for v in range(V):
            p = min(max(share[v], 1e-4), 1 - 1e-4)
            s = 1 / (1 + math.exp(-z[i][v] - math.log(p / (1 - p))))
            t = float(TARGET.half()[i, v])
            positive = min((1 - p) / p, 100.0) if config.balance == "positives" else 1.0
            loss = -positive * t * math.log(s) - (1 - t) * math.log(1 - s)
            if config.loss == "focal":
                loss *= abs(t - s) ** config.gamma
            if config.balance == "entropy":
                loss /= -p * math.log(p) - (1 - p) * math.log(1 - p)
            total += loss
    return config.weight * total / (4 * V)


@pytest.mark.parametrize("loss", ["bce", "focal"])
@pytest.mark.parametrize("balance", ["none", "entropy", "positives"])
def test_against_loops(loss: str, balance: str) -> None:
    model, objective = built(loss=loss, balance=balance, weight=0.5)
    found = objective(Views(model, batch()))["tag_head"]
    z = model.head(batch().inputs["audio"]).tags.tolist()
    assert float(found.detach()) == pytest.approx(by_hand(z, objective.config), rel=1e-4)


def test_a_softmax_shares_one_probability() -> None:
    model, objective = built(head={"reading": "mean", "softmax": True})
    found = objective(Views(model, batch()))["tag_head"]
    logs = model.head(batch().inputs["audio"]).tags.tolist()
    target = TARGET.half().float().tolist()
    wanted = -sum(t / sum(row) * x for row, out in zip(target, logs) for t, x in zip(row, out)) / 4
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-5)


def test_the_head_is_the_models_and_learns_with_it() -> None:
    model, objective = built()
    learner = Learner(model, [objective])
    assert isinstance(model.head, TagHead)
    assert model.head.names == ("dog", "cat", "sea")
    assert any(name.startswith("model.head.") for name, _ in learner.named_parameters())
    assert not objective.state_dict()
    sum(learner(batch()).values()).backward()
    assert all(p.grad is not None for p in model.head.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight": 0},
        {"weight": -1},
        {"loss": "hinge"},
        {"head": {"reading": "median"}},
        {"prompts": ["dog"]},
        {"lambda": 1},
    ],
    ids=["no weight", "negative weight", "unknown loss", "unknown reading", "prompt without word", "unknown key"],
)
def test_mistakes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TagHeadLoss.Config.model_validate(wrong)
