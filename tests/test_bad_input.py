"""Every mistake the project names: exit code 2, one line with the file and the mend, nothing half-written."""

import json
import os
import re
import shutil
import struct
import zlib

import numpy as np
import pytest
import soundfile as sf
import torch


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Recordings ----------------------------------------------------------------------------------------------------------

NOISE = np.random.default_rng(0).uniform(-0.3, 0.3, 32000)


def empty(path):
    path.touch()


def zero_length(path):
    sf.write(path, np.zeros(0), 16000)


def silent(path):
    sf.write(path, np.zeros(16000), 16000)


def not_a_number(path):
    sf.write(path, np.where(np.arange(32000) > 20000, np.nan, NOISE), 16000, subtype="FLOAT")


def truncated(path):
    sf.write(path, NOISE, 16000)
    path.write_bytes(path.read_bytes()[:20000])


def not_sound(path):
    path.write_text("dear diary")


BAD = {
    "empty": (empty, "x.wav", "empty recording"),
    "zero length": (zero_length, "x.wav", "no samples"),
    "silent": (silent, "x.wav", "silent"),
    "NaN": (not_a_number, "x.wav", "NaN"),
    "truncated WAV": (truncated, "x.wav", "truncated"),
    "truncated FLAC": (truncated, "x.flac", "truncated|damaged"),
    "text": (not_sound, "x.wav", "not a readable recording"),
}


@pytest.fixture(params=list(BAD))
def bad_recording(request, tmp_path):
    write, name, message = BAD[request.param]
    path = tmp_path / "in" / name
    path.parent.mkdir()
    write(path)
    return path, message


def names(complaint, path, message):
    assert str(path) in complaint
    assert re.search(message, complaint)
    assert complaint.endswith(".")
    assert complaint.count(". ") >= 1  # what, and then the mend


def test_spot_in_a_bad_recording(lookhear, tiny_run, bad_recording):
    path, message = bad_recording
    answer = lookhear("spot", tiny_run, path, "-w", "dog")
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.strip().splitlines()) == 2  # the mistake, and how many were left out
    names(answer.err.splitlines()[0], path, message)


def test_search_with_a_bad_recording(lookhear, tiny_index, bad_recording):
    path, message = bad_recording
    names(lookhear("search", tiny_index, "--recording", path).complaint, path, message)


def test_an_index_leaves_a_bad_recording_out_and_holds_the_rest(lookhear, tiny_run, tmp_path, sound, bad_recording):
    path, message = bad_recording
    good = [sound("in/a.wav", seed=1), sound("in/z.wav", 9.0, seed=2)]
    answer = lookhear("index", tiny_run, path.parent, "-o", tmp_path / "i")
    assert answer.code == 2
    lines = answer.err.strip().splitlines()
    names(lines[0], path, message)
    assert "1 file left out" in lines[-1]
    hits = json.loads(lookhear("search", tmp_path / "i", "dog", "--json", "-k", 50).out)
    assert {h["file"] for h in hits} == set(map(str, good))


def test_an_index_of_bad_recordings_only_is_not_made(lookhear, tiny_run, tmp_path, bad_recording):
    answer = lookhear("index", tiny_run, bad_recording[0], "-o", tmp_path / "i")
    assert (answer.code, answer.out) == (2, "")
    assert "nothing to index" in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "i").exists()


def test_evaluate_on_a_bad_recording(lookhear, tiny_run, bad_recording):
    path, _ = bad_recording
    (path.parent / "manifest.jsonl").write_text(json.dumps({"audio": path.name, "text": "a dog", "id": "first"}))
    complaint = lookhear("evaluate", tiny_run, "--on", path.parent).err.strip().splitlines()[-1]
    assert complaint.startswith("lookhear: ")
    assert "first" in complaint or path.name in complaint


# Pictures ------------------------------------------------------------------------------------------------------------


