"""What meets in a batch: recordings with pictures of their group, and pictures with their texts; by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.core import Batch, Features, Padded
from lookhear.data.augment import Augment
from lookhear.errors import UserError
from lookhear.training.mels import StreamedMels, pad_mels
from lookhear.training.second import SecondView

__all__ = ["PictureBatches", "SpeechBatches", "epoch_order"]

BANK, TEXT_BANK = 8192, 512
"""How many more pictures (frozen vectors) and texts (sentence vectors, through the head) serve as negatives."""


WINDOW, BLOCKS = 1 << 16, 64
"""Items that are shuffled among each other, and the blocks on disk that they come from."""

AHEAD = 4
"""Batches that are decoded before they are asked for."""


def epoch_order(
    lengths: NDArray[np.int64], size: int, seed: int, epoch: int, window: int = WINDOW
) -> list[NDArray[np.int64]]:
    """Batches of items of like length: shuffled, sorted within runs of 16 batches, cut, and shuffled again.

    Beyond ``window`` items, blocks of neighbours on disk are shuffled, and items only within a window of some blocks,
    so that a corpus larger than memory is read nearly in order.
    """
    rng = np.random.default_rng((seed, epoch))
    if len(lengths) <= window:
        return _batches_of(rng.permutation(len(lengths)), lengths, size, rng)
    blocks = np.array_split(np.arange(len(lengths)), -(-len(lengths) * BLOCKS // window))
    order = np.concatenate([blocks[b] for b in rng.permutation(len(blocks))])
    whole = window // size * size
    parts = [rng.permutation(order[i : i + whole]) for i in range(0, len(order), whole)]
    return [batch for part in parts for batch in _batches_of(part, lengths, size, rng)]


def _batches_of(
    order: NDArray[np.int64], lengths: NDArray[np.int64], size: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    order = order[: len(order) // size * size]
    run = 16 * size
    parts = [order[i : i + run] for i in range(0, len(order), run)]
    batches = [b for p in parts for b in np.split(p[np.argsort(lengths[p], kind="stable")], range(size, len(p), size))]
    rng.shuffle(batches)
    return batches


class SpeechBatches:
    """Recordings and, for each, the vector of a picture of its group, drawn anew every time it is seen."""

    def __init__(
        self,
        mels: Sequence[Tensor],
        groups: NDArray[np.int64],
        ids: Sequence[str],
        pictures: Tensor,
        picture_groups: NDArray[np.int64],
        batch_size: int,
        seed: int,
        augment: Augment,
        tags: Mapping[str, Tensor] | None = None,
        lengths: NDArray[np.int64] | None = None,
        pictured: NDArray[np.bool_] | None = None,
        texts: Mapping[int, Tensor] | None = None,
        patches: Features | None = None,
        second: SecondView | None = None,
    ) -> None:
        """
        Args:
            mels: (M, T) log-mel of each recording; those of a StreamedMels are decoded some batches ahead.
            lengths: (recordings,) their T, where looking at all of them would decode all of them.
            groups: (recordings,) their groups.
            pictures: (pictures, D) unit vectors of the teacher's image tower; ``picture_groups`` their groups.
            pictured: (recordings,) which are learned from pictures; all by default.
            texts: recording → (D,) unit vector of its own text, for those that are learned from it.
            patches: Features of the pictures with the vectors of their patches, where an objective looks at them.
            tags: batch key → (pictures, words) what is seen in each, which goes with its vector.
            second: the recordings' second views, where an objective asks for them.

        Raises:
            UserError: recordings whose group has no picture, or fewer recordings than a batch.
        """
        by_group: dict[int, list[int]] = defaultdict(list)
        for i, g in enumerate(picture_groups.tolist()):
            by_group[g].append(i)
        self.pictured = np.ones(len(groups), dtype=bool) if pictured is None else pictured
        lonely = [ids[i] for i, g in enumerate(groups.tolist()) if self.pictured[i] and g not in by_group]
        if lonely:
            raise UserError(
                f"{len(lonely)} recordings have no picture ({lonely[0]} is the first)",
                "Give each recording the group of a picture, or leave it out.",
            )
        if len(mels) < batch_size:
            raise UserError(f"{len(mels)} training recordings, fewer than a batch of {batch_size}", "Lower batch_size.")
        self.mels, self.groups, self.ids = mels, groups, list(ids)
        self.pictures, self.by_group = pictures, {g: np.array(v) for g, v in by_group.items()}
        self._all = (Features.of_pooled(pictures), torch.from_numpy(picture_groups))
        self.batch_size, self.seed, self.augment, self.tags = batch_size, seed, augment, tags or {}
        self.texts, self.patches, self.second = texts or {}, patches, second
        self.lengths = np.array([m.shape[1] for m in mels]) if lengths is None else lengths
        self.never = frozenset() if self.pictured.any() else frozenset({"image", *self.tags})
        self.steps_per_epoch = len(mels) // batch_size
        self._order = lru_cache(maxsize=2)(lambda epoch: epoch_order(self.lengths, batch_size, seed, epoch))

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        """This process's share of a batch: every ``world``-th item."""
        rows = self._order(epoch)[index]
        if isinstance(self.mels, StreamedMels):
            self._decode_ahead(self.mels, epoch, index, rank, world)
        rng = np.random.default_rng((self.seed, 1, epoch, index))
        nothing = np.zeros(1, dtype=np.int64)  # the first picture stands where there is none
        shown = [self.by_group.get(int(self.groups[r]), nothing) if self.pictured[r] else nothing for r in rows]
        chosen = np.array([rng.choice(pictures) for pictures in shown])[rank::world]
        rows = rows[rank::world]
        noise = torch.Generator().manual_seed(hash((self.seed, epoch, index, rank)) % (1 << 63))
        mel = self.augment.apply(pad_mels([self.mels[r] for r in rows]), noise)
        seen = torch.from_numpy(chosen)
        inputs: dict[str, Padded | Features] = {"audio": mel, "image": self._seen(seen)}
        if self.second is not None:
            inputs["audio@2"] = self.second.of(rows, rng, noise)
        inputs |= {key: Padded(tags[seen]) for key, tags in self.tags.items()}
        present: dict[str, Tensor] = {}
        if not self.pictured.all():
            present = dict.fromkeys(("image", *self.tags), torch.from_numpy(self.pictured[rows]))
        if self.texts:
            none = torch.zeros(self.pictures.shape[1])
            said = torch.stack([self.texts.get(int(r), none) for r in rows])
            inputs["text"] = Features.of_pooled(said)
            present["text"] = torch.tensor([int(r) in self.texts for r in rows])
        return Batch(
            inputs,
            torch.from_numpy(self.groups[rows]),
            [self.ids[r] for r in rows],
            {"image": self._bank(rng)},
            present,
        )

    def _seen(self, rows: Tensor) -> Features:
        """What the teacher makes of some pictures, patches included if they are asked for."""
        if self.patches is None:
            return Features.of_pooled(self.pictures[rows])
        local = self.patches.local[rows].float()
        return Features(self.pictures[rows], local, self.patches.mask[rows], self.patches.step)

    def items(self, steps: int) -> int:
        return steps * self.batch_size

    def _decode_ahead(self, mels: StreamedMels, epoch: int, index: int, rank: int, world: int) -> None:
        soon: list[int] = []
        for _ in range(1 + AHEAD):
            soon += self._order(epoch)[index][rank::world].tolist()
            epoch, index = (epoch, index + 1) if index + 1 < self.steps_per_epoch else (epoch + 1, 0)
        mels.ahead(soon, most=2 * len(soon))

    def _bank(self, rng: np.random.Generator) -> tuple[Features, Tensor]:
        """All pictures, or a random ``BANK`` of them, as negatives: the teacher is frozen, so they cost nothing."""
        if len(self.pictures) <= BANK:
            return self._all
        rows = torch.from_numpy(rng.choice(len(self.pictures), BANK, replace=False))
        return Features.of_pooled(self.pictures[rows]), self._all[1][rows]


