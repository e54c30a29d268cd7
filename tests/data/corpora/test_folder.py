"""A folder of files put together by their names: by stem, by patterns, and every file accounted for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_fieldwork import make, picture, read, samples, sound

from lookhear.data.corpora.folder import open_raw, recognises
from lookhear.data.corpora.naming import Naming
from lookhear.data.corpora.tree import Partners
from lookhear.data.items import Problems
from lookhear.errors import UserError


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def test_files_of_one_stem_belong_together(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    waves = {name: sound(raw / f"{name}.wav", seed=k) for k, name in enumerate(["a", "sub/b", "c"])}
    ball = picture(raw / "a.png", 1)
    picture(raw / "sub" / "b.JPG", 2)
    write(raw / "a.txt", "\ufeffa  red\nball \n")
    write(raw / "sub" / "README.txt", "about")
    corpus, problems = make(raw, tmp_path / "c", "folder")
    assert problems == []
    assert corpus.column("id") == ["a", "c", "sub/b"]
    assert corpus.column("group") == ["a.png", "c", "sub/b.JPG"]
    assert corpus.column("text") == ["a red ball", None, None]
    assert [corpus.column("image")[k] is not None for k in range(3)] == [True, False, True]
    for row, name in enumerate(corpus.column("id")):
        np.testing.assert_array_equal(samples(corpus, row), waves[name])
    assert corpus.media("image", 0) == ball


def test_parallel_folders_and_pictures_of_several_recordings(tmp_path: Path) -> None:
    for speaker in ("anna", "ben"):
        sound(tmp_path / "wav" / speaker / "dog.wav", seed=len(speaker))
        sound(tmp_path / "wav" / speaker / "cat.wav", seed=len(speaker) + 9)
        write(tmp_path / "txt" / speaker / "dog.txt", f"{speaker} says dog")
    picture(tmp_path / "img" / "dog.png")
    picture(tmp_path / "img" / "anna" / "cat.png", 1)
    picture(tmp_path / "img" / "zebra.png", 2)
    items, problems = read(tmp_path, "folder")
    assert problems == []
    told = [(i.id, i.group, i.text) for i in items]
    assert told == [
        ("wav/anna/cat", "img/anna/cat.png", None),
        ("wav/anna/dog", "img/dog.png", "anna says dog"),
        ("wav/ben/dog", "img/dog.png", "ben says dog"),
        ("wav/ben/cat", None, None),
        ("img/zebra", "img/zebra.png", None),
    ]
    assert items[-1].audio is None


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("wav/anna", ["img/anna/x.png"]),
        ("wav/ben", ["img/x.png"]),
        ("", ["img/x.png"]),
        ("img/ben", ["img/x.png"]),
        ("img/anna", ["img/anna/x.png"]),
        ("anna/wav", ["img/anna/x.png"]),
        ("deep/wav/anna", ["img/anna/x.png"]),
        ("a/b/c/d/e/f/g/h/i/j/k/anna", ["img/anna/x.png"]),
    ],
)
def test_which_folders_are_parallel(folder: str, found: list[str]) -> None:
    partners = Partners(["img/x.png", "img/anna/x.png", "wavs/x.png"], ["wavs/x.wav"])
    assert partners.of(folder, "x") == found
    assert partners.of(folder, "y") == []


def test_a_pattern_tells_the_fields(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ["anna/dev/red_ball_1.wav", "anna/dev/red_ball_2.WAV", "ben/test/dog_1.wav", "ben/extra/dog_2.wav"]:
        sound(raw / name, seed=len(name))
    picture(raw / "pictures" / "red_ball.png")
    picture(raw / "pictures" / "dog.png", 1)
    corpus, problems = make(raw, tmp_path / "c", "folder", pattern="{speaker}/{split}/{group}_{take}.wav")
    assert problems == []
    assert corpus.column("id") == ["anna/dev/red_ball_1", "anna/dev/red_ball_2", "ben/extra/dog_2", "ben/test/dog_1"]
    assert corpus.column("speaker") == ["anna", "anna", "ben", "ben"]
    assert corpus.column("split") == ["val", "val", "extra", "test"]
    assert corpus.column("group") == ["red_ball", "red_ball", "dog", "dog"]
    assert corpus.column("take") == ["1", "2", "2", "1"]
    assert len(corpus.pictures) == 2


def test_pictures_and_texts_have_patterns_too(tmp_path: Path) -> None:
    sound(tmp_path / "take7_anna.wav")
    sound(tmp_path / "take8_ben.wav", seed=1)
    picture(tmp_path / "photos" / "7-night.jpg")
    picture(tmp_path / "photos" / "9-day.jpg", 2)
    picture(tmp_path / "photos" / "cover.jpg", 3)
    write(tmp_path / "said" / "8.en.txt", "eight")
    options = {
        "pattern": "take{id}_{speaker}.wav",
        "pictures": "photos/{id}-{light}.jpg",
        "texts": "said/{id}.{language}.txt",
    }
    items, problems = read(tmp_path, "folder", **options)
    assert [(i.id, i.speaker, i.text, i.language, i.extra) for i in items] == [
        ("7", "anna", None, None, {"light": "night"}),
        ("8", "ben", "eight", "en", {"light": None}),
        ("9", None, None, None, {"light": "day"}),
    ]
    assert [(Path(p["file"]).name, p["done"]) for p in problems] == [("cover.jpg", "refused")]


def test_what_the_pattern_does_not_match_is_a_problem(tmp_path: Path) -> None:
    sound(tmp_path / "anna" / "1.wav")
    sound(tmp_path / "stray.wav", seed=1)
    picture(tmp_path / "anna" / "1.png")
    picture(tmp_path / "anna" / "2.png", 1)
    write(tmp_path / "notes.txt", "?")
    write(tmp_path / "anna" / "._1.wav", b"\0\0")
    items, problems = read(tmp_path, "folder", pattern="{speaker}/{take}.wav")
    assert [(i.id, i.image and i.image.name) for i in items] == [("anna/1", "anna/1.png")]
    assert [Path(p["file"]).name for p in problems] == ["stray.wav", "2.png", "notes.txt"]
    assert all(p["fix"] for p in problems)


def test_several_pictures_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.jpg")
    write(tmp_path / "b.txt", "b")
    sound(tmp_path / "b.wav", seed=1)
    items, problems = read(tmp_path, "folder")
    assert [i.id for i in items if i.audio] == ["b"]
    assert [p["id"] for p in problems] == ["a"]
    assert "a.jpg, a.png" in problems[0]["what"]


def test_bad_texts_and_links_out_of_the_folder(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for k, name in enumerate(["cut", "empty", "good", "long", "wide"]):
        sound(raw / f"{name}.wav", seed=k)
    write(raw / "cut.txt", b"caf\xe9")
    write(raw / "wide.txt", "à".encode("utf-16"))
    write(raw / "long.txt", "x" * 1_000_001)
    write(raw / "empty.txt", "")
    write(raw / "good.txt", "ą")
    sound(tmp_path / "outside.wav")
    (raw / "link.wav").symlink_to(tmp_path / "outside.wav")
    (raw / "linked").symlink_to(tmp_path)
    items, problems = read(raw, "folder")
    assert [(i.id, i.text) for i in items] == [("empty", ""), ("good", "ą")]
    done = {(p["id"] or Path(p["file"]).name): p["done"] for p in problems}
    assert done == dict.fromkeys(["cut", "wide", "long", "link", "linked"], "refused") | {"empty": "repaired"}


def test_names_that_are_no_unicode_and_names_in_two_forms(tmp_path: Path) -> None:
    sound(tmp_path / "e\u0301.wav")  # as macOS writes é
    picture(tmp_path / "\u00e9.png")
    (tmp_path / b"\xff.wav".decode(errors="surrogateescape")).write_bytes(b"")
    items, problems = read(tmp_path, "folder")
    assert [(i.id, i.group) for i in items] == [("\u00e9", "\u00e9.png")]
    assert [p["what"] for p in problems] == ["a file name that is not UTF-8"]


def test_a_damaged_recording_is_told(tmp_path: Path) -> None:
    sound(tmp_path / "raw" / "a.wav")
    write(tmp_path / "raw" / "b.wav", b"")
    write(tmp_path / "raw" / "c.m4a", b"....ftypM4A ")
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "folder")
    assert corpus.column("id") == ["a"]
    assert [p["id"] for p in problems] == ["b", "c"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"patern": "{id}.wav"}, "pattern"),
        ({"pattern": "{id.wav"}, "without its pair"),
        ({"pattern": "{}.wav"}, "no field"),
        ({"pattern": "{a b}.wav"}, "no field"),
        ({"pattern": "{a}{b}.wav"}, "nothing between"),
        ({"pattern": "/raw/{id}.wav"}, "inside the folder"),
        ({"pattern": "../{id}.wav"}, "inside the folder"),
        ({"pattern": ""}, "inside the folder"),
        ({"pattern": "{audio}.wav"}, "'audio'"),
        ({"pattern": "{seconds}.wav"}, "'seconds'"),
        ({"pattern": "{id}.flac"}, "nothing matches"),
        ({"pictures": "{id}.png"}, "shares no field"),
        ({"pattern": "{id}.wav", "pictures": "{take}.png"}, "shares no field"),
        ({"pattern": "{id}.wav", "texts": "{id}.txt"}, "nothing matches"),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(v),
)
def test_wrong_options(tmp_path: Path, options: dict[str, str], told: str) -> None:
    sound(tmp_path / "a.wav")
    picture(tmp_path / "a.png")
    with pytest.raises(UserError) as error:
        open_raw(tmp_path, options)
    assert told in str(error.value)
    assert error.value.fix


def test_it_is_recognised_by_recordings_or_pictures(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.txt", "x")
    assert not recognises(tmp_path)
    with pytest.raises(UserError, match="no recording"):
        open_raw(tmp_path, {})
    picture(tmp_path / "a" / "b" / "x.png")
    assert recognises(tmp_path)
    assert not recognises(tmp_path / "a" / "b" / "x.png")
    with pytest.raises(UserError, match="not a folder"):
        open_raw(tmp_path / "a" / "b" / "x.png", {})


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{speaker}/{id}.wav", "anna/1.wav", {"speaker": "anna", "id": "1"}),
        ("{speaker}/{id}.wav", "a/b/1.wav", None),
        ("**/{speaker}/{id}.wav", "anna/1.WAV", {"speaker": "anna", "id": "1"}),
        ("**/{speaker}/{id}.wav", "x/y/anna/1.wav", {"speaker": "anna", "id": "1"}),
        ("*/{id}", "anna/1.5.flac", {"id": "1.5"}),
        ("{id}.*", "1.flac", {"id": "1"}),
        ("{id}.{kind}", "1.flac", {"id": "1", "kind": "flac"}),
        ("{speaker}/{speaker}_{take}.wav", "anna/anna_2.wav", {"speaker": "anna", "take": "2"}),
        ("{speaker}/{speaker}_{take}.wav", "anna/ben_2.wav", None),
        ("{group}_{take}.wav", "red_ball_2.wav", {"group": "red_ball", "take": "2"}),
        ("a+b/{id}.wav", "a+b/1.wav", {"id": "1"}),
        ("a+b/{id}.wav", "aab/1.wav", None),
        ("./{žodis}.wav", "šuo.wav", {"žodis": "šuo"}),
    ],
)
def test_naming_patterns(pattern: str, path: str, fields: dict[str, str] | None) -> None:
    assert Naming(pattern).match(path) == fields


@given(st.text("{}*/._ab", max_size=12), st.text("/._ab", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_pattern_is_read_or_refused(pattern: str, path: str) -> None:
    try:
        naming = Naming(pattern)
    except UserError:
        return
    found = naming.match(path)
    assert found is None or (tuple(found) == naming.fields and all(v and "/" not in v for v in found.values()))


names = st.sampled_from(["a", "b", "x/a", "x/b", "y/a", "wav/x/a", "img/x/a", "txt/a"])
files = st.lists(st.tuples(names, st.sampled_from([".wav", ".flac", ".png", ".jpg", ".txt"])), min_size=1, unique=True)


@given(files, st.sampled_from(["", "{speaker}/{take}.wav", "{take}.*", "**/{group}.wav"]))
@settings(max_examples=60, deadline=None)
def test_no_file_is_lost(files: list[tuple[str, str]], pattern: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = [name + ending for name, ending in files]
        for path in paths:
            write(root / path, "x")
        options = {"pattern": pattern} if pattern else {}
        audio = [path for path in paths if path.endswith((".wav", ".flac"))]
        media = audio or [path for path in paths if not path.endswith(".txt")]
        if not media or (pattern and not any(Naming(pattern).match(path) for path in media)):
            with pytest.raises(UserError, match=r"no recording|nothing matches"):
                read(root, "folder", **options)
            return
        items, problems = read(root, "folder", **options)
        taken = {m.name for i in items for m in (i.audio, i.image) if m is not None}
        told = {Path(p["file"]).relative_to(root).as_posix() for p in problems}
        for path in paths:
            if path.endswith(".txt"):
                stem = path.removesuffix(".txt").rpartition("/")[2]
                assert path in told or any(i.text == "x" and i.id.rpartition("/")[2] == stem for i in items)
            else:
                assert path in taken or path in told
        shown = [i.image.name for i in items if i.image]
        assert len([k for k, name in enumerate(shown) if k == 0 or shown[k - 1] != name]) == len(set(shown))


def test_a_picture_goes_with_its_recording_that_is_refused(tmp_path: Path) -> None:
    for name in ("a.wav", "a.png", "x/a.txt", "y/a.txt"):
        write(tmp_path / name, "x")
    items, problems = read(tmp_path, "folder")
    assert items == []
    told = {Path(p["file"]).relative_to(tmp_path).as_posix(): p["what"] for p in problems}
    assert set(told) == {"a.wav", "a.png", "x/a.txt", "y/a.txt"}
    assert told["a.png"] == "a picture of a.wav, which is refused"


def test_it_gives_the_same_items_again_and_strict_stops(tmp_path: Path) -> None:
    for name in ("b/2.wav", "a/1.wav", "stray.wav"):
        sound(tmp_path / "raw" / name, seed=len(name))
    picture(tmp_path / "raw" / "a" / "1.png")
    raw = open_raw(tmp_path / "raw", {"pattern": "{speaker}/{take}.wav"})
    assert list(raw.items(Problems())) == list(raw.items(Problems()))
    with pytest.raises(UserError, match=r"stray\.wav: a recording that the pattern"):
        list(raw.items(Problems(strict=True)))
