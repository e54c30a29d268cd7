"""Grad-CAM against differences and closed forms; padding; towers that have nothing to differentiate."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from listeners import DIM, Heard, Toy, asked, noise, some_words
from torch import Tensor, nn

from lookhear.audio import pad_audio
from lookhear.core import Features, Padded
from lookhear.errors import UserError
from lookhear.locators import GradCam
from lookhear.models.evidence import WordEvidence
from lookhear.models.heads import TagHead

WAVES = [noise(0.7, 0), noise(0.4, 1)]


def hidden_of(model: Heard) -> Features:
    with torch.no_grad():
        found: Features = model.audio(pad_audio(WAVES))
    assert found.hidden is not None
    return found


def whole(model: Heard, a: Tensor, word: Tensor) -> float:
    """The pooled similarity of (n, H) hidden vectors to a word, in double precision, written out."""
    tower = model.audio
    value = a @ tower.value.weight.double().T + tower.value.bias.double()
    gate = 1 / (1 + torch.exp(-(a @ tower.gate.weight.double().T + tower.gate.bias.double())))
    local = value * gate
    if model.compatibility.kind == "attention":
        cosines = local @ word / local.norm(dim=1)
        weights = torch.exp(model.compatibility.temperature * cosines)
        return float((weights * cosines).sum() / weights.sum())
    pooled = local.sum(0)
    seen = pooled / pooled.norm() - tower.centre.mean.double()
    return float(seen / seen.norm() @ word)


@pytest.mark.parametrize("kind", ["sum", "attention"])
def test_by_differences(kind: str) -> None:
    """α is the slope of the answer when all moments move together, over their number."""
    model, words, step = Heard(kind=kind), some_words(2), 1e-5
    features = hidden_of(model)
    found = GradCam().curves(model, lambda: WAVES, features, words)
    for b in range(2):
        n = int(features.mask[b].sum())
        a = features.hidden[b, :n].double()  # type: ignore[index]
        for q, word in enumerate(words.vectors.double()):
            alpha = []
            for k in range(a.shape[1]):
                moved = step * F.one_hot(torch.tensor(k), a.shape[1])
                alpha.append((whole(model, a + moved, word) - whole(model, a - moved, word)) / (2 * step) / n)
            wanted = [max(0.0, sum(x * y for x, y in zip(alpha, row))) for row in a.tolist()]
            assert found[b, :n, q].tolist() == pytest.approx(wanted, abs=1e-5)
            assert max(wanted) > 1e-4
        assert torch.isinf(found[b, n:]).all()


def test_of_a_head_that_takes_the_mean_it_is_the_moment_s_own_logit() -> None:
    """There Grad-CAM is CAM (Selvaraju et al., 2017, section 3.1): ReLU(w · Aₙ) / N."""
    words = some_words(2)
    head = TagHead(TagHead.Config(reading="mean"), 12, ["w1", "other", "w0"]).eval().requires_grad_(False)
    model = Heard(head=head)
    features = hidden_of(model)
    by = GradCam(answer="tags")
    assert by.known(model, ["w0", "w9"]) == [True, False]
    found = by.curves(model, lambda: WAVES, features, words)
    for b in range(2):
        n = int(features.mask[b].sum())
        for q, v in enumerate([2, 0]):
            logits = features.hidden[b, :n] @ head.score.weight[v, :, 0]  # type: ignore[index, union-attr]
            assert torch.allclose(found[b, :n, q], logits.relu() / n, atol=1e-6)
    with pytest.raises(UserError, match="no tag head"):
        by.curves(Heard(), lambda: WAVES, features, words)


def test_the_answer_is_the_one_in_use_with_its_evidence() -> None:
    """Where words add to the whole, the whole that is differentiated has them in it."""
    evidence = WordEvidence(["w0", "w1"], DIM, 0.5)
    evidence.words.copy_(some_words(2).vectors)
    evidence.mean.fill_(-3.0)
    features = hidden_of(Heard())
    plain = GradCam().curves(Heard(), lambda: WAVES, features, some_words(2))
    with_it = GradCam().curves(Heard(evidence=evidence), lambda: WAVES, features, some_words(2))
    assert not torch.allclose(plain[features.mask], with_it[features.mask], atol=1e-4)


@pytest.mark.parametrize("inference", [False, True])
def test_padding_changes_nothing_and_no_mode_stops_it(inference: bool) -> None:
    model, words = Heard(), some_words(2)
    with torch.inference_mode(inference):
        words.vectors.mul_(1.0)
        both = GradCam().curves(model, lambda: WAVES, model.embed_audio(WAVES), words)
        alone = GradCam().curves(model, lambda: WAVES[1:], model.embed_audio(WAVES[1:]), words)
    assert torch.allclose(both[1, : alone.shape[1]], alone[0], atol=1e-6)
    assert all(p.grad is None for p in model.audio.parameters())


class Aside(nn.Module):
    """A tower whose whole is made of nothing that its hidden vectors go through."""

    def extract(self, x: Padded) -> Padded:
        return Padded(x.values[:, None], x.mask)

    def forward(self, x: Padded) -> Features:
        hidden = x.values.transpose(1, 2)[:, :4].expand(-1, -1, DIM)
        mask = torch.ones(hidden.shape[:2], dtype=torch.bool)
        return Features(F.normalize(x.values[:, 0, :DIM], dim=-1), hidden, mask, 0.04, hidden)


def test_towers_without_a_gradient_to_show() -> None:
    features = hidden_of(Heard())
    with pytest.raises(UserError, match="no speech tower"):
        GradCam().curves(Toy(), lambda: WAVES, features, asked(0))
    model = Heard()
    model.audio = Aside()  # type: ignore[assignment]
    with pytest.raises(UserError, match="not made of its moments"):
        GradCam().curves(model, lambda: WAVES, features, asked(0))
    assert math.isfinite(float(GradCam().curves(Heard(), lambda: WAVES, features, asked(0))[0, 0, 0]))
