"""Single words against pictures: the part of a teacher's training that keyword spotting lives on."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Losses
from lookhear.objectives.base import Objective, Views

__all__ = ["WordPrompts", "prior_and_entropy"]


def prior_and_entropy(share: Tensor) -> tuple[Tensor, Tensor]:
    """logit(p), and H(p) in nats, of how often each word is true; p is kept 10⁻⁴ away from 0 and 1."""
    share = share.float().clamp(1e-4, 1 - 1e-4)
    return torch.logit(share), torch.special.entr(share) + torch.special.entr(1 - share)


class WordPrompts(Objective):
    """Is this word in what people wrote of the picture? A yes-or-no question for every picture and word.

    Captions alone leave a text tower vague about single words, and whatever the teacher does not know of words, no
    speech tower can learn from it. The question is put to the pooled vector, and to the patch that answers best
    (multiple-instance learning: a word is true of a picture if it is true of any part), once through the text tower
    and once with a free vector of each word, its tag, which the picture tower learns from sooner:

    L = weight × mean over words of [BCE(z₁, said) + BCE(z₂, said) + BCE(z₃, said)] / H, with
    z₁ = s₁ ⟨pooled, prompt⟩ + b₁ + logit(p), z₂ = s₂ max over patches ⟨patch, prompt⟩ + b₂ + logit(p) and
    z₃ = s₃ max over patches ⟨patch, tag⟩ + b₃ + logit(p),

    where p is how often the word is said and H its entropy; a picture without patches is asked the first only. Divided
    so (normalised cross-entropy; He et al., 2014), each word counts by the share of its own uncertainty that is left;
    else frequent words that say nothing of a picture ("look", "drawing") outshout the names of things.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"image"})

    def __init__(self, prompts: Tensor, said: Tensor, share: Tensor, dim: int, weight: float) -> None:
        """
        Args:
            prompts: (templates, words, E) sentence vectors of "a picture of a dog" and the like.
            said: (groups, words) bool, whether a caption of the group says the word; the batch's groups name the rows.
            share: (words,) p, in how many of the groups that are trained on each word is said.
            dim: of the shared space, and so of the tags.
            weight: of the loss.
        """
        super().__init__()
        self.register_buffer("prompts", prompts, persistent=False)
        self.register_buffer("said", said, persistent=False)
        self.weight = weight
        prior, entropy = prior_and_entropy(share)
        self.register_buffer("prior", prior, persistent=False)
        self.register_buffer("entropy", entropy, persistent=False)
        self.scales = nn.Parameter(torch.tensor([2.3, 1.0, 0.0]))
        self.biases = nn.Parameter(torch.zeros(3))
        self.tags = nn.Parameter(torch.randn(dim, said.shape[1]) / dim**0.5)

    prompts: Tensor
    said: Tensor
    prior: Tensor
    entropy: Tensor

    def forward(self, views: Views) -> Losses:
        template = int(torch.randint(len(self.prompts), ()))
        words = views.model.text.project(self.prompts[template])
        target = self.said[views.group].float()
        image = views["image"]
        scores = [image.pooled @ words.T]
        if image.local.shape[1] > 1:
            scores += [(image.local @ words.T).amax(1), (image.local @ self.tags).amax(1)]
        each = [
            F.binary_cross_entropy_with_logits(s * k.exp() + b + self.prior, target, reduction="none") / self.entropy
            for s, k, b in zip(scores, self.scales, self.biases)
        ]
        return {"words": self.weight * torch.stack(each).sum(0).mean()}
