"""Changed pictures: what stays as it is, what each change does, by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.data.looks import Looks


def some(b: int = 6, h: int = 12, w: int = 16) -> torch.Tensor:
    return torch.rand(b, 3, h, w, generator=torch.Generator().manual_seed(3))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_is_changed_unless_asked() -> None:
    assert torch.equal(Looks().apply(some(), rng()), some())


@settings(max_examples=30)
@given(
    low=st.floats(0.05, 1),
    flip=st.booleans(),
    jitter=st.floats(0, 0.9),
    hue=st.floats(0, 0.5),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_pictures_stay_pictures_and_chance_is_the_generator_s(
    low: float, flip: bool, jitter: float, hue: float, share: float, seed: int
) -> None:
    looks = Looks(
        crop=(low, 1.0),
        flip=flip,
        brightness=jitter,
        contrast=jitter,
        saturation=jitter,
        hue=hue,
        grey=share,
        blur=share,
    )
    images = some()
    out = looks.apply(images, rng(seed))
    assert out.shape == images.shape
    assert float(out.min()) >= -1e-5
    assert float(out.max()) <= 1 + 1e-5
    assert torch.equal(out, looks.apply(images, rng(seed)))


def test_a_mirror_moves_columns_and_nothing_else() -> None:
    images, looks = some(64), Looks(flip=True)
    out = looks.apply(images, rng())
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(out, images)]
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(out, images)]
    assert all(s or m for s, m in zip(same, mirrored))
    assert 16 < sum(mirrored) < 48


def test_a_crop_of_a_ramp_is_a_flatter_ramp_of_the_share_that_was_cut() -> None:
    ramp = torch.linspace(0, 1, 64).expand(8, 3, 64, 64)
    out = Looks(crop=(0.25, 0.25), aspect=1.0).apply(ramp, rng())
    slope = (out[:, 0, 10, 50] - out[:, 0, 10, 10]) / (ramp[0, 0, 0, 50] - ramp[0, 0, 0, 10])
    assert torch.allclose(slope, torch.full((8,), 0.5), atol=0.02)


def test_grey_keeps_luma_and_turned_colours_keep_greys() -> None:
    images = some()
    out = Looks(grey=1.0).apply(images, rng())
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    assert torch.allclose(out, luma[:, None].expand_as(out), atol=1e-6)
    assert torch.allclose(Looks(hue=0.5).apply(out, rng()), out, atol=1e-5)


def test_blur_is_a_mean_over_a_neighbourhood() -> None:
    images = torch.zeros(4, 3, 15, 15)
    images[:, :, 7, 7] = 1.0
    out = Looks(blur=1.0).apply(images, rng())
    assert torch.allclose(out.sum((2, 3)), torch.ones(4, 3), atol=1e-4)
    assert torch.allclose(out, out.transpose(2, 3), atol=1e-6)


@pytest.mark.parametrize("crop", [(0.0, 1.0), (0.9, 0.5), (0.5, 1.5)])
def test_a_crop_of_nothing_or_of_more_than_all_is_refused(crop: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="share of the area"):
        Looks(crop=crop)
