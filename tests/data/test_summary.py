"""What a corpus holds, counted: against counts by hand and by plain Python, and shown in any width."""

from __future__ import annotations

import io
import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data import tally
from lookhear.data.read import open_corpus
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.data.summary import CAPTIONS, SECONDS, Histogram, summarise
from lookhear.data.tally import count_words, picture_numbers
from lookhear.data.terminal import bars, table
from lookhear.wording import tokens

EXTRA = [pa.field("seconds", pa.float64()), pa.field("image_hash", pa.binary())]


def corpus(rows: list[dict[str, Any]], extra: list[pa.Field] = EXTRA, **about: Any) -> Corpus:
    """Of rows that leave out what they have not; sounds and pictures are named and do not exist."""
    full = [{"id": f"r{k}", **row} for k, row in enumerate(rows)]
    for row in full:
        for media in ("audio", "image"):
            if isinstance(row.get(media), str):
                row[media] = {"path": row[media], "bytes": None}
    schema = pa.schema([*SCHEMA, *extra])
    half = len(full) // 2  # in two chunks, as from two shards
    parts = [pa.Table.from_pylist(part, schema=schema) for part in (full[:half], full[half:])]
    return Corpus(pa.concat_tables(parts), Path("nowhere"), **{"name": "made up", **about})


def small() -> Corpus:
    """Two pictures, five captions read out by three speakers, in two splits; a third picture without a caption."""
    word = [{"word": "a", "start": 0.0, "end": 0.1}]
    return corpus(
        [
            {"group": "a", "split": "test", "image": "a.jpg", "audio": "1.wav", "text": "A dog's ball", "seconds": 1.0,
             "speaker": "ann", "language": "en", "words": word},
            {"group": "a", "split": "test", "image": "a.jpg", "audio": "2.wav", "text": "a dog, a cat!", "seconds": 2.0,
             "speaker": "bob", "language": "en", "words": []},
            {"group": "b", "split": "train", "image": "b.jpg"},
            {"group": "b", "split": "train", "audio": "3.wav", "text": "el perro", "seconds": 3.0, "speaker": "eve",
             "language": "es", "words": word},
            {"group": "b", "split": "train", "audio": "4.wav", "text": "a well-known dog", "seconds": 5.0,
             "speaker": "ann", "language": "en"},
            {"group": "b", "split": "train", "text": "the dog", "language": "en"},
            {"group": "c", "split": "train", "image": "c.jpg"},
        ],
        meta={"problems": {"refused": 3, "repaired": 0}},
    )  # fmt: skip


def test_numbers_by_hand() -> None:
    told = summarise(small())
    assert [p.name for p in told.splits] == ["train", "test"]
    whole, (train, test) = told.whole, told.splits
    assert [(p.items, p.recordings, p.pictures, p.texts) for p in (whole, train, test)] == [
        (7, 4, 3, 5),
        (5, 2, 2, 3),
        (2, 2, 1, 2),
    ]
    assert [p.speakers for p in (whole, train, test)] == [3, 2, 2]
    assert [p.timed for p in (whole, train, test)] == [2, 1, 1]
    assert whole.languages == {"en": 4, "es": 1}
    assert list(whole.languages) == ["en", "es"]
    assert test.languages == {"en": 2}
    assert whole.lengths is not None
    assert (whole.lengths.mean, whole.lengths.median) == (2.75, 2.5)
    assert (whole.lengths.shortest, whole.lengths.longest, whole.lengths.known) == (1.0, 5.0, 4)
    assert whole.lengths.hours == pytest.approx(11 / 3600)
    assert dict(whole.lengths.histogram.rows()) == {
        "1–1.25": 1, "1.25–1.5": 0, "1.5–2": 0, "2–2.5": 1, "2.5–3": 0, "3–4": 1, "4–5": 0, "5–6": 1
    }  # fmt: skip
    assert whole.captions == pytest.approx(5 / 3)
    assert whole.captions_histogram is not None
    assert whole.captions_histogram.rows() == [("0", 1), ("1", 0), ("2", 1), ("3", 1)]
    assert train.captions == 1.5
    words = Counter(["a"] * 4 + ["dog"] * 3 + ["dog's", "ball", "cat", "el", "perro", "well-known", "the"])
    assert dict(whole.frequent) == words
    assert whole.frequent[:3] == (("a", 4), ("dog", 3), ("ball", 1))
    assert (whole.words, whole.different) == (14, 9)
    assert (test.words, test.different) == (7, 5)
    assert told.lacking == ()
    assert told.problems == {"refused": 3, "repaired": 0}
    assert "3 items were refused and 0 repairs were made" in told.text()


