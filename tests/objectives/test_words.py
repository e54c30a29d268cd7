"""Word prompts against a loop."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Batch, Features
from lookhear.objectives.base import Views
from lookhear.objectives.words import WordPrompts

SAID = torch.tensor([[True, False, True], [False, False, False], [False, True, True]])


def views(groups: list[int]) -> Views:
    rng = torch.Generator().manual_seed(0)
    pictures = F.normalize(torch.randn(len(groups), 4, generator=rng), dim=-1)
    text = SimpleNamespace(project=lambda vectors: F.normalize(vectors[:, :4], dim=-1))
    return Views(SimpleNamespace(text=text), Batch({"image": Features.of_pooled(pictures)}, torch.tensor(groups)))


def slow(v: Views, prompts: torch.Tensor, scale: float, bias: float) -> float:
    total = 0.0
    for picture, group in zip(v["image"].pooled, v.group.tolist(), strict=True):
        for word, vector in enumerate(prompts):
            unit = vector[:4] / vector[:4].norm()
            p = 1 / (1 + math.exp(-(scale * float(picture @ unit) + bias)))
            total -= math.log(p if SAID[group, word] else 1 - p)
    return total / (len(v.group) * len(prompts))


def test_by_hand() -> None:
    v = views([0, 2, 2, 1])
    prompts = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(1))
    objective = WordPrompts(prompts, SAID, 10.0)
    with torch.no_grad():
        objective.logit_scale.fill_(1.0)
        objective.bias.fill_(-0.5)
    loss = objective(v)
    assert list(loss) == ["words"]
    assert float(loss["words"].detach()) == pytest.approx(10 * slow(v, prompts[0], math.e, -0.5), rel=1e-5)


def test_every_template_is_drawn_and_the_seed_decides() -> None:
    v = views([0, 1])
    prompts = torch.randn(3, 3, 6, generator=torch.Generator().manual_seed(1))
    objective = WordPrompts(prompts, SAID, 1.0)
    wanted = [slow(v, p, math.exp(2.3), -4.0) for p in prompts]
    seen = []
    for seed in range(20):
        torch.manual_seed(seed)
        first = float(objective(v)["words"])
        torch.manual_seed(seed)
        assert float(objective(v)["words"]) == first
        seen.append(min(range(3), key=lambda i: abs(wanted[i] - first)))
        assert first == pytest.approx(wanted[seen[-1]], rel=1e-4)
    assert set(seen) == {0, 1, 2}


def test_prompts_are_no_weights() -> None:
    objective = WordPrompts(torch.zeros(1, 3, 6), SAID, 1.0)
    assert sorted(objective.state_dict()) == ["bias", "logit_scale"]
