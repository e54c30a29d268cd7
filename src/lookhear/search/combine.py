"""Several things asked at once: this picture and "red", not "boat"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lookhear.models.model import Model
from lookhear.search.index import Found, Index, Where
from lookhear.search.question import Part
from lookhear.search.rescore import Usual, is_sure, peaks_of, readings, sureness

__all__ = ["asked_together"]

SAMPLE = 256
"""Rows of each modality that usual scores are read from."""
UNUSUAL = 3.0
"""Deviations above its usual score from which on something that is not meant is there, where nothing surer is known."""


def asked_together(
    index: Index, model: Model, found: Sequence[Found], all: Sequence[Part], none: Sequence[Part]
) -> list[Found]:
    """What was found, best first, scored by all parts, without what is met by one of ``none``.

    One part scores what it reads (``readings``). Of several, each is put in deviations above what it scores usually in
    rows of the same modality (``Usual``), and the score is their mean. Something that is not meant is there when a
    calibrated model finds its words likely (one half), else from ``UNUSUAL`` deviations on.
    """
    found = list(found)
    for part in none:
        there = _is_there(index, model, found, part)
        found = [f for f, t in zip(found, there.tolist()) if not t]
    if len(all) == 1:
        scores = readings(index, model, found, all[0])
    else:
        scores = sum((_standard(index, model, found, p) for p in all), torch.zeros(len(found))) / len(all)
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    return [replace(found[i], score=float(scores[i])) for i in order]


def _standard(index: Index, model: Model, found: Sequence[Found], part: Part) -> Tensor:
    """(H,) deviations above usual, in rows of the same modality."""
    raw, out = readings(index, model, found, part), torch.zeros(len(found))
    for modality in {f.modality for f in found}:
        own = torch.tensor([f.modality == modality for f in found])
        usual = readings(index, model, index.sample(SAMPLE, 0, Where(modality=modality)), part)
        out[own] = Usual(usual)(raw[own])
    return out


def _is_there(index: Index, model: Model, found: Sequence[Found], part: Part) -> Tensor:
    """(H,) bool: whether something is met."""
    out, known = torch.zeros(len(found), dtype=torch.bool), is_sure(model, part)
    heard = [i for i, f in enumerate(found) if known and f.modality == "audio"]
    others = [i for i, f in enumerate(found) if not (known and f.modality == "audio")]
    if heard:
        sure = sureness(model, part, peaks_of(index, [found[i] for i in heard], part, model.compatibility))
        assert sure is not None
        out[heard] = sure >= 0.5
    if others:
        out[others] = _standard(index, model, [found[i] for i in others], part) >= UNUSUAL
    return out
