"""Calibration: the fit against scikit-learn, saving, and what pictures and labels teach."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lookhear.errors import UserError
from lookhear.models.calibration import FILE, Calibration
from lookhear.models.model import Model
from lookhear.recipe import load_recipe
from lookhear.training.calibrate import calibrate_by_labels, calibrate_by_pictures, fit_calibration

DIM = 6


def plain(seed: int = 0) -> Calibration:
    rng = torch.Generator().manual_seed(seed)
    x = F.normalize(torch.randn(500, DIM, generator=rng) + 0.3, dim=-1)
    return Calibration(x.mean(0), torch.cov(x.T, correction=0), torch.tensor([10.0, 1.0, -10.0]))


def made(words: int = 3, recordings: int = 400) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, best moments, and whether each word is said: log-odds 20 s − 8."""
    rng = torch.Generator().manual_seed(1)
    queries = F.normalize(torch.randn(words, DIM, generator=rng), dim=-1)
    peaks = torch.rand(recordings, words, generator=rng)
    said = torch.rand(recordings, words, generator=rng) < torch.sigmoid(20 * peaks - 8)
    return queries, peaks, said.float()


def test_usual_scores_are_those_of_the_frames():
    rng = torch.Generator().manual_seed(0)
    x = F.normalize(torch.randn(500, DIM, generator=rng) + 0.3, dim=-1)
    queries = F.normalize(torch.randn(4, DIM, generator=rng), dim=-1)
    scores = x @ queries.T
    middle, spread = plain().usual(queries)
    assert torch.allclose(middle, scores.mean(0), atol=1e-5)
    assert torch.allclose(spread, scores.std(0, correction=0), atol=1e-5)


def test_the_fit_is_a_logistic_regression():
    """One word without a δ that could move: scikit-learn's unpenalised regression on the score alone."""
    from sklearn.linear_model import LogisticRegression

    queries, peaks, said = made(words=1, recordings=2000)
    before = plain()
    found = fit_calibration(before, peaks, queries, said, ["w"])
    line = LogisticRegression(C=np.inf).fit(peaks.numpy(), said[:, 0].numpy())
    slope, intercept = found.line(queries, ["w"])
    assert float(slope) == pytest.approx(float(line.coef_[0, 0]), rel=0.02)
    assert float(intercept) == pytest.approx(float(line.intercept_[0]), rel=0.02)


def test_a_word_that_is_surer_gets_its_own_place():
    queries, peaks, said = made()
    peaks[:, 2] -= 0.3  # its scores are lower, what is said is the same
    found = fit_calibration(plain(), peaks, queries, said, ["a", "b", "c"])
    sure = found.probability(peaks, queries, ["a", "b", "c"])
    for v in range(3):
        assert float(sure[:, v].mean()) == pytest.approx(float(said[:, v].mean()), abs=0.02)
    assert float(found.offsets[2]) > float(found.offsets[:2].max()) + 1
    unknown = found.line(queries, None)[1]
    assert torch.allclose(found.line(queries, ["a", "b", "c"])[1] - unknown, found.offsets)


def test_a_higher_score_never_makes_a_word_less_likely():
    queries, peaks, said = made()
    found = fit_calibration(plain(), peaks, queries, 1 - said, ["a", "b", "c"])
    assert (found.line(queries)[0] >= 0).all()


def test_a_few_labels_move_their_word_and_leave_the_others(monkeypatch):
    queries, peaks, said = made()
    first = fit_calibration(plain(), peaks, queries, said, ["a", "b", "c"])
    again = fit_calibration(first, peaks[:6, :1] + 0.3, queries[:1], torch.zeros(6, 1), ["a"], faith=3.0)
    assert again.words == first.words
    assert torch.equal(again.offsets[1:], first.offsets[1:])
    assert float(again.offsets[0]) < float(first.offsets[0])
    new = fit_calibration(first, peaks[:6, :1], queries[:1], said[:6, :1], ["d"], faith=3.0)
    assert new.words == ("a", "b", "c", "d")


def test_saved_and_read_again(tmp_path):
    queries, peaks, said = made()
    found = fit_calibration(plain(), peaks, queries, said, ["a", "é", "c"])
    found.save(tmp_path)
    back = Calibration.load(tmp_path)
    assert back is not None
    assert back.words == ("a", "é", "c")
    assert torch.equal(back.probability(peaks, queries, back.words), found.probability(peaks, queries, found.words))
    assert Calibration.load(tmp_path / "nowhere") is None
    (tmp_path / FILE).write_bytes(b"no")
    with pytest.raises(UserError, match="lookhear calibrate"):
        Calibration.load(tmp_path)


def test_a_run_is_calibrated_by_its_validation_pictures(tiny_run, tiny_book):
    from lookhear.data.read import open_corpus

    model = Model.load(tiny_run)
    assert model.calibration is not None
    assert model.calibration.words
    again = calibrate_by_pictures(model, load_recipe(str(tiny_run / "recipe.toml")), open_corpus(tiny_book))
    assert isinstance(again, Calibration)
    assert torch.allclose(again.weights, model.calibration.weights, rtol=1e-3, atol=1e-3)
    recipe = load_recipe(str(tiny_run / "recipe.toml"), ["data.calibration=[]"])
    assert "no recordings with pictures" in str(calibrate_by_pictures(model, recipe, open_corpus(tiny_book)))


def test_what_is_said_is_learned_from_labels(tiny_run, tiny_book):
    from lookhear.data.read import open_corpus

    model, corpus = Model.load(tiny_run), open_corpus(tiny_book).select("test")
    assert model.calibration is not None
    said = next(w for w in corpus.column("text")[int(corpus.recordings[0])].split() if len(w) > 3).strip(".,")
    found = calibrate_by_labels(model.calibration, model, corpus, [said], "text")
    assert said in found.words
    with pytest.raises(UserError, match="is said in its"):
        calibrate_by_labels(model.calibration, model, corpus, ["zzyzx"], "text")
    with pytest.raises(UserError, match="no column"):
        calibrate_by_labels(model.calibration, model, corpus, [said], "transcript")
