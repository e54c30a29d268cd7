"""Places Audio Captions: read from its own files, whatever is wrong with them, and written as such."""

from __future__ import annotations

import io
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import raw_places
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_places import picture, problems, sound

from lookhear.data.corpora import layout_of
from lookhear.data.corpora.places import open_raw, recognises, write_raw
from lookhear.data.items import Item, Problems
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.data.store import read_store
from lookhear.errors import UserError

SPLITS_2020 = {"train": 5, "dev_seen": 2, "dev_unseen": 3, "test_seen": 1, "test_unseen": 2}


make = partial(raw_places.make, "places")


def items(source: Path, noted: Problems | None = None, **options: str) -> list[Item]:
    return list(open_raw(source, options).items(noted or Problems()))


def rewrite(path: Path, change: Any) -> None:
    value = json.loads(path.read_text("utf-8"))
    change(value["data"])
    path.write_text(json.dumps(value))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    raw_places.write(tmp_path / "raw" / "places", {"train": 7, "val": 3})
    return tmp_path / "raw" / "places"


@pytest.mark.parametrize("year", ["", "_2020"])
def test_it_is_read_whole(tmp_path: Path, year: str) -> None:
    sizes = SPLITS_2020 if year else {"train": 7, "val": 3}
    folder = tmp_path / "places"
    told = raw_places.write(folder, sizes, year, images="places/images256")
    assert recognises(folder)
    made = make(folder, tmp_path / "c", layout="")
    assert made.meta["prepared"]["layout"] == "places"
    assert len(made) == len(told) == sum(sizes.values())
    rows = {row["id"]: row for row in made.table.drop_columns(["audio", "image"]).to_pylist()}
    at = {key: n for n, key in enumerate(made.column("id"))}
    for n, (split, shown) in enumerate(told):
        row = rows[shown["uttid"]]
        assert row["split"] == split
        assert row["group"] == shown["image"]
        assert row["text"] == shown.get("asr_text")
        assert row["speaker"] == str(shown["speaker"])
        assert row["language"] == "en"
        if "text_alignment" in shown:
            assert row["words"] == [
                {"word": "a", "start": 0.01, "end": 0.05},
                {"word": "picture", "start": 0.05, "end": 0.125},
            ]
        else:
            assert row["words"] is None
        assert made.media("audio", at[shown["uttid"]]) == sound(n)
    noted = problems(tmp_path / "c")
    assert {p["id"] for p in noted} == {shown["uttid"] for _, shown in told if "text_alignment" in shown}
    assert all(p["done"] == "repaired" and "2 tokens" in p["what"] and p["line"] == 1 for p in noted)
    if year:
        assert dict.fromkeys(made.column("split")) == dict.fromkeys(SPLITS_2020)


def test_captions_of_one_picture_stand_together(raw: Path, tmp_path: Path) -> None:
    made = make(raw, tmp_path / "c")
    groups = made.column("group")
    runs = [g for n, g in enumerate(groups) if not n or groups[n - 1] != g]
    assert len(runs) == len(set(groups)) == 7
    assert made.column("id")[:3] == [f"A1CZ0SLA4DXHP9-GSUN_{n:04d}" for n in (0, 2, 1)]
    for row in made.pictures:
        assert made.media("image", int(row)) == picture(int(groups[row][-8:-4]))
    assert made.media("image", 0) != made.media("image", 2)


def test_the_lists_of_2020_go_before_those_of_2016(raw: Path, tmp_path: Path) -> None:
    raw_places.write(raw, {"train": 3, "test_seen": 2}, "_2020", first=4)
    assert [i.split for i in items(raw)] == ["train"] * 3 + ["test_seen"] * 2
    assert [i.split for i in items(raw, lists="2016")] == ["train"] * 7 + ["val"] * 3
    with pytest.raises(UserError, match="did you mean '2016'"):
        open_raw(raw, {"lists": "206"})
    (only,) = {i.split for i in items(raw / "metadata" / "test_seen_2020.json")}
    assert only == "test_seen"


def test_a_list_with_alignments_stands_in(raw: Path) -> None:
    path = raw / "metadata" / "val.json"
    value = json.loads(path.read_text("utf-8"))
    for entry in value["data"]:
        entry["text_alignment"] = "0.0__x__0.1"
    (raw / "metadata" / "val_with_alignments.json").write_text(json.dumps(value))
    assert [(i.split, i.words) for i in items(raw)][7:] == [("val", [("x", 0.0, 0.1)])] * 3


