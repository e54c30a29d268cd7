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

DIM, WORDS = 4, 3
SAID = torch.tensor([[True, False, True], [False, False, False], [False, True, True]])
SHARE = torch.tensor([0.2, 0.05, 0.7])


def views(groups: list[int], patches: int = 5) -> Views:
    rng = torch.Generator().manual_seed(0)
    pooled = F.normalize(torch.randn(len(groups), DIM, generator=rng), dim=-1)
    local = torch.randn(len(groups), patches, DIM, generator=rng)
    pictures = Features(pooled, local, torch.ones(len(groups), patches, dtype=torch.bool), (1, patches))
    text = SimpleNamespace(project=lambda vectors: F.normalize(vectors[:, :DIM], dim=-1))
    return Views(SimpleNamespace(text=text), Batch({"image": pictures}, torch.tensor(groups)))


def prompts(templates: int = 1) -> torch.Tensor:
    return torch.randn(templates, WORDS, 6, generator=torch.Generator().manual_seed(1))


def dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def slow(v: Views, words: torch.Tensor, objective: WordPrompts) -> float:
    """The formula of the class, one picture, word and reading at a time."""
    scales, biases = objective.scales.tolist(), objective.biases.tolist()
    image, total = v["image"], 0.0
    for picture, patches, group in zip(image.pooled, image.local, v.group.tolist(), strict=True):
        for word in range(WORDS):
            unit = words[word][:DIM] / words[word][:DIM].norm()
            readings = [dot(picture, unit)]
            if len(patches) > 1:
                readings.append(max(dot(p, unit) for p in patches))
                readings.append(max(dot(p, objective.tags[:, word].detach()) for p in patches))
            p = float(SHARE[word])
            entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
            for score, scale, bias in zip(readings, scales, biases, strict=False):
                z = score * math.exp(scale) + bias + math.log(p / (1 - p))
                yes = 1 / (1 + math.exp(-z))
                total -= math.log(yes if SAID[group, word] else 1 - yes) / entropy
    return total / (len(v.group) * WORDS)


@pytest.mark.parametrize("patches", [1, 5])
def test_by_hand(patches: int) -> None:
    v = views([0, 2, 2, 1], patches)
    objective = WordPrompts(prompts(), SAID, SHARE, DIM, 10.0)
    with torch.no_grad():
        objective.scales.copy_(torch.tensor([1.0, 0.4, -0.3]))
        objective.biases.copy_(torch.tensor([-0.5, 0.2, 0.1]))
    loss = objective(v)
    assert list(loss) == ["words"]
    assert float(loss["words"].detach()) == pytest.approx(10 * slow(v, prompts()[0], objective), rel=1e-5)


def test_knowing_only_how_often_a_word_is_said_costs_one_a_word() -> None:
    """The normalised cross-entropy of the prior is 1 for each word, frequent or rare."""
    said = torch.zeros(100, WORDS, dtype=torch.bool)
    for word, share in enumerate(SHARE.tolist()):
        said[: round(100 * share), word] = True
    objective = WordPrompts(torch.zeros(1, WORDS, 6), said, SHARE, DIM, 1.0)
    nothing = Features.of_pooled(torch.zeros(100, DIM))
    text = SimpleNamespace(project=lambda vectors: vectors[:, :DIM])
    blind = Views(SimpleNamespace(text=text), Batch({"image": nothing}, torch.arange(100)))
    assert float(objective(blind)["words"].detach()) == pytest.approx(1.0, abs=1e-5)


def test_a_word_that_all_or_none_say_stays_finite() -> None:
    objective = WordPrompts(prompts(), SAID, torch.tensor([0.0, 1.0, 0.5]), DIM, 1.0)
    assert math.isfinite(float(objective(views([0, 1]))["words"].detach()))


def test_every_template_is_drawn_and_the_seed_decides() -> None:
    v, all_prompts = views([0, 1]), prompts(3)
    objective = WordPrompts(all_prompts, SAID, SHARE, DIM, 1.0)
    wanted = [slow(v, p, objective) for p in all_prompts]
    seen = []
    for seed in range(20):
        torch.manual_seed(seed)
        first = float(objective(v)["words"].detach())
        torch.manual_seed(seed)
        assert float(objective(v)["words"].detach()) == first
        seen.append(min(range(3), key=lambda i: abs(wanted[i] - first)))
        assert first == pytest.approx(wanted[seen[-1]], rel=1e-4)
    assert set(seen) == {0, 1, 2}


def test_prompts_and_counts_are_no_weights() -> None:
    objective = WordPrompts(prompts(), SAID, SHARE, DIM, 1.0)
    assert sorted(objective.state_dict()) == ["biases", "scales", "tags"]
