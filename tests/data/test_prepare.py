"""Raw corpora made prepared ones: whole, in order, the same bytes however often they were stopped."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookhear.audio import load_audio
from lookhear.data import prepare as preparing
from lookhear.data.items import Item, Media, Problems
from lookhear.data.prepare import PROBLEMS, prepare
from lookhear.data.prints import sound_print
from lookhear.data.read import open_corpus
from lookhear.data.rows import Rows
from lookhear.data.store import read_store
from lookhear.errors import UserError

RATE = 16000


def sound(seed: int, seconds: float = 0.3) -> bytes:
    buffer = io.BytesIO()
    wave = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    sf.write(buffer, wave, RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (9, 8, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Seven pictures with two recordings each, and a manifest."""
    folder = tmp_path / "raw"
    (folder / "wav").mkdir(parents=True)
    rows = []
    for k in range(14):
        (folder / "wav" / f"{k}.wav").write_bytes(sound(k))
        if k % 2 == 0:
            (folder / f"{k // 2}.png").write_bytes(picture(k // 2))
        rows.append(
            {
                "id": f"u{k}",
                "audio": f"wav/{k}.wav",
                "image": f"{k // 2}.png",
                "group": f"g{k // 2}",
                "text": f"word {k}",
                "split": "test" if k > 11 else "train",
                "speaker": "anna" if k % 2 else "ben",
                "words": [{"word": "word", "start": 0.1, "end": 0.2}],
                "votes": k,
            }
        )
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def rewrite(raw: Path, change: Any) -> None:
    lines = (raw / "manifest.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    change(rows)
    (raw / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def problems(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / PROBLEMS).read_text().splitlines()]


def content(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def make(raw: Path, out: Path, **how: Any) -> Any:
    return prepare(raw, out, **{"workers": 0, "progress": False, **how})


def test_it_holds_what_the_manifest_says(raw: Path, tmp_path: Path) -> None:
    made, told = make(raw, tmp_path / "c"), open_corpus(raw)
    for name in ("id", "group", "split", "text", "speaker", "words", "votes"):
        assert made.column(name) == told.column(name), name
    for row in range(14):
        assert made.media("audio", row) == (raw / "wav" / f"{row}.wav").read_bytes()
        assert made.table["seconds"][row].as_py() == pytest.approx(0.3)
    assert made.media("image", 2) == (raw / "1.png").read_bytes()
    assert len(made.pictures) == 7
    assert made.table["image_hash"][2] == made.table["image_hash"][3]
    assert problems(tmp_path / "c") == []
    assert not (tmp_path / "c" / ".work").exists()


def test_a_second_item_of_one_id_is_refused_however_many_lie_between() -> None:
    ids = np.random.default_rng(0).integers(0, 60_000, 90_000).astype(str).tolist()
    noted = Problems()
    assert [item.id for item in preparing._unique((Item(i) for i in ids), noted)] == list(dict.fromkeys(ids))
    assert noted.refused == len(ids) - len(set(ids)) > 0


@pytest.mark.parametrize("what", ["sound", "picture", "text", "nothing"])
def test_the_fingerprint_tells_other_contents_of_the_same_ids(raw: Path, tmp_path: Path, what: str) -> None:
    before = make(raw, tmp_path / "a").fingerprint()
    if what == "sound":
        (raw / "wav" / "3.wav").write_bytes(sound(99))
    elif what == "picture":
        (raw / "1.png").write_bytes(picture(99))
    elif what == "text":
        rewrite(raw, lambda r: r[3].update(text="other"))
    assert (make(raw, tmp_path / "b").fingerprint() == before) is (what == "nothing")


def test_media_may_stay_where_they_are(raw: Path, tmp_path: Path) -> None:
    made = make(raw, tmp_path / "deep" / "c", inside=False)
    assert made.column("audio")[3] == {"path": "wav/3.wav", "bytes": None}
    assert made.media("audio", 3) == raw.resolve() / "wav" / "3.wav"
    assert len(made.pictures) == 7
    assert made.media("image", 5) == raw.resolve() / "2.png"


KILLED = """
import sys
from pathlib import Path
from lookhear.data import prepare as preparing
preparing.SHARD_ROWS = 2
preparing.prepare(Path(sys.argv[1]), Path(sys.argv[2]), workers=int(sys.argv[3]), progress=False)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(raw: Path, tmp_path: Path, workers: int) -> None:
    """SIGKILL to all its processes, at moments spread over the time that it takes."""

    def start(out: Path) -> subprocess.Popen[bytes]:
        out.parent.mkdir(exist_ok=True)
        call = [sys.executable, "-c", KILLED, str(raw), str(out), str(workers)]
        return subprocess.Popen(call, start_new_session=True)

    began = time.monotonic()
    assert start(tmp_path / "whole" / "c").wait() == 0
    took = time.monotonic() - began
    for moment in np.random.default_rng(workers).uniform(0.4, 1.0, 5):
        process = start(tmp_path / "killed" / "c")
        time.sleep(moment * took)
        with contextlib.suppress(ProcessLookupError):  # it was faster this time
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(tmp_path / "killed" / "c").wait() == 0
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 4, 5])
def test_stopped_anywhere_it_ends_with_the_same_bytes(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, stop: int
) -> None:
    monkeypatch.setattr(preparing, "SHARD_ROWS", 3)
    make(raw, tmp_path / "whole" / "c")
    write, done = preparing.write_shard, []

    def dies(rows: Any, schema: Any, folder: Path, number: int) -> Any:
        if number == stop:
            next(iter(rows))
            (folder / f"items-{number:05d}.arrow").write_bytes(b"half")
            raise KeyboardInterrupt
        return write(rows, schema, folder, number)

    with monkeypatch.context() as m:
        m.setattr(preparing, "write_shard", dies)
        if stop < 5:
            with pytest.raises(KeyboardInterrupt):
                make(raw, tmp_path / "c")
    monkeypatch.setattr(preparing, "write_shard", lambda *a: (done.append(a[3]), write(*a))[1])
    make(raw, tmp_path / "c", workers=workers)
    assert content(tmp_path / "c") == content(tmp_path / "whole" / "c")
    if not workers and stop < 5:
        assert done == list(range(stop, 5))
    make(raw, tmp_path / "c", workers=workers)  # finished already
    assert content(tmp_path / "c") == content(tmp_path / "whole" / "c")


def test_a_shard_holds_so_many_items_or_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "SHARD_ROWS", 3)
    monkeypatch.setattr(preparing, "SHARD_BYTES", 10)
    sizes = [1, 1, 1, 1, 9, 1, 20, 4, 4, 1, 1]
    items = [Item(id=str(i), audio=Media(data=b"x" * n)) for i, n in enumerate(sizes)]
    parts = [[len(i.audio.data or b"") for i in p if i.audio] for p in preparing._parts(iter(items))]
    assert parts == [[1, 1, 1], [1, 9], [1, 20], [4, 4, 1], [1]]


def test_a_list_that_changed_meanwhile_is_read_anew(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "SHARD_ROWS", 3)

    def dies(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(preparing, "_problems", dies)
        with pytest.raises(KeyboardInterrupt):
            make(raw, tmp_path / "c")
    rewrite(raw, lambda rows: rows[4].update(text="another"))
    assert make(raw, tmp_path / "c").column("text")[4] == "another"


def test_a_file_that_was_mended_after_strict_complained(raw: Path, tmp_path: Path) -> None:
    (raw / "wav" / "5.wav").write_bytes(b"")
    with pytest.raises(UserError, match="empty recording"):
        make(raw, tmp_path / "c", strict=True)
    (raw / "wav" / "5.wav").write_bytes(sound(5))
    assert len(make(raw, tmp_path / "c", strict=True)) == 14


def test_what_was_begun_from_elsewhere_is_not_touched(raw: Path, tmp_path: Path) -> None:
    other = tmp_path / ".c.part" / ".work"
    other.mkdir(parents=True)
    (other / "job.json").write_text("{}")
    with pytest.raises(UserError, match="begun from another source"):
        make(raw, tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "letter.txt").write_text("dear diary")
    with pytest.raises(UserError, match="exists and is not empty"):
        make(raw, tmp_path / "d")


BROKEN = {
    "no such file": (lambda raw: (raw / "wav" / "5.wav").unlink(), "no such file"),
    "0 bytes": (lambda raw: (raw / "wav" / "5.wav").write_bytes(b""), "empty recording"),
    "cut header": (lambda raw: (raw / "wav" / "5.wav").write_bytes(sound(5)[:30]), "recording"),
    "cut": (lambda raw: (raw / "wav" / "5.wav").write_bytes(sound(5)[:-999]), "truncated"),
    "climbs": (lambda raw: rewrite(raw, lambda r: r[5].update(audio="../other.wav")), "climbs out"),
    "not JSON": (
        lambda raw: (raw / "manifest.jsonl").write_text(
            (raw / "manifest.jsonl").read_text().replace('{"id": "u5"', '{"id": "u5')
        ),
        "not JSON",
    ),
    "twice": (lambda raw: rewrite(raw, lambda r: r[5].update(id="u4")), "a second item 'u4'"),
    "type": (lambda raw: rewrite(raw, lambda r: r[5].update(words=[{"word": "a", "start": "x", "end": 1}])), "numbers"),
}


@pytest.mark.parametrize("harm", BROKEN)
def test_an_item_that_is_wrong_is_refused_and_told_of(raw: Path, tmp_path: Path, harm: str) -> None:
    spoil, said = BROKEN[harm]
    spoil(raw)
    made = make(raw, tmp_path / "c")
    assert made.column("id") == [f"u{k}" for k in range(14) if k != 5]
    (problem,) = problems(tmp_path / "c")
    assert said in problem["what"]
    assert problem["fix"]
    assert (problem["file"], problem["line"], problem["done"]) == (str(raw / "manifest.jsonl"), 6, "refused")
    assert made.meta["problems"] == {"refused": 1, "repaired": 0}
    with pytest.raises(UserError, match=said):
        make(raw, tmp_path / "strict", strict=True)


@pytest.mark.parametrize("harm", ["not a picture", "bomb"])
def test_a_picture_that_is_wrong_refuses_its_items(raw: Path, tmp_path: Path, harm: str) -> None:
    data = b"not a picture"
    if harm == "bomb":
        buffer = io.BytesIO()
        Image.new("1", (20000, 20000)).save(buffer, "PNG")
        data = buffer.getvalue()
    (raw / "2.png").write_bytes(data)
    made = make(raw, tmp_path / "c")
    assert made.column("id") == [f"u{k}" for k in range(14) if k not in (4, 5)]
    assert [p["id"] for p in problems(tmp_path / "c")] == ["u4", "u5"]


def test_nothing_readable_is_an_error_that_tells_the_first_problem(raw: Path, tmp_path: Path) -> None:
    for path in (raw / "wav").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no item could be read as manifest; the first problem: .*empty recording"):
        make(raw, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def item(**change: Any) -> Item:
    return Item(**{"id": "a", "audio": Media(data=sound(0, 1.0)), "file": "list.txt", "line": 3, **change})


def test_word_times_are_mended_by_rule() -> None:
    words = [
        ("late", 0.5, 0.6),
        ("first", 0.0, 0.2),
        ("over", 0.9, 1.05),
        ("far", 0.9, 1.2),
        ("after", 1.5, 1.6),
        ("back", 0.4, 0.3),
        ("minus", -0.1, 0.2),
        ("nan", float("nan"), 0.3),
    ]
    rows = Rows(None)
    row = rows.row(item(words=words))
    assert row is not None
    assert [(w["word"], w["start"], w["end"]) for w in row["words"]] == [
        ("first", 0.0, 0.2),
        ("late", 0.5, 0.6),
        ("over", 0.9, 1.0),
    ]
    assert [p.done for p in rows.problems] == ["repaired"] * 6
    assert [w for w in ("far", "after", "back", "minus", "nan") if any(f"{w!r}" in p.what for p in rows.problems)] == [
        "far",
        "after",
        "back",
        "minus",
        "nan",
    ]


def test_a_picture_of_two_groups_is_in_both_and_once_in_each() -> None:
    for media in (Media(data=picture(0)), Media(data=picture(0), name="p.png")):
        rows = Rows(None)
        made = [rows.row(Item(id=str(i), group=g, image=media)) for i, g in enumerate("aabb")]
        assert [r["image"] is not None for r in made if r] == [True, False, True, False]
        assert len({r["image_hash"] for r in made if r}) == 1


def test_a_stretch_of_a_recording() -> None:
    whole = sound(0, 2.0)
    row = Rows(None).row(item(audio=Media(data=whole, start=0.5, end=1.25)))
    assert row is not None
    cut = load_audio(row["audio"]["bytes"])
    assert np.abs(cut - load_audio(whole)[8000:20000]).max() < 1e-4
    assert row["seconds"] == 0.75
    for start, end in ((1.9, 2.5), (0.5, 0.5), (3.0, 4.0), (-1.0, 1.0)):
        rows = Rows(None)
        assert rows.row(item(audio=Media(data=whole, start=start, end=end))) is None
        assert "no sound from" in rows.problems[0].what


def test_text_that_is_no_unicode_is_refused() -> None:
    rows = Rows(None)
    assert rows.row(item(text="a\udc80b")) is None
    assert "Unicode" in rows.problems[0].what


@settings(max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=30), st.just(b'{"id": "%d", "text": "a dog"}')), max_size=12))
def test_every_line_is_an_item_or_a_problem(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    from lookhear.data.corpora.manifest import open_raw

    folder = tmp_path_factory.mktemp("lines")
    flat = [line.replace(b"\n", b" ").replace(b"%d", b"%d" % i) for i, line in enumerate(lines)]
    flat = [b'{"id": "first", "text": "a cat"}', *flat]
    (folder / "m.jsonl").write_bytes(b"\n".join(flat) + b"\n")
    noted = Problems()
    items = list(open_raw(folder, {}).items(noted))
    assert len(items) + noted.refused == sum(bool(line.strip()) for line in flat)


def test_prints_of_near_identical_sounds_differ_in_few_bits() -> None:
    rng = np.random.default_rng(0)
    apart, alike = [], []
    for _ in range(20):
        t = np.arange(2 * RATE) / RATE
        wave = sum(
            np.sin(2 * np.pi * f * t) * (1 + np.sin(2 * np.pi * rng.uniform(1, 6) * t + rng.uniform(0, 6)))
            for f in rng.uniform(150, 5000, 12)
        )
        wave = (wave / np.abs(wave).max() + rng.normal(0, 0.05, len(t))).astype(np.float32)
        buffer = io.BytesIO()
        sf.write(buffer, wave * 0.4, RATE, format="OGG")
        again = load_audio(buffer.getvalue())
        alike.append((sound_print(wave) ^ sound_print(again[: len(wave)])).bit_count())
        apart.append(sound_print(wave))
    between = [(a ^ b).bit_count() for i, a in enumerate(apart) for b in apart[:i]]
    assert max(alike) <= 6
    assert min(between) > max(alike)


def test_the_prepared_corpus_is_read_where_it_lies(raw: Path, tmp_path: Path) -> None:
    make(raw, tmp_path / "c")
    moved = (tmp_path / "c").rename(tmp_path / "elsewhere")
    assert read_store(moved).media("audio", 0) == sound(0)
