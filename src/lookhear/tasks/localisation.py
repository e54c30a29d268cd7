"""Keyword localisation: does the model's best moment for a word fall inside the word?

Oracle accuracy (Olaleye & Kamper 2021, "Attention-based keyword localisation in speech using visual grounding"): only
pairs of a recording and a keyword spoken in it are asked, one frame is answered, and it counts if it lies inside any
occurrence, both ends included.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from lookhear.core import Features
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.locators import Curve, LocatorConfig
from lookhear.tasks.base import Encoded, figure
from lookhear.tasks.keywords import Asked, KeywordSection, occurrences
from lookhear.tasks.resampling import Bootstrap

__all__ = ["Localisation"]

Pair = tuple[int, int, list[tuple[float, float]]]
"""(recording position, word number, occurrences in seconds)."""


class Localisation(KeywordSection):
    """Share of spoken keywords whose highest frame lies within the word.

    Attributes:
        tolerance: seconds by which every occurrence is widened at both ends.
        by: the locator whose highest frame answers, by its kind or as a table. Where it has a closed vocabulary
            (``tags``), only words of it are asked.
    """

    kind: Literal["localisation"] = "localisation"
    name: str = "localisation"
    tolerance: NonNegativeFloat = 0.0
    by: LocatorConfig = Curve()

    primary: ClassVar[str] = "oracle_accuracy.value"
    greater_is_better: ClassVar[bool] = True

    def missing(self, corpus: Corpus) -> str | None:
        """Why there is no pair: no recordings, no word times, no such word list, or none of its words is spoken."""
        found = self._pairs(corpus)
        return found if isinstance(found, str) else None

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """Accuracy over all pairs, with the share of frames inside the word as chance.

        Raises:
            ValueError: ``missing`` gives a reason.
        """
        found = self._pairs(encoded.corpus)
        if isinstance(found, str):
            raise ValueError(found)
        asked, pairs = found
        known = self.by.known(encoded.model, list(asked))
        pairs = [p for p in pairs if known[p[1]]]
        if not pairs:
            raise UserError(
                f"section {self.name!r}: none of its words is in the vocabulary of the model's tag head",
                "Train with an objective of kind 'tag_head' that asks them, or answer by the curve.",
            )
        right, chance = self._answers(encoded, list(asked), pairs)
        units = encoded.units[encoded.corpus.recordings[[p[0] for p in pairs]]]
        resamples = Bootstrap(units)
        encoded.resampled[self.name] = resamples.resampled(right)
        accuracy = figure(right.mean(), resamples.mean(right), float(chance.mean()), len(pairs))
        word = np.array([p[1] for p in pairs])
        per_word = {
            w: {
                "accuracy": float(right[word == i].mean()),
                "chance": float(chance[word == i].mean()),
                "pairs": int((word == i).sum()),
            }
            for i, w in enumerate(asked)
            if (word == i).any()
        }
        return {
            "kind": self.kind,
            "interval_over": encoded.interval_over,
            "by": self.by.kind,
            "tolerance": self.tolerance,
            "oracle_accuracy": accuracy,
            "chance": accuracy["chance"],
            "pairs": len(pairs),
            "words": len(per_word),
            "per_word": per_word,
        }

    def _pairs(self, corpus: Corpus) -> tuple[Asked, list[Pair]] | str:
        if not len(corpus.recordings):
            return "no recordings"
        if not corpus.has("words"):
            return "no word times (column 'words')"
        every = corpus.column("words")
        spoken = [every[r] or [] for r in corpus.recordings]
        asked = self.asked(corpus, [[w["word"].lower() for w in words] for words in spoken])
        if isinstance(asked, str):
            return asked
        pairs = [
            (i, q, spans)
            for i, words in enumerate(spoken)
            for q, values in enumerate(asked.values())
            if words and (spans := occurrences(words, values))
        ]
        return (asked, pairs) if pairs else f"none of the {len(asked)} words is spoken in any recording"

    def _answers(
        self, encoded: Encoded, words: list[str], pairs: list[Pair]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each pair, 1 where the answered frame is inside the word, and the share of frames that are."""
        right, chance = np.zeros(len(pairs)), np.zeros(len(pairs))
        numbers = sorted({q for _, q, _ in pairs})  # a word that is never spoken, or not known, is not asked
        place = {q: i for i, q in enumerate(numbers)}
        at = 0
        for start, part, curves in encoded.curves(self.by, [words[q] for q in numbers], self.template):
            frames = curves.argmax(1)
            while at < len(pairs) and pairs[at][0] < start + len(part):
                recording, q, spans = pairs[at]
                inside = self._inside(part, recording - start, spans)
                right[at] = inside[int(frames[recording - start, place[q]])]
                # Frames past the recording's end are no answers anybody could give.
                chance[at] = inside[part.mask[recording - start].numpy()].mean()
                at += 1
        return right, chance

    def _inside(self, part: Features, item: int, spans: list[tuple[float, float]]) -> NDArray[np.bool_]:
        """(N,) whether each frame's centre, (n + 0.5) × step, lies in any occurrence."""
        if not isinstance(part.step, float):
            raise UserError(
                "this model's speech tower has no frames in time", "Localisation needs a tower with local vectors."
            )
        centre = (np.arange(part.local.shape[1]) + 0.5) * part.step
        inside = np.zeros(len(centre), dtype=bool)
        for start, end in spans:
            inside |= (centre >= start - self.tolerance) & (centre <= end + self.tolerance)
        return inside
