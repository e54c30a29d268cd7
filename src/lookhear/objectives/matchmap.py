"""Matchmaps: pairs scored by all their frames against all their patches (DAVEnet, DenseAV)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from lookhear.about import About
from lookhear.core import Features, Losses, gather
from lookhear.objectives.base import Views
from lookhear.objectives.contrastive import InfoNCE, hinge, same_group
from lookhear.objectives.local import LocalSection
from lookhear.scoring import Compatibility

__all__ = ["MatchMap", "Reading", "read_volume"]

Reading = Literal["sisa", "misa", "sima"]

AT_ONCE = 16  # recordings whose matchmaps with all pictures are held together


class MatchMap(InfoNCE):
    """InfoNCE, or hinges, of matchmaps (Harwath et al., 2018, "Jointly discovering visual objects and spoken words").

    M = aₙ · vₚ for all real frames n of a recording and patches p of a picture, unit vectors of the shared space
    (published are products of vectors that are not of unit length). The pair scores (section 4.2 there)

    - ``sisa``: the mean over frames and patches;
    - ``misa``: the mean over frames of the best patch;
    - ``sima``: the mean over patches of the best frame,

    for every pair of the gathered batch. With ``compatibility.heads`` K above 1 each entry is the best of the K parts'
    cosines, before anything else: DenseAV's score is ``misa`` so (Hamilton et al., 2024, eqs 1–3).
    """

    reads_local: ClassVar[bool] = True

    class Config(LocalSection):
        """``margin`` (in cosine) is that of ``loss = "margin"``; temperature and symmetry those of InfoNCE."""

        about: ClassVar[About] = About(
            name="matchmap",
            title="all frames with all patches",
            kind="objective",
            family="cross-modal contrast",
            paper=(
                "Harwath et al., 2018, Jointly Discovering Visual Objects and Spoken Words from Raw Sensory Input, ECCV"
            ),
            inputs=("audio", "image"),
            negatives=True,
            second_modality=True,
        )
        kind: Literal["matchmap"] = "matchmap"
        reading: Reading = "misa"
        loss: Literal["infonce", "margin"] = "infonce"
        margin: float = Field(0.2, gt=0)
        temperature: float = Field(0.07, gt=0)
        max_scale: float = Field(100.0, gt=1)
        symmetric: bool = True
        weight: float = 1.0

        def build(self) -> MatchMap:
            return MatchMap(self)

    def __init__(self, config: Config) -> None:
        plain = InfoNCE.Config(
            temperature=config.temperature,
            max_scale=config.max_scale,
            symmetric=config.symmetric,
            weight=config.weight,
        )
        super().__init__(plain)
        self.reading, self.name = config.reading, config.kind
        self.margin = config.margin if config.loss == "margin" else None
        if self.margin is not None:
            self.logit_scale.requires_grad_(False)  # which has no part in hinges

    def forward(self, views: Views) -> Losses:
        if self.margin is None:
            return super().forward(views)
        return {self.name: self.weight * hinge(*self.scores(views), self.margin)}

    def scores(self, views: Views) -> tuple[Tensor, Tensor]:
        """(B, B) scores of every recording with every picture, and the pairs to ignore."""
        # A process makes the matchmaps of its own recordings: pictures, which are of one shape, and scores are sent.
        image = views["image"]
        patches, real = gather(image.local.float()), gather(image.mask)
        rows = matchmap_scores(views.model.compatibility, views["audio"], patches, real, self.reading)
        return gather(rows), same_group(gather(views.group))

    def _with_more(self, logits: Tensor, scale: Tensor, views: Views) -> Tensor:
        return logits  # further pictures have no patches


def matchmap_scores(
    compatibility: Compatibility, audio: Features, patches: Tensor, real: Tensor, reading: Reading
) -> Tensor:
    """(A, I) scores of A recordings with I pictures, whose patches are (I, P, D) and ``real`` (I, P)."""
    seen = compatibility.parts(patches)
    rows = []
    for start in range(0, len(audio), AT_ONCE):
        mask = audio.mask[start : start + AT_ONCE]
        heard = compatibility.parts(audio.local[start : start + AT_ONCE])
        volume = _volume(heard[0], seen[0])
        for a, v in zip(heard[1:], seen[1:]):
            volume = torch.maximum(volume, _volume(a, v))
        rows.append(read_volume(volume, mask, real, reading))
    return torch.cat(rows)


def _volume(heard: Tensor, seen: Tensor) -> Tensor:
    """(A, N, d), (I, P, d) → (A, N, I, P)."""
    return torch.einsum("and,ipd->anip", heard, seen).float()


def read_volume(volume: Tensor, mask: Tensor, real: Tensor, reading: Reading) -> Tensor:
    """(A, N, I, P) similarities → (A, I) scores over the real frames of (A, N) and the real patches of (I, P)."""
    frames = mask[:, :, None]
    if reading == "misa":
        best = volume.masked_fill(~real, float("-inf")).max(-1).values
        return (best * frames).sum(1) / frames.sum(1)
    if reading == "sima":
        best = volume.masked_fill(~frames[..., None], float("-inf")).max(1).values
        return (best * real).sum(-1) / real.sum(-1)
    both = frames[..., None] & real
    return (volume * both).sum((1, 3)) / both.sum((1, 3))
