"""What a model answers to each keyword in each recording, beside what is said there: the ground of ``detection``.

Letters: R recordings with word times, Q words, M moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Features
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.locators.base import Locator
from lookhear.moments import LEAST, peaks
from lookhear.tasks.base import Encoded, steady
from lookhear.tasks.keywords import Asked, occurrences
from lookhear.wording import tokens

__all__ = ["Answers", "Calibration", "Moments", "Occurrences", "Said", "ask", "moments_of", "said_in"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Occurrences = dict[tuple[int, int], list[tuple[float, float]]]
"""(recording, word) → every (start, end), in seconds, at which the one says the other."""


class Calibration(Protocol):
    """What turns scores into probabilities, for each word in its own way; one half is the cut."""

    def probability(self, scores: Tensor, queries: Tensor, names: Sequence[str] | None = None) -> Tensor:
        """(…, Q) probabilities, in [0, 1], that moments of (…, Q) scores are the words of unit queries (Q, D).

        Rising with the score.

        Args:
            names: the Q words.
        """
        ...


@dataclass(frozen=True)
class Said:
    """What is said in the recordings whose words are known.

    Attributes:
        rows: (R,) of the corpus.
        at: where each recording says each word.
    """

    rows: Ints
    at: Occurrences

    def spoken(self, words: int) -> Ints:
        """(R, Q) how often each recording says each word."""
        table = np.zeros((len(self.rows), words), dtype=np.int64)
        for pair, spans in self.at.items():
            table[pair] = len(spans)
        return table


@dataclass(frozen=True)
class Moments:
    """M distinct peaks of score curves: the answers of which those at or above a threshold count.

    Attributes:
        recording, word: (M,) whose.
        score: (M,) of the peak.
        start, end: (M,) in seconds: where the curve stays above half of the peak (``lookhear.moments.around``).
    """

    recording: Ints
    word: Ints
    score: Floats
    start: Floats
    end: Floats

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, index: NDArray[Any]) -> Moments:
        return Moments(self.recording[index], self.word[index], self.score[index], self.start[index], self.end[index])

    @property
    def middle(self) -> Floats:
        """(M,) seconds."""
        return np.asarray((self.start + self.end) / 2)

    @staticmethod
    def concat(parts: Sequence[Moments]) -> Moments:
        names = ("recording", "word", "score", "start", "end")
        return Moments(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


@dataclass(frozen=True)
class Answers:
    """One score and one frame for each recording and word, and all distinct moments.

    Attributes:
        score: (R, Q) of detection.
        inside: (R, Q) how many occurrences the frame with the highest score lies in; 0 where the word is not said.
        share: (R, Q) of the recording's frames, summed over occurrences: the chance of one of them for ``inside``.
        covered: (R, Q) share of the recording's frames that lie in any occurrence.
        seconds: (R,) length of each recording.
        moments: of all curves.
    """

    score: Floats
    inside: Ints
    share: Floats
    covered: Floats
    seconds: Floats
    moments: Moments


def said_in(corpus: Corpus, asked: Asked) -> Said:
    """Where the recordings that have word times say the words; an empty list says nothing, just as a null."""
    every = corpus.column("words")
    rows = np.array([r for r in corpus.recordings if every[r]], dtype=np.int64)
    # Most recordings say few of the words: only those whose first one is there are looked for.
    begins = [{phrase[0] for value in values if (phrase := tokens(value))} for values in asked.values()]
    at: Occurrences = {}
    for i, row in enumerate(rows):
        held = {" ".join(tokens(w["word"])) for w in every[row]}
        for q, values in enumerate(asked.values()):
            if not held.isdisjoint(begins[q]) and (spans := occurrences(every[row], values)):
                at[i, q] = spans
    return Said(rows, at)


def ask(
    encoded: Encoded,
    words: Sequence[str],
    said: Said,
    template: str | Sequence[str] = "{word}",
    *,
    by: Locator,
    score: Literal["located", "peak", "pooled"] = "located",
    calibration: Calibration | None = None,
) -> Answers:
    """The model's answers to Q words in the R recordings of ``said``.

    Args:
        by: the locator whose curves give frames and moments.
        score: the detection score: the highest point of that curve, or of the whole recording its best moment by the
            word's vector (``peak``) or its pooled vector.
        calibration: makes scores of moments probabilities.

    Raises:
        UserError: no frames in time, scores that are no numbers, a word that the text encoder or locator lacks.
    """
    count = len(said.rows)
    queries = encoded.words(words, template)
    known = np.isin(encoded.corpus.recordings, said.rows)
    place = np.cumsum(known) - 1
    tables = {name: np.zeros((count, len(words))) for name in ("inside", "share", "covered")}
    seconds, found = np.zeros(count), list[Moments]()
    for start, part, curves in encoded.curves(by, words, template):
        step = _step(part, curves)
        for b in np.flatnonzero(known[start : start + len(part)]):
            i, curve = int(place[start + b]), curves[b][part.mask[b]].float()
            seconds[i] = len(curve) * step
            moments = moments_of(curve, step)
            found.append(replace(moments, recording=np.full(len(moments), i)))
            top = curve.argmax(0).numpy()
            for q in range(len(words)):
                if (i, q) in said.at:
                    within = _inside(len(curve), step, said.at[i, q])
                    tables["inside"][i, q] = within[:, top[q]].sum()
                    tables["share"][i, q] = within.mean(1).sum()
                    tables["covered"][i, q] = within.any(0).mean()
    moments = Moments.concat(found)
    # Rounded before they become probabilities, which lie too close together near one.
    moments = replace(moments, score=steady(torch.from_numpy(moments.score)).astype(np.float64))
    if calibration is not None:
        moments = _probable(moments, words, queries, calibration)
    if score == "located":
        best = np.full((count, len(words)), -np.inf)
        np.maximum.at(best, (moments.recording, moments.word), moments.score)
    else:
        best = encoded.scores(queries, score)[known].astype(np.float64)
    return Answers(best, tables["inside"].astype(np.int64), tables["share"], tables["covered"], seconds, moments)


def _step(part: Features, curves: Tensor) -> float:
    if not isinstance(part.step, float):
        raise UserError(
            "this model's speech tower has no frames in time", "Detection in time needs a tower with local vectors."
        )
    if torch.isnan(curves).any():
        raise UserError(
            "the model gives scores that are not numbers", "Its training diverged: train again at a lower rate."
        )
    return part.step


def _probable(moments: Moments, words: Sequence[str], queries: Tensor, calibration: Calibration) -> Moments:
    """The moments with their probabilities for scores."""
    score = torch.from_numpy(moments.score)
    found = score.clone()
    with torch.inference_mode():
        for q, word in enumerate(words):
            of_word = torch.from_numpy(moments.word == q)
            found[of_word] = calibration.probability(score[of_word, None], queries[q : q + 1], [word])[:, 0].double()
    return replace(moments, score=found.numpy())


def _inside(frames: int, step: float, spans: list[tuple[float, float]]) -> Bools:
    """(occurrences, N) whether each frame's centre, (n + 0.5) × step, lies in each; both ends included."""
    centre = (np.arange(frames) + 0.5) * step
    table = [(centre >= start) & (centre <= end) for start, end in spans]
    return np.array(table, dtype=bool).reshape(len(spans), frames)


