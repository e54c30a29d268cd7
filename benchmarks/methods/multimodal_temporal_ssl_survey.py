"""Which pre-training for the speech tower? Eight families of self-supervision on one tower at equal steps.

    python benchmarks/methods/multimodal_temporal_ssl_survey.py

Made log-mels of 20 spoken words by 30 speakers (a colour, a vocal tract, a rate; noise and silence about), each with
the vector of a picture of what is said. The product's own local tower and objectives, equal batches and steps; then its
mean hidden vector is frozen and asked for word and speaker. Nothing is real speech.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from criterion import Criterion, arguments
from probes import linear_probe
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from lookhear.core import Batch, Features
from lookhear.data.augment import Augment
from lookhear.models.speech import LocalTower
from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.clusters import Clusters
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.cpc import PredictiveCoding
from lookhear.objectives.fastmim import FastMim
from lookhear.objectives.hidden import mean_hidden
from lookhear.objectives.no_negatives import NoNegatives
from lookhear.objectives.regression import Regression
from lookhear.objectives.transforms import Transforms
from lookhear.recipe import Optimisation
from lookhear.training.alone import AloneBatches
from lookhear.training.fit import fit
from lookhear.training.mels import pad_mels
from lookhear.training.second import SecondView, recordings_heard

STEPS, BATCH, BINS, DIM, WORDS, SPEAKERS = 600, 64, 24, 32, 20, 30
TRAIN, HELD, TEST = 2000, 400, 1000
CHANGES = Augment(tilt=3.0, noise=(5, 30), time_masks=1, frequency_masks=1, frequency_bins=3)


class Said:
    """Words said: ``mels`` (bins, T) each, ``word``, ``speaker``, and ``seen`` (N, D) unit vectors of pictures."""

    def __init__(self, count: int, seed: int, split: int) -> None:
        world, rng = np.random.default_rng((seed, 99)), np.random.default_rng((seed, split))
        sounds = np.stack([np.convolve(s, np.ones(3) / 2, "same") for s in 2 * world.standard_normal((10, BINS))])
        names, looks = world.integers(0, 10, (WORDS, 5)), world.standard_normal((WORDS, DIM))
        colours = np.cumsum(world.standard_normal((SPEAKERS, BINS)) * 0.5, axis=1)
        tracts, rates = world.integers(-2, 3, SPEAKERS), np.exp(world.uniform(-0.3, 0.3, SPEAKERS))
        self.word, self.speaker = rng.integers(0, WORDS, count), rng.integers(0, SPEAKERS, count)
        self.mels: list[Tensor] = []
        for word, speaker in zip(self.word, self.speaker, strict=True):
            frames = np.repeat(sounds[names[word]], rng.integers(6, 10, 5), axis=0)
            at = (np.arange(int(len(frames) / rates[speaker])) * rates[speaker]).astype(int)
            frames = np.roll(frames[np.minimum(at, len(frames) - 1)], tracts[speaker], axis=1) + colours[speaker]
            quiet = [np.full((n, BINS), -6.0) for n in rng.integers(3, 20, 2)]
            whole = np.concatenate([quiet[0], frames, quiet[1]]) + 0.7 * rng.standard_normal(
                (len(quiet[0]) + len(frames) + len(quiet[1]), BINS)
            )
            self.mels.append(torch.from_numpy(whole.T).float())
        seen = torch.from_numpy(looks[self.word] + 0.8 * rng.standard_normal((count, DIM))).float()
        self.seen = F.normalize(seen, dim=-1)


class WithPictures:
    """Batches of recordings alone, with the vectors of their pictures."""

    def __init__(self, source: AloneBatches, seen: Tensor) -> None:
        self.source, self.seen, self.steps_per_epoch = source, seen, source.steps_per_epoch

    def batch(self, epoch: int, index: int, rank: int = 0, world: int = 1) -> Batch:
        b = self.source.batch(epoch, index, rank, world)
        image = Features.of_pooled(self.seen[[int(i) for i in b.ids]])
        return Batch({**b.inputs, "image": image}, b.group, b.ids)

    def items(self, steps: int) -> int:
        return self.source.items(steps)


Build = Callable[[Any], Objective]
FAMILIES: dict[str, Build] = {
    "transformation prediction": Transforms.Config().build,
    "masked prediction": FastMim.Config(on="audio", target="pixels", scale=1, ratio=0.5).build,
    "temporal contrast (CPC)": PredictiveCoding.Config(dim=64, first=3, last=6).build,
    "instance contrast": lambda model: InfoNCE(InfoNCE.Config(a="audio", b="audio@2", temperature=0.1)),
    "cross-modal contrast": lambda model: InfoNCE(InfoNCE.Config(temperature=0.1)),
    "clustering (XDC)": Clusters.Config(clusters=40).build,
    "no negatives (VICReg)": NoNegatives.Config(loss="vicreg").build,
    "distillation (regression)": lambda model: Regression(Regression.Config()),
}


def learn(name: str, seed: int, scale: float) -> dict[str, float]:
    train, held, test = (Said(n, seed, i) for i, n in enumerate((TRAIN, HELD, TEST)))
    torch.manual_seed(seed)
    model = nn.Module()
    model.audio, model.dim = LocalTower.Config(bins=BINS, width=48, dilations=(1, 1), dropout=0.0).build(DIM), DIM
    if name in FAMILIES:
        make = recordings_heard(train.mels, CHANGES)
        lengths, ids = np.array([m.shape[1] for m in train.mels]), [str(i) for i in range(TRAIN)]
        alone = AloneBatches("audio", make, SecondView(make), np.arange(TRAIN), ids, lengths, BATCH, seed)
        loop = Optimisation(
            epochs=round(STEPS * scale) / alone.steps_per_epoch, batch_size=BATCH, learning_rate=2e-3, seed=seed
        )
        learner = Learner(model, [FAMILIES[name](model)])
        fit(learner, WithPictures(alone, train.seen), loop, name=name, progress=False)
    return asked(model, train, held, test, seed)


@torch.no_grad()
def asked(model: nn.Module, train: Said, held: Said, test: Said, seed: int) -> dict[str, float]:
    """What is read off frozen vectors: word by all, a tenth and a hundredth of the labels, by neighbours, speaker."""
    model.eval()

    def heard(said: Said) -> tuple[np.ndarray, Tensor]:
        parts = [model.audio(pad_mels(said.mels[i : i + 200])) for i in range(0, len(said.mels), 200)]
        return torch.cat([mean_hidden(p) for p in parts]).numpy(), torch.cat([p.pooled for p in parts])

    (a, _), (b, _), (c, pooled) = heard(train), heard(held), heard(test)
    order = np.random.default_rng(seed).permutation(TRAIN)
    found = {}
    for share in (100, 10, 1):
        some = order[: TRAIN * share // 100]
        told = linear_probe((a[some], train.word[some]), (b, held.word), (c, test.word))
        found[f"word, {share} % of the labels, %"] = told
    unit = [F.normalize(torch.from_numpy(x), dim=-1).numpy() for x in (a, c)]
    near = KNeighborsClassifier(10).fit(unit[0], train.word)
    found["word by 10 neighbours, %"] = 100 * near.score(unit[1], test.word)
    found["speaker, %"] = linear_probe((a, train.speaker), (b, held.speaker), (c, test.speaker))
    both = [np.concatenate([x, s.seen.numpy() * 3], 1) for x, s in ((a, train), (b, held), (c, test))]
    found["word with the picture, %"] = linear_probe((both[0], train.word), (both[1], held.word), (both[2], test.word))
    blind = np.concatenate([c, np.zeros((TEST, DIM))], 1)
    found["word, the picture missing, %"] = linear_probe(
        (both[0], train.word), (both[1], held.word), (blind, test.word)
    )
    rank = (pooled @ test.seen.T).topk(10, 1).indices
    found["audio → image R@10, %"] = 100 * float((rank == torch.arange(TEST)[:, None]).any(1).float().mean())
    # Of unit vectors, in shares of what evenly spread ones would have.
    found["spread of vectors"] = float(np.std(unit[1], axis=0).mean() * unit[1].shape[1] ** 0.5)
    return found


def main() -> None:
    args = arguments("multimodal-temporal-ssl-survey", __doc__).parse_args()
    c = Criterion(
        method="multimodal-temporal-ssl-survey",
        claim="Of eight families on one tower at equal steps none collapses, at least six tell words at least 3 points "
        "better than the random tower, and cross-modal contrast tells words better than instance contrast, and "
        "speakers no better.",
        baseline="random tower",
        controls=["random tower", "instance contrast"],
        seeds=args.seeds,
        data=f"Made log-mels (no speech): {WORDS} words, {SPEAKERS} speakers, {TRAIN:,} recordings to learn from, "
        f"{TEST:,} to test, {STEPS} steps of {BATCH}. Chance: word 5 %, speaker 3.3 %, R@10 1 %.",
    )
    for name in ("random tower", *FAMILIES):
        c.run(name, lambda seed, name=name: learn(name, seed, args.scale))
    judge(c)
    c.finish(args.out)


def judge(c: Criterion) -> None:
    word, width = "word, 100 % of the labels, %", 48
    spread = [c.get(n, "spread of vectors").min() for n in FAMILIES]
    c.ask(f"none collapses: spread of vectors above .01 (of {width} numbers)", min(spread) > 0.01, spread)
    gains = [c.gain(n, "random tower", word).mean() for n in FAMILIES]
    better = sum(g >= 3 for g in gains)
    c.ask("at least six of eight tell words 3 points better than the random tower", better >= 6, gains)
    meaning = c.gain("cross-modal contrast", "instance contrast", word)
    c.ask("cross-modal contrast tells words better than instance contrast", meaning.mean() > 0, meaning, main=True)
    voice = c.gain("cross-modal contrast", "instance contrast", "speaker, %")
    c.ask("and speakers no better (within 1 point)", voice.mean() <= 1, voice)
    shares = ("word, 1 % of the labels, %", "word, 10 % of the labels, %", word)
    falls = [[c.get(n, share).mean() for share in shares] for n in FAMILIES]
    c.ask("more labels are never worse by more than a point", all(a <= b + 1 and b <= d + 1 for a, b, d in falls))
    both, blind = "word with the picture, %", "word, the picture missing, %"
    lost = [(c.get(n, both) - c.get(n, blind)).mean() for n in FAMILIES]
    answers = min(c.get(n, blind).min() for n in FAMILIES) > 100 / WORDS
    c.ask("a probe of both still answers without the picture (drop by family)", answers and np.mean(lost) > 0, lost)
    best = sorted(FAMILIES, key=lambda n: -c.get(n, shares[1]).mean())
    c.remarks = (
        "By a tenth of the labels, best first: "
        + ", ".join(f"{n} {c.get(n, shares[1]).mean():.1f}" for n in best)
        + "."
    )


if __name__ == "__main__":
    main()
