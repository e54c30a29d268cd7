"""Hits in annotation files: other programs' libraries open them with the same times, and the recording linked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eaf_rules import faults
from lookhear.core import Hit
from lookhear.data.annotations import read_annotation
from lookhear.search.hits.marks import labels_of, write_marks
from lookhear.search.spot import Heard

NAMES = ["dog", "red boat", "clip.wav"]


@pytest.fixture
def heard(tape):
    return tape(
        "tapes/my tape.wav", 12.3456,
        ("dog", 0.5204, 1.0396, 0.25, 0.93), ("red boat", 0.64, 2.0, 0.5, 0.75), ("dog", 1.0396, 1.52, 0.3, 0.8),
        ("dog", 12.28, 12.3456, 0.31, 0.5),
    )  # fmt: skip


def written(heard, path, names=NAMES):
    path.parent.mkdir(exist_ok=True)
    write_marks(heard, names, path.with_name(f".new{path.suffix}"), path)
    path.with_name(f".new{path.suffix}").rename(path)
    return path


def thousandths(hits):
    return [(round(h.start * 1000), round(h.end * 1000), h.query) for h in hits]


def test_elans_library_reads_the_same_times(heard, tmp_path):
    from pympi.Elan import Eaf

    path = written(heard, tmp_path / "marks" / "tape.eaf")
    eaf = Eaf(str(path))
    assert list(eaf.get_tier_names()) == NAMES
    for name in NAMES:
        expected = thousandths(h for h in heard.hits if h.query == name)
        assert sorted(eaf.get_annotation_data_for_tier(name)) == expected
    (media,) = eaf.media_descriptors
    assert media["MEDIA_URL"] == f"file://{heard.file}"
    assert media["RELATIVE_MEDIA_URL"] == "../tapes/my tape.wav"
    assert (path.parent / media["RELATIVE_MEDIA_URL"]).samefile(heard.file)
    assert media["MIME_TYPE"] == "audio/x-wav"
    assert faults(path) == []


def test_praats_library_reads_the_same_times(heard, tmp_path):
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(written(heard, tmp_path / "tape.TextGrid")), includeEmptyIntervals=False)
    assert list(grid.tierNames) == NAMES
    assert grid.maxTimestamp == pytest.approx(12.3456)
    for name in NAMES:
        entries = [(round(e.start * 1000), round(e.end * 1000), e.label) for e in grid.getTier(name).entries]
        assert entries == thousandths(h for h in heard.hits if h.query == name)


@pytest.mark.parametrize("ending", [".srt", ".vtt", ".txt"])
def test_one_track_tells_how_sure_each_hit_is(heard, tmp_path, ending):
    (tier,) = read_annotation(written(heard, tmp_path / f"tape{ending}")).tiers
    assert [i.label for i in tier.intervals] == ["dog (93 %)", "red boat (75 %)", "dog (80 %)", "dog (50 %)"]
    assert [(round(i.start * 1000), round(i.end * 1000)) for i in tier.intervals] == [
        (a, b) for a, b, _ in thousandths(heard.hits)
    ]


def test_without_calibration_a_track_tells_scores(tape, tmp_path):
    path = written(tape("a.wav", 3.0, ("dog", 1.0, 1.5, 0.256)), tmp_path / "a.srt")
    assert read_annotation(path).tiers[0].intervals[0].label == "dog (0.26)"


@pytest.mark.parametrize("ending", [".eaf", ".TextGrid", ".srt", ".vtt", ".txt"])
def test_a_recording_in_which_nothing_is_found_has_a_file_too(tape, tmp_path, ending):
    tiers = read_annotation(written(tape("a.wav", 3.0), tmp_path / f"a{ending}")).tiers
    assert [t.intervals for t in tiers] == [()] * (3 if ending in (".eaf", ".TextGrid") else 1)


def test_hits_of_a_query_that_overlap_are_one_interval(tape, tmp_path):
    heard = tape(
        "a.wav", 5.0, ("dog", 1.0, 2.0, 0.3), ("dog", 1.5, 2.5, 0.6), ("dog", 1.2, 1.4, 0.1), ("dog", 3.0, 3.5, 0.2)
    )
    tier = read_annotation(written(heard, tmp_path / "a.eaf", ["dog"])).tier("dog")
    assert [(i.start, i.end) for i in tier.intervals] == [(1.0, 2.5), (3.0, 3.5)]


@given(st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=5))
def test_whatever_is_asked_can_be_written(tmp_path_factory, names):
    folder = Path(tmp_path_factory.getbasetemp())
    hits = tuple(Hit("a.wav", name, k + 0.5, k + 1.0, 0.5) for k, name in enumerate(names))
    labels = labels_of(names)
    assert len(set(labels.values())) == len(names)
    for ending in (".eaf", ".TextGrid", ".srt", ".vtt", ".txt"):
        write_marks(Heard("a.wav", 10.0, hits), names, folder / f"any{ending}", folder / f"any{ending}")
        found = read_annotation(folder / f"any{ending}").tiers
        expected = [labels[n] if ending in (".eaf", ".TextGrid") else f"{labels[n]} (0.50)" for n in names]
        assert [i.label for t in found for i in t.intervals] == expected


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("a\nb", "a b"),
        ("  ", "?"),
        ("\x00x\u2028", "x"),
        ("1" * 120, "1" * 99),
        ("a-->b", "a→b"),
        ("نمی‌دانم", "نمی‌دانم"),
    ],
)
def test_labels_are_one_line_of_text(name, label):
    assert labels_of([name]) == {name: label}
    assert list(labels_of([name, label + " "]).values()) == [label, f"{label} (2)"]
