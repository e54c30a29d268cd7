"""Calibration learned on held-out speech: from what the teacher sees in its pictures, or from a few labels.

No transcript is read: of each held-out recording the teacher says, from the pictures of its group, how likely each word
is, and the scores of the recording's best moments are fitted to that. Whoever has marked some words goes on from there.
Recordings are heard as spotting will hear speech, one after another and not each in a silence of its own: single digits
score higher alone than on a tape (F1 of hits on a validation tape of Azerbaijani digits 84.0, and 81.6 one by one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.calibration import Calibration
from lookhear.models.model import Model
from lookhear.objectives.asked import AskedWords
from lookhear.recipe import Recipe
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import labels_of, truth_table
from lookhear.tasks.spotting import Spotting
from lookhear.training.tags import tag_pictures

__all__ = ["calibrate_by_labels", "calibrate_by_pictures", "fit_calibration"]

MOST = 1000  # held-out recordings
PICTURES = 20  # of one group: every seven is a seven
OWN = 0.3
"""λ: what a word's own δ² costs, in nats of the summed cross-entropy. Between .03 and 1 the F1 of moments on the
picture book's validation recordings stayed within half a point."""
FAITH = 3.0
"""κ: what it costs to move α, β and γ away from where they were, for a few labels must not turn everything over."""
TAPE, PAUSE = 60.0, (0.1, 0.6)
"""Seconds of what is heard in one piece, and (shortest, longest) between two recordings of it."""
UNIT = 10.0  # cosines are small numbers: α is fitted to ten times them


def calibrate_by_pictures(model: Model, recipe: Recipe, corpus: Corpus) -> Calibration | str:
    """From the pictures of the recordings of ``data.calibration``, or the reason why that cannot be.

    The words are those that an objective asks of the pictures, or the most frequent ones of the teacher's texts, in the
    templates of the recipe's first section that spots words.

    Raises:
        UserError: as ``tag_pictures``.
    """
    split = np.array(corpus.column("split"), dtype=object)
    held = np.isin(split, recipe.data.calibration)
    groups = corpus.groups
    shown = np.isin(groups, groups[corpus.pictures])
    rows = corpus.recordings[(held & shown)[corpus.recordings]][:MOST]
    if not len(rows):
        return f"no recordings with pictures in {', '.join(recipe.data.calibration) or 'data.calibration'}"
    pictures, of = _pictures(corpus, groups[rows], held)
    tags, _ = tag_pictures(_asking(recipe), model, corpus, recipe.data.teacher, pictures)
    seen = torch.stack([tags.probabilities[torch.from_numpy(of[g])].float().mean(0) for g in groups[rows].tolist()])
    templates = _templates(recipe)
    queries = Encoded(model, corpus).words(tags.words, templates)
    peaks, still = _heard(model, corpus, rows, queries, templates)
    return fit_calibration(still, peaks, queries, seen, tags.words)


def calibrate_by_labels(
    before: Calibration, model: Model, corpus: Corpus, words: Mapping[str, Sequence[str]] | Sequence[str], truth: str
) -> Calibration:
    """Goes on from a calibration with recordings of which it is known whether they say the words.

    Args:
        corpus: recordings, of which those count whose ``truth`` is known.
        words: the words; or word → values of the truth, to ask in one language for what is said in another.
        truth: "text", or a column, as of the evaluation section ``spotting``.

    Raises:
        UserError: no recordings, or none whose truth is known; none of the words is true of any of them.
    """
    if not corpus.has(truth):
        raise UserError(f"{corpus.name}: no column {truth!r}", "Name the one that holds what is said (--truth).")
    labels = labels_of(corpus, truth)
    rows = np.array([r for r in corpus.recordings.tolist() if labels[r] is not None], dtype=np.int64)[:MOST]
    asked = {w: tuple(words[w]) if isinstance(words, Mapping) else (w,) for w in words}
    said = truth_table([labels[r] for r in rows], asked, running=truth in ("text", "words"))
    if not said.any():
        raise UserError(
            f"{corpus.name}: none of {', '.join(list(asked)[:3])}, … is said in its {len(rows)} labelled recordings",
            "Label some recordings that say them.",
        )
    queries = Encoded(model, corpus).words(list(asked), before.templates)
    peaks, _ = _heard(model, corpus, rows, queries, before.templates)
    return fit_calibration(before, peaks, queries, torch.from_numpy(said).float(), list(asked), faith=FAITH)


