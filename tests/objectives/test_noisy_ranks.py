"""A batch shared by two processes is the batch of one, for losses that choose, queue or average."""

from __future__ import annotations

from pathlib import Path

import pytest
import ranks_noisy
import torch


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch.multiprocessing as mp

    folder = tmp_path_factory.mktemp("two")
    mp.spawn(ranks_noisy.work, args=(str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("name", [n for n in ranks_noisy.OBJECTIVES if n != "sampled"])
def test_twice_b_is_once_two_b(two: Path, name: str) -> None:
    inner = ranks_noisy.learner(name)
    wanted = ranks_noisy.two_steps(inner, inner)
    for rank in (0, 1):
        found = torch.load(two / f"{name}-{rank}.pt")
        for mine, theirs in zip(found, wanted, strict=True):
            assert mine["losses"] == pytest.approx(theirs["losses"], abs=1e-5)
            assert mine["gradients"].keys() == theirs["gradients"].keys()
            for part, value in theirs["gradients"].items():
                assert torch.allclose(mine["gradients"][part], value, atol=1e-5), part
    assert any(float(g.abs().max()) > 1e-3 for n, g in wanted[1]["gradients"].items() if n.startswith("model.audio"))


def test_both_processes_draw_the_same_triplets(two: Path) -> None:
    """Though their generators stand at different places: else each would have a loss of its own."""
    (first, second) = (torch.load(two / f"sampled-{rank}.pt") for rank in (0, 1))
    for mine, theirs in zip(first, second, strict=True):
        assert mine["losses"] == pytest.approx(theirs["losses"], abs=1e-6)
        assert mine["losses"]["triplet_audio_image"] > 0.1