def test_what_is_lacking_is_said_to_be() -> None:
    told = summarise(corpus([{"text": "a dog"}, {"text": "a cat"}]))
    assert told.lacking == ("split", "audio", "speaker", "language", "words", "image")
    assert told.splits == ()
    whole = told.whole
    assert (whole.recordings, whole.speakers, whole.languages, whole.timed, whole.pictures) == (None,) * 5
    assert (whole.lengths, whole.captions, whole.captions_histogram) == (None,) * 3
    rows = dict(told.rows())
    assert [name for name, cells in rows.items() if cells == ["lacking"]] == [
        "recordings", "speakers", "languages", "with word times, %", "pictures"
    ]  # fmt: skip
    assert not [name for name in rows if "length" in name or name == "hours"]
    assert "No item has a value in: split, audio, speaker, language, words, image." in told.text(200)


def test_an_empty_corpus_is_summarised() -> None:
    told = summarise(corpus([]))
    assert told.whole.items == 0
    assert "lacking" in told.text()


def test_items_of_no_split_are_not_lost() -> None:
    told = summarise(corpus([{"split": "dev", "text": "x"}, {"text": "y"}, {"split": "train", "text": "z"}]))
    assert [(p.name, p.items) for p in told.parts] == [("all", 3), ("train", 1), ("dev", 1), ("(no split)", 1)]


ROW = st.fixed_dictionaries(
    {"group": st.sampled_from("abc"), "split": st.sampled_from(["train", "val", None])},
    optional={
        "image": st.sampled_from(["1.png", "2.png", "3.png"]),
        "audio": st.just("x.wav"),
        "text": st.text(alphabet="ab-'’ .\n1éБ", max_size=12),
        "speaker": st.sampled_from("xyz"),
        "seconds": st.one_of(st.none(), st.floats(0.01, 80)),
    },
)


@settings(max_examples=40)
@given(st.lists(ROW, max_size=12))
def test_counts_are_those_of_plain_python(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if "audio" in row and row.get("seconds") is None:
            del row["audio"]  # the headers of files that there are not
    told = summarise(corpus(rows))
    for part in told.parts:
        mine = [r for r in rows if part.name in ("all", r["split"] or "(no split)")]
        assert part.items == len(mine)
        heard = [r["seconds"] for r in mine if "audio" in r]
        assert (part.recordings or 0) == len(heard)
        if heard:
            assert part.lengths is not None
            assert part.lengths.hours == pytest.approx(sum(heard) / 3600)
            assert part.lengths.median == pytest.approx(float(np.median(heard)))
            assert sum(part.lengths.histogram.counts) == len(heard)
        assert (part.speakers or 0) == len({r["speaker"] for r in mine if "speaker" in r})
        assert (part.pictures or 0) == len({r["image"] for r in mine if "image" in r})
        words = Counter(w for r in mine for w in tokens(r.get("text", "")))
        assert dict(part.frequent) == words
        assert (part.words or 0) == sum(words.values())


@settings(max_examples=40)
@given(st.lists(ROW, max_size=12))
def test_a_row_belongs_to_its_own_picture_or_to_the_only_one_of_its_group(rows: list[dict[str, Any]]) -> None:
    numbers = picture_numbers(corpus(rows))
    of_group = {g: {r["image"] for r in rows if r["group"] == g and "image" in r} for g in "abc"}
    said: list[str | None] = []
    for row in rows:
        only = of_group[row["group"]]
        said.append(row.get("image") or (next(iter(only)) if len(only) == 1 else None))
    for i, a in enumerate(said):
        assert (numbers[i] == -1) == (a is None)
        for j, b in enumerate(said):
            if a is not None and b is not None:
                assert (numbers[i] == numbers[j]) == (a == b)
    known = sorted(set(numbers.tolist()) - {-1})
    assert known == list(range(len(known)))


def test_pictures_whose_bytes_are_equal_are_one() -> None:
    # As `prepare` writes them: the bytes lie in the first row, later captions have the hash alone.
    rows = [
        {"group": "a", "image": {"path": "a.png", "bytes": b"1"}, "image_hash": b"h1", "text": "x"},
        {"group": "a", "image_hash": b"h1", "text": "y"},
        {"group": "b", "image": {"path": None, "bytes": b"2"}, "image_hash": b"h2", "text": "z"},
        {"group": "c", "image": {"path": "other.png", "bytes": b"1"}, "image_hash": b"h1", "text": "w"},
    ]
    told = summarise(corpus(rows))
    assert told.whole.pictures == 2
    assert told.whole.captions_histogram is not None
    assert told.whole.captions_histogram.rows() == [("1", 1), ("2", 0), ("3", 1)]
    # Bytes without a hash or a name are a picture each.
    bare = summarise(corpus([{**r, "image_hash": None, "group": str(k)} for k, r in enumerate(rows)]))
    assert bare.whole.pictures == 3


def test_vectors_stand_for_pictures_where_there_are_none() -> None:
    rows = [{"group": g, "vector": [1.0, 2.0], "text": "a b"} for g in "aab"]
    told = summarise(corpus(rows)).whole
    assert (told.pictures, told.vectors, told.captions) == (None, 3, 1.5)
    mixed = summarise(corpus([*rows, {"group": "c", "image": "c.png", "text": "c"}])).whole
    assert (mixed.pictures, mixed.vectors, mixed.captions) == (1, 3, 1.0)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="aBé1-'’_ .,\n", max_size=20), max_size=5))
