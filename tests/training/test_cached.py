"""The gradient of a whole batch from its parts; batches that grow."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Batch, Features, Padded, lengths_to_mask
from lookhear.models.heads import TagHead
from lookhear.models.speech import LocalTower, SeedTower, SpeechTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.tag_head import TagHeadLoss
from lookhear.objectives.tags import WordTags
from lookhear.scoring import Compatibility
from lookhear.training.annealed import Annealed
from lookhear.training.cached import backward_in_parts

DIM, B, T = 8, 10, 64


class Model(nn.Module):
    def __init__(self, audio: SpeechTower) -> None:
        super().__init__()
        self.audio, self.compatibility, self.head = audio, Compatibility(), None


def seed_tower() -> SpeechTower:
    torch.manual_seed(0)
    return SeedTower.Config(width=16, layers=1, heads=2).build(DIM)


def batch() -> Batch:
    g = torch.Generator().manual_seed(0)
    lengths = torch.randint(30, T + 1, (B,), generator=g)
    mel = Padded(torch.randn(B, 80, T, generator=g), lengths_to_mask(lengths, T))
    image = F.normalize(torch.randn(B, DIM, generator=g), dim=-1)
    tags = Padded(torch.rand(B, 3, generator=g))
    return Batch(
        {"audio": mel, "image": Features.of_pooled(image), "tags": tags, "tag_head": tags}, torch.arange(B) // 2
    )


def objectives(model: Model) -> list[Objective]:
    torch.manual_seed(1)
    words = F.normalize(torch.randn(3, DIM), dim=-1)
    model.head = TagHead(TagHead.Config(reading="query", mlp=4), model.audio.width, ("a", "b", "c"))
    share = torch.full((3,), 0.4)
    return [InfoNCE.Config().build(), WordTags(words, share, 2.0), TagHeadLoss(TagHeadLoss.Config(), share)]


def gradients(learner: Learner) -> dict[str, Tensor]:
    return {k: p.grad.clone() for k, p in learner.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("part", [1, 3, 4, 9])
@pytest.mark.parametrize("local", [False, True], ids=["pooled alone", "local vectors too"])
def test_parts_have_the_gradient_of_the_whole(part: int, local: bool) -> None:
    model = Model(seed_tower())
    learner = Learner(model, objectives(model) if local else [InfoNCE.Config().build()]).train()
    model.audio.centre.mean.normal_(0, 0.1)
    other = copy.deepcopy(learner)
    whole = learner(batch())
    torch.stack(list(whole.values())).sum().backward()
    parts = backward_in_parts(other, batch(), part)
    assert {k: float(v.detach()) for k, v in parts.items()} == pytest.approx(
        {k: float(v.detach()) for k, v in whole.items()}, rel=1e-5
    )
    expected, found = gradients(learner), gradients(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.allclose(found[name], value, atol=2e-6, rtol=1e-4), name
    assert torch.allclose(model.audio.centre.mean, other.model.audio.centre.mean, atol=1e-6)


def test_dropout_is_the_same_in_both_runs() -> None:
    torch.manual_seed(0)
    model = Model(LocalTower.Config(width=8, bins=80, dropout=0.5).build(DIM))
    learner = Learner(model, [InfoNCE.Config().build()]).train()
    other = copy.deepcopy(learner)
    torch.manual_seed(5)
    backward_in_parts(learner, batch(), 4)
    drawn = torch.rand(3)
    # By hand: the same features with a graph that is kept, in parts that see the same random numbers.
    torch.manual_seed(5)
    seen, before = [], {k: b.clone() for k, b in other.named_buffers()}
    for i in range(0, B, 4):
        given = batch().inputs["audio"]
        longest = int(given.mask[i : i + 4].sum(1).max())
        seen.append(
            other.model.audio(Padded(given.values[i : i + 4, :, :longest], given.mask[i : i + 4, :longest])).pooled
        )
        for k, b in other.named_buffers():
            b.copy_(before[k])
    inputs = {**batch().inputs, "audio": Features.of_pooled(torch.cat(seen))}
    torch.stack(list(other(Batch(inputs, batch().group)).values())).sum().backward()
    assert torch.equal(drawn, torch.rand(3))
    for name, value in gradients(other).items():
        assert torch.allclose(gradients(learner)[name], value, atol=1e-6, rtol=1e-4), name


class Source:
    """Batches that say their number."""

    def __init__(self, n: int, size: int) -> None:
        self.steps_per_epoch, self.size = n // size, size

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> tuple[int, int, int]:  # type: ignore[override]
        return self.size, epoch, index

    def items(self, steps: int) -> int:
        return steps * self.size


@pytest.mark.parametrize("epochs", [1.0, 2.0, 3.0, 4.5])
def test_batches_grow(epochs: float) -> None:
    annealed = Annealed([Source(96, 8), Source(96, 16), Source(96, 32)], epochs)  # type: ignore[list-item]
    total = round(epochs * annealed.steps_per_epoch)
    seen = [annealed.batch(*divmod(n, annealed.steps_per_epoch)) for n in range(total)]
    assert [size for size, _, _ in seen] == sorted(size for size, _, _ in seen)  # type: ignore[misc]
    for size in (8, 16, 32):
        own = [(e, i) for s, e, i in seen if s == size]  # type: ignore[misc]
        assert len(own) == len(set(own))
        assert abs(len(own) * size - 96 * epochs / 3) <= max(32, 0.1 * 96 * epochs)
    assert annealed.items(total) == sum(s for s, _, _ in seen)  # type: ignore[misc]
    assert [annealed.items(n) for n in range(4)] == [0, 8, 16, 24]
