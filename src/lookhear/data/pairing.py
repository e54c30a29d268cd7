"""Which recordings are learned from, and what each is paired with: pictures, its own text, or a wrong picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lookhear.core import Section
from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["Noise", "Pairing", "pair_up"]

Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Noise(Section):
    """Wrong pairs on purpose, to measure what they cost.

    Attributes:
        kind: "shuffled": a recording takes the group of another. "extra": it takes a picture that shows all it names
            and something more; "missing": one that shows some of what it names and lacks some (both by the column
            ``things``).
        share: of the training recordings.
    """

    kind: Literal["shuffled", "extra", "missing"]
    share: float = Field(gt=0, le=1)


@dataclass(frozen=True)
class Pairing:
    """Recordings (R,) to learn from.

    Attributes:
        rows: of the corpus.
        groups: (R,) whose pictures each is paired with.
        pictured, texted: (R,) whether it is learned from pictures, and from its own text.
    """

    rows: Rows
    groups: Rows
    pictured: Bools
    texted: Bools


def pair_up(
    corpus: Corpus,
    rows: Rows,
    pictures: Rows,
    seed: int,
    *,
    pictured: float = 1.0,
    texted: float = 0.0,
    apart: bool = False,
    noise: Noise | None = None,
) -> Pairing:
    """Draws which recordings have pictures and which have texts; those with neither are left out.

    Args:
        rows: recordings.
        pictures: rows of the pictures.
        pictured, texted: shares. The recordings with texts are the first of those with pictures (paired data), or with
            ``apart`` the last, so that shares that add up to one have none in common (unpaired data).

    Raises:
        UserError: texts are asked of recordings that have none, noise of a corpus without ``things``, or nothing is
            left.
    """
    draw = np.random.default_rng((seed, 7))
    place, n = draw.permutation(len(rows)), len(rows)
    seen = place < round(pictured * n)
    read = place >= n - round(texted * n) if apart else place < round(texted * n)
    has_text = corpus.table["text"].is_valid().to_numpy()[rows]
    if (read & ~has_text).any():
        lacking = int((read & ~has_text).sum())
        raise UserError(
            f"{corpus.name}: {lacking} recordings that data.texted chose have no text", "Lower it, or add their texts."
        )
    groups = corpus.groups[rows].copy()
    if noise is not None:
        wrong = draw.permutation(np.flatnonzero(seen))[: round(noise.share * int(seen.sum()))]
        groups[wrong] = _wrong_groups(corpus, rows[wrong], pictures, noise, draw)
    kept = np.flatnonzero(seen | read)
    if not len(kept):
        raise UserError("no recording has a picture or a text", "Raise data.pictured or data.texted.")
    return Pairing(rows[kept], groups[kept], seen[kept], read[kept])


def _wrong_groups(corpus: Corpus, rows: Rows, pictures: Rows, noise: Noise, draw: np.random.Generator) -> Rows:
    """(rows,) a group with other pictures for each; its own where no other picture is wrong in the way asked."""
    own = corpus.groups[rows]
    if noise.kind == "shuffled":
        return np.roll(own, 1)  # the rows come in random order
    things = corpus.column("things")
    if not any(things[r] for r in rows.tolist()) or not any(things[p] for p in pictures.tolist()):
        raise UserError(
            f"{corpus.name}: noise of kind {noise.kind!r} needs the column 'things' of recordings and pictures",
            "Take 'shuffled', or the picture book.",
        )
    names = sorted({t for r in (*rows.tolist(), *pictures.tolist()) for t in things[r] or ()})
    place = {name: i for i, name in enumerate(names)}

    def table(chosen: Rows) -> NDArray[np.int64]:
        out = np.zeros((len(chosen), len(names)), dtype=np.int64)
        for i, row in enumerate(chosen.tolist()):
            out[i, [place[t] for t in things[row] or ()]] = 1
        return out

    said, shown = table(rows), table(pictures)
    common = said @ shown.T
    if noise.kind == "extra":
        fits = (common == said.sum(1)[:, None]) & (shown.sum(1)[None] > said.sum(1)[:, None])
    else:
        fits = (common > 0) & (common < said.sum(1)[:, None])
    fits &= corpus.groups[pictures][None] != own[:, None]
    out = own.copy()
    for i, row in enumerate(fits):
        if row.any():
            out[i] = corpus.groups[pictures[draw.choice(np.flatnonzero(row))]]
    return out
