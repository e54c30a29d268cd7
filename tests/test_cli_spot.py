"""``lookhear spot`` from the command line: what it leaves behind, goes on with, and says of bad input."""

import csv
import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from eaf_rules import faults
from lookhear.search import spot as engine
from lookhear.search.hits import job


@pytest.fixture
def tapes(tiny_folder, tmp_path):
    """Three recordings in a folder."""
    folder = tmp_path / "tapes"
    folder.mkdir()
    for name, path in zip(("a", "b", "c"), sorted(tiny_folder.glob("*.flac"))):
        shutil.copy(path, folder / f"{name}.flac")
    return folder


@pytest.fixture
def heard(monkeypatch):
    """The recordings that were heard, by name; ``stop_at`` in it ends the job there."""
    names, real = [], engine.stream

    def stream(model, path):
        if Path(path).stem in names.stop_at:
            raise KeyboardInterrupt
        names.append(Path(path).stem)
        return real(model, path)

    class Names(list):
        stop_at = ()

    names = Names()
    monkeypatch.setattr(engine, "stream", stream)
    return names


def hidden(folder):
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


# What it leaves behind -----------------------------------------------------------------------------------------------


def test_every_format_at_once(lookhear, plain_run, tapes, tmp_path):
    outs = [tmp_path / f"hits.{e}" for e in ("json", "jsonl", "csv", "html")]
    options = [x for out in [*outs, tmp_path / "marks"] for x in ("--out", out)]
    answer = lookhear("spot", plain_run, tapes, "-w", "dog", "-w", "red boat", *options, "--format", "eaf")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [str(o) for o in [*outs, tmp_path / "marks"]]
    hits = json.loads(outs[0].read_text())
    assert {h["word"] for h in hits} == {"dog", "red boat"}
    assert [h["file"] for h in hits] == sorted(h["file"] for h in hits)
    assert [json.loads(line) for line in outs[1].read_text().splitlines()] == hits
    with outs[2].open(newline="") as file:
        assert [(r["file"], float(r["start"])) for r in csv.DictReader(file)] == [(h["file"], h["start"]) for h in hits]
    assert outs[3].read_text().count("<audio") == len(hits)
    assert sorted(p.name for p in (tmp_path / "marks").iterdir()) == ["a.eaf", "b.eaf", "c.eaf"]
    assert all(faults(p) == [] for p in (tmp_path / "marks").iterdir())
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("kind", ["textgrid", "srt", "vtt", "audacity"])
def test_a_file_for_each_recording(lookhear, plain_run, tapes, tmp_path, kind):
    from lookhear.data.annotations import read_annotation

    out = tmp_path / "marks"
    assert lookhear("spot", plain_run, tapes, "-w", "dog", "--out", out, "--format", kind).code == 0
    stdout = json.loads(lookhear("spot", plain_run, tapes, "-w", "dog", "--json").out)
    for path in out.iterdir():
        (tier,) = read_annotation(path).tiers
        expected = sorted((h["start"], h["end"]) for h in stdout if Path(h["file"]).stem == path.stem)
        found = [t for i in tier.intervals for t in (i.start, i.end)]
        assert found == pytest.approx([t for pair in expected for t in pair], abs=6e-4)


def test_one_recording_may_name_its_file(lookhear, plain_run, tapes, tmp_path):
    answer = lookhear("spot", plain_run, tapes / "a.flac", "-w", "dog", "--out", tmp_path / "x.TextGrid", "--json")
    assert answer.code == 0
    assert {h["word"] for h in json.loads(answer.out)} == {"dog"}
    assert (tmp_path / "x.TextGrid").is_file()


def test_examples_pictures_and_what_is_not_meant(lookhear, plain_run, tiny_folder, tapes):
    picture = min((tiny_folder / "pictures").glob("*.png"))
    asked = ["-w", "dog", "--example", tapes / "a.flac", "--picture", picture]
    hits = json.loads(lookhear("spot", plain_run, tapes, *asked, "--json").out)
    assert {h["word"] for h in hits} == {"dog", "a.flac", picture.name}
    every = ["spot", plain_run, tapes, "-w", "dog", "--threshold", "-1", "--json"]
    assert json.loads(lookhear(*every, "--not", "boat").out) != json.loads(lookhear(*every).out)


def test_clips_of_one_name_are_told_apart(lookhear, plain_run, tapes, tmp_path):
    shutil.copytree(tapes, tmp_path / "more")
    clips = [tapes / "a.flac", tmp_path / "more" / "a.flac"]
    options = [x for c in clips for x in ("--example", c)]
    assert {h["word"] for h in json.loads(lookhear("spot", plain_run, tapes, *options, "--json").out)} == set(
        map(str, clips)
    )
    assert (
        "looked for twice" in lookhear("spot", plain_run, tapes, "--example", clips[0], "--example", clips[0]).complaint
    )


# Going on ------------------------------------------------------------------------------------------------------------


