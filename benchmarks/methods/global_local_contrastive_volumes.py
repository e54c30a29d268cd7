"""Global and local contrast: does the place in a ritual teach a tower that then has one labelled recording?

    python benchmarks/methods/global_local_contrastive_volumes.py

Made recordings of a ritual of four sections, each with three words of its own, by 60 speakers (a colour, a rate,
noise). A tower learns alone, then labels frames (12 words and silence) after 1, 2 or 8 labelled recordings; others are
the test. Global: wholes of sections by InfoNCE, plain (G^R), without negatives of the same section (G^D-), and drawing
sections of other speakers together (G^D). Local (L^R): a second stage over frames. The steps of pre-training are equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from criterion import Criterion, arguments
from scenes import FrameTower
from sklearn.metrics import f1_score
from torch import nn

from lookhear.core import Padded, lengths_to_mask
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.local_contrast import LocalContrast
from lookhear.partners.partition import PartitionPartners
from lookhear.recipe import Optimisation
from lookhear.training.alone import AloneBatches
from lookhear.training.fit import fit
from lookhear.training.second import SecondView

STEPS, FINETUNE, BATCH, SOUNDS, SPEAKERS, SECTIONS, WORDS, LONG = 900, 150, 48, 24, 60, 4, 3, 6
LABELLED, HELD = (1, 2, 8), 20


class Ritual:
    """(speakers × sections) recordings: ``frames`` (N, sounds, T), ``mask`` and ``labels`` (N, T), 0 for silence."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 0))
        inventory = rng.standard_normal((10, SOUNDS))
        words = inventory[rng.integers(0, 10, (SECTIONS * WORDS, LONG))]
        n, frames = SPEAKERS * SECTIONS, []
        labels = []
        for _ in range(SPEAKERS):
            colour, rate = rng.standard_normal(SOUNDS), np.exp(rng.uniform(-0.3, 0.3))
            for section in range(SECTIONS):
                parts = [np.zeros((rng.integers(0, 4), SOUNDS))]
                told = [0] * len(parts[0])
                for word in rng.permutation(WORDS):
                    k = section * WORDS + word
                    pause = int(rng.integers(1, 4))
                    parts += [words[k], np.zeros((pause, SOUNDS))]
                    told += [k + 1] * LONG + [0] * pause
                x, y = np.concatenate(parts), np.array(told)
                at = np.minimum((np.arange(int(len(x) / rate)) * rate).astype(int), len(x) - 1)
                frames.append(x[at] + colour + 0.7 * rng.standard_normal((len(at), SOUNDS)))
                labels.append(y[at])
        longest = max(map(len, frames))
        self.frames, self.labels = torch.zeros(n, SOUNDS, longest), torch.zeros(n, longest, dtype=torch.long)
        for i, (x, y) in enumerate(zip(frames, labels, strict=True)):
            self.frames[i, :, : len(x)], self.labels[i, : len(y)] = torch.from_numpy(x.T), torch.from_numpy(y)
        self.mask = lengths_to_mask(torch.tensor([len(x) for x in frames]), longest)
        self.speaker, self.section = np.divmod(np.arange(n), SECTIONS)

    def take(self, rows: np.ndarray) -> Padded:
        chosen = torch.from_numpy(rows)
        return Padded(self.frames[chosen], self.mask[chosen])

    def augmented(self, rows: np.ndarray, rng: torch.Generator) -> Padded:
        """Another colour and noise, which move nothing in time."""
        x = self.take(rows)
        assert x.mask is not None
        colour = 0.5 * torch.randn(len(rows), SOUNDS, 1, generator=rng)
        values = x.values + colour + 0.5 * torch.randn(x.values.shape, generator=rng)
        return Padded(values * x.mask[:, None], x.mask)


def source(ritual: Ritual, pairs: PartitionPartners | None, shuffled: bool, seed: int) -> AloneBatches:
    everyone = np.arange(len(ritual.frames))
    section = np.random.default_rng((seed, 3)).permutation(ritual.section) if shuffled else ritual.section
    table = pa.Table.from_pylist([{"id": str(i)} for i in everyone], schema=SCHEMA)
    table = table.append_column("volume", pa.array(ritual.speaker)).append_column("partition", pa.array(section))
    found = pairs.find(None, Corpus(table, Path(), "made ritual"), everyone) if pairs else None
    groups = everyone if found is None or found.group is None else found.group
    ids, lengths = [str(i) for i in everyone], np.ones(len(everyone), dtype=np.int64)
    second = SecondView(ritual.augmented, found)
    return AloneBatches("audio", ritual.augmented, second, groups, ids, lengths, BATCH, seed)


