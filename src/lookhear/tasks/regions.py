"""Regions: is the place in a picture that goes best with a word the thing that the word names?

The pointing game (Zhang et al. 2016, "Top-down neural attention by excitation backprop", section 4.1): the highest
point of the word's map must lie on the thing. And intersection over union of the thing with where the map is high.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import NonNegativeFloat
from torch import Tensor

from lookhear.data.images import load_image
from lookhear.data.masks import thing_masks
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import seen
from lookhear.tasks.base import Encoded, figure
from lookhear.tasks.keywords import Asked, KeywordSection
from lookhear.tasks.maps import (
    Bools,
    Box,
    Map,
    above_half,
    at_centre,
    best_threshold,
    highest,
    iou,
    random_iou,
    through_grid,
    upsampled,
    widened,
    window,
)
from lookhear.tasks.resampling import Bootstrap, interval
from lookhear.tasks.shown import Pair, said_pairs, shown_names, shown_pairs
from lookhear.tasks.spoken import spoken_queries

__all__ = ["Found", "Regions"]

FIGURES = ("pointing", "iou", "iou_learned")
BESIDE = ("area", "centre", "word_blind", "random", "whole", "ceiling")


@dataclass(frozen=True)
class Found:
    """One pair's answer: the map and the mask at the pixels that the tower sees.

    Attributes:
        row: of the picture.
        word: that was asked.
        values: (h, w) similarities.
        blind: (h, w) those of the mean of all queries.
        mask: (h, w) where the thing is.
        window: rows and columns of the picture's masks that these are.
        shape: (H, W) of the picture's masks.
        grid: rows and columns of patches.
    """

    row: int
    word: str
    values: Map
    blind: Map
    mask: Bools
    window: tuple[slice, slice]
    shape: tuple[int, ...]
    grid: tuple[int, int]


class Regions(KeywordSection):
    """How well the map of a word over a picture's patches finds what the word names.

    Attributes:
        by: what asks: the written word (``text``, put into ``template``), or the word as a recording of the picture
            says it (``speech``; words are then what is said, and their values what is shown).
        tolerance: pixels of the mask by which it is widened for the pointing game.
        threshold: similarity above which a region is, found on other pictures (``learned_threshold``); None leaves the
            figure out.
    """

    kind: Literal["regions"] = "regions"
    name: str = "regions"
    by: Literal["text", "speech"] = "text"
    tolerance: NonNegativeFloat = 0.0
    threshold: float | None = None

    primary: ClassVar[str] = "pointing.value"
    greater_is_better: ClassVar[bool] = True

    def missing(self, corpus: Corpus) -> str | None:
        """Why there is no pair: no masks, nobody who says a word, or none of the words is shown."""
        found = self._pairs(corpus)
        return found if isinstance(found, str) else None

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """Pointing and IoU over all pairs, and as means over the words, beside what needs no understanding.

        Raises:
            UserError: the model has no patches, or cannot look at these pictures.
            ValueError: ``missing`` gives a reason.
        """
        rows, words, measured = [], [], []
        for found in self.found(encoded):
            rows.append(found.row)
            words.append(found.word)
            measured.append(self._measure(found))
        if not measured:
            raise UserError(
                f"section {self.name!r}: nothing asked lies in the part of its picture that the model sees",
                "Ask other words.",
            )
        values = {k: np.array([m[k] for m in measured]) for k in measured[0]}
        resamples = Bootstrap(encoded.units[rows])
        encoded.resampled[self.name] = resamples.resampled(values["pointing"])
        beside = {k: float(values[k].mean()) for k in BESIDE}
        chances = {"pointing": beside["area"], "iou": beside["random"], "iou_learned": None}
        name = np.array(words)
        result: dict[str, Any] = {
            "kind": self.kind,
            "by": self.by,
            "interval_over": "pictures",
            "tolerance": self.tolerance,
            "threshold": self.threshold,
        }
        for key in FIGURES:
            if key in values:
                each = values[key]
                result[key] = figure(each.mean(), resamples.mean(each), chances[key], len(each))
                result[f"{key}_words"] = figure(*_over_words(each, name, resamples), None, len(set(words)))
        return {
            **result,
            "chance": beside["area"],
            "centre": beside["centre"],
            "word_blind": beside["word_blind"],
            "iou_whole": beside["whole"],
            "iou_ceiling": beside["ceiling"],
            "pictures": len(set(rows)),
            "pairs": len(rows),
            "words": len(set(words)),
            "per_word": {
                w: {
                    **{k: float(values[k][name == w].mean()) for k in (*FIGURES, "area", "centre") if k in values},
                    "pairs": int((name == w).sum()),
                }
                for w in dict.fromkeys(words)
            },
        }

    def found(self, encoded: Encoded) -> Iterator[Found]:
        """Every pair's map beside its mask, picture by picture; things outside of what the tower sees are left out.

        Raises:
            UserError: the model has no patches or cannot look at these pictures; a mask of another shape than its
                picture, or a damaged one.
            ValueError: ``missing`` gives a reason.
        """
        pairs = self._pairs(encoded.corpus)
        if isinstance(pairs, str):
            raise ValueError(pairs)
        if encoded.blind:
            raise UserError(f"section {self.name!r}: {encoded.blind}", "Evaluate a model of pictures on pictures.")
        step = encoded.image.step
        if not isinstance(step, tuple):
            raise UserError("this model's image tower has no patches", "Regions need a tower that has.")
        asked, shown = pairs
        queries = self._queries(encoded, list(asked), shown)
        blind = F.normalize(queries.mean(0, keepdim=True), dim=-1)
        start = 0
        while start < len(shown):
            stop = start
            while stop < len(shown) and shown[stop].picture == shown[start].picture:
                stop += 1
            here, position = shown[start:stop], shown[start].picture
            with torch.inference_mode():
                curves = encoded.model.compatibility.curve(
                    encoded.image[[position]], torch.cat([queries[start:stop], blind])
                )[0]
            yield from _against_masks(encoded, here, curves.T.reshape(-1, *step), list(asked))
            start = stop

    def learned_threshold(self, encoded: Encoded) -> float:
        """The ``threshold`` of highest mean IoU on a corpus, which must not be the one that is then measured on.

        Raises:
            UserError, ValueError: as ``found``.
        """
        return best_threshold([(f.values, f.mask) for f in self.found(encoded)])

    def _pairs(self, corpus: Corpus) -> tuple[Asked, list[Pair]] | str:
        """The words, and the pairs in the order of the pictures."""
        if not corpus.has("masks"):
            return "no masks (column 'masks')"
        if self.by == "speech" and not (len(corpus.recordings) and corpus.has("words")):
            return "no recordings with word times (column 'words')"
        names = shown_names(corpus)
        asked = self.asked(corpus, names)
        if isinstance(asked, str):
            return asked
        pairs = shown_pairs(names, asked)
        if self.by == "speech":
            pairs = said_pairs(corpus, list(asked), pairs)
        whose = "shown in any picture with masks" if self.by == "text" else "said of a picture whose masks show it"
        return (asked, pairs) if pairs else f"none of the {len(asked)} words is {whose}"

    def _queries(self, encoded: Encoded, words: list[str], pairs: list[Pair]) -> Tensor:
        """(pairs, D) unit vectors."""
        if self.by == "speech":
            return spoken_queries(encoded.audio_parts, [(p.recording, p.spans) for p in pairs])
        return encoded.words(words, self.template)[[p.word for p in pairs]]

    def _measure(self, found: Found) -> dict[str, float]:
        """All figures of one pair, and what is beside them (``BESIDE``)."""
        mask, wide, region = found.mask, widened(found.mask, self.tolerance), above_half(found.values)
        out = {
            "pointing": float(wide[highest(found.values)].mean()),
            "word_blind": float(wide[highest(found.blind)].mean()),
            "area": float(wide.mean()),
            "centre": at_centre(wide),
            "iou": iou(region, mask),
            "random": random_iou(int(region.sum()), int(mask.sum()), mask.size),
            "whole": float(mask.mean()),
            "ceiling": iou(above_half(through_grid(mask, found.grid)), mask),
        }
        if self.threshold is not None:
            out["iou_learned"] = iou(found.values >= self.threshold, mask)
        return out


def _against_masks(encoded: Encoded, pairs: list[Pair], cells: Tensor, words: list[str]) -> Iterator[Found]:
    """The (pairs + 1, R, C) maps of one picture, the last of them the word-blind one, beside the masks."""
    row = int(encoded.corpus.pictures[pairs[0].picture])
    masks = thing_masks(encoded.corpus, row)
    shape = next(iter(masks.values())).shape
    box = _box(encoded, row, shape)
    here, maps, grid = window(box), upsampled(cells, box), (cells.shape[1], cells.shape[2])
    for pair, values in zip(pairs, maps):
        mask = np.logical_or.reduce([masks[t] for t in pair.things])[here]
        if mask.any():
            yield Found(row, words[pair.word], values, maps[-1], mask, here, shape, grid)


def _box(encoded: Encoded, row: int, shape: tuple[int, ...]) -> Box:
    """The part of a picture that the image tower sees, in pixels of its masks.

    Raises:
        UserError: the masks have another shape than the picture.
    """
    source = encoded.corpus.media("image", row)
    name = f"picture {encoded.corpus.table['id'][row].as_py()}" if isinstance(source, bytes) else str(source)
    width, height = load_image(source, name=name).size
    down, across = shape[0] / height, shape[1] / width
    if abs(down - across) * max(width, height) > 1:  # scaled masks may be a pixel off
        raise UserError(
            f"{name}: {width} × {height} pixels, and its masks have {shape[1]} × {shape[0]}",
            "Give masks of the picture's size, or of its shape.",
        )
    tower: Any = getattr(encoded.model, "image", None)
    left, top, right, bottom = seen(width, height, tower.size, tower.squash)
    return left * across, top * down, right * across, bottom * down


def _over_words(
    values: NDArray[np.float64], words: NDArray[Any], resamples: Bootstrap
) -> tuple[float, tuple[float, float]]:
    """The mean over the words of their means, and its 95 % interval; a resample leaves out words that it lacks."""
    names, number = np.unique(words, return_inverse=True)
    belongs = (number == np.arange(len(names))[:, None]).astype(np.float64)
    weights = resamples.weights().astype(np.float64)
    with np.errstate(invalid="ignore"):
        means = (belongs * values) @ weights / (belongs @ weights)
    own = (belongs @ values) / belongs.sum(1)
    return float(own.mean()), interval(np.nanmean(means, axis=0))
