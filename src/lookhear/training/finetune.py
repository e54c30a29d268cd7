"""Finetuning CLIP or SigLIP on the captions of a corpus, before speech; the bridge is measured before and after."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lookhear.core import Batch, Features, Padded
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.finetuned import LockedImage
from lookhear.models.model import Model, write_atomically
from lookhear.models.teacher import ClipTeacher, Teacher
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import Optimisation
from lookhear.training.bridge import bridge, captioned, told
from lookhear.training.fit import Progress, fit
from lookhear.training.pictures import look, picture_tensor

__all__ = ["CaptionBatches", "finetune"]

See = Callable[[NDArray[np.int64]], Padded | Features]


class CaptionBatches:
    """Pictures and, for each, one of its texts, drawn anew every time it is seen."""

    def __init__(
        self,
        see: See,
        groups: NDArray[np.int64],
        tokenize: Callable[[list[str]], Padded],
        texts: list[str],
        text_groups: NDArray[np.int64],
        batch_size: int,
        seed: int,
    ) -> None:
        """
        Args:
            see: numbers of pictures → their pixels, or what a frozen tower made of them.
            groups: (pictures,) their groups; ``text_groups`` those of the texts.
            tokenize: texts → (B, W) ids; a batch is padded to its own longest text, or as the tower asks.

        Raises:
            UserError: fewer pictures than a batch, or a text that the tokenizer makes nothing of.
        """
        by_group: dict[int, list[int]] = defaultdict(list)
        for i, g in enumerate(text_groups.tolist()):
            by_group[g].append(i)
        self.rows = np.array([i for i, g in enumerate(groups.tolist()) if g in by_group], dtype=np.int64)
        if len(self.rows) < batch_size:
            raise UserError(
                f"{len(self.rows)} pictures with texts, fewer than a batch of {batch_size}",
                "Lower teacher.finetune.batch_size.",
            )
        tokenize(texts)  # a text that cannot be read is named now, not at some step
        self.see, self.groups, self.tokenize, self.texts = see, groups, tokenize, texts
        self.by_group = {g: np.array(v) for g, v in by_group.items()}
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = len(self.rows) // batch_size

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's share of a batch: every ``world``-th picture."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng((self.seed, 1, epoch, index))
        chosen = [int(rng.choice(self.by_group[int(self.groups[r])])) for r in rows][rank::world]
        rows = rows[rank::world]
        inputs = {"image": self.see(rows), "text": self.tokenize([self.texts[i] for i in chosen])}
        return Batch(inputs, torch.from_numpy(self.groups[rows]))

    def items(self, steps: int) -> int:
        return steps * self.batch_size


class _Changes(Learner):
    """A learner whose checkpoints hold only what changes: half a gigabyte of CLIP is found again by its name."""

    def __init__(self, model: Model, objective: InfoNCE) -> None:
        super().__init__(model, [objective])
        self.register_state_dict_post_hook(self._leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(self._not_missing)  # type: ignore[no-untyped-call]

    def _found_again(self, name: str) -> bool:
        assert isinstance(self.model, Model)
        return name.startswith("model.") and not self.model.owns(name.removeprefix("model."))

    @staticmethod
    def _leave_out(learner: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
        for name in [k for k in state if learner._found_again(k.removeprefix(prefix))]:
            del state[name]

    @staticmethod
    def _not_missing(learner: Any, incompatible: Any) -> None:
        incompatible.missing_keys[:] = [k for k in incompatible.missing_keys if not learner._found_again(k)]


def finetune(
    config: ClipTeacher,
    corpus: Corpus,
    splits: tuple[str, ...],
    held: tuple[str, ...],
    *,
    seed: int,
    folder: Path,
    key: str = "",
    progress: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Teacher, Progress]:
    """Trains the weights that ``config.finetune`` chooses on the pictures and texts of ``splits``.

    L = InfoNCE(picture, caption), its temperature learned from where the model's own stands. Speech is not touched.

    Args:
        held: splits whose captions the bridge is measured on, before and after; the figures are left in
            ``folder/bridge.json``. Where they have no pictures with texts, that is said, and nothing is measured.
        folder: of log, checkpoint and bridge.
        key: what the run depends on; a checkpoint with another key is refused.

    Raises:
        UserError: no pictures with texts in these splits, fewer than a batch, or what ``config.build`` raises.
    """
    how = config.finetune
    assert how is not None
    lesson = captioned(corpus, splits)
    if not len(lesson):
        raise UserError(f"{corpus.name}: no pictures with texts in {', '.join(splits)}", "Set data.teacher.")
    torch.manual_seed(seed)  # of LoRA's first matrices
    teacher = config.build()
    model = Model(teacher, None).eval()
    source = _batches(config, model, lesson, seed)
    test = captioned(corpus, held)
    report: dict[str, Any] = {"splits": list(held), "pictures": len(test.pictures), "texts": len(test.texts)}
    if len(test):
        report["before"] = bridge(model, test, how.words)
        say(f"bridge before: {told(report['before'])}")
    else:
        say(f"bridge: no pictures with texts in {', '.join(held) or 'data.validation'}, so it is not measured")
    state = fit(
        _Changes(model, _objective(teacher)),
        source,
        Optimisation(
            epochs=how.epochs,
            batch_size=how.batch_size,
            learning_rate=how.learning_rate,
            weight_decay=how.weight_decay,
            seed=seed,
        ),
        name="teacher",
        key=key,
        folder=folder,
        progress=progress,
    )
    model.eval().requires_grad_(False)
    if len(test):
        report["after"] = bridge(model, test, how.words)
        say(f"bridge after: {told(report['after'])}")
        write_atomically(folder / "bridge.json", json.dumps(report, indent=1).encode())
    return teacher, state


def _batches(config: ClipTeacher, model: Model, lesson: Corpus, seed: int) -> CaptionBatches:
    assert config.finetune is not None
    pictures, column = lesson.pictures, lesson.column("text")
    see: See
    if isinstance(config.finetune, LockedImage):
        vectors = look(model, lesson, pictures)[0]  # a frozen tower says the same in every epoch
        see = lambda rows: Features.of_pooled(vectors[torch.from_numpy(rows)])  # noqa: E731
    else:
        see = lambda rows: Padded(picture_tensor(lesson, pictures[rows], model.image).float() / 255)  # noqa: E731
    tokenize: Any = model.text.tokenize
    return CaptionBatches(
        see,
        lesson.groups[pictures],
        tokenize,
        [column[i] for i in lesson.texts],
        lesson.groups[lesson.texts],
        config.finetune.batch_size,
        seed,
    )


def _objective(teacher: Teacher) -> InfoNCE:
    """InfoNCE at the model's own temperature (``logit_scale``, a logarithm), which is learned on from there.

    CLIP's stands at its ceiling of 100, and beyond a ceiling nothing is learned any more: ours lies higher.
    """
    own: Any = teacher.text.model
    scale = math.exp(float(own.logit_scale.detach()))
    return InfoNCE(InfoNCE.Config(a="image", b="text", temperature=1 / scale, max_scale=max(100.0, 2 * scale)))
