"""Keyword detection and localisation at a threshold: is the word said here, where, and how often?

Counts over pairs of a recording and a keyword (Olaleye and Kamper 2021, "Attention-based keyword localisation in speech
using visual grounding"; the settled definition of their journal paper, arXiv 2202.01107), every moment as a span of
time, and the term-weighted value of spoken term detection. docs/protocols.md says how each is counted.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, cast

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.locators import Curve, LocatorConfig
from lookhear.tasks.answers import Calibration, Said, ask, said_in
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import KeywordSection
from lookhear.tasks.metrics import TIES
from lookhear.tasks.pairs import Pairs
from lookhear.tasks.resampling import Bootstrap, Resampled
from lookhear.tasks.spans import Spans
from lookhear.tasks.terms import BETA

__all__ = ["Detection"]

CUT = 0.5
"""Of a calibrated probability."""
SAMPLES = 200
"""Resamples of whole ranked lists, each costing a pass over all answers."""


class Detection(KeywordSection):
    """Whether, where and how often recordings say keywords, at a threshold chosen beforehand.

    Attributes:
        threshold: lowest score that counts, on the scale of the reading; or "calibrated", a probability of one half
            by the model's calibration. Choose a number on other items than these.
        score: what detects: ``located``, the highest point of the locator's curve; or the whole recording, by the best
            moment of the word's vector (``peak``) or by its pooled vector (``pooled``). Moments have no such score, so
            spans and terms are left out then.
        by: the locator whose curve answers where. Where it has a closed vocabulary, only words of it are asked.
        legacy: also count as the published scripts do.
        events: also event-based and segment-based F1 by ``sed_eval`` (needs the extra ``sed``).
        collar, segment: of these, in seconds.
        within: seconds before and after an occurrence within which a term counts as found (NIST).
        beta: cost of a false alarm in the term-weighted value.
    """

    kind: Literal["detection"] = "detection"
    name: str = "detection"
    threshold: float | Literal["calibrated"]
    score: Literal["located", "peak", "pooled"] = "located"
    by: LocatorConfig = Curve()
    legacy: bool = False
    events: bool = False
    collar: PositiveFloat = 0.2
    segment: PositiveFloat = 1.0
    within: NonNegativeFloat = 0.5
    beta: PositiveFloat = BETA

    primary: ClassVar[str] = "localisation.F1.value"
    greater_is_better: ClassVar[bool] = True

    @model_validator(mode="after")
    def _calibrates_curves(self) -> Self:
        if self.threshold == "calibrated" and (self.score != "located" or self.by.kind != "curve"):
            raise ValueError("a calibration reads moments by the word's vector: leave score and by out beside it")
        return self

    def missing(self, corpus: Corpus) -> str | None:
        """Why nothing can be asked: no recordings, no word times, no such word list, or none of its words is said."""
        found = self._said(corpus)
        return found if isinstance(found, str) else None

    def unready(self, model: Any) -> str | None:
        """That it has no calibration, where one is asked for: training makes it last of all."""
        wanted = self.threshold == "calibrated" and getattr(model, "calibration", None) is None
        return "this model has no calibration" if wanted else None

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """Figures over all pairs of a recording with word times and a keyword that some recording says.

        Raises:
            UserError: no calibration where one is asked for, no frames in time, none of the words in the tag head.
            ValueError: ``missing`` gives a reason.
        """
        words, never, said = self._askable(encoded)
        calibration = self._calibration(encoded)
        threshold = CUT if self.threshold == "calibrated" else float(self.threshold)
        answers = ask(encoded, words, said, self.template, by=self.by, score=self.score, calibration=calibration)
        pairs = Pairs(answers, said.spoken(len(words)), threshold)
        units = encoded.units[said.rows]
        draws, few = Bootstrap(units), Bootstrap(units, SAMPLES)
        result: dict[str, Any] = {
            "kind": self.kind,
            "interval_over": encoded.interval_over,
            "ties": TIES,
            "threshold": threshold,
            "by": self.by.kind,
            "scale": "calibrated probability" if calibration else f"{self.score} score",
            "recordings": len(said.rows),
            "seconds": float(answers.seconds.sum()),
            "words": len(words),
            "never_said": never,
        }
        for name in ("detection", "localisation", *(["legacy"] if self.legacy else [])):
            result[name], resampled = pairs.micro(name, draws)
            if name == "localisation":
                encoded.resampled[self.name] = Resampled(resampled, draws.drawn)
        result["spotting"], by_word = pairs.ranked(few)
        per_word = {w: pairs.of_word(q) | by_word[q] for q, w in enumerate(words)}
        if self.score != "located":
            result["skipped"] = {"spans": f"moments have no {self.score!r} score"}
        else:
            spans = Spans(answers, said, len(words), threshold)
            result["spans"], of_spans = spans.figures(draws)
            for row, more in zip(per_word.values(), of_spans):
                row.update(more)
            if self.events:
                result["events"] = spans.events(draws, self.collar, self.segment)
            terms = spans.terms(few, self.within, self.beta)
            result |= {"skipped": {"terms": terms}} if isinstance(terms, str) else {"terms": terms}
        return result | {"per_word": per_word}

    def _askable(self, encoded: Encoded) -> tuple[list[str], list[str], Said]:
        """The words that some recording says, those that none does, and where they are said."""
        found = self._said(encoded.corpus)
        if isinstance(found, str):
            raise ValueError(found)
        asked, said = found
        known = [w for w, there in zip(asked, self.by.known(encoded.model, asked)) if there]
        spoken = said.spoken(len(asked)).sum(0)
        words = [w for q, w in enumerate(asked) if spoken[q] and w in known]
        if not words:
            raise UserError(
                f"section {self.name!r}: none of its words is in the vocabulary of the model's tag head",
                "Train with an objective of kind 'tag_head' that asks them, or answer by the curve.",
            )
        number = {q: words.index(w) for q, w in enumerate(asked) if w in words}
        at = {(i, number[q]): spans for (i, q), spans in said.at.items() if q in number}
        return words, [w for w in known if w not in words], Said(said.rows, at)

    def _said(self, corpus: Corpus) -> tuple[list[str], Said] | str:
        if not len(corpus.recordings):
            return "no recordings"
        if not corpus.has("words"):
            return "no word times (column 'words')"
        every = corpus.column("words")
        labels = [[w["word"].lower() for w in every[r]] if every[r] else None for r in corpus.recordings]
        asked = self.asked(corpus, labels)
        if isinstance(asked, str):
            return asked
        said = said_in(corpus, asked)
        return (list(asked), said) if said.at else f"none of the {len(asked)} words is spoken in any recording"

    def _calibration(self, encoded: Encoded) -> Calibration | None:
        if (reason := self.unready(encoded.model)) is not None:
            raise UserError(
                f"section {self.name!r}: {reason}",
                "Make one with `lookhear calibrate`, or give the section a threshold that is a number.",
            )
        calibration = getattr(encoded.model, "calibration", None)
        return cast(Calibration, calibration) if self.threshold == "calibrated" else None
