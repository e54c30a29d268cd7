"""The picture book: word lists, grammar, splits, determinism, and what is written."""

from __future__ import annotations

import io
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from lookhear.data.picturebook import build
from lookhear.data.picturebook.build import prepare_picturebook
from lookhear.data.picturebook.grammar import PLACE_PHRASES, TEMPLATES, caption
from lookhear.data.picturebook.plan import DEFAULT_SCENES, Told, plan
from lookhear.data.picturebook.scene import ALL, PLACES, Placed, Scene
from lookhear.data.picturebook.words import (
    COLOUR_WORDS,
    NEVER_SPOKEN,
    PLACE_WORDS,
    SPOKEN,
    SPOKEN_NAMES,
    SYNONYMS,
    THINGS,
    UNSEEN,
    written_names,
)
from lookhear.data.schema import Corpus
from lookhear.data.voices import TEST_VOICES, TRAIN_VOICES
from lookhear.errors import UserError

SMALL = {"teacher": 24, "train": 16, "val": 4, "test": 12, "open": 12}
NEVER = {*SYNONYMS, *UNSEEN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader", reason="needs the 'speech' extra")
    return tmp_path_factory.mktemp("book") / "pb"


@pytest.fixture(scope="module")
def book(folder: Path) -> Corpus:
    return prepare_picturebook(folder, seed=5, scenes=SMALL, workers=0, progress=False)


def _tokens(told: list[Told]) -> set[str]:
    return {w for t in told for s in t.said for w in s.text.split()}


def test_word_lists_cover_the_drawings_and_do_not_overlap() -> None:
    assert set(THINGS) == set(ALL)
    assert set(PLACE_WORDS) == set(PLACES)
    spoken = {n for names in SPOKEN_NAMES.values() for n in names}
    assert not spoken & NEVER
    assert not set(SYNONYMS) & set(UNSEEN)
    assert not set(SPOKEN) & (NEVER | set(COLOUR_WORDS))
    assert set(SYNONYMS.values()) == set(NEVER_SPOKEN) <= set(SPOKEN_NAMES)
    assert len(NEVER_SPOKEN) >= 25
    assert len(UNSEEN) == 12
    assert all(len(n) <= 2 and n[0] == t for t, n in SPOKEN_NAMES.items())
    every = [n for names in written_names().values() for n in names]
    assert len(every) == len(set(every)), "no name means two things"


def test_never_spoken_words_are_never_in_training() -> None:
    told = plan({"train": 800, "val": 100, "test": 200, "open": 100, "teacher": 800}, seed=0)
    by_split = {s: [t for t in told if t.split == s] for s in ("train", "val", "test", "open", "teacher")}
    for split in ("train", "val", "test"):
        assert not _tokens(by_split[split]) & NEVER
        assert not {p.thing for t in by_split[split] for p in t.scene.things} & set(UNSEEN)
    assert set(SPOKEN) | set(COLOUR_WORDS) <= _tokens(by_split["train"])
    assert set(UNSEEN) <= _tokens(by_split["teacher"])
    for t in by_split["open"]:
        for said in t.said:
            assert NEVER & set(said.text.split()), said.text


def test_no_scene_is_in_two_splits() -> None:
    told = plan({"teacher": 1500, "train": 800, "val": 100, "test": 200, "open": 100}, seed=1)
    seen: dict[tuple[object, ...], str] = {}
    for t in told:
        key = (t.scene.place, *sorted((p.thing, p.colour, str(p.size)) for p in t.scene.things))
        assert seen.setdefault(key, t.split) == t.split
    assert len({t.id for t in told}) == len(told)


def test_plan_depends_on_the_seed_alone() -> None:
    assert plan(SMALL, 7) == plan(SMALL, 7)
    assert plan(SMALL, 7) != plan(SMALL, 8)
    # A bigger teacher split does not change the test scenes.
    more = plan({**SMALL, "teacher": 60}, 7)
    assert [t for t in more if t.split == "test"] == [t for t in plan(SMALL, 7) if t.split == "test"]


def test_shares_of_the_plan() -> None:
    told = plan({"train": 1500}, 0)
    counts = np.bincount([len(t.scene.things) for t in told], minlength=5)[1:] / len(told)
    assert counts == pytest.approx([0.2, 0.45, 0.25, 0.1], abs=0.04)
    captions = np.bincount([len(t.said) for t in told], minlength=6)[2:] / len(told)
    assert captions == pytest.approx([0.7, 0.2, 0.07, 0.03], abs=0.04)
    assert captions.sum() == pytest.approx(1)
    assert all(captions)
    said = [(t, s) for t in told for s in t.said]
    with_place = np.mean([t.scene.place in s.text.split() for t, s in said])
    assert with_place == pytest.approx(0.9, abs=0.02)
    few = [(t, s) for t, s in said if len(t.scene.things) <= 2]
    assert all(len(s.things) == len(t.scene.things) for t, s in few)
    many = [len(s.things) == len(t.scene.things) for t, s in said if len(t.scene.things) > 2]
    assert np.mean(many) == pytest.approx(0.85, abs=0.03)


def test_the_teacher_s_pages_are_simpler_and_told_five_times() -> None:
    told = plan({"teacher": 1500, "test": 50}, 0)
    teacher = [t for t in told if t.split == "teacher"]
    counts = np.bincount([len(t.scene.things) for t in teacher], minlength=5)[1:] / len(teacher)
    assert counts == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.04)
    assert {len(t.said) for t in teacher} == {5}
    assert {s.voice for t in teacher for s in t.said} == {None}
    assert {len(t.said) for t in told if t.split == "test"} == {2}


