"""Real recordings of single words for criteria: their log-mels by split, and what few labels make of a speech tower."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.audio import load_audio
from lookhear.core import Losses, Padded
from lookhear.data.augment import Augment
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective, Views
from lookhear.recipe import Optimisation
from lookhear.training.alone import AloneBatches
from lookhear.training.fit import fit
from lookhear.training.mels import pad_mels
from lookhear.training.second import recordings_heard

__all__ = ["Ear", "Words", "data_folder", "few_labels", "wholes"]


def data_folder(parser: ArgumentParser, name: str) -> Path:
    """The folder of a data set under --data; ends the script, with a line, where it is not there."""
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LOOKHEAR_DATA", "data")))
    folder = Path(parser.parse_known_args()[0].data) / name
    if not (folder / "manifest.jsonl").is_file():
        print(f"skipped: no {folder}; say where with --data or LOOKHEAR_DATA", file=sys.stderr)
        raise SystemExit(0)
    return folder


@dataclass(frozen=True)
class Words:
    """Recordings of one split: log-mels (M, T), labels, speakers and ids."""

    mels: list[Tensor]
    labels: np.ndarray
    speakers: np.ndarray
    ids: list[str]

    @staticmethod
    def read(folder: Path, split: str, bins: int = 40) -> Words:
        rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
        rows = [r for r in rows if r["split"] == split]
        tower = LocalTower.Config(bins=bins, width=8).build(8)
        mels = []
        for row in rows:
            samples = torch.from_numpy(load_audio(folder / row["file"]))[None]
            mels.append(tower.extract(Padded(samples, torch.ones_like(samples, dtype=torch.bool))).values[0])
        names = sorted({r["text"] for r in rows})
        labels = np.array([names.index(r["text"]) for r in rows])
        return Words(mels, labels, np.array([r["speaker"] for r in rows]), [r["id"] for r in rows])

    def take(self, rows: np.ndarray) -> Words:
        some = rows.tolist()
        return Words([self.mels[i] for i in some], self.labels[rows], self.speakers[rows], [self.ids[i] for i in some])

    def few(self, each: int, seed: int) -> Words:
        """So many of each word, drawn by a seed."""
        rng = np.random.default_rng((seed, 91))
        of = [np.flatnonzero(self.labels == k) for k in np.unique(self.labels)]
        return self.take(np.concatenate([rng.choice(rows, each, replace=False) for rows in of]))

    def batches(self, size: int, seed: int, augment: Augment | None = None, labels: bool = False) -> AloneBatches:
        """Batches of all of them; an item's group is its label, or itself."""
        groups = self.labels.astype(np.int64) if labels else np.arange(len(self.ids))
        lengths = np.array([m.shape[1] for m in self.mels])
        make = recordings_heard(self.mels, augment or Augment())
        return AloneBatches("audio", make, None, groups, self.ids, lengths, size, seed)


class Ear(nn.Module):
    """A speech tower as the only part of a model."""

    def __init__(self, seed: int, **config: Any) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.audio = LocalTower.Config(**config).build(64)


class _Naming(Objective):
    """Cross-entropy of a linear reading of the mean hidden vector; groups are the labels."""

    needs = frozenset({"audio"})

    def __init__(self, width: int, words: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, words)

    def forward(self, views: Views) -> Losses:
        return {"naming": F.cross_entropy(self.read(_mean(views["audio"])), views.group)}


def _mean(features: Any) -> Tensor:
    weight: Tensor = features.mask[..., None].float()
    mean: Tensor = (features.hidden * weight).sum(1) / weight.sum(1)
    return mean


@torch.no_grad()
def wholes(ear: Ear, words: Words, every: int = 1) -> np.ndarray:
    """(N, H) mean hidden vectors of recordings, of every so many frames."""
    ear.eval()
    parts = []
    for i in range(0, len(words.mels), 100):
        parts.append(_mean(ear.audio(pad_mels([m[:, ::every] for m in words.mels[i : i + 100]]))))
    return torch.cat(parts).numpy()


def few_labels(ear: Ear, few: Words, asked: Sequence[Words], seed: int, steps: int, rate: float = 1e-3) -> list[float]:
    """Accuracies in percent on sets of recordings of a tower finetuned, all of it, on few labelled ones."""
    torch.manual_seed(seed)
    naming = _Naming(ear.audio.width, len(np.unique(few.labels)))
    source = few.batches(min(50, len(few.ids)), seed, Augment(speed=0.1, warp=0.08), labels=True)
    loop = Optimisation(
        epochs=steps / source.steps_per_epoch,
        batch_size=source.batch_size,
        learning_rate=rate,
        precision="32",
        seed=seed,
    )
    fit(Learner(ear, [naming]), source, loop, name="few", progress=False)
    found = []
    for words in asked:
        with torch.no_grad():
            told = naming.read(torch.from_numpy(wholes(ear, words))).argmax(1).numpy()
        found.append(100 * float((told == words.labels).mean()))
    return found
