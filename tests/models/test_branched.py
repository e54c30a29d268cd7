"""Branched trunks: sizes, who shares what, and trees that are none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lookhear.errors import UserError
from lookhear.models.branched import Branched

TASKS = ("a", "b", "c")
TREE = [[[0, 1, 2]], [[0, 2], [1]], [[0], [2], [1]]]


def block(depth: int) -> nn.Module:
    return nn.Conv1d(4, 4, 3, padding=1)


def made(depths: list[list[list[int]]] = TREE) -> Branched:
    torch.manual_seed(0)
    return Branched(TASKS, depths, block)


def test_each_task_goes_through_the_blocks_of_its_clusters() -> None:
    tower, x = made(), torch.randn(2, 4, 7)
    (root,), (first, second), (a, c, b) = tower.blocks
    found = tower(x)
    assert list(found) == list(TASKS)
    assert torch.equal(found["a"], a(first(root(x))))
    assert torch.equal(found["c"], c(first(root(x))))
    assert torch.equal(found["b"], b(second(root(x))))
    seen = tower.seen(x)
    assert seen[0]["a"] is seen[0]["b"]
    assert seen[1]["a"] is seen[1]["c"]
    assert torch.equal(seen[1]["b"], second(root(x)))


def test_gradients_stay_within_the_branch() -> None:
    tower = made()
    tower(torch.randn(2, 4, 7))["b"].sum().backward()
    reached = {name.rpartition(".")[0] for name, p in tower.named_parameters() if p.grad is not None}
    assert reached == {"blocks.0.0", "blocks.1.1", "blocks.2.2"}


def test_size_is_that_of_the_tree() -> None:
    one = sum(p.numel() for p in block(0).parameters())
    assert sum(p.numel() for p in made().parameters()) == 6 * one
    assert sum(p.numel() for p in made([[[0, 1, 2]]] * 2).parameters()) == 2 * one


def test_padding_changes_nothing() -> None:
    tower, x = made(), torch.randn(2, 4, 7)
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    found, short = tower(x, mask), tower(x[1:, :, :4])
    for name in TASKS:
        assert torch.allclose(found[name][1:, :, :4], short[name][:, :, :4], atol=1e-6)
        assert not found[name][1:, :, 4:].any()


@pytest.mark.parametrize(
    ("depths", "says"),
    [
        ([[[0, 1]]], "depth 0"),
        ([[[0, 1, 2]], [[0, 1], [1, 2]]], "depth 1"),
        ([[[0], [1, 2]], [[0, 1], [2]]], r"depth 1 of the tree joins tasks \[0, 1\]"),
    ],
)
def test_what_is_no_tree_is_refused(depths: list[list[list[int]]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        made(depths)
