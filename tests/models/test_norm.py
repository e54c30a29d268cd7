"""Batch normalisation that does not see padding; the middle of pooled vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lookhear.core import lengths_to_mask
from lookhear.models.norm import Centre, MaskedBatchNorm, RowBatchNorm


def batch(lengths: list[int], width: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(len(lengths), width, max(lengths), generator=torch.Generator().manual_seed(0)) * 2 + 1
    return x, lengths_to_mask(torch.tensor(lengths), max(lengths))


@settings(max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=5))
def test_equals_batchnorm1d_of_the_real_frames(lengths: list[int]) -> None:
    ours, theirs = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
            norm.bias.copy_(torch.tensor([0.0, 1.0, 3.0]))
    x, mask = batch(lengths)
    real = x.transpose(1, 2)[mask]  # (frames, C)
    leaf, other = x.clone().requires_grad_(), real.clone().requires_grad_()
    found, wanted = ours(leaf, mask).transpose(1, 2)[mask], theirs(other)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.allclose(ours.mean, theirs.running_mean, atol=1e-6)
    assert torch.allclose(ours.var, theirs.running_var, atol=1e-5)
    (found**3).sum().backward()
    (wanted**3).sum().backward()
    assert torch.allclose(leaf.grad.transpose(1, 2)[mask], other.grad, atol=1e-2, rtol=1e-4)
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(x, mask).transpose(1, 2)[mask], theirs(real), atol=1e-5)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_rows_are_normalised_as_the_real_frames_of_a_padded_batch(lengths: list[int]) -> None:
    rows, padded = RowBatchNorm(3), MaskedBatchNorm(3)
    for norm in (rows, padded):
        norm.load_state_dict({"weight": torch.tensor([1.0, 2.0, -0.5]), "bias": torch.tensor([0.0, 1.0, 3.0])}, False)
    x, mask = batch(lengths)
    real = x.transpose(1, 2)[mask]
    a, b = real.clone().requires_grad_(), x.clone().requires_grad_()
    found, wanted = rows(a), padded(b, mask).transpose(1, 2)[mask]
    assert torch.allclose(found, wanted, atol=1e-4)
    assert torch.allclose(rows.mean, padded.mean, atol=1e-6)
    assert torch.allclose(rows.var, padded.var, atol=1e-5)
    (found**3).sum().backward()
    (wanted**3).sum().backward()
    if len(real) > 2:  # of two frames the gradient is rounding
        assert torch.allclose(a.grad, b.grad.transpose(1, 2)[mask], atol=1e-2, rtol=1e-3)
    rows.eval(), padded.eval()
    assert torch.allclose(rows(real), padded(x, mask).transpose(1, 2)[mask], atol=1e-5)


def test_two_forward_passes_before_one_backward() -> None:
    """As when one tower hears two views of a batch: the second moves the statistics that the first began from."""
    norm = RowBatchNorm(3)
    x = torch.randn(8, 3, requires_grad=True)
    first = norm(x)
    norm.mean.zero_()
    (first + norm(x)).pow(3).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("junk", [0.0, 1e4])
def test_padding_changes_no_statistics(junk: float) -> None:
    x, mask = batch([4, 7])
    wide = torch.nn.functional.pad(x.masked_fill(~mask[:, None], junk), (0, 5), value=junk)
    short, long = MaskedBatchNorm(3), MaskedBatchNorm(3)
    a = short(x, mask)
    b = long(wide, torch.nn.functional.pad(mask, (0, 5)))[..., :7]
    assert torch.allclose(a.transpose(1, 2)[mask], b.transpose(1, 2)[mask], atol=1e-5)
    assert torch.allclose(short.mean, long.mean, atol=1e-6)
    assert torch.allclose(short.var, long.var, atol=1e-5)


@pytest.mark.parametrize("rows", [False, True])
def test_half_precision_is_summed_in_single_precision(rows: bool) -> None:
    """257 ones are 256 in bfloat16, which has eight digits: the mean would be 0.996 and the variance not 0."""
    ones = torch.ones(1, 3, 257, dtype=torch.bfloat16)
    norm = RowBatchNorm(3) if rows else MaskedBatchNorm(3)
    out = norm(ones[0].T.contiguous()) if rows else norm(ones, torch.ones(1, 257, dtype=torch.bool))
    assert out.dtype == torch.bfloat16
    assert norm.mean.tolist() == pytest.approx([0.1] * 3, rel=1e-6)
    assert norm.var.tolist() == pytest.approx([0.9] * 3, rel=1e-6)


def test_evaluation_changes_no_statistics() -> None:
    norm = MaskedBatchNorm(3).eval()
    norm(*batch([3, 5]))
    assert norm.mean.tolist() == [0, 0, 0]
    assert norm.var.tolist() == [1, 1, 1]


def test_the_centre_by_hand() -> None:
    centre = Centre(3, momentum=0.5)
    x = nn.functional.normalize(torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]), dim=-1).requires_grad_()
    assert torch.allclose(centre(x).detach(), x.detach())  # from the mean before this batch
    middle = torch.tensor([0.15, 0.2, 0.25])  # half way from 0 to the mean (0.3, 0.4, 0.5)
    assert torch.allclose(centre.mean, middle)
    second = centre(x)
    away = x.detach() - middle
    assert torch.allclose(second.detach(), away / away.norm(dim=-1, keepdim=True), atol=1e-6)
    centre(x)  # moves the mean, not what was computed before
    second.sum().backward()
    assert x.grad is not None
    before = centre.mean.clone()
    centre.eval()
    centre(x)
    assert torch.equal(centre.mean, before)


def test_the_centre_lets_a_third_modality_be_found() -> None:
    """Vectors that share a large part are told apart by what is left of it."""
    rng = torch.Generator().manual_seed(0)
    own = torch.randn(200, 16, generator=rng)
    x = nn.functional.normalize(own + 6, dim=-1)
    centre = Centre(16, momentum=1.0)
    assert float(x.mean(0).norm()) > 0.9
    centre(x)
    assert float(centre.eval()(x).mean(0).norm()) < 0.1
