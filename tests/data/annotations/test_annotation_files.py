"""Files of each format as their programs write them, and broken ones: a UserError that names file, line and mend."""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data.annotations import Annotation, Interval, Tier, read_annotation, read_ctm, write_annotation
from lookhear.errors import UserError

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 2.3 
tiers? <exists> 
size = 2 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 2.3 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.5 
            text = "" 
        intervals [2]:
            xmin = 0.5 
            xmax = 1.25 
            text = "a ""boat"" item [7]" 
        intervals [3]:
            xmin = 1.25 
            xmax = 2.3 
            text = "sails
away" 
    item [2]:
        class = "TextTier" 
        name = "bells" 
        xmin = 0 
        xmax = 2.3 
        points: size = 1 
        points [1]:
            number = 0.75 
            mark = "ding" 
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.3
<exists>
2
"IntervalTier"
"words"
0
2.3
3
0
0.5
""
0.5
1.25
"a ""boat"" item [7]"
1.25
2.3
"sails
away"
"TextTier"
"bells"
0
2.3
1
0.75
"ding"
"""
GRID = Annotation(
    (
        Tier("words", (Interval('a "boat" item [7]', 0.5, 1.25), Interval("sails\naway", 1.25, 2.3))),
        Tier("bells", (Interval("ding", 0.75, 0.75),)),
    ),
    duration=2.3,
)
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/a b.wav" MIME_TYPE="audio/x-wav" RELATIVE_MEDIA_URL="./a b.wav"/>
</HEADER>
<TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>
<TIME_SLOT TIME_SLOT_ID="ts2"/>
<TIME_SLOT TIME_SLOT_ID="ts3"/>
<TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2500"/>
</TIME_ORDER>
<TIER TIER_ID="said" LINGUISTIC_TYPE_REF="t">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts4">
<ANNOTATION_VALUE>one two three &amp;</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER TIER_ID="words" PARENT_REF="said" LINGUISTIC_TYPE_REF="t">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>one</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>two</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
<ANNOTATION_VALUE> three </ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER>
<TIER TIER_ID="gloss" PARENT_REF="words" LINGUISTIC_TYPE_REF="t">
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a3">
<ANNOTATION_VALUE>du</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a6" ANNOTATION_REF="a5">
<ANNOTATION_VALUE/></REF_ANNOTATION></ANNOTATION>
</TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def read(tmp_path: Path, ending: str, content: str | bytes) -> Annotation:
    path = tmp_path / f"a{ending}"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_annotation(path)


@pytest.mark.parametrize("text", [LONG, SHORT, LONG.replace("\n", "\r\n")], ids=["long", "short", "Windows"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrids_of_praat(text: str, encoding: str, tmp_path: Path) -> None:
    assert read(tmp_path, ".TextGrid", text.encode(encoding)) == GRID


def test_an_elan_document(tmp_path: Path) -> None:
    found = read(tmp_path, ".eaf", EAF)
    assert found.media == "a b.wav"
    assert found.tier("said").intervals == (Interval("one two three &", 1.0, 2.5),)
    assert found.tier() == Tier(
        "words", (Interval("one", 1.0, 1.5), Interval("two", 1.5, 2.0), Interval("three", 2.0, 2.5))
    )
    assert found.tier("gloss").intervals == (Interval("du", 1.5, 2.0), Interval("", 1.5, 2.0))


def test_elan_times_are_those_of_the_media_file(tmp_path: Path) -> None:
    found = read(tmp_path, ".eaf", EAF.replace('MIME_TYPE="audio/x-wav"', 'MIME_TYPE="audio/x-wav" TIME_ORIGIN="300"'))
    assert found.tier("said").intervals[0].start == 1.3


def test_an_elan_document_that_is_written_is_one_that_elan_opens(tmp_path: Path) -> None:
    tiers = (
        Tier("words", (Interval("vienas", 0.5, 1.25), Interval("du", 1.25, 1.5))),
        Tier("all", (Interval("vienas du", 0.25, 1.5),)),
    )
    write_annotation(Annotation(tiers, media="audio/ačiū 1.wav"), tmp_path / "a.eaf")
    root = ElementTree.parse(tmp_path / "a.eaf").getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert [child.tag for child in root][:2] == ["HEADER", "TIME_ORDER"]
    header = root.find("HEADER")
    assert header is not None
    assert header.get("TIME_UNITS") == "milliseconds"
    descriptor = header.find("MEDIA_DESCRIPTOR")
    assert descriptor is not None
    assert dict(descriptor.attrib) == {
        "MEDIA_URL": f"file://{(tmp_path / 'audio/ačiū 1.wav').resolve()}",
        "RELATIVE_MEDIA_URL": "./audio/ačiū 1.wav",
        "MIME_TYPE": "audio/x-wav",
    }
    slots = [(s.get("TIME_SLOT_ID"), int(s.get("TIME_VALUE", -1))) for s in root.iter("TIME_SLOT")]
    assert [k for k, _ in slots] == [f"ts{i}" for i in range(1, 7)]
    assert [t for _, t in slots] == [250, 500, 1250, 1250, 1500, 1500]
    assert [t.get("TIER_ID") for t in root.iter("TIER")] == ["words", "all"]
    types = {t.get("LINGUISTIC_TYPE_ID"): t.get("TIME_ALIGNABLE") for t in root.iter("LINGUISTIC_TYPE")}
    assert {types[t.get("LINGUISTIC_TYPE_REF")] for t in root.iter("TIER")} == {"true"}
    assert read_annotation(tmp_path / "a.eaf").media == "audio/ačiū 1.wav"


def test_ctm_of_many_recordings(tmp_path: Path) -> None:
    path = tmp_path / "a.ctm"
    path.write_text(";; a comment\nx.jpg_#0 1 0.1 0.2 A\nx.jpg_#0 1 0.3 0.25 DOG 0.97\n\ny A 1 0 RUNS NA lex spk\n")
    rows = list(read_ctm(path))
    assert [(r.line, r.recording, r.channel) for r in rows] == [
        (2, "x.jpg_#0", "1"),
        (3, "x.jpg_#0", "1"),
        (5, "y", "A"),
    ]
    assert [r.interval for r in rows] == [
        Interval("A", 0.1, 0.3),
        Interval("DOG", 0.3, 0.55),
        Interval("RUNS", 1.0, 1.0),
    ]
    with pytest.raises(UserError, match=r"a\.ctm, line 5: words of several recordings \('x.jpg_#0' and 'y'\)"):
        read_annotation(path)


def test_ctm_lines_that_are_no_words_can_be_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.ctm"
    path.write_bytes(
        b"x 1 0 1 a\nx 1 0 1\nx 1 0 -1 b\nx 1 zero 1 c\nx 1 0 1 \xff\nx 1 1 nan d\nx 1 0 1 a b\nx 1 2 1 e\n"
    )
    told: list[int] = []
    assert [r.line for r in read_ctm(path, lambda line, what, fix: told.append(line))] == [1, 8]
    assert told == [2, 3, 4, 5, 6, 7]
    with pytest.raises(UserError, match=r"a\.ctm, line 2: 4 fields"):
        list(read_ctm(path))


def test_subtitles_and_labels_and_tables(tmp_path: Path) -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,500\n<i>a</i>\nb\n\n2\n00:00:02,500 --> 01:00:00,001\n5\n7\n"
    expected = (Interval("<i>a</i>\nb", 1.0, 2.5), Interval("5\n7", 2.5, 3600.001))
    assert read(tmp_path, ".srt", "\ufeff" + srt.replace("\n", "\r\n")).tier().intervals == expected
    vtt = (
        "WEBVTT - x\n\nSTYLE\n::cue {}\n\nNOTE to --> nobody\n\nfirst\n00:01.000 --> 00:02.500 align:left\n"
        "<v Ann>a &amp; <i>b</i></v>\n7\n\n00:00:02.500 --> 01:00:00.001\nc\n\n"
        "NOTE\n00:03.000 --> 00:04.000\n \nd<00:03.200><c> e</c>\n\n00:05.000 --> 00:06.000\n \n\n"
    )
    expected = (
        Interval("a & b\n7", 1.0, 2.5),
        Interval("c", 2.5, 3600.001),
        Interval("d e", 3.0, 4.0),
        Interval("", 5.0, 6.0),
    )
    assert read(tmp_path, ".vtt", vtt).tier().intervals == expected
    labels = "0.5\t0.5\tding\n\\\t100.0\t200.0\n0.25\t1.000000\ta b\tc\n1\t2\t\n"
    expected = (Interval("a b\tc", 0.25, 1.0), Interval("ding", 0.5, 0.5), Interval("", 1.0, 2.0))
    assert read(tmp_path, ".txt", labels).tier().intervals == expected
    assert read(tmp_path, ".csv", 'Word,start_s,end_s\n"a, b",0.5,1\n').tier() == Tier(
        "words", (Interval("a, b", 0.5, 1.0),)
    )
    table = read(tmp_path, ".csv", "start,end,tier,label,more\n1,2,x,a,\n0,1,y,b,\n0,1,x,c,\n")
    assert table.tiers == (
        Tier("x", (Interval("c", 0.0, 1.0), Interval("a", 1.0, 2.0))),
        Tier("y", (Interval("b", 0.0, 1.0),)),
    )


BROKEN = [
    ("no quote", ".TextGrid", LONG.replace('"ding"', '"ding'), "line 36: a quote is opened and never closed"),
    ("cut off", ".TextGrid", SHORT[: SHORT.index("0.75")], "it ends where a start is due"),
    (
        "one less",
        ".TextGrid",
        SHORT.replace("2.3\n3\n", "2.3\n2\n"),
        "line 19: '1.25' where the class of a tier is due",
    ),
    ("one more", ".TextGrid", SHORT + '"x"\n', r"line \d+: more follows"),
    ("backwards", ".TextGrid", LONG.replace("xmax = 1.25", "xmax = 0.25"), "line 22.*ends before it starts"),
    ("binary", ".TextGrid", b"ooBinaryFile\x08TextGrid\xff", "a binary TextGrid"),
    ("chronological", ".TextGrid", '"Praat chronological TextGrid text file"\n0 1\n', "."),
    ("not text", ".TextGrid", b'File type = "ooTextFile"\n\xff', "not UTF-8 text"),
    ("doctype", ".eaf", EAF.replace("<ANNOTATION_DOC", '<!DOCTYPE a SYSTEM "x"><ANNOTATION_DOC'), "line 2: a DOCTYPE"),
    (
        "wide doctype",
        ".eaf",
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
        "a DOCTYPE",
    ),
    ("not XML", ".eaf", EAF[:-40], r"line \d+: not XML"),
    ("encoding", ".eaf", '<?xml version="1.0" encoding="klingon"?><a/>', "not XML"),
    ("other XML", ".eaf", "<html/>", "line 1: <html> where an EAF"),
    ("two tiers", ".eaf", EAF.replace('TIER_ID="words"', 'TIER_ID="said"'), "line 18: a second <TIER>.*'said'"),
    ("two annotations", ".eaf", EAF.replace('ID="a2"', 'ID="a1"'), "a second <ALIGNABLE_ANNOTATION>"),
    ("no slot", ".eaf", EAF.replace('REF2="ts4"', 'REF2="ts9"'), "no time slot 'ts9'"),
    ("no time", ".eaf", EAF.replace(' TIME_VALUE="2500"', ""), "annotation 'a1' has no time"),
    ("itself", ".eaf", EAF.replace('REF="a3"', 'REF="a6"'), "refers to itself"),
    ("to nothing", ".eaf", EAF.replace('REF="a3"', 'REF="a9"'), "refers to 'a9', which is not there"),
    ("value", ".eaf", EAF.replace('"2500"', '"2.5"'), "line 12: a TIME_VALUE of '2.5'"),
    ("long value", ".eaf", EAF.replace('"2500"', '"' + "9" * 400 + '"'), "line 12: a TIME_VALUE of '9999"),
    ("slot", ".eaf", EAF.replace('"ts4"', '"last"'), "not as ELAN writes it"),
    ("deep", ".eaf", "<ANNOTATION_DOCUMENT>" + "<a>" * 100_000, "deeper"),
    ("no duration", ".ctm", "x 1 0.5 word\n", "line 1: 4 fields"),
    ("times", ".srt", "1\n00:00:01,000 -> 00:00:02,000\na\n", "line 1: text before any time line"),
    ("time", ".srt", "1\n00:00:01,000 --> 00:02\na\n", "line 2: a time line that is none"),
    (
        "digits",
        ".srt",
        "1\n00:00:01,000 --> 00:00:02,000\n" + "9" * 100_000,
        "line 1: a cue with a number of 100 digits",
    ),
    ("namespace", ".eaf", EAF.replace('AUTHOR=""', 'x:AUTHOR=""'), r"line \d: not XML"),
    ("signature", ".vtt", "00:01.000 --> 00:02.000\na\n", "line 1: not WebVTT"),
    ("head", ".vtt", "WEBVTT\n00:01.000 --> 00:02.000\na\n", "line 1: a cue in the head"),
    ("head arrow", ".vtt", "WEBVTT\n00:01 --> 00:02\na\n", "line 1: a cue in the head"),
    ("two times", ".vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\na\n00:02.000 --> 00:03.000\nb\n", "line 3: a block that"),
    ("lost line", ".vtt", "WEBVTT\n\nlost\n", "line 3: a block that is no cue"),
    ("backwards", ".vtt", "WEBVTT\n\n00:03.000 --> 00:02.000\na\n", "line 3.*ends before it starts"),
    ("comma", ".txt", "0,5\t1,0\ta\n", "line 1: not a label"),
    ("text", ".txt", "1\t2\ta\nhello\n", "line 2: not a label"),
    ("range", ".txt", "1\t2\ta\n\\ lost\n", "line 2: not a label"),
    ("milliseconds", ".txt", "0\t1e300\ta\n", "line 1.*outside any recording"),
    ("column", ".csv", "label,start\na,1\n", "line 1: no column 'end'"),
    ("empty", ".csv", "", "line 1: no column 'label'"),
    ("row", ".csv", "label,start,end\na,1\n", "line 2: 2 fields for 3 columns"),
    ("number", ".csv", "label,start,end\na,1,two\n", "line 2: a time that is no number: 'two'"),
    ("quote", ".csv", 'label,start,end\n"a,1,2\n', "not CSV"),
    ("negative", ".csv", "label,start,end\na,-1,2\n", "line 2.*outside any recording"),
]


@pytest.mark.parametrize(
    ("ending", "content", "message"), [b[1:] for b in BROKEN], ids=[f"{b[1][1:]} {b[0]}" for b in BROKEN]
)
def test_a_broken_file_is_named_with_its_mend(ending: str, content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as e:
        read(tmp_path, ending, content)
    assert e.value.what.startswith(str(tmp_path / f"a{ending}"))
    assert e.value.fix


SEEDS = {
    ".TextGrid": [LONG, SHORT],
    ".eaf": [EAF],
    ".ctm": ["x 1 0.5 0.25 word 0.9\nx 1 0.75 1 more\n"],
    ".srt": ["1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:02,000 --> 00:00:03,000\nb\n"],
    ".vtt": ["WEBVTT\n\nx\n00:01.000 --> 00:02.000\na\n\n00:02.000 --> 00:03.000\nb\n"],
    ".txt": ["0.5\t1\ta\n1\t2\tb\n"],
    ".csv": ['tier,label,start,end\nx,a,0,1\nx,"b\n",1,2\n'],
}


@st.composite
def damaged(draw: st.DrawFn, ending: str) -> bytes:
    """Any bytes, or a sound file of which some places were cut out, doubled or written over."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    text = draw(st.sampled_from(SEEDS[ending])).encode()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        to = min(len(text), at + draw(st.integers(0, 30)))
        middle = draw(st.sampled_from([b"", text[at:to] * 2, b"9" * 50, b'"', b"\n\n", b"-->", b"\0", b"1e999", b"<"]))
        text = text[:at] + draw(st.sampled_from([middle, draw(st.binary(max_size=8))])) + text[to:]
    return text


@pytest.mark.parametrize("ending", list(SEEDS))
@settings(max_examples=150)
@given(data=st.data())
def test_no_bytes_give_a_traceback(ending: str, data: st.DataObject) -> None:
    content = data.draw(damaged(ending))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read(Path(folder), ending, content)
        except UserError:
            return
    for tier in found.tiers:
        assert all(0 <= i.start <= i.end and i.label == i.label.strip() for i in tier.intervals)
        assert [i.start for i in tier.intervals] == sorted(i.start for i in tier.intervals)


def test_the_tier_of_the_words() -> None:
    phones, words = Tier("phones", ()), Tier("Words", ())
    assert Annotation((phones,)).tier() is phones
    assert Annotation((phones, words)).tier() is words
    assert Annotation((phones, words)).tier("phones") is phones
    with pytest.raises(UserError, match=r"no tier 'phone'.*did you mean 'phones'"):
        Annotation((phones, words)).tier("phone")
    with pytest.raises(UserError, match="Name one of: 'phones', 'syllables'"):
        Annotation((phones, Tier("syllables", ()))).tier()
    with pytest.raises(UserError, match="2 tiers could be meant"):
        Annotation((Tier("word", ()), words)).tier()
