"""Training a teacher of our own: pictures, or vectors of them, against what people wrote of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lookhear.core import Padded, unit_from
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import PictureTower, VectorTower
from lookhear.models.model import Model
from lookhear.models.teacher import EmbeddedTeacher, Teacher, VectorTeacher, sentence_vectors
from lookhear.models.texts import TextTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.words import WordPrompts
from lookhear.recipe import Optimisation
from lookhear.training.batches import PictureBatches
from lookhear.training.fit import Progress, fit
from lookhear.training.pictures import picture_tensor, picture_vectors
from lookhear.training.vocabulary import said_by_group, vocabulary

__all__ = ["TEACHER_STAGES", "teach"]

TEACHER_STAGES = ("teacher", "unseen")
"""Names of the parts of the lesson, as logs and checkpoints carry them; the second is for ``unseen_noise`` alone."""

CENTRED_ON = 2000


def _word_prompts(
    teacher: Teacher, config: EmbeddedTeacher | VectorTeacher, texts: list[str], groups: np.ndarray, n_groups: int
) -> WordPrompts:
    words = vocabulary(texts, config.words, config.always)
    said = said_by_group(texts, groups, words, n_groups)
    prompts = [sentence_vectors(teacher, [p.format(word=w) for w in words]) for p in config.prompts]
    share = said[np.unique(groups)].float().mean(0)
    return WordPrompts(torch.stack(prompts), said, share, teacher.dim, config.word_weight)


def _some_of_each(groups: np.ndarray, most: int) -> np.ndarray:
    """Positions of the first ``most`` items of each group."""
    seen: Counter[int] = Counter()
    keep = []
    for i, g in enumerate(groups.tolist()):
        if seen[g] < most:
            keep.append(i)
        seen[g] += 1
    return np.array(keep, dtype=np.int64)


def _material(teacher: Teacher, corpus: Corpus, pictures: np.ndarray) -> Tensor:
    """What the image tower reads of the given rows: uint8 pixels, or vectors, whose mean the tower is told."""
    if isinstance(teacher.image, VectorTower):
        vectors = torch.from_numpy(picture_vectors(corpus, pictures))
        if vectors.shape[1] != teacher.image.width:
            raise UserError(
                f"{corpus.name}: image vectors of width {vectors.shape[1]}, the recipe says {teacher.image.width}",
                f"Set teacher.vector_width={vectors.shape[1]}.",
            )
        teacher.image.mean.copy_(torch.nn.functional.normalize(vectors, dim=-1).mean(0))
        return vectors
    assert isinstance(teacher.image, PictureTower)
    return picture_tensor(corpus, pictures, teacher.image)


def teach(
    config: EmbeddedTeacher | VectorTeacher,
    corpus: Corpus,
    splits: tuple[str, ...],
    *,
    seed: int,
    folder: Path | None,
    key: str = "",
    progress: bool = True,
    begin: Callable[[Teacher], None] = lambda teacher: None,
) -> tuple[Teacher, Progress]:
    """Trains image and text towers on the pictures and texts of the given splits; speech is not touched.

    L = InfoNCE(picture, caption) + single-word prompts (see ``WordPrompts``); the sentence encoder stays frozen. With
    ``unseen_noise``, the map so learned becomes the teacher's ``lesson`` and a new one is learned in the same way, but
    under that noise and towards the finished text tower.

    Args:
        begin: gets the new teacher before its lesson; what it leaves in the image tower is what that begins as.

    Raises:
        UserError: no pictures with texts in these splits.
    """
    torch.manual_seed(seed)
    teacher = config.build()
    begin(teacher)
    chosen = np.isin(np.array(corpus.column("split"), dtype=object), splits)
    pictures = corpus.pictures[chosen[corpus.pictures]]
    text_rows = corpus.texts[chosen[corpus.texts]]
    if not len(pictures) or not len(text_rows):
        raise UserError(f"{corpus.name}: no pictures with texts in {', '.join(splits)}", "Set data.teacher.")
    column = corpus.column("text")
    texts = [column[i] for i in text_rows]
    groups = corpus.groups
    material = _material(teacher, corpus, pictures)
    encoded = _some_of_each(groups[text_rows], config.captions_each)
    vectors = sentence_vectors(teacher, [texts[i] for i in encoded])
    centre = [vectors.mean(0)]
    asked = None
    if config.word_weight and config.words:
        asked = _word_prompts(teacher, config, texts, groups[text_rows], int(groups.max()) + 1)
        centre.append(asked.prompts.mean((0, 1)))
    assert isinstance(teacher.text, TextTower)
    teacher.text.mean.copy_(torch.stack(centre).mean(0))
    source = PictureBatches(
        material,
        groups[pictures],
        vectors,
        groups[text_rows[encoded]],
        min(config.batch_size, len(pictures)),
        seed,
        **_augmentation(config),
    )
    loop = Optimisation(
        epochs=config.epochs,
        batch_size=source.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        floor=config.floor,
        average=config.average,
        seed=seed,
    )

    def learn(name: str) -> Progress:
        parts: list[Objective] = [InfoNCE(InfoNCE.Config(a="image", b="text", max_scale=50.0))]
        parts += [] if asked is None else [asked]
        return fit(
            Learner(Model(teacher, None), parts), source, loop, name=name, key=key, folder=folder, progress=progress
        )

    state = learn(TEACHER_STAGES[0])
    if isinstance(config, VectorTeacher) and config.unseen_noise is not None:
        _put_lesson_away(teacher, config, seed)
        source.noise = config.unseen_noise
        learn(TEACHER_STAGES[1])
    _centre(teacher.eval(), source, vectors)
    return teacher.requires_grad_(False), state


def _put_lesson_away(teacher: Teacher, config: VectorTeacher, seed: int) -> None:
    """The map that was learned becomes the lesson, and the image tower a new one, which alone is trained on.

    Begun from the lesson's map, the new one would keep what that has by heart.
    """
    assert isinstance(teacher.lesson, VectorTower)
    assert isinstance(teacher.image, VectorTower)
    teacher.lesson.load_state_dict(teacher.image.state_dict())
    torch.manual_seed(seed)  # the same map however often the lesson was stopped
    teacher.image.load_state_dict(VectorTower(config.vector_width, config.dim, config.map_hidden).state_dict())
    teacher.image.mean.copy_(teacher.lesson.mean)
    teacher.requires_grad_(False)
    teacher.image.requires_grad_(True)


def _augmentation(config: EmbeddedTeacher | VectorTeacher) -> dict[str, Any]:
    return (
        {"noise": config.noise} if isinstance(config, VectorTeacher) else {"flip": config.flip, "shift": config.shift}
    )


def _centre(teacher: Teacher, source: PictureBatches, sentences: Tensor) -> None:
    """Tells both towers the middle of their own vectors over the lesson (``unit_from``), and the texts' spread."""
    with torch.no_grad():
        for tower in [teacher.image] if teacher.lesson is None else [teacher.image, teacher.lesson]:
            images = torch.cat([tower(x).pooled for x in source.plain(CENTRED_ON)]).mean(0)
            tower.centre.copy_(images)  # type: ignore[operator]
        texts = teacher.text(Padded(sentences)).pooled
    assert isinstance(teacher.text, TextTower)
    teacher.text.centre.copy_(texts.mean(0))
    seen = unit_from(teacher.text.centre, texts)
    teacher.text.spread.copy_(seen.T @ seen / len(seen))
