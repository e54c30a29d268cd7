"""A batch shared by two processes is the batch of one, for losses over two views of one modality."""

from __future__ import annotations

from pathlib import Path

import pytest
import ranks_views
import torch


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch.multiprocessing as mp

    folder = tmp_path_factory.mktemp("two")
    mp.spawn(ranks_views.work, args=(str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("name", ranks_views.OBJECTIVES)
def test_twice_b_is_once_two_b(two: Path, name: str) -> None:
    inner = ranks_views.learner(name)
    wanted = ranks_views.steps(inner, inner)
    for rank in (0, 1):
        found = torch.load(two / f"{name}-{rank}.pt")
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours["losses"] == pytest.approx(theirs["losses"], abs=2e-5)
            for part, value in theirs["gradients"].items():
                assert torch.allclose(ours["gradients"][part], value, atol=2e-5), part
    assert all(v > 0 for v in wanted[-1]["losses"].values())


@pytest.mark.parametrize("name", ranks_views.OBJECTIVES)
def test_padding_and_order_change_nothing(name: str) -> None:
    from lookhear.core import Batch, Padded

    def losses(change: str) -> list[float]:
        inner, found = ranks_views.learner(name), []
        for step in range(2):
            given = ranks_views.batch(step)
            if change == "order":
                given = given.take(torch.tensor([5, 2, 7, 0, 1, 3, 6, 4]))
            if change == "padding":
                longer = {
                    k: Padded(torch.nn.functional.pad(v.values, (0, 12)), torch.nn.functional.pad(v.mask, (0, 12)))
                    for k, v in given.inputs.items()
                    if k.startswith("audio") and isinstance(v, Padded) and v.mask is not None
                }
                given = Batch({**given.inputs, **longer}, given.group, given.ids)
            torch.manual_seed(step)
            found.append(sum(float(v.detach()) for v in inner(given).values()))
            inner.after_step(step)
        return found

    plain = losses("")
    assert losses("padding") == pytest.approx(plain, abs=1e-4)
    assert losses("order") == pytest.approx(plain, abs=1e-4)
