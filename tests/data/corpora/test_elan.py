"""ELAN projects: links to media, participants, tiers of several speakers; and what is wrong with them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_fieldwork import eaf, make, picture, read, samples, sound

from lookhear.data.corpora.elan import open_raw, recognises
from lookhear.data.prepare import prepare
from lookhear.errors import UserError

SAID = [(0.1, 0.5, "the  ball"), (0.6, 1.0, "two\ndogs")]
WORDS = [(0.1, 0.2, "the"), (0.25, 0.55, "ball"), (0.6, 0.7, "two"), (0.7, 0.95, "dogs")]


def link(url: str, relative: str | None = None, origin: int | None = None) -> dict[str, str]:
    told = {"MEDIA_URL": url, "MIME_TYPE": "audio/x-wav"}
    told |= {} if relative is None else {"RELATIVE_MEDIA_URL": relative}
    return told | ({} if origin is None else {"TIME_ORIGIN": str(origin)})


def test_utterances_of_speakers_that_overlap(tmp_path: Path) -> None:
    wave = sound(tmp_path / "raw" / "talk.wav", 1.0)
    tiers = {
        "tx@A": [(0.1, 0.7, "the ball")],
        "tx@B": [(0.3, 1.0, "two dogs")],
        "wd@A": [(0.1, 0.2, "the"), (0.3, 0.5, "ball")],
        "wd@B": [(0.3, 0.6, "two"), (0.7, 0.9, "dogs")],
    }
    who = {"tx@A": "Anna", "wd@A": "Anna", "tx@B": "Ben"}
    eaf(tmp_path / "raw" / "talk.eaf", tiers, [link("file:///talk.wav", "./talk.wav")], who)
    picture(tmp_path / "raw" / "talk.png")
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "elan", tier="tx@*", words="wd@*")
    assert problems == []
    assert corpus.column("id") == ["talk_001", "talk_002"]
    assert corpus.column("text") == ["the ball", "two dogs"]
    assert corpus.column("speaker") == ["Anna", "Ben"]
    assert corpus.column("group") == ["talk.png", "talk.png"]
    assert [[(w["word"], w["start"], w["end"]) for w in row] for row in corpus.column("words")] == [
        [("the", 0.0, 0.1), ("ball", 0.2, 0.4)],
        [("two", 0.0, 0.3), ("dogs", 0.4, 0.6)],
    ]
    np.testing.assert_array_equal(samples(corpus, 0), wave[1600:11200])
    np.testing.assert_array_equal(samples(corpus, 1), wave[4800:])


def test_without_a_tier_a_recording_is_one_item(tmp_path: Path) -> None:
    sound(tmp_path / "x.wav", 1.0)
    eaf(tmp_path / "x.eaf", {"words": WORDS, "gesture": SAID}, [link("file:///x.wav")], {"words": "Anna"})
    items, problems = read(tmp_path, "elan")
    assert problems == []
    assert [(i.id, i.text, i.speaker) for i in items] == [("x", "the ball two dogs", "Anna")]
    assert items[0].words == [(w, s, e) for s, e, w in WORDS]


@pytest.mark.parametrize(
    ("media", "found"),
    [
        ([link("file:///gone/a.wav", "../audio/a.wav")], "audio/a.wav"),
        ([link("file:///gone/a.wav", "file:../audio/a.wav")], "audio/a.wav"),
        ([link("file:///C:/Users/me/b%20c.wav")], "docs/b c.wav"),
        ([link("file:///C:/Users/me/b c.wav")], "docs/b c.wav"),
        ([link("C:\\Users\\me\\B C.WAV")], "docs/b c.wav"),
        ([link("file:///C:/Users/me/a.wav")], "audio/a.wav"),
        ([link("file:///etc/passwd", "../../../etc/passwd")], "docs/x.wav"),
        ([link("file:///gone/film.mp4"), link("file:///gone/a.wav")], "audio/a.wav"),
        ([link("file:///gone/film.mp4")], "audio/film.flac"),
        ([link("file:///gone/nothing.mp4")], "docs/x.wav"),
        ([link("")], "docs/x.wav"),
        ([], "docs/x.wav"),
    ],
    ids=[
        "relative", "relative with file", "quoted", "blank", "backslashes", "elsewhere", "climbs", "second", "video",
        "own stem", "empty", "none",
    ],
)  # fmt: skip
def test_links_to_recordings(tmp_path: Path, media: list[dict[str, str]], found: str) -> None:
    for name in ("audio/a.wav", "docs/b c.wav", "audio/film.flac", "docs/x.wav"):
        sound(tmp_path / name)
    eaf(tmp_path / "docs" / "x.eaf", {"u": [(0.0, 0.1, "a")]}, media)
    items, problems = read(tmp_path, "elan", tier="u")
    assert [i.audio and i.audio.name for i in items] == [found]
    assert len(problems) == 3  # the other recordings, which no document is of
    assert all("no annotation" in p["what"] for p in problems)


def test_a_folder_of_media_inside_or_outside_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eaf(tmp_path / "raw" / "x.eaf", {"u": [(0.0, 0.1, "a")]}, [link("file:///gone/talk.wav")])
    with pytest.raises(UserError, match="no recording"):
        open_raw(tmp_path / "raw", {})
    wave = sound(tmp_path / "disk" / "deep" / "talk.wav")
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "elan", tier="u", media=str(tmp_path / "disk"))
    assert problems == []
    np.testing.assert_array_equal(samples(corpus, 0), wave[:1600])
    with pytest.raises(UserError, match="lies outside"):
        prepare(
            tmp_path / "raw",
            tmp_path / "linked",
            layout="elan",
            options={"tier": "u", "media": str(tmp_path / "disk")},
            inside=False,
            workers=0,
            progress=False,
        )
    monkeypatch.chdir(tmp_path)
    assert len(read(tmp_path / "raw", "elan", tier="u", media="disk")[0]) == 1
    sound(tmp_path / "raw" / "one" / "talk.wav")
    sound(tmp_path / "raw" / "two" / "talk.wav")
    items, problems = read(tmp_path / "raw", "elan", tier="u")
    assert items == []
    assert "2 recordings are called 'talk.wav'" in problems[0]["what"]
    items, problems = read(tmp_path / "raw", "elan", tier="u", media="two")
    assert [i.audio and i.audio.name for i in items] == ["two/talk.wav"]
    assert [p["file"] for p in problems] == [str(tmp_path / "raw" / "one" / "talk.wav")]
    with pytest.raises(UserError, match="media=three"):
        open_raw(tmp_path / "raw", {"media": "three"})


@pytest.mark.parametrize(
    ("media", "start"),
    [
        ([link("file:///x.wav", origin=250)], 0.35),
        ([link("file:///film.mp4"), link("file:///x.wav", origin=250)], 0.35),
        ([link("file:///film.mp4", origin=100), link("file:///x.wav")], 0.1),
    ],
    ids=["alone", "second", "first"],
)
def test_a_recording_that_began_before_the_annotation(
    tmp_path: Path, media: list[dict[str, str]], start: float
) -> None:
    wave = sound(tmp_path / "raw" / "x.wav", 2.0)
    eaf(tmp_path / "raw" / "x.eaf", {"u": SAID, "words": WORDS}, media)
    corpus, problems = make(tmp_path / "raw", tmp_path / "c", "elan", tier="u")
    assert problems == []
    at = round(start * 16000)
    np.testing.assert_array_equal(samples(corpus, 0), wave[at : at + 6400])
    assert [(w["word"], w["start"], w["end"]) for w in corpus.column("words")[0]] == [
        ("the", 0.0, 0.1),
        ("ball", 0.15, 0.4),
    ]


def test_words_that_only_have_an_order_get_no_times(tmp_path: Path) -> None:
    sound(tmp_path / "x.wav", 1.0)
    parts = {"words": ("u", [(0, "the"), (0, "ball"), (1, "two"), (1, "dogs")])}
    eaf(tmp_path / "x.eaf", {"u": SAID}, [link("file:///x.wav")], parts=parts)
    items, problems = read(tmp_path, "elan", tier="u", words="words")
    assert [(i.text, i.words) for i in items] == [("the ball", None), ("two dogs", None)]
    assert [(p["done"], p["what"]) for p in problems] == [
        ("repaired", "words of tier 'words' share their times: left out")
    ]


def test_every_fault_of_a_project_is_told(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    sound(raw / "good.wav", 1.0)
    sound(raw / "short.wav", 0.5)
    eaf(raw / "good.eaf", {"u": SAID}, [link("file:///good.wav")], {"u": " Anna "})
    eaf(raw / "short.eaf", {"u": SAID}, [link("file:///short.wav")])
    eaf(raw / "gone.eaf", {"u": SAID}, [link("file:///gone/over.wav")])
    eaf(raw / "other.eaf", {"v": SAID}, [link("file:///good.wav")])
    whole = (raw / "good.eaf").read_text()
    (raw / "cut.eaf").write_text(whole[:-40])
    (raw / "bomb.eaf").write_text(
        whole.replace("<ANNOTATION_DOCUMENT", '<!DOCTYPE x [<!ENTITY a "aaaa">]>\n<ANNOTATION_DOCUMENT', 1)
    )
    (raw / "odd.eaf").write_text(whole.replace("UTF-8", "UTF-81", 1))
    (raw / "empty.eaf").write_bytes(b"")
    corpus, problems = make(raw, tmp_path / "c", "elan", tier="u")
    assert corpus.column("id") == ["good_001", "good_002", "short_001"]
    assert corpus.column("speaker") == ["Anna", "Anna", None]
    told = {Path(p["file"]).name: p["what"] for p in problems}
    assert set(told) == {f"{k}.eaf" for k in ("short", "gone", "other", "cut", "bomb", "odd", "empty")}
    assert "'over.wav'" in told["gone.eaf"]
    assert told["other.eaf"] == "no tier 'u' (tier); its tiers are 'v'"
    assert "DOCTYPE" in told["bomb.eaf"] or "document type" in told["bomb.eaf"]
    assert "0.6 to 1.0 s" in told["short.eaf"]
    assert all(p["fix"] for p in problems)


def test_photographs_by_a_tier(tmp_path: Path) -> None:
    sound(tmp_path / "x.wav", 1.0)
    eaf(tmp_path / "x.eaf", {"u": SAID, "p": [(0.0, 0.3, "dog"), (0.5, 1.0, "ball.jpg")]}, [link("file:///x.wav")])
    picture(tmp_path / "p" / "dog.png")
    picture(tmp_path / "p" / "ball.jpg", 1)
    items, problems = read(tmp_path, "elan", tier="u", pictures="p")
    assert problems == []
    assert [(i.id, i.group) for i in items] == [("x_001", "p/dog.png"), ("x_002", "p/ball.jpg")]


def test_it_is_recognised_but_not_beside_a_manifest(tmp_path: Path) -> None:
    assert not recognises(tmp_path)
    eaf(tmp_path / "deep" / "x.eaf", {"u": SAID})
    assert recognises(tmp_path)
    assert recognises(tmp_path / "deep" / "x.eaf")
    (tmp_path / "list.csv").write_text("a,b\n")
    assert not recognises(tmp_path)


def test_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        open_raw(tmp_path, {})
    with pytest.raises(UserError, match="did you mean 'media'"):
        open_raw(tmp_path, {"medai": "x"})


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_broken_documents_are_told(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "x.wav").write_bytes(b"")
        eaf(root / "x.eaf", {"u": SAID, "words": WORDS}, [link("file:///x.wav", origin=5)], {"u": "A"})
        raw = bytearray((root / "x.eaf").read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, max(0, len(raw) - 1)))
            raw[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
        (root / "x.eaf").write_bytes(raw)
        items, problems = read(root, "elan", **data.draw(st.sampled_from([{}, {"tier": "u"}, {"tier": "*"}])))
        assert items or problems
        assert all(i.audio is not None for i in items)
