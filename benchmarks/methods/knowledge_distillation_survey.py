"""Distillation on made words: what a small tower gains from a large one, from an uncertain tagger, from itself.

    python benchmarks/methods/knowledge_distillation_survey.py

Compression: a teacher learns words from labelled recordings that the student never has; a student of a tenth of its
weights or less has 300 labelled recordings and 3,000 without labels. Every run takes the same steps, the same labelled
half of each batch and the same weights at first; the other half of the batch counts for nothing without a teacher.
Across modalities: soft or thresholded answers of a tagger of pictures, of which a fifth are wrong, as targets of a head
over speech. Momentum: targets softened by a slow copy, where 30 % of the pairs are mismatched, and where none are.
Nothing is real speech.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from multimodal_temporal_ssl_survey import BINS, DIM, WORDS, Said
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from lookhear.core import Batch, Features, Losses, Padded
from lookhear.data.augment import Augment
from lookhear.models.heads import TagHead
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.distil import Distil
from lookhear.objectives.momentum import MomentumDistillation
from lookhear.objectives.tag_head import TagHeadLoss
from lookhear.recipe import Optimisation
from lookhear.training.fit import fit
from lookhear.training.mels import pad_mels
from lookhear.training.second import recordings_heard

LABELLED, UNLABELLED, TAUGHT, TEST, PAIRS = 300, 3000, 3000, 1000, 2000
STEPS, TEACHER_STEPS, TAG_STEPS, PAIR_STEPS, HALF, SCALE = 400, 600, 300, 400, 32, 14.0
LARGE: dict[str, Any] = {"width": 64, "dilations": (1, 1, 2), "dropout": 0.1}
SMALL: dict[str, Any] = {"width": 16, "dilations": (1,), "dropout": 0.0}
CHANGES = Augment(tilt=3.0, noise=(5, 30), time_masks=1, frequency_masks=1, frequency_bins=3)
BLUR, WRONG = 1.7, 0.3
"""Noise of the pictures that the tagger sees, and the share of mismatched pairs."""

RESPONSE = {"by": "similarities", "temperature": 2.0, "scale": SCALE}
FEATURES = {"feature: hidden (FitNets)": {"by": "hidden"}, "feature: embedding": {"by": "embedding", "weight": 5.0}}
RELATIONS = {
    "relation: gram (SP)": {"by": "gram", "weight": 100.0},
    "relation: contrast (CRD)": {"by": "contrast", "temperature": 0.1, "weight": 0.5},
}


def tower(config: dict[str, Any], seed: int) -> nn.Module:
    """A model that is a speech tower alone."""
    torch.manual_seed(seed)
    model = nn.Module()
    model.audio, model.dim = LocalTower.Config(bins=BINS, **config).build(DIM), DIM
    return model


class Naming(Objective):
    """Cross-entropy of scaled cosines with the vectors of all words, of the items whose word is known (not −1)."""

    needs = frozenset({"audio", "image"})

    def __init__(self, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, views: Views) -> Losses:
        known = views.group >= 0
        z = SCALE * views["audio"].pooled @ views["image"].pooled.T
        return {"naming": F.cross_entropy(z[known], views.group[known], label_smoothing=self.smoothing)}


class Source:
    """Batches drawn by number: so many items of each part.

    Args:
        parts: of each, recordings, (N,) what is their group, how many a batch, and further inputs by item.
        every: inputs that are the same for all batches.
    """

    steps_per_epoch = 100

    def __init__(self, parts: list[tuple[list[Tensor], np.ndarray, int]], every: dict[str, Any], seed: int) -> None:
        self.seed, self.every = seed, every
        self.groups = [groups for _, groups, _ in parts]
        self.sizes = [size for _, _, size in parts]
        self.make = recordings_heard([m for mels, _, _ in parts for m in mels], CHANGES)
        self.starts = np.cumsum([0] + [len(g) for g in self.groups])

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        step = epoch * self.steps_per_epoch + index
        rng = np.random.default_rng((self.seed, 17, step))
        rows = [rng.choice(len(g), n, replace=False) for g, n in zip(self.groups, self.sizes, strict=True)]
        group = np.concatenate([g[r] for g, r in zip(self.groups, rows, strict=True)])
        where = np.concatenate([r + at for r, at in zip(rows, self.starts, strict=False)])
        audio = self.make(where, torch.Generator().manual_seed(self.seed * 1_000_003 + step))
        given = {name: x(where) if callable(x) else x for name, x in self.every.items()}
        return Batch({"audio": audio, **given}, torch.from_numpy(group), [str(i) for i in where])

    def items(self, steps: int) -> int:
        return steps * sum(self.sizes)


def learn(model: nn.Module, objectives: list[Objective], source: Source, steps: int, seed: int, rate: float) -> None:
    loop = Optimisation(
        epochs=steps / source.steps_per_epoch,
        batch_size=sum(source.sizes),
        learning_rate=rate,
        precision="32",
        seed=seed,
    )
    fit(Learner(model, objectives), source, loop, name="distil", progress=False)


@torch.no_grad()
def heard(model: nn.Module, mels: list[Tensor]) -> Tensor:
    """(N, D) vectors of recordings."""
    model.eval()
    return torch.cat([model.audio(pad_mels(mels[i : i + 200])).pooled for i in range(0, len(mels), 200)])


class Turned(nn.Module):
    """A teacher that answers for each recording what it makes of another one of the batch."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Padded) -> Features:
        assert x.mask is not None
        return self.inner(Padded(x.values.roll(7, 0), x.mask.roll(7, 0)))


