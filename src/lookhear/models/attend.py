"""Convolutions over MFCC, as published for keyword detection: the speech sides of CNN-Attend, CNN-Pool and PSC.

Olaleye and Kamper, 2021, "Attention-based keyword localisation in speech using visual grounding"; Olaleye, Oneață and
Kamper, 2022, "Keyword localisation in untranscribed speech using visually grounded speech models"; Palaz, Synnaeve and
Collobert, 2016, "Jointly learning to locate and classify words using convolutional networks".

A published model is one of these towers and a tag head (``models/heads.py``) that reads its ``hidden`` vectors:

=============== =============================== ==============================================================
model           tower                           head
=============== =============================== ==============================================================
CNN-Attend      ``cnn_attend``                  ``reading = "query"``, ``mlp = 8192``
CNN-Pool        ``cnn_pool``                    ``reading = "pool"``, ``mlp = 4096``
CNN-PoolAttend  ``cnn_pool``, ``rectify=false`` ``reading = "query"``, ``mlp = 4096``
PSC             ``psc``                         ``reading = "log_sum_exp"``, ``r = 1.2``, ``kernel = 11``, no ``mlp``
=============== =============================== ==============================================================

Beside the head, each learns an embedding too: a linear map of ``hidden`` gives the local vectors.

They were trained on recordings padded to eight seconds, with the padding heard. Here it is masked after every layer, so
that an answer does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lookhear.core import Features, Padded, Section, pool
from lookhear.frontend import LogMel, Mfcc
from lookhear.models.norm import Centre
from lookhear.models.speech import SpeechTower, strided

__all__ = ["AttendTower", "PoolTower", "PscTower"]

_DELTAS = 9  # frames that the double delta of one frame is made of


class _Layer(NamedTuple):
    """A convolution to ``width`` channels, rectified, and the maximum over ``pool`` frames at a time."""

    width: int
    kernel: int
    pool: int = 1
    rectify: bool = True


class _MfccTower(SpeechTower):
    """Layers over 39 MFCC channels, a linear map of what they give, and the mean over time.

    A step of ``pool`` frames is real if its first frame is (``strided``), and a step that a recording ends in is kept;
    the vector n hears the sound around the middle of [n × step, (n + 1) × step], less 5 ms, half a frame.

    ``receptive_field`` is what the layers and the deltas see. Beyond it all frames meet in the mean and the variance of
    each coefficient over the recording (CMVN), which the MFCC take out.
    """

    def __init__(self, layers: Sequence[_Layer], dim: int) -> None:
        super().__init__()
        self.frontend, self.mfcc, self.layers = LogMel(bins=80), Mfcc(bins=80), tuple(layers)
        widths = (39, *(layer.width for layer in layers))
        self.convs = nn.ModuleList(
            [nn.Conv1d(w, layer.width, layer.kernel, padding="same") for w, layer in zip(widths, layers)]
        )
        self.width = widths[-1]
        self.value, self.centre = nn.Linear(self.width, dim), Centre(dim)
        frames, stride = _DELTAS, 1
        for layer in layers:
            frames += stride * (layer.kernel - 1 + layer.pool - 1)
            stride *= layer.pool
        self.step, self.receptive_field = 0.01 * stride, 0.025 + 0.01 * (frames - 1)

    def encode(self, mel: Padded) -> Features:
        x = self.mfcc(mel)
        h, mask = x.values, x.mask
        for conv, layer in zip(self.convs, self.layers):
            h = conv(h)
            if layer.rectify:
                h = F.relu(h)
            h = h * mask[:, None]
            if layer.pool > 1:
                # No rectified frame is below the zeros of the padding: the maximum never sees them.
                h, mask = F.max_pool1d(h, layer.pool, ceil_mode=True), strided(mask, layer.pool)
        h = h.transpose(1, 2)
        local = self.value(h).float() * mask[..., None]
        return Features(self.centre(pool(local, mask)), local, mask, self.step, h)


def _five(width: int) -> list[_Layer]:
    """The layers that CNN-Attend and PSC have in common."""
    return [_Layer(width, 9), *[_Layer(width, 11)] * 4]


class AttendTower(_MfccTower):
    """CNN-Attend: 39 → 96 (kernel 9) → 96 × 4 → 1000 (kernel 11), rectified between, a vector every 10 ms.

    Olaleye and Kamper, 2021; the last convolution is not rectified, as in their code.
    """

    class Config(Section):
        """``width`` of the five first convolutions, ``hidden`` of the last."""

        kind: Literal["cnn_attend"]
        width: int = Field(96, ge=1)
        hidden: int = Field(1000, ge=1)

        def build(self, dim: int) -> AttendTower:
            return AttendTower([*_five(self.width), _Layer(self.hidden, 11, rectify=False)], dim)


class PscTower(_MfccTower):
    """PSC: five of its six convolutions, 39 → 96 (kernel 9) → 96 × 4 (kernel 11), a vector every 10 ms.

    The sixth, 96 → words (kernel 11), is the tag head's, whose answers at every moment are then pooled by log-sum-exp.
    Palaz et al., 2016, in the dimensions of Olaleye et al., 2022.
    """

    class Config(Section):
        """``width`` of the convolutions."""

        kind: Literal["psc"]
        width: int = Field(96, ge=1)

        def build(self, dim: int) -> PscTower:
            return PscTower(_five(self.width), dim)


class PoolTower(_MfccTower):
    """CNN-Pool: 39 → 64 (kernel 9), maximum of 3, → 256 (11), maximum of 3, → 1024 (11), a vector every 90 ms.

    Kamper et al., 2019, "Semantic speech retrieval with a visually grounded model of untranscribed speech", as Olaleye
    et al., 2022, have it. Which model it is, CNN-Pool or CNN-PoolAttend, is for the head to say.
    """

    class Config(Section):
        """``widths`` of the convolutions; ``rectify`` the last too, as in CNN-Pool and not in CNN-PoolAttend."""

        kind: Literal["cnn_pool"]
        widths: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (
            64,
            256,
            1024,
        )
        rectify: bool = True

        def build(self, dim: int) -> PoolTower:
            a, b, c = self.widths
            return PoolTower([_Layer(a, 9, 3), _Layer(b, 11, 3), _Layer(c, 11, rectify=self.rectify)], dim)