def test_folders_are_found_or_named(raw: Path, tmp_path: Path) -> None:
    base = raw.parent / "images256"
    assert {i.image.path.parent for i in items(raw)} == {base / "a" / "abbey"}  # type: ignore[union-attr]
    base.rename(tmp_path / "photographs")
    with pytest.raises(UserError, match=r"pictures are \(such as 'a/abbey/gsun_0000.jpg'\).*images=FOLDER"):
        open_raw(raw, {})
    named = items(raw, images=str(tmp_path / "photographs"))
    assert len(named) == 10
    assert named[0].image is not None
    assert named[0].image.name == "a/abbey/gsun_0000.jpg"
    assert {i.image for i in items(raw, images="none")} == {None}
    with pytest.raises(UserError, match="no such folder"):
        open_raw(raw, {"images": "photos"})
    with pytest.raises(UserError, match="did you mean 'images'"):
        open_raw(raw, {"image": "photos"})
    (raw / "wavs").rename(raw / "sounds")
    with pytest.raises(UserError, match=r"recordings are .*audio=FOLDER"):
        open_raw(raw, {"images": "none"})
    assert len(items(raw, images="none", audio="sounds")) == 10


def test_hindi_recordings_by_another_folder_or_key(raw: Path) -> None:
    shutil.copytree(raw / "wavs", raw / "hindi" / "wavs")
    (raw / "hindi" / "wavs" / "0" / "utterance_4.wav").unlink()
    noted = Problems()
    found = items(raw, noted, audio="hindi", language="hi")
    assert len(found) == 9
    assert noted.refused == 1
    assert all(i.language == "hi" and "hindi" in i.audio.path.parts for i in found)  # type: ignore[union-attr]

    (raw / "hindi_wavs").mkdir()
    shutil.copy(raw / "wavs" / "1" / "utterance_1.wav", raw / "hindi_wavs" / "x.wav")
    rewrite(raw / "metadata" / "train.json", lambda data: data[1].update(hindi_wav="hindi_wavs/x.wav", hindi="एक"))
    noted = Problems()
    (one,) = items(raw, noted, wav="hindi_wav")
    assert (one.id, one.text, one.language) == ("A1CZ0SLA4DXHP9-GSUN_0001", None, None)
    assert noted.refused == 9
    (one,) = items(raw, wav="hindi_wav", text="hindi", language="hi")
    assert (one.text, one.language) == ("एक", "hi")


BROKEN = {
    "missing wav": (lambda d: d[3].update(wav="wavs/0/nothing.wav"), "no such file"),
    "missing image": (lambda d: d[3].update(image="a/abbey/nothing.jpg"), "no such file"),
    "climbing wav": (lambda d: d[3].update(wav="../../../etc/passwd"), "climbs out"),
    "absolute image": (lambda d: d[3].update(image="/etc/passwd"), "climbs out"),
    "nul": (lambda d: d[3].update(wav="a\0b"), "is no path"),
    "long": (lambda d: d[3].update(wav="a" * 5000), "entry 4"),
    "no uttid": (lambda d: d[3].pop("uttid"), "no 'uttid'"),
    "no wav": (lambda d: d[3].update(wav=""), "no 'wav'"),
    "no image": (lambda d: d[3].pop("image"), "no 'image'"),
    "type": (lambda d: d[3].update(asr_text=["a"]), "'asr_text' is no text"),
    "truth": (lambda d: d[3].update(speaker=True), "'speaker' is no text"),
    "not an object": (lambda d: d.__setitem__(3, 5), "entry 4: not a JSON object"),
    "surrogate": (lambda d: d[3].update(asr_text="\ud800"), "not UTF-8"),
    "own": (lambda d: d[3].update(lookhear=4), "'lookhear' is not"),
}


@pytest.mark.parametrize("harm", BROKEN)
def test_an_entry_that_is_wrong_is_refused_and_told_of(raw: Path, tmp_path: Path, harm: str) -> None:
    spoil, said = BROKEN[harm]
    whole = [i.id for i in items(raw)]
    rewrite(raw / "metadata" / "train.json", spoil)
    made = make(raw, tmp_path / "c")
    assert sorted(made.column("id")) == sorted(key for key in whole if not key.endswith("_0003"))
    (problem,) = [p for p in problems(tmp_path / "c") if p["done"] == "refused"]
    assert said in problem["what"]
    assert "entry 4" in problem["what"]
    assert (problem["file"], problem["line"]) == (str(raw / "metadata" / "train.json"), 1)
    assert problem["fix"]
    with pytest.raises(UserError):
        make(raw, tmp_path / "strict", strict=True)