def test_words_are_those_that_tasks_ask_for(texts: list[str]) -> None:
    column = pa.chunked_array([pa.array(texts, type=pa.string())])
    assert count_words(column, np.ones(len(texts), dtype=bool)) == Counter(w for t in texts for w in tokens(t))


def test_words_in_other_scripts_stay_whole() -> None:
    column = pa.chunked_array([pa.array(["हिन्दी में कुत्ता।", "ΣΊΣΥΦΟΣ, سلام؟", None])])
    words = count_words(column, np.ones(3, dtype=bool))
    assert set(words) >= {"हिन्दी", "में", "कुत्ता", "سلام"}
    assert len(words) == 5


@given(st.lists(st.floats(0, 200), max_size=30))
def test_every_value_is_in_its_bin(values: list[float]) -> None:
    histogram = Histogram.of(np.array(values), SECONDS)
    for low, high, count in zip(SECONDS, SECONDS[1:], histogram.counts):
        assert count == sum(low <= v < high for v in values)
    assert sum(n for _, n in histogram.rows()) == len(values)


def test_bins_are_named() -> None:
    lengths, captions = Histogram.of(np.array([0.1, 120.0]), SECONDS), Histogram.of(np.array([0, 500]), CAPTIONS, True)
    assert [lengths.rows()[k] for k in (0, 1, -1)] == [("0–0.25", 1), ("0.25–0.5", 0), ("120+", 1)]
    assert [captions.label(k) for k in (0, 10, 11, 14)] == ["0", "10", "11–20", "101+"]


def sounds(tmp_path: Path, seconds: list[float]) -> Corpus:
    rows = []
    for k, length in enumerate(seconds):
        sf.write(tmp_path / f"{k}.wav", np.random.default_rng(k).normal(0, 0.1, round(length * 8000)), 8000)
        rows.append(f'{{"id": "u{k}", "audio": "{k}.wav", "split": "test", "seconds": "long"}}\n')
    (tmp_path / "manifest.jsonl").write_text("".join(rows))
    return open_corpus(tmp_path)


