"""What is twice in a corpus, and what leaks from one split into another: pictures, sounds, near-identical sounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookhear.audio import load_audio
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["Finding", "check", "likeness"]

SAME_BITS = 3
"""Sounds whose prints differ in no more bits, and whose lengths differ by no more than ``SAME_LENGTH``, are alike."""
SAME_LENGTH = 0.02
SAME_SPECTRUM = 0.85
"""Of those, sounds whose log spectra correlate no less are taken for one sound (see ``likeness``)."""
_SHIFTS = 12
_NEIGHBOURS = 64
"""Of equal bands, how many of those next to each other are compared: enough for all but masses of equal sounds."""
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: "leak" (the same in several splits), "double" (twice in one split) or "clash" (one name, two contents).
        of: "picture", "sound", "near-identical sound", "speaker" or "picture name".
        count: how many pictures, sounds, … are concerned.
        examples: ids of items, each tuple of the same thing.
    """

    kind: str
    of: str
    count: int
    examples: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        shown = "; ".join(" = ".join(ids) for ids in self.examples[:2])
        how = {"leak": "in several splits", "double": "more than once", "clash": "with different contents"}[self.kind]
        things = {"picture name": "names of pictures"}.get(self.of, f"{self.of}s")
        return f"{self.count} {things} {how} ({shown})"


def check(corpus: Corpus) -> list[Finding]:
    """All that is found; empty for a clean corpus. Columns that a corpus lacks are not looked at.

    The captions of one picture share its group: a picture is twice only if two groups show it.
    """
    return [f for f in _findings(corpus) if f.count]


def _findings(corpus: Corpus) -> Iterator[Finding]:
    table = corpus.table
    rows = pa.table(
        {
            "id": table["id"],
            "group": pc.coalesce(table["group"], table["id"]),
            "split": pc.fill_null(table["split"], ""),
            "speaker": table["speaker"],
            "name": pc.struct_field(table["image"], "path"),
            **{k: table[k] for k in ("image_hash", "audio_hash") if k in table.column_names},
        }
    )
    if "image_hash" in rows.column_names:
        yield _twice(rows, "image_hash", "split", "leak", "picture")
        yield _twice(rows, "image_hash", "group", "double", "picture", within="split")
        yield _twice(rows, "name", "image_hash", "clash", "picture name")
    if "audio_hash" in rows.column_names:
        yield _twice(rows, "audio_hash", "split", "leak", "sound")
        yield _twice(rows, "audio_hash", "id", "double", "sound", within="split")
    yield _twice(rows, "speaker", "split", "leak", "speaker")
    if {"sound_print", "seconds"} <= set(table.column_names):
        yield _alike(corpus)


def _twice(rows: pa.Table, key: str, counted: str, kind: str, of: str, within: str = "") -> Finding:
    """Values of ``key`` with more than one value of ``counted`` (in one value of ``within``)."""
    keys = [key, within] if within else [key]
    known = rows.filter(pc.and_(pc.is_valid(rows[key]), pc.is_valid(rows[counted])))
    pairs = known.group_by([*keys, counted]).aggregate([("id", "min")])
    several = pairs.group_by(keys).aggregate([("id_min", "count"), ("id_min", "list")])
    several = several.filter(pc.greater(several["id_min_count"], 1))
    examples = sorted(tuple(sorted(ids)[:3]) for ids in several["id_min_list"].slice(0, 200).to_pylist())
    return Finding(kind, of, several.num_rows, tuple(examples[:_SHOWN]))


def _alike(corpus: Corpus) -> Finding:
    """Pairs of different recordings of one sound in different splits: louder, encoded again, cut a little otherwise."""
    ids, rows = corpus.table["id"], corpus.recordings
    pairs = [
        (ids[int(rows[a])].as_py(), ids[int(rows[b])].as_py()) for a, b in _candidates(corpus) if _same(corpus, a, b)
    ]
    return Finding("leak", "near-identical sound", len(pairs), tuple(pairs[:_SHOWN]))


def _candidates(corpus: Corpus) -> list[tuple[int, int]]:
    """Pairs of places in ``corpus.recordings``, in different splits, whose lengths and prints are alike.

    Prints that differ in at most three bits agree in one of four bands of sixteen bits: only those are compared.
    """
    rows = corpus.recordings
    table = corpus.table
    prints = pc.fill_null(table["sound_print"], 0).to_numpy()[rows]  # nulls would make it floats, and lose bits
    seconds = table["seconds"].to_numpy()[rows]
    split = _codes(pc.fill_null(table["split"], ""))[rows]
    sound = _codes(table["audio_hash"])[rows]
    pairs: set[tuple[int, int]] = set()
    for band in range(4):
        key = (prints >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(key, kind="stable")
        for step in range(1, _NEIGHBOURS):
            a, b = order[:-step], order[step:]
            near = key[a] == key[b]
            if not near.any():
                break
            a, b = a[near], b[near]
            like = _bits(prints[a] ^ prints[b]) <= SAME_BITS
            like &= np.abs(seconds[a] - seconds[b]) <= SAME_LENGTH * np.maximum(seconds[a], seconds[b])
            like &= (split[a] != split[b]) & (sound[a] != sound[b])
            pairs.update(zip(np.minimum(a, b)[like].tolist(), np.maximum(a, b)[like].tolist()))
    return sorted(pairs)


def _same(corpus: Corpus, a: int, b: int) -> bool:
    """Whether two recordings whose prints are alike are one sound; other people saying one word are not."""
    try:
        waves = [load_audio(corpus.media("audio", int(corpus.recordings[i]))) for i in (a, b)]
    except UserError:  # prepared recordings are whole; those that lie elsewhere may have changed since
        return False
    return likeness(*waves) >= SAME_SPECTRUM


def likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Correlation of two 16 kHz recordings' log spectra over time and frequency, at the best shift of up to 96 ms.

    Frames of 32 ms every 8 ms, 150 to 5,000 Hz; what lies more than 40 dB below a recording's loudest is raised to
    there, and each frequency's mean taken off.
    """
    spectra = []
    for wave in (a, b):
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, (0, max(0, 512 - len(wave)))), 512)[::128]
        power = np.abs(np.fft.rfft(frames * np.hanning(512), axis=1))[:, 5:160] ** 2
        log = np.log(power + 1e-4 * power.max() + 1e-12)
        spectra.append(log - log.mean(0))
    best = 0.0
    for shift in range(-_SHIFTS, _SHIFTS + 1):
        x, y = spectra[0][max(0, shift) :], spectra[1][max(0, -shift) :]
        count = min(len(x), len(y))
        scale = float(np.linalg.norm(x[:count]) * np.linalg.norm(y[:count]))
        if count and scale > 0:
            best = max(best, float((x[:count] * y[:count]).sum()) / scale)
    return best


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each value, -1 for none."""
    indices = column.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.fill_null(-1).to_numpy(), dtype=np.int64)


def _bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    count: NDArray[np.uint8] = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).sum(1, dtype=np.uint8)
    return count