def test_a_stopped_job_goes_on_and_leaves_the_same(lookhear, plain_run, tapes, tmp_path, heard):
    command = ["spot", plain_run, tapes, "-w", "dog", "-w", "boat", "--out"]
    assert lookhear(*command, tmp_path / "straight.csv").code == 0
    heard.clear()
    heard.stop_at = ("c",)
    answer = lookhear(*command, tmp_path / "hits.csv")
    assert (answer.code, answer.out) == (130, "")
    assert "run the same command again" in answer.err
    assert not (tmp_path / "hits.csv").exists()
    assert hidden(tmp_path) == [".hits.csv.part.jsonl"]
    heard.stop_at = ()
    answer = lookhear(*command, tmp_path / "hits.csv")
    assert answer.code == 0
    assert "2 of 3 recordings were heard before" in answer.err
    assert heard == ["a", "b", "c"]
    assert (tmp_path / "hits.csv").read_bytes() == (tmp_path / "straight.csv").read_bytes()
    assert hidden(tmp_path) == []


def test_other_words_are_another_job(lookhear, plain_run, tapes, tmp_path, heard):
    heard.stop_at = ("b",)
    out = ["--out", tmp_path / "hits.csv"]
    lookhear("spot", plain_run, tapes, "-w", "dog", *out)
    kept = (tmp_path / ".hits.csv.part.jsonl").read_bytes()
    heard.stop_at = ()
    complaint = lookhear("spot", plain_run, tapes, "-w", "boat", *out).complaint
    assert "another list of queries" in complaint
    assert "--overwrite" in complaint
    assert (tmp_path / ".hits.csv.part.jsonl").read_bytes() == kept
    assert lookhear("spot", plain_run, tapes, "-w", "boat", *out, "--overwrite").code == 0
    assert hidden(tmp_path) == []


def test_another_model_is_another_job(lookhear, plain_run, tapes, tmp_path, heard, monkeypatch):
    heard.stop_at = ("b",)
    command = ["spot", plain_run, tapes, "-w", "dog", "--out", tmp_path / "hits.csv"]
    lookhear(*command)
    heard.stop_at = ()
    monkeypatch.setattr(job, "fingerprint", lambda model: "other")
    assert "another model" in lookhear(*command).complaint


def test_an_output_that_exists_is_kept_unless_told(lookhear, plain_run, tapes, tmp_path, heard):
    out = tmp_path / "hits.csv"
    out.write_text("mine")
    command = ["spot", plain_run, tapes, "-w", "dog", "--out", out]
    assert f"{out} exists. Name another --out, or give --overwrite" in lookhear(*command).complaint
    assert (out.read_text(), heard) == ("mine", [])
    assert lookhear(*command, "--overwrite").code == 0
    assert out.read_text().startswith("file,word")


# Bad input -----------------------------------------------------------------------------------------------------------


