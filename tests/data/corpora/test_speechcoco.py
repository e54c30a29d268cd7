"""SPEECH-COCO: read whole from databases and from JSON files, damage named, and written so that it reads the same."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from raw_speechcoco import TEXTS, database, entries, picture, sound, timecode, write_raw_speechcoco

from lookhear.data.corpora.speechcoco import open_raw, recognises, word_times, write_raw
from lookhear.data.items import Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.schema import Corpus
from lookhear.data.store import read_store, write_corpus
from lookhear.errors import UserError


def make(raw: Path, out: Path, **how: Any) -> Corpus:
    return prepare(raw, out, layout="speechcoco", **{"workers": 0, "progress": False, **how})


def problems(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


def rows(corpus: Corpus) -> list[dict[str, Any]]:
    """Rows by id, with the sound as samples and the picture's bytes."""
    table = corpus.table.to_pylist()
    shown: dict[Any, bytes] = {}
    for k, row in enumerate(table):
        if row["image"] is not None:
            shown[row["image_hash"]] = corpus.media("image", k)
    for k, row in enumerate(table):
        wave, rate = sf.read(io.BytesIO(corpus.media("audio", k)), dtype="int16")
        row["audio"], row["image"] = (rate, wave.tolist()), shown.get(row["image_hash"])
    return sorted(table, key=lambda r: str(r["id"]))


@pytest.mark.parametrize("lists", ["database", "json", "both"])
def test_it_holds_what_the_corpus_says(tmp_path: Path, lists: str) -> None:
    raw = write_raw_speechcoco(tmp_path / "raw", lists)
    assert recognises(raw)
    made = make(raw, tmp_path / "c")
    told = [dict(e, split=split) for split in ("train", "val") for e in entries(split)]
    told.sort(key=lambda e: (e["split"], e["imgID"], e["captionID"]))
    assert made.column("id") == [e["wavFilename"].removesuffix(".wav") for e in told]
    assert made.column("group") == [f"COCO_{e['split']}2014_{e['imgID']:012d}" for e in told]
    assert made.column("split") == [e["split"] for e in told]
    assert made.column("text") == [e["synthesisedCaption"] for e in told]
    assert made.column("speaker") == [e["speaker"] for e in told]
    assert made.column("speed") == [e["speed"] for e in told]
    assert made.column("disfluency") == [None if e["disfluency"][0] == "None" else "Beginning" for e in told]
    assert made.column("disfluency_word") == [None if e["disfluency"][0] == "None" else "um" for e in told]
    assert set(zip(made.column("speaker"), made.column("gender"), made.column("nationality"))) == {
        ("Bruce", "Male", "US"),
        ("Judith", "Female", "UK"),
        ("Phil", "Male", "US"),
    }
    for k, e in enumerate(told):
        assert made.media("audio", k) == sound(e["captionID"])
    assert len(made.pictures) == 4
    for k in made.pictures:
        assert made.media("image", int(k)) == picture(told[k]["imgID"])
    (first,) = [w for w, t in zip(made.column("words"), made.column("text")) if t == TEXTS[0]][:1]
    assert [(w["word"], w["start"], w["end"]) for w in first] == [
        ("A", pytest.approx(0.01025), pytest.approx(0.06025)),
        ("white", pytest.approx(0.06025), pytest.approx(0.11025)),
        ("sink", pytest.approx(0.11025), pytest.approx(0.16025)),
    ]
    assert problems(tmp_path / "c") == []


@pytest.mark.parametrize(
    ("events", "words"),
    [
        # The published example of the corpus.
        (
            [
                [1926.3068, "SYL", ""],
                [1926.3068, "SEPR", " "],
                [1926.3068, "WORD", "white"],
                [1926.3068, "PHO", "w"],
                [2050.7955, "PHO", "ai"],
                [2144.6591, "PHO", "t"],
                [2179.3182, "SYL", ""],
                [2179.3182, "SEPR", " "],
            ],
            [("white", 1.9263068, 2.1793182)],
        ),
        # A pause: its phone closes the word.
        (
            [
                [0, "SYL", ""],
                [0, "WORD", "a"],
                [0, "PHO", "@"],
                [80, "PHO", "_"],
                [200, "SIL", ""],
                [200, "SYL", ""],
                [200, "WORD", "b"],
                [200, "PHO", "b"],
            ],
            [("a", 0.0, 0.08), ("b", 0.2, 0.5)],
        ),
        # Two syllables in a word; a comma without length; a closing mark instead of the recording's end.
        (
            [
                [0, "SYL", ""],
                [0, "WORD", "water"],
                [0, "PHO", "w"],
                [90, "SYL", ""],
                [90, "PHO", "t"],
                [150, "SYL", ""],
                [150, "WORD", ","],
                [150, "WORD", "so"],
                [150, "PHO", "s"],
                [300, "SYL", ""],
            ],
            [("water", 0.0, 0.15), ("so", 0.15, 0.3)],
        ),
        ([], []),
        (None, None),
    ],
    ids=["published", "pause", "syllables", "empty", "none"],
)
def test_words_of_time_codes(events: Any, words: Any) -> None:
    found = word_times(events, 0.5)
    assert found == (words and [(w, pytest.approx(s), pytest.approx(e)) for w, s, e in words]) or found == words
    assert word_times(None if events is None else json.dumps(events), 0.5) == found


