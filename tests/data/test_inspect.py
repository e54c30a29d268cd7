"""The page of a corpus: whole in itself, nothing of the corpus's own text taken for markup, media as they are."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from PIL import Image

from lookhear.audio import load_audio
from lookhear.data.inspect import write_page
from lookhear.data.inspect_cards import PLAYED, draw_pictures
from lookhear.data.read import open_corpus
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.data.tally import picture_numbers
from lookhear.errors import UserError

VOID = {"meta", "img"}
RATE = 16000


class Page(HTMLParser):
    """What a browser makes of it: elements with their attributes and all text within."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(source)
        self.close()
        assert [e[0] for e in self.open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, dict(attrs), list[str]())
        self.found.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1][0] == tag, (tag, self.open[-1][:2])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element[2].append(data)

    def all(self, tag: str, style: str = "") -> list[tuple[dict[str, str | None], str]]:
        return [
            (attrs, " ".join("".join(text).split()))
            for t, attrs, text in self.found
            if t == tag and (not style or style in (attrs.get("class") or "").split())
        ]


def sound(seed: int, seconds: float = 0.4, kind: str = "WAV", rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    sf.write(buffer, np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)), rate, format=kind)
    return buffer.getvalue()


def picture(seed: int, size: tuple[int, int] = (9, 8)) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def corpus(rows: list[dict[str, Any]], name: str = "made up") -> Corpus:
    full = [{"id": f"r{k}", **row} for k, row in enumerate(rows)]
    for row in full:
        for media in ("audio", "image"):
            if isinstance(row.get(media), bytes):
                row[media] = {"path": None, "bytes": row[media]}
    return Corpus(pa.Table.from_pylist(full, schema=SCHEMA), Path("nowhere"), name)


def page(made: Corpus, folder: Path, **how: Any) -> Page:
    return Page(write_page(made, folder / "page.html", **how).read_text(encoding="utf-8"))


def data(uri: str | None) -> tuple[str, bytes]:
    assert uri is not None
    head, body = uri.split(",", 1)
    assert head.startswith("data:")
    assert head.endswith(";base64")
    return head[5:-7], base64.b64decode(body)


def test_it_is_whole_in_itself(tiny_book: Path, tmp_path: Path) -> None:
    made = page(open_corpus(tiny_book), tmp_path, pictures=5, sounds=4)
    for _, attrs, _ in made.found:
        for name, value in attrs.items():
            if name in ("src", "href", "srcset", "data", "action"):
                assert value is not None
                assert value.startswith("data:")
    (style,) = made.all("style")
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert not re.search(r"https?://", (tmp_path / "page.html").read_text())
    (policy,) = [a["content"] for a, _ in made.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert len(made.all("figure", "shot")) == 5
    assert len(made.all("article", "clip")) == 4
    assert all(attrs.get("alt") for attrs, _ in made.all("img"))
    assert {p.name for p in tmp_path.iterdir()} == {"page.html"}


def test_the_same_seed_gives_the_same_page(tiny_book: Path, tmp_path: Path) -> None:
    book = open_corpus(tiny_book)
    pages = [
        write_page(book, tmp_path / f"{k}.html", pictures=3, sounds=2, seed=seed).read_bytes()
        for k, seed in enumerate((0, 0, 1))
    ]
    assert pages[0] == pages[1] != pages[2]


def test_text_of_the_corpus_is_not_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
    row = {
        "id": evil,
        "split": evil,
        "text": evil,
        "speaker": evil,
        "language": 'en" onclick="alert(3)',
        "audio": sound(0),
        "image": picture(0),
        "things": [evil],
        "words": [{"word": evil, "start": 0.0, "end": 0.2}],
    }
    textless = {**row, "id": evil + "2", "text": None, "words": None, "image": picture(1), "audio": b"no sound"}
    made = page(corpus([row, textless], name=evil), tmp_path)
    assert len(made.all("script")) == 1
    assert not [a for _, attrs, _ in made.found for a in attrs if a.startswith("on")]
    assert all((attrs.get("src") or "").startswith("data:") for attrs, _ in made.all("img"))
    assert made.all("h1")[0][1] == evil
    (_, caption), *_ = made.all("p", "said")
    assert caption == evil
    assert any(attrs["alt"] == evil for attrs, _ in made.all("img"))
    assert not [a for _, a, _ in made.found if a.get("lang") not in (None, "en")]


def test_a_picture_of_each_group_first(tmp_path: Path) -> None:
    rows = [{"group": f"g{k % 5}", "image": picture(k), "text": f"text {k}"} for k in range(15)]
    rows.append({"group": "g0", "text": "no picture"})
    made = corpus(rows)
    numbers = picture_numbers(made)

    def drawn(count: int, seed: int) -> list[int]:
        return draw_pictures(made, numbers, count, np.random.default_rng(seed)).tolist()

    for seed in range(5):
        assert sorted(r % 5 for r in drawn(5, seed)) == [0, 1, 2, 3, 4]
        assert sorted({r % 5 for r in drawn(8, seed)}) == [0, 1, 2, 3, 4]
        assert len({r % 5 for r in drawn(3, seed)}) == 3
        assert max(np.bincount([r % 5 for r in drawn(8, seed)])) == 2
        assert len(set(drawn(8, seed))) == 8
    assert drawn(99, 0) == list(range(15))
    assert len({tuple(drawn(5, seed)) for seed in range(5)}) > 1
    shots = page(made, tmp_path, pictures=99).all("figure", "shot")
    assert [text.split("r")[0] for _, text in shots] == [f"text {k}" for k in range(15)]


def test_captions_lie_beneath_their_picture(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for k in range(3):
        rows.append({"group": f"g{k}", "image": picture(k, (80, 40)), "id": f"p{k}", "split": "dev", "language": "en"})
        rows += [{"group": f"g{k}", "text": f"number {k} said {j // 2}"} for j in range(14 if k == 2 else 2)]
    made = page(corpus(rows), tmp_path)
    shots = [text for _, text in made.all("figure", "shot")]
    assert shots[0] == "number 0 said 0p0 · dev · 80 × 40"  # what two recordings read out is shown once
    assert shots[2].startswith("number 2 said 0number 2 said 1")
    assert "and 2 more" in shots[2]
    images = made.all("img")
    assert [attrs["alt"] for attrs, _ in images] == [f"number {k} said 0" for k in range(3)]
    kind, held = data(images[0][0]["src"])
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(held)).size == (80, 40)


def test_thumbnails_are_small_and_tiny_pictures_exact(tmp_path: Path) -> None:
    made = page(
        corpus([{"image": picture(0, (1000, 500))}, {"image": picture(1, (32, 32)), "things": ["cat"]}]), tmp_path
    )
    (large, _), (tiny, _) = made.all("img")
    assert Image.open(io.BytesIO(data(large["src"])[1])).size == (320, 160)
    assert (large["width"], large["height"]) == ("320", "160")
    kind, held = data(tiny["src"])
    assert kind == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(held))) == np.asarray(Image.open(io.BytesIO(picture(1, (32, 32)))))).all()
    assert tiny["alt"] == "a picture of cat"


