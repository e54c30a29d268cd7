"""Bulk embedding: which files, which segments, whole files only."""

import numpy as np
import pytest
import soundfile as sf
import torch

from lookhear.audio import load_audio
from lookhear.errors import UserError
from lookhear.search.embed import embed_files, fingerprint, job_of
from lookhear.search.files import find_files
from lookhear.search.segments import HOP, SEGMENT, segment_count, segment_times


def embed(model, files, **options):
    return list(embed_files(model, [job_of(f) for f in files], **options))


def test_folders_are_walked_in_order_and_hidden_files_passed_over(tmp_path):
    for name in ("b/2.WAV", "b/1.flac", "a.png", ".hidden/3.wav", "b/.4.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(p.relative_to(tmp_path)) for p in find_files([tmp_path])]
    assert found == ["a.png", "b/1.flac", "b/2.WAV"]
    assert len(find_files([tmp_path / "a.png", tmp_path])) == 3


def test_folders_without_recordings_are_said(tmp_path):
    with pytest.raises(UserError, match="no recordings or pictures"):
        find_files([tmp_path])
    with pytest.raises(UserError, match="no such file or folder"):
        find_files([tmp_path / "nowhere"])


def test_short_recordings_are_one_segment_as_the_model_hears_them(tiny_model, sound):
    path = sound("a.wav", 3.1)
    (entry,) = embed(tiny_model, [path])
    heard = tiny_model.embed_audio([load_audio(path)])
    assert (entry.path, entry.seconds, entry.modality) == (str(path), 3.1, "audio")
    np.testing.assert_allclose(entry.vectors, heard.pooled, atol=1e-6)
    np.testing.assert_allclose(entry.local, heard.local[0], atol=2e-3)


@pytest.mark.parametrize("seconds", [6.5, 11.0, 13.9, 70.0])
def test_long_recordings_are_overlapping_segments_to_the_end(tiny_model, sound, seconds):
    (entry,) = embed(tiny_model, [sound("long.wav", seconds)])
    times = [segment_times(entry.seconds, n) for n in range(len(entry.vectors))]
    assert [start for start, _ in times] == [HOP * i for i in range(len(times))]
    assert times[-1][1] == pytest.approx(seconds, abs=1e-3)
    assert all(end - start == pytest.approx(SEGMENT) for start, end in times[:-1])
    assert len(entry.local) == pytest.approx(seconds / tiny_model.step, abs=2)


def test_frames_of_long_recordings_do_not_depend_on_cuts_and_wholes_are_made_of_them(tiny_model, sound):
    path = sound("long.wav", 75.0)
    (entry,) = embed(tiny_model, [path])
    heard = tiny_model.embed_audio([load_audio(path)])
    np.testing.assert_allclose(entry.local, heard.local[0], atol=3e-3)
    for n in (0, 14, 30, len(entry.vectors) - 1):
        start, end = segment_times(entry.seconds, n)
        frames = heard.local[:, round(start / tiny_model.step) : round(end / tiny_model.step)]
        whole = tiny_model.whole_of_frames(frames, torch.ones(frames.shape[:2], dtype=torch.bool))
        np.testing.assert_allclose(entry.vectors[n], whole[0], atol=3e-3)


def test_towers_whose_wholes_are_not_made_of_frames_hear_segments_again(tiny_model, sound, monkeypatch):
    monkeypatch.setattr(type(tiny_model), "whole_of_frames", lambda *_: None)
    path = sound("long.wav", 9.0)
    (entry,) = embed(tiny_model, [path])
    wave = load_audio(path)
    cuts = [wave[round(a * 16000) : round(b * 16000)] for a, b in (segment_times(9.0, n) for n in range(4))]
    np.testing.assert_allclose(entry.vectors, tiny_model.embed_audio(cuts).pooled, atol=1e-5)


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 1), (6.0, 1), (6.01, 3), (8.0, 3), (8.01, 4), (3600.0, 1799)])
def test_how_many_segments_there_are(seconds, count):
    assert segment_count(seconds) == count
    assert segment_times(seconds, count - 1)[1] == pytest.approx(seconds)


def test_batch_size_and_neighbours_change_nothing(tiny_model, sound):
    files = [sound(f"{i}.wav", 1 + i, seed=i) for i in range(8)]
    one, many = ({e.path: e for e in embed(tiny_model, files, batch_size=b)} for b in (1, 5))
    assert sorted(one) == sorted(many)
    for path, entry in one.items():
        np.testing.assert_allclose(entry.vectors, many[path].vectors, atol=1e-5)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (44100, 2)])
def test_any_format_rate_and_number_of_channels(tiny_model, sound, ending, rate, channels):
    path = sound(f"a.{ending}", 2.0, rate, channels)
    (entry,) = embed(tiny_model, [path])
    assert entry.seconds == pytest.approx(2.0, abs=0.15)  # MP3 and Ogg pad
    assert np.linalg.norm(entry.vectors) == pytest.approx(1, abs=1e-5)


def damaged(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_damaged_long_recording_is_left_out_whole(tiny_model, sound):
    files = [sound("a.flac", 1.0), damaged(sound("b.flac", 20.0)), sound("c.flac", 9.0)]
    errors = []
    entries = embed(tiny_model, files, on_error=errors.append)
    assert {e.path for e in entries} == {str(files[0]), str(files[2])}
    assert len(errors) == 1
    assert "b.flac" in str(errors[0])
    with pytest.raises(UserError, match=r"b\.flac"):
        embed(tiny_model, files)


def test_equal_files_have_equal_hashes(sound):
    a, b, c = (job_of(sound(n, seed=s)).hash for n, s in (("a.wav", 0), ("b.wav", 0), ("c.wav", 1)))
    assert a == b != c


def test_texts_are_lines(tiny_model, tmp_path):
    (tmp_path / "notes.txt").write_text("a red boat\n\n  the dog \n", encoding="utf-8")
    (entry,) = embed(tiny_model, [tmp_path / "notes.txt"])
    assert list(entry.texts) == ["a red boat", "the dog"]
    np.testing.assert_allclose(entry.vectors, tiny_model.embed_texts(["a red boat", "the dog"]).pooled, atol=1e-5)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        embed(tiny_model, [tmp_path / "bad.txt"])
    (tmp_path / "none.txt").write_text(" \n")
    with pytest.raises(UserError, match="empty text"):
        embed(tiny_model, [tmp_path / "none.txt"])


def test_fingerprints_tell_models_apart(tiny_run, tiny_model):
    from lookhear.models.model import Model

    other = Model.load(tiny_run)
    assert fingerprint(other) == fingerprint(tiny_model)
    other.audio.gate.bias.data += 1
    assert fingerprint(other) != fingerprint(tiny_model)


def test_very_short_recordings_are_heard(tiny_model, tmp_path):
    sf.write(tmp_path / "click.wav", np.array([0.5, -0.5]), 16000)
    (entry,) = embed(tiny_model, [tmp_path / "click.wav"])
    assert np.isfinite(entry.vectors).all()