@pytest.mark.parametrize(
    "wrong",
    ["[[1, 2]]", "{}", "[", '[[1e400, "WORD", "a"]]', '[["0", "WORD", "a"]]', '[[NaN, "WORD", "a"]]', "[" * 100_000],
    ids=["short", "object", "cut", "infinite", "text", "nan", "deep"],
)
def test_time_codes_that_are_none_lose_the_words_alone(tmp_path: Path, wrong: str) -> None:
    raw = write_raw_speechcoco(tmp_path / "raw", "database")
    with sqlite3.connect(raw / "val_2014.sqlite3") as db:
        db.execute("UPDATE captions SET timecode = ? WHERE captionID = 2003", (wrong,))
    db.close()
    made = make(raw, tmp_path / "c")
    assert len(made) == 12
    (problem,) = problems(tmp_path / "c")
    assert "time codes" in problem["what"]
    assert (problem["done"], problem["id"]) == ("repaired", "201_2003_Bruce_None_0-9")
    assert made.table.filter(pa_equal(made, problem["id"]))["words"].to_pylist() == [None]


def pa_equal(made: Corpus, name: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(made.table["id"], name)


def harm_database(raw: Path, sql: str, *values: Any) -> None:
    with sqlite3.connect(raw / "val_2014.sqlite3") as db:
        db.execute(sql, values)
    db.close()


HARMS = {
    "no such file": (
        lambda raw: next((raw / "val2014" / "wav").glob("201_2003_*")).unlink(),
        "no such file",
    ),
    "climbs": (
        lambda raw: harm_database(raw, "UPDATE captions SET wavFilename = '../../x.wav' WHERE captionID = 2003"),
        "climbs out",
    ),
    "absolute": (
        lambda raw: harm_database(raw, "UPDATE captions SET wavFilename = '/etc/x.wav' WHERE captionID = 2003"),
        "climbs out",
    ),
    "zero byte": (
        lambda raw: harm_database(raw, "UPDATE captions SET wavFilename = ? WHERE captionID = 2003", "a\0.wav"),
        "is no path",
    ),
    "not UTF-8": (
        lambda raw: harm_database(raw, "UPDATE captions SET text = CAST(X'41FF' AS TEXT) WHERE captionID = 2003"),
        "caption 2003 cannot be read",
    ),
    "no picture": (
        lambda raw: harm_database(raw, "UPDATE captions SET imageID = 'x' WHERE captionID = 2003"),
        "no number of a picture",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_caption_that_is_wrong_is_refused_and_told_of(tmp_path: Path, harm: str) -> None:
    spoil, said = HARMS[harm]
    raw = write_raw_speechcoco(tmp_path / "raw", "database")
    spoil(raw)
    made = make(raw, tmp_path / "c")
    assert len(made) == 11
    assert not any("_2003_" in i for i in made.column("id"))
    told = problems(tmp_path / "c")
    assert said in told[0]["what"]
    assert told[0]["file"] == str(raw / "val_2014.sqlite3")
    assert told[0]["fix"]
    assert all("no list names" in p["what"] for p in told[1:])  # the recording that is left over


def test_stray_files_and_damaged_json_are_told_of(tmp_path: Path) -> None:
    raw = write_raw_speechcoco(tmp_path / "raw", "json")
    folder = raw / "train2014"
    (folder / "json" / "Thumbs.db").write_bytes(b"\0")
    (folder / "wav" / "7_8_Bruce_None_1-0.wav").write_bytes(sound(3))
    first, second, third = sorted((folder / "json").glob("1*.json"))[:3]
    first.write_text(first.read_text()[:40])
    second.write_bytes(second.read_text().replace("Bruce", "Br\u00fcce").encode("latin-1") + b"\xff")
    third.write_text("[1]")
    made = make(raw, tmp_path / "c")
    assert len(made) == 9
    told = {Path(p["file"]).name: p["what"] for p in problems(tmp_path / "c")}
    assert set(told) == {"Thumbs.db", "wav", first.name, second.name, third.name}
    assert "1 files that no list names (the first: '7_8_Bruce_None_1-0.wav')" in told["wav"]
    assert "not UTF-8" in told[second.name]


def test_a_damaged_database_is_named_with_its_mend(tmp_path: Path) -> None:
    raw = write_raw_speechcoco(tmp_path / "raw")
    path = raw / "train2014" / "train_2014.sqlite3"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4096])
    with pytest.raises(UserError, match=r"train_2014\.sqlite3: cut off, \d+ of \d+ bytes.*lists=json"):
        open_raw(raw, {})
    assert len(make(raw, tmp_path / "c", options={"lists": "json"})) == 12
    for data in (
        b"",
        b"not a database at all" * 99,
        whole[:100] + b"\x99" * (len(whole) - 100),
        whole.replace(b"disfluencyVal", b"disfluency\xffal"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"train_2014\.sqlite3: .*lists=json"):
            open_raw(raw, {})


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without pictures; tests put whole lists back."""
    return write_raw_speechcoco(tmp_path_factory.mktemp("bare") / "raw", images="")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20479), st.binary(min_size=1, max_size=200), st.booleans())
def test_a_broken_database_never_ends_in_a_traceback(bare: Path, place: int, junk: bytes, cut: bool) -> None:
    raw, path = bare, bare / "train2014" / "train_2014.sqlite3"
    database(path, entries("train"))
    data = path.read_bytes()
    place %= len(data)
    path.write_bytes(data[:place] if cut else data[:place] + junk + data[place + len(junk) :])
    noted = Problems()
    try:
        items = list(open_raw(raw, {}).items(noted))
    except UserError as e:
        fault = e.what
    else:
        fault = "" if len(items) == 12 or noted.refused else "nothing told"
    assert fault == "" or str(path) in fault


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.from_type(type(None))), min_size=1, max_size=6), st.data())
def test_every_json_file_is_an_item_or_a_problem(bare: Path, contents: list[bytes | None], data: Any) -> None:
    whole = {e["wavFilename"].replace(".wav", ".json"): json.dumps(e) for e in entries("train")}
    paths = [bare / "train2014" / "json" / name for name in sorted(whole)]
    for path in paths:
        path.write_text(whole[path.name])
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
    for path, content in zip(paths, contents):
        if content is not None:
            path.write_bytes(content)
            continue
        about = json.loads(path.read_text())
        about[data.draw(st.sampled_from(sorted(about)))] = data.draw(values)
        path.write_text(json.dumps(about))
    noted = Problems()
    items = [i.id for i in open_raw(bare, {"lists": "json"}).items(noted)]
    assert len(items) + noted.refused >= 12
    assert len(items) >= 12 - len(contents)


def test_pictures_are_looked_for_beside_and_where_they_are_named(tmp_path: Path) -> None:
    raw = write_raw_speechcoco(tmp_path / "a" / "raw", images="../coco")
    assert len(make(raw, tmp_path / "c").pictures) == 4
    raw = write_raw_speechcoco(tmp_path / "b" / "raw", images="")
    (tmp_path / "a" / "coco").rename(tmp_path / "elsewhere")
    made = make(raw, tmp_path / "d")
    assert (len(made), len(made.pictures)) == (12, 0)
    assert [p["done"] for p in problems(tmp_path / "d")] == ["repaired", "repaired"]
    assert "images=FOLDER" in problems(tmp_path / "d")[0]["fix"]
    named = {"images": str(tmp_path / "elsewhere")}
    assert len(make(raw, tmp_path / "e", options=named).pictures) == 4
    next((tmp_path / "elsewhere").rglob("*0000100.jpg")).unlink()
    made = make(raw, tmp_path / "f", options=named)
    assert len(made) == 9
    assert all("no such file" in p["what"] for p in problems(tmp_path / "f"))
    with pytest.raises(UserError, match="no pictures COCO_train2014"):
        open_raw(raw, {"images": str(tmp_path / "c")})


@pytest.mark.parametrize(
    ("options", "said"),
    [({"image": "x"}, "did you mean 'images'"), ({"lists": "csv"}, "database or json")],
    ids=["unknown", "value"],
)
def test_wrong_options_are_errors(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_raw(write_raw_speechcoco(tmp_path / "raw"), options)


def test_no_lists_is_an_error(tmp_path: Path) -> None:
    raw = write_raw_speechcoco(tmp_path / "raw", "json")
    with pytest.raises(UserError, match="no database"):
        open_raw(raw, {"lists": "database"})
    with pytest.raises(UserError, match="no folder train2014"):
        open_raw(raw / "train2014", {})
    assert not recognises(raw / "train2014")


def test_written_and_read_again_it_is_the_same(tmp_path: Path) -> None:
    first = make(write_raw_speechcoco(tmp_path / "raw"), tmp_path / "c")
    write_raw(first, tmp_path / "out")
    for lists in ("database", "json"):
        again = make(tmp_path / "out", tmp_path / lists, options={"lists": lists})
        assert again.column("id") == first.column("id")
        assert rows(again) == [close(r) for r in rows(first)]
        assert problems(tmp_path / lists) == []
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.wav")) == sorted(
        p.name for p in (tmp_path / "raw").rglob("*.wav")
    )


def close(row: dict[str, Any]) -> dict[str, Any]:
    """Times to a ten-thousandth of a millisecond."""
    words = row["words"] and [
        {"word": w["word"], **{k: pytest.approx(w[k], abs=1e-7) for k in ("start", "end")}} for w in row["words"]
    ]
    return {**row, "words": words}


def other_corpus(folder: Path) -> Corpus:
    """Ids, groups, splits and speakers of another form; FLAC and WAV, PNG and JPEG; pictures once in each group."""
    made = []
    for k in range(6):
        wave = np.random.default_rng(k).integers(-9000, 9000, 3200 + k).astype(np.int16)
        buffer = io.BytesIO()
        sf.write(buffer, wave, 16000 if k else 8000, format="FLAC" if k % 2 else "WAV", subtype="PCM_16")
        image = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), 40 * (k // 2), np.uint8)).save(image, "PNG" if k < 3 else "JPEG")
        row = {
            "id": f"ü/{k} a",
            "group": f"scene_{k // 2}",
            "split": ("train", "test", "train")[k // 2],
            "audio": {"path": None, "bytes": buffer.getvalue()},
            "image": {"path": f"scene_{k // 2}", "bytes": image.getvalue()} if k % 2 == 0 and k < 4 else None,
            "text": None if k == 5 else f"a \U0001f415 {k}",
            "language": "lt" if k else None,
            "speaker": None if k == 1 else "anna_b/c",
            "words": None if k == 4 else [{"word": "a", "start": 0.0123456, "end": 0.05}] * (k % 2),
        }
        made.append(row)
    return read_store(write_corpus(made, folder, {"name": "other"}))


def test_any_other_corpus_is_numbered_and_comes_back(tmp_path: Path) -> None:
    first = other_corpus(tmp_path / "c")
    write_raw(first, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"train2014", "test2014", "images"}
    for lists in ("database", "json"):
        again = make(tmp_path / "out", tmp_path / lists, options={"lists": lists})
        old = {r["id"]: (k, r) for k, r in enumerate(first.table.to_pylist())}
        assert set(again.column("id")) == set(old)
        shown = {r["group"]: k for k, r in enumerate(again.table.to_pylist()) if r["image"] is not None}
        assert set(shown) == {"scene_0", "scene_1"}
        for k, row in enumerate(again.table.to_pylist()):
            j, was = old[row["id"]]
            for name in ("group", "split", "text", "language", "speaker"):
                assert row[name] == was[name], name
            assert row["words"] == close(was)["words"]
            new, rate = sf.read(io.BytesIO(again.media("audio", k)), dtype="int16")
            told, same = sf.read(io.BytesIO(first.media("audio", j)), dtype="int16")
            assert rate == same
            assert np.array_equal(new, told)
            if was["image"] is not None:
                assert again.media("image", shown[was["group"]]) == first.media("image", j)


def test_what_the_layout_cannot_say_is_refused_and_nothing_left(tmp_path: Path) -> None:
    made = make(write_raw_speechcoco(tmp_path / "raw"), tmp_path / "c")
    table = made.table.to_pylist()
    for change, said in (({"split": None}, "split None"), ({"split": "../x"}, "split")):
        spoiled = [{k: v for k, v in r.items() if k in COLUMNS} for r in table]
        spoiled[3] = {**spoiled[3], **change}
        name = f"bad{len(list(tmp_path.iterdir()))}"
        wrong = read_store(write_corpus(spoiled, tmp_path / name, {"name": "bad"}))
        with pytest.raises(UserError, match=said):
            write_raw(wrong, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_raw(made, tmp_path / "full")


COLUMNS = {"id", "group", "split", "audio", "image", "text", "language", "speaker", "words"}


def test_a_word_keeps_its_times_without_a_gap_or_with_one() -> None:
    assert word_times(timecode("a b"), 1.0) == [
        ("a", pytest.approx(0.01025), pytest.approx(0.06025)),
        ("b", pytest.approx(0.06025), pytest.approx(0.11025)),
    ]