def test_recordings_are_held_as_they_sound(tmp_path: Path) -> None:
    rows = [
        {"audio": sound(0), "text": "a"},
        {"audio": sound(1, kind="OGG"), "text": "b"},
        {"audio": sound(2, rate=44100), "text": "c"},
    ]
    made = page(corpus(rows), tmp_path)
    held = [data(attrs["src"]) for attrs, _ in made.all("audio")]
    assert held[1] == ("audio/ogg", rows[1]["audio"])
    assert held[0][0] in ("audio/flac", "audio/wav")
    for k in (0, 2):
        wave = load_audio(held[k][1])
        assert np.abs(wave - load_audio(rows[k]["audio"])).max() < 1e-4
    assert sf.info(io.BytesIO(held[2][1])).samplerate == RATE
    assert [float(a["data-seconds"] or 0) for a, _ in made.all("article", "clip")] == pytest.approx([0.4] * 3, abs=2e-3)


@pytest.mark.parametrize("inside", [True, False])
def test_of_a_long_recording_the_page_holds_the_beginning(tmp_path: Path, inside: bool) -> None:
    long = sound(0, 65.0, kind="FLAC")
    words = [{"word": w, "start": s, "end": s + 1} for w, s in (("early", 1.0), ("late", 40.0))]
    made = corpus([{"audio": long, "words": words}])
    if not inside:
        (tmp_path / "long.flac").write_bytes(long)
        table = corpus([{"audio": {"path": "long.flac", "bytes": None}, "words": words}]).table
        made = Corpus(table, tmp_path, "made up")
    shown = page(made, tmp_path)
    ((attrs, text),) = shown.all("article", "clip")
    assert "the first 20 of 65 s" in text
    assert "early" in text
    assert "late" not in text
    wave = load_audio(data(shown.all("audio")[0][0]["src"])[1])
    assert len(wave) == PLAYED * RATE
    assert np.abs(wave - load_audio(long)[: len(wave)]).max() < 1e-4
    assert attrs["data-seconds"] == "20.000"


def test_words_have_their_times(tmp_path: Path) -> None:
    words = [{"word": "a", "start": 0.05, "end": 0.1}, {"word": "dog", "start": 0.1, "end": 0.35}]
    rows = [
        {"audio": sound(0), "text": "A dog.", "words": words},
        {"audio": sound(1), "text": "Two dogs.", "words": words},
        {"audio": sound(2), "text": "No times."},
        {"audio": sound(3), "words": [{"word": "broken", "start": None, "end": 0.1}]},
    ]
    made = page(corpus(rows), tmp_path)
    buttons = [(a["data-start"], a["data-end"], text) for a, text in made.all("button")]
    assert buttons == [("0.050", "0.100", "a"), ("0.100", "0.350", "dog")] * 2
    assert len(made.all("rect")) >= 4
    assert [text for _, text in made.all("p", "written")] == ["Two dogs."]
    assert [text for _, text in made.all("p", "said")] == ["a dog", "a dog", "No times.", "(no text)"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    rows = [
        {"id": "good", "audio": sound(0), "image": picture(0)},
        {"id": "bad sound", "audio": b"RIFF nothing", "image": picture(1)},
        {"id": "bad picture", "audio": sound(2), "image": b"no picture"},
        {"id": "gone", "audio": {"path": "../climbs.wav", "bytes": None}},
    ]
    made = page(corpus(rows), tmp_path)
    told = " | ".join(text for _, text in made.all("p", "unplayed"))
    assert "bad sound: not a readable recording" in told
    assert "bad picture: not a picture" in told
    assert "climbs out" in told
    assert len(made.all("article", "clip")) == 2
    assert len(made.all("article")) == 4


def test_sections_without_anything_are_left_out(tmp_path: Path) -> None:
    made = page(corpus([{"text": "a dog"}]), tmp_path)
    assert [attrs["id"] for attrs, _ in made.all("section")] == ["numbers", "words"]
    assert [text for _, text in made.all("td", "none")] == ["lacking"] * 5
    assert page(corpus([]), tmp_path).all("section")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    made = corpus([{"text": "a dog"}])
    with pytest.raises(UserError, match="is a folder"):
        write_page(made, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_page(made, tmp_path / "file" / "page.html")
    assert write_page(made, tmp_path / "new" / "page.html").is_file()
