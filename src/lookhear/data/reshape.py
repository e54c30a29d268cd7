"""Prepared corpora made of prepared corpora: parts of one, several as one, and other splits that do not leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookhear.data.schema import SCHEMA, Corpus
from lookhear.data.store import write_table
from lookhear.data.tally import picture_numbers, valid
from lookhear.errors import UserError, did_you_mean

__all__ = ["UNITS", "merge", "split", "subset"]

UNITS: Mapping[str, tuple[str, ...]] = {
    "random": ("audio_hash",),
    "picture": ("group", "image_hash", "audio_hash"),
    "speaker": ("speaker", "audio_hash"),
    "both": ("group", "image_hash", "speaker", "audio_hash"),
}
"""What stays together when a corpus is split: items that have any value of these columns in common."""
KEPT_ONCE = ("image", "vector")
"""Columns that only the first of several items of a picture has, inside a prepared corpus."""


def subset(
    corpus: Corpus,
    out: Path,
    where: Mapping[str, Sequence[str]],
    most: int | None = None,
    seed: int = 0,
    having: Sequence[str] = (),
) -> Path:
    """The items whose columns have one of the values given; of those, ``most`` whole groups drawn at random.

    Args:
        having: columns that must have a value, whichever: "audio" keeps the recordings.

    Raises:
        UserError: no such column or value, or nothing is left.
    """
    rows = np.ones(len(corpus), dtype=bool)
    for name, values in where.items():
        column = pa.array([None if v is None else str(v) for v in corpus.column(name)])
        for value in values:
            known = column.unique().to_pylist()
            if value not in known:
                raise UserError(
                    f"{corpus.name}: no item has {name} {value!r}", did_you_mean(value, {k for k in known if k})
                )
        rows &= pc.is_in(column, pa.array(list(values))).to_numpy(zero_copy_only=False)
    for name in having:
        if name not in corpus.table.column_names:
            corpus.column(name)  # says which there are
        rows &= corpus.table[name].is_valid().to_numpy()
    if most is not None:
        groups = np.unique(corpus.groups[rows])
        drawn = np.random.default_rng(seed).permutation(groups)[:most]
        rows &= np.isin(corpus.groups, drawn)
    if not rows.any():
        raise UserError(f"{corpus.name}: nothing is left", "Ask for less.")
    kept = np.flatnonzero(rows)
    table = _with_pictures(corpus, kept, np.zeros(len(kept), dtype=np.int64))
    return write_table(table, out, _meta(corpus))


def merge(corpora: Sequence[Corpus], out: Path) -> Path:
    """Several corpora as one. Ids and groups get their corpus's name before them, ``NAME/ID``.

    Raises:
        UserError: two of one name, media that are not all inside, or columns of one name and different types.
    """
    names = [c.name for c in corpora]
    if len(set(names)) < len(names):
        raise UserError(f"two corpora are called {max(names, key=names.count)!r}", "Give them different names.")
    for corpus in corpora:
        if _outside(corpus):
            raise UserError(f"{corpus.name}: its sounds and pictures lie elsewhere", "Prepare it without --paths.")
    tables = []
    for corpus in corpora:
        table = corpus.table
        for column in ("id", "group"):
            told = pc.binary_join_element_wise(corpus.name, table[column], "/")
            table = table.set_column(table.schema.get_field_index(column), column, told)
        tables.append(table)
    try:
        whole = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as e:
        raise UserError(f"{', '.join(names)}: columns that do not go together ({e})", "Leave one out.") from None
    return write_table(whole, out, {"name": "+".join(names), "merged": names})


def split(corpus: Corpus, out: Path, by: str, shares: Mapping[str, float], seed: int = 0) -> Path:
    """The same items with splits drawn anew, so that nothing of one split is in another.

    Items that share a value of any column of ``UNITS[by]`` stay together. Units are dealt in random order, each to the
    split that is furthest behind its share of the items.

    Raises:
        UserError: no such way, shares that are none, or fewer units than splits.
    """
    if by not in UNITS:
        raise UserError(f"no way {by!r} to split", did_you_mean(by, UNITS))
    if not shares or min(shares.values()) <= 0:
        raise UserError(f"shares {dict(shares)}", "Give each split a share above 0.")
    units = _units(corpus, [c for c in UNITS[by] if c in corpus.table.column_names])
    count = np.bincount(units)
    if len(count) < len(shares):
        raise UserError(
            f"{corpus.name}: everything hangs together in {len(count)} units by {by}, too few for {len(shares)} splits",
            "Split by something else.",
        )
    names, total = list(shares), sum(shares.values())
    wanted = np.array([shares[n] / total for n in names]) * len(corpus)
    have, to = np.zeros(len(names)), np.zeros(len(count), dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(count))
    for unit in order:
        to[unit] = int(np.argmax((wanted - have) / wanted))
        have[to[unit]] += count[unit]
    told = pa.array([names[i] for i in to[units]])
    table = _with_pictures(corpus, np.arange(len(corpus)), to[units])
    table = table.set_column(SCHEMA.get_field_index("split"), "split", told)
    return write_table(table, out, _meta(corpus) | {"split": {"by": by, "shares": dict(shares), "seed": seed}})


def _with_pictures(corpus: Corpus, kept: NDArray[np.int64], parts: NDArray[np.int64]) -> pa.Table:
    """The rows that are kept, in parts that must each be whole.

    A picture lies with the first of its items. Where that is in another part, or not kept, the first item of the same
    picture and group that is in this part gets it.

    Args:
        kept: (K,) rows.
        parts: (K,) the part that each belongs to.
    """
    table = corpus.take(kept).table
    pictures, groups = picture_numbers(corpus).tolist(), corpus.groups.tolist()
    for name in KEPT_ONCE:
        has = valid(corpus.table[name])
        givers = {(groups[row], pictures[row]): row for row in np.flatnonzero(has)[::-1].tolist()}
        there = {(p, groups[row], pictures[row]) for p, row in zip(parts.tolist(), kept.tolist()) if has[row]}
        source = kept.copy()
        for place, (part, row) in enumerate(zip(parts.tolist(), kept.tolist())):
            key = (groups[row], pictures[row])
            if pictures[row] >= 0 and key in givers and (part, *key) not in there:
                there.add((part, *key))
                source[place] = givers[key]
        if (source != kept).any():
            given = corpus.take(source).table
            for column in (name, "image_hash") if name == "image" else (name,):
                if column in table.column_names:
                    table = table.set_column(table.schema.get_field_index(column), column, given[column])
    return table


def _units(corpus: Corpus, columns: Sequence[str]) -> NDArray[np.int64]:
    """(rows,) a number each: equal for rows that hang together by values of these columns."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(corpus)
    rows, places, size = [np.arange(n)], [np.arange(n)], n
    for name in columns:
        codes = corpus.table[name].combine_chunks().dictionary_encode().indices
        valid = codes.is_valid().to_numpy(zero_copy_only=False)
        found = codes.fill_null(0).to_numpy()[valid].astype(np.int64)
        rows.append(np.flatnonzero(valid))
        places.append(found + size)
        size += int(found.max(initial=-1)) + 1
    a, b = np.concatenate(rows), np.concatenate(places)
    _, label = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)
    return np.unique(label[:n], return_inverse=True)[1]


def _outside(corpus: Corpus) -> bool:
    """Whether some sounds or pictures are files that lie elsewhere."""
    for name in ("audio", "image"):
        media = corpus.table[name]
        inside = pc.is_valid(pc.struct_field(media, "bytes"))
        if pc.any(pc.and_(pc.is_valid(media), pc.invert(inside))).as_py():
            return True
    return False


def _meta(corpus: Corpus) -> dict[str, Any]:
    kept = {k: v for k, v in corpus.meta.items() if k not in ("schema", "shards", "prepared", "problems")}
    kept["name"] = corpus.name
    if _outside(corpus):
        kept["media root"] = str(corpus.root.resolve())
    return kept