def fit_calibration(
    before: Calibration, peaks: Tensor, queries: Tensor, said: Tensor, words: Sequence[str], faith: float = 0.0
) -> Calibration:
    """α, β, γ and each word's δ, by cross-entropy with (R, V) targets in [0, 1].

    Minimises Σ BCE(α s + β (s − μ) / σ + γ + δ, said) + ``OWN`` Σ (δ − δ₀)² + ``faith`` |(α, β, γ) − (α₀, β₀, γ₀)|²
    with α, β ≥ 0: a higher score never makes a word less likely.

    Args:
        before: whose m and C are kept, where it starts from, and where words that are not asked keep their δ.
        peaks: (R, V) best moments of R recordings for the unit queries (V, D) of the words.
    """
    middle, spread = before.usual(queries)
    inputs = torch.stack([peaks * UNIT, (peaks - middle) / spread, torch.ones_like(peaks)]).double()
    scale = before.weights.new_tensor([UNIT, 1.0, 1.0]).double()
    start = before.weights.double() / scale
    rising = torch.tensor([True, True, False])
    known = {word: float(d) for word, d in zip(before.words, before.offsets)}
    own = torch.tensor([known.get(w, 0.0) for w in words], dtype=torch.float64)
    # Softplus keeps α and β from falling below 0; its inverse of where they were is where it starts.
    raw = nn.Parameter(torch.where(rising, (start.clamp(min=1e-3).expm1()).log(), start))
    offsets = nn.Parameter(own.clone())
    weights: Callable[[], Tensor] = lambda: torch.where(rising, F.softplus(raw), raw)  # noqa: E731
    target = said.double()
    optimiser = torch.optim.LBFGS([raw, offsets], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = torch.einsum("f,frv->rv", weights(), inputs) + offsets
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        loss = loss + OWN * (offsets - own).square().sum() + faith * (weights() - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    learned = known | dict(zip(words, offsets.detach().tolist(), strict=True))
    return Calibration(
        before.mean,
        before.covariance,
        weights().detach() * scale,
        torch.tensor(list(learned.values())),
        list(learned),
        before.templates,
    )


def _heard(
    model: Model, corpus: Corpus, rows: NDArray[np.int64], queries: Tensor, templates: Sequence[str]
) -> tuple[Tensor, Calibration]:
    """(R, V) best moments of the recordings, strung together in random order; m and C, and nothing learned yet."""
    rng, order = np.random.default_rng(0), np.random.default_rng(0).permutation(len(rows))
    peaks = torch.zeros(len(rows), len(queries))
    count, total, square = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    tape = _Tape()
    for n, i in enumerate(order.tolist()):
        row = int(rows[i])
        source = corpus.media("audio", row)
        tape.append(i, load_audio(source, str(source) if isinstance(source, Path) else f"row {row}"), rng)
        if tape.seconds < TAPE and n + 1 < len(rows):
            continue
        features = model.embed_audio([np.concatenate(tape.waves)])
        curve = model.compatibility.curve(features, queries)[0]
        frames = model.compatibility.units(features)[0].double()
        count, total, square = count + len(frames), total + frames.sum(0), square + frames.T @ frames
        for k, start, end in tape.places:
            first = min(int(start / model.step), len(curve) - 1)
            peaks[k] = curve[first : max(first + 1, round(end / model.step))].amax(0)
        tape = _Tape()
    mean = total / count
    still = torch.tensor([UNIT, 1.0, -10.0])
    return peaks, Calibration(mean, square / count - mean.outer(mean), still, templates=templates)


class _Tape:
    """Recordings one after another, with pauses."""

    def __init__(self) -> None:
        self.waves: list[NDArray[np.float32]] = []
        self.places: list[tuple[int, float, float]] = []  # number, start and end in seconds
        self.seconds = 0.0

    def append(self, number: int, wave: NDArray[np.float32], rng: np.random.Generator) -> None:
        pause = np.zeros(round(rng.uniform(*PAUSE) * RATE), dtype=np.float32)
        self.waves += [wave, pause]
        self.places.append((number, self.seconds, self.seconds + len(wave) / RATE))
        self.seconds += (len(wave) + len(pause)) / RATE


def _asking(recipe: Recipe) -> AskedWords:
    for objective in recipe.objectives:
        if isinstance(objective, AskedWords):
            return objective
    how = recipe.teacher
    given = {k: getattr(how, k) for k in ("always", "prompts") if hasattr(how, k)}
    return AskedWords(kind="calibration", **given)


def _templates(recipe: Recipe) -> tuple[str, ...]:
    given = next((s.template for s in recipe.evaluate if isinstance(s, Spotting)), "{word}")
    return (given,) if isinstance(given, str) else tuple(given)


def _pictures(
    corpus: Corpus, groups: NDArray[np.int64], held: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], dict[int, NDArray[np.int64]]]:
    """Rows of pictures of these groups, and of each group which of them: held-out ones where it has some."""
    rows: list[int] = []
    of: dict[int, NDArray[np.int64]] = {}
    every = corpus.pictures
    for group in np.unique(groups).tolist():
        own = every[corpus.groups[every] == group]
        apart = own[held[own]]
        chosen = (apart if len(apart) else own)[:PICTURES]
        of[group] = np.arange(len(rows), len(rows) + len(chosen))
        rows += chosen.tolist()
    return np.array(rows, dtype=np.int64), of
