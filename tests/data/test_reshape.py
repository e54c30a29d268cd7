"""Parts, unions and new splits of corpora: nothing lost, nothing that hangs together torn apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data import reshape
from lookhear.data.checks import check
from lookhear.data.read import open_corpus
from lookhear.data.reshape import UNITS, merge, split, subset
from lookhear.data.schema import Corpus
from lookhear.data.store import read_store, write_corpus
from lookhear.errors import UserError

Rows = list[dict[str, Any]]


def rows(n: int = 24, seed: int = 0) -> Rows:
    """Items of some pictures, speakers and sounds, drawn at random."""
    rng = np.random.default_rng(seed)
    return [
        {
            "id": f"u{i}",
            "group": f"g{rng.integers(n // 2)}",
            "speaker": f"s{rng.integers(n // 3)}",
            "split": ("train", "test")[i % 2],
            "text": f"text {i}",
            "audio": {"path": None, "bytes": b"sound %d" % i},
        }
        for i in range(n)
    ]


def corpus(folder: Path, items: Rows, name: str = "c") -> Corpus:
    return read_store(write_corpus(items, folder, {"name": name, "words": {"spoken": ["dog"]}}))


def test_a_part_by_columns(tmp_path: Path) -> None:
    items = rows()
    whole = corpus(tmp_path / "whole", items)
    part = read_store(subset(whole, tmp_path / "part", {"split": ["test"], "speaker": ["s1", "s2", "s3"]}))
    wanted = [r for r in items if r["split"] == "test" and r["speaker"] in ("s1", "s2", "s3")]
    assert part.column("id") == [r["id"] for r in wanted]
    assert part.column("audio") == [r["audio"] for r in wanted]
    assert part.meta["words"] == {"spoken": ["dog"]}
    with pytest.raises(UserError, match=r"no item has split 'tset'.*did you mean 'test'"):
        subset(whole, tmp_path / "x", {"split": ["tset"]})
    with pytest.raises(UserError, match="no column 'spilt'"):
        subset(whole, tmp_path / "x", {"spilt": ["test"]})
    assert not (tmp_path / "x").exists()


def test_a_part_that_has_recordings(tmp_path: Path) -> None:
    items = [r if i % 3 else {**r, "audio": None} for i, r in enumerate(rows())]
    whole = corpus(tmp_path / "whole", items)
    part = read_store(subset(whole, tmp_path / "part", {"split": ["test"]}, having=["audio", "text"]))
    assert part.column("id") == [r["id"] for r in items if r["audio"] and r["split"] == "test"]
    with pytest.raises(UserError, match=r"no column 'adio'.*did you mean 'audio'"):
        subset(whole, tmp_path / "x", {}, having=["adio"])


def test_a_part_at_random_keeps_whole_groups(tmp_path: Path) -> None:
    items = rows()
    whole = corpus(tmp_path / "whole", items)
    part = read_store(subset(whole, tmp_path / "part", {}, most=4, seed=1))
    groups = set(part.column("group"))
    assert len(groups) == 4
    assert part.column("id") == [r["id"] for r in items if r["group"] in groups]
    again = read_store(subset(whole, tmp_path / "again", {}, most=4, seed=1))
    other = read_store(subset(whole, tmp_path / "other", {}, most=4, seed=2))
    assert set(again.column("group")) == groups != set(other.column("group"))


def test_several_as_one(tmp_path: Path) -> None:
    a, b = corpus(tmp_path / "a", rows(6), "a"), corpus(tmp_path / "b", rows(5, 1), "b")
    both = read_store(merge([a, b], tmp_path / "both"))
    assert both.column("id") == [f"a/u{i}" for i in range(6)] + [f"b/u{i}" for i in range(5)]
    assert both.column("group") == [f"a/{g}" for g in a.column("group")] + [f"b/{g}" for g in b.column("group")]
    assert both.column("audio") == a.column("audio") + b.column("audio")
    with pytest.raises(UserError, match="two corpora are called 'a'"):
        merge([a, b, a], tmp_path / "c")


def test_what_lies_elsewhere_goes_along_but_is_not_merged(tmp_path: Path, tiny_folder: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    sound = next(p for p in sorted(tiny_folder.rglob("*.flac")))
    (folder / "a.flac").write_bytes(sound.read_bytes())
    (folder / "m.csv").write_text("id,audio,text\na,a.flac,a dog\nb,a.flac,a cat\n")
    raw = open_corpus(folder)
    part = read_store(subset(raw, tmp_path / "deep" / "part", {"id": ["b"]}))
    path = part.media("audio", 0)
    assert isinstance(path, Path)
    assert path.samefile(folder / "a.flac")
    with pytest.raises(UserError, match="lie elsewhere"):
        merge([raw, corpus(tmp_path / "c", rows(4))], tmp_path / "x")


def spoken_pictures() -> Rows:
    """As ``prepare`` leaves captions: a picture's bytes with its first recording alone, or in a row of its own."""
    sound = {"path": None, "bytes": b"sound"}
    items: Rows = []
    for k in range(6):
        shown = {"image": {"path": f"{k}.png", "bytes": b"%d" % k}, "image_hash": b"%016d" % k}
        for n, who in enumerate(("ann", "ben")):
            lies = shown if not n else {"image_hash": shown["image_hash"]}
            items.append({"id": f"{k}_{n}", "group": f"g{k}", "speaker": who, "audio": sound, "text": "x", **lies})
    for k in range(6, 9):
        items.append({"id": f"{k}", "group": f"g{k}", "image": {"path": f"{k}.png", "bytes": b"%d" % k}})
        items += [
            {"id": f"{k}_{w}", "group": f"g{k}", "speaker": w, "audio": sound, "text": "x"} for w in ("ann", "ben")
        ]
    return items


