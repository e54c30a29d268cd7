"""What a format cannot say is refused by name, and nothing is left where it was to be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lookhear.data.annotations import SUFFIXES, Annotation, Interval, Tier, read_annotation, write_annotation
from lookhear.errors import UserError


def made(*intervals: tuple[str, float, float], name: str = "words") -> Annotation:
    return Annotation((Tier(name, tuple(Interval(*i) for i in intervals)),))


TWO = Annotation((Tier("a", (Interval("x", 0, 1),)), Tier("b", ())))
REFUSED = [
    ("overlap", ".TextGrid", made(("a", 0, 1), ("b", 0.5, 2)), "'a' and 'b' overlap at 0.5 s"),
    ("overlap", ".eaf", made(("a", 0, 1), ("b", 0.5, 2)), "'a' and 'b' overlap at 0.5 s"),
    ("blank", ".TextGrid", made(("", 0, 1)), "has no label"),
    ("mixed", ".TextGrid", made(("a", 0, 1), ("b", 2, 2)), "both points and intervals"),
    ("two points", ".TextGrid", made(("a", 1, 1), ("b", 1, 1)), "two points at 1 s"),
    ("no end", ".TextGrid", made(), "a TextGrid of 0 s"),
    ("point", ".eaf", made(("a", 1, 1)), "lasts 0 s to 3 decimals"),
    ("short", ".srt", made(("a", 1, 1.0001)), "lasts 0 s to 3 decimals"),
    ("name", ".eaf", made(name=""), "a tier called ''"),
    ("twice", ".csv", Annotation((Tier("a", ()), Tier("a", ()))), "two tiers called 'a'"),
    ("empty", ".csv", TWO, "tier 'b' is empty"),
    ("empty", ".ctm", TWO, "tier 'b' is empty"),
    ("blanks", ".ctm", made(("a b", 0, 1)), "a word 'a b'"),
    ("media", ".ctm", Annotation((Tier("a", ()),), media="a b.wav"), "a recording 'a b'"),
    ("tiers", ".srt", TWO, "an SRT file holds one tier, not 2"),
    ("tiers", ".vtt", TWO, "a WebVTT file holds one tier, not 2"),
    ("tiers", ".txt", TWO, "an Audacity label track holds one tier, not 2"),
    ("lines", ".txt", made(("a\nb", 0, 1)), "a label of several lines"),
    ("empty line", ".srt", made(("a\n\nb", 0, 1)), "an empty line, which ends"),
    ("arrow", ".vtt", made(("a-->b", 0, 1)), "an arrow, which ends"),
    ("white space", ".csv", made((" a", 0, 1)), "white space at the ends"),
    ("control", ".eaf", made(("a\x01", 0, 1)), "control characters"),
    ("surrogate", ".txt", made(("a\ud800", 0, 1)), "control characters"),
    ("backwards", ".csv", made(("a", 1, 0.5)), "no sound times"),
    ("not a number", ".srt", made(("a", float("nan"), 1)), "no sound times"),
    ("ending", ".xyz", made(), "no annotation format has the ending '.xyz'"),
]


@pytest.mark.parametrize(
    ("ending", "annotation", "message"), [r[1:] for r in REFUSED], ids=[f"{r[1][1:]} {r[0]}" for r in REFUSED]
)
def test_what_a_format_cannot_say_is_refused_by_name(
    ending: str, annotation: Annotation, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as e:
        write_annotation(annotation, tmp_path / f"a{ending}")
    assert e.value.what.startswith(str(tmp_path / f"a{ending}"))
    assert e.value.fix
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    for ending in SUFFIXES:
        with pytest.raises(UserError, match="cannot be read"):
            read_annotation(tmp_path / f"none{ending}")
        with pytest.raises(UserError, match="cannot be written"):
            write_annotation(made(("a", 0, 1)), tmp_path / "none" / f"a{ending}")


def test_formats_whose_library_is_not_installed_name_the_extra(tmp_path: Path) -> None:
    code = """
import sys, pathlib
for name in ("praatio", "praatio.textgrid", "pympi", "pympi.Elan", "srt", "webvtt"):
    sys.modules[name] = None
from lookhear.data.annotations import *
from lookhear.errors import UserError
folder = pathlib.Path(sys.argv[1])
words = Annotation((Tier("words", (Interval("a", 0.0, 1.0),)),))
for ending in (".TextGrid", ".eaf", ".srt", ".vtt"):
    try:
        write_annotation(words, folder / ("a" + ending))
    except UserError as e:
        assert e.fix == "pip install 'lookhear[annotations]'", e
        print(ending)
for ending in (".ctm", ".txt", ".csv"):
    write_annotation(words, folder / ("a" + ending))
    assert read_annotation(folder / ("a" + ending)).tier().intervals == words.tiers[0].intervals
"""
    found = subprocess.run([sys.executable, "-c", code, tmp_path], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == [".TextGrid", ".eaf", ".srt", ".vtt"]