def test_a_truncated_list_gives_what_it_holds(raw: Path, tmp_path: Path) -> None:
    path = raw / "metadata" / "train.json"
    text = path.read_bytes()
    path.write_bytes(text[: text.index(b"GSUN_0004")])
    made = make(raw, tmp_path / "c")
    assert len(made) == 4 + 3
    (problem,) = [p for p in problems(tmp_path / "c") if p["done"] == "refused"]
    assert "entry 5: not JSON" in problem["what"]
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"train.json, line 1: not a JSON object"):
        open_raw(raw, {})


def test_what_is_something_else_is_not_claimed(tmp_path: Path, raw: Path) -> None:
    assert recognises(raw / "metadata" / "val.json")
    assert layout_of(raw / "metadata" / "val.json") == "places"
    (tmp_path / "other" / "metadata").mkdir(parents=True)
    (tmp_path / "other" / "metadata" / "train.json").write_text('{"data": []}')
    assert not recognises(tmp_path / "other")
    assert not recognises(tmp_path)
    with pytest.raises(UserError, match="no lists of Places Audio of 2020"):
        open_raw(raw, {"lists": "2020"})


def flac(seed: int, rate: int = 16000) -> bytes:
    buffer = io.BytesIO()
    wave = np.random.default_rng(seed).integers(-9000, 9000, (1600, 2)).astype(np.int16)
    sf.write(buffer, wave, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def samples(data: bytes) -> Any:
    wave, rate = sf.read(io.BytesIO(data), dtype="int16", always_2d=True)
    return rate, wave.tolist()


def any_corpus(tmp_path: Path, **change: Any) -> Corpus:
    """Of a general kind: groups that are no names, pictures in a group's first row only, FLAC, times of all digits."""
    media = {"path": "sub/a b.png", "bytes": picture(1)}
    rows: list[dict[str, Any]] = [
        {"id": "ü/1", "group": "seven", "split": "train", "image": media, "speaker": "Ann", "text": "one\nü"},
        {"id": "..", "group": "seven", "split": "train", "words": [{"word": "a", "start": 1 / 30, "end": 0.1}]},
        {"id": "c", "group": "eight", "split": "test", "image": {"path": "../x.png", "bytes": picture(2)}, "words": []},
        {"id": "d", "group": "seven", "image": {"path": None, "bytes": picture(3)}, "language": "yo"},
        {"id": "e", "group": "seven", "split": "val", "text": "a word"},
        {"id": "f" * 300, "group": "eight", "split": "test", "image": {"path": "sub/A B.png", "bytes": picture(4)}},
    ]
    for n, row in enumerate(rows):
        row["audio"] = {"path": f"{n}.flac", "bytes": flac(n, 8000 if n == 3 else 16000)}
    rows[0].update(change)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    return Corpus(table, tmp_path, "any")


SAME = ("group", "split", "text", "speaker", "language", "words")


def assert_same(made: Corpus, meant: Corpus, shown: dict[str, bytes]) -> None:
    """``shown``: id → the bytes of its picture."""
    at = {key: n for n, key in enumerate(made.column("id"))}
    assert sorted(at) == sorted(meant.column("id"))
    for name in SAME:
        got, want = made.column(name), meant.column(name)
        for n, key in enumerate(meant.column("id")):
            assert got[at[key]] == want[n], (key, name)
    last = None
    for key, n in at.items():
        last = made.media("image", n) if made.column("image")[n] is not None else last
        assert last == shown[key], key
    for n, key in enumerate(meant.column("id")):
        told = meant.media("audio", n)
        assert samples(made.media("audio", at[key])) == samples(told if isinstance(told, bytes) else told.read_bytes())


PICTURE_OF = {"ü/1": 1, "..": 1, "c": 2, "d": 3, "e": 3, "f" * 300: 4}


def test_any_corpus_comes_back_the_same(tmp_path: Path) -> None:
    meant = any_corpus(tmp_path)
    write_raw(meant, tmp_path / "raw")
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == ["images", "metadata", "wavs"]
    made = make(tmp_path / "raw", tmp_path / "c", layout="")
    assert made.meta["problems"] == {"refused": 0, "repaired": 0}
    assert made.meta["prepared"]["layout"] == "places"
    assert_same(made, meant, {key: picture(n) for key, n in PICTURE_OF.items()})
    value = json.loads((tmp_path / "raw" / "metadata" / "train.json").read_text())
    assert Path(value["audio_base_path"], value["data"][0]["wav"]).is_file()
    assert Path(value["image_base_path"], value["data"][0]["image"]).read_bytes() == picture(1)
    assert value["data"][0]["image"] == "sub/a b.png"


@pytest.mark.parametrize("inside", [True, False])
def test_places_comes_back_as_it_was(tmp_path: Path, inside: bool) -> None:
    folder = tmp_path / "places"
    told = raw_places.write(folder, SPLITS_2020, "_2020", images="places/images256")
    meant = make(folder, tmp_path / "c", inside=inside)
    write_raw(meant, tmp_path / "again")
    made = make(tmp_path / "again", tmp_path / "d")
    shown = {e["uttid"]: (folder / "images256" / e["image"]).read_bytes() for _, e in told}
    assert_same(made, meant, shown)
    assert made.column("id") == meant.column("id")
    data = json.loads((tmp_path / "again" / "metadata" / "dev_seen_2020.json").read_text())["data"]
    assert [set(e) - {"text_alignment"} for e in data] == [{"uttid", "speaker", "asr_text", "wav", "image"}] * 2
    assert {e["image"] for e in data} <= {e["image"] for _, e in told}


REFUSED = {
    "no picture": ({"group": "nine", "image": None}, "no picture in their group"),
    "twice": ({"id": "c"}, "twice"),
    "split": ({"split": "a/b"}, "split 'a/b'"),
    "year": ({"split": "train_2020"}, "split 'train_2020'"),
    "all": ({"split": "all"}, "split 'all'"),
    "word": ({"words": [{"word": "two words", "start": 0.0, "end": 0.1}]}, "'two words' cannot stand"),
    "sound": ({"audio": {"path": None, "bytes": b"RIFF"}}, "not a readable recording"),
    "image": ({"image": {"path": None, "bytes": b"RIFF"}}, "not a picture"),
}


@pytest.mark.parametrize("harm", REFUSED)
def test_what_it_cannot_say_is_refused_and_nothing_is_left(tmp_path: Path, harm: str) -> None:
    change, said = REFUSED[harm]
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=said):
        write_raw(any_corpus(tmp_path, **change), tmp_path / "out" / "raw")
    assert list((tmp_path / "out").iterdir()) == []


