"""Praat projects: utterances, words, speakers and photographs, by hand; and what is wrong with them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_fieldwork import RATE, make, picture, read, samples, sound, textgrid

from lookhear.data.annotations import Annotation, Interval, Tier, write_annotation
from lookhear.data.corpora.praat import open_raw, recognises
from lookhear.data.items import Problems
from lookhear.errors import UserError

SAID = [(0.1, 0.5, "the  ball"), (0.6, 1.0, "two dogs")]
WORDS = [(0.1, 0.2, "the"), (0.25, 0.55, "ball"), (0.6, 0.7, "two"), (0.7, 0.95, "dogs")]


def test_utterances_are_items(tmp_path: Path) -> None:
    wave = sound(tmp_path / "raw" / "s1" / "anna.wav", 1.0)
    tiers = {"sentence": SAID, "wd": WORDS, "who": [(0.0, 0.4, "Anna"), (0.4, 1.0, "Ben")]}
    textgrid(tmp_path / "raw" / "s1" / "anna.TextGrid", 1.0, tiers)
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "praat", tier="sentence", words="wd", speaker="who")
    assert problems == []
    assert corpus.column("id") == ["s1/anna_001", "s1/anna_002"]
    assert corpus.column("text") == ["the ball", "two dogs"]
    assert corpus.column("speaker") == ["Anna", "Ben"]
    # The middle of "ball" (0.4) lies in the first utterance, which ends at 0.5.
    assert [[(w["word"], w["start"], w["end"]) for w in row] for row in corpus.column("words")] == [
        [("the", 0.0, 0.1), ("ball", 0.15, 0.4)],
        [("two", 0.0, 0.1), ("dogs", 0.1, 0.35)],
    ]
    np.testing.assert_array_equal(samples(corpus, 0), wave[1600:8000])
    np.testing.assert_array_equal(samples(corpus, 1), wave[9600:])


def test_without_a_tier_of_utterances_a_recording_is_one_item(tmp_path: Path) -> None:
    wave = sound(tmp_path / "raw" / "wav" / "x.wav", 1.0)
    textgrid(tmp_path / "raw" / "grids" / "x.TextGrid", 1.0, {"Words": WORDS, "phones": []})
    picture(tmp_path / "raw" / "photos" / "x.png")
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "praat")
    assert problems == []
    assert corpus.column("id") == ["grids/x"]
    assert corpus.column("text") == ["the ball two dogs"]
    assert corpus.column("group") == ["photos/x.png"]
    assert [(w["word"], w["start"], w["end"]) for w in corpus.column("words")[0]] == [(w, s, e) for s, e, w in WORDS]
    np.testing.assert_array_equal(samples(corpus, 0), wave)


@pytest.mark.parametrize(
    ("options", "speakers", "words"),
    [
        ({"tier": "Anna - said,Ben - said"}, ["Anna - said", "Ben - said"], [None, None]),
        ({"tier": "* - said"}, ["Anna", "Ben"], [None, None]),
        ({"tier": "* - said", "words": "* - words"}, ["Anna", "Ben"], [["the", "ball"], ["two", "dogs"]]),
        (
            {"tier": "Anna - said, Ben - said", "words": "Anna - words,Ben - words"},
            ["Anna - said", "Ben - said"],
            [["the", "ball"], ["two", "dogs"]],
        ),
        ({"tier": "* - said", "words": "Ben - words"}, ["Anna", "Ben"], [["two"], ["two", "dogs"]]),
        ({"tier": "Ben - said"}, [None], [None]),
        ({"tier": "said@Cleo"}, ["Cleo"], [None]),
    ],
    ids=["listed", "star", "star with words", "lists with words", "words of all", "one", "at"],
)
def test_speakers_and_their_words_by_the_names_of_tiers(
    tmp_path: Path, options: dict[str, str], speakers: list[str], words: list[list[str] | None]
) -> None:
    sound(tmp_path / "x.wav", 1.0)
    tiers = {
        "Ben - said": [(0.3, 1.0, "two dogs")],
        "Anna - said": [(0.1, 0.7, "the ball")],  # both speak from 0.3 to 0.7
        "Anna - words": [(0.1, 0.2, "the"), (0.3, 0.5, "ball")],
        "Ben - words": [(0.3, 0.6, "two"), (0.7, 0.9, "dogs")],
        "said@Cleo": [(0.0, 0.1, "oh")],
    }
    textgrid(tmp_path / "x.TextGrid", 1.0, tiers)
    items, _ = read(tmp_path, "praat", **options)
    assert [i.speaker for i in items] == speakers
    assert [None if i.words is None else [w for w, _, _ in i.words] for i in items] == words
    if len(items) == 2:
        assert [(i.audio.start, i.audio.end) for i in items if i.audio] == [(0.1, 0.7), (0.3, 1.0)]


def test_photographs_of_utterances_by_number_and_by_stem(tmp_path: Path) -> None:
    sound(tmp_path / "x.wav", 1.0)
    textgrid(tmp_path / "x.TextGrid", 1.0, {"u": SAID})
    picture(tmp_path / "x.png")
    picture(tmp_path / "x_02.jpg", 1)
    picture(tmp_path / "x_7.jpg", 2)
    items, problems = read(tmp_path, "praat", tier="u")
    assert [(i.id, i.group) for i in items] == [("x_001", "x.png"), ("x_002", "x_02.jpg")]
    assert [Path(p["file"]).name for p in problems] == ["x_7.jpg"]


def test_photographs_by_a_tier_come_together_across_recordings(tmp_path: Path) -> None:
    for stem, first, second in [("a", "Ball.PNG", "stimuli/dog.png"), ("b", "stimuli/dog.png", "Ball.PNG")]:
        sound(tmp_path / f"{stem}.wav", 1.0)
        textgrid(tmp_path / f"{stem}.TextGrid", 1.0, {"u": SAID, "p": [(0.0, 0.55, first), (0.55, 1.0, second)]})
    picture(tmp_path / "stimuli" / "ball.png")
    picture(tmp_path / "stimuli" / "dog.png", 1)
    items, problems = read(tmp_path, "praat", tier="u", pictures="p")
    assert problems == []
    assert [(i.id, i.group) for i in items] == [
        ("a_001", "stimuli/ball.png"),
        ("b_002", "stimuli/ball.png"),
        ("a_002", "stimuli/dog.png"),
        ("b_001", "stimuli/dog.png"),
    ]


@pytest.mark.parametrize("label", ["../secret.png", "/etc/passwd", "none", "twice", "C:\\photos\\dog.png"])
def test_labels_that_name_no_picture_or_several(tmp_path: Path, label: str) -> None:
    raw = tmp_path / "raw"
    sound(raw / "x.wav", 1.0)
    textgrid(raw / "x.TextGrid", 1.0, {"u": SAID, "p": [(0.6, 1.0, label)]})
    picture(tmp_path / "secret.png")
    picture(raw / "a" / "twice.png")
    picture(raw / "b" / "twice.png", 1)
    items, problems = read(raw, "praat", tier="u", pictures="p")
    assert [(i.id, i.image) for i in items] == [("x_001", None)]
    assert problems[0]["id"] == "x_002"
    assert problems[0]["fix"]


def test_every_fault_of_a_project_is_told(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for stem in ("good", "other", "late", "cut", "twice", "blank"):
        sound(raw / f"{stem}.wav", 1.0, seed=len(stem))
    sound(raw / "twice.flac", 1.0)
    sound(raw / "lonely.wav", 1.0)
    picture(raw / "unused.png")
    textgrid(raw / "good.TextGrid", 1.0, {"u": SAID, "words": [(0.0, 0.08, "lost"), *WORDS]})
    textgrid(raw / "other.TextGrid", 1.0, {"U": SAID})
    textgrid(raw / "late.TextGrid", 3.0, {"u": [(0.5, 1.05, "to the end"), (1.5, 3.0, "after it")]})
    textgrid(raw / "silent.TextGrid", 1.0, {"u": SAID})
    textgrid(raw / "twice.TextGrid", 1.0, {"u": SAID})
    textgrid(raw / "blank.TextGrid", 1.0, {"u": []})
    (raw / "cut.TextGrid").write_bytes((raw / "good.TextGrid").read_bytes()[:300])
    corpus, problems = make(raw, tmp_path / "c", "praat", tier="u")
    assert corpus.column("id") == ["good_001", "good_002", "late_001"]
    told = {Path(p["file"]).name: (p["done"], p["what"]) for p in problems}
    assert set(told) == {
        "blank.TextGrid", "cut.TextGrid", "good.TextGrid", "late.TextGrid", "lonely.wav", "other.TextGrid",
        "silent.TextGrid", "twice.TextGrid", "unused.png",
    }  # fmt: skip
    assert len(problems) == 9
    assert told["other.TextGrid"][1] == "no tier 'u' (tier); its tiers are 'U'"
    assert told["good.TextGrid"] == ("repaired", "1 of 5 words of tier 'words' lie in no utterance: left out")
    assert "1.5 to 3.0 s" in told["late.TextGrid"][1]
    assert "no recording" in told["silent.TextGrid"][1]
    assert "twice.flac" in told["twice.TextGrid"][1]
    assert all(p["fix"] for p in problems)


@pytest.mark.parametrize(
    ("tiers", "options", "told"),
    [
        ({"u": SAID, "v": SAID}, {}, "which tier holds what; its tiers are 'u', 'v'"),
        ({"u": SAID}, {}, "more than words ('the  ball')"),
        ({"words": WORDS}, {"words": "wrods"}, "no tier 'wrods' (words); its tiers are 'words'"),
        ({"words": WORDS, "s": [(0, 0.5, "a"), (0.5, 1, "b")]}, {"speaker": "s"}, "several speakers"),
        ({"words": WORDS, "s": [(0, 0.5, "a"), (0.5, 1, "b")]}, {"pictures": "s"}, "several pictures"),
        ({"u": SAID, "words": WORDS, "Word": WORDS}, {"tier": "u"}, "2 tiers could hold the words"),
        ({"u": SAID}, {"tier": "u", "speaker": "s"}, "no tier 's' (speaker)"),
        ({"u1": SAID, "u2": SAID}, {"tier": "u1", "pictures": "u*"}, "2 tiers match"),
    ],
    ids=["none named", "phrases", "misspelt", "speakers", "pictures", "words twice", "no speakers", "star"],
)
def test_what_cannot_be_told_is_not_guessed(
    tmp_path: Path, tiers: dict[str, list[tuple[float, float, str]]], options: dict[str, str], told: str
) -> None:
    sound(tmp_path / "x.wav", 1.0)
    textgrid(tmp_path / "x.TextGrid", 1.0, tiers)
    items, problems = read(tmp_path, "praat", **options)
    assert items == []
    assert len(problems) == 1
    assert told in problems[0]["what"]
    assert problems[0]["fix"]


def test_a_listed_tier_that_is_missing_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    sound(tmp_path / "x.wav", 1.0)
    textgrid(tmp_path / "x.TextGrid", 1.0, {"Anna": SAID, "Ben, the elder": SAID})
    items, problems = read(tmp_path, "praat", tier="Anna,Bne")
    assert [i.speaker for i in items] == ["Anna", "Anna"]
    assert [(p["done"], p["what"][:13]) for p in problems] == [("repaired", "no tier 'Bne'")]
    assert len(read(tmp_path, "praat", tier="Ben, the elder")[0]) == 2


def test_one_textgrid_may_be_the_source(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        sound(tmp_path / f"{stem}.wav", 1.0)
        textgrid(tmp_path / f"{stem}.TextGrid", 1.0, {"u": SAID})
    items, problems = read(tmp_path / "a.TextGrid", "praat", tier="u")
    assert [i.id for i in items] == ["a_001", "a_002"]
    assert problems == []


def test_it_is_recognised_but_not_beside_a_manifest(tmp_path: Path) -> None:
    assert not recognises(tmp_path)
    textgrid(tmp_path / "deep" / "x.TextGrid", 1.0, {"u": SAID})
    assert recognises(tmp_path)
    assert recognises(tmp_path / "deep" / "x.TextGrid")
    (tmp_path / "manifest.jsonl").write_text("{}")
    assert not recognises(tmp_path)


def test_wrong_options_and_projects_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        open_raw(tmp_path, {})
    textgrid(tmp_path / "x.TextGrid", 1.0, {"u": SAID})
    with pytest.raises(UserError, match="no recording"):
        open_raw(tmp_path, {})
    with pytest.raises(UserError, match="did you mean 'speaker'"):
        open_raw(tmp_path, {"speakers": "s"})
    with pytest.raises(UserError, match="no folder and no file"):
        open_raw(tmp_path / "x.wav", {})


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_broken_textgrids_are_told(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "x.wav").write_bytes(b"")
        textgrid(root / "x.TextGrid", 1.0, {"u": SAID, "words": WORDS})
        raw = bytearray((root / "x.TextGrid").read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, max(0, len(raw) - 1)))
            raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
        (root / "x.TextGrid").write_bytes(raw)
        items, problems = read(root, "praat", **data.draw(st.sampled_from([{}, {"tier": "u"}, {"words": "w*"}])))
        assert items or problems
        assert all(i.file.endswith("x.TextGrid") for i in items)
        for item in items:
            assert item.audio is not None
            length = (item.audio.end or 1e7) - (item.audio.start or 0.0)
            assert all(0 <= s <= e <= length + 1e-6 for _, s, e in item.words or [])


@pytest.mark.shared
def test_real_word_times_through_textgrids(tmp_path: Path) -> None:
    root = Path(os.environ.get("LOOKHEAR_DATA") or Path(__file__).parents[4] / "shared" / "data") / "word-times-lt"
    if not root.is_dir():
        pytest.skip("no data set word-times-lt (LOOKHEAR_DATA, or ../shared/data)")
    rows = [json.loads(line) for line in (root / "manifest.jsonl").read_text(encoding="utf-8").splitlines()][:3]
    (tmp_path / "raw").mkdir()
    for row in rows:
        shutil.copy(root / row["file"], tmp_path / "raw" / f"{row['id']}.flac")
        words = tuple(Interval(w["text"], w["start_s"], w["end_s"]) for w in row["words"])
        annotation = Annotation((Tier("words", words),), duration=row["duration_s"])
        write_annotation(annotation, tmp_path / "raw" / f"{row['id']}.TextGrid")
    corpus, problems = make(tmp_path / "raw", tmp_path / "whole", "praat")
    assert problems == []
    assert sorted(corpus.column("id")) == sorted(row["id"] for row in rows)
    for row in rows:
        made = corpus.column("words")[corpus.column("id").index(row["id"])]
        for told, word in zip(row["words"], made, strict=True):
            assert word["word"] == told["text"]
            ends = min(told["end_s"], row["duration_s"])  # a word ends with its recording at the latest
            assert abs(word["start"] - told["start_s"]) < 1e-6
            assert abs(word["end"] - ends) < 1e-4  # the data set rounds the duration
    cut, problems = make(tmp_path / "raw", tmp_path / "cut", "praat", tier="words")
    assert problems == []
    first = [w for row in sorted(rows, key=lambda r: r["id"]) for w in row["words"]]
    assert cut.column("text") == [w["text"] for w in first]
    for k in (0, 25, 58):
        assert abs(len(samples(cut, k)) / RATE - (first[k]["end_s"] - first[k]["start_s"])) < 1e-3


def test_it_gives_the_same_items_again_and_strict_stops(tmp_path: Path) -> None:
    for k, stem in enumerate(["b", "a"]):
        sound(tmp_path / f"{stem}.wav", 1.0, seed=k)
        textgrid(tmp_path / f"{stem}.TextGrid", 1.0, {"u": SAID})
    textgrid(tmp_path / "c.TextGrid", 1.0, {"u": SAID})
    picture(tmp_path / "a.png")
    raw = open_raw(tmp_path, {"tier": "u"})
    assert list(raw.items(Problems())) == list(raw.items(Problems()))
    with pytest.raises(UserError, match=r"c\.TextGrid: no recording of its name"):
        list(raw.items(Problems(strict=True)))