def shown(corpus: Corpus) -> dict[str, bytes]:
    """Group → its picture."""
    groups = corpus.column("group")
    return {groups[row]: corpus.media("image", int(row)) for row in corpus.pictures}  # type: ignore[misc]


def whole_pictures(folder: Path) -> Corpus:
    extra = [pa.field("image_hash", pa.binary())]
    return read_store(write_corpus(spoken_pictures(), folder, {"name": "c"}, extra=extra))


def test_a_part_keeps_the_pictures_of_its_recordings(tmp_path: Path) -> None:
    whole = whole_pictures(tmp_path / "whole")
    part = read_store(subset(whole, tmp_path / "part", {"speaker": ["ben"]}))
    assert part.column("id") == [r["id"] for r in spoken_pictures() if r.get("speaker") == "ben"]
    assert shown(part) == shown(whole)
    assert len(part.pictures) == 9


@pytest.mark.parametrize("by", ["speaker", "random"])
def test_each_new_split_keeps_the_pictures_of_its_recordings(tmp_path: Path, by: str) -> None:
    whole = whole_pictures(tmp_path / "whole")
    made = read_store(split(whole, tmp_path / "made", by, {"train": 1, "test": 1}, seed=1))
    assert made.column("id") == whole.column("id")
    for name in ("train", "test"):
        some = made.select(name)
        assert set(some.column("group")) == set(shown(some))
        assert shown(some).items() <= shown(whole).items()
        assert len(some.pictures) == len(shown(some))  # each but once


def test_where_a_group_has_several_pictures_none_is_guessed(tmp_path: Path) -> None:
    items = [{"id": f"p{k}", "group": "seven", "image": {"path": None, "bytes": b"%d" % k}} for k in range(3)]
    items += [{"id": "u", "group": "seven", "speaker": "ann", "text": "seven"}]
    part = read_store(subset(corpus(tmp_path / "c", items), tmp_path / "part", {"speaker": ["ann"]}))
    assert len(part.pictures) == 0


