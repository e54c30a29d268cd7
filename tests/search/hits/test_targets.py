"""What is written where: endings, formats, folders, names that are made distinct, and what is refused beforehand."""

import os
from pathlib import Path

import pytest

from lookhear.errors import UserError
from lookhear.search.hits.targets import KINDS, check_places, targets_of

ONE, TWO = [Path("a/tape.wav")], [Path("a/tape.wav"), Path("b/tape.flac")]


@pytest.mark.parametrize(("kind", "ending"), KINDS.items())
def test_endings_tell_the_format(kind, ending):
    (target,) = targets_of([Path(f"hits{ending.upper()}")], None, ONE)
    assert (target.kind, target.files) == (kind, (Path(f"hits{ending.upper()}"),))


def test_files_of_a_folder_are_called_like_the_recordings_each_by_a_name_of_its_own(tmp_path):
    recordings = [Path(p) for p in ("a/tape.wav", "b/Tape.flac", "c/tape-2.wav", "d/tape.ogg", "e/other.wav")]
    (target,) = targets_of([tmp_path / "marks"], "eaf", recordings)
    assert [f.name for f in target.files] == ["tape.eaf", "Tape-2.eaf", "tape-2-2.eaf", "tape-3.eaf", "other.eaf"]
    assert target.each


def test_several_outputs_and_the_format_of_those_that_tell_none(tmp_path):
    targets = targets_of([Path("hits.csv"), tmp_path, Path("page.html")], "textgrid", TWO)
    assert [t.kind for t in targets] == ["csv", "textgrid", "html"]
    assert targets[1].files == (tmp_path / "tape.TextGrid", tmp_path / "tape-2.TextGrid")


@pytest.mark.parametrize(
    ("outs", "kind", "recordings", "said"),
    [
        (["hits"], None, ONE, "--format"),
        (["hits.xyz"], None, ONE, "'.xyz'"),
        (["hits.csv"], "eaf", ONE, "rename"),
        (["hits.eaf"], None, TWO, "--out hits --format eaf"),
        (["{folder}"], None, ONE, "is a folder"),
        (["{folder}"], "csv", ONE, "hits.csv"),
        (["{file}"], "eaf", TWO, "no folder"),
    ],
)
def test_what_cannot_be_written_so(tmp_path, outs, kind, recordings, said):
    (tmp_path / "file").touch()
    outs = [Path(o.format(folder=tmp_path, file=tmp_path / "file")) for o in outs]
    with pytest.raises(UserError) as error:
        targets_of(outs, kind, recordings)
    assert said in str(error.value)


def test_what_is_there_is_refused(tmp_path):
    targets = targets_of([tmp_path / "marks", tmp_path / "hits.csv"], "srt", TWO)
    check_places(targets)
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "other.srt").touch()
    check_places(targets)
    (tmp_path / "marks" / "tape-2.srt").touch()
    with pytest.raises(UserError, match=r"tape-2\.srt exists\. .*--overwrite"):
        check_places(targets)
    (tmp_path / "hits.csv").touch()
    with pytest.raises(UserError, match=r"and 1 more"):
        check_places(targets)
    check_places(targets, overwrite=True)


def test_a_place_that_cannot_be_is_told_beforehand(tmp_path):
    (tmp_path / "file").touch()
    check_places(targets_of([tmp_path / "new" / "deep" / "hits.csv"], None, TWO))
    with pytest.raises(UserError, match="nothing can be written there"):
        check_places(targets_of([tmp_path / "file" / "hits.csv"], None, TWO), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_a_recording_that_no_file_can_name():
    recording = Path(os.fsdecode(b"t\xffpe.wav"))
    assert targets_of([], None, [recording]) == []
    with pytest.raises(UserError, match="not UTF-8"):
        targets_of([Path("hits.csv")], None, [recording])
