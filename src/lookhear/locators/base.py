"""What a locator is: a score curve per word over time, whatever a model offers to make one of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Features, Section
from lookhear.errors import UserError
from lookhear.scoring import Compatibility

__all__ = ["Answer", "Asked", "Listener", "Locator", "Waves", "WholeLocator", "answers", "vocabulary"]

Waves = Callable[[], Sequence[NDArray[np.float32]]]
"""Gives the (S,) samples at 16 kHz of the recordings; not called by locators that need only features."""

Answer = Literal["pooled", "tags"]
"""Whose answer for a whole recording: the ``pooled`` similarity of vectors, or the ``tags`` of the model's head."""


@dataclass(frozen=True)
class Asked:
    """Q words and their (Q, D) unit vectors in the shared space."""

    names: Sequence[str]
    vectors: Tensor


class Listener(Protocol):
    """What a locator asks of a model."""

    @property
    def compatibility(self) -> Compatibility: ...

    def embed_audio(self, waves: list[NDArray[np.float32]]) -> Features: ...


class Locator(Section):
    """A way to say where in a recording a word is spoken.

    Every one gives the same: a score for each moment of the recording, on the grid of its features, and the highest is
    where the word is. Scores of different locators are not comparable.
    """

    kind: str

    def known(self, model: Listener, words: Sequence[str]) -> list[bool]:
        """Which of the words can be located: all of them, but where a closed vocabulary answers."""
        return [True] * len(words)

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """(B, N, Q) scores of each word at each moment, higher where it rather is; −inf outside the mask.

        Args:
            model: whose features these are.
            waves: gives the samples of the B recordings.
            features: of ``model.embed_audio``; moment n is about (n + 0.5) × ``features.step`` seconds.
            asked: words that ``known`` says can be located.

        Raises:
            UserError: the model has nothing to locate with in this way.
        """
        raise TypeError(f"{type(self).__name__} does not say where a word is")


class WholeLocator(Locator):
    """One that watches what a model answers for whole recordings.

    Attributes:
        answer: whose answer: the ``pooled`` similarity, or the log-odds of the ``tags`` head (its vocabulary alone).
    """

    answer: Answer = "pooled"

    def known(self, model: Listener, words: Sequence[str]) -> list[bool]:
        """All words, or those of the tag head that answers."""
        if self.answer == "pooled":
            return super().known(model, words)
        there = set(vocabulary(model))
        return [word in there for word in words]


def vocabulary(model: Listener) -> tuple[str, ...]:
    """The words of the model's tag head; empty without one."""
    head: Any = getattr(model, "head", None)
    return () if head is None else tuple(head.names)


def places(model: Listener, asked: Asked) -> list[int]:
    """The numbers of the asked words in the vocabulary of the model's tag head.

    Raises:
        UserError: no tag head, or a word that it does not know.
    """
    number = {word: i for i, word in enumerate(vocabulary(model))}
    if not number:
        raise UserError(
            "this model has no tag head", "Train with an objective of kind 'tag_head', or locate by vectors."
        )
    unknown = [word for word in asked.names if word not in number]
    if unknown:
        raise UserError(f"the model's tag head does not know {unknown[0]!r}", "Ask words of its vocabulary.")
    return [number[word] for word in asked.names]


def answers(model: Listener, features: Features, asked: Asked, answer: Answer) -> Tensor:
    """(B, Q) how surely each whole recording says each word: a similarity, or log-odds of the tag head.

    Raises:
        UserError: as ``places``.
    """
    if answer == "pooled":
        return model.compatibility.pooled(features, asked.vectors)
    chosen = places(model, asked)
    assert features.tags is not None
    return features.tags[:, chosen]
