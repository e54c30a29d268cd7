"""A batch shared by two processes is the batch of one, for losses over local vectors of uneven lengths."""

from __future__ import annotations

from pathlib import Path

import pytest
import ranks
import ranks_local
import torch


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch.multiprocessing as mp

    folder = tmp_path_factory.mktemp("two")
    mp.spawn(ranks_local.work, args=(str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("name", ranks_local.OBJECTIVES)
def test_twice_b_is_once_two_b(two: Path, name: str) -> None:
    inner = ranks_local.learner(name)
    wanted = ranks.outcome(inner, inner, ranks.batch(True))
    moved = {k for k, g in wanted["gradients"].items() if float(g.abs().max()) > 1e-4}
    assert {part.split(".")[1] for part in moved if part.startswith("model.")} == {"audio", "image"}
    for rank in (0, 1):
        found = torch.load(two / f"{name}-{rank}.pt")
        assert found["losses"] == pytest.approx(wanted["losses"], abs=1e-5)
        for part, value in wanted["gradients"].items():
            assert torch.allclose(found["gradients"][part], value, atol=1e-5), part
