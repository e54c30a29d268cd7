"""Spotting in streams: planted moments are found wherever the cuts fall; only whole files are reported."""

import io
import sys

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.models.speech import LocalTower
from lookhear.moments import around, spans_above
from lookhear.scoring import Compatibility
from lookhear.search import spot as module
from lookhear.search.spot import spot

STEP = 640  # samples a frame


class Loudness:
    """Hears how loud each 40 ms are, as the cosine with "loud"; "quiet" asks for the opposite, "other" for neither."""

    step, dim = 0.04, 3
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
        self.tower = LocalTower(LocalTower.Config(width=16), 8).eval()
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
    """Noise with loud bursts of 0.2 s at given seconds → path."""

    def make(seconds, at, name="a.wav"):
        wave = np.random.default_rng(0).uniform(-0.02, 0.02, round(seconds * 16000))
        for i, t in enumerate(at):
            wave[round(t * 16000) : round((t + 0.2) * 16000)] *= 20 - i
        sf.write(tmp_path / name, wave, 16000, subtype="FLOAT")
        return tmp_path / name

    return make


def test_planted_moments_are_found_across_pieces(bursts):
    at = [3.0, 29.5, 30.4, 31.6, 59.16, 100.0]  # some on the borders of pieces
    path = bursts(120, at)
    hits = [h for h in spot(Loudness(), [path], ["loud", "other"]) if h.query == "loud"]
    assert sorted(h.start for h in hits) == pytest.approx(at, abs=0.05)
    assert all(h.end - h.start == pytest.approx(0.2, abs=0.05) for h in hits)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert hits[0].start == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("lead", [0.0, 0.5, 13.37, 28.0, 30.7])
def test_it_does_not_matter_where_the_cuts_fall(bursts, lead):
    at = [lead + t for t in (1.0, 2.2, 17.0)]
    hits = list(spot(Loudness(), [bursts(lead + 40, at)], ["loud"]))
    assert sorted(h.start - lead for h in hits) == pytest.approx([1.0, 2.2, 17.0], abs=0.05)


@pytest.mark.parametrize("piece", [9.2, 12.4, 20.0, 32.0])
@pytest.mark.parametrize("lead", [0, 5.2])
def test_a_streamed_tower_peaks_where_the_whole_recording_does(monkeypatch, tmp_path, piece, lead):
    monkeypatch.setattr(module, "_PIECE", piece)
    wave = np.random.default_rng(0).standard_normal(round((70 + lead) * 16000)).astype(np.float32) * 0.02
    places = [lead + t for t in (4.0, 15.0, 30.1, 47.3, 69.0)]
    for i, t in enumerate(places):  # five words: tones of 0.3 s, some on the borders of pieces
        at = round((t - 0.15) * 16000) + np.arange(4800)
        wave[at] += 0.3 * np.sin(2 * np.pi * 400 * 1.7**i * at / 16000)
    sf.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    model, words = Tower(), list("abcde")
    model.ask(wave, places)
    whole = model.compatibility.curve(model.embed_audio([wave]), model.queries)[0]
    found = {}
    for hit in spot(model, [tmp_path / "a.wav"], words):
        found.setdefault(hit.query, hit)
    for i, word in enumerate(words):
        best = around(whole[:, i], int(whole[:, i].argmax()), model.step)
        # The tower takes each piece's own mean spectrum away, so scores move a little with the cuts; places do not.
        assert any(best.start <= t <= best.end for t in places)
        assert (found[word].start, found[word].end) == pytest.approx((best.start, best.end), abs=model.step + 1e-6)
        assert found[word].score == pytest.approx(best.score, rel=0.15)


def test_thresholds_give_the_stretches_above_them(bursts):
    path = bursts(100, [5.0, 30.3, 60.0])
    hits = list(spot(Loudness(), [path], ["loud"], threshold=0.05))
    curve = Loudness().embed_audio([sf.read(path, dtype="float32")[0]]).local[0, :, 0]
    expected = spans_above(curve, 0.04, 0.05)
    assert [(h.start, h.end) for h in sorted(hits, key=lambda h: h.start)] == [
        (pytest.approx(s.start), pytest.approx(s.end)) for s in expected
    ]


def test_a_stretch_longer_than_a_piece_is_one(tmp_path):
    sf.write(tmp_path / "a.wav", np.full(80 * 16000, 0.5), 16000)
    (hit,) = spot(Loudness(), [tmp_path / "a.wav"], ["loud"], threshold=0.1)
    assert (hit.start, hit.end) == (0.0, pytest.approx(80.0))


def test_nothing_above_the_threshold_is_nothing(bursts):
    assert list(spot(Loudness(), [bursts(10, [5.0])], ["loud"], threshold=5)) == []


def test_every_file_has_a_best_moment_of_every_word(bursts):
    files = [bursts(s, [s / 2], f"{s}.wav") for s in (2, 40, 3)]
    hits = list(spot(Loudness(), files, ["loud", "quiet", "other"]))
    assert {(h.file, h.query) for h in hits} == {(str(f), w) for f in files for w in ("loud", "quiet", "other")}
    assert all(h.end <= float(h.file.split("/")[-1][:-4]) + 1e-6 for h in hits)


def test_a_word_said_often_is_found_every_time(bursts):
    at = [1.0 + i for i in range(11)]  # a fifth of the time, which would nearly double a plain standard deviation
    hits = list(spot(Loudness(), [bursts(12, at)], ["loud"]))
    assert sorted(h.start for h in hits) == pytest.approx(at, abs=0.05)


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
    monkeypatch.setattr(module, "_SAMPLES", 100)
    sample, every = module._Sample(), []
    rng = torch.Generator().manual_seed(0)
    for n in (33, 64, 1, 250, 77):
        every.append(torch.randn(n, 2, generator=rng))
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
