"""Tapes: times are those of the sound, nothing but the drawn is left to chance, and mistakes are told."""

import hashlib
import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lookhear.audio import load_audio
from lookhear.data.pieces import MARGIN, pieces_of, speech_extent
from lookhear.data.read import open_corpus
from lookhear.data.tapes import GAIN, Tapes, string_tapes
from lookhear.errors import UserError

RATE = 16_000
TONES = {"low": 500.0, "middle": 1300.0, "high": 3100.0}


def tone(word, seconds, level=0.3):
    return level * np.sin(2 * np.pi * TONES[word] * np.arange(round(seconds * RATE)) / RATE)


def write(folder, rows, waves, rate=RATE):
    folder.mkdir(exist_ok=True)
    for row, wave in zip(rows, waves):
        sf.write(folder / row["audio"], wave, rate)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return open_corpus(folder)


@pytest.fixture
def labelled(tmp_path):
    """Twelve recordings of one word (a tone of 0.3 to 0.4 s somewhere in silence), without times."""
    rng, rows, waves = np.random.default_rng(0), [], []
    for i in range(12):
        word = list(TONES)[i % 3]
        wave = np.concatenate([np.zeros(round(rng.uniform(0.05, 0.5) * RATE)), tone(word, 0.3 + 0.1 * (i % 2))])
        waves.append(np.pad(wave, (0, 4000)) + 0.1)  # an offset, as of a bad microphone
        rows.append({"id": f"r{i}", "audio": f"{i}.wav", "text": word, "speaker": f"s{i % 4}", "split": "test"})
    return write(tmp_path / "words", rows, waves)


@pytest.fixture
def timed(tmp_path):
    """Two recordings of the same nine words in the same order, half a second apart, with times."""
    rows, waves = [], []
    order = ["low", "middle", "high"] * 3
    for i in range(2):
        words = [{"text": w, "start_s": 0.6 + k * 0.8, "end_s": 0.9 + k * 0.8} for k, w in enumerate(order)]
        waves.append(np.concatenate([np.zeros(9600), *(np.pad(tone(w, 0.3), (0, 8000)) for w in order)]))
        rows.append({"id": f"r{i}", "audio": f"{i}.wav", "words": words, "split": "test"})
    return write(tmp_path / "times", rows, waves)


def loudness(wave, word, start, end):
    """Amplitude of a word's tone within a stretch of a tape, by projection."""
    n = np.arange(round(start * RATE), round(end * RATE))
    part = wave[n]
    return 2 * abs(np.mean(part * np.exp(-2j * np.pi * TONES[word] * n / RATE)))


def sounds(tapes):
    return [load_audio(tapes.media("audio", row)) for row in range(len(tapes))]


@pytest.mark.parametrize("name", ["labelled", "timed"])
def test_words_are_where_the_manifest_says(request, tmp_path, name):
    tapes = string_tapes(request.getfixturevalue(name), tmp_path / "out", Tapes(seconds=8, pause=(0.2, 0.4)))
    said = 0
    for wave, words in zip(sounds(tapes), tapes.column("words")):
        silent = np.ones(len(wave), dtype=bool)
        for w in words:
            silent[round((w["start"] - 0.02) * RATE) : round((w["end"] + 0.02) * RATE)] = False
            assert loudness(wave, w["word"], w["start"] + 0.02, w["end"] - 0.02) == pytest.approx(0.3 * GAIN, rel=0.1)
            assert all(loudness(wave, o, w["start"], w["end"]) < 0.02 for o in TONES if o != w["word"])
            said += 1
        assert np.sqrt(np.mean(wave[silent] ** 2)) < 0.12 * np.sqrt(np.mean(wave[~silent] ** 2))  # 20 dB and more
    assert said == {"labelled": 12, "timed": 18}[name]


