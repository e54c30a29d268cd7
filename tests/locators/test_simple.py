"""Locators that read what the features hold: the curve, the tag head's, and the weights of pooling."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from listeners import Heard, Toy, asked, noise, some_words, spoken

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.locators import Attention, Curve, TagCurve
from lookhear.models.heads import TagHead


def never() -> list:
    raise AssertionError("the samples were decoded, and nobody needs them")


def test_the_curve_is_the_compatibility_s_own() -> None:
    model = Toy()
    features = model.embed_audio([spoken(9, (0, 2, 4), (1, 6, 7)), spoken(5, (1, 0, 1))])
    found = Curve().curves(model, never, features, asked(0, 1))
    assert found.argmax(1).tolist() == [[2, 6], [0, 0]]
    assert torch.isinf(found[1, 5:]).all()
    assert torch.equal(found, model.compatibility.curve(features, asked(0, 1).vectors))
    assert Curve().known(model, ["a", "b"]) == [True, True]


@pytest.mark.parametrize("kind", ["attention", "max", "sum"])
def test_attention_by_hand(kind: str) -> None:
    model = Heard(kind=kind)
    features, words = model.embed_audio([noise(0.9, 0), noise(0.5, 1)]), some_words(3)
    found = Attention().curves(model, never, features, words)
    for b in range(2):
        n = int(features.mask[b].sum())
        rows = features.local[b, :n].tolist()
        lengths = [math.hypot(*row) for row in rows]
        for q, word in enumerate(words.vectors.tolist()):
            cosines = [sum(x * y for x, y in zip(row, word)) / size for row, size in zip(rows, lengths)]
            if kind == "sum":
                wanted = [size / sum(lengths) for size in lengths]
            elif kind == "max":
                wanted = [float(c == max(cosines)) for c in cosines]
            else:
                raised = [math.exp(10 * c) for c in cosines]
                wanted = [r / sum(raised) for r in raised]
            assert found[b, :n, q].tolist() == pytest.approx(wanted, abs=1e-5)
        assert torch.isinf(found[b, n:]).all()
    assert found.masked_fill(~features.mask[..., None], 0).sum(1) == pytest.approx(torch.ones(2, 3), abs=1e-5)


def test_attention_pools_to_the_similarity() -> None:
    """The weights and the local cosines give back what the model says of the whole."""
    model = Heard(kind="attention")
    features, words = model.embed_audio([noise(0.9, 0), noise(0.5, 1)]), some_words(3)
    weights = Attention().curves(model, never, features, words).masked_fill(~features.mask[..., None], 0)
    cosines = model.compatibility.curve(features, words.vectors).masked_fill(~features.mask[..., None], 0)
    assert torch.allclose((weights * cosines).sum(1), model.compatibility.pooled(features, words.vectors), atol=1e-6)


def test_equally_good_moments_share_the_weight() -> None:
    model = Toy("max")
    found = Attention().curves(model, never, model.embed_audio([spoken(6, (0, 1, 3))]), asked(0))
    assert found[0, :, 0].tolist() == [0, 0.5, 0.5, 0, 0, 0]


def test_tags_are_the_head_s_columns() -> None:
    head = TagHead(TagHead.Config(reading="max"), 12, ["dog", "cat", "boat"]).eval()
    model = Heard(head=head)
    features = model.embed_audio([noise(0.9, 0), noise(0.5, 1)])
    assert TagCurve().known(model, ["boat", "cow", "dog"]) == [True, False, True]
    words = SimpleNamespace(names=["boat", "dog"], vectors=some_words(2).vectors)
    found = TagCurve().curves(model, never, features, words)  # type: ignore[arg-type]
    assert features.tag_curve is not None
    assert torch.equal(found, features.tag_curve[..., [2, 0]])


def test_words_that_the_head_does_not_know_and_models_without_one() -> None:
    features = Features(torch.ones(1, 2), torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool), 0.1)
    with pytest.raises(UserError, match="no tag head"):
        TagCurve().curves(Toy(), never, features, asked(0))
    assert TagCurve().known(Toy(), ["dog"]) == [False]
    model = Toy()
    model.head = SimpleNamespace(names=("dog",))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="does not know 'word 0'"):
        TagCurve().curves(model, never, features, asked(0))


@pytest.mark.parametrize("by", [Curve(), TagCurve(), Attention()], ids=lambda b: b.kind)
@pytest.mark.parametrize("kind", ["sum", "attention"])
def test_padding_changes_nothing(by, kind: str) -> None:
    words = some_words(3)
    model = Heard(head=TagHead(TagHead.Config(reading="query"), 12, words.names).eval(), kind=kind)
    alone = by.curves(model, never, model.embed_audio([noise(0.5, 1)]), words)
    beside = by.curves(model, never, model.embed_audio([noise(1.1, 0), noise(0.5, 1)]), words)
    n = alone.shape[1]
    assert torch.allclose(beside[1, :n], alone[0], atol=1e-5)
    assert torch.isinf(beside[1, n:]).all()