class Compression:
    """One seed's world: recordings, words' vectors, and the teacher."""

    def __init__(self, seed: int, scale: float) -> None:
        self.seed, self.scale = seed, scale
        self.some, self.more, self.taught, self.test = (
            Said(n, seed, 20 + i) for i, n in enumerate((LABELLED, UNLABELLED, TAUGHT, TEST))
        )
        rng = torch.Generator().manual_seed(seed)
        self.words = Features.of_pooled(F.normalize(torch.randn(WORDS, DIM, generator=rng), dim=-1))
        self.teacher = tower(LARGE, seed + 1000)
        source = Source([(self.taught.mels, self.taught.word, 2 * HALF)], {"image": self.words}, seed + 1000)
        learn(self.teacher, [Naming()], source, round(TEACHER_STEPS * scale), seed, 2e-3)
        self.teacher.eval().requires_grad_(False)

    def right(self, model: nn.Module) -> dict[str, float]:
        told = (heard(model, self.test.mels) @ self.words.pooled.T).argmax(1).numpy()
        return {"word, %": 100 * float((told == self.test.word).mean())}

    def student(self, how: dict[str, Any] | None, smoothing: float = 0.0, shuffled: bool = False) -> dict[str, float]:
        student = tower(SMALL, self.seed)
        objectives: list[Objective] = [Naming(smoothing)]
        if how is not None:
            teacher = Turned(self.teacher.audio) if shuffled else self.teacher.audio
            widths = (SMALL["width"], LARGE["width"]) if how["by"] == "hidden" else (DIM, DIM)
            objectives.append(Distil(Distil.Config(runs=("teacher",), **how), [teacher], *widths))
        unknown = np.full(UNLABELLED, -1)
        parts = [(self.some.mels, self.some.word, HALF), (self.more.mels, unknown, HALF)]
        source = Source(parts, {"image": self.words}, self.seed)
        learn(student, objectives, source, round(STEPS * self.scale), self.seed, 3e-3)
        return self.right(student)


class Tagged(nn.Module):
    """A small tower with a head of words."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.audio = tower(SMALL, seed).audio
        self.head = TagHead(TagHead.Config(reading="max"), SMALL["width"], [f"word {k}" for k in range(WORDS)])


def tagged(seed: int, scale: float, hard: bool) -> dict[str, float]:
    """Keyword AP of a head that learned from a tagger's answers about pictures, soft ones or those above a half."""
    train, known, test = (Said(n, seed, 30 + i) for i, n in enumerate((PAIRS, TAUGHT, TEST)))
    rng = np.random.default_rng((seed, 5))

    def blurred(said: Said) -> np.ndarray:
        x = said.seen.numpy() * DIM**0.5
        return x + BLUR * rng.standard_normal(x.shape)

    tagger = LogisticRegression(max_iter=300).fit(blurred(known), known.word)
    p = torch.from_numpy(tagger.predict_proba(blurred(train))).float()
    wrong = 100 * float((p.argmax(1).numpy() != train.word).mean())
    targets = (p > 0.5).float() if hard else p
    model = Tagged(seed)
    every = {"tag_head": lambda rows: Padded(targets[rows])}
    source = Source([(train.mels, np.arange(PAIRS), 2 * HALF)], every, seed)
    loss = TagHeadLoss(TagHeadLoss.Config(), targets.mean(0).clamp(1e-3, 1 - 1e-3))
    learn(model, [loss], source, round(TAG_STEPS * scale), seed, 3e-3)
    model.eval()
    with torch.no_grad():
        found = torch.cat(
            [model.head(model.audio(pad_mels(test.mels[i : i + 200]))).tags for i in range(0, TEST, 200)]
        ).numpy()
    each = [average_precision_score(test.word == k, found[:, k]) for k in range(WORDS)]
    return {"keyword AP, %": 100 * float(np.mean(each)), "wrong tags, %": wrong}


def paired(seed: int, scale: float, momentum: bool, wrong: float) -> dict[str, float]:
    """Pictures of the right word that a recording finds first, after learning from pairs of which some are wrong."""
    train, test = (Said(n, seed, 40 + i) for i, n in enumerate((PAIRS, TEST)))
    rng = np.random.default_rng((seed, 6))
    lost = np.flatnonzero(rng.random(PAIRS) < wrong)
    place = np.arange(PAIRS)
    place[lost] = rng.permutation(place[lost])
    seen = train.seen[torch.from_numpy(place)]
    model = tower(SMALL, seed)
    how: dict[str, Any] = {"temperature": 0.1}
    objective: Objective = InfoNCE(InfoNCE.Config(**how))
    if momentum:
        objective = MomentumDistillation(MomentumDistillation.Config(**how, warmup=100, alpha=0.6, decay=0.99))
    every = {"image": lambda rows: Features.of_pooled(seen[torch.from_numpy(rows)])}
    source = Source([(train.mels, np.arange(PAIRS), 2 * HALF)], every, seed)
    learn(model, [objective], source, round(PAIR_STEPS * scale), seed, 3e-3)
    first = (heard(model, test.mels) @ test.seen.T).topk(10, 1).indices.numpy()
    return {"right word among the first 10, %": 100 * float((test.word[first] == test.word[:, None]).mean())}


def cost(config: dict[str, Any], seed: int = 0) -> tuple[int, float]:
    """Weights of a tower, and the median milliseconds that it takes for one utterance, one thread."""
    audio = tower(config, seed).audio.eval()
    mels = [pad_mels([m]) for m in Said(60, seed, 50).mels]
    took = []
    with torch.no_grad():
        for mel in mels:
            began = time.perf_counter()
            audio(mel)
            took.append(time.perf_counter() - began)
    return sum(p.numel() for p in audio.parameters()), 1e3 * float(np.median(took[10:]))
