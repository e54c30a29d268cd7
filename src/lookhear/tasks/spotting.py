"""Keyword spotting: every recording ranked for a written word; how many of the first ones say it?

Average precision as scikit-learn's; mAP, P@10, P@N and EER are plain means over the words that some recording says
(Kamper et al. 2017, "Visually grounded learning of keyword prediction from untranscribed speech"). Exact surface
forms: "dogs" is not "dog". Beside it the teacher ranks pictures for the same words, by their pooled vectors and by
their best patches: its score is the ceiling of what can be learned from it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lookhear.data.schema import Corpus
from lookhear.errors import did_you_mean
from lookhear.tasks.base import Encoded, figure, steady
from lookhear.tasks.chance import chance_average_precision
from lookhear.tasks.keywords import Asked, KeywordSection, labels_of, truth_table
from lookhear.tasks.metrics import TIES, RankingCurve
from lookhear.tasks.resampling import Bootstrap, Resampled, centred_interval, mean_over_words

__all__ = ["Spotting"]

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
SAMPLES = 200  # resamples of whole ranked lists, each costing a pass over every word's list
TEACHER = {"pooled": "teacher", "peak": "teacher_peak"}
FIGURES = {"AP": "mAP", "P@10": "P@10", "P@N": "P@N", "EER": "EER"}


class Spotting(KeywordSection):
    """Mean average precision of written words over recordings.

    Attributes:
        truth: "text" (the word is a token of the row's text), or a column whose value, or one of whose values, it is.
        score: ``pooled`` reads the whole recording, ``peak`` its best moment, ``both`` averages the two after
            standardising each per word; ``tags`` reads the tag head, and ``tags+pooled`` or ``tags+peak`` adds the two
            readings, standardised per word.
        alpha: what the reading by vectors weighs in such a sum, α × vectors + (1 − α) × tags; a word outside the
            head's vocabulary is read by vectors alone.
    """

    kind: Literal["spotting"] = "spotting"
    name: str = "spotting"
    truth: str = "text"
    score: Literal["pooled", "peak", "both", "tags", "tags+pooled", "tags+peak"] = "pooled"
    alpha: float = Field(0.5, ge=0, le=1)

    primary: ClassVar[str] = "mAP.value"
    greater_is_better: ClassVar[bool] = True

    def missing(self, corpus: Corpus) -> str | None:
        """Why no word can be asked: no recordings, no truth, no such word list, or none of its words is there."""
        found = self._truth(corpus)
        return found if isinstance(found, str) else None

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """Figures over the recordings whose truth is known.

        Raises:
            ValueError: ``missing`` gives a reason.
        """
        found = self._truth(encoded.corpus)
        if isinstance(found, str):
            raise ValueError(found)
        asked, known, truth = found
        words = list(asked)
        rows = encoded.corpus.recordings[known]
        scores = self._scores(encoded, words)[known]
        said = np.flatnonzero(truth.any(0))
        result: dict[str, Any] = {"kind": self.kind, "interval_over": encoded.interval_over, "ties": TIES}
        result |= _ranked(scores[:, said], truth[:, said], encoded.units[rows])
        per_word, encoded.resampled[self.name] = result.pop("per_word"), result.pop("resampled")
        if encoded.blind is not None:
            result["skipped"] = {"teacher": encoded.blind}
        teacher = self._teacher(encoded, asked, said) if encoded.blind is None else {}
        for reading, title in TEACHER.items():
            result[f"{title}_mAP"] = teacher[reading]["mAP"] if reading in teacher else None
        result |= {
            "words": len(said),
            "recordings": len(rows),
            "never_said": [w for w in words if w not in {words[i] for i in said}],
        }
        if len(words) > 1 and (truth.sum(1) == 1).all():
            result |= _exclusive(scores, truth, words, encoded.units[rows])
        result["per_word"] = {words[i]: row for i, row in zip(said, per_word)}
        for reading, ranked in teacher.items():
            for i, row in ranked["by_word"].items():
                result["per_word"][words[i]][f"{TEACHER[reading]}_AP"] = row["AP"]
        return result

    def _truth(self, corpus: Corpus) -> tuple[Asked, Bools, Bools] | str:
        """The words, which recordings (R,) have a known truth, and for those (known, words) whether each is true."""
        if not len(corpus.recordings):
            return "no recordings"
        if not corpus.has(self.truth):
            return f"no column {self.truth!r} ({did_you_mean(self.truth, corpus.table.column_names)})"
        every = labels_of(corpus, self.truth)
        labels = [every[r] for r in corpus.recordings]
        asked = self.asked(corpus, labels)
        if isinstance(asked, str):
            return asked
        truth = self._table(labels, asked)
        if not truth.any():
            return f"none of the {len(asked)} words is true of any recording"
        return asked, np.array([held is not None for held in labels]), truth

    def _table(self, labels: list[list[str] | None], asked: Asked) -> Bools:
        return truth_table(labels, asked, running=self.truth in ("text", "words"))

    def _scores(self, encoded: Encoded, words: list[str]) -> Floats:
        if self.score == "tags":
            return encoded.tag_scores(words)
        queries = encoded.words(words, self.template)
        if self.score in ("pooled", "peak"):
            return encoded.scores(queries, self.score)
        if self.score == "both":
            readings = [encoded.scores(queries, "pooled"), encoded.scores(queries, "peak")]
            shares = [0.5, 0.5]
        else:
            readings = [encoded.scores(queries, "peak" if self.score == "tags+peak" else "pooled")]
            readings.append(encoded.tag_scores(words))
            shares = [self.alpha, 1 - self.alpha]
        # Rounded, for what is equal but for the noise of a standardisation in single precision is a tie.
        return np.asarray(np.round(sum(w * _standardised(s) for w, s in zip(shares, readings)), 5))

    def _teacher(self, encoded: Encoded, asked: Asked, said: Ints) -> dict[str, dict[str, Any]]:
        """The same words ranked over pictures: "pooled" by cosine, "peak" by the best patch where there are patches.

        Empty without pictures of known truth that any of the words is true of.
        """
        labels = self._shown(encoded.corpus)
        known = np.array([held is not None for held in labels], dtype=bool)
        table = self._table(labels, asked)
        shown = said[table[:, said].any(0)]
        if not len(shown):
            return {}
        queries = encoded.words(list(asked), self.template)[shown]
        image = encoded.image
        readings = {"pooled": image.pooled.float() @ queries.T}
        if image.local.shape[1] > 1:
            readings["peak"] = encoded.model.compatibility.curve(image, queries).amax(1)
        result = {}
        for name, scores in readings.items():
            ranked = _ranked(steady(scores)[known], table[:, shown], encoded.units[encoded.corpus.pictures[known]])
            result[name] = ranked | {"by_word": dict(zip(shown.tolist(), ranked["per_word"]))}
        return result

    def _shown(self, corpus: Corpus) -> list[list[str] | None]:
        """What is true of each picture; None where nothing is known.

        That is its own row's column, or where that is empty (and always for words of a text) what any item of its
        group says.
        """
        if not len(corpus.pictures):
            return []
        every = labels_of(corpus, self.truth)
        rows_of: dict[int, list[int]] = {}
        for row, group in enumerate(corpus.groups):
            rows_of.setdefault(int(group), []).append(row)
        labels: list[list[str] | None] = []
        for picture in corpus.pictures:
            own = every[picture] if self.truth not in ("text", "words") else None
            sources = [picture] if own else rows_of[int(corpus.groups[picture])]
            held = [h for row in sources if (h := every[row]) is not None]
            # The separator keeps a phrase from running out of one caption into the next.
            labels.append([w for h in held for w in (*h, "|")] if held else None)
        return labels


def _standardised(scores: Floats) -> Floats:
    spread = scores.std(0)
    return cast(Floats, (scores - scores.mean(0)) / np.where(spread > 0, spread, 1.0))


def _figures(curve: RankingCurve) -> dict[str, NDArray[np.float64]]:
    return {
        "AP": curve.average_precision(),
        "P@10": curve.precision_at(10),
        "P@N": curve.precision_at_positives(),
        "EER": curve.equal_error_rate(),
    }


def _ranked(scores: Floats, truth: Bools, units: Ints) -> dict[str, Any]:
    """Means over words, with intervals, the figures of each word, and mAP resampled, of (R, Q) scores and truths."""
    size, draws = len(scores), Bootstrap(units, SAMPLES)
    weights = draws.weights()
    per_word: list[dict[str, Any]] = []
    resampled: dict[str, list[NDArray[np.float64]]] = {name: [] for name in FIGURES}
    for column, right in zip(scores.T, truth.T):
        row: dict[str, Any] = {name: float(v[0]) for name, v in _figures(RankingCurve(column, right)).items()}
        positives = int(right.sum())
        chance = chance_average_precision(positives, size)
        per_word.append(row | {"positives": positives, "chance": chance})
        for name, values in _figures(RankingCurve(column, right, weights)).items():
            resampled[name].append(values)
    prevalence = float(truth.mean())
    chances = {"AP": float(np.mean([r["chance"] for r in per_word])), "P@10": prevalence, "P@N": prevalence, "EER": 0.5}
    result: dict[str, Any] = {"per_word": per_word}
    for name, title in FIGURES.items():
        values = np.array([r[name] for r in per_word])
        if np.isnan(values).all():  # the EER of words that every recording says
            result[title] = None
            continue
        mean, means = float(np.nanmean(values)), mean_over_words(resampled[name])
        result[title] = figure(mean, centred_interval(means, mean), chances[name], size)
        if name == "AP":
            result["resampled"] = Resampled(means, draws.drawn)
    for row in per_word:
        if np.isnan(row["EER"]):
            row["EER"] = None
    return result


def _exclusive(scores: Floats, truth: Bools, words: list[str], units: Ints) -> dict[str, Any]:
    """Accuracy of the best-scoring word, and who was taken for whom, where every recording has one true word."""
    best = scores == scores.max(1, keepdims=True)
    right = (best & truth).any(1) / best.sum(1)
    counts = np.zeros((len(words), len(words)), dtype=np.int64)
    np.add.at(counts, (truth.argmax(1), scores.argmax(1)), 1)
    return {
        "accuracy": figure(right.mean(), Bootstrap(units).mean(right), 1 / len(words), len(scores)),
        "confusion": {"labels": words, "counts": counts.tolist(), "rows": "true", "columns": "answered"},
    }
