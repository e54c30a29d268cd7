"""The shared nouns: padding, joining, cutting, gathering without a process group."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.core import Batch, Features, Hit, Padded, Section, gather, lengths_to_mask, pool


def features(lengths: list[int], dim: int = 3, seed: int = 0) -> Features:
    rng = torch.Generator().manual_seed(seed)
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    local = torch.randn(len(lengths), max(lengths), dim, generator=rng) * mask[..., None]
    return Features(pool(local, mask), local, mask, 0.04)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_lengths_to_mask(lengths: list[int]) -> None:
    mask = lengths_to_mask(torch.tensor(lengths), 9)
    assert mask.tolist() == [[n < length for n in range(9)] for length in lengths]


def test_pool_is_the_unit_vector_along_the_sum_of_real_frames() -> None:
    local = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [100.0, 100.0]]])
    assert torch.allclose(pool(local, torch.tensor([[True, True, False]])), torch.tensor([[0.6, 0.8]]))


def test_items_are_cut_to_their_own_length() -> None:
    f = features([2, 5, 3])
    assert [item.local.shape[0] for item in f] == [2, 5, 3]
    for i, item in enumerate(f):
        assert torch.equal(item.local, f.local[i, : len(item.local)])
        assert bool(item.mask.all())
        assert torch.equal(item.pooled, f.pooled[i])


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=3), min_size=1, max_size=4))
def test_concat_keeps_every_item(parts: list[list[int]]) -> None:
    given_parts = [features(lengths, seed=i) for i, lengths in enumerate(parts)]
    joined = Features.concat(given_parts)
    assert len(joined) == sum(map(len, parts))
    assert joined.step == 0.04
    for before, after in zip((item for p in given_parts for item in p), joined, strict=True):
        assert torch.equal(before.local, after.local)
        assert torch.equal(before.pooled, after.pooled)
    assert not joined.local[~joined.mask].any()


def test_indexing_takes_items() -> None:
    f = features([1, 2, 3])
    for index in ([2, 0], torch.tensor([2, 0])):
        assert torch.equal(f[index].pooled, f.pooled[[2, 0]])
        assert f[index].mask.sum(1).tolist() == [3, 1]
    assert f[1:].mask.sum(1).tolist() == [2, 3]


def test_of_pooled_has_itself_as_its_only_local_vector() -> None:
    pooled = F.normalize(torch.randn(4, 5), dim=-1)
    f = Features.of_pooled(pooled)
    assert torch.equal(f.local[:, 0], pooled)
    assert f.mask.tolist() == [[True]] * 4
    assert f.step is None


def test_hit_as_json() -> None:
    row = Hit("a.wav", "dog", 0.123456, 1.0, 0.98765).as_dict("word")
    assert json.loads(json.dumps(row)) == {"file": "a.wav", "word": "dog", "start": 0.1235, "end": 1.0, "score": 0.9877}
    assert "query" in Hit("a", "b", 0, 1, 0).as_dict()


def test_sections_are_frozen_and_know_their_keys() -> None:
    class Small(Section):
        width: int = 3

    with pytest.raises(ValidationError):
        Small(widht=4)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        Small().width = 4  # type: ignore[misc]


def test_gather_alone_is_the_identity() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert gather(x) is x


def test_batch_moves_with_all_it_holds() -> None:
    mask = torch.ones(2, 4, dtype=torch.bool)
    more = {"image": (features([1, 1, 1]), torch.tensor([4, 5, 6])), "text": (Padded(mask), torch.tensor([7, 8]))}
    inputs = {"audio": Padded(torch.zeros(2, 4), mask), "image": features([1, 1])}
    batch = Batch(inputs, torch.tensor([0, 1]), ["a", "b"], more)
    moved = batch.to("meta")
    assert (len(batch), moved.ids) == (2, ["a", "b"])
    assert moved.inputs["audio"].mask.is_meta  # type: ignore[union-attr]
    assert moved.inputs["image"].pooled.is_meta  # type: ignore[union-attr]
    assert moved.group.is_meta
    assert list(moved.more) == ["image", "text"]
    assert moved.more["image"][0].pooled.is_meta  # type: ignore[union-attr]
    assert moved.more["text"][0].values.is_meta  # type: ignore[union-attr]
    assert all(group.is_meta for _, group in moved.more.values())
    same = batch.to("cpu").more["image"]
    assert same[1].tolist() == [4, 5, 6]
    assert torch.equal(same[0].pooled, more["image"][0].pooled)  # type: ignore[union-attr]


def test_a_batch_brings_nothing_more_unless_told() -> None:
    assert Batch({}, torch.tensor([0])).more == {}
