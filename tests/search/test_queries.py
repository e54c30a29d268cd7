"""Queries, their curves, and hits in them: phrases near each other, what is not meant, spoken and pictured examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile as sf
import torch
import torch.nn.functional as F

from lookhear.core import Features, lengths_to_mask, pool
from lookhear.errors import UserError
from lookhear.models.calibration import Calibration
from lookhear.scoring import Compatibility
from lookhear.search.curves import NEAR, Curves
from lookhear.search.finder import Finder
from lookhear.search.queries import Asked, pictured, spoken, without, written
from lookhear.search.spot import hear

STEP = 0.1
AXES = torch.eye(4)
READING = Compatibility(smooth=0.0)


def asked(name: str, *axes: int) -> Asked:
    return Asked(name, AXES[list(axes)], tuple(str(a) for a in axes))


def tape(frames: int, at: dict[int, int]) -> torch.Tensor:
    """(1, frames, 4) local vectors along the last axis, but for some frames that lie along another."""
    local = AXES[3].repeat(frames, 1)
    for frame, axis in at.items():
        local[frame] = AXES[axis]
    return local[None]


def features(local: torch.Tensor) -> Features:
    mask = lengths_to_mask(torch.tensor([local.shape[1]]), local.shape[1])
    return Features(pool(local, mask), local, mask, STEP)


def found(queries: list[Asked], local: torch.Tensor, cut: float | None, calibration: Calibration | None = None):
    curves = Curves(queries, READING, calibration)
    finder = Finder("a.wav", [q.name for q in queries], curves, STEP, cut)
    finder.add(curves.of_parts(features(local)), True)
    return finder.hits(local.shape[1] * STEP)


def test_the_words_of_a_phrase_must_stand_near_each_other():
    reach = round(NEAR / STEP)
    local = tape(100, {10: 0, 10 + reach - 2: 1, 50: 0, 50 + 2 * reach + 2: 1})
    curve = Curves([asked("both", 0, 1)], READING, None)
    values = curve.of_queries(curve.of_parts(features(local)), STEP)[:, 0]
    for n in range(100):  # by hand: the mean of each word's best within reach
        near = local[0, max(0, n - reach) : n + reach + 1]
        assert float(values[n]) == pytest.approx(float((near[:, 0].max() + near[:, 1].max()) / 2))
    (hit,) = found([asked("both", 0, 1)], local, 0.9)
    assert hit.start <= 10 * STEP
    assert hit.end >= (10 + reach - 1) * STEP
    assert hit.score == pytest.approx(1.0)


def test_what_is_not_meant_is_left_out():
    local = tape(60, {10: 0, 40: 0})
    local[0, 41] = AXES[1]  # just after the second one
    plain = found([asked("word", 0)], local, 0.5)
    assert [int((h.start + h.end) / 2 / STEP) for h in plain] == [10, 40]
    # equally well met is not better met; a little less well, and only the first is left
    local[0, 40] = F.normalize(AXES[0] + 0.1 * AXES[2], dim=-1)
    (hit,) = found(without([asked("word", 0)], [asked("other", 1)]), local, 0.5)
    assert int((hit.start + hit.end) / 2 / STEP) == 10


def test_curves_are_log_odds_of_a_calibrated_model():
    mean, covariance = torch.full((4,), 0.1), torch.diag(torch.tensor([0.04, 0.09, 0.01, 0.25]))
    calibration = Calibration(mean, covariance, torch.tensor([2.0, 3.0, -4.0]), torch.tensor([0.5]), ["1"])
    curves = Curves([asked("zero", 0), asked("one", 1)], READING, calibration)
    cosines = curves.of_parts(features(tape(5, {2: 0, 3: 1})))
    values = curves.of_queries(cosines, STEP)
    for n in range(5):
        for q, (sigma, own) in enumerate([(0.2, 0.0), (0.3, 0.5)]):
            s = float(cosines[n, q])
            assert float(values[n, q]) == pytest.approx(2 * s + 3 * (s - 0.1) / sigma - 4 + own, abs=1e-5)
    hits = found([asked("zero", 0)], tape(30, {12: 0}), 0.0, calibration)
    sure = 1 / (1 + math.exp(-(2 + 3 * 0.9 / 0.2 - 4)))
    assert [(h.score, h.probability) for h in hits] == [(pytest.approx(1.0), pytest.approx(sure))]


@pytest.mark.parametrize("cuts", [[50], [1] * 50, [7, 1, 30, 12], [3, 47]])
@pytest.mark.parametrize("cut", [0.3, None])
def test_a_stream_may_be_cut_anywhere(cuts, cut):
    rng = torch.Generator().manual_seed(1)
    local = torch.randn(1, 50, 4, generator=rng)
    queries = without([asked("zero", 0), asked("phrase", 1, 2)], [asked("not", 3)])
    curves = Curves(queries, READING, None)
    cosines = curves.of_parts(features(local))
    finder, at = Finder("a.wav", ["zero", "phrase"], curves, STEP, cut), 0
    for n in cuts:
        at += n
        finder.add(cosines[at - n : at], at == 50)
    whole = found(queries, local, cut)
    assert whole
    assert finder.hits(5.0) == whole


def test_phrases_are_read_by_their_content_words(tiny_model):
    word, phrase, empty = written(tiny_model, ["dog", "a dog and the boat", "over there"])
    assert (word.words, phrase.words, empty.words) == (("dog",), ("dog", "boat"), ("over there",))
    vectors = tiny_model.embed_texts(["dog", "boat", "over there"]).pooled
    assert torch.allclose(word.parts[0], vectors[0], atol=1e-6)
    assert torch.allclose(phrase.parts, vectors[:2], atol=1e-6)
    assert torch.allclose(empty.parts[0], vectors[2], atol=1e-6)
    both = written(tiny_model, ["dog"], ["{word}", "a {word}"])[0].parts[0]
    mean = tiny_model.embed_texts(["dog", "a dog"]).pooled.mean(0)
    assert torch.allclose(both, F.normalize(mean, dim=-1), atol=1e-6)
    with pytest.raises(UserError, match="template"):
        written(tiny_model, ["dog"], "no place")


class Spectrum:
    """Hears the spectrum of each 40 ms."""

    step, context, compatibility, calibration = 0.04, 0.04, READING, None

    def embed_audio(self, waves):
        rows = [np.abs(np.fft.rfft(w[: len(w) // 640 * 640].reshape(-1, 640))).astype(np.float32) for w in waves]
        mask = lengths_to_mask(torch.tensor([len(r) for r in rows]), max(map(len, rows)))
        local = torch.zeros(len(rows), mask.shape[1], 321)
        for row, spectrum in zip(local, rows):
            row[: len(spectrum)] = torch.from_numpy(spectrum)
        return Features(pool(local, mask), local, mask, self.step)


def test_a_spoken_example_finds_itself(tmp_path):
    wave = np.random.default_rng(0).standard_normal(16000 * 20).astype(np.float32) * 0.01
    wave[16000 * 8 : 16000 * 9] += 0.3 * np.sin(np.arange(16000) * 0.4).astype(np.float32)
    sf.write(tmp_path / "tape.wav", wave, 16000, subtype="FLOAT")
    sf.write(tmp_path / "clip.wav", wave[16000 * 8 : 16000 * 9], 16000, subtype="FLOAT")
    (heard,) = hear(Spectrum(), [tmp_path / "tape.wav"], [spoken(Spectrum(), tmp_path / "clip.wav")])
    best = max(heard.hits, key=lambda h: h.score)
    assert best.query == "clip.wav"
    assert 8 <= (best.start + best.end) / 2 <= 9
    assert heard.seconds == pytest.approx(20.0)


def test_a_picture_is_its_own_vector(tiny_model, tiny_folder):
    path = next(tiny_folder.glob("pictures/*.png"))
    asked = pictured(tiny_model, path, "this one")
    assert (asked.name, asked.words) == ("this one", ("",))
    assert torch.allclose(asked.parts, tiny_model.embed([path]).pooled, atol=1e-6)


@pytest.mark.parametrize(
    ("calibrated", "threshold"), [(True, 0.0), (True, 1.0), (True, -0.2), (True, 1.5), (False, 1.5), (False, -1.1)]
)
def test_a_threshold_lies_in_its_range(tmp_path, calibrated, threshold):
    model = Spectrum()
    if calibrated:
        model.calibration = Calibration(torch.zeros(321), torch.eye(321), torch.tensor([1.0, 1.0, 0.0]))
    query = Asked("tone", torch.eye(321)[:1], ("tone",))
    with pytest.raises(UserError, match="threshold"):
        list(hear(model, [tmp_path / "a.wav"], [query], threshold=threshold))