def test_lengths_without_a_column_come_from_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sounds(tmp_path, [0.5, 1.0, 1.5, 2.0])  # its column "seconds" holds no numbers
    told = summarise(made)
    assert told.whole.lengths is not None
    assert told.whole.lengths.hours == pytest.approx(5 / 3600)
    assert told.whole.lengths.known == 4
    assert told.notes == ("No column tells the lengths of 4 recordings: the headers of all 4 were read.",)
    monkeypatch.setattr(tally, "HEADERS", 2)
    told = summarise(made)
    assert told.whole.lengths is not None
    assert (told.whole.lengths.known, told.whole.lengths.mean) == (2, 1.25)  # the first and the last
    assert told.whole.lengths.hours == pytest.approx(5 / 3600)
    assert "headers of 2 of 4 were read, evenly spread; hours are estimated" in told.notes[0]
    assert dict(told.rows())["hours"][0].startswith("≈ ")


def test_a_recording_that_cannot_be_opened_is_told_of(tmp_path: Path) -> None:
    made = sounds(tmp_path, [0.5, 1.0, 1.5])
    (tmp_path / "1.wav").write_bytes(b"")
    told = summarise(made)
    assert told.whole.lengths is not None
    assert told.whole.lengths.known == 2
    assert told.notes[1].startswith("1 of them could not be opened; the first: u1: empty recording")


def test_media_are_not_read() -> None:
    buffer = io.BytesIO(b"no sound at all")
    rows = [{"audio": {"path": None, "bytes": buffer.getvalue()}, "seconds": 1.0, "image": "not/there.png"}]
    told = summarise(corpus(rows))
    assert (told.whole.recordings, told.whole.pictures, told.notes) == (1, 1, ())


def columns(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_text_fits_and_is_aligned(width: int) -> None:
    rows = [{"split": f"分割{k}", "text": f"word{k} dog", "audio": "x.wav", "seconds": 10.0**k} for k in range(4)]
    text = summarise(corpus(rows)).text(width)
    lines = text.split("\n")
    assert max(map(columns, lines)) <= width
    heads = [k for k, line in enumerate(lines) if "all" in line.split() or "分割" in line]
    assert [name for k in heads for name in lines[k].split()] == ["all", "分割0", "分割1", "分割2", "分割3"]
    assert len(heads) == {30: 5, 60: 2, 80: 1, 200: 1}[width]
    for k in heads:
        items = next(line for line in lines[k:] if line.startswith("items"))
        assert columns(items) == columns(lines[k])  # right-aligned to the same column
    assert text.endswith("\n")


def test_no_text_of_a_corpus_steers_the_terminal() -> None:
    rows = [{"split": "tr\x1b[2Jain\n", "language": "e\rn", "text": "a\x07b"}]
    text = summarise(corpus(rows, name="n\x1b]0;x\x07")).text()
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_bars_are_as_long_as_counts() -> None:
    lines = bars([("a", 0), ("b", 1), ("c", 500), ("d", 1000)], 40)
    lengths = [line.count("█") for line in lines]
    assert lengths[0] == lengths[1] == 0
    assert lines[0] == "  a      0"
    assert lines[1].endswith("▏")
    assert lengths[3] == 2 * lengths[2]
    assert len(lines[3]) <= 40
    assert bars([], 40) == []
    assert table(["x"], [("rows", ["12"])], 80) == ["       x", "rows  12"]


def test_as_dict_is_json() -> None:
    told = json.loads(json.dumps(summarise(small()).as_dict(), allow_nan=False))
    assert told["all"]["lengths"]["histogram"]["edges"][-1] is None
    assert len(told["all"]["lengths"]["histogram"]["edges"]) == len(SECONDS)
    assert told["splits"]["test"]["speakers"] == 2
    assert told["all"]["frequent"]["dog"] == 3
    assert told["problems"] == {"refused": 3, "repaired": 0}


def test_the_picture_book_holds_what_it_says(tiny_book: Path) -> None:
    book = open_corpus(tiny_book)
    told = summarise(book)
    for part in told.splits:
        count = book.meta["counts"][part.name]
        assert (part.pictures, part.texts, part.recordings) == tuple(
            count[k] for k in ("pictures", "texts", "recordings")
        )
        if part.lengths is not None:
            assert part.lengths.hours * 3600 == pytest.approx(book.meta["seconds of audio"][part.name], abs=0.01)
        assert part.timed == part.recordings
    assert told.problems is None
