"""Windows fed alone, or silenced: where a word is, of a model that answers for whole recordings only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from lookhear.core import RATE, Features
from lookhear.errors import UserError
from lookhear.locators.base import Asked, Listener, Waves, WholeLocator, answers, places

__all__ = ["MaskedIn", "MaskedOut"]

Wave = NDArray[np.float32]
AT_ONCE = 64  # masked recordings held in memory together


class _Masked(WholeLocator):
    """Windows about each moment, and what the model answers when they are kept or taken away.

    Attributes:
        shortest, longest: lengths of the windows, in seconds, of which there are ``lengths`` evenly spaced ones.
        hop: seconds between the moments that windows are laid about; between them the scores are interpolated.
    """

    shortest: float = Field(0.2, gt=0)
    longest: float = Field(0.6, gt=0)
    lengths: int = Field(3, ge=1)
    hop: float = Field(0.03, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.longest < self.shortest:
            raise ValueError(f"longest {self.longest} is shorter than shortest {self.shortest}")
        return self

    def curves(self, model: Listener, waves: Waves, features: Features, asked: Asked) -> Tensor:
        """See the class."""
        if not isinstance(features.step, float):
            raise UserError(
                "this model's speech tower has no frames in time", "Localisation needs a tower with local vectors."
            )
        if self.answer == "tags":
            places(model, asked)
        out = torch.full((*features.mask.shape, len(asked.vectors)), float("-inf"))
        whole = answers(model, features, asked, self.answer)
        for b, wave in enumerate(waves()):
            frames = int(features.mask[b].sum())
            moments = self._moments(frames, features.step)
            given = self._windows(wave, [(m + 0.5) * features.step for m in moments])
            found = []
            while part := list(islice(given, AT_ONCE)):
                found.append(answers(model, model.embed_audio(part), asked, self.answer).float())
            scores = self._read(torch.cat(found), whole[b]).view(len(moments), self.lengths, -1).amax(1)
            out[b, :frames] = _between(scores, moments, frames)
        return out

    def _moments(self, frames: int, step: float) -> list[int]:
        """The frames that windows are laid about: every few, from the first on, and the last."""
        return sorted({*range(0, frames, max(1, round(self.hop / step))), frames - 1})

    def _windows(self, wave: Wave, middles: Sequence[float]) -> Iterator[Wave]:
        """What the model is given: for each middle (seconds), one of each length, cut where the recording ends."""
        for middle in middles:
            for length in np.linspace(self.shortest, self.longest, self.lengths):
                start = max(0, round((middle - length / 2) * RATE))
                stop = min(len(wave), round((middle + length / 2) * RATE))
                start = min(start, max(0, len(wave) - round(length / 2 * RATE)))  # the last frame may lie past the end
                yield self._mask(wave, start, max(stop, start + 1))

    def _mask(self, wave: Wave, start: int, stop: int) -> Wave:
        raise TypeError(f"{type(self).__name__} does not say what it masks")

    def _read(self, found: Tensor, whole: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not say how it reads an answer")


class MaskedIn(_Masked):
    """Each window is fed to the model alone; a moment scores the highest answer of the windows about it.

    Olaleye et al., 2022, "Keyword localisation in untranscribed speech using visually grounded speech models", section
    on masked-based localisation; windows of 20 to 60 frames of 10 ms, and where several share a middle the best counts.
    There they were padded with zeros to eight seconds, all of which the model heard, and lay wholly inside a recording;
    here the model hears the window alone, and windows about the first and last moments are cut where the recording
    ends, so that every moment has some.
    """

    kind: Literal["masked_in"] = "masked_in"

    def _mask(self, wave: Wave, start: int, stop: int) -> Wave:
        return wave[start:stop]

    def _read(self, found: Tensor, whole: Tensor) -> Tensor:
        return found


class MaskedOut(_Masked):
    """Each window is silenced in a copy of the recording; a moment scores by how much the answer falls, at most.

    As ``MaskedIn``, the other way round (Olaleye et al., 2022): the place of the word is where silence costs most. The
    fall is taken from the answer for the recording as it is.
    """

    kind: Literal["masked_out"] = "masked_out"

    def _mask(self, wave: Wave, start: int, stop: int) -> Wave:
        silenced = wave.copy()
        silenced[start:stop] = 0
        return silenced

    def _read(self, found: Tensor, whole: Tensor) -> Tensor:
        return whole.float() - found


def _between(scores: Tensor, moments: Sequence[int], frames: int) -> Tensor:
    """(M, Q) scores at some frames → (frames, Q), linear between them."""
    grid = np.arange(frames)
    columns = [np.interp(grid, moments, column) for column in scores.cpu().numpy().T]
    return torch.from_numpy(np.stack(columns, axis=1)).float()