@pytest.mark.parametrize("by", ["picture", "speaker", "both"])
def test_chains_of_things_in_common_stay_together(tmp_path: Path, by: str) -> None:
    """a and b share a picture, b and c a speaker, c and d a sound, d and e a group: by all of these, one unit."""
    chain = [
        {"group": "g1", "speaker": "s1", "image_hash": b"A", "audio_hash": b"1"},
        {"group": "g2", "speaker": "s2", "image_hash": b"A", "audio_hash": b"2"},
        {"group": "g3", "speaker": "s2", "image_hash": b"B", "audio_hash": b"3"},
        {"group": "g4", "speaker": "s3", "image_hash": b"C", "audio_hash": b"3"},
        {"group": "g4", "speaker": "s4", "image_hash": b"D", "audio_hash": b"4"},
    ]
    items: Rows = [
        {"id": f"{k}_{n}", **{c: v if isinstance(v, bytes) else f"{k}{v}" for c, v in row.items()}}
        for k in range(8)
        for n, row in enumerate(chain)
    ]
    for k in range(8):
        for row in items[5 * k : 5 * k + 5]:
            row.update({c: b"%d" % k + row[c] for c in ("image_hash", "audio_hash")})
    extra = [pa.field(name, pa.binary()) for name in ("image_hash", "audio_hash")]
    whole = read_store(write_corpus(items, tmp_path / "whole", {"name": "c"}, extra=extra))
    made = read_store(split(whole, tmp_path / "made", by, {"train": 1, "val": 1, "test": 1}, seed=2))
    leaks = {f.of for f in check(made) if f.kind == "leak"}
    assert leaks <= {"picture": {"speaker"}, "speaker": {"picture"}, "both": set()}[by]
    if by == "both":
        told = made.column("split")
        assert all(len(set(told[5 * k : 5 * k + 5])) == 1 for k in range(8))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    by=st.sampled_from(sorted(UNITS)),
    shares=st.lists(st.integers(1, 8), min_size=1, max_size=3),
)
def test_new_splits_do_not_leak(
    tmp_path_factory: pytest.TempPathFactory, seed: int, by: str, shares: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    items = rows(30, seed)
    named = {f"p{i}": float(s) for i, s in enumerate(shares)}
    whole = corpus(folder / "whole", items)
    columns = [c for c in UNITS[by] if c in whole.table.column_names]
    if reshape._units(whole, columns).max() + 1 < len(named):
        with pytest.raises(UserError, match="too few"):
            split(whole, folder / "made", by, named, seed)
        return
    made = read_store(split(whole, folder / "made", by, named, seed))
    assert made.column("id") == whole.column("id")
    told = made.column("split")
    assert set(told) == set(named)
    for column in UNITS[by]:
        if column in whole.table.column_names:
            places: dict[str, set[str]] = {}
            for value, name in zip(whole.column(column), told, strict=True):
                places.setdefault(value, set()).add(name)
            assert all(len(p) == 1 for p in places.values()), column
    if by == "speaker":
        assert ("leak", "speaker") not in {(f.kind, f.of) for f in check(made)}


def test_shares_are_kept_where_units_are_small(tmp_path: Path) -> None:
    items = [{"id": f"u{i}", "group": f"g{i}"} for i in range(100)]
    made = read_store(split(corpus(tmp_path / "c", items), tmp_path / "m", "picture", {"a": 8, "b": 1, "c": 1}))
    told = made.column("split")
    assert [told.count(n) for n in "abc"] == [80, 10, 10]
    assert told != sorted(told)


@pytest.mark.parametrize(
    ("by", "shares", "said"),
    [
        ("speakers", {"a": 1.0}, "did you mean 'speaker'"),
        ("speaker", {"a": 0.0}, "above 0"),
        ("speaker", {}, "above 0"),
        ("picture", {f"s{i}": 1.0 for i in range(40)}, "too few"),
    ],
)
def test_wrong_wishes(tmp_path: Path, by: str, shares: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        split(corpus(tmp_path / "c", rows()), tmp_path / "m", by, shares)
    assert not (tmp_path / "m").exists()
