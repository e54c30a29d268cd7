"""The page of hits: nothing from elsewhere, every hit a row, the best of them played, no name taken for markup."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile as sf

from lookhear.errors import UserError
from lookhear.search.hits.cards import clock
from lookhear.search.hits.excerpts import Excerpt
from lookhear.search.hits.page import write_page
from lookhear.search.spot import Heard


class Tone:
    """Excerpts of a tone, two seconds about each hit; those of a recording called ``gone`` cannot be read."""

    def about(self, hit, seconds):
        if "gone" in hit.file:
            raise UserError(f"{hit.file}: no such recording", "Check the path.")
        start = max(0.0, (hit.start + hit.end) / 2 - 1)
        wave = np.sin(np.arange(32_000) / 20).astype(np.float32) * 0.3
        times = start + np.arange(0.02, 2, 0.04)
        return Excerpt(start, wave, times, np.exp(-((times - hit.start) ** 2) * 20))


class Parsed(HTMLParser):
    """Elements of a page with their attributes; what is opened and not closed is a fault."""

    EMPTY = ("meta", "input")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.EMPTY and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY and not (self.open == [] or self.open[-1] != tag):
            self.open.pop()

    def all(self, tag, style=None):
        return [a for t, a in self.elements if t == tag and (style is None or style in a.get("class", "").split())]


@pytest.fixture
def found(tape):
    return [
        tape("one.wav", 30.0, ("dog", 2.0, 2.2, 0.4, 0.9), (NAMES[1], 5.0, 5.5, 0.3, 0.7), ("dog", 28, 28.3, 0.2, 0.5)),
        tape("nothing.wav", 61.0),
        tape("two.wav", 4.0, ("dog", 1.0, 1.2, 0.5, 0.95)),
    ]  # fmt: skip


NAMES = ["dog", "<b>&\"'", "never"]


def page(found, tmp_path, **more):
    write_page(found, NAMES, tmp_path / "page.html", **more)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    return text, Parsed(text)


def test_every_hit_is_a_row_and_a_mark_on_its_lane(found, tmp_path):
    _, parsed = page(found, tmp_path, excerpts=Tone())
    rows = [a for a in parsed.all("tr") if "data-worth" in a]
    assert [(r["data-word"], r["data-worth"]) for r in rows] == [
        ("0", "0.9000"), ("1", "0.7000"), ("0", "0.5000"), ("0", "0.9500"),
    ]  # fmt: skip
    marks = [a for a in parsed.all("a") if a["href"].startswith("#hit")]
    assert {m["href"][1:] for m in marks} == {r["id"] for r in rows}
    left = {m["href"]: m["style"] for m in marks}
    assert left[f"#{rows[1]['id']}"] == "left:16.667%;width:1.667%"
    assert [a["data-word"] for a in parsed.all("li", "lane")] == ["0", "1", "0"]


def test_what_is_played_is_the_moment(found, tmp_path):
    text, parsed = page(found, tmp_path, excerpts=Tone())
    players = parsed.all("audio")
    assert len(players) == 4
    wave, rate = sf.read(io.BytesIO(base64.b64decode(players[0]["src"].partition("base64,")[2])))
    assert (len(wave), rate) == (32_000, 16_000)
    assert len(re.findall('class="curve"', text)) == 4
    assert {a["data-seconds"] for a in parsed.all("tr", "clip")} == {"2.000"}
    names = [a["data-name"] for a in parsed.all("tr", "clip")]
    assert names[:2] == ["dog at 0:02.0", "<b>&\"' at 0:05.0"]


def test_only_the_best_are_played_and_it_says_so(found, tmp_path):
    text, parsed = page(found, tmp_path, excerpts=Tone(), players=2)
    played = [a["data-worth"] for a in parsed.all("tr", "clip")]
    assert sorted(played) == ["0.9000", "0.9500"]
    assert "The 2 best can be played and seen; the others are listed." in text
    text, parsed = page(found, tmp_path, excerpts=None)
    assert parsed.all("audio") == []


def test_nothing_comes_from_elsewhere_and_names_are_no_markup(found, tmp_path):
    text, parsed = page(found, tmp_path, excerpts=Tone())
    assert "default-src 'none'" in text
    for _, attributes in parsed.elements:
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert "<b>&\"'" not in text.split("<main>")[1]
    assert "&lt;b&gt;&amp;&quot;&#x27;" in text


def test_recordings_without_hits_are_named(found, tmp_path):
    text, _ = page(found, tmp_path, excerpts=Tone())
    assert "nothing.wav" in text.split('id="nothing"')[1]
    assert "In 3 recordings, 1:35 long together." in text
    text, _ = page(found[1:2], tmp_path)
    assert "0 hits of" in text


def test_scores_of_a_model_without_calibration_are_no_percentages(tape, tmp_path):
    text, _ = page([tape("a.wav", 4.0, ("dog", 1.0, 1.5, 0.31), ("dog", 2.0, 2.5, -0.2))], tmp_path, excerpts=Tone())
    assert '<td class="worth">0.31</td>' in text
    assert '<td class="worth">-0.20</td>' in text
    assert "a cosine, not a probability" in text


def test_a_recording_that_cannot_be_read_any_more_is_said(tape, tmp_path):
    heard = tape("there.wav", 4.0, ("dog", 1.0, 1.5, 0.3))
    hits = tuple(type(h)("/gone.wav", h.query, h.start, h.end, h.score) for h in heard.hits)
    text, parsed = page([Heard("/gone.wav", 4.0, hits)], tmp_path, excerpts=Tone())
    assert text.count("/gone.wav: no such recording") == 2
    assert parsed.all("audio") == []


@pytest.mark.parametrize(
    ("seconds", "digits", "told"),
    [
        (0, 0, "0:00"),
        (59.96, 0, "1:00"),
        (59.96, 1, "1:00.0"),
        (3599.996, 2, "1:00:00.00"),
        (36_061.5, 1, "10:01:01.5"),
    ],
)
def test_times_as_on_a_clock(seconds, digits, told):
    assert clock(seconds, digits) == told
