"""An index follows its folders: nothing is embedded again that need not be, and nothing leaves that is not gone."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookhear.errors import UserError
from lookhear.search import update
from lookhear.search.details import Details
from lookhear.search.index import open_index
from lookhear.search.update import index_files


@pytest.fixture
def embedded(monkeypatch):
    """Names of the files that were embedded, in the order in which they came out, since it was cleared."""
    names, real = [], update.embed_files

    def watched(*args, **options):
        for entry in real(*args, **options):
            names.append(Path(entry.path).name)
            yield entry

    monkeypatch.setattr(update, "embed_files", watched)
    return names


@pytest.fixture
def index(tiny_run, tmp_path):
    """``index(folder, …)`` → path of file → its vectors, after it was brought up to date; ``.said`` and ``.errors``."""

    def bring(*folders, **options):
        bring.said, bring.errors = [], []
        made = index_files(
            tiny_run, folders, tmp_path / "index", say=bring.said.append, on_error=bring.errors.append, **options
        )
        made.close()
        return held(tmp_path / "index")

    return bring


def held(path):
    index = open_index(path)
    out = {}
    for source in index.sources():
        hits = [source.hit(row) for row in range(source.id, source.id + source.rows)]
        out[source.path] = (index.pooled(hits), np.concatenate(index.local(hits)), index.texts(hits))
    index.close()
    return out


def same(a, b):
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    assert a[2] == b[2]


@pytest.fixture
def tapes(tmp_path, sound):
    """A folder with a short and a long recording, and a text."""
    sound("tapes/a.wav", 2.0, seed=1)
    sound("tapes/deep/b.flac", 9.0, seed=2)
    (tmp_path / "tapes" / "c.txt").write_text("a dog\na boat\n")
    return tmp_path / "tapes"


def test_what_is_new_is_added_and_what_is_known_is_left(index, tapes, sound, embedded):
    first = index(tapes)
    assert sorted(embedded) == ["a.wav", "b.flac", "c.txt"]
    embedded.clear()
    sound("tapes/d.wav", 1.0, seed=3)
    second = index(tapes)
    assert embedded == ["d.wav"]
    assert set(second) == {*first, str(tapes / "d.wav")}
    for path in first:
        same(first[path], second[path])
    assert index.said == ["1 added; 3 as they were"]


def test_what_changed_is_embedded_again(index, tapes, sound, embedded):
    first = index(tapes)
    embedded.clear()
    sound("tapes/a.wav", 3.0, seed=7)
    (tapes / "c.txt").write_text("a cat\n")
    second = index(tapes)
    assert sorted(embedded) == ["a.wav", "c.txt"]
    assert index.said == ["2 changed; 1 as they were"]
    assert second[str(tapes / "c.txt")][2] == ["a cat"]
    assert not np.allclose(first[str(tapes / "a.wav")][0], second[str(tapes / "a.wav")][0])


def test_what_was_only_touched_is_not_embedded_again(index, tapes, embedded):
    first = index(tapes)
    embedded.clear()
    os.utime(tapes / "a.wav", ns=(1, 5_000_000_000))
    second = index(tapes)
    assert embedded == []
    same(first[str(tapes / "a.wav")], second[str(tapes / "a.wav")])
    index(tapes)
    assert index.said == ["nothing new; 3 as they were"]


def test_what_moved_is_followed(index, tapes, embedded):
    first = index(tapes)
    embedded.clear()
    (tapes / "new").mkdir()
    shutil.move(tapes / "a.wav", tapes / "new" / "z.wav")
    (tapes / "deep").rename(tapes / "deeper")
    second = index(tapes)
    assert embedded == []
    assert index.said == ["2 moved; 1 as they were"]
    same(first[str(tapes / "a.wav")], second[str(tapes / "new" / "z.wav")])
    same(first[str(tapes / "deep" / "b.flac")], second[str(tapes / "deeper" / "b.flac")])
    assert len(second) == 3


def test_copies_share_what_was_embedded(index, tapes, embedded):
    first = index(tapes)
    embedded.clear()
    for name in ("a.wav", "c.txt"):
        shutil.copy(tapes / name, tapes / f"copy-{name}")
    shutil.copy(tapes / "deep" / "b.flac", tapes / "b2.flac")
    second = index(tapes)
    assert embedded == []
    assert index.said == ["3 copied; 3 as they were"]
    same(first[str(tapes / "a.wav")], second[str(tapes / "copy-a.wav")])
    same(first[str(tapes / "deep" / "b.flac")], second[str(tapes / "b2.flac")])
    same(first[str(tapes / "c.txt")], second[str(tapes / "copy-c.txt")])
    (tapes / "a.wav").unlink()
    third = index(tapes)  # the copy stands by itself
    same(first[str(tapes / "a.wav")], third[str(tapes / "copy-a.wav")])
    assert len(third) == 5


def test_files_that_change_names_among_each_other_are_followed(index, tapes, sound, embedded):
    """A rotation, as of log files: each takes the name of the one before, and a new one comes first."""
    for n in range(3):
        sound(f"tapes/r{n}.wav", 1.0 + n, seed=n + 20)
    first = index(tapes)
    embedded.clear()
    for n in (2, 1, 0):
        (tapes / f"r{n}.wav").rename(tapes / f"r{n + 1}.wav")
    sound("tapes/r0.wav", 1.5, seed=50)
    second = index(tapes)
    assert embedded == ["r0.wav"]
    for n in range(3):
        same(first[str(tapes / f"r{n}.wav")], second[str(tapes / f"r{n + 1}.wav")])
    embedded.clear()
    a, b, hold = tapes / "r2.wav", tapes / "r3.wav", tapes / "hold"
    a.rename(hold), b.rename(a), hold.rename(b)
    third = index(tapes)
    assert embedded == []
    same(second[str(a)], third[str(b)])
    same(second[str(b)], third[str(a)])
    assert len(third) == len(second) == 7


def test_what_is_gone_leaves_and_of_twins_both(index, tapes):
    shutil.copy(tapes / "a.wav", tapes / "twin.wav")
    index(tapes)
    (tapes / "a.wav").unlink()
    (tapes / "twin.wav").unlink()
    assert set(index(tapes)) == {str(tapes / "deep" / "b.flac"), str(tapes / "c.txt")}
    assert index.said == ["2 removed; 2 as they were"]


def test_what_cannot_be_read_keeps_what_it_had(index, tapes, embedded):
    first = index(tapes)
    (tapes / "a.wav").write_bytes(b"RIFF, but no more than that")
    second = index(tapes)
    (error,) = index.errors
    assert error.what.startswith(str(tapes / "a.wav"))
    same(first[str(tapes / "a.wav")], second[str(tapes / "a.wav")])
    assert index.said == ["nothing new; 2 as they were; 1 could not be read"]
    embedded.clear()
    index(tapes)
    assert len(index.errors) == 1  # and is tried again


def test_a_folder_that_cannot_be_listed_keeps_what_it_had(index, tapes, monkeypatch):
    first, real = index(tapes), os.scandir

    def closed(path="."):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    (tapes / "c.txt").unlink()
    second = index(tapes)
    assert [str(tapes / "deep") in e.what for e in index.errors] == [True]
    assert set(second) == {str(tapes / "a.wav"), str(tapes / "deep" / "b.flac")}
    same(first[str(tapes / "deep" / "b.flac")], second[str(tapes / "deep" / "b.flac")])


def test_an_empty_folder_takes_nothing_out(index, tapes, tmp_path):
    first = index(tapes)
    tapes.rename(tmp_path / "unplugged")
    with pytest.raises(UserError, match="no such file or folder"):
        index(tapes)
    tapes.mkdir()  # the place where a disk would be
    with pytest.raises(UserError, match="in this folder"):
        index(tapes)
    assert set(held(tmp_path / "index")) == set(first)


def test_folders_do_not_touch_each_other(index, tapes, sound, tmp_path, embedded):
    sound("other/x.wav", 1.0, seed=9)
    first = index(tapes, tmp_path / "other")
    embedded.clear()
    (tapes / "a.wav").unlink()
    (tmp_path / "other" / "x.wav").unlink()
    sound("other/y.wav", 1.2, seed=10)
    second = index(tmp_path / "other")
    assert embedded == ["y.wav"]
    assert set(second) == {*first, str(tmp_path / "other" / "y.wav")} - {str(tmp_path / "other" / "x.wav")}
    # A folder whose name begins as another's does is another.
    sound("tapes2/z.wav", 1.0, seed=11)
    assert str(tmp_path / "tapes2" / "z.wav") in index(tmp_path / "tapes2")
    assert str(tmp_path / "tapes2" / "z.wav") in index(tapes)


def test_single_files_take_nothing_out(index, tapes):
    index(tapes)
    (tapes / "c.txt").unlink()
    assert len(index(tapes / "a.wav")) == 3


def test_hidden_files_are_passed_over(index, tapes):
    shutil.copy(tapes / "a.wav", tapes / ".a.wav")
    (tapes / ".trash").mkdir()
    shutil.copy(tapes / "a.wav", tapes / ".trash" / "b.wav")
    assert len(index(tapes)) == 3


def test_details_are_renewed_without_embedding(index, tapes, tmp_path, embedded):
    index(tapes, details=Details({str(tapes / "a.wav"): {"speaker": "Anna"}}))
    embedded.clear()
    index(tapes, details=Details({str(tapes): {"language": "lt"}, str(tapes / "a.wav"): {"speaker": "Bo"}}))
    assert embedded == []
    by = {s.path: dict(s.details) for s in open_index(tmp_path / "index").sources()}
    assert by[str(tapes / "a.wav")] == {"language": "lt", "speaker": "Bo"}
    assert by[str(tapes / "c.txt")] == {"language": "lt"}


def test_a_stopped_run_goes_on_where_it_was(index, tapes, sound, monkeypatch, tmp_path, embedded):
    """Stopped at any file, and done again: each file is embedded once but for those of the last transaction."""
    for n in range(8):
        sound(f"tapes/{n}.wav", 1.0, seed=30 + n)
    monkeypatch.setattr(update, "_TOGETHER", 2)
    whole = update.embed_files

    def stopping(*args, **options):
        for n, entry in enumerate(whole(*args, **options)):
            if n == 5:
                raise KeyboardInterrupt
            yield entry

    monkeypatch.setattr(update, "embed_files", stopping)
    with pytest.raises(KeyboardInterrupt):
        index(tapes)
    assert len(held(tmp_path / "index")) == 4
    monkeypatch.setattr(update, "embed_files", whole)
    embedded.clear()
    assert len(index(tapes)) == 11
    assert len(embedded) == 7


def test_an_index_of_another_model_is_refused(index, tapes, tiny_run, tmp_path, monkeypatch):
    first = index(tapes)
    monkeypatch.setattr(update, "fingerprint", lambda model: "another")
    with pytest.raises(UserError, match="another model"):
        index(tapes)
    assert set(held(tmp_path / "index")) == set(first)


def test_an_index_on_a_server_follows_as_well(tiny_run, tapes, embedded):
    pytest.importorskip("qdrant_client")
    address = "qdrant://:memory:/follows"
    index_files(tiny_run, [tapes], address).close()
    first = held(address)
    embedded.clear()
    (tapes / "deep").rename(tapes / "deeper")
    shutil.copy(tapes / "a.wav", tapes / "twin.wav")
    (tapes / "c.txt").unlink()
    index_files(tiny_run, [tapes], address).close()
    second = held(address)
    assert embedded == []
    assert set(second) == {str(tapes / n) for n in ("a.wav", "twin.wav", "deeper/b.flac")}
    same(first[str(tapes / "a.wav")], second[str(tapes / "twin.wav")])
    same(first[str(tapes / "deep" / "b.flac")], second[str(tapes / "deeper" / "b.flac")])
