"""Which words are asked, what counts as saying one, and where a recording says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, field_validator, model_validator

from lookhear.core import Section
from lookhear.data.schema import Corpus
from lookhear.errors import did_you_mean
from lookhear.wording import STOP_WORDS, tokens

__all__ = ["KeywordSection", "labels_of", "occurrences", "truth_table"]

Asked = dict[str, tuple[str, ...]]
"""Word → the values that make it true: itself, or what it is called in the truth column."""


class KeywordSection(Section):
    """The part of a recipe section that names keywords.

    Attributes:
        words: the words; or word → value(s) of the truth, to ask in one language for what is said in another.
        list_name: a word list that ships with the corpus (``meta["words"]``), where ``words`` is not given.
        frequent: how many of the most frequent content words to ask where neither is there.
        template: prompt(s) around the word; several are averaged.
    """

    words: dict[str, str | list[str]] | list[str] | None = None
    list_name: str | None = None
    frequent: PositiveInt | None = None
    template: str | list[str] = "{word}"

    @field_validator("template")
    @classmethod
    def _holds_word(cls, value: str | list[str]) -> str | list[str]:
        templates = [value] if isinstance(value, str) else value
        if not templates or any("{word}" not in t for t in templates):
            raise ValueError("a template needs '{word}' where the word goes, as in 'a photo of a {word}'")
        return value

    @model_validator(mode="after")
    def _names_words(self) -> Self:
        if self.words is None and self.list_name is None and self.frequent is None:
            raise ValueError("name the keywords: words, list_name or frequent")
        if self.words is not None and not self.words:
            raise ValueError("words is empty")
        return self

    def unready(self, model: Any) -> str | None:
        """Why this model cannot be asked so far: unless a section says otherwise, every model can."""
        return None

    def asked(self, corpus: Corpus, labels: Iterable[list[str] | None]) -> Asked | str:
        """The words to ask of a corpus, or the reason why there are none.

        Args:
            corpus: whose word lists are looked up.
            labels: one list of spoken words or values per recording, to count the frequent ones from.
        """
        words: Any = self.words
        lists = corpus.meta.get("words") or {}
        if words is None and self.list_name is not None:
            words = lists.get(self.list_name)
            if words is None and self.frequent is None:
                return f"no word list {self.list_name!r} ({did_you_mean(self.list_name, lists)})"
        if words is None:
            words = _frequent(labels, int(self.frequent or 0))
        if not words:
            return "its word list is empty"
        if isinstance(words, Mapping):
            return {w: (v,) if isinstance(v, str) else tuple(map(str, v)) for w, v in words.items()}
        return {w: (w,) for w in words}


def _frequent(labels: Iterable[list[str] | None], count: int) -> list[str]:
    """The content words that most recordings hold, the alphabet breaking ties."""
    counts = Counter(
        w for held in labels if held for w in set(held) if w not in STOP_WORDS and (len(w) > 1 or w.isdigit())
    )
    return sorted(counts, key=lambda w: (-counts[w], w))[:count]


def labels_of(corpus: Corpus, truth: str) -> list[list[str] | None]:
    """For every row the words or values that are true of it, lower-cased; None where nothing is known.

    Args:
        corpus: the items.
        truth: "text" for the tokens of the text, in order; else a column of values or of lists. Of ``words`` the
            spoken words count. An empty list says nothing about the row, just as a null.
    """
    values = corpus.column(truth)
    if truth == "text":
        return [None if v is None else tokens(v) for v in values]
    return [_values(v) for v in values]


def _values(value: Any) -> list[str] | None:
    if value is None or value == []:
        return None
    held = value if isinstance(value, list) else [value]
    names = (v["word"] if isinstance(v, Mapping) else v for v in held)
    return [str(int(n) if isinstance(n, float) and n.is_integer() else n).lower() for n in names]


def truth_table(labels: Sequence[list[str] | None], asked: Asked, running: bool) -> NDArray[np.bool_]:
    """(rows of known labels, words) bool: whether a row holds any of a word's values; unknown rows are left out.

    Args:
        labels: of each row.
        asked: word → values.
        running: labels are words in order, so that a value of several words must appear as a phrase; else a value is
            one label.
    """
    known = [held for held in labels if held is not None]
    table = np.zeros((len(known), len(asked)), dtype=bool)
    for q, values in enumerate(asked.values()):
        if running:
            phrases = [f" {' '.join(tokens(v))} " for v in values]
            table[:, q] = [any(p in f" {' '.join(held)} " for p in phrases) for held in known]
        else:
            wanted = {v.lower() for v in values}
            table[:, q] = [not wanted.isdisjoint(held) for held in known]
    return table


def occurrences(words: list[Mapping[str, Any]], values: Iterable[str]) -> list[tuple[float, float]]:
    """(start, end) in seconds of every time that a recording's ``words`` say one of the values (phrases included)."""
    said = [" ".join(tokens(w["word"])) for w in words]
    found = []
    for value in values:
        phrase = tokens(value)
        for i in range(len(said) - len(phrase) + 1):
            if phrase and said[i : i + len(phrase)] == phrase:
                found.append((float(words[i]["start"]), float(words[i + len(phrase) - 1]["end"])))
    return found
