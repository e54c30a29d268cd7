"""Bulk embedding: which files, which segments, whole files only."""

import numpy as np
import pytest
import soundfile as sf

from lookhear.audio import load_audio
from lookhear.errors import UserError
from lookhear.search.embed import HOP, SEGMENT, embed_files, find_files, fingerprint, index_files


def rows_of(batches):
    return [row for batch in batches for row in batch.to_pylist()]


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
    (row,) = rows_of(embed_files(tiny_model, [path]))
    heard = tiny_model.embed_audio([load_audio(path)])
    assert (row["file"], row["start"], row["end"], row["modality"]) == (str(path), 0.0, 3.1, "audio")
    np.testing.assert_allclose(row["vector"], heard.pooled[0], atol=1e-6)
    local = np.array(row["local"], dtype=np.float32).reshape(-1, tiny_model.dim)
    np.testing.assert_allclose(local, heard.local[0], atol=2e-3)


@pytest.mark.parametrize("seconds", [6.5, 11.0, 13.9])
def test_long_recordings_are_overlapping_segments_to_the_end(tiny_model, sound, seconds):
    rows = rows_of(embed_files(tiny_model, [sound("long.wav", seconds)], batch_size=3))
    starts = [r["start"] for r in rows]
    assert starts == [HOP * i for i in range(len(rows))]
    assert rows[-1]["end"] == pytest.approx(seconds, abs=1e-3)
    assert all(r["end"] - r["start"] == pytest.approx(SEGMENT) for r in rows[:-1])


def test_batch_size_and_neighbours_change_nothing(tiny_model, sound):
    files = [sound(f"{i}.wav", 1 + i, seed=i) for i in range(8)]
    one, many = (rows_of(embed_files(tiny_model, files, batch_size=b)) for b in (1, 5))
    by_place = {(r["file"], r["start"]): r for r in many}
    assert len(one) == len(many)
    for row in one:
        np.testing.assert_allclose(row["vector"], by_place[row["file"], row["start"]]["vector"], atol=1e-5)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (44100, 2)])
def test_any_format_rate_and_number_of_channels(tiny_model, sound, ending, rate, channels):
    path = sound(f"a.{ending}", 2.0, rate, channels)
    (row,) = rows_of(embed_files(tiny_model, [path]))
    assert row["end"] == pytest.approx(2.0, abs=0.15)  # MP3 and Ogg pad
    assert np.linalg.norm(row["vector"]) == pytest.approx(1, abs=1e-5)


def damaged(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_a_damaged_long_recording_is_left_out_whole(tiny_model, sound):
    files = [sound("a.flac", 1.0), damaged(sound("b.flac", 20.0)), sound("c.flac", 9.0)]
    errors = []
    rows = rows_of(embed_files(tiny_model, files, on_error=errors.append))
    assert {r["file"] for r in rows} == {str(files[0]), str(files[2])}
    assert len(errors) == 1
    assert "b.flac" in str(errors[0])
    with pytest.raises(UserError, match=r"b\.flac"):
        rows_of(embed_files(tiny_model, files))


def test_an_index_made_again_is_the_same(tiny_run, tiny_folder, tmp_path):
    def contents(folder):
        return {p.name: p.read_bytes() for p in folder.iterdir()}

    index_files(tiny_run, [tiny_folder], tmp_path / "i")
    once = contents(tmp_path / "i")
    index_files(tiny_run, [tiny_folder], tmp_path / "i")
    assert contents(tmp_path / "i") == once


def test_a_file_that_is_gone_leaves_the_index(tiny_run, sound, tmp_path):
    keep, goes = sound("in/a.wav", seed=1), sound("in/b.wav", seed=2)
    assert len(index_files(tiny_run, [tmp_path / "in"], tmp_path / "i")) == 2
    goes.unlink()
    index = index_files(tiny_run, [tmp_path / "in"], tmp_path / "i")
    assert index.rows["file"].to_pylist() == [str(keep)]


def test_equal_files_have_equal_hashes(tiny_model, sound):
    a, b, c = sound("a.wav"), sound("b.wav"), sound("c.wav", seed=1)
    hashes = [r["hash"] for r in rows_of(embed_files(tiny_model, [a, b, c]))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_fingerprints_tell_models_apart(tiny_run, tiny_model):
    from lookhear.models.model import Model

    other = Model.load(tiny_run)
    assert fingerprint(other) == fingerprint(tiny_model)
    other.audio.gate.bias.data += 1
    assert fingerprint(other) != fingerprint(tiny_model)


def test_very_short_recordings_are_heard(tiny_model, tmp_path):
    sf.write(tmp_path / "click.wav", np.array([0.5, -0.5]), 16000)
    (row,) = rows_of(embed_files(tiny_model, [tmp_path / "click.wav"]))
    assert np.isfinite(row["vector"]).all()