def pretrain(model: nn.Module, ritual: Ritual, how: dict[str, Any], seed: int, scale: float) -> None:
    """Global steps, then local ones; where there are both, the local ones are the last third of as many."""
    stages = []
    if "pairs" in how:
        objective: Any = InfoNCE(InfoNCE.Config(a="audio", b="audio@2", temperature=0.1))
        stages.append((objective, source(ritual, how["pairs"], how.get("shuffled", False), seed), 2))
    if how.get("local"):
        stages.append((LocalContrast.Config(temperature=0.3).build(model), source(ritual, None, False, seed), 1))
    for objective, batches, share in stages:
        steps = round(STEPS * scale * share / sum(s for *_, s in stages))
        loop = Optimisation(
            epochs=steps / batches.steps_per_epoch, batch_size=BATCH, learning_rate=1e-3, precision="32", seed=seed
        )
        fit(Learner(model, [objective]), batches, loop, name="stage", progress=False)


def labelled(model: nn.Module, ritual: Ritual, speakers: int, seed: int) -> float:
    """Mean F1 over words and silence, in percent, of the test speakers' frames after so many labelled recordings."""
    torch.manual_seed(seed)
    order = np.random.default_rng((seed, 4)).permutation(SPEAKERS)
    train = np.flatnonzero(np.isin(ritual.speaker, order[HELD : HELD + speakers]))
    test = np.flatnonzero(np.isin(ritual.speaker, order[:HELD]))
    tower = FrameTower(SOUNDS, 64)
    tower.load_state_dict(model.audio.state_dict())
    head = nn.Linear(tower.width, SECTIONS * WORDS + 1)
    optimiser = torch.optim.Adam([*tower.parameters(), *head.parameters()], lr=1e-3)
    rng, draw = torch.Generator().manual_seed(seed), np.random.default_rng((seed, 5))
    for _ in range(FINETUNE):
        rows = draw.choice(train, min(16, len(train)), replace=False)
        x = ritual.augmented(rows, rng)
        scores = head(tower(x).hidden)
        loss = F.cross_entropy(scores[x.mask], ritual.labels[torch.from_numpy(rows)][x.mask])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tower.eval()
    with torch.no_grad():
        x = ritual.take(test)
        found = head(tower(x).hidden).argmax(-1)[x.mask]
    return float(100 * f1_score(ritual.labels[torch.from_numpy(test)][x.mask], found, average="macro", zero_division=0))


def learn(seed: int, scale: float, how: dict[str, Any]) -> dict[str, float]:
    ritual = Ritual(seed)
    torch.manual_seed(seed)
    model = nn.Module()
    model.audio = FrameTower(SOUNDS, 64)
    pretrain(model, ritual, how, seed, scale)
    return {f"F1 after {n} labelled, %": labelled(model, ritual, n, seed) for n in LABELLED}


PULLED, APART = PartitionPartners(), PartitionPartners(pull=False)
RUNS: dict[str, dict[str, Any]] = {
    "from scratch": {},
    "G^R": {"pairs": None},
    "G^D-": {"pairs": APART},
    "G^D": {"pairs": PULLED},
    "L^R only": {"local": True},
    "G^D + L^R": {"pairs": PULLED, "local": True},
    "G^D, sections shuffled": {"pairs": PULLED, "shuffled": True},
}


def main() -> None:
    args = arguments("global-local-contrastive-volumes", __doc__, (0, 1, 2, 3, 4)).parse_args()
    c = Criterion(
        method="global-local-contrastive-volumes",
        claim="After one labelled recording, drawing sections together (G^D) labels frames at least 3 points better "
        "than plain global contrast (G^R), local contrast adds at least 1, and shuffled sections bring nothing.",
        baseline="G^R",
        controls=["from scratch", "G^D-", "L^R only", "G^D, sections shuffled"],
        seeds=args.seeds,
        data=f"Made recordings of a ritual: {SPEAKERS} speakers, 4 sections, 12 words; {HELD} speakers to test; "
        f"{STEPS} steps of {BATCH} before, {FINETUNE} of finetuning. F1: mean over 12 words and silence.",
    )
    for name, how in RUNS.items():
        c.run(name, lambda seed, how=how: learn(seed, args.scale, how))
    one = "F1 after 1 labelled, %"
    gain = c.gain("G^D", "G^R", one)
    c.ask("G^D at least 3 points above G^R after one labelled recording", gain.mean() >= 3, gain, main=True)
    local = c.gain("G^D + L^R", "G^D", one)
    c.ask("G^D + L^R at least 1 point above G^D", local.mean() >= 1, local)
    control = c.gain("G^D, sections shuffled", "G^R", one)
    c.ask("G^D with shuffled sections no better than G^R", control.mean() <= 0, control)
    c.finish(args.out)


if __name__ == "__main__":
    main()