class PictureBatches:
    """Pictures (or their vectors) and one of their texts, as sentence vectors, for training a teacher."""

    def __init__(
        self,
        pictures: Tensor,
        groups: NDArray[np.int64],
        texts: Tensor,
        text_groups: NDArray[np.int64],
        batch_size: int,
        seed: int,
        flip: bool = False,
        shift: int = 0,
        noise: float = 0.0,
    ) -> None:
        """
        Args:
            pictures: (pictures, 3, H, W) uint8, or (pictures, V) vectors.
            groups: (pictures,) their groups; ``text_groups`` those of the texts.
            texts: (texts, E) sentence vectors.
        """
        by_group: dict[int, list[int]] = defaultdict(list)
        for i, g in enumerate(text_groups.tolist()):
            by_group[g].append(i)
        rows = np.array([i for i, g in enumerate(groups.tolist()) if g in by_group], dtype=np.int64)
        if len(rows) < batch_size:
            raise UserError(f"{len(rows)} pictures with texts, fewer than a batch of {batch_size}", "Lower batch_size.")
        self.pictures, self.groups, self.rows = pictures, groups, rows
        self.text_groups = text_groups
        self.texts, self.by_group = texts, {g: np.array(v) for g, v in by_group.items()}
        self.batch_size, self.seed, self.flip, self.shift, self.noise = batch_size, seed, flip, shift, noise
        self.steps_per_epoch = len(rows) // batch_size

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
        rows = order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng((self.seed, 1, epoch, index))
        texts = np.array([rng.choice(self.by_group[int(self.groups[r])]) for r in rows])[rank::world]
        more = rng.choice(len(self.texts), min(len(self.texts), TEXT_BANK), replace=False)
        rows = rows[rank::world]
        values = self.pictures[torch.from_numpy(rows)]
        values = self._move(values.float() / 255, rng) if values.ndim == 4 else self._jitter(values, rng)
        return Batch(
            {"image": Padded(values), "text": Padded(self.texts[torch.from_numpy(texts)])},
            torch.from_numpy(self.groups[rows]),
            more={"text": (Padded(self.texts[torch.from_numpy(more)]), torch.from_numpy(self.text_groups[more]))},
        )

    def items(self, steps: int) -> int:
        return steps * self.batch_size

    def plain(self, most: int) -> Iterator[Padded]:
        """The first ``most`` pictures (or vectors) as they are, a few hundred at a time."""
        for i in range(0, min(most, len(self.rows)), 256):
            values = self.pictures[torch.from_numpy(self.rows[i : i + 256])]
            yield Padded(values.float() / 255 if values.ndim == 4 else values)

    def _move(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        if self.flip:
            mirrored = torch.from_numpy(rng.random(len(images)) < 0.5)
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        if self.shift:
            dx, dy = rng.integers(-self.shift, self.shift + 1, 2).tolist()
            images = torch.roll(images, (dy, dx), (2, 3))
        return images

    def _jitter(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        if not self.noise:
            return vectors
        unit: Tensor = torch.nn.functional.normalize(vectors, dim=-1)
        noise: Tensor = torch.from_numpy(rng.standard_normal(unit.shape).astype(np.float32)) / unit.shape[1] ** 0.5
        return unit + noise * self.noise
