"""Search: scores are the model's readings, places come from the curve, overlapping segments are one moment."""

import shutil
from itertools import combinations, pairwise

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.audio import load_audio
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.search.searcher import Searcher
from lookhear.search.update import index_files


@pytest.fixture(scope="module")
def searcher(tiny_index, tiny_model):
    return Searcher(tiny_index, tiny_model)


def readings(model, files, text, words=()):
    """(files,) cosines of pooled vectors as texts see them, and the mean of the words' best moments."""
    heard = model.embed_audio([load_audio(f) for f in files])
    whole = (heard.pooled @ model.embed_texts([text]).pooled.T)[:, 0] * model.contrast(heard.pooled)
    return whole, model.compatibility.peak(heard, model.embed_texts(list(words) or [text]).pooled).mean(1)


@pytest.mark.parametrize("text", ["over there", "dog", "a dog", "a red boat", "the small dog by the red boat"])
def test_scores_are_words_at_their_best_moments_and_wholes(searcher, tiny_model, tiny_folder, text):
    words = {"over there": [], "dog": ["dog"], "a dog": ["dog"], "a red boat": ["red", "boat"]}
    asked = words.get(text, ["small", "dog", "red", "boat"])
    files = sorted(tiny_folder.glob("*.flac"))
    whole, moments = readings(tiny_model, files, text, asked)
    weight = len(list(combinations(asked, 2))) / 10
    scores = whole if not asked else (moments + weight * whole) / (1 + weight)
    hits = searcher.search(text, k=100)
    by_file = dict(zip(map(str, files), scores.tolist(), strict=True))
    assert {h.file for h in hits} == set(by_file)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(by_file[hit.file], abs=2e-3)  # half precision on disk
        assert hit.query == text


def test_words_that_the_encoder_does_not_know_are_said(searcher):
    with pytest.raises(UserError, match="knows no piece of"):
        searcher.search("boat ሰላም")


def test_places_are_peaks_of_the_curve(searcher, tiny_model):
    query = tiny_model.embed_texts(["dog"]).pooled.float()
    for hit in searcher.search("dog", k=100):
        features = tiny_model.embed_audio([load_audio(hit.file)])
        curve = tiny_model.compatibility.curve(features, query)[0, :, 0]
        inside = curve[round(hit.start / tiny_model.step) : round(hit.end / tiny_model.step)]
        assert inside.max() == pytest.approx(float(curve.max()), abs=5e-3)
        assert 0 <= hit.start < hit.end <= len(load_audio(hit.file)) / 16000 + 1e-6


def test_a_recording_and_a_picture_find_themselves_first(searcher, tiny_folder):
    recording = min(tiny_folder.glob("*.flac"))
    best = searcher.search(recording, k=1)[0]
    assert best.file == str(recording)
    assert best.score == pytest.approx(1, abs=1e-4)
    picture = min((tiny_folder / "pictures").glob("*.png"))
    best = searcher.search(str(picture), k=1, kind="pictures")[0]
    assert (best.file, best.start, best.end) == (str(picture), 0.0, 0.0)
    assert best.score == pytest.approx(1, abs=1e-4)


def test_kinds(searcher):
    recordings, pictures, both = (searcher.search("dog", 100, kind) for kind in ("moments", "pictures", "all"))
    assert {h.file[-4:] for h in recordings} == {"flac"}
    assert {h.file[-4:] for h in pictures} == {".png"}
    assert {h.file for h in both} == {h.file for h in recordings + pictures}
    assert [h.score for h in both] == sorted((h.score for h in both), reverse=True)
    assert searcher.search("dog", 100, "texts") == []
    with pytest.raises(UserError, match="did you mean 'pictures'"):
        searcher.search("dog", 1, "picture")
    with pytest.raises(UserError, match="at least one"):
        searcher.search("dog", 0)


def test_k_limits_and_prefixes_agree(searcher):
    every = searcher.search("a boat", 100)
    assert [h.file for h in searcher.search("a boat", 3)] == [h.file for h in every[:3]]


def test_overlapping_segments_are_one_moment(tiny_run, tiny_model, sound, tmp_path):
    path = sound("long.flac", 40.0)
    index_files(tiny_run, [path], tmp_path / "i")
    hits = Searcher(tmp_path / "i", tiny_model).search("boat", k=100)
    assert len(hits) < 19  # as many as segments
    by_time = sorted(hits, key=lambda h: h.start)
    assert all(a.end <= b.start for a, b in pairwise(by_time))
    assert len(Searcher(tmp_path / "i", tiny_model).search("boat", k=3)) == 3


def test_other_readings_are_scored_as_in_training(tiny_model, tiny_folder, tmp_path, tiny_run):
    """A model that reads by its best frame: the index gives candidates, the model's own reading the scores."""
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    text = (run / "model.json").read_text().replace('"kind": "sum"', '"kind": "max"')
    (run / "model.json").write_text(text)
    model = Model.load(run)
    assert model.compatibility.kind == "max"
    index_files(run, [tiny_folder], tmp_path / "i")
    query = model.embed_texts(["over there"]).pooled
    for hit in Searcher(tmp_path / "i").search("over there", 4):
        expected = model.compatibility.pooled(model.embed_audio([load_audio(hit.file)]), query)
        assert hit.score == pytest.approx(float(expected), abs=2e-3)


def test_an_index_of_another_model_is_refused(tiny_index, tiny_run):
    other = Model.load(tiny_run)
    with torch.no_grad():
        other.audio.value.weight.mul_(2)
    with pytest.raises(UserError, match="another model"):
        Searcher(tiny_index, other)


def test_a_run_that_was_moved_is_said(tiny_run, tiny_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    index_files(run, [tiny_folder], tmp_path / "i")
    run.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="--run"):
        Searcher(tmp_path / "i")
    assert Searcher(tmp_path / "i", Model.load(tmp_path / "moved")).search("dog", 1)


def test_texts_that_look_like_files_are_texts(searcher):
    assert searcher.search("dog.wav", 1)[0].query == "dog.wav"
    with pytest.raises(UserError, match="no such recording"):
        searcher.search("dog.wav", 1, modality="recording")


def test_stereo_and_mono_queries_agree(searcher, tmp_path, tiny_folder):
    wave = load_audio(min(tiny_folder.glob("*.flac")))
    sf.write(tmp_path / "stereo.wav", np.stack([wave, wave], 1), 16000, subtype="FLOAT")
    assert searcher.search(tmp_path / "stereo.wav", 1)[0].score == pytest.approx(1, abs=1e-3)
