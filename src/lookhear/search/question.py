"""What is asked, as vectors: texts, pictures, recordings, moments of recordings; together, and what is not meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lookhear.core import Features, pool
from lookhear.models.model import Model
from lookhear.wording import content_words

__all__ = ["Part", "moment_part", "shown_part", "written_parts"]


@dataclass(frozen=True, eq=False)
class Part:
    """One thing that is asked.

    Attributes:
        text: as it was written, or the name of a file.
        whole: (1, D) unit vector of the text, picture or recording.
        words: (W, D) unit vectors of the content words; W is 0 for what was not written, and texts without any.
        names: the W words.
        written: whether it is a text.
    """

    text: str
    whole: Tensor
    words: Tensor
    names: tuple[str, ...] = ()
    written: bool = False

    @property
    def placed_by(self) -> Tensor:
        """The vectors whose highest curve says where a recording meets it."""
        return self.words if len(self.words) else self.whole


def written_parts(model: Model, texts: Sequence[str]) -> list[Part]:
    """Texts, all of them in one forward pass; the same ones as each alone.

    Raises:
        UserError: a text or word that the encoder can make nothing of.
    """
    words = [tuple(content_words(t)) for t in texts]
    vectors = model.embed_texts([x for text, own in zip(texts, words) for x in (text, *own)]).pooled.float()
    parts, at = [], 0
    for text, own in zip(texts, words):
        parts.append(Part(text, vectors[at : at + 1], vectors[at + 1 : at + 1 + len(own)], own, written=True))
        at += 1 + len(own)
    return parts


def shown_part(name: str, features: Features) -> Part:
    """A picture or a recording, embedded: its whole."""
    whole = features.pooled.float()[:1]
    return Part(name, whole, whole[:0])


def moment_part(name: str, model: Model, local: Tensor) -> Part:
    """A moment of a recording: the direction of its own (N, D) local vectors, which is looked for like a word."""
    mask = torch.ones(1, len(local), dtype=torch.bool)
    direction = pool(local[None], mask)
    whole = model.whole_of_frames(local[None], mask)
    return Part(name, direction if whole is None else whole.float(), direction, ("",))