def test_it_writes_into_new_folders_only(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "letter.txt").write_text("dear diary")
    with pytest.raises(UserError, match="exists and is not empty"):
        write_raw(any_corpus(tmp_path), tmp_path / "raw")
    with pytest.raises(UserError, match="has no recording"):
        write_raw(Corpus(SCHEMA.empty_table(), tmp_path), tmp_path / "d")


value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda some: st.one_of(st.lists(some, max_size=3), st.dictionaries(st.text(max_size=4), some, max_size=3)),
    max_leaves=4,
)
harmed = st.dictionaries(
    st.sampled_from(["uttid", "speaker", "asr_text", "wav", "image", "text_alignment", "lookhear"]), value, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(harmed, value), max_size=5))
def test_every_entry_is_an_item_or_a_problem(tmp_path_factory: pytest.TempPathFactory, harms: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("harmed") / "places"
    raw_places.write(folder, {"val": 1}, images="places/images256")
    good = raw_places.entry(0, 0)
    data = [good, *({**good, "uttid": f"u{n}", **h} if isinstance(h, dict) else h for n, h in enumerate(harms))]
    (folder / "metadata" / "val.json").write_text(json.dumps({"audio_base_path": "/x", "data": data}))
    noted = Problems()
    found = items(folder, noted)
    assert len(found) + noted.refused == len(data)
    assert found[0].id == good["uttid"]
    for item in found:
        assert isinstance(item.id, str)
        assert isinstance(item.group, str | None)
    make(folder, folder.parent / "c")
    assert len(read_store(folder.parent / "c")) >= 1
