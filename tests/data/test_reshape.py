"""Parts, unions and new splits of corpora: nothing lost, nothing that hangs together torn apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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
