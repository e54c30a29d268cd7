"""What the columns of a corpus say, row by row: which picture, how many seconds, which words.

Sounds and pictures are not touched, but for the headers of sounds whose lengths no column tells.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["HEADERS", "Bools", "Ints", "count_words", "numbered", "picture_numbers", "seconds_of", "valid"]

HEADERS = 3000
"""How many sound files are opened at most for lengths that no column tells."""
_TEXTS = 1 << 16  # how many are cut into words at once
_LETTERS = r"\p{L}\p{M}\p{N}_"

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def picture_numbers(corpus: Corpus) -> Ints:
    """(rows,) the number of the picture that each row shows or is a caption of; -1 where there is none.

    Equal bytes (by the column ``image_hash``), or else equal paths, are one picture. A row without a picture belongs
    to that of its group, if the group shows one alone. Where there are image vectors in place of pictures, a group has
    one.
    """
    table, rows, groups = corpus.table, np.arange(len(corpus)), corpus.groups
    shown = valid(table["image"])
    paths, names = numbered(pc.struct_field(table["image"], "path"))
    picture = np.where(shown, np.where(paths >= 0, paths, len(names) + rows), -1)
    if "image_hash" in table.column_names:
        hashes, _ = numbered(table["image_hash"])
        picture = np.where(hashes >= 0, len(names) + len(rows) + hashes, picture)
    if not (picture >= 0).any():
        picture = np.where(valid(table["vector"]), groups, -1)
    pairs = np.unique(np.stack([groups, picture])[:, picture >= 0], axis=1)
    alone = np.full(int(groups.max(initial=0)) + 1, -1)
    first, start, count = np.unique(pairs[0], return_index=True, return_counts=True)
    alone[first[count == 1]] = pairs[1][start[count == 1]]
    picture = np.where(picture >= 0, picture, alone[groups])
    numbers = np.unique(picture, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return numbers - 1 if (picture < 0).any() else numbers


def valid(column: pa.ChunkedArray) -> Bools:
    return np.asarray(column.is_valid().to_numpy(), dtype=bool)


def numbered(column: pa.ChunkedArray) -> tuple[Ints, list[Any]]:
    """(rows,) a number for each different value, -1 for null; and the values, in the order in which they come."""
    values = column.unique().drop_null()
    found = pc.fill_null(pc.index_in(column, value_set=values), -1)
    return found.to_numpy().astype(np.int64), values.to_pylist()


def seconds_of(corpus: Corpus, heard: Bools, notes: list[str]) -> NDArray[np.float64]:
    """(rows,) lengths of the recordings; NaN where there is none, or it is not known."""
    seconds, table = np.full(len(corpus), np.nan), corpus.table
    # In a manifest a column of this name may hold anything.
    if "seconds" in table.column_names and (
        pa.types.is_floating(table["seconds"].type) or pa.types.is_integer(table["seconds"].type)
    ):
        seconds = pc.fill_null(pc.cast(table["seconds"], pa.float64(), safe=False), np.nan).to_numpy().copy()
    seconds[~(heard & np.isfinite(seconds) & (seconds > 0))] = np.nan
    missing = np.flatnonzero(heard & np.isnan(seconds))
    if not len(missing):
        return seconds
    from lookhear.audio import samples_of
    from lookhear.core import RATE

    chosen = missing[np.unique(np.linspace(0, len(missing) - 1, min(HEADERS, len(missing))).round().astype(int))]
    wrong = list[str]()
    for row in chosen:
        try:
            samples = samples_of(corpus.media("audio", row), name=str(table["id"][int(row)]))
            if not 0 < samples < 1 << 48:  # what the library says of a stream without an end
                raise UserError(f"{table['id'][int(row)]}: a recording of unknown length", "Write it again as WAV.")
            seconds[row] = samples / RATE
        except UserError as e:
            wrong.append(e.what)
    read = f"all {len(chosen):,}" if len(chosen) == len(missing) else f"{len(chosen):,} of {len(missing):,}"
    note = f"No column tells the lengths of {len(missing):,} recordings: the headers of {read} were read"
    notes.append(note + (", evenly spread; hours are estimated from them." if len(chosen) < len(missing) else "."))
    if wrong:
        notes.append(f"{len(wrong):,} of them could not be opened; the first: {wrong[0]}.")
    return seconds


def count_words(texts: pa.ChunkedArray, mask: Bools) -> Counter[str]:
    """How often each word is in the texts of some rows."""
    words, texts = Counter[str](), texts.filter(pa.array(mask)).drop_null()
    for start in range(0, len(texts), _TEXTS):
        part = pc.utf8_lower(texts.slice(start, _TEXTS))
        # A hyphen or apostrophe stays only between two letters.
        for wrong in ("['’-]{2,}", f"(^|[^{_LETTERS}])['’-]", f"['’-]([^{_LETTERS}]|$)", f"[^{_LETTERS}'’-]+"):
            part = pc.replace_substring_regex(part, wrong, " ")
        counts = pc.value_counts(pc.list_flatten(pc.utf8_split_whitespace(part)))
        words.update(dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist())))
    words.pop("", None)
    return words
