"""Retrieval between recordings, pictures and texts, in six directions.

Protocol A (Harwath & Glass 2017 as used by SpeechCLIP and FaST-VGS; one row per picture): a recording or text is right
for its own picture, a picture for any of its captions, and recording and text for the identical caption (the same
row), never for a sibling. Protocol B (DAVEnet, M-SpeechCLIP): pairs in corpus order, cut into consecutive square
blocks, the diagonal right; a last, shorter block is left out unless it is the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from lookhear.core import Section
from lookhear.data.schema import Corpus
from lookhear.tasks.base import Encoded, figure, steady
from lookhear.tasks.chance import chance_median_rank, chance_recall
from lookhear.tasks.metrics import TIES, Placement, place, precision_at
from lookhear.tasks.resampling import Bootstrap

__all__ = ["Retrieval"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

PAIRS = (("audio", "image"), ("audio", "text"), ("image", "text"))
QUERY_CHUNK = 256
SIDES = {"audio": "recordings", "image": "pictures", "text": "texts"}


class Retrieval(Section):
    """Recall at k and median rank in every direction that the corpus has both sides of.

    Attributes:
        protocol: A or B, see above.
        ks: the cut-offs of recall.
        block: pairs per block of protocol B.
        texts: how recordings are ranked for a text. ``words``: by the text's content words at their best moments and
            by its whole, as search ranks them (``read_text``). ``whole``: by the cosine of the two pooled vectors, as
            texts are ranked for a recording.
        by: a column (voice seen in training or not, gender, …) by whose values audio → image R@k, k the largest
            cut-off, is also given.
    """

    kind: Literal["retrieval"] = "retrieval"
    name: str = "retrieval"
    protocol: Literal["A", "B"] = "A"
    ks: tuple[PositiveInt, ...] = (1, 5, 10)
    block: PositiveInt = 1000
    texts: Literal["words", "whole"] = "words"
    by: str | None = None

    primary: ClassVar[str] = "audio_to_image.R@10.value"
    greater_is_better: ClassVar[bool] = True

    def missing(self, corpus: Corpus) -> str | None:
        """Why no direction can be run."""
        reasons = [_lacking(corpus, a, b) for a, b in PAIRS]
        return None if None in reasons else str(reasons[0])

    def unready(self, model: Any) -> str | None:
        """None: every model can be asked."""
        return None

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """All directions; those whose sides are lacking are named under ``skipped`` with the reason."""
        skipped: dict[str, str] = {}
        result: dict[str, Any] = {
            "kind": self.kind,
            "protocol": self.protocol,
            "texts": self.texts,
            "interval_over": encoded.interval_over,
            "skipped": skipped,
        }
        for a, b in PAIRS:
            reason = _lacking(encoded.corpus, a, b) or (encoded.blind if "image" in (a, b) else None)
            if reason is not None:
                skipped[f"{a}_to_{b}"] = skipped[f"{b}_to_{a}"] = reason
                continue
            scores = _similarities(encoded, a, b)
            result |= self._direction(encoded, a, b, scores, skipped)
            if (a, b) == ("audio", "text") and self.texts == "words":
                scores = encoded.text_scores()
            result |= self._direction(encoded, b, a, scores.T, skipped)
        return result

    def _direction(self, encoded: Encoded, x: str, y: str, scores: Floats, skipped: dict[str, str]) -> dict[str, Any]:
        name, corpus = f"{x}_to_{y}", encoded.corpus
        searches = _searches_a if self.protocol == "A" else self._searches_b
        found, queries, precision = [], [], []
        right_of = _relevance(corpus, x, y)
        for q, g in searches(corpus, x, y):
            for start in range(0, len(q), QUERY_CHUNK):
                chunk = q[start : start + QUERY_CHUNK]
                block = scores[np.ix_(chunk, g)]
                if self.protocol == "A":
                    right = right_of(chunk, g)
                else:
                    right = np.arange(len(g)) == np.arange(start, start + len(chunk))[:, None]
                found.append(place(block, right))
                precision.append(precision_at(block, right, 10))
            queries.append(q)
        placed, rows = _join(found), _rows(corpus, x)[np.concatenate(queries)]
        result = {name: self._figures(placed, encoded.units[rows])}
        if x == "audio" and y == "image":
            encoded.resampled[self.name] = Bootstrap(encoded.units[rows]).resampled(placed.hits(10))
            if (placed.right > 1).any():
                share = np.concatenate(precision)
                interval = Bootstrap(encoded.units[rows]).mean(share)
                chance = float((placed.right / placed.gallery).mean())
                result[name]["P@10"] = figure(share.mean(), interval, chance, placed.gallery)
            if self.by is not None:
                if corpus.has(self.by):
                    result[f"{name}_by"] = self._split(placed, rows, encoded)
                else:
                    skipped[f"{name}_by"] = f"no column {self.by!r}"
        return result

    def _figures(self, placed: Placement, units: Ints) -> dict[str, Any]:
        resamples = Bootstrap(units)
        result: dict[str, Any] = {}
        for k in self.ks:
            hits, chance = placed.hits(k), chance_recall(placed.right, placed.gallery, k)
            result[f"R@{k}"] = figure(hits.mean(), resamples.mean(hits), chance, placed.gallery)
        middle = chance_median_rank(placed.right, placed.gallery)
        result["median_rank"] = figure(
            float(np.median(placed.rank)), resamples.median(placed.rank), middle, placed.gallery
        )
        k = max(self.ks)
        result[f"chance_R@{k}"] = result[f"R@{k}"]["chance"]
        return result | {"size": placed.gallery, "queries": len(placed.right), "ties": TIES}

    def _split(self, placed: Placement, rows: Ints, encoded: Encoded) -> dict[str, Any]:
        k = max(self.ks)
        hits, values = placed.hits(k), encoded.corpus.column(str(self.by))
        labels = np.array([_label(values[r]) for r in rows], dtype=object)
        result = {}
        for label in sorted({v for v in labels if v is not None}):
            here = labels == label
            interval = Bootstrap(encoded.units[rows[here]]).mean(hits[here])
            chance = chance_recall(placed.right[here], placed.gallery, k)
            result[label] = figure(hits[here].mean(), interval, chance, placed.gallery) | {"queries": int(here.sum())}
        return result

    def _searches_b(self, corpus: Corpus, x: str, y: str) -> Iterator[tuple[Ints, Ints]]:
        """Positions of queries and, in the same order, of their partners, block by block."""
        left, right = _pairs(corpus, x, y)
        for start in range(0, len(left), self.block):
            stop = start + self.block
            if stop <= len(left) or start == 0:
                yield left[start:stop], right[start:stop]


def _label(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(corpus: Corpus, side: str) -> Ints:
    rows: Ints = getattr(corpus, SIDES[side])
    return rows


def _lacking(corpus: Corpus, a: str, b: str) -> str | None:
    for side in (a, b):
        if not len(_rows(corpus, side)):
            return f"no {SIDES[side]}"
    if not len(_pairs(corpus, a, b)[0]):
        return f"no {SIDES[a]} and {SIDES[b]} that belong together"
    return None


def _pairs(corpus: Corpus, a: str, b: str) -> tuple[Ints, Ints]:
    """Positions, among the items of each side, of all pairs in corpus order: one for every recording or text."""
    if "image" in (a, b):
        other = b if a == "image" else a
        rows, pictures = _rows(corpus, other), corpus.pictures
        first: dict[int, int] = {}
        for i, group in enumerate(corpus.groups[pictures]):
            first.setdefault(int(group), i)
        own = {int(r): i for i, r in enumerate(pictures)}
        partner = np.array([own.get(int(r), first.get(int(corpus.groups[r]), -1)) for r in rows], dtype=np.int64)
        here = np.flatnonzero(partner >= 0)
        return (partner[here], here) if a == "image" else (here, partner[here])
    rows = np.intersect1d(_rows(corpus, a), _rows(corpus, b))
    return np.searchsorted(_rows(corpus, a), rows), np.searchsorted(_rows(corpus, b), rows)


def _searches_a(corpus: Corpus, x: str, y: str) -> Iterator[tuple[Ints, Ints]]:
    """One search: the queries that have an answer, in the whole gallery.

    Between recording and text both sides are the captions that have both, as in the published figures; otherwise
    the gallery is all pictures, or all captions.
    """
    if "image" not in (x, y):
        yield _pairs(corpus, x, y)
        return
    q, g = _rows(corpus, x), _rows(corpus, y)
    answered = np.isin(corpus.groups[q], corpus.groups[g])
    yield np.flatnonzero(answered), np.arange(len(g))


def _relevance(corpus: Corpus, x: str, y: str) -> Callable[[Ints, Ints], NDArray[np.bool_]]:
    """(queries, gallery) positions → bool: the same group, or between recording and text the same row."""
    q, g = _rows(corpus, x), _rows(corpus, y)
    if "image" in (x, y):
        q, g = corpus.groups[q], corpus.groups[g]
    return lambda queries, gallery: np.asarray(q[queries][:, None] == g[gallery])


def _similarities(encoded: Encoded, a: str, b: str) -> Floats:
    other = encoded.image if b == "image" else encoded.text
    if a == "audio":
        return encoded.scores(other.pooled)
    return steady(encoded.image.pooled.float() @ other.pooled.float().T)


def _join(parts: list[Placement]) -> Placement:
    columns = ("better", "tied_right", "tied_wrong", "right")
    joined = {c: np.concatenate([getattr(p, c) for p in parts]) for c in columns}
    return Placement(**joined, gallery=parts[0].gallery)
