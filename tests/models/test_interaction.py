"""What one task's features tell another's, by a loop over places; padding tells nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lookhear.models.interaction import Distillation


def test_by_a_loop_over_places() -> None:
    torch.manual_seed(0)
    block = Distillation(["a", "b", "c"], 4)
    x = {n: torch.randn(2, 4, 7) for n in "abc"}
    found = block(x)
    for t, name in enumerate("abc"):
        wanted = x[name].clone()
        for j, other in enumerate("abc"):
            if j == t:
                continue
            padded = F.pad(x[other], (1, 1))
            gate, value = block.gates[f"{j}>{t}"], block.values[f"{j}>{t}"]
            for n in range(7):
                here = padded[:, :, n : n + 3]
                g = torch.sigmoid(torch.einsum("bck,ock->bo", here, gate.weight) + gate.bias)
                wanted[:, :, n] += g * (torch.einsum("bck,ock->bo", here, value.weight) + value.bias)
        assert torch.allclose(found[name], wanted, atol=1e-5)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    block = Distillation(["a", "b"], 4)
    x = {n: torch.randn(2, 4, 7) for n in "ab"}
    mask = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    plain = block(x, mask)
    longer = block({n: F.pad(v, (0, 5), value=9.0) for n, v in x.items()}, F.pad(mask, (0, 5)))
    short = block({n: v[1:, :, :4] for n, v in x.items()})
    for name in "ab":
        assert torch.allclose(longer[name][:, :, :7], plain[name], atol=1e-6)
        assert not longer[name][:, :, 7:].any()
        assert torch.allclose(plain[name][1:, :, :4], short[name], atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2])
def test_closed_gates_leave_features_as_they_are(axes: int) -> None:
    block = Distillation(["a", "b"], 3, axes=axes)
    for gate in block.gates.values():
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, -50.0)
    x = {n: torch.randn(2, 3, *(5, 6)[:axes]) for n in "ab"}
    assert all(torch.allclose(block(x)[n], x[n], atol=1e-6) for n in "ab")
