"""An archive on full and closed disks, damaged, and as large as it should be: nothing lost, one line said."""

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from archives import check, contents, files, fill, put_all, refused
from made_up import ABOUT, DIM, Slow, entry, unit

from lookhear.errors import UserError
from lookhear.search.archive import archive, codec, nearest, tidy
from lookhear.search.archive.schema import DATABASE
from lookhear.search.index import Where, create_index, open_index

# Full and closed disks -----------------------------------------------------------------------------------------------


def test_a_full_disk_for_rows_keeps_what_was_committed(tmp_path, monkeypatch):
    path, real = tmp_path / "i", archive.connect
    fill(path, 0, 3).close()

    def small(folder, write=False):
        database = real(folder, write)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages + 8}")
        return database

    monkeypatch.setattr(archive, "connect", small)
    index = open_index(path)
    assert "no space left" in refused(put_all, index, files(3, 40), commit_after=1)
    held = contents(path)
    assert 3 < len(held) < 40
    check(held, range(len(held)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_vectors_keeps_what_was_committed(tmp_path, low):
    path = tmp_path / "i"
    fill(path, 0, 5).close()
    index = open_index(path)
    (old,) = path.glob("vectors-*")
    full = path / "vectors-2.faiss"
    said = refused(put_all, index, files(5, 12), before=lambda: full.symlink_to("/dev/full"))
    assert "cannot be written" in said
    assert "Free some space" in said
    check(contents(path), range(12))  # rows were committed before they were to be put away
    assert list(path.glob("vectors-*")) == [old]
    fill(path, 12, 14).close()
    check(contents(path), range(14))


def test_a_disk_that_fails_at_the_last_moment_keeps_what_was_committed(tmp_path, low, full_disk):
    with pytest.raises(UserError, match=r"cannot be written.*No space left"):
        fill(tmp_path / "i", 0, 5)
    full_disk.undo()
    if (tmp_path / "i" / "index.json").exists():
        check(contents(tmp_path / "i"), range(5))


@contextmanager
def tmpfs(size):
    """A disk of so many bytes; skips where none can be mounted."""
    folder = Path(tempfile.mkdtemp())
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("nothing can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.parametrize("size", [500_000, 700_000])
def test_a_disk_that_is_really_full(low, size):
    with tmpfs(size) as folder:
        index, many = create_index(folder / "i", ABOUT), [entry(f"/tapes/{n}.wav", n, seconds=30.0) for n in range(300)]
        said = refused(put_all, index, many, commit_after=1)
        assert "Free some space" in said or "Check the disk" in said
        index.close()
        held = open_index(folder / "i")
        names = [s.path for s in held.sources()]
        assert names == [e.path for e in many[: len(names)]]
        assert 0 < len(names) < 300
        assert len(held.search(unit(1), len(held))[0]) == len(held)
        held.close()


@contextmanager
def unprivileged():
    """As somebody whom permissions bind: root is not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def closed():
    """A folder that can be read and not be written."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_an_archive_that_cannot_be_written_is_searched_and_left_alone(closed, low):
    path = closed / "i"
    fill(path, 0, 5).close()
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    for p in path.iterdir():
        p.chmod(0o444)
    path.chmod(0o555)
    closed.chmod(0o555)
    with unprivileged():
        index = open_index(path)
        assert len(index.search(unit(1), 3)[0]) == 3
        check(contents(path), range(5))
        with pytest.raises(UserError, match="nothing can be written there") as e, index.writing() as writer:
            writer.put(files(5, 6)[0])
        assert "\n" not in str(e.value)
        with pytest.raises(UserError, match="cannot be written"):
            create_index(closed / "new", ABOUT)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before


# Damage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 99}, "format 99"), ({"engine": "lance"}, "engine 'lance'"), ({"dim": None}, "damaged")],
)
def test_another_version_is_refused(tmp_path, change, message):
    fill(tmp_path / "i", 0, 2).close()
    path = tmp_path / "i" / "index.json"
    about = {k: v for k, v in (json.loads(path.read_text()) | change).items() if v is not None}
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match=message):
        open_index(tmp_path / "i")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', "\x00\xff"])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    fill(tmp_path / "i", 0, 2).close()
    (tmp_path / "i" / "index.json").write_text(text)
    with pytest.raises(UserError, match=r"index\.json: damaged"):
        open_index(tmp_path / "i")


def test_a_lost_manifest_is_no_leave_to_delete_the_rest(tmp_path):
    fill(tmp_path / "i", 0, 2).close()
    (tmp_path / "i" / "index.json").rename(tmp_path / "index.json")
    with pytest.raises(UserError, match="no index"):
        open_index(tmp_path / "i")
    with pytest.raises(UserError, match=r"index\.json is missing"):
        create_index(tmp_path / "i", ABOUT)
    (tmp_path / "index.json").rename(tmp_path / "i" / "index.json")
    check(contents(tmp_path / "i"), range(2))


@pytest.mark.parametrize("left", ["index.json.part", DATABASE, f"{DATABASE}-journal", ".writing"])
def test_what_a_process_left_that_was_killed_making_it_is_no_hindrance(tmp_path, left):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / left).write_bytes(b"")
    fill(tmp_path / "i", 0, 2).close()
    check(contents(tmp_path / "i"), range(2))


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no index"):
        create_index(tmp_path, ABOUT)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_database_of_another_version_is_refused(tmp_path):
    fill(tmp_path / "i", 0, 2).close()
    with sqlite3.connect(tmp_path / "i" / DATABASE) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(UserError, match="version 9"):
        open_index(tmp_path / "i")


