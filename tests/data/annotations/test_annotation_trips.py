"""What is written is read again: any tiers in every format that can hold them, and word times of real recordings."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data.annotations import Annotation, Interval, Tier, read_annotation, write_annotation
from lookhear.errors import UserError

ENDINGS = [".TextGrid", ".eaf", ".ctm", ".srt", ".vtt", ".txt", ".csv"]
NAMED = {".TextGrid", ".eaf", ".ctm", ".csv"}
MILLISECONDS = {".eaf", ".srt", ".vtt"}

letters = st.characters(blacklist_categories=("Cs", "Cc", "Cn", "Zl", "Zp"))
words = st.one_of(
    st.sampled_from(
        ['say "hi"', '"', "item [1]:", 'text = "a"', "a < b & c > d", "日本語", "مرحبا", "5", "!x", "\\", ";;", "a,b"]
    ),
    st.text(letters, min_size=1, max_size=12).map(str.strip).filter(bool),
)
broken = st.builds("\n".join, st.lists(words, min_size=1, max_size=3))


@st.composite
def tiers(
    draw: st.DrawFn, label: st.SearchStrategy[str], overlap: bool, empty: bool, step: int
) -> tuple[Interval, ...]:
    """Intervals at whole multiples of ``step`` microseconds: adjacent, apart, and (``overlap``) across each other."""
    at, made = 0, []
    for text in draw(st.lists(label, min_size=0 if empty else 1, max_size=6)):
        at += draw(st.sampled_from([0, 0, 1, 700, 12345]))
        end = at + draw(st.sampled_from([1, 2, 333, 10**6]))
        made.append(Interval(text, at * step / 1e6, end * step / 1e6))
        at = at + 1 if overlap else end
    return tuple(sorted(made, key=lambda i: (i.start, i.end)))


def there_and_back(annotation: Annotation, ending: str) -> Annotation:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        write_annotation(annotation, path)
        assert [p.name for p in Path(folder).iterdir()] == [path.name]
        return read_annotation(path)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_tiers_come_back(ending: str, data: st.DataObject) -> None:
    label = {".ctm": words.map(lambda w: "_".join(w.split(" "))), ".txt": words}.get(ending, broken)
    overlap = ending not in (".TextGrid", ".eaf")
    several = ending in NAMED
    empty = ending not in (".ctm", ".csv")
    step = 1000 if ending in MILLISECONDS else 1
    names = data.draw(st.lists(words, min_size=1, max_size=3 if several else 1, unique=True))
    if ending == ".ctm":
        names = sorted({"_".join(n.split(" ")) for n in names})
    made = Annotation(tuple(Tier(n, data.draw(tiers(label, overlap, empty, step))) for n in names), duration=20.0)

    if ending in (".srt", ".vtt") and any("-->" in i.label for t in made.tiers for i in t.intervals):
        with pytest.raises(UserError, match="arrow"):
            there_and_back(made, ending)
        return
    back = there_and_back(made, ending)
    assert len(back.tiers) == len(made.tiers)
    if several and len(names) > 1:
        assert [t.name for t in back.tiers] == names
    for before, after in zip(made.tiers, back.tiers):
        assert [i.label for i in after.intervals] == [i.label for i in before.intervals]
        for one, two in zip(before.intervals, after.intervals):
            assert two.start == pytest.approx(one.start, abs=1e-9)
            assert two.end == pytest.approx(one.end, abs=1e-9)


@settings(max_examples=100)
@given(
    times=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0.0011, 50)), min_size=1, max_size=5),
    ending=st.sampled_from([".ctm", ".srt", ".vtt", ".txt", ".csv"]),
)
def test_any_times_are_kept_to_the_precision_of_the_format(times: list[tuple[float, float]], ending: str) -> None:
    intervals = tuple(Interval("x", a, a + b) for a, b in sorted(times))
    back = there_and_back(Annotation((Tier("words", intervals),)), ending).tier()
    within = 0.000501 if ending in MILLISECONDS else 0.0000006
    ours = sorted((round(i.start, 3), round(i.end, 3)) for i in intervals) if ending in MILLISECONDS else None
    for one, two in zip(sorted(intervals, key=lambda i: i.start), sorted(back.intervals, key=lambda i: i.start)):
        assert abs(one.start - two.start) <= within
    if ours is not None:
        assert sorted((i.start, i.end) for i in back.intervals) == ours


def test_points_and_intervals_of_a_textgrid_keep_their_tiers() -> None:
    made = Annotation(
        (
            Tier("bells", (Interval("ding", 0.5, 0.5), Interval("", 0.7, 0.7), Interval('d"ong', 1.25, 1.25))),
            Tier("words", (Interval("a", 0.0, 0.5), Interval("b", 0.5, 2.0))),
            Tier("none", ()),
        ),
        duration=2.0,
    )
    assert there_and_back(made, ".TextGrid") == made


def test_a_textgrid_is_read_by_praatio_too(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    made = Annotation((Tier("words", (Interval("ačiū", 0.25, 0.5), Interval('a "b"', 0.5, 1.0))),), duration=2.0)
    write_annotation(made, tmp_path / "a.TextGrid")
    tier = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=True).getTier("words")
    assert [tuple(e) for e in tier.entries] == [
        (0.0, 0.25, ""),
        (0.25, 0.5, "ačiū"),
        (0.5, 1.0, 'a "b"'),
        (1.0, 2.0, ""),
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_was_there_is_replaced_whole_or_not_at_all(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    write_annotation(Annotation((Tier("words", (Interval("old", 0.0, 1.0),)),), duration=1.0), path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="ends at"):
        write_annotation(Annotation((Tier("words", (Interval("new", 1.0, 0.5),)),), duration=1.0), path)
    assert path.read_bytes() == before
    write_annotation(Annotation((Tier("words", (Interval("new", 0.0, 1.0),)),), duration=1.0), path)
    assert read_annotation(path).tier().intervals == (Interval("new", 0.0, 1.0),)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def shared(name: str) -> Path:
    root = Path(os.environ.get("LOOKHEAR_DATA") or Path(__file__).parents[4] / "shared" / "data")
    if not (root / name / "manifest.jsonl").is_file():
        pytest.skip(f"no data set {name} (LOOKHEAR_DATA, or ../shared/data)")
    return root / name


@pytest.mark.shared
@pytest.mark.parametrize("ending", [".TextGrid", ".eaf", ".ctm"])
def test_real_word_times_are_intact_to_the_millisecond(ending: str, tmp_path: Path) -> None:
    lines = (shared("word-times-lt") / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    compared = 0
    for line in lines:
        row = json.loads(line)
        said = tuple(Interval(w["text"], w["start_s"], w["end_s"]) for w in row["words"])
        made = Annotation((Tier("words", said),), media=row["file"], duration=row["duration_s"])
        path = tmp_path / f"{row['id']}{ending}"
        if ending == ".ctm":
            with pytest.raises(UserError, match="'į viršų'; in a CTM file blanks end it"):
                write_annotation(made, path)
            made = Annotation(
                (Tier("words", tuple(replace(i, label=i.label.replace(" ", "_")) for i in said)),), media=row["file"]
            )
        write_annotation(made, path)
        back = read_annotation(path)
        assert [i.label for i in back.tier("words").intervals] == [i.label for i in made.tier().intervals]
        for before, after in zip(said, back.tier("words").intervals):
            assert round(after.start * 1000) == round(before.start * 1000)
            assert round(after.end * 1000) == round(before.end * 1000)
            compared += 1
        media = {".TextGrid": None, ".eaf": row["file"], ".ctm": Path(row["file"]).stem}
        assert back.media == media[ending]
    assert compared == 20 * len(lines) > 0
