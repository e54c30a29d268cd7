"""A dictionary's codes against loops, and that dead ones come back for good."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lookhear.objectives.quantizer import Quantizer, real_rows


def rows(n: int, seed: int = 0, dim: int = 3) -> Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def begun(size: int = 4, n: int = 30, rare: float = 0.0) -> Quantizer:
    made = Quantizer(size, decay=0.7, rare=rare)
    made.begin(rows(n))
    return made


def slow_nearest(x: Tensor, codes: Tensor) -> list[int]:
    return [min(range(len(codes)), key=lambda k: float((v - codes[k]).square().sum())) for v in x]


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(6, 40), st.integers(0, 99))
def test_nearest_by_loops_and_straight_through(size: int, n: int, seed: int) -> None:
    made = Quantizer(size, 0.9, 0.0)
    made.begin(rows(n, seed))
    x = rows(7, seed + 1).requires_grad_()
    index = made.nearest(x)
    assert index.tolist() == slow_nearest(x.detach(), made.codes)
    out = made.quantise(x, index)
    assert torch.allclose(out, made.codes[index], atol=1e-6)
    (out * 2).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 2.0))  # type: ignore[arg-type]


def test_moving_averages_by_loops() -> None:
    made = begun()
    count, total = made.count.tolist(), made.total.tolist()
    new = rows(20, 5)
    owner = slow_nearest(new, made.codes)
    for k in range(4):
        mine = [new[i].tolist() for i in range(20) if owner[i] == k]
        count[k] = 0.7 * count[k] + 0.3 * len(mine)
        total[k] = [0.7 * t + 0.3 * sum(m[d] for m in mine) for d, t in enumerate(total[k])]
    made.follow(new)
    assert made.count.tolist() == pytest.approx(count, abs=1e-4)
    for k in range(4):
        assert made.codes[k].tolist() == pytest.approx([t / count[k] for t in total[k]], abs=1e-4)


def test_a_code_that_nobody_chooses_is_restarted_and_stays_where_it_was_put() -> None:
    made = begun(rare=0.5)
    made.codes[2], made.total[2], made.count[2] = torch.tensor([99.0, 99, 99]), torch.zeros(3), 0.0
    new = rows(20, 6)
    new[11] = torch.tensor([4.0, -4.0, 4.0])  # fits worst
    made.follow(new)
    assert torch.equal(made.codes[2], new[11])
    assert float(made.used) == 1.0
    made.follow(torch.cat([new, new[11:12].expand(10, -1)]))
    assert torch.allclose(made.codes[2], new[11], atol=1e-4)


def test_the_order_of_rows_changes_nothing() -> None:
    a, b, turned = Quantizer(5, 0.9, 0.2), Quantizer(5, 0.9, 0.2), torch.randperm(40)
    a.begin(rows(40))
    b.begin(rows(40)[turned])
    for seed in (1, 2):
        a.follow(rows(40, seed))
        b.follow(rows(40, seed)[turned])
    assert torch.allclose(a.codes, b.codes, atol=1e-5)


def test_usage() -> None:
    made = Quantizer(4, 0.9, 0.1)
    made.codes, made.count = torch.zeros(4, 2), torch.tensor([5.0, 5.0, 0.0, 0.0])
    assert float(made.used) == 0.5
    assert float(made.perplexity) == pytest.approx(2.0)


def test_a_dictionary_goes_on_from_what_was_saved() -> None:
    first, second = begun(), Quantizer(4, 0.7, 0.0)
    second.load_state_dict(first.state_dict())
    first.follow(rows(9, 3))
    second.follow(rows(9, 3))
    assert torch.equal(first.codes, second.codes)
    assert second.begun


def test_real_rows_leave_padding_out() -> None:
    x, mask = rows(6).view(2, 3, 3), torch.tensor([[True, True, False], [True, False, False]])
    assert torch.equal(real_rows(x, mask), torch.stack([x[0, 0], x[0, 1], x[1, 0]]))
