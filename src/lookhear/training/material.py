"""What speech learns from: the recipe's objectives, what is seen in the pictures, and recordings in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.data.pairing import Pairing, pair_up
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.objectives.asked import AskedWords, Tags
from lookhear.objectives.base import Objective, Shaped
from lookhear.objectives.local import LocalSection
from lookhear.recipe import Recipe
from lookhear.training.annealed import Annealed
from lookhear.training.batches import SpeechBatches
from lookhear.training.fit import BatchSource
from lookhear.training.mels import StreamedMels, frames_of, gigabytes, log_mels
from lookhear.training.pictures import look, picture_patches
from lookhear.training.second import SecondView, recordings_heard
from lookhear.training.tags import tag_pictures

__all__ = [
    "asking",
    "objectives_and_targets",
    "speech_batches",
    "targets",
    "training_pairs",
    "training_pictures",
]


def training_pictures(recipe: Recipe, corpus: Corpus) -> NDArray[np.int64]:
    """Rows of the pictures that speech learns from."""
    split = np.array(corpus.column("split"), dtype=object)
    return corpus.pictures[np.isin(split[corpus.pictures], recipe.data.train)]


def training_pairs(recipe: Recipe, corpus: Corpus, pictures: NDArray[np.int64]) -> Pairing:
    """The recordings that speech learns from, and what goes with them.

    Raises:
        UserError: there are none, or they lack what the recipe asks for.
    """
    split = np.array(corpus.column("split"), dtype=object)
    rows = corpus.recordings[np.isin(split[corpus.recordings], recipe.data.train)]
    if not len(rows):
        raise UserError(f"{corpus.name}: no recordings in {', '.join(recipe.data.train)}", "Set data.train.")
    data = recipe.data
    return pair_up(
        corpus,
        rows,
        pictures,
        recipe.seed,
        pictured=data.pictured,
        texted=data.texted,
        apart=data.texts_apart,
        noise=data.noise,
    )


def asking(recipe: Recipe) -> list[AskedWords]:
    """The recipe's objectives that ask words of the pictures.

    Raises:
        UserError: two of one kind.
    """
    found: list[AskedWords] = [c for c in recipe.objectives if isinstance(c, AskedWords)]
    for kind, count in Counter(c.kind for c in found).items():
        if count > 1:
            raise UserError(f"recipe {recipe.name!r} has several objectives of kind {kind!r}", "Keep one.")
    return found


def targets(
    model: Model, recipe: Recipe, corpus: Corpus, pictures: NDArray[np.int64]
) -> tuple[dict[str, Tags], Tensor]:
    """What the pictures have to teach: tags by the kind of the objective that asks for them, and (P, D) vectors.

    Raises:
        UserError: as ``asking`` and ``tag_pictures``.
    """
    vectors, tags = None, dict[str, Tags]()
    for config in asking(recipe):
        tags[config.kind], vectors = tag_pictures(config, model, corpus, recipe.data.teacher, pictures)
    return tags, look(model, corpus, pictures)[0] if vectors is None else vectors


def objectives_and_targets(
    model: Model, recipe: Recipe, corpus: Corpus, pictures: NDArray[np.int64]
) -> tuple[list[Objective], Tensor, dict[str, Tensor]]:
    """The recipe's objectives, and what they learn from the pictures: (P, D) vectors, and (P, V) tags by objective.

    Raises:
        UserError: as ``targets``.
    """
    tags, vectors = targets(model, recipe, corpus, pictures)
    built = list[Objective]()
    for config in recipe.objectives:
        if isinstance(config, AskedWords):
            built.append(config.build(model, tags[config.kind]))
        else:
            built.append(config.build(model) if isinstance(config, Shaped) else config.build())
    return built, vectors, {kind: found.probabilities for kind, found in tags.items()}


def speech_batches(
    model: Model,
    recipe: Recipe,
    corpus: Corpus,
    pairing: Pairing,
    pictures: NDArray[np.int64],
    targets: tuple[Tensor, dict[str, Tensor]],
    folder: Path,
    progress: bool,
    twice: bool = False,
) -> tuple[BatchSource, Sequence[Tensor]]:
    """Batches of the recordings of a pairing, and their log-mels.

    Args:
        targets: (P, D) vectors and (P, V) tags of the pictures.
        folder: where log-mels that do not fit in memory are kept.
        twice: whether recordings have a second view.

    Raises:
        UserError: an objective needs the patches of pictures that have none.
    """
    tower, rows = model.audio, pairing.rows
    assert tower is not None
    lengths = frames_of(corpus, rows, tower)
    mels: Sequence[Tensor]
    if gigabytes(lengths, tower.channels) <= recipe.data.in_memory:
        mels = log_mels(tower, corpus, rows, progress)
    else:
        mels = StreamedMels(tower, corpus, rows, folder=folder, most=recipe.data.on_disk)
    ids = corpus.table["id"].take(rows).to_pylist()
    local = any(isinstance(c, LocalSection) and c.patches for c in recipe.objectives)
    patches = picture_patches(model, corpus, pictures) if local else None
    second = None
    if twice:
        partners = recipe.data.partners.find(model, corpus, rows) if recipe.data.partners else None
        second = SecondView(recordings_heard(mels, recipe.augment), partners)
    sizes = (*recipe.training.smaller_batches, recipe.training.batch_size)
    sources = [
        SpeechBatches(
            mels,
            pairing.groups,
            ids,
            targets[0],
            corpus.groups[pictures],
            size,
            recipe.seed,
            recipe.augment,
            targets[1],
            lengths,
            pairing.pictured,
            _own_texts(model, corpus, pairing),
            patches,
            second,
        )
        for size in sizes
    ]
    return (sources[0] if len(sources) == 1 else Annealed(sources, recipe.training.epochs)), mels


def _own_texts(model: Model, corpus: Corpus, pairing: Pairing) -> dict[int, Tensor]:
    """Recording → unit vector of its text, for those that are learned from it."""
    chosen = np.flatnonzero(pairing.texted)
    if not len(chosen):
        return {}
    texts = corpus.table["text"].take(pairing.rows[chosen]).to_pylist()
    with torch.inference_mode():
        vectors = model.embed_texts(texts).pooled.clone()
    return dict(zip(chosen.tolist(), vectors))