def test_a_recording_with_times_is_cut_at_its_silences_and_shuffled(timed, tmp_path):
    pieces = pieces_of(timed, "text", 0.3)
    assert [len(p.said) for p in pieces] == [1] * 18
    assert all(p.end - p.start == pytest.approx(0.3 + 2 * MARGIN) for p in pieces)
    assert [len(p.said) for p in pieces_of(timed, "text", 0.6)] == [9, 9]
    orders = {tuple(string_tapes(timed, tmp_path / f"{s}", Tapes(seed=s)).column("text")) for s in range(3)}
    assert len(orders) == 3


@pytest.mark.parametrize("overlaps", [0.0, 1.0])
def test_pauses_and_overlaps_are_drawn_from_their_ranges(labelled, tmp_path, overlaps):
    config = Tapes(seconds=6, pause=(0.3, 0.5), overlaps=overlaps, overlap=(0.05, 0.1))
    tapes = string_tapes(labelled, tmp_path / "out", config)
    pauses = [b["start"] - a["end"] for words in tapes.column("words") for a, b in pairwise(words)]
    low, high = (-0.1, -0.05) if overlaps else (0.3, 0.5)
    assert len(pauses) > 8
    assert low - 1e-4 <= min(pauses) < max(pauses) <= high + 1e-4


def test_levels_are_kept_or_drawn(labelled, tmp_path):
    for level in (0.0, 6.0):
        tapes = string_tapes(labelled, tmp_path / f"{level}", Tapes(noise=None, level=level))
        (wave,), (words,) = sounds(tapes), tapes.column("words")
        heard = [20 * np.log10(loudness(wave, w["word"], w["start"] + 0.02, w["end"] - 0.02)) for w in words]
        around = 20 * np.log10(0.3 * GAIN)
        assert all(abs(h - around) < level + 0.5 for h in heard)
        assert (max(heard) - min(heard) > 3) == (level > 0)


def test_noise_lies_as_far_below_the_words_as_it_should(labelled, tmp_path):
    tapes = string_tapes(labelled, tmp_path / "out", Tapes(noise=(25, 25), pause=(0.5, 1.0)))
    (wave,), (words,) = sounds(tapes), tapes.column("words")
    between = [wave[round((a["end"] + 0.25) * RATE) : round((b["start"] - 0.2) * RATE)] for a, b in pairwise(words)]
    room = np.mean(np.concatenate(between) ** 2)
    speech = np.mean(np.concatenate([wave[round(w["start"] * RATE) : round(w["end"] * RATE)] for w in words]) ** 2)
    assert 10 * np.log10(speech / room) == pytest.approx(25, abs=1.0)


def test_the_seed_decides_alone(labelled, tmp_path):
    config = Tapes(seconds=6, overlaps=0.3, level=3)
    made = [
        string_tapes(labelled, tmp_path / n, config.model_copy(update={"seed": s})) for n, s in zip("abc", (1, 1, 2))
    ]
    hashes = [[hashlib.sha256(t.media("audio", r).read_bytes()).hexdigest() for r in range(len(t))] for t in made]
    assert hashes[0] == hashes[1] != hashes[2]
    assert (tmp_path / "a/manifest.jsonl").read_bytes() == (tmp_path / "b/manifest.jsonl").read_bytes()


def test_a_count_of_tapes_tells_the_recordings_again(labelled, tmp_path):
    tapes = string_tapes(labelled, tmp_path / "out", Tapes(seconds=20, count=3, pause=(0.1, 0.2)))
    assert [len(w) for w in sounds(tapes)] == [20 * RATE] * 3
    told = [source for row in tapes.column("sources") for source in row]
    first, second = told[:12], told[12:24]
    assert sorted(first) == sorted(second) == sorted(labelled.column("id"))
    assert first != second
    once = string_tapes(labelled, tmp_path / "once", Tapes(seconds=3))
    assert sorted(s for row in once.column("sources") for s in row) == sorted(labelled.column("id"))


