"""A journal gives back what was kept, to the bit, and nothing of a recording that changed or of another job."""

import os
from pathlib import Path

import pytest

from lookhear.errors import UserError
from lookhear.search.hits.journal import Journal, journal_beside

KEY, NAMES = {"model": "m", "list of queries": "q", "threshold": None}, ["dog", "boat"]


@pytest.fixture
def path(tmp_path):
    return journal_beside(tmp_path / "hits.csv")


@pytest.fixture
def heard(tape):
    return [
        tape("a.wav", 2.0, ("dog", 0.1 + 0.2, 1 / 3 + 0.5, 0.1, 2 / 3), ("boat", 1.0, 1.5, -0.25)),
        tape("b.wav", 3.0),
        tape("c.wav", 1.0, ("boat", 0.0, 0.5, 0.5, 0.5)),
    ]


def keep(path, heard, **more):
    with Journal(path, KEY, NAMES, **more) as journal:
        for each in heard:
            if journal[each.file] is None:
                journal.add(each)


def test_it_lies_beside_the_output():
    assert journal_beside(Path("/x/marks")).as_posix() == "/x/.marks.part.jsonl"


def test_what_was_kept_comes_back(path, heard):
    keep(path, heard[:2])
    with Journal(path, KEY, NAMES) as journal:
        assert [journal[h.file] for h in heard] == [heard[0], heard[1], None]


def test_names_are_given_as_they_are_asked_for(path, heard, tmp_path, monkeypatch):
    keep(path, heard)
    monkeypatch.chdir(tmp_path)
    found = Journal(path, KEY, NAMES)["a.wav"]
    assert found is not None
    assert {found.file, *(h.file for h in found.hits)} == {"a.wav"}


def test_a_recording_that_changed_is_heard_again(path, heard):
    keep(path, heard)
    told = Path(heard[0].file).stat()
    os.utime(heard[0].file, ns=(told.st_atime_ns, told.st_mtime_ns + 1))
    journal = Journal(path, KEY, NAMES)
    assert [journal[h.file] is None for h in heard] == [True, False, False]


def test_a_line_that_was_cut_off_is_dropped_and_written_over(path, heard):
    keep(path, heard[:2])
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    keep(path, heard[:2])
    assert path.read_bytes() == whole
    path.write_bytes(b'{"lookhear')
    keep(path, heard[:2])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({**KEY, "model": "other"}, "another model"),
        ({**KEY, "threshold": 0.5}, "another threshold"),
        ({**KEY, "model": "o", "list of queries": "o"}, "another model, another list of queries"),
    ],
)
def test_another_job_is_refused_or_begun_anew(path, heard, key, said):
    keep(path, heard)
    before = path.read_bytes()
    with pytest.raises(UserError, match=said):
        Journal(path, key, NAMES)
    with Journal(path, key, NAMES, anew=True) as journal:
        assert journal[heard[0].file] is None
        assert path.read_bytes() == before  # as long as nothing new was heard
        journal.add(heard[0])
    assert [Journal(path, key, NAMES)[h.file] is None for h in heard] == [False, True, True]


@pytest.mark.parametrize("text", ["hello\n", "[]\n", '{"lookhear spot": 1, "key": 3}\n', '{"a": 1}\n'])
def test_another_file_of_that_name_is_refused_and_kept(path, text):
    path.write_text(text)
    with pytest.raises(UserError, match="no journal"):
        Journal(path, KEY, NAMES)
    assert path.read_text() == text


def test_a_job_that_keeps_nothing_leaves_nothing(path, heard):
    with Journal(path, KEY, NAMES) as journal:
        assert journal[heard[0].file] is None
    assert not path.exists()


def test_a_full_disk_keeps_what_was_heard_before(path, heard, monkeypatch):
    keep(path, heard[:1])

    def refuse(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match="no space left"):
        keep(path, heard)
    monkeypatch.undo()
    assert Journal(path, KEY, NAMES)[heard[0].file] == heard[0]
    keep(path, heard)
    journal = Journal(path, KEY, NAMES)
    assert [journal[h.file] for h in heard] == heard