def test_a_tape_that_is_cut_off_is_left_out_and_taken_in_once_mended(lookhear, plain_run, tapes, tmp_path, heard):
    whole = (tapes / "b.flac").read_bytes()
    (tapes / "b.flac").write_bytes(whole[: len(whole) // 2])
    command = ["spot", plain_run, tapes, "-w", "dog", "--out", tmp_path / "hits.jsonl"]
    answer = lookhear(*command)
    assert (answer.code, answer.out) == (2, f"{tmp_path / 'hits.jsonl'}\n")
    said = [line for line in answer.err.splitlines() if line.startswith("lookhear: ")]
    assert len(said) == 2
    assert "b.flac: " in said[0]
    assert "Copy it again" in said[0]
    assert "1 file left out" in said[1]
    assert {Path(json.loads(r)["file"]).stem for r in (tmp_path / "hits.jsonl").open()} == {"a", "c"}
    (tapes / "b.flac").write_bytes(whole)
    heard.clear()
    assert lookhear(*command, "--overwrite").code == 0
    assert heard == ["b"]
    assert {Path(json.loads(r)["file"]).stem for r in (tmp_path / "hits.jsonl").open()} == {"a", "b", "c"}
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("ending", [".mp4", ".m4a", ".wma", ".AAC"])
def test_what_libsndfile_cannot_read_is_answered_with_the_command(lookhear, plain_run, tmp_path, ending):
    path = tmp_path / f"my tape{ending}"
    path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(4000))
    answer = lookhear("spot", plain_run, path, "-w", "dog")
    assert answer.code == 2
    said = answer.err.splitlines()[0]
    command = shlex.split(said.partition("convert it: ")[2])
    assert command == ["ffmpeg", "-i", str(path), "-vn", "-ac", "1", "-ar", "16000", str(tmp_path / "my tape.wav")]
    assert "Install ffmpeg" in said


def test_what_is_passed_over_in_a_folder_is_said(lookhear, plain_run, tapes):
    (tapes / "film.mp4").write_bytes(b"x")
    answer = lookhear("spot", plain_run, tapes, "-w", "dog")
    assert answer.code == 0
    assert "a file was passed over (.mp4)" in answer.err
    assert "ffmpeg -i" in answer.err


def test_silence_alone(lookhear, plain_run, tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros(16_000 * 70), 16_000)
    answer = lookhear("spot", plain_run, tmp_path / "a.wav", "-w", "dog", "--out", tmp_path / "hits.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "a.wav: the recording is silent" in answer.err.splitlines()[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav"]


@pytest.mark.parametrize("word", ["", "🦩"])
def test_a_word_that_the_text_tower_splits_to_nothing(lookhear, plain_run, tapes, tmp_path, word):
    answer = lookhear("spot", plain_run, tapes, "-w", "dog", "-w", word, "--out", tmp_path / "hits.csv")
    assert repr(word) in answer.complaint
    assert [p.name for p in tmp_path.iterdir()] == ["tapes"]


@pytest.mark.parametrize("threshold", ["1.5", "-1.1", "nan", "inf"])
def test_a_threshold_outside_its_range(lookhear, plain_run, tapes, tmp_path, threshold):
    command = ["spot", plain_run, tapes, "-w", "dog", "--threshold", threshold]
    for more in ([], ["--out", tmp_path / "hits.csv"]):
        assert "threshold" in lookhear(*command, *more).complaint
    assert [p.name for p in tmp_path.iterdir()] == ["tapes"]


def test_a_threshold_for_probabilities(lookhear, plain_run, tapes, tmp_path):
    import torch

    from lookhear.models.calibration import Calibration

    run = tmp_path / "run"
    shutil.copytree(plain_run, run)
    Calibration(torch.zeros(32), torch.eye(32) * 0.01, torch.tensor([5.0, 0.1, 0.0])).save(run)
    hits = json.loads(lookhear("spot", run, tapes, "-w", "dog", "--threshold", "0.3", "--json").out)
    assert hits
    assert all(0.3 <= h["probability"] <= 1 for h in hits)
    assert [h["probability"] for h in hits] == sorted((h["probability"] for h in hits), reverse=True)
    line = lookhear("spot", run, tapes, "-w", "dog", "--threshold", "0.3").out.splitlines()[0]
    assert f"{100 * hits[0]['probability']:.0f} %" in line
    assert "0 and 1" in lookhear("spot", run, tapes, "-w", "dog", "--threshold", "-0.2").complaint


def test_a_disk_that_fills_up_while_it_listens(lookhear, plain_run, tapes, tmp_path, heard, monkeypatch):
    real, writes = os.fsync, []

    def fills_up(file):
        writes.append(file)
        if len(writes) > 2:  # the first line of the journal, and the first recording
            raise OSError(28, os.strerror(28))
        real(file)

    monkeypatch.setattr(os, "fsync", fills_up)
    command = ["spot", plain_run, tapes, "-w", "dog", "--out", tmp_path / "hits.csv"]
    complaint = lookhear(*command).complaint
    assert "no space left" in complaint
    assert hidden(tmp_path) == [".hits.csv.part.jsonl"]
    monkeypatch.setattr(os, "fsync", real)
    answer = lookhear(*command)
    assert answer.code == 0
    assert "heard before" in answer.err
    assert heard.count("a") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hits.csv", "tapes"]


@pytest.mark.parametrize("out", ["hits.csv", "hits.html", "marks"])
def test_a_disk_that_is_full_when_the_output_is_due(lookhear, plain_run, tapes, tmp_path, heard, monkeypatch, out):
    real, writes = os.fsync, []

    def fills_up(file):
        writes.append(file)
        if len(writes) > 4:
            raise OSError(28, os.strerror(28))
        real(file)

    monkeypatch.setattr(os, "fsync", fills_up)
    command = [
        "spot",
        plain_run,
        tapes,
        "-w",
        "dog",
        "--out",
        tmp_path / out,
        *(["--format", "eaf"] * (out == "marks")),
    ]
    assert "no space left" in lookhear(*command).complaint
    assert not (tmp_path / out).exists()
    assert hidden(tmp_path) == [f".{out}.part.jsonl"]
    monkeypatch.setattr(os, "fsync", real)
    heard.clear()
    assert lookhear(*command).code == 0
    assert heard == []
    assert hidden(tmp_path) == []


def test_full_from_the_start(lookhear, plain_run, tapes, tmp_path, full_disk):
    complaint = lookhear("spot", plain_run, tapes, "-w", "dog", "--out", tmp_path / "hits.csv").complaint
    assert "no space left" in complaint
    assert [p.name for p in tmp_path.iterdir()] == ["tapes"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--out", "hits.xyz"], "--format"),
        (["--out", "hits.eaf"], "one .eaf file for 3 recordings"),
        (["--format", "eaf"], "without --out"),
    ],
)
def test_outputs_that_make_no_sense(lookhear, plain_run, tapes, monkeypatch, more, said):
    monkeypatch.chdir(tapes)
    assert said in lookhear("spot", plain_run, tapes, "-w", "dog", *more).complaint
    assert len(list(tapes.iterdir())) == 3