def test_scenes_by_default() -> None:
    assert DEFAULT_SCENES == {"teacher": 8000, "train": 3400, "val": 150, "test": 500, "open": 200}


def test_recordings_are_half_as_perturbed_as_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def speak(text: str, voice: str, rng: np.random.Generator, strength: float) -> tuple[np.ndarray, list[object]]:
        asked.append((voice, strength))
        return np.zeros(1600, np.float32), []

    monkeypatch.setattr(build, "speak_varied", speak)
    told = plan({"test": 3}, 0)
    build._make(told, 32)
    assert asked == [(s.voice, 0.5) for t in told for s in t.said]


def test_grammar_articles_names_and_order() -> None:
    rng = random.Random(0)
    names = written_names()
    assert len(TEMPLATES) >= 12
    assert all(place in phrase.split() for place, phrases in PLACE_PHRASES.items() for phrase in phrases)
    for _ in range(1500):
        things = rng.sample(THINGS, rng.randint(1, 4))
        placed = tuple(Placed(t, rng.choice(("", "orange", "red")), rng.choice((None, "big", "small"))) for t in things)
        text, named = caption(Scene(rng.choice(PLACE_WORDS), placed), rng, names=names, must=(things[0],))
        words = text.split()
        assert text == " ".join(words)
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz ")
        assert things[0] in named
        spots = [min(words.index(n) for n in names[t] if n in words) for t in named]
        assert spots == sorted(spots), "things are listed in the sentence's order"
        assert not any(n in words for t in THINGS if t not in named for n in names[t])
        for a, b in pairwise(words):
            if a in ("a", "an"):
                assert (a == "an") == (b[0] in "aeiou"), text


def test_rows_of_the_corpus(book: Corpus) -> None:
    assert len(book.pictures) == sum(SMALL.values())
    for split, scenes in SMALL.items():
        part = book.select(split)
        assert len(part.pictures) == scenes
        assert len(part.recordings) == (0 if split == "teacher" else len(part.texts))
    assert book.meta["counts"]["test"] == {"pictures": 12, "texts": 24, "recordings": 24}
    assert book.meta["words"]["unseen"] == list(UNSEEN)
    groups = {s: set(book.select(s).column("group")) for s in SMALL}
    assert sum(map(len, groups.values())) == len(set().union(*groups.values()))
    assert all(row["group"] in row["id"] for row in book.table.select(["id", "group"]).to_pylist())


