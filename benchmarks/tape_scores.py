"""How well words are found on tapes: hits against occurrences, with intervals, chance and calibration.

A hit is right if its middle lies in an occurrence of its word that no better hit has taken. Where only the clip is
known that says a word, not when, the clip is the occurrence, and further hits in it are neither right nor wrong.
Resampling is by recording (a speaker's digit, a caption), each with all hits that lie nearest to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookhear.tasks.chance import chance_average_precision
from lookhear.tasks.metrics import RankingCurve
from lookhear.tasks.resampling import Bootstrap, centred_interval, interval

__all__ = ["Found", "Said", "Truth", "at_threshold", "best_f1", "calibration", "figures", "match", "window_map"]

WINDOW = 2.0
"""Seconds of a window in which a word is said or not, for average precision."""
SAMPLES = 500


@dataclass(frozen=True, slots=True)
class Said:
    """An occurrence of a word; ``unit`` is the recording that it comes from."""

    tape: int
    word: str
    start: float
    end: float
    unit: int


@dataclass(frozen=True, slots=True)
class Found:
    """A hit; ``score`` is whatever its finder ranks by, ``probability`` what it says of being right."""

    tape: int
    word: str
    start: float
    end: float
    score: float
    probability: float | None = None

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Truth:
    """What is said on some tapes.

    Attributes:
        words: that are asked.
        said: their occurrences.
        seconds: of each tape.
        units: (tape, start, end, unit) of all recordings on the tapes, whether they say an asked word or not.
        timed: whether occurrences are the words themselves, not clips that hold them somewhere.
    """

    words: tuple[str, ...]
    said: tuple[Said, ...]
    seconds: tuple[float, ...]
    units: tuple[tuple[int, float, float, int], ...]
    timed: bool = True

    def nearest(self, tapes: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.int64]:
        """The place in ``units`` of the recording at, or nearest to, each moment of a tape."""
        out = np.zeros(len(times), dtype=np.int64)
        for tape in np.unique(tapes):
            here = np.array([i for i, (t, *_) in enumerate(self.units) if t == tape])
            starts, ends = np.array([self.units[i][1:3] for i in here]).T
            asked = np.flatnonzero(tapes == tape)
            away = np.maximum(starts - times[asked, None], times[asked, None] - ends).clip(min=0)
            out[asked] = here[away.argmin(1)]
        return out

    def numbers(self, tapes: NDArray[np.int64], times: NDArray[np.float64]) -> NDArray[np.int64]:
        """The number of that recording, the same wherever it is told again."""
        return np.array([unit for *_, unit in self.units])[self.nearest(tapes, times)]


def match(found: Sequence[Found], truth: Truth) -> tuple[list[Found], NDArray[np.int64]]:
    """Hits, best first, and for each the number of the occurrence it takes: −1 if it is wrong, −2 if it says again what
    a better one said of the same clip."""
    by_word: dict[tuple[int, str], list[int]] = {}
    for i, s in enumerate(truth.said):
        by_word.setdefault((s.tape, s.word), []).append(i)
    taken: set[int] = set()
    ranked = sorted(found, key=lambda f: (-f.score, f.tape, f.start))
    takes = np.full(len(ranked), -1, dtype=np.int64)
    for n, hit in enumerate(ranked):
        inside = [
            i for i in by_word.get((hit.tape, hit.word), ()) if truth.said[i].start <= hit.middle <= truth.said[i].end
        ]
        free = [i for i in inside if i not in taken]
        if free:
            takes[n] = min(free, key=lambda i: abs(truth.said[i].start + truth.said[i].end - 2 * hit.middle))
            taken.add(int(takes[n]))
        elif inside and not truth.timed:
            takes[n] = -2
    return ranked, takes


def _f1(right: Any, wrong: Any, missed: Any) -> Any:
    return 2 * right / np.maximum(2 * right + wrong + missed, 1e-12)


def at_threshold(found: Sequence[Found], truth: Truth) -> dict[str, Any]:
    """Precision, recall and F1 of exactly these hits, with 95 % intervals, and F1 of each word."""
    ranked, takes = match(found, truth)
    missed = np.setdiff1d(np.arange(len(truth.said)), takes)
    middles = np.array([f.middle for f in ranked])
    units = truth.numbers(np.array([f.tape for f in ranked], dtype=np.int64), middles)
    names = sorted({unit for *_, unit in truth.units})
    place = {unit: i for i, unit in enumerate(names)}
    counts = np.zeros((3, len(names)))  # right, wrong, missed
    for unit, takes_one in zip(units.tolist(), takes.tolist()):
        if takes_one != -2:
            counts[0 if takes_one >= 0 else 1, place[unit]] += 1
    for i in missed.tolist():
        counts[2, place[truth.said[i].unit]] += 1
    draws = Bootstrap(np.arange(len(names)), SAMPLES).draws.astype(np.float64)
    right, wrong, lost = counts.sum(1)
    r, w, m = (draws @ row for row in counts)
    hours = sum(truth.seconds) / 3600
    return {
        "precision": _figure(right / max(right + wrong, 1), r / np.maximum(r + w, 1e-12)),
        "recall": _figure(right / max(right + lost, 1), r / np.maximum(r + m, 1e-12)),
        "F1": _figure(float(_f1(right, wrong, lost)), _f1(r, w, m)),
        "false alarms an hour and word": wrong / hours / len(truth.words),
        "hits": int(right + wrong),
        "per_word": {word: _of_word(word, ranked, takes, missed, truth) for word in truth.words},
    }


def _figure(value: float, resampled: NDArray[np.float64]) -> dict[str, float]:
    low, high = interval(resampled)
    return {"value": float(value), "low": low, "high": high}


def _of_word(
    word: str, ranked: Sequence[Found], takes: NDArray[np.int64], missed: NDArray[np.int64], truth: Truth
) -> float:
    own = [t for f, t in zip(ranked, takes.tolist()) if f.word == word and t != -2]
    right = sum(t >= 0 for t in own)
    return float(_f1(right, len(own) - right, sum(truth.said[i].word == word for i in missed.tolist())))


def best_f1(found: Sequence[Found], truth: Truth) -> tuple[float, float]:
    """The highest F1 of any one threshold for all words, chosen on these very tapes, and that threshold."""
    ranked, takes = match(found, truth)
    counts = np.array([t != -2 for t in takes.tolist()], dtype=bool)
    scores = np.array([f.score for f in ranked])
    right, hits = np.cumsum(takes >= 0), np.cumsum(counts)
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else np.zeros(0, dtype=np.int64)
    if not len(last):
        return 0.0, float("inf")
    f1 = 2 * right[last] / np.maximum(hits[last] + len(truth.said), 1)
    best = int(f1.argmax())
    return float(f1[best]), float(scores[last[best]])


def window_map(found: Sequence[Found], truth: Truth) -> dict[str, float]:
    """Mean over the words of the average precision over windows: each ranked by the best hit whose middle it holds.

    A window of ``WINDOW`` seconds says a word if an occurrence's middle lies in it. Where only clips are known, a clip
    is a window.
    """
    tapes = np.array([x.tape for x in (*found, *truth.said)], dtype=np.int64)
    middles = np.array([(x.start + x.end) / 2 for x in (*found, *truth.said)])
    if truth.timed:
        counts = np.array([int(np.ceil(s / WINDOW)) for s in truth.seconds])
        first = np.concatenate([[0], np.cumsum(counts)])
        total = int(first[-1])
        at = first[tapes] + np.minimum((middles // WINDOW).astype(np.int64), counts[tapes] - 1)
        tape = np.repeat(np.arange(len(counts)), counts)
        units = truth.numbers(tape, (np.arange(total) - first[tape] + 0.5) * WINDOW)
    else:
        total, at, units = len(truth.units), truth.nearest(tapes, middles), np.array([u for *_, u in truth.units])
    weights = Bootstrap(units, 200).weights()
    lowest = min((f.score for f in found), default=0.0) - 1
    values, resampled, chance = [], [], []
    for word in truth.words:
        true, scores = np.zeros(total, dtype=bool), np.full(total, lowest)
        true[[w for w, s in zip(at[len(found) :], truth.said) if s.word == word]] = True
        for w, f in zip(at.tolist(), found):
            if f.word == word:
                scores[w] = max(scores[w], f.score)
        if true.any():
            values.append(float(RankingCurve(scores, true).average_precision()[0]))
            resampled.append(RankingCurve(scores, true, weights).average_precision())
            chance.append(chance_average_precision(int(true.sum()), total))
    low, high = centred_interval(np.nanmean(resampled, axis=0), float(np.mean(values)))
    return {
        "value": float(np.mean(values)),
        "low": low,
        "high": high,
        "chance": float(np.mean(chance)),
        "words": len(values),
        "windows": total,
    }


def chance_f1(found: Sequence[Found], truth: Truth) -> float:
    """F1 of the same hits under other words' names: what one gets who knows where speech is, and not what it says."""
    n = len(truth.words)
    place = {word: i for i, word in enumerate(truth.words)}
    shifts = np.unique(np.linspace(1, n - 1, min(10, n - 1)).round().astype(int)) if n > 1 else []
    values = []
    for shift in shifts:
        renamed = [replace(f, word=truth.words[(place[f.word] + int(shift)) % n]) for f in found]
        _, takes = match(renamed, truth)
        right, hits = int((takes >= 0).sum()), int((takes != -2).sum())
        values.append(2 * right / max(hits + len(truth.said), 1))
    return float(np.mean(values)) if values else float("nan")


