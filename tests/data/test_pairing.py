"""Which recordings are learned from what, drawn by a seed; and wrong pairs that are wrong in the way asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.data.pairing import Noise, Pairing, pair_up
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError

THINGS = [["dog"], ["dog", "cat"], ["cat", "sun"], ["dog", "cat", "sun"], ["boat"]]


def corpus(texts: bool = True) -> Corpus:
    rows = [{"id": f"p{g}", "group": f"g{g}", "image": {"path": f"{g}.png"}, "things": t} for g, t in enumerate(THINGS)]
    for g, shown in enumerate(THINGS):
        rows += [
            {
                "id": f"r{g}{k}",
                "group": f"g{g}",
                "audio": {"path": f"{g}{k}.wav"},
                "text": "said" if texts else None,
                "things": shown,
            }
            for k in range(8)
        ]
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), Path(), "c")


def paired(seed: int = 0, texts: bool = True, **more: object) -> Pairing:
    c = corpus(texts)
    return pair_up(c, c.recordings, c.pictures, seed, **more)  # type: ignore[arg-type]


def test_by_default_all_have_their_own_pictures() -> None:
    found, c = paired(), corpus()
    assert found.rows.tolist() == c.recordings.tolist()
    assert found.groups.tolist() == c.groups[c.recordings].tolist()
    assert found.pictured.all()
    assert not found.texted.any()


@settings(max_examples=60)
@given(st.integers(0, 9), st.integers(0, 40), st.integers(0, 40), st.booleans())
def test_shares(seed: int, pictured: int, texted: int, apart: bool) -> None:
    if not pictured + texted:
        with pytest.raises(UserError, match="no recording has a picture or a text"):
            paired(seed, pictured=0.0, texted=0.0, apart=apart)
        return
    found = paired(seed, pictured=pictured / 40, texted=texted / 40, apart=apart)
    assert found.pictured.sum() == pictured
    assert found.texted.sum() == texted
    common = (found.pictured & found.texted).sum()
    assert common == (max(0, pictured + texted - 40) if apart else min(pictured, texted))
    assert (found.pictured | found.texted).all()
    again = paired(seed, pictured=pictured / 40, texted=texted / 40, apart=apart)
    assert again.rows.tolist() == found.rows.tolist()


def test_more_of_one_keeps_what_was_there() -> None:
    some, more = paired(pictured=0.25), paired(pictured=0.5)
    assert set(some.rows.tolist()) < set(more.rows.tolist())


@pytest.mark.parametrize("kind", ["shuffled", "extra", "missing"])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_wrong_pairs_are_wrong_as_asked(kind: str, share: float) -> None:
    c = corpus()
    found = paired(noise=Noise(kind=kind, share=share))  # type: ignore[arg-type]
    own = c.groups[found.rows]
    changed = found.groups != own
    assert changed.sum() <= round(share * 40)
    assert changed.any()
    shown = {int(c.groups[p]): set(THINGS[i]) for i, p in enumerate(c.pictures.tolist())}
    for said, group in zip(own[changed].tolist(), found.groups[changed].tolist()):
        if kind == "extra":
            assert shown[said] < shown[group]
        elif kind == "missing":
            assert shown[said] & shown[group]
            assert not shown[said] <= shown[group]
    if kind == "shuffled":
        assert sorted(found.groups.tolist()) == sorted(own.tolist())
        assert changed.sum() > 0.5 * share * 40
    elif kind == "extra" and share == 1.0:  # nothing shows more than three things, and nothing else a boat
        assert not changed[np.isin(own, [3, 4])].any()
        assert changed[np.isin(own, [0, 1, 2])].all()


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"c: 20 recordings that data\.texted chose have no text"):
        paired(texts=False, texted=0.5)
    c = corpus()
    bare = Corpus(c.table.set_column(9, "things", pa.nulls(len(c), SCHEMA.field("things").type)), c.root, "c")
    with pytest.raises(UserError, match="noise of kind 'extra' needs the column 'things'"):
        pair_up(bare, bare.recordings, bare.pictures, 0, noise=Noise(kind="extra", share=0.5))