def test_recordings_and_their_words(book: Corpus) -> None:
    for row in book.take(book.recordings).table.to_pylist():
        wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        assert rate == 16_000
        assert len(wave) / rate == pytest.approx(row["seconds"])
        assert [w["word"] for w in row["words"]] == row["text"].split()
        times = [t for w in row["words"] for t in (w["start"], w["end"])]
        assert times == sorted(times)
        assert times[0] > 0.04
        assert times[-1] <= row["seconds"]
        inside = np.concatenate([wave[round(w["start"] * rate) : round(w["end"] * rate)] for w in row["words"]])
        outside = wave[: round(times[0] * rate) - 160]
        assert (inside**2).mean() > 2 * (outside**2).mean()
        assert row["voice_seen"] == (row["speaker"] in TRAIN_VOICES)


def test_half_of_the_test_split_is_in_unseen_voices(book: Corpus) -> None:
    for split in ("test", "open"):
        part = book.select(split)
        rows = part.take(part.recordings)
        assert np.mean(rows.column("voice_seen")) == 0.5
        assert {v for v, seen in zip(rows.column("speaker"), rows.column("voice_seen")) if not seen} <= set(TEST_VOICES)
        by_group: dict[str, list[bool]] = {}
        for g, seen in zip(rows.column("group"), rows.column("voice_seen")):
            by_group.setdefault(g, []).append(seen)
        assert all(sorted(s) == [False, True] for s in by_group.values()), "each scene is heard both ways"
    heard = {v for s in ("train", "val") for v in book.select(s).column("speaker") if v}
    assert heard <= set(TRAIN_VOICES)


def test_pictures_and_masks(book: Corpus) -> None:
    for row in book.take(book.pictures).table.to_pylist():
        assert Image.open(io.BytesIO(row["image"]["bytes"])).size == (64, 64)
        assert [m["thing"] for m in row["masks"]] == row["things"]
        assert row["text"] is None
        for mask in row["masks"]:
            picture = Image.open(io.BytesIO(mask["png"]))
            assert picture.size == (64, 64)
            assert picture.mode == "L"
            assert np.asarray(picture).max() == 255, "some of every thing is seen"


def test_same_seed_same_pictures_and_text_whatever_the_workers(book: Corpus, tmp_path: Path) -> None:
    again = prepare_picturebook(tmp_path / "again", seed=5, scenes=SMALL, workers=2, progress=False)
    for column in ("id", "group", "split", "image", "text", "speaker", "things", "masks", "place", "voice_seen"):
        assert again.table[column].to_pylist() == book.table[column].to_pylist(), column
    other = prepare_picturebook(tmp_path / "other", seed=6, scenes={"teacher": 24}, workers=0, progress=False)
    assert other.table["image"].to_pylist() != book.select("teacher").table["image"].to_pylist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "other"], "no working folder is left"


def test_an_existing_folder(book: Corpus, folder: Path, tmp_path: Path) -> None:
    stamp = (folder / "items-00000.arrow").stat().st_mtime_ns
    again = prepare_picturebook(folder, seed=5, scenes=SMALL, workers=0, progress=False)
    assert (folder / "items-00000.arrow").stat().st_mtime_ns == stamp
    assert again.fingerprint() == book.fingerprint()
    with pytest.raises(UserError, match="seed 5, not 6"):
        prepare_picturebook(folder, seed=6, scenes=SMALL)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="not empty"):
        prepare_picturebook(tmp_path, scenes=SMALL)
    with pytest.raises(UserError, match="'test'"):
        prepare_picturebook(tmp_path / "x", scenes={"tset": 3})
    with pytest.raises(UserError, match="pixels"):
        prepare_picturebook(tmp_path / "x", scenes={"test": 3}, size=8)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