def calibration(found: Sequence[Found], truth: Truth, bins: int = 10) -> dict[str, Any] | None:
    """Expected calibration error of the hits' probabilities, and (mean probability, share right, hits) of each bin.

    ECE = Σ n_b / n |right_b − probability_b| over equal bins (Guo et al., 2017); None where there are none.
    """
    ranked, takes = match(found, truth)
    told = [(f.probability, t >= 0) for f, t in zip(ranked, takes.tolist()) if f.probability is not None and t != -2]
    if not told:
        return None
    p, right = np.array([x for x, _ in told]), np.array([x for _, x in told], dtype=float)
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    rows = [(float(p[b].mean()), float(right[b].mean()), int(b.sum())) for k in range(bins) if (b := bin_of == k).any()]
    return {"ECE": sum(n * abs(q - r) for q, r, n in rows) / len(p), "bins": rows}


def figures(default: Sequence[Found], every: Sequence[Found], truth: Truth) -> dict[str, Any]:
    """All figures of one finder.

    Args:
        default: its hits at the threshold it would be used with.
        every: its hits at a threshold as low as it goes.
    """
    best, threshold = best_f1(every, truth)
    return {
        **at_threshold(default, truth),
        "chance F1": chance_f1(default, truth),
        "best F1": best,
        "best threshold": threshold,
        "mAP": window_map(every, truth),
        "calibration": calibration(every, truth),
        "occurrences": len(truth.said),
        "words": len(truth.words),
        "seconds": sum(truth.seconds),
    }


def as_rows(results: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A table of ``figures``, a row each."""
    figures_of_hits = ["precision", "recall", "F1 [95 %]", "chance F1", "best F1, one score", "false/h/word"]
    rows = [["", *figures_of_hits, "mAP [95 %]", "chance mAP", "ECE"]]
    for name, r in results.items():
        sure = r["calibration"]
        rows.append(
            [
                name,
                f"{100 * r['precision']['value']:.1f}",
                f"{100 * r['recall']['value']:.1f}",
                _spanned(r["F1"]),
                f"{100 * r['chance F1']:.1f}",
                f"{100 * r['best F1']:.1f}",
                f"{r['false alarms an hour and word']:.1f}",
                _spanned(r["mAP"]),
                f"{100 * r['mAP']['chance']:.1f}",
                "–" if sure is None else f"{100 * sure['ECE']:.1f}",
            ]
        )
    return rows


def _spanned(figure: Mapping[str, float]) -> str:
    return f"{100 * figure['value']:.1f} [{100 * figure['low']:.1f}–{100 * figure['high']:.1f}]"
