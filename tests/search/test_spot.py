"""Spotting in streams: planted moments are found wherever the cuts fall; only whole files are reported."""

import io
import sys

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.audio import load_audio
from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.models import streaming
from lookhear.models.speech import LocalTower
from lookhear.moments import around
from lookhear.scoring import Compatibility
from lookhear.search import finder
from lookhear.search.spot import spot

STEP, STEP_S = 640, 0.04  # samples and seconds of a frame


class Loudness:
    """Hears how loud each 40 ms are, as the cosine with "loud"; "quiet" asks for the opposite, "other" for neither."""

    step, dim, context = 0.04, 3, 0.04
    calibration = None
    compatibility = Compatibility(smooth=0.0)

    def embed_texts(self, texts):
        vectors = {"loud": [1.0, 0.0, 0.0], "quiet": [-1.0, 0.0, 0.0], "other": [0.0, 1.0, 0.0]}
        return Features.of_pooled(torch.tensor([vectors[t.removeprefix("a ")] for t in texts]))

    def embed_audio(self, waves):
        lengths = [-(-len(w) // STEP) for w in waves]
        local = torch.zeros(len(waves), max(lengths), 3)
        for row, wave, n in zip(local, waves, lengths):
            row[:n, 0] = torch.from_numpy(np.abs(np.pad(wave, (0, n * STEP - len(wave)))).reshape(n, STEP).mean(1))
            row[:n, 2] = (1 - row[:n, 0] ** 2).sqrt()
        mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        return Features(local[:, 0], local, mask, self.step)


class Tower:
    """An untrained speech tower with a bounded receptive field, and fixed random queries."""

    step = 0.04
    compatibility = Compatibility()

    def __init__(self):
        torch.manual_seed(0)
        self.tower = LocalTower(LocalTower.Config(width=16, level=1.0), 8).eval()
        self.context, self.calibration = self.tower.context, None
        self.queries = torch.zeros(0, 8)

    def ask(self, wave, places):
        """Queries for what is heard at some places (seconds) and not usually."""
        local = self.embed_audio([wave]).local[0]
        heard = torch.stack([local[round(t / self.step)] for t in places])
        usual = torch.nn.functional.normalize(local.mean(0), dim=-1)
        self.queries = torch.nn.functional.normalize(heard - (heard @ usual)[:, None] * usual, dim=-1)

    def embed_texts(self, texts):
        return Features.of_pooled(self.queries[: len(texts)])

    def embed_audio(self, waves):
        from lookhear.audio import pad_audio

        with torch.inference_mode():
            return self.tower(pad_audio(waves))


@pytest.fixture
def bursts(tmp_path):
    """Noise with loud bursts of 0.28 s at given seconds → path."""

    def make(seconds, at, name="a.wav"):
        wave = np.random.default_rng(0).uniform(-0.02, 0.02, round(seconds * 16000))
        for i, t in enumerate(at):
            wave[round(t * 16000) : round((t + 0.28) * 16000)] *= 20 - i
        sf.write(tmp_path / name, wave, 16000, subtype="FLOAT")
        return tmp_path / name

    return make


def test_planted_moments_are_found_across_pieces(bursts):
    at = [3.0, 29.5, 30.4, 31.6, 59.16, 100.0]  # some on the borders of pieces
    path = bursts(120, at)
    hits = [h for h in spot(Loudness(), [path], ["loud", "other"]) if h.query == "loud"]
    assert sorted(h.start for h in hits) == pytest.approx(at, abs=0.11)
    assert all(h.end - h.start == pytest.approx(0.28, abs=0.09) for h in hits)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert hits[0].start == pytest.approx(3.0, abs=0.11)


@pytest.mark.parametrize("lead", [0.0, 0.5, 13.37, 28.0, 30.7])
def test_it_does_not_matter_where_the_cuts_fall(bursts, lead):
    at = [lead + t for t in (1.0, 2.2, 17.0)]
    hits = list(spot(Loudness(), [bursts(lead + 40, at)], ["loud"]))
    assert sorted(h.start - lead for h in hits) == pytest.approx([1.0, 2.2, 17.0], abs=0.11)


@pytest.mark.parametrize("piece", [1.0, 7.0, 20.0])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_the_answer_is_the_same_whatever_the_piece(monkeypatch, tmp_path, piece, rate):
    rng = np.random.default_rng(0)
    wave = rng.standard_normal(round(33.3 * rate)).astype(np.float32) * 0.02
    wave[: len(wave) // 2] *= 10  # two levels
    places = [1.0, 9.97, 13.02, 21.5, 32.9]
    for i, t in enumerate(places):  # five words: tones of 0.3 s, some on the borders of pieces
        at = round((t - 0.15) * rate) + np.arange(round(0.3 * rate))
        wave[at] += 0.3 * np.sin(2 * np.pi * 400 * 1.7**i * at / rate)
    sf.write(tmp_path / "a.wav", wave, rate, subtype="FLOAT")
    model, words = Tower(), list("abcde")
    model.ask(load_audio(tmp_path / "a.wav"), places)
    monkeypatch.setattr(streaming, "PIECE", 100.0)
    whole = list(spot(model, [tmp_path / "a.wav"], words))
    monkeypatch.setattr(streaming, "PIECE", piece)
    cut = list(spot(model, [tmp_path / "a.wav"], words))
    assert len(whole) >= len(words)
    assert [(h.query, h.start, h.end) for h in cut] == [(h.query, h.start, h.end) for h in whole]
    assert [h.score for h in cut] == pytest.approx([h.score for h in whole], abs=1e-4)


def test_thresholds_give_the_peaks_above_them(bursts):
    path = bursts(100, [5.0, 30.3, 60.0])
    hits = sorted(spot(Loudness(), [path], ["loud"], threshold=0.05), key=lambda h: h.start)
    curve = Loudness().embed_audio([sf.read(path, dtype="float32")[0]]).local[0, :, 0]
    top = [int(curve[round((t - 0.1) / STEP_S) : round((t + 0.3) / STEP_S)].argmax()) for t in (5.0, 30.3, 60.0)]
    top = [round((t - 0.1) / STEP_S) + n for t, n in zip((5.0, 30.3, 60.0), top)]
    assert [h.score for h in hits] == pytest.approx([float(curve[n]) for n in top])
    expected = [around(curve, n, STEP_S) for n in top]
    assert [(h.start, h.end) for h in hits] == [(pytest.approx(s.start), pytest.approx(s.end)) for s in expected]


def test_what_goes_on_unchanged_is_one_moment(tmp_path):
    sf.write(tmp_path / "a.wav", np.full(200 * 16000, 0.5), 16000)
    (hit,) = spot(Loudness(), [tmp_path / "a.wav"], ["loud"], threshold=0.1)
    assert hit.start == 0.0


def test_nothing_above_the_threshold_is_nothing(bursts):
    assert list(spot(Loudness(), [bursts(10, [5.0])], ["loud"], threshold=0.9)) == []


def test_every_file_has_a_best_moment_of_every_word(bursts):
    files = [bursts(s, [s / 2], f"{s}.wav") for s in (2, 40, 3)]
    hits = list(spot(Loudness(), files, ["loud", "quiet", "other"]))
    assert {(h.file, h.query) for h in hits} == {(str(f), w) for f in files for w in ("loud", "quiet", "other")}
    assert all(h.end <= float(h.file.split("/")[-1][:-4]) + 1e-6 for h in hits)


def test_a_word_said_often_is_found_every_time(bursts):
    at = [1.0 + i for i in range(11)]  # a fifth of the time, which would nearly double a plain standard deviation
    hits = list(spot(Loudness(), [bursts(12, at)], ["loud"]))
    assert sorted(h.start for h in hits) == pytest.approx(at, abs=0.11)


def test_moments_below_half_of_the_best_are_left_out(bursts):
    at = [1.0 + i for i in range(15)]  # of loudness 20, 19, … 6
    hits = list(spot(Loudness(), [bursts(20, at)], ["loud"]))
    assert len(hits) in (10, 11)  # 20 … 10, and the noise decides about the last
    assert min(h.score for h in hits) >= max(h.score for h in hits) / 2


def test_templates_and_doubles(bursts):
    path = bursts(5, [2.0])
    plain, prompted = (list(spot(Loudness(), [path], ["loud", "loud"], template=t)) for t in ("{word}", "a {word}"))
    assert plain == prompted
    assert len([h for h in plain if h.score > 0.1]) == 1
    with pytest.raises(UserError, match=r"\{word\}"):
        list(spot(Loudness(), [path], ["loud"], template="a word"))
    with pytest.raises(UserError, match="no words"):
        list(spot(Loudness(), [path], []))


def test_a_damaged_file_is_left_out_whole_and_the_rest_is_found(bursts):
    files = [bursts(5, [1.0], "a.wav"), bursts(90, [2.0], "b.wav"), bursts(5, [3.0], "c.wav")]
    files[1].write_bytes(files[1].read_bytes()[:-16000])
    errors = []
    hits = list(spot(Loudness(), files, ["loud"], on_error=errors.append))
    assert {h.file for h in hits} == {str(files[0]), str(files[2])}
    assert [("b.wav" in str(e), "truncated" in str(e)) for e in errors] == [(True, True)]
    with pytest.raises(UserError, match=r"b\.wav"):
        list(spot(Loudness(), files, ["loud"]))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_for_terminals(bursts, monkeypatch, terminal):
    class Screen(io.StringIO):
        def isatty(self):
            return terminal

    screen, path = Screen(), bursts(5, [1.0])
    monkeypatch.setattr(sys, "stderr", screen)
    list(spot(Loudness(), [path], ["loud"]))
    assert screen.getvalue() == ""
    list(spot(Loudness(), [path], ["loud"], progress=True))
    assert ("spotting" in screen.getvalue()) == terminal


def test_a_diverged_model_is_said(bursts):
    class Diverged(Loudness):
        def embed_audio(self, waves):
            features = super().embed_audio(waves)
            return Features(features.pooled, features.local * float("nan"), features.mask, features.step)

    with pytest.raises(UserError, match="diverged"):
        list(spot(Diverged(), [bursts(5, [1.0])], ["loud"]))


def test_usual_scores_of_long_files_come_from_a_bounded_sample(monkeypatch):
    monkeypatch.setattr(finder, "_SAMPLES", 100)
    sample, every = finder._Sample(), []
    rng = torch.Generator().manual_seed(0)
    for n in (33, 64, 1, 250, 77):
        every.append(2 * torch.rand(n, 2, generator=rng) - 1)
        sample.add(every[-1])
    curve, kept = torch.cat(every), sample.frames
    assert len(kept) <= 100
    assert any(torch.equal(kept, curve[::stride]) for stride in (4, 8))


def test_a_trained_run_answers_in_order(tiny_model, tiny_folder):
    files = sorted(tiny_folder.glob("*.flac"))
    hits = list(spot(tiny_model, files, ["dog", "boat"]))
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert {h.file for h in hits} == set(map(str, files))
    assert {h.query for h in hits} == {"dog", "boat"}
