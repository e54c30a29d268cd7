"""Word tags against a loop; what they teach."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.core import Batch, Features, Padded, lengths_to_mask, pool
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.tags import WordTags
from lookhear.scoring import Compatibility

DIM, WORDS = 4, 3
SHARE = torch.tensor([0.2, 0.05, 0.7])
LENGTHS = torch.tensor([6, 2, 4])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


WORD_VECTORS = F.normalize(random(WORDS, DIM, seed=1), dim=-1)
TAGS = torch.rand(3, WORDS, generator=torch.Generator().manual_seed(2))


def batch(extra: int = 0) -> Batch:
    """Three recordings of 6, 2 and 4 frames, padded by ``extra`` more; whatever stands in the padding is noise."""
    size = int(LENGTHS.max()) + extra
    mask = lengths_to_mask(LENGTHS, size)
    local = random(3, 6, DIM)
    local = torch.cat([local, 9 + random(3, extra, DIM, seed=3)], dim=1)
    return Batch({"audio": Features(pool(local, mask), local, mask, 0.04), "tags": Padded(TAGS)}, torch.arange(3))


def views(b: Batch, smooth: float = 0.0) -> Views:
    return Views(SimpleNamespace(compatibility=Compatibility(smooth=smooth)), b)


def slow(objective: WordTags) -> float:
    """The formula of the class without smoothing of the curve, one recording and word at a time."""
    audio = batch().inputs["audio"]
    scale, bias, total = float(objective.scale.detach().exp()), float(objective.bias.detach()), 0.0
    for item, (frames, length) in enumerate(zip(audio.local.tolist(), LENGTHS.tolist(), strict=True)):
        for word, p in enumerate(SHARE.tolist()):
            cosines = []
            for frame in frames[:length]:
                dot = sum(a * b for a, b in zip(frame, WORD_VECTORS[word].tolist(), strict=True))
                cosines.append(dot / math.sqrt(sum(a * a for a in frame)))
            height = max(cosines) * scale
            if objective.r is not None:
                height = math.log(sum(math.exp(objective.r * scale * c) for c in cosines) / length) / objective.r
            z = height + bias + math.log(p / (1 - p))
            yes, tag = 1 / (1 + math.exp(-z)), float(TAGS[item, word])
            entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
            total -= (tag * math.log(yes) + (1 - tag) * math.log(1 - yes)) / entropy
    return total / (3 * WORDS)


@pytest.mark.parametrize("r", [None, 0.7])
def test_by_hand(r: float | None) -> None:
    objective = WordTags(WORD_VECTORS, SHARE, 6.0, r)
    with torch.no_grad():
        objective.scale.fill_(1.2)
        objective.bias.fill_(-0.4)
    loss = objective(views(batch()))
    assert list(loss) == ["tags"]
    assert float(loss["tags"].detach()) == pytest.approx(6 * slow(objective), rel=1e-5)


@settings(max_examples=20)
@given(extra=st.integers(1, 20), smooth=st.sampled_from([0.0, 0.12, 0.28]), r=st.sampled_from([None, 1.2]))
def test_padding_changes_nothing(extra: int, smooth: float, r: float | None) -> None:
    objective = WordTags(WORD_VECTORS, SHARE, 1.0, r)
    plain = objective(views(batch(), smooth))["tags"]
    (of_plain,) = torch.autograd.grad(plain, objective.scale)
    padded = objective(views(batch(extra), smooth))["tags"]
    (of_padded,) = torch.autograd.grad(padded, objective.scale)
    assert float(padded.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    assert float(of_padded) == pytest.approx(float(of_plain), rel=1e-4, abs=1e-6)


def test_knowing_only_how_often_a_word_is_true_costs_one_a_word() -> None:
    """Tags that are always the prior, and a speech tower that says nothing: the normalised cross-entropy is 1."""
    nothing = Features(torch.zeros(5, DIM), torch.zeros(5, 2, DIM), torch.ones(5, 2, dtype=torch.bool), 0.04)
    b = Batch({"audio": nothing, "tags": Padded(SHARE.expand(5, WORDS))}, torch.arange(5))
    loss = WordTags(WORD_VECTORS, SHARE, 1.0)(views(b))["tags"]
    assert float(loss.detach()) == pytest.approx(1.0, abs=1e-5)


def test_only_the_best_moment_learns() -> None:
    b = batch()
    audio = b.inputs["audio"]
    local = audio.local.clone().requires_grad_()
    objective = WordTags(WORD_VECTORS[:1], SHARE[:1], 1.0)
    inputs = {"audio": Features(audio.pooled, local, audio.mask, 0.04), "tags": Padded(TAGS[:, :1])}
    objective(views(Batch(inputs, b.group)))["tags"].backward()
    best = Compatibility(smooth=0).curve(audio, WORD_VECTORS[:1])[..., 0].argmax(1)
    moved = local.grad.abs().sum(2) > 0  # type: ignore[union-attr]
    assert torch.equal(moved, F.one_hot(best, 6).bool())


def test_words_are_no_weights() -> None:
    assert sorted(WordTags(WORD_VECTORS, SHARE, 1.0).state_dict()) == ["bias", "scale"]


def test_a_batch_without_tags_is_refused() -> None:
    learner = Learner(torch.nn.Module(), [WordTags(WORD_VECTORS, SHARE, 1.0)])
    b = batch()
    with pytest.raises(Exception, match="WordTags needs tags"):
        learner.check(Batch({"audio": b.inputs["audio"]}, b.group), 8)


@pytest.mark.parametrize("wrong", [{"prompts": ["a dog"]}, {"prompts": []}, {"weight": 0}, {"words": 0}])
def test_wrong_settings(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WordTags.Config.model_validate(wrong)