def bomb(path, side=100_000):
    """A PNG of a hundred bytes that says it has 10⁴ megapixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("write", "message"),
    [(not_sound, "not a picture"), (empty, "not a picture"), (bomb, "pixels|bomb")],
    ids=["text", "empty", "bomb"],
)
def test_pictures_that_are_none(lookhear, tiny_index, tiny_run, sound, tmp_path, write, message):
    path = tmp_path / "in" / "x.png"
    path.parent.mkdir()
    write(path)
    names(lookhear("search", tiny_index, "--picture", path).complaint, path, message)
    sound("in/a.wav")
    answer = lookhear("index", tiny_run, path.parent, "-o", tmp_path / "i")
    assert answer.code == 2
    names(answer.err.splitlines()[0], path, message)


def test_a_picture_cut_short(lookhear, tiny_index, tiny_folder, tmp_path):
    whole = min((tiny_folder / "pictures").glob("*.png")).read_bytes()
    (tmp_path / "x.png").write_bytes(whole[: len(whole) // 2])
    names(lookhear("search", tiny_index, "--picture", tmp_path / "x.png").complaint, tmp_path / "x.png", "damaged")


# Manifests -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path, sound):
    def make(*rows):
        folder = tmp_path / "set"
        sound("set/a.wav")
        (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return folder

    return make


def test_a_wrong_column_is_answered_with_the_right_one(lookhear, tiny_run, manifest):
    folder = manifest({"wave": "a.wav", "text": "a dog"})
    complaint = lookhear("evaluate", tiny_run, "--on", folder, "--columns", "audio=wvae").complaint
    assert "manifest.jsonl" in complaint
    assert "'wvae'" in complaint
    assert "did you mean 'wave'?" in complaint


@pytest.mark.parametrize(
    ("audio", "message"),
    [("b.wav", "no such file"), ("../set/../../secret.wav", "climbs out"), ("/etc/passwd", "climbs out")],
)
def test_manifests_that_name_no_file_or_one_outside(lookhear, tiny_run, manifest, audio, message):
    folder = manifest({"audio": audio, "text": "a dog"})
    complaint = lookhear("evaluate", tiny_run, "--on", folder, "--columns", "audio=audio").complaint
    assert message in complaint
    assert str(folder) in complaint


def test_no_manifest_and_no_corpus(lookhear, tiny_run, tmp_path):
    assert "no manifest" in lookhear("evaluate", tiny_run, "--on", tmp_path).complaint
    (tmp_path / "digits").mkdir()
    complaint = lookhear("evaluate", tiny_run, "--on", "digts", "--data", tmp_path).complaint
    assert "did you mean 'digits'?" in complaint
    assert "no corpus" in lookhear("evaluate", tiny_run).complaint


def test_a_mistyped_split(lookhear, tiny_run, tiny_book):
    assert "did you mean 'test'?" in lookhear("evaluate", tiny_run, "--on", tiny_book, "--split", "tset").complaint


# Recipes and runs ----------------------------------------------------------------------------------------------------


def test_all_mistakes_of_a_recipe_are_named_at_once(lookhear, tiny_book, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        'sed = 1\n[teacher]\nkind = "embedded"\nwidht = 8\n[training]\nepochs = "many"\nlearning_rte = 1\n'
        '[speech]\nkind = "local"\ndropuot = 0.1\n'
    )
    complaint = lookhear("train", path, "--data", tiny_book, "--out", tmp_path / "run").complaint
    assert str(path) in complaint
    for wrong, right in (
        ("sed", "seed"),
        ("widht", "width"),
        ("learning_rte", "learning_rate"),
        ("dropuot", "dropout"),
    ):
        assert wrong in complaint
        assert f"did you mean {right!r}?" in complaint
    assert "training.epochs" in complaint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["name = ", "[teacher\n"])
def test_a_recipe_that_is_no_toml(lookhear, tiny_book, tmp_path, text):
    (tmp_path / "bad.toml").write_text(text)
    assert (
        "not TOML" in lookhear("train", tmp_path / "bad.toml", "--data", tiny_book, "--out", tmp_path / "r").complaint
    )


@pytest.mark.parametrize("change", ["training.epochs", "training.epoch=3", "nothing.at.all=1"])
def test_a_mistaken_set(lookhear, tiny_recipe, tiny_book, tmp_path, change):
    out = tmp_path / "r"
    complaint = lookhear("train", tiny_recipe, "--data", tiny_book, "--out", out, "--set", change).complaint
    assert change.split("=")[0].split(".")[0] in complaint
    assert not out.exists()


def test_train_without_data_writes_nothing(lookhear, tiny_recipe, tmp_path):
    out = tmp_path / "r"
    assert "no such data root" in lookhear("train", tiny_recipe, "--data", tmp_path / "none", "--out", out).complaint
    assert not out.exists()


def test_train_into_a_folder_of_other_things(lookhear, tiny_recipe, tiny_book, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert "not empty" in lookhear("train", tiny_recipe, "--data", tiny_book, "--out", tmp_path).complaint
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the run that a test may spoil."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("verb", ["evaluate", "spot", "index"])
@pytest.mark.parametrize("spoil", ["another version", "cut short", "no model", "no run"])
def test_runs_that_cannot_be_used(lookhear, run, tiny_book, tiny_folder, tmp_path, verb, spoil):
    model = run / "model.json"
    if spoil == "another version":
        model.write_text(json.dumps(json.loads(model.read_text()) | {"format": 99, "lookhear": "9.9"}))
    elif spoil == "cut short":
        path = run / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
    elif spoil == "no model":
        model.unlink()
    else:
        run = tmp_path / "none"
    rest = {
        "evaluate": ["--on", tiny_book],
        "spot": [tiny_folder, "-w", "dog"],
        "index": [tiny_folder, "-o", tmp_path / "i"],
    }
    complaint = lookhear(verb, run, *rest[verb]).complaint
    assert str(run) in complaint
    said = {
        "another version": "Use LookHear 9.9",
        "cut short": "damaged",
        "no model": "model.json",
        "no run": "lookhear train",
    }
    assert said[spoil] in complaint
    assert not (tmp_path / "i").exists()


# Words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "   ", "🦩", "𓀀"])
def test_words_the_tokenizer_cannot_use(lookhear, tiny_run, tiny_index, tiny_folder, word):
    for answer in (
        lookhear("spot", tiny_run, tiny_folder, "-w", "dog", "-w", word),
        lookhear("search", tiny_index, word),
    ):
        assert repr(word) in answer.complaint


def test_word_lists_that_are_none(lookhear, tiny_run, tiny_folder, tmp_path):
    path = tmp_path / "words.txt"
    assert str(path) in lookhear("spot", tiny_run, tiny_folder, "--words", path).complaint
    path.write_text("\n \n")
    assert "no words" in lookhear("spot", tiny_run, tiny_folder, "--words", path).complaint
    path.write_bytes(b"\xff\xfe\x00dog")
    assert "UTF-8" in lookhear("spot", tiny_run, tiny_folder, "--words", path).complaint


def test_a_template_without_its_word(lookhear, tiny_run, tiny_folder):
    complaint = lookhear("spot", tiny_run, tiny_folder, "-w", "dog", "--template", "a picture").complaint
    assert "{word}" in complaint


# No space left -------------------------------------------------------------------------------------------------------


def test_no_space_for_a_checkpoint_keeps_the_last_good_one(lookhear, run, tiny_recipe, tiny_book, full_disk):
    """The run is asked to go on from its checkpoint and cannot save: all that was there is there, and works again."""
    (run / "speech.done").unlink()
    before = contents(run)
    command = ["train", tiny_recipe, "--data", tiny_book, "--out", run]
    answer = lookhear(*command)
    assert answer.code == 2
    complaint = answer.err.strip().splitlines()[-1]
    assert complaint.startswith("lookhear: ")
    assert str(run) in complaint
    assert "Free some space" in complaint
    assert contents(run) == before
    full_disk.undo()
    assert lookhear(*command).code == 0
    assert lookhear("spot", run, tiny_book.parent / "files", "-w", "dog").code == 0


def test_no_space_while_training(lookhear, tiny_recipe, tiny_book, run, monkeypatch):
    """The disk fills up after some checkpoints: the last whole one is what the next run goes on from."""
    from lookhear.training import fit

    (run / "speech.done").unlink()
    (run / "speech.checkpoint").unlink()
    saves = []
    real = os.fsync

    def fills_up(file):
        saves.append(file)
        if len(saves) > 3:  # recipe.toml, two checkpoints
            raise OSError(28, os.strerror(28))
        real(file)

    monkeypatch.setattr(fit.time, "monotonic", iter(range(0, 10**9, 1000)).__next__)  # a checkpoint after every step
    monkeypatch.setattr(os, "fsync", fills_up)
    command = ["train", tiny_recipe, "--data", tiny_book, "--out", run]
    answer = lookhear(*command)
    assert (answer.code, answer.out) == (2, "")
    assert "speech.checkpoint: cannot be written" in answer.err.splitlines()[-1]
    assert not list(run.glob("*.part"))
    assert torch.load(run / "speech.checkpoint", weights_only=True)["progress"]["step"] == 2
    monkeypatch.undo()
    assert lookhear(*command).code == 0


def test_no_space_for_an_index_leaves_nothing(lookhear, tiny_run, tiny_folder, tmp_path, full_disk):
    complaint = lookhear("index", tiny_run, tiny_folder, "-o", tmp_path / "new").complaint
    assert "No space left" in complaint
    assert str(tmp_path / "new") in complaint
    assert not (tmp_path / "new").exists()


def test_no_space_for_figures(lookhear, tiny_run, tiny_book, tmp_path, full_disk):
    path = tmp_path / "figures.json"
    path.write_text("old")
    answer = lookhear("evaluate", tiny_run, "--on", tiny_book, "--json", path)
    assert (answer.code, answer.out) == (2, "")
    assert str(path) in answer.err.strip().splitlines()[-1]
    assert contents(tmp_path) == {"figures.json": b"old"}


def test_other_trouble_with_files_is_one_line_too(lookhear, tiny_run, tiny_folder, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert str(tmp_path / "file") in lookhear("prepare", "picturebook", "--out", tmp_path / "file" / "b").complaint
    assert str(tmp_path / "file") in lookhear("index", tiny_run, tiny_folder, "-o", tmp_path / "file" / "i").complaint
