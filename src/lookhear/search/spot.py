"""Keyword spotting in recordings of any length: streamed, every word's moments placed, memory bounded by a piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lookhear.audio import samples_of
from lookhear.core import RATE, Hit
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.streaming import stream
from lookhear.search.curves import Curves
from lookhear.search.finder import Finder
from lookhear.search.queries import Asked, written

__all__ = ["Heard", "best_first", "hear", "spot"]


@dataclass(frozen=True)
class Heard:
    """One recording, heard to its end.

    Attributes:
        file: its path, as given.
        seconds: how long it is.
        hits: in order of time, then of query.
    """

    file: str
    seconds: float
    hits: tuple[Hit, ...]


def hear(
    model: Model,
    files: Sequence[Path | str],
    asked: Sequence[Asked],
    *,
    threshold: float | None = None,
    on_error: Callable[[UserError], None] | None = None,
    progress: bool = False,
) -> Iterator[Heard]:
    """Where in each recording the queries are met.

    Of a model that was calibrated (``Calibration``), a moment counts whose probability reaches ``threshold``, one half
    by default. Of another, ``threshold`` is the lowest score that counts, and without it each query's own statistics in
    each file decide (``Finder``). A score is a point of the query's curve (``Curves``): the cosine, in [-1, 1], of the
    query with the local vectors about that moment. A hit's stretch is where the curve stays above half its peak, and no
    shorter than ``moments.LEAST``; hits of one query do not overlap.

    What is heard does not depend on how a recording is cut for streaming (``models.streaming``), and memory does not
    grow with its length, but for the hits.

    Args:
        files: recordings of any length.
        asked: as ``queries`` makes them.
        on_error: gets the error of a file that cannot be read, which is then left out whole; None raises it.
        progress: a bar on stderr, in seconds of sound, if that is a terminal.

    Raises:
        UserError: a threshold outside its range, a model whose scores are not numbers, a file that cannot be read
            (without ``on_error``).
    """
    from tqdm import tqdm

    curves = Curves(asked, model.compatibility, model.calibration)
    cut = _cut(threshold, curves.calibrated)
    names = [a.name for a in asked]
    with tqdm(
        total=_seconds(files) if progress else None,
        desc="spotting",
        unit="s",
        unit_scale=True,
        disable=None if progress else True,
    ) as bar:
        for file in map(str, files):
            finder, done = Finder(file, names, curves, model.step, cut), 0.0
            try:
                for stretch in stream(model, file):
                    scores = curves.of_parts(stretch.features)
                    if torch.isnan(scores).any():
                        raise UserError(
                            "the model gives scores that are not numbers", "Its training diverged: train again."
                        )
                    finder.add(scores, stretch.last)
                    bar.update(stretch.end - done)
                    done = stretch.end
            except UserError as e:
                if on_error is None:
                    raise
                on_error(e)
                continue
            yield Heard(file, done, finder.hits(done))


def spot(
    model: Model,
    files: Sequence[Path | str],
    words: Sequence[str],
    *,
    threshold: float | None = None,
    template: str | Sequence[str] | None = None,
    on_error: Callable[[UserError], None] | None = None,
    progress: bool = False,
) -> Iterator[Hit]:
    """Where in the recordings the written words are said, best score first.

    Args:
        words: written words or phrases.
        template: prompt(s) around each word, several of which are averaged; by default those that the model was
            calibrated with, or the word alone.
        threshold, on_error, progress: as of ``hear``.

    Raises:
        UserError: as ``hear`` and ``written``.
    """
    asked = written(model, words, template)
    found = hear(model, files, asked, threshold=threshold, on_error=on_error, progress=progress)
    yield from best_first(h for heard in found for h in heard.hits)


def best_first(hits: Iterable[Hit]) -> list[Hit]:
    """By probability, where there is one, then by score; among equals by file and time."""
    return sorted(hits, key=lambda h: (-(h.probability or 0.0), -h.score, h.file, h.start))


def _cut(threshold: float | None, calibrated: bool) -> float | None:
    """The threshold on the scale of the curves: log-odds of a calibrated model, else cosines."""
    if not calibrated:
        if threshold is not None and not -1 <= threshold <= 1:
            raise UserError(f"a threshold of {threshold}", "Scores lie between -1 and 1.")
        return threshold
    threshold = 0.5 if threshold is None else threshold
    if not 0 < threshold < 1:
        raise UserError(f"a threshold of {threshold}", "This model gives probabilities: choose between 0 and 1.")
    return math.log(threshold / (1 - threshold))


def _seconds(files: Sequence[Path | str]) -> float:
    """How long the recordings are by their headers; those that have none that can be read count nothing."""
    total = 0
    for file in files:
        try:
            total += samples_of(Path(file))
        except UserError:  # it is told when its turn comes
            continue
    return total / RATE
