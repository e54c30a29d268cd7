"""Tag heads: each reading against a loop over items, words and moments."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.models.heads import TagHead

B, N, H, V = 3, 6, 5, 4
READINGS = ["max", "mean", "log_sum_exp", "noisy_or", "linear_softmax", "attention", "pool", "query"]
NAMES = ("dog", "cat", "red", "sea")


def features(seed: int = 0) -> Features:
    g = torch.Generator().manual_seed(seed)
    mask = lengths_to_mask(torch.tensor([6, 3, 1]), N)
    local = torch.randn(B, N, 2, generator=g) * mask[..., None]
    return Features(pool(local, mask), local, mask, 0.04, torch.randn(B, N, H, generator=g))


def head(reading: str, **more: object) -> TagHead:
    torch.manual_seed(1)
    return TagHead(TagHead.Config.model_validate({"reading": reading, **more}), H, NAMES)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def moment_logits(made: TagHead, hidden: Tensor) -> list[list[float]]:
    """Per moment and word, of one item's (n, H) vectors, for a linear map of kernel 1."""
    w, b = made.score.weight[:, :, 0], made.score.bias
    return [[float(w[v] @ h + b[v]) for v in range(V)] for h in hidden]


def by_hand(made: TagHead, hidden: Tensor) -> list[float]:
    reading = made.config.reading
    if reading == "pool":
        top = [max(float(h[k]) for h in hidden) for k in range(H)]
        return [x[0] for x in zip(*moment_logits(made, torch.tensor([top])))]
    if reading == "query":
        out = []
        for q in made.query:
            met = [math.exp(float(q @ h)) for h in hidden]
            drawn = sum((m / sum(met)) * h for m, h in zip(met, hidden))
            out.append(float(made.score.weight[0, :, 0] @ drawn + made.score.bias[0]))
        return out
    z = moment_logits(made, hidden)
    out = []
    for v in range(V):
        each = [row[v] for row in z]
        p = [sigmoid(x) for x in each]
        if reading == "max":
            out.append(max(each))
        elif reading == "mean":
            out.append(sum(each) / len(each))
        elif reading == "log_sum_exp":
            out.append(math.log(sum(math.exp(made.config.r * x) for x in each) / len(each)) / made.config.r)
        elif reading == "noisy_or":
            out.append(log_odds(1 - math.prod(1 - x for x in p)))
        elif reading == "linear_softmax":
            out.append(log_odds(sum(x * x for x in p) / sum(p)))
        else:
            u, c = made.weigh.weight[v, :, 0], made.weigh.bias[v]
            a = [math.exp(float(u @ h + c)) for h in hidden]
            out.append(log_odds(sum(w * x for w, x in zip(a, p)) / sum(a)))
    return out


@pytest.mark.parametrize("reading", READINGS)
def test_readings_against_loops(reading: str) -> None:
    given, made = features(), head(reading)
    found = made(given)
    assert found.tags is not None
    assert found.tag_curve is not None
    for i in range(B):
        n = int(given.mask[i].sum())
        with torch.no_grad():
            assert found.tags[i].tolist() == pytest.approx(by_hand(made, given.hidden[i, :n]), abs=2e-5)
    assert found.hidden is None
    assert found.tag_curve.shape == (B, N, V)
    assert torch.isneginf(found.tag_curve[~given.mask]).all()
    assert torch.isfinite(found.tag_curve[given.mask]).all()
    assert torch.equal(found.local, given.local)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("mlp", [0, 7])
def test_padding_and_order_change_nothing(reading: str, mlp: int) -> None:
    given = features()
    made = head(reading, mlp=mlp, kernel=1 if reading in ("pool", "query") else 3)
    both = made(given)
    dirty = given.hidden.clone()
    dirty[~given.mask] = 99.0
    again = made(Features(given.pooled, given.local, given.mask, 0.04, dirty))
    assert torch.allclose(both.tags, again.tags, atol=1e-5)
    for i in range(B):
        n = int(given.mask[i].sum())
        alone = made(given[i : i + 1])
        short = Features(given.pooled[[i]], given.local[[i], :n], given.mask[[i], :n], 0.04, given.hidden[[i], :n])
        assert torch.allclose(both.tags[i], alone.tags[0], atol=1e-5)
        assert torch.allclose(both.tags[i], made(short).tags[0], atol=1e-5)
    assert torch.allclose(made(given[[2, 0, 1]]).tags, both.tags[[2, 0, 1]], atol=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_every_weight_learns_and_stays_finite(reading: str) -> None:
    given, made = features(), head(reading, mlp=6)
    hidden = given.hidden.clone().requires_grad_()
    loud = Features(given.pooled, given.local, given.mask, 0.04, hidden * 50)
    made(loud).tags.clamp(-20, 20).sum().backward()
    assert torch.isfinite(hidden.grad).all()
    made.zero_grad()
    made(given).tags.square().sum().backward()
    for name, weight in made.named_parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().sum() > 0, name


def test_words_of_a_softmax_share_one_probability() -> None:
    found = head("max", softmax=True)(features()).tags
    assert torch.allclose(found.exp().sum(1), torch.ones(B))
    alone = head("max")(features()).tags
    assert torch.allclose(alone.log_softmax(1), found, atol=1e-6)


def test_attention_says_where() -> None:
    made = head("query")
    found = made(features())
    assert torch.allclose(found.tag_curve.exp().sum(1), torch.ones(B, V), atol=1e-5)


def test_one_vector_has_no_neighbours() -> None:
    with pytest.raises(ValueError, match="kernel 3: what 'query' makes of a recording has no neighbours"):
        TagHead.Config(reading="query", kernel=3)


def test_maps_of_what_and_where_tell_each_other_before_attention_answers() -> None:
    made, given = head("attention", distil=7), features()
    found = made(given)
    assert made.maps is not None
    assert made.told is not None
    for i, n in enumerate((6, 3, 1)):
        h = given.hidden[i : i + 1, :n].transpose(1, 2)
        own = {k: torch.relu(made.maps[k](h)) for k in ("what", "where")}
        told = {}
        for k, other in (("what", "where"), ("where", "what")):
            key = {"what": "1>0", "where": "0>1"}[k]
            told[k] = own[k] + torch.sigmoid(made.told.gates[key](own[other])) * made.told.values[key](own[other])
        p = torch.sigmoid(made.score(told["what"])[0])
        a = made.weigh(told["where"])[0].softmax(-1)
        assert torch.allclose(found.tags[i], torch.logit((a * p).sum(-1)), atol=1e-4)


def test_maps_that_nothing_reads_are_refused() -> None:
    with pytest.raises(ValueError, match="distil 7: 'max' has no map of where a word is"):
        TagHead.Config(reading="max", distil=7)
