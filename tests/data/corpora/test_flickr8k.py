"""Flickr8k Audio Captions: read with all its quirks, and written so that it reads the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_flickr8k import (
    CAPTIONS,
    IMAGES,
    MISSING_IN_CTM,
    NO_PICTURE,
    TAGS,
    alike,
    picture,
    sound,
    write_flickr8k,
    write_tags,
)

from lookhear.data.corpora import flickr8k, flickr_lists, layout_of
from lookhear.data.items import Item, Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.data.store import read_store, write_corpus
from lookhear.errors import UserError

SPLITS = {"train": "train", "dev": "val", "test": "test"}


def make(raw: Path, out: Path, **options: str) -> Corpus:
    return prepare(raw, out, layout="flickr8k", options=options, workers=0, progress=False)


def told(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


def items_of(raw: Path, problems: Problems | None = None, **options: str) -> list[Item]:
    return list(flickr8k.open_raw(raw, options).items(problems or Problems()))


@pytest.mark.parametrize("texts", ["token", "karpathy", "csv"])
def test_it_is_read_whole(tmp_path: Path, texts: str) -> None:
    raw = write_flickr8k(tmp_path / "raw", texts)
    assert layout_of(raw) == "flickr8k"
    corpus = make(raw, tmp_path / "c")
    rows = {r["id"]: r for r in corpus.table.to_pylist() if r["audio"]}
    assert list(rows) == [f"{image}_{k}" for image in IMAGES for k in range(2)]
    for i, image in enumerate(IMAGES):
        for k in range(2):
            row = rows[f"{image}_{k}"]
            assert row["text"] == CAPTIONS[i][k]
            assert (row["group"], row["split"], row["speaker"]) == (image, SPLITS[IMAGES[image]], str(i + 1))
            assert row["audio"]["bytes"] == sound(10 * i + k)
            assert row["language"] == "en"
            if row["id"] == MISSING_IN_CTM:
                assert row["words"] is None
            else:
                assert [w["word"] for w in row["words"]] == ["A", "Caption", f"W{i}"]
                assert [(w["start"], w["end"]) for w in row["words"]] == [(0.01, 0.02), (0.02, 0.03), (0.03, 0.04)]
        assert rows[f"{image}_0"]["image"]["bytes"] == picture(i)
    assert len(corpus.pictures) == len(IMAGES)
    assert corpus.meta["lacking"] == []


def test_its_quirks_are_told(tmp_path: Path) -> None:
    corpus = make(write_flickr8k(tmp_path / "raw"), tmp_path / "c")
    (row,) = [r for r in corpus.table.to_pylist() if not r["audio"]]
    assert (row["id"], row["text"], row["split"]) == (f"{NO_PICTURE}_0", "A picture that there is not", None)
    lines = {(Path(p["file"]).name, p["line"], p["done"]): p["what"] for p in told(tmp_path / "c")}
    assert "stray name" in lines.pop(("wav2capt.txt", 9, "refused"))
    assert "stray name" in lines.pop(("1000268201_693b08cb0e_0.txt", None, "refused"))
    assert "1 entries of no item" in lines.pop(("flickr_8k.ctm", None, "refused"))
    assert f"no picture {NO_PICTURE}.jpg" in lines.pop(("Flickr8k.token.txt", None, "repaired"))
    assert not lines


def test_a_comma_that_is_not_quoted_belongs_to_the_caption(tmp_path: Path) -> None:
    make(write_flickr8k(tmp_path / "raw", "csv"), tmp_path / "c")
    (problem,) = [p for p in told(tmp_path / "c") if p["file"].endswith("captions.txt")]
    assert (problem["line"], problem["done"]) == (9, "repaired")


def test_without_texts_the_alignment_is_the_text(tmp_path: Path) -> None:
    corpus = make(write_flickr8k(tmp_path / "raw", "ctm"), tmp_path / "c")
    assert corpus.column("text")[:4] == ["a caption w0", "a caption w0", "a caption w1", None]
    assert any("taken from the alignments" in lack for lack in corpus.meta["lacking"])


def test_recordings_are_read_without_anything_else(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw", "ctm", pictures=False)
    alone = raw / "flickr_audio"
    for name in ("flickr_8k.ctm", "wav2spk.txt"):
        (alone / name).unlink()
    corpus = make(alone, tmp_path / "c")
    assert len(corpus) == 8
    assert not corpus.has("text")
    assert len(corpus.meta["lacking"]) == 5
    (alone / "wav2capt.txt").unlink()
    (raw / "Flickr8k_text").rename(alone / "Flickr8k_text")
    assert layout_of(alone) == "flickr8k"
    corpus = make(alone, tmp_path / "d")
    assert corpus.column("id") == [f"{image}_{k}" for image in IMAGES for k in range(2)]
    assert corpus.column("group")[2] == "1001773457_577c3a7d70"
    assert any("wav2capt.txt" in lack for lack in corpus.meta["lacking"])


def test_alignments_do_not_fit_recordings_without_silence(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw")
    corpus = make(raw, tmp_path / "c", wavs="flickr_audio/wavs_with_no_silence")
    assert not corpus.has("words")
    assert corpus.column("audio")[0]["bytes"] == sound(0, 0.1)
    assert any("wavs_with_no_silence" in lack for lack in corpus.meta["lacking"])


def test_tags_and_semantic_labels_are_columns(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw")
    write_tags(raw)
    corpus = make(raw, tmp_path / "c")
    assert corpus.meta["words"] == {"tags": TAGS, "keywords": ["dogs", "man", "bench"]}
    rows = {r["id"]: r for r in corpus.table.to_pylist()}
    row = rows["1003163366_44323f5815_1"]
    assert row["tags"] == pytest.approx([0.3, 1.0, 1e-3])
    assert row["semantic"] == ["man", "dogs"]
    assert {v["word"]: v["votes"] for v in row["semantic_votes"]} == {"man": 5, "dogs": 3, "bench": 1}
    other = rows["1000268201_693b08cb0e_0"]
    assert other["tags"] == pytest.approx([0.0, 1.0, 1e-3])
    assert other["semantic"] is other["semantic_votes"] is None


HARMS = {
    "no such recording": lambda raw: (raw / "flickr_audio/wavs/1001773457_577c3a7d70_0.wav").unlink(),
    "climbs out": lambda raw: swap(raw / "flickr_audio/wav2capt.txt", "1001773457_577c3a7d70_0.wav", "../../../x.wav"),
    "absolute": lambda raw: swap(raw / "flickr_audio/wav2capt.txt", "1001773457_577c3a7d70_0.wav", "/etc/x.wav"),
    "no name": lambda raw: swap(raw / "flickr_audio/wav2capt.txt", "1001773457_577c3a7d70_0.wav", "a\0b.wav"),
    "0 bytes": lambda raw: (raw / "flickr_audio/wavs/1001773457_577c3a7d70_0.wav").write_bytes(b""),
    "no number": lambda raw: swap(raw / "flickr_audio/wav2capt.txt", "1001773457_577c3a7d70.jpg #0", "x.jpg 0"),
    "no UTF-8": lambda raw: swap(raw / "flickr_audio/wav2capt.txt", "1001773457_577c3a7d70_0.wav", "\udcff.wav"),
}


def swap(path: Path, old: str, new: str) -> None:
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(errors="surrogateescape"), 1))


@pytest.mark.parametrize("harm", HARMS)
def test_a_recording_that_is_wrong_is_refused_alone(tmp_path: Path, harm: str) -> None:
    raw = write_flickr8k(tmp_path / "raw", "karpathy")
    HARMS[harm](raw)
    corpus = make(raw, tmp_path / "c")
    spoken = [corpus.column("id")[r] for r in corpus.recordings]
    assert spoken == [
        f"{image}_{k}" for image in IMAGES for k in range(2) if f"{image}_{k}" != "1001773457_577c3a7d70_0"
    ]
    lines = [p for p in told(tmp_path / "c") if p["file"].endswith("wav2capt.txt") and p["line"] == 3]
    assert [p["done"] for p in lines] == ["refused"]
    assert lines[0]["fix"]


def test_a_picture_that_is_missing_leaves_its_items_without(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw", "karpathy")
    (raw / "Flicker8k_Dataset/1001773457_577c3a7d70.jpg").unlink()
    (raw / "Flicker8k_Dataset/more.jpg").write_bytes(picture(9))
    corpus = make(raw, tmp_path / "c")
    assert len(corpus.recordings) == 8
    assert [corpus.column("id")[r] for r in corpus.pictures] == [
        *(f"{image}_0" for image in IMAGES if image != "1001773457_577c3a7d70"),
        "more",
    ]
    assert [p["done"] for p in told(tmp_path / "c") if "no picture 1001773457" in p["what"]] == ["repaired"]


def test_a_second_picture_of_one_name_is_refused(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw", "karpathy")
    (raw / "Flicker8k_Dataset/1000268201_693b08cb0e.jpeg").write_bytes(picture(9))
    corpus = make(raw, tmp_path / "c")
    assert corpus.media("image", 0) == picture(0)
    assert [p["done"] for p in told(tmp_path / "c") if p["file"].endswith("693b08cb0e.jpeg")] == ["refused"]


def test_a_picture_in_two_splits_is_tested_on(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw")
    with (raw / "Flickr8k_text/Flickr_8k.trainImages.txt").open("a") as file:
        file.write("1003163366_44323f5815.jpg\n")
    problems = Problems()
    splits = {i.group: i.split for i in items_of(raw, problems)}
    assert splits["1003163366_44323f5815"] == "test"
    assert problems.repaired == 2  # with the picture that there is not


def test_what_is_wrong_as_a_whole_is_said_at_once(tmp_path: Path) -> None:
    raw = write_flickr8k(tmp_path / "raw", "karpathy")
    with pytest.raises(UserError, match=r"no option 'wav' .*did you mean 'wavs'"):
        flickr8k.open_raw(raw, {"wav": "x"})
    with pytest.raises(UserError, match="no such folder"):
        flickr8k.open_raw(raw, {"images": "nowhere"})
    with pytest.raises(UserError, match="no such file"):
        flickr8k.open_raw(raw, {"texts": "nowhere.txt"})
    (raw / "flickr_audio/other.ctm").write_text("")
    (raw / "flickr_audio/flickr_8k.ctm").rename(raw / "flickr_audio/third.ctm")
    with pytest.raises(UserError, match=r"several alignments \(other.ctm, third.ctm\)"):
        flickr8k.open_raw(raw, {})
    (raw / "dataset.json").write_text('{"images": [')
    with pytest.raises(UserError, match="not JSON"):
        flickr8k.open_raw(raw, {"ctm": "flickr_audio/other.ctm"})
    with pytest.raises(UserError, match="no folder wavs"):
        flickr8k.open_raw(raw / "Flicker8k_Dataset", {})


def test_the_same_after_a_round_trip(tmp_path: Path) -> None:
    first = make(write_flickr8k(tmp_path / "raw"), tmp_path / "c")
    flickr8k.write_raw(first, tmp_path / "again")
    assert layout_of(tmp_path / "again") == "flickr8k"
    alike(first, make(tmp_path / "again", tmp_path / "d"))
    assert not (tmp_path / "again" / "lookhear.jsonl").exists()
    line = (tmp_path / "again/flickr_audio/wav2capt.txt").read_text().splitlines()[0]
    assert line == "1000268201_693b08cb0e_0.wav 1000268201_693b08cb0e.jpg #0"
    assert (tmp_path / "again/Flickr8k_text/Flickr_8k.devImages.txt").read_text() == "1002674143_1b742ab4b8.jpg\n"
    times = (tmp_path / "again/flickr_audio/flickr_8k.ctm").read_text()
    assert times.startswith("1000268201_693b08cb0e.jpg_#0 1 0.010000 0.010000 A\n")


def other_corpus(folder: Path, **change: Any) -> Corpus:
    """Nothing like Flickr8k: names of its own, FLAC, 48 kHz, pictures as rows, texts without recordings."""
    words = [{"word": "ìgbà", "start": 0.0123456, "end": 0.1}, {"word": "méjì", "start": 0.1, "end": 0.15}]
    rows = [
        {"id": "scene 1", "group": "scene 1", "split": "train", "image": {"path": None, "bytes": picture(1, "PNG")}},
        {"id": "scene 1-0", "group": "scene 1", "split": "train", "text": "two  spaces", "language": "yo",
         "audio": {"path": None, "bytes": sound(1, kind="FLAC")}, "speaker": "Ọlá", "words": words},
        {"id": "scene 1-1", "group": "scene 1", "split": "train", "text": "no recording", "language": "en"},
        {"id": "alone", "group": "scene/1", "split": "dev", "image": {"path": None, "bytes": picture(2, "PNG")}},
        {"id": "wide", "group": "SCENE-1", "split": "a split", "audio": {"path": None, "bytes": sound(2, rate=48000)},
         "language": "en", "speaker": "7", "image": {"path": None, "bytes": picture(3)}},
        {"id": "unsplit", "group": "g", "text": "said", "audio": {"path": None, "bytes": sound(3)}},
    ]  # fmt: skip
    for row in rows:
        row |= change.get(str(row["id"]).replace(" ", "_").replace("-", "_"), {})
    return read_store(write_corpus(rows, folder, {"name": "other"}))


def test_another_corpus_keeps_what_the_layout_cannot_say(tmp_path: Path) -> None:
    corpus = other_corpus(tmp_path / "other")
    flickr8k.write_raw(corpus, tmp_path / "raw")
    again = make(tmp_path / "raw", tmp_path / "c")
    alike(corpus, again)
    audio = tmp_path / "raw/flickr_audio"
    assert sorted(p.name for p in (audio / "wavs").iterdir()) == ["SCENE-1-3_0.wav", "g_0.wav", "scene-1_0.wav"]
    speakers = dict(line.split() for line in (audio / "wav2spk.txt").read_text().splitlines())
    assert speakers == {"scene-1_0.wav": "1", "SCENE-1-3_0.wav": "7"}
    flickr8k.write_raw(again, tmp_path / "third")
    alike(corpus, make(tmp_path / "third", tmp_path / "d"))


UNSAYABLE = {
    "two pictures": ({"scene_1_0": {"image": {"path": None, "bytes": picture(8)}}}, "has 2 pictures"),
    "two splits": ({"scene_1_0": {"split": "test"}}, "is in several splits"),
    "word of two": ({"scene_1_0": {"words": [{"word": "a b", "start": 0.0, "end": 0.1}]}}, "the word 'a b'"),
    "nothing": ({"unsplit": {"text": None, "audio": None}}, "no recording, text or picture"),
    "broken sound": ({"unsplit": {"audio": {"path": None, "bytes": b"fLaC but no more"}}}, "cannot be read"),
}


@pytest.mark.parametrize("case", UNSAYABLE)
def test_what_cannot_be_said_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    change, said = UNSAYABLE[case]
    corpus = other_corpus(tmp_path / "other", **change)
    with pytest.raises(UserError, match=said):
        flickr8k.write_raw(corpus, tmp_path / "out" / "raw")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_it_writes_into_new_folders_only(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "letter.txt").write_text("dear diary")
    with pytest.raises(UserError, match="exists and is not empty"):
        flickr8k.write_raw(other_corpus(tmp_path / "other"), tmp_path / "raw")
    silent = Corpus(pa.table({f.name: pa.nulls(1, f.type) for f in SCHEMA}), tmp_path)
    with pytest.raises(UserError, match="no recordings to write"):
        flickr8k.write_raw(silent, tmp_path / "new")


def real_data() -> Path | None:
    for root in (os.environ.get("LOOKHEAR_DATA"), Path(__file__).resolve().parents[4] / "shared" / "data"):
        if root and (Path(root) / "spoken-captions-flickr").is_dir():
            return Path(root) / "spoken-captions-flickr"
    return None


@pytest.mark.shared
@pytest.mark.skipif(real_data() is None, reason="needs shared data: spoken-captions-flickr")
def test_real_captions_come_back_sample_for_sample(tmp_path: Path) -> None:
    source = real_data()
    assert source is not None
    first = prepare(source, tmp_path / "c", layout="manifest", workers=0, progress=False)
    flickr8k.write_raw(first, tmp_path / "raw")
    alike(first, make(tmp_path / "raw", tmp_path / "d"))


LINES = st.lists(
    st.one_of(
        st.binary(max_size=24),
        st.sampled_from([
            b"a_0.wav a.jpg #0", b"a.jpg#0\tA dog .", b"a.jpg_#0 1 0.0 0.1 DOG", b"a.jpg,\"A dog", b"a: 0.1 0.2",
            b"a_0.wav 3", b"a.jpg", b"a_0,text,dog|cat", b"a_0,text,dog=3", b"\xff\xfe", b"a.jpg_#0 1 nan 1e999 <x>",
        ]),
    ),
    max_size=8,
)  # fmt: skip


def lines_in(data: bytes) -> int:
    return sum(bool(line.strip()) for line in data.split(b"\n"))


@settings(max_examples=60, deadline=None)
@given(LINES)
def test_every_line_is_told_of(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("lists") / "Flickr_8k.trainImages.txt"
    data = b"\n".join(line.replace(b"\n", b" ") for line in lines)
    path.write_bytes(data)

    def refused(read: Any) -> tuple[Any, int]:
        problems = Problems()
        return read(problems), problems.refused

    got, lost = refused(lambda p: list(flickr_lists.read_utterances(path, p)))
    assert len(got) + lost == lines_in(data)
    got, lost = refused(lambda p: flickr_lists.captions_csv(path, p))
    header = data.split(b"\n")[0].strip().lower() == b"image,caption"
    assert sum(map(len, got.values())) + lost + header == lines_in(data)
    got, lost = refused(lambda p: flickr_lists.read_ctm(path, p))
    comments = sum(line.startswith(b";;") for line in data.split(b"\n"))
    assert sum(t.count("\n") for t in got.values()) + lost + comments >= lines_in(data)
    for each in got.values():
        assert all(len(word) == 3 for word in flickr_lists.words_of(each))
    got, lost = refused(lambda p: flickr_lists.captions_token(path, p))
    assert sum(map(len, got.values())) <= lines_in(data) - lost
    got, lost = refused(lambda p: flickr_lists.read_speakers(path, p))
    assert len(got) <= lines_in(data) - lost
    for counts in (False, True):
        got, lost = refused(lambda p, c=counts: flickr_lists.read_labels(path, c, p))
        assert len(got) <= lines_in(data) - lost
    got, lost = refused(lambda p: flickr_lists.index_tags(path, p))
    assert all(isinstance(flickr_lists.read_tags(path, at, 2, Problems()), list | None) for at in got.values())
    got, lost = refused(lambda p: flickr_lists.read_splits([path], p))
    assert bool(got) == bool(lines_in(data) - lost)


@settings(max_examples=25, deadline=None)
@given(LINES, st.sampled_from(["wav2capt.txt", "wav2spk.txt", "Flickr8k.token.txt", "flickr_8k.ctm", "lookhear.jsonl"]))
def test_a_corpus_with_a_broken_list_is_read_on(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], name: str
) -> None:
    raw = tmp_path_factory.mktemp("broken")
    (raw / "wavs").mkdir()
    (raw / "wavs" / "b_0.wav").write_bytes(sound(0))
    (raw / "wav2capt.txt").write_text("b_0.wav b.jpg #0\n")
    with (raw / name).open("ab") as file:
        file.write(b"\n".join(line.replace(b"\n", b" ") for line in lines))
    items = items_of(raw)
    assert "b_0" in [i.id for i in items]


@settings(max_examples=25, deadline=None)
@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just("a.jpg")),
    lambda c: st.one_of(
        st.lists(c, max_size=3),
        st.dictionaries(st.sampled_from(["images", "filename", "sentences", "raw", "split"]), c, max_size=4),
    ),
    max_leaves=12,
))  # fmt: skip
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "dataset.json"
    path.write_text(json.dumps({"images": value}))
    try:
        images = flickr_lists.load_karpathy(path)
    except UserError:
        assert not isinstance(value, list)
        return
    problems = Problems()
    texts = flickr_lists.captions_karpathy(images, path, problems)
    flickr_lists.split_of_karpathy(images)
    whole = [
        i
        for i in images
        if isinstance(i, dict) and isinstance(i.get("sentences"), list) and isinstance(i.get("filename"), str)
    ]
    entries = len(images) - len(whole) + sum(len(i["sentences"]) for i in whole)
    found = sum(map(len, texts.values())) + problems.refused
    assert found <= entries  # a picture that comes again with the same text is told of once
    if len({flickr_lists.stem_of(i["filename"]) for i in whole}) == len(whole):
        assert found == entries
