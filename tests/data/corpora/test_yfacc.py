"""YFACC: read in both layouts with all its quirks, and written so that it reads the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_flickr8k import alike, picture, sound
from raw_yfacc import BROKEN_GRID, IMAGES, TEXTS, WORDS, write_yfacc

from lookhear.data.corpora import flickr8k, layout_of, yfacc
from lookhear.data.items import Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.schema import Corpus
from lookhear.data.store import read_store, write_corpus
from lookhear.errors import UserError

SPLITS = {"train": "train", "dev": "val", "test": "test"}


def make(raw: Path, out: Path, **options: str) -> Corpus:
    return prepare(raw, out, layout="yfacc", options=options, workers=0, progress=False)


def told(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


@pytest.mark.parametrize("layout", ["v6", "strim"])
def test_it_is_read_whole(tmp_path: Path, layout: str) -> None:
    raw = write_yfacc(tmp_path / "raw", layout)
    assert layout_of(raw) == "yfacc"
    corpus = make(raw, tmp_path / "c")
    rows = {r["id"]: r for r in corpus.table.to_pylist() if r["audio"]}
    assert sorted(rows) == [f"S001_{image}_0" for image in IMAGES]
    for i, (image, split) in enumerate(IMAGES.items()):
        row = rows[f"S001_{image}_0"]
        assert row["text"] == TEXTS[i]
        assert (row["group"], row["split"], row["speaker"], row["language"]) == (image, SPLITS[split], "S001", "yo")
        assert row["audio"]["bytes"] == sound(i, rate=48000)
        assert row["image"]["bytes"] == picture(i)
        words = None if row["words"] is None else [(w["word"], w["start"], w["end"]) for w in row["words"]]
        assert words == WORDS.get(image)
    assert corpus.meta["lacking"] == []
    assert corpus.meta["words"] == {
        "keywords.8_yoruba": {"dog": ["ajá"], "white": ["aṣọ funfun"]},
        "eng_yoruba_keywords": {"dog": ["ajá"], "ball": ["bọ́ọ̀lù", "rogodo"]},
    }


def test_its_quirks_are_told(tmp_path: Path) -> None:
    corpus = make(write_yfacc(tmp_path / "raw"), tmp_path / "c")
    (row,) = [r for r in corpus.table.to_pylist() if not r["audio"]]
    assert (row["id"], row["text"]) == ("S001_1007320043_627395c3d8_0", "Ẹnìkan tí kò sí")
    found = {
        (Path(p["file"]).name, p["line"], p["what"].split(":")[-1].strip()): p["done"] for p in told(tmp_path / "c")
    }
    train, test = "Flickr8k.token.train_yoruba.txt", "Flickr8k.token.test_yoruba.txt"
    expected = [
        (train, 2, "key '1001773457_577c3a7d70.jpg#' is read as 1001773457_577c3a7d70.jpg#0"),
        (
            train,
            3,
            "key '1002674143_1b742ab4b8.jpg#0Ọmọdébìnrin' is read as 1002674143_1b742ab4b8.jpg#0, "
            "and 'Ọmọdébìnrin' as the first word",
        ),
        (test, 3, "a text alone"),
        (test, None, "its items go without"),
        (f"{BROKEN_GRID}_0.TextGrid", None, "no word times"),
    ]
    assert found == dict.fromkeys(expected, "repaired")


def test_the_copies_at_16_khz_are_read_where_asked_or_alone(tmp_path: Path) -> None:
    raw = write_yfacc(tmp_path / "raw")
    assert make(raw, tmp_path / "c", rate="16k").column("audio")[0]["bytes"] == sound(3, rate=16000)
    for path in raw.glob("flickr_audio_yoruba_*/*.wav"):
        path.unlink()
    corpus = make(raw, tmp_path / "d")
    assert len(corpus.recordings) == len(IMAGES)
    assert corpus.column("audio")[0]["bytes"] == sound(3, rate=16000)


def test_recordings_are_read_without_anything_else(tmp_path: Path) -> None:
    raw = write_yfacc(tmp_path / "raw", pictures=False)
    for folder in ("Flickr8k_text", "Flickr8k_alignment"):
        (raw / folder).rename(tmp_path / folder)
    corpus = make(raw, tmp_path / "c")
    assert len(corpus) == len(IMAGES)
    assert len(corpus.meta["lacking"]) == 3
    assert "words" not in corpus.meta
    assert told(tmp_path / "c") == []


def test_pictures_may_lie_with_flickr8k(tmp_path: Path) -> None:
    raw = write_yfacc(tmp_path / "raw")
    (raw / "Flicker8k_Dataset").rename(tmp_path / "pictures")
    assert any("pictures" in lack for lack in make(raw, tmp_path / "c").meta["lacking"])
    corpus = make(raw, tmp_path / "d", images=str(tmp_path / "pictures"))
    assert len(corpus.pictures) == len(IMAGES)


def test_files_of_other_names_are_told_of(tmp_path: Path) -> None:
    raw = write_yfacc(tmp_path / "raw")
    (raw / "flickr_audio_yoruba_dev" / "noise.wav").write_bytes(sound(0))
    (raw / "flickr_audio_yoruba_dev" / "S001_new_0.wav").write_bytes(sound(0))
    (raw / "Flickr8k_alignment" / "notes.doc").write_text("")
    (raw / "Flickr8k_alignment" / "gone_0.TextGrid").write_text("")
    corpus = make(raw, tmp_path / "c")
    assert "S001_new_0" in corpus.column("id")
    lines = {Path(p["file"]).name: (p["done"], p["what"]) for p in told(tmp_path / "c")}
    assert lines["noise.wav"][0] == "refused"
    assert lines["notes.doc"][0] == "refused"
    assert "'gone_0'" in lines["Flickr8k_alignment"][1]
    assert ("repaired", "no text for S001_new_0.wav") in [(p["done"], p["what"]) for p in told(tmp_path / "c")]


def test_what_is_wrong_as_a_whole_is_said_at_once(tmp_path: Path) -> None:
    raw = write_yfacc(tmp_path / "raw")
    with pytest.raises(UserError, match=r"no option 'rat' .*did you mean 'rate'"):
        yfacc.open_raw(raw, {"rat": "16k"})
    with pytest.raises(UserError, match="no rate '8k'"):
        yfacc.open_raw(raw, {"rate": "8k"})
    with pytest.raises(UserError, match="no folders flickr_audio_yoruba"):
        yfacc.open_raw(raw / "Flickr8k_text", {})
    assert not flickr8k.recognises(raw)
    assert not yfacc.recognises(raw / "Flickr8k_text")


def test_the_same_after_a_round_trip(tmp_path: Path) -> None:
    first = make(write_yfacc(tmp_path / "raw"), tmp_path / "c")
    yfacc.write_raw(first, tmp_path / "again")
    assert layout_of(tmp_path / "again") == "yfacc"
    again = make(tmp_path / "again", tmp_path / "d")
    alike(first, again)
    assert again.meta["words"] == first.meta["words"]
    files = {p.relative_to(tmp_path / "again").as_posix() for p in (tmp_path / "again").rglob("*") if p.is_file()}
    assert {
        "flickr_audio_yoruba_train/S001_1000268201_693b08cb0e_0.wav",
        "Flickr8k_alignment/1003163366_44323f5815_0.TextGrid",
        "Flickr8k_text/Flickr8k.token.dev_yoruba.txt",
        "Flicker8k_Dataset/1007129816_e794419615.jpg",
    } <= files


def other_corpus(folder: Path, words: Any = None) -> Corpus:
    """Nothing like YFACC: names of its own, FLAC, two speakers, pictures as rows, no splits, another language."""
    rows = [
        {"id": "scene 1", "group": "scene 1", "split": "train", "image": {"path": None, "bytes": picture(1, "PNG")}},
        {"id": "scene 1-0", "group": "scene 1", "split": "train", "text": "two  spaces", "language": "en",
         "audio": {"path": None, "bytes": sound(1, kind="FLAC")}, "speaker": "Ọlá", "words": words},
        {"id": "scene 1-1", "group": "scene 1", "split": "train", "text": "no recording", "language": "en"},
        {"id": "alone", "group": "scene/1", "split": "dev", "image": {"path": None, "bytes": picture(2, "PNG")}},
        {"id": "mute", "group": "x.jpg", "audio": {"path": None, "bytes": sound(2)}, "language": "yo"},
        {"id": "S007_x.jpg_4", "group": "x.jpg", "text": "said", "audio": {"path": None, "bytes": sound(3)},
         "speaker": "S007"},
    ]  # fmt: skip
    return read_store(write_corpus(rows, folder, {"name": "other"}))


def test_another_corpus_keeps_what_the_layout_cannot_say(tmp_path: Path) -> None:
    words = [{"word": "two words", "start": 0.0123456, "end": 0.1}, {"word": "<b>", "start": 0.1, "end": 0.15}]
    corpus = other_corpus(tmp_path / "other", words)
    yfacc.write_raw(corpus, tmp_path / "raw")
    again = make(tmp_path / "raw", tmp_path / "c")
    alike(corpus, again)
    assert [(p["id"], p["done"]) for p in told(tmp_path / "c")] == [("x", "repaired")]  # it has no picture
    assert sorted(p.name for p in (tmp_path / "raw").glob("*/*.wav")) == [
        "S001_scene-1_0.wav",
        "S001_x_0.wav",
        "S007_x_1.wav",
    ]
    yfacc.write_raw(again, tmp_path / "third")
    alike(corpus, make(tmp_path / "third", tmp_path / "d"))


def test_words_that_overlap_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    words = [{"word": "one", "start": 0.0, "end": 0.1}, {"word": "two", "start": 0.05, "end": 0.15}]
    with pytest.raises(UserError, match=r"item 'scene 1-0': .*overlap"):
        yfacc.write_raw(other_corpus(tmp_path / "other", words), tmp_path / "out" / "raw")
    assert list((tmp_path / "out").iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(lambda t: t.encode(errors="replace")),
    st.sampled_from([b"a.jpg#0 aja kan", b"a.jpg#O aja", b"a.jpg# aja", b"a.jpgaja", b"b.jpg#1", b"#0 aja", b"a#aja"]),
), max_size=8))  # fmt: skip
def test_every_line_is_told_of(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    raw = tmp_path_factory.mktemp("broken")
    (raw / "flickr_audio_yoruba_train").mkdir()
    (raw / "flickr_audio_yoruba_train" / "S001_z_0.wav").write_bytes(sound(0))
    (raw / "Flickr8k_text").mkdir()
    data = b"\n".join([line.replace(b"\n", b" ") for line in lines])
    (raw / "Flickr8k_text" / "Flickr8k.token.train_yoruba.txt").write_bytes(data)
    (raw / "Flickr8k_text" / "keywords.8_yoruba.txt").write_bytes(data)
    (raw / "Flickr8k_text" / "eng_yoruba_keywords.txt").write_bytes(data)
    (raw / "Flickr8k_alignment").mkdir()
    (raw / "Flickr8k_alignment" / "z_0.TextGrid").write_bytes(data)
    noted = Problems()
    items = list(yfacc.open_raw(raw, {}).items(noted))
    told = sum(bool(line.strip()) for line in data.split(b"\n"))
    assert len({i.id for i in items}) == len(items)
    assert sum(i.audio is not None for i in items) == 1
    path = raw / "Flickr8k_text" / "Flickr8k.token.train_yoruba.txt"
    alone = Problems()
    texts = yfacc._read_tokens(path, alone)
    assert len(texts) + alone.refused == told
    assert {i.text for i in items if i.text is not None} == {t.text for t in texts.values()}
