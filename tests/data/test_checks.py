"""What is twice and what leaks is found, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.audio import load_audio
from lookhear.data.checks import SAME_BITS, SAME_SPECTRUM, _candidates, check, likeness
from lookhear.data.items import Item, Media
from lookhear.data.rows import EXTRA, Rows
from lookhear.data.schema import SCHEMA, Corpus

RNG = np.random.default_rng(0)


def corpus(rows: list[dict[str, Any]]) -> Corpus:
    return Corpus(pa.Table.from_pylist(rows, schema=pa.schema([*SCHEMA, *EXTRA])), Path(), "c")


def row(i: int, **change: Any) -> dict[str, Any]:
    return {
        "id": f"u{i}",
        "group": f"g{i // 2}",
        "split": "train" if i < 8 else "test",
        "speaker": f"s{i // 4}",
        "audio": {"path": None, "bytes": b"x"},
        "audio_hash": b"a%d" % i,
        "image_hash": b"i%d" % (i // 2),
        "image": {"path": f"{i // 2}.png", "bytes": b"y"},
        "seconds": 2.0,
        "sound_print": int(RNG.integers(0, 1 << 63)),
        **change,
    }


def clean() -> list[dict[str, Any]]:
    return [row(i) for i in range(16)]


def found(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    return {(f.kind, f.of): f.count for f in check(corpus(rows))}


def test_a_clean_corpus_has_no_findings() -> None:
    assert found(clean()) == {}


def test_each_fault_is_found_by_itself() -> None:
    rows = clean()
    rows[15]["image_hash"] = rows[0]["image_hash"]
    rows[15]["image"] = rows[0]["image"]
    assert found(rows) == {("leak", "picture"): 1}
    assert check(corpus(rows))[0].examples == (("u0", "u15"),)
    rows = clean()
    rows[2]["image_hash"] = rows[3]["image_hash"] = rows[0]["image_hash"]
    assert found(rows) == {("double", "picture"): 1}
    rows = clean()
    rows[2]["image"] = rows[3]["image"] = rows[0]["image"]
    assert found(rows) == {("clash", "picture name"): 1}
    rows = clean()
    rows[1]["audio_hash"] = rows[0]["audio_hash"]
    rows[5]["audio_hash"] = rows[4]["audio_hash"]
    assert found(rows) == {("double", "sound"): 2}
    rows = clean()
    rows[9]["audio_hash"] = rows[0]["audio_hash"]
    assert found(rows) == {("leak", "sound"): 1}
    rows = clean()
    rows[9]["speaker"] = "s0"
    assert found(rows) == {("leak", "speaker"): 1}


def test_findings_are_sentences() -> None:
    rows = clean()
    rows[9]["speaker"] = "s0"
    assert str(check(corpus(rows))[0]) == "1 speakers in several splits (u0 = u9)"


@settings(max_examples=60)
@given(st.sets(st.integers(0, 63), max_size=6), st.floats(0.9, 1.1))
def test_near_identical_sounds_in_two_splits(bits: set[int], longer: float) -> None:
    rows = clean()
    rows[12]["sound_print"] = rows[3]["sound_print"] ^ sum(1 << b for b in bits)
    rows[12]["seconds"] = 2.0 * longer
    alike = len(bits) <= SAME_BITS and abs(longer - 1) <= 0.02 * max(longer, 1)
    assert _candidates(corpus(rows)) == ([(3, 12)] if alike else [])


def test_all_pairs_are_compared_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 1 << 63, 41)
    rows = [
        row(
            i,
            split=("train", "test")[i % 2],
            sound_print=int(base[i % 41]) ^ (1 << int(rng.integers(64))),
            speaker=None,
        )
        for i in range(200)
    ]
    for r in rows:
        r["image"] = r["image_hash"] = None
    slow = sum(
        (a["sound_print"] ^ b["sound_print"]).bit_count() <= SAME_BITS and a["split"] != b["split"]
        for i, a in enumerate(rows)
        for b in rows[:i]
    )
    assert slow > 100
    assert len(_candidates(corpus(rows))) == slow


@pytest.fixture(scope="module")
def spoken(tiny_folder: Path) -> list[np.ndarray]:
    """Some captions, each said by another synthetic voice."""
    return [load_audio(p) for p in sorted(tiny_folder.rglob("*.flac"))[:6]]


def again(wave: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    changed = wave * 0.4
    if kind == "OGG":  # encoded with losses, later by 40 ms
        changed = np.concatenate([np.zeros(640, np.float32), changed])
    sf.write(buffer, changed, 16000, format=kind)
    return buffer.getvalue()


def test_one_sound_is_like_itself_and_unlike_others(spoken: list[np.ndarray]) -> None:
    for wave in spoken:
        assert likeness(wave, wave) == pytest.approx(1, abs=1e-6)
        assert likeness(wave, load_audio(again(wave, "OGG"))) > SAME_SPECTRUM
        assert likeness(wave, wave[:300]) < SAME_SPECTRUM
    apart = [likeness(a, b) for i, a in enumerate(spoken) for b in spoken[:i]]
    assert max(apart) < 0.7
    assert likeness(np.zeros(4000, np.float32), spoken[0]) == 0.0


def test_a_sound_that_was_encoded_again_leaks(spoken: list[np.ndarray]) -> None:
    rows = Rows(None)
    items = [Item(id=f"a{i}", split="train", audio=Media(data=again(w, "WAV"))) for i, w in enumerate(spoken)]
    items.append(Item(id="b2", split="test", audio=Media(data=again(spoken[2], "FLAC"))))
    items.append(Item(id="b3", split="test", audio=Media(data=again(spoken[3] * 0.5, "WAV"))))
    made = corpus([row for item in items if (row := rows.row(item)) is not None])
    (finding,) = check(made)
    assert (finding.kind, finding.of, finding.examples) == (
        "leak",
        "near-identical sound",
        (("a2", "b2"), ("a3", "b3")),
    )


def test_items_without_sound_or_picture_are_no_findings() -> None:
    rows = clean()
    for name in ("audio", "audio_hash", "seconds", "sound_print"):
        rows[3][name] = rows[12][name] = None
    for name in ("image", "image_hash", "split", "speaker"):
        rows[5][name] = None
    assert found(rows) == {}
    bare = [{"id": "a", "text": "a dog"}, {"id": "b", "text": "a cat"}]
    assert found(bare) == {}


def test_a_corpus_without_these_columns_is_looked_at_as_far_as_it_goes() -> None:
    table = corpus([row(0), row(9, speaker="s0")]).table.drop_columns([f.name for f in EXTRA])
    assert [(f.kind, f.of) for f in check(Corpus(table, Path(), "c"))] == [("leak", "speaker")]
