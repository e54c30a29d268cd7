"""Words that a teacher sees in the picture, found again in the speech."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from lookhear.about import About
from lookhear.core import Losses, Padded
from lookhear.models.evidence import WordEvidence
from lookhear.objectives.asked import AskedWords, Tags
from lookhear.objectives.base import Objective, Views
from lookhear.objectives.words import prior_and_entropy

__all__ = ["WordTags"]


class WordTags(Objective):
    """Does the recording say this word? The teacher answers from the picture, and its doubt is part of the answer.

    Soft visual tags as targets of keyword prediction (Kamper et al., 2017, "Visually grounded learning of keyword
    prediction from untranscribed speech", eq. 1) with the words as vectors of the text tower instead of output units,
    and the best moment instead of the whole recording (multiple-instance learning), so that what is learned is what
    spotting and localisation read:

    L = weight × mean over words of BCE(z + b + logit(p), tag) / H(p),

    where z is the best moment, s times the highest point of the word's curve (``Compatibility.peak``), or a smooth
    maximum of all moments, 1/r log mean exp(r s · curve) (Palaz et al., 2016, eq. 3), tag the teacher's probability for
    the picture, p its mean over the training pictures and H(p) its entropy, as in ``WordPrompts``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"audio", "tags"})

    class Config(AskedWords):
        """How much it counts.

        Attributes:
            reading: the best moment, or the smooth maximum with sharpness ``r``, through which all moments learn.
            evidence: how much the words that stand out in a recording count beside its whole, when it is used
                (``WordEvidence``); 0 for not at all.
        """

        about: ClassVar[About] = About(
            name="tags",
            title="single words asked of the picture",
            kind="objective",
            family="distillation",
            paper=(
                "Kamper, Settle, Shakhnarovich, Livescu, 2017, Visually Grounded Learning of Keyword "
                "Prediction from Untranscribed Speech, Interspeech"
            ),
            inputs=("audio", "image"),
            recipe="picturebook",
            second_modality=True,
        )
        kind: Literal["tags"] = "tags"
        weight: float = Field(6.0, gt=0)
        reading: Literal["peak", "log_sum_exp"] = "peak"
        r: float = Field(1.2, gt=0)
        evidence: float = Field(0.5, ge=0)

        def build(self, model: Any, tags: Tags) -> WordTags:
            if self.evidence:
                model.evidence = WordEvidence(tags.words, model.dim, self.evidence)
                model.evidence.words.copy_(tags.vectors)
            return WordTags(tags.vectors, tags.share, self.weight, self.r if self.reading == "log_sum_exp" else None)

    words: Tensor
    prior: Tensor
    entropy: Tensor

    def __init__(self, words: Tensor, share: Tensor, weight: float, r: float | None = None) -> None:
        """
        Args:
            words: (words, D) unit vectors in the shared space.
            share: (words,) mean of each word's tags over the training pictures.
            weight: of the loss.
            r: sharpness of the smooth maximum; the best moment if none.
        """
        super().__init__()
        prior, entropy = prior_and_entropy(share)
        self.register_buffer("words", words, persistent=False)
        self.register_buffer("prior", prior, persistent=False)
        self.register_buffer("entropy", entropy, persistent=False)
        self.weight, self.r = weight, r
        self.scale = nn.Parameter(words.new_tensor(2.3))
        self.bias = nn.Parameter(words.new_zeros(()))

    def forward(self, views: Views) -> Losses:
        features, scale = views["audio"], self.scale.exp()
        curve = views.model.compatibility.curve(features, self.words)
        if self.r is None:
            found = curve.amax(1) * scale
        else:
            # Minus infinity must meet no factor that learns: its gradient would be none.
            padding = ~features.mask[..., None]
            sharp = (self.r * scale * curve.masked_fill(padding, 0)).masked_fill(padding, float("-inf"))
            found = (sharp.logsumexp(1) - features.mask.sum(1, keepdim=True).log()) / self.r
        logits = found + self.bias + self.prior
        tags = views.batch.inputs["tags"]
        assert isinstance(tags, Padded)
        each = F.binary_cross_entropy_with_logits(logits, tags.values.float(), reduction="none") / self.entropy
        return {"tags": self.weight * each.mean()}
