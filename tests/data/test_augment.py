"""Augmentation of log-mel frames: off is nothing, seeds decide, and every change stays in its bounds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.core import Padded, lengths_to_mask
from lookhear.data.augment import Augment

ALL = Augment(
    silence=0.1,
    speed=0.15,
    warp=0.1,
    tilt=3.0,
    noise=(5.0, 30.0),
    room=0.4,
    time_masks=2,
    frequency_masks=2,
    frequency_bins=4,
)
LENGTHS = [50, 80, 20, 64]


def mel(lengths: list[int] = LENGTHS, bins: int = 20, seed: int = 0) -> Padded:
    rng = torch.Generator().manual_seed(seed)
    values = torch.randn(len(lengths), bins, max(lengths), generator=rng) * 2 - 4
    mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
    return Padded(values * mask[:, None], mask)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_off_is_nothing() -> None:
    x = mel()
    y = Augment().apply(x, seeded(0))
    assert torch.equal(x.values, y.values)
    assert torch.equal(x.mask, y.mask)  # type: ignore[arg-type]


def test_seeds_decide_and_the_input_stays() -> None:
    x = mel()
    before = x.values.clone()
    a, b, c = (ALL.apply(x, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a.values, b.values)
    assert a.values.shape != c.values.shape or not torch.equal(a.values, c.values)
    assert torch.equal(x.values, before)


@pytest.mark.parametrize(
    "change",
    [
        {"silence": 0.3},
        {"speed": 0.15},
        {"warp": 0.1},
        {"tilt": 3.0},
        {"noise": (5, 30)},
        {"room": 0.4},
        {"time_masks": 2},
        {"frequency_masks": 2},
    ],
)
def test_each_change_alone_is_finite_and_changes_something(change: dict[str, object]) -> None:
    x = mel()
    different = False
    for seed in range(5):
        y = Augment(**change).apply(x, seeded(seed))  # type: ignore[arg-type]
        assert torch.isfinite(y.values).all()
        assert y.values.shape[2] == y.mask.shape[1] == int(y.mask.sum(1).max())  # type: ignore[union-attr]
        different |= y.values.shape != x.values.shape or not torch.equal(y.values, x.values)
    assert different


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 4), st.floats(0.0, 0.5), st.integers(0, 3), st.integers(0, 8))
def test_masks_hide_no_more_than_their_share(seed: int, times: int, share: float, bands: int, bins: int) -> None:
    x = mel()
    augment = Augment(time_masks=times, time_share=share, frequency_masks=bands, frequency_bins=bins)
    y = augment.apply(x, seeded(seed))
    mean = [v[:, m].mean(1, keepdim=True) for v, m in zip(x.values, x.mask)]  # type: ignore[arg-type]
    for i, length in enumerate(LENGTHS):
        changed = y.values[i, :, :length] != x.values[i, :, :length]
        assert int(changed.all(0).sum()) <= times * share * length
        assert int(changed.all(1).sum()) <= bands * bins
        # What is hidden is whole frames and whole bands, and holds its band's mean.
        whole = changed.all(0)[None] | changed.all(1)[:, None]
        assert torch.equal(changed, whole)
        hidden = y.values[i, :, :length][changed]
        assert torch.allclose(hidden, mean[i].expand(-1, length)[changed], atol=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(0.01, 0.9))
def test_speed_changes_length_within_bounds(seed: int, most: float) -> None:
    x = mel()
    y = Augment(speed=most).apply(x, seeded(seed))
    for old, new in zip(LENGTHS, y.mask.sum(1).tolist(), strict=True):  # type: ignore[union-attr]
        assert math.floor(old / (1 + most)) <= new <= math.ceil(old * (1 + most))
    for i, new in enumerate(y.mask.sum(1).tolist()):  # type: ignore[union-attr]
        old = x.values[i, :, : LENGTHS[i]]
        assert torch.allclose(y.values[i, :, 0], old[:, 0])
        assert y.values[i, :, :new].max() <= old.max() + 1e-5
        assert y.values[i, :, :new].min() >= old.min() - 1e-5


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 0.5))
def test_silence_is_put_about_the_recording_and_changes_nothing_in_it(seed: int, longest: float) -> None:
    x = mel()
    y = Augment(silence=longest).apply(x, seeded(seed))
    most = math.ceil(longest * 100)
    for old, new, before, after in zip(LENGTHS, y.mask.sum(1).tolist(), x.values, y.values, strict=True):  # type: ignore[union-attr]
        assert old <= new <= old + 2 * most
        starts = [s for s in range(new - old + 1) if torch.equal(after[:, s : s + old], before[:, :old])]
        assert starts
        assert min(starts) <= most
        hiss = torch.cat([after[:, : starts[0]], after[:, starts[0] + old : new]], 1)
        if hiss.numel():
            drop = 10 * (before[:, :old].exp().mean().log10() - hiss.exp().mean().log10())
            assert 15 < drop < 75  # 25 to 60 dB, but for the hiss's own colour


def test_half_of_the_items_get_silence() -> None:
    y = Augment(silence=0.5).apply(mel([30] * 400), seeded(1))
    assert 0.4 < float((y.mask.sum(1) > 30).float().mean()) < 0.6  # type: ignore[union-attr]


def test_speed_resamples_in_time() -> None:
    """A ramp played faster is a steeper ramp."""
    ramp = Padded(torch.arange(100.0).expand(1, 3, 100).clone(), torch.ones(1, 100, dtype=torch.bool))
    for seed in range(5):
        y = Augment(speed=0.3).apply(ramp, seeded(seed)).values[0, 0]
        steps = y[1:-2].diff()
        assert torch.allclose(steps, steps[0].expand_as(steps), atol=1e-4)
        assert len(y) == pytest.approx(100 / float(steps[0]), abs=1)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(-20, 20), st.floats(0, 20))
def test_noise_only_raises_power(seed: int, low: float, more: float) -> None:
    x = mel()
    y = Augment(noise=(low, low + more)).apply(x, seeded(seed))
    assert (y.values >= x.values - 1e-5).all()


def test_noise_is_as_loud_as_asked() -> None:
    x = mel([400] * 64)
    for snr in (0.0, 10.0):
        y = Augment(noise=(snr, snr)).apply(x, seeded(3))
        added = (y.values.exp() - x.values.exp()).mean((1, 2)) / x.values.exp().mean((1, 2))
        noisy = added > 1e-3
        assert 0.25 < float(noisy.float().mean()) < 0.75  # half of the items
        # The noise's colour is level in the mean of its logarithms, so its power varies by a few dB around the target.
        assert (10 * added[noisy].log10()).median() == pytest.approx(-snr, abs=6)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 0.49))
def test_warp_keeps_the_ends_and_the_order_of_bands(seed: int, most: float) -> None:
    x = mel()
    y = Augment(warp=most).apply(x, seeded(seed))
    assert torch.allclose(y.values[:, 0], x.values[:, 0], atol=1e-5)
    assert torch.allclose(y.values[:, -1], x.values[:, -1], atol=1e-4)
    rising = Padded(torch.arange(20.0)[None, :, None].expand(4, 20, 5).clone(), torch.ones(4, 5, dtype=torch.bool))
    warped = Augment(warp=most).apply(rising, seeded(seed)).values
    assert (warped.diff(dim=1) >= 0).all()
    assert (warped - rising.values).abs().max() <= most / 4 * 19 + 1e-4


def test_tilt_is_the_same_in_every_frame() -> None:
    x = mel()
    change = Augment(tilt=3.0).apply(x, seeded(0)).values - x.values
    assert torch.allclose(change, change[..., :1].expand_as(change), atol=1e-5)
    # 3 dB of power are 0.69 natural logarithms, at the knots of the curve.
    many = mel([3] * 2000)
    ends = (Augment(tilt=3.0).apply(many, seeded(0)).values - many.values)[:, 0, 0]
    assert float(ends.std()) == pytest.approx(3.0 * math.log(10) / 10, rel=0.1)


def test_rooms_ring_after_a_sound_and_never_before() -> None:
    values = torch.full((200, 4, 100), -10.0)
    values[:, :, 30] = 2.0
    x = Padded(values, torch.ones(200, 100, dtype=torch.bool))
    y = Augment(room=0.4).apply(x, seeded(0)).values
    assert (y >= values - 1e-4).all()
    rooms = (y - values).amax((1, 2)) > 0.1
    assert 60 < int(rooms.sum()) < 140  # half of the items
    assert torch.allclose(y[~rooms], values[~rooms], atol=1e-4)
    early, late = y[rooms, 0, :30], y[rooms, 0, 31:60]
    assert (late[:, 0] > early.amax(1)).all()
    assert (late.diff(dim=1) < 1e-4).all()  # it dies away


@pytest.mark.parametrize(
    "bad", [{"speed": -0.1}, {"warp": 0.6}, {"time_share": 1.5}, {"noise": (30.0, 5.0)}, {"spede": 0.1}]
)
def test_bad_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Augment(**bad)  # type: ignore[arg-type]


def test_changes_of_one_item_do_not_depend_on_another_s_padding() -> None:
    """Levels and means are taken over real frames, whatever stands past them."""
    x = mel()
    loud = Padded(x.values.masked_fill(~x.mask[:, None], 8.0), x.mask)  # type: ignore[operator, index]
    augment = ALL.model_copy(update={"speed": 0.0})
    a, b = augment.apply(x, seeded(0)).values, augment.apply(loud, seeded(0)).values
    for i, length in enumerate(LENGTHS):
        assert torch.allclose(a[i, :, :length], b[i, :, :length], atol=1e-4)


def test_an_empty_list_is_no_noise_so_that_a_recipe_can_turn_it_off() -> None:
    assert Augment.model_validate({"noise": []}) == Augment()
