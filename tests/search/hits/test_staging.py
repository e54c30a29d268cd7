"""Files written together: all of them or none."""

import os

import pytest

from lookhear.errors import UserError
from lookhear.search.hits.staging import staged


def write_all(files, overwrite=False, fail=False):
    with staged(files, overwrite) as parts:
        for file, part in parts.items():
            part.write_text(file.name)
        if fail:
            raise KeyboardInterrupt


def test_all_take_their_places_and_folders_are_made(tmp_path):
    files = [tmp_path / "new" / "deep" / "a.eaf", tmp_path / "b.csv"]
    write_all(files)
    assert [f.read_text() for f in files] == ["a.eaf", "b.csv"]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.eaf", "b.csv", "deep", "new"]


def test_nothing_stays_of_what_was_stopped(tmp_path):
    (tmp_path / "b.csv").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_all([tmp_path / "new" / "a.eaf", tmp_path / "b.csv"], overwrite=True, fail=True)
    assert [(p.name, p.read_text()) for p in tmp_path.rglob("*")] == [("b.csv", "old")]


def test_a_full_disk_keeps_what_was_there(tmp_path, full_disk):
    (tmp_path / "b.csv").write_text("old")
    with pytest.raises(UserError, match="no space left"):
        write_all([tmp_path / "a.eaf", tmp_path / "b.csv"], overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.rglob("*")] == [("b.csv", "old")]


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    def meanwhile():
        with staged([tmp_path / "a.csv"], False) as parts:
            parts[tmp_path / "a.csv"].write_text("new")
            (tmp_path / "a.csv").write_text("theirs")

    with pytest.raises(UserError, match="meanwhile"):
        meanwhile()
    assert [(p.name, p.read_text()) for p in tmp_path.rglob("*")] == [("a.csv", "theirs")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write"):
        write_all([tmp_path / "a.csv"])
