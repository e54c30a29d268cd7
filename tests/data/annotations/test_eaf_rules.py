"""Written EAF documents keep the rules of the format, and the rules notice what breaks them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eaf_rules import faults
from lookhear.data.annotations import Annotation, Interval, Tier, write_annotation

ANNOTATION = Annotation(
    (Tier("dog", (Interval("dog", 0.1, 0.5), Interval("a <b> & c", 1.0, 2.0))), Tier("red boat", ())),
    media="../my tapes/tåpe 1.wav",
    duration=20,
)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    path = tmp_path_factory.mktemp("eaf") / "marks" / "tape.eaf"
    path.parent.mkdir()
    write_annotation(ANNOTATION, path)
    return path


def test_a_written_document_keeps_the_rules(document):
    assert faults(document) == []


def test_media_are_linked_from_both_sides(document):
    text = document.read_text(encoding="utf-8")
    assert f'MEDIA_URL="file://{document.parent.parent}/my tapes/tåpe 1.wav"' in text
    assert 'RELATIVE_MEDIA_URL="../my tapes/tåpe 1.wav" MIME_TYPE="audio/x-wav"' in text


def test_the_published_schema_has_nothing_against_it(document):
    schema = os.environ.get("LOOKHEAR_EAF_SCHEMA")
    if schema is None:
        pytest.skip("no copy of EAFv2.8.xsd: name one by LOOKHEAR_EAF_SCHEMA")
    xmlschema = pytest.importorskip("xmlschema", reason="pip install xmlschema")
    assert [str(e) for e in xmlschema.XMLSchema(schema).iter_errors(str(document))] == []


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('TIME_VALUE="500"', 'TIME_VALUE="0.5"', "TIME_VALUE"),
        ('TIME_VALUE="500"', 'TIME_VALUE="50"', "ends before"),
        ('TIME_SLOT_ID="ts2"', 'TIME_SLOT_ID="ts1"', "twice"),
        ('TIME_SLOT_REF2="ts2"', 'TIME_SLOT_REF2="ts9"', "no time slot"),
        ('TIER_ID="red boat"', 'TIER_ID="dog"', "two tiers"),
        ('LINGUISTIC_TYPE_REF="default-lt"', 'LINGUISTIC_TYPE_REF="x"', "no type"),
        ('AUTHOR="LookHear" ', "", "without AUTHOR"),
        ('TIME_UNITS="milliseconds"', 'TIME_UNITS="seconds"', "TIME_UNITS"),
        ("<TIME_ORDER>", "<TIME_ORDER><PROPERTY/>", "<PROPERTY> in <TIME_ORDER>"),
        (' MIME_TYPE="audio/x-wav"', "", "without MIME_TYPE"),
        ('NAME="lastUsedAnnotationId">3', 'NAME="lastUsedAnnotationId">1', "again"),
    ],
)
def test_the_rules_notice_what_breaks_them(document, was, becomes, said):
    text = document.read_text(encoding="utf-8")
    assert was in text
    assert any(said in fault for fault in faults(text.replace(was, becomes, 1)))


@given(
    st.dictionaries(
        st.text("abc <&\"'é", min_size=1, max_size=6).map(str.strip).filter(bool), st.lists(st.integers(0, 9))
    ),
)
def test_any_tiers_keep_the_rules(tmp_path_factory, tiers):
    path = Path(tmp_path_factory.getbasetemp()) / "any.eaf"
    made = tuple(Tier(name, tuple(Interval("x", t, t + 0.5) for t in sorted(set(at)))) for name, at in tiers.items())
    write_annotation(Annotation(made, media="/tapes/a.wav"), path)
    assert faults(path) == []