def moments_of(curve: Tensor, step: float) -> Moments:
    """The distinct moments of one recording's (N, Q) curves, all words at once; ``recording`` is 0.

    What ``peaks``, ``around`` and ``distinct`` of ``lookhear.moments`` give word by word, except that equal
    neighbours are one peak from the start, and that no moment ends after the recording does. Dropping those below a
    threshold afterwards gives the same as never having had them, for of two that overlap the higher one stays.
    """
    top = peaks(curve, step).numpy().copy()
    top[1:] &= ~top[:-1]
    word, frame = np.nonzero(top.T)
    values = curve.numpy()
    score = values[frame, word]
    left, right = (_reach(values, frame, word, score, way) for way in (-1, 1))
    middle = (frame + 0.5) * step
    start = np.maximum(np.minimum(left * step, middle - LEAST / 2), 0)
    end = np.minimum(np.maximum((right + 1) * step, middle + LEAST / 2), len(curve) * step)
    order = np.lexsort((end, start, word))
    kept = _distinct(word[order], score[order], start[order], end[order])
    chosen = order[kept]
    scores = score[chosen].astype(np.float64)
    return Moments(np.zeros(len(chosen), np.int64), word[chosen], scores, start[chosen], end[chosen])


def _reach(values: NDArray[np.float32], frame: Ints, word: Ints, score: NDArray[np.float32], way: int) -> Ints:
    """(M,) the last frame, going one way from each peak, at which the curve is not below half of it."""
    at = frame.copy()
    going = np.flatnonzero(score > 0)
    while len(going):
        ahead = at[going] + way
        going, ahead = (x[(ahead >= 0) & (ahead < len(values))] for x in (going, ahead))
        stays = values[ahead, word[going]] >= score[going] / 2
        going = going[stays]
        at[going] += way
    return at


def _distinct(word: Ints, score: NDArray[np.float32], start: Floats, end: Floats) -> list[int]:
    """Of moments in order of word and time those that stay where overlapping ones are made one: the best-scored."""
    kept: list[int] = []
    last = (-1, 0.0, 0.0)
    for i, (w, s, a, b) in enumerate(zip(word.tolist(), score.tolist(), start.tolist(), end.tolist())):
        if w == last[0] and a <= last[2] + 1e-9:
            if s <= last[1]:
                continue
            kept[-1] = i
        else:
            kept.append(i)
        last = (w, s, b)
    return kept
