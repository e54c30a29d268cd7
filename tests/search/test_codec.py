"""Frames as bytes: what comes back, and what products say of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookhear.search.archive import codec
from lookhear.search.archive.codec import HalfPrecision, train_codec

DIM = 24
values = st.floats(-100, 100, width=16)
frames = st.integers(0, 6).flatmap(lambda n: arrays(np.float16, (n, DIM), elements=values))


@pytest.fixture(scope="module")
def residual():
    """Trained on vectors that lie mostly in eight dimensions, as frames of speech lie in a few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "COMPONENTS", 16)
        patch.setattr(codec, "STAGES", 4)
        rng = np.random.default_rng(0)
        return train_codec(speech(rng, 2000))


def speech(rng, count):
    scale = np.where(np.arange(DIM) < 8, 1.0, 0.1)
    return (rng.standard_normal((count, DIM)) * scale).astype(np.float32)


@given(frames)
def test_half_precision_is_kept_exactly(local):
    plain = HalfPrecision(DIM)
    codes = plain.encode(local)
    assert len(codes) == len(local) * plain.width
    np.testing.assert_array_equal(plain.decode(codes), local.astype(np.float32))


@given(frames, frames)
def test_frames_are_coded_one_by_one(residual, a, b):
    codes = residual.encode(a), residual.encode(b)
    assert residual.encode(np.concatenate([a, b])) == codes[0] + codes[1]
    assert len(codes[0]) == len(a) * residual.width
    assert residual.decode(b"".join(codes)).shape == (len(a) + len(b), DIM)


@given(frames)
def test_lengths_are_kept_and_silence_stays_silent(residual, local):
    given_ = np.linalg.norm(local.astype(np.float32), axis=1)
    got = np.linalg.norm(residual.decode(residual.encode(local)), axis=1)
    np.testing.assert_array_equal(got[given_ == 0], 0)
    inside = given_ > 1e-4
    np.testing.assert_allclose(got[inside], given_[inside], rtol=0.04)


@given(frames, st.integers(0, 100))
def test_products_in_fewer_dimensions_are_those_of_all(residual, local, seed):
    queries = np.random.default_rng(seed).standard_normal((3, DIM)).astype(np.float32)
    codes = residual.encode(local)
    full, fewer, asked = residual.decode(codes), residual.reduce(codes), residual.project(queries)
    assert fewer.shape == (len(local), 16)
    np.testing.assert_allclose(fewer @ asked.T, full @ queries.T, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(fewer, axis=1), np.linalg.norm(full, axis=1), rtol=1e-3)


def test_directions_are_kept_nearly(residual):
    local = speech(np.random.default_rng(1), 500)
    got = residual.decode(residual.encode(local))
    cosines = (got * local).sum(1) / (np.linalg.norm(got, axis=1) * np.linalg.norm(local, axis=1))
    assert cosines.mean() > 0.9


def test_a_codec_is_what_its_bytes_say(residual):
    again = codec.Residual(residual.data)
    local = speech(np.random.default_rng(2), 20)
    assert again.encode(local) == residual.encode(local)
    assert (again.dim, again.width) == (DIM, 5)
