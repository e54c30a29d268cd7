"""Words that a teacher sees in the picture, found again in the speech."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from lookhear.core import Losses, Padded, Section
from lookhear.models.teacher import PROMPTS
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.words import prior_and_entropy

__all__ = ["WordTags"]


class WordTags(Objective):
    """Does the recording say this word? The teacher answers from the picture, and its doubt is part of the answer.

    Soft visual tags as targets of keyword prediction (Kamper et al., 2017, "Visually grounded learning of keyword
    prediction from untranscribed speech", eq. 1) with the words as vectors of the text tower instead of output units,
    and the best moment instead of the whole recording (multiple-instance learning), so that what is learned is what
    spotting and localisation read:

    L = weight × mean over words of BCE(s · peak + b + logit(p), tag) / H(p),

    where peak is the highest point of the word's curve (``Compatibility.peak``), tag the teacher's probability for the
    picture, p its mean over the training pictures and H(p) its entropy, as in ``WordPrompts``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "tags"})

    class Config(Section):
        """Which words are asked, and how much it counts.

        Attributes:
            words: at most so many of the most frequent content words in the texts that the teacher learned from.
            always: words that are asked however common they are.
            leave_out: word lists of the corpus that are never asked, so that they go on to measure open vocabulary.
            prompts: templates, whose vectors are averaged.
            evidence: how much the words that stand out in a recording count beside its whole, when it is used
                (``WordEvidence``); 0 for not at all.
        """

        kind: Literal["tags"] = "tags"
        weight: float = Field(6.0, gt=0)
        words: int = Field(200, ge=1)
        always: tuple[str, ...] = ()
        leave_out: tuple[str, ...] = ()
        prompts: tuple[str, ...] = PROMPTS
        evidence: float = Field(0.5, ge=0)

        @field_validator("prompts")
        @classmethod
        def _hold_word(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
            if not prompts or any("{word}" not in p for p in prompts):
                raise ValueError("each prompt needs '{word}' where the word goes")
            return prompts

        def build(self, words: Tensor, share: Tensor) -> WordTags:
            return WordTags(words, share, self.weight)

    words: Tensor
    prior: Tensor
    entropy: Tensor

    def __init__(self, words: Tensor, share: Tensor, weight: float) -> None:
        """
        Args:
            words: (words, D) unit vectors in the shared space.
            share: (words,) mean of each word's tags over the training pictures.
            weight: of the loss.
        """
        super().__init__()
        prior, entropy = prior_and_entropy(share)
        self.register_buffer("words", words, persistent=False)
        self.register_buffer("prior", prior, persistent=False)
        self.register_buffer("entropy", entropy, persistent=False)
        self.weight = weight
        self.scale = nn.Parameter(words.new_tensor(2.3))
        self.bias = nn.Parameter(words.new_zeros(()))

    def forward(self, views: Views) -> Losses:
        peak = views.model.compatibility.peak(views["audio"], self.words)
        logits = peak * self.scale.exp() + self.bias + self.prior
        tags = views.batch.inputs["tags"]
        assert isinstance(tags, Padded)
        each = F.binary_cross_entropy_with_logits(logits, tags.values.float(), reduction="none") / self.entropy
        return {"tags": self.weight * each.mean()}
