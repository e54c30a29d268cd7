"""Objectives that ask words of each picture: which words, and what they get to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator
from torch import Tensor

from lookhear.core import Section
from lookhear.models.teacher import PROMPTS
from lookhear.objectives.base import Objective

__all__ = ["AskedWords", "Tags"]


@dataclass(frozen=True)
class Tags:
    """Words, their (words, D) unit vectors, and (pictures, words) probabilities of the training pictures."""

    words: list[str]
    vectors: Tensor
    probabilities: Tensor

    @property
    def share(self) -> Tensor:
        """(words,) mean over the pictures."""
        return self.probabilities.float().mean(0)


class AskedWords(Section):
    """The part of an objective's section that says which words are asked of the pictures, and who answers.

    Attributes:
        words: at most so many of the most frequent content words in the texts that the teacher learned from.
        always: words that are asked however common they are.
        leave_out: word lists of the corpus that are never asked, so that they go on to measure open vocabulary.
        only: a word list of the corpus that is asked instead of frequent words.
        prompts: templates, whose vectors are averaged.
        tagger: who answers: "teacher", by its vectors for the words; or the name of a column that holds class
            probabilities of each picture, or of an image classifier (a folder or hub name of transformers).
        classes: word → names of the tagger's classes, where they are not called as the word is.
    """

    kind: str
    words: int = Field(200, ge=1)
    always: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    only: str | None = None
    prompts: tuple[str, ...] = PROMPTS
    tagger: str = "teacher"
    classes: Mapping[str, Sequence[str]] = Field(default_factory=dict)

    @field_validator("prompts")
    @classmethod
    def _hold_word(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        if not prompts or any("{word}" not in p for p in prompts):
            raise ValueError("each prompt needs '{word}' where the word goes")
        return prompts

    def build(self, model: Any, tags: Tags) -> Objective:
        """The objective; what it trains beside the towers, or leaves to those who use them, becomes the model's."""
        raise TypeError(f"{type(self).__name__} does not say what it builds")