@pytest.mark.parametrize("how", ["missing", "overwritten", "cut"])
def test_a_damaged_database_is_refused(tmp_path, low, how):
    fill(tmp_path / "i").close()
    path = tmp_path / "i" / DATABASE
    if how == "missing":
        path.unlink()
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 3] if how == "cut" else b"no database " * 2000)
    assert "damaged" in refused(contents, tmp_path / "i")


@pytest.mark.parametrize("how", ["missing", "overwritten", "cut"])
def test_a_damaged_file_of_vectors_is_refused(tmp_path, low, how):
    fill(tmp_path / "i").close()
    (path,) = (tmp_path / "i").glob("vectors-*")
    data = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(data[: len(data) // 2] if how == "cut" else b"no vectors" * 100)
    with pytest.raises(UserError, match=r"vectors-\d+\.faiss: damaged or missing") as e:
        open_index(tmp_path / "i")
    assert "\n" not in str(e.value)


# Size and form -------------------------------------------------------------------------------------------------------


def test_bytes_of_a_row(tmp_path, monkeypatch):
    """A row is its vector, a byte a value, its number, and the frames of two seconds, so many bytes each; what comes
    to that is a page or two for each table, the codec, and a tenth."""
    for module, name, value in ((nearest, "SEALED", 100), (tidy, "FITTED", 1500), (codec, "STAGES", 2)):
        monkeypatch.setattr(module, name, value)
    index = create_index(tmp_path / "i", ABOUT)
    with index.writing() as writer:
        for n in range(40):
            writer.put(entry(f"/tapes/{n}.wav", n, seconds=100.0))
            if n % 8 == 7:
                writer.commit()
    frames = 40 * 100 / ABOUT["step"]
    needed = len(index) * (DIM + 8) + frames * (codec.STAGES + 1)
    size = sum(p.stat().st_size for p in (tmp_path / "i").iterdir())
    assert needed < size < 1.1 * needed + 20 * 16_384
    with index.writing() as writer:
        for source in index.sources()[:30]:
            writer.remove(source)
    left = sum(p.stat().st_size for p in (tmp_path / "i").iterdir())
    assert left < size - 0.6 * needed  # what was taken out gives its place back


def test_deep_pages_are_whole(tmp_path, monkeypatch):
    """All rows are found when all are asked for, though a few lists are looked through for a few."""
    monkeypatch.setattr(nearest, "SEALED", 100)
    monkeypatch.setattr(nearest, "PROBED", 2)
    monkeypatch.setattr(nearest, "EXACT", 10)
    index = create_index(tmp_path / "i", ABOUT)
    with index.writing() as writer:
        for n in range(30):
            writer.put(entry(f"/{'ab'[n % 2]}/{n}.txt", n, texts=["a line"] * 40))
    for where, count in ((None, 1200), (Where(folder="/a"), 600)):
        for k in (1, 100, 500, 5000):
            for hits in index.search(unit(3), k, where):
                assert len({h.row for h in hits}) == len(hits) == min(k, count)
                assert all(where is None or h.file.startswith("/a/") for h in hits)


def test_vectors_unlike_the_first_ones_are_not_cut_off(tmp_path, monkeypatch):
    """Recordings in one corner of the space, then pictures in another: both are found as they are."""
    monkeypatch.setattr(nearest, "SEALED", 100)
    index = create_index(tmp_path / "i", ABOUT)
    first, second = np.eye(DIM, dtype=np.float32)[:2]
    slow = Slow()
    for corner, name in ((first, "a"), (second, "b")):
        with index.writing() as writer:
            for n in range(150):
                vectors = 0.2 * unit(1, n) + corner
                made = entry(f"/{name}{n}.png", n)
                made = type(made)(made.path, made.hash, 1, 1, "image", 0.0, vectors / np.linalg.norm(vectors))
                writer.put(made)
                slow.put(made)
    for query in (first, second, unit(1, 5)[0]):
        scores = slow.scores(query)
        for hit in index.search(query[None], 300)[0]:
            assert hit.score == pytest.approx(scores[hit.row], abs=0.02)


# What frames are quantised by ----------------------------------------------------------------------------------------


def test_short_recordings_train_the_codec_on_as_many_frames_as_long_ones(tmp_path, low, monkeypatch, capfd):
    """Chunks of short recordings are not full: so many chunks are few frames."""
    given = []
    train = tidy.train_codec
    monkeypatch.setattr(tidy, "train_codec", lambda local: given.append(len(local)) or train(local))
    index = create_index(tmp_path / "i", ABOUT)
    with index.writing() as writer:
        for n in range(60):  # 25 frames each
            writer.put(entry(f"/words/{n}.wav", n, seconds=1.0))
    index.close()
    (frames,) = given
    assert 2 * tidy.FITTED <= frames <= 60 * 25
    assert capfd.readouterr() == ("", "")


def test_an_archive_that_somebody_fills_is_not_discarded(tmp_path):
    for name, filled in (("empty", False), ("filled", True)):
        index = create_index(tmp_path / name, ABOUT)
        if filled:
            with index.writing() as writer:
                writer.put(entry("/tapes/a.wav", 1, seconds=2.0))
        index.close()
        archive.ArchiveIndex.discard(tmp_path / name)
        assert (tmp_path / name).exists() == filled
    refusal = pytest.raises(UserError, match="another process is writing")
    with create_index(tmp_path / "busy", ABOUT).writing(), refusal:
        archive.ArchiveIndex.discard(tmp_path / "busy")
    assert (tmp_path / "busy" / "index.json").exists()