def test_the_folder_opens_as_a_corpus(labelled, tmp_path):
    made = string_tapes(labelled, tmp_path / "out", Tapes(seconds=6))
    again = open_corpus(tmp_path / "out")
    assert again.table.equals(made.table)
    assert set(again.column("split")) == {"test"}
    for row in again.table.to_pylist():
        assert row["text"].split() == [w["word"] for w in row["words"]]
        assert len(row["speakers"]) == len(row["sources"]) == len(row["words"])
        assert row["seconds"] == len(load_audio(again.media("audio", again.column("id").index(row["id"])))) / RATE


def test_long_tapes_are_written_a_piece_at_a_time(labelled, tmp_path, monkeypatch):
    longest = 0
    write = sf.SoundFile.write

    def watch(file, data):
        nonlocal longest
        longest = max(longest, len(data))
        write(file, data)

    monkeypatch.setattr(sf.SoundFile, "write", watch)
    string_tapes(labelled, tmp_path / "out", Tapes(seconds=200, count=1, pause=(90, 100)))
    assert longest <= 60 * RATE


@given(before=st.floats(0, 1), length=st.floats(0.1, 0.8), after=st.floats(0, 1), level=st.floats(0.01, 0.5))
@settings(max_examples=40)
def test_speech_is_found_whatever_lies_about_it(before, length, after, level):
    wave = np.concatenate(
        [np.zeros(round(before * RATE)), tone("middle", length, level), np.zeros(round(after * RATE))]
    )
    wave = (wave + np.random.default_rng(0).normal(0, level / 1000, len(wave)) - 0.1).astype(np.float32)
    start, end = speech_extent(wave)
    assert start == pytest.approx(before, abs=0.021)
    assert end == pytest.approx(before + length, abs=0.021)


def test_a_click_is_no_speech():
    wave = np.zeros(2 * RATE, dtype=np.float32)
    wave[800:900] = 0.9
    wave[RATE : RATE + 6400] = tone("low", 0.4)
    assert speech_extent(wave) == pytest.approx((1.0, 1.4), abs=0.021)


def test_mistakes_are_told(labelled, timed, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no column 'txt'"):
        string_tapes(labelled, out, Tapes(label="txt"))
    texts = write(tmp_path / "t", [{"text": "a", "audio": None}], [np.zeros(0)][:0])
    with pytest.raises(UserError, match="no recordings"):
        string_tapes(texts, out)
    with pytest.raises(UserError, match=r"does not fit.*longer tapes"):
        string_tapes(timed, out, Tapes(seconds=1.1, pause=(0, 1)))
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(UserError, match="not empty"):
        string_tapes(labelled, out)
    assert (out / "mine.txt").read_text() == "kept"
    rows = [{"id": "a", "audio": "a.wav", "words": [{"word": "low", "start": 5.0, "end": 6.0}]}]
    with pytest.raises(UserError, match=r"'low' from 5\.0"):
        string_tapes(write(tmp_path / "w", rows, [tone("low", 1.0)]), tmp_path / "o")
    rows = [{"id": "a", "audio": "a.wav", "text": None, "x": "low"}, {"id": "b", "audio": "b.wav", "text": "low"}]
    with pytest.raises(UserError, match="neither word times nor 'text'"):
        string_tapes(write(tmp_path / "n", rows, [tone("low", 1.0)] * 2), tmp_path / "o")


def test_nothing_is_left_of_a_tape_that_could_not_be_written(labelled, tmp_path, monkeypatch):
    def full(file, data):
        raise sf.LibsndfileError(2)

    monkeypatch.setattr(sf.SoundFile, "write", full)
    with pytest.raises(UserError, match="cannot write"):
        string_tapes(labelled, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [{"pause": (1, 0)}, {"overlap": (-1, 0)}, {"noise": (30, 20)}, {"overlaps": 2}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValidationError):
        Tapes(**wrong)
