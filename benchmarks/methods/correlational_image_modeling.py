"""Correlational image modelling: does a tower that tells where pieces were cut out find them, and know what it sees?

    python benchmarks/methods/correlational_image_modeling.py --data DATA

A: on held-out made pictures (``textures.py``), the overlap (IoU) of the told map with where an exemplar was, against
trivial maps and against normalised cross-correlation of pixels. B: which texture each cell shows, told linearly from
frozen hidden vectors, against masked modelling of pixels at equal steps, and a random tower. C: a spoken digit of one
speaker found in a row of digits of another, both never heard, against warping of log-mels and of a random tower.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from criterion import Criterion, arguments
from matching import correlated
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score
from strung import Strung, cosines, found_frames, levelled, precision
from textures import KINDS, Textures
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from words import Ear, Words, data_folder

from lookhear.core import Batch, Padded
from lookhear.data.augment import Augment
from lookhear.data.looks import Looks
from lookhear.models.images import PictureTower
from lookhear.objectives.base import Learner
from lookhear.objectives.correlational import Correlational, overlap
from lookhear.objectives.exemplars import boxes_cover
from lookhear.objectives.fastmim import FastMim
from lookhear.recipe import Optimisation
from lookhear.training.alone import AloneBatches
from lookhear.training.fit import fit
from lookhear.training.mels import pad_mels
from lookhear.training.second import pictures_seen, recordings_heard

STEPS, BATCH, TRAIN, TEST, PLACED, WIDTH = 900, 16, 600, 150, 24, 16
HEARD, UTTERANCES, QUERIES = 900, 1500, 150
RATE = 2e-3
LOOKS = Looks(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.5, grey=0.3)
PICTURES: dict[str, Any] = {
    "looks": LOOKS, "size": 32, "area": (0.08, 0.25), "aspect": 1.5, "turn": 15.0, "flip": False,
    "width": 48, "exemplars": 4, "decay": 0.9,
}  # fmt: skip
SPOKEN: dict[str, Any] = {
    "augment": Augment(speed=0.15, warp=0.15, tilt=3.0), "area": (0.1, 0.25), "width": 48, "exemplars": 4, "decay": 0.9,
}  # fmt: skip
EAR: dict[str, Any] = {"width": 96, "dropout": 0.0}


class Eye(nn.Module):
    """A picture tower as the only part of a model."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.image = PictureTower(32, width=WIDTH, visual_words=64)


def learn(model: nn.Module, objective: nn.Module, source: AloneBatches, steps: int, seed: int) -> None:
    epochs = steps / source.steps_per_epoch
    loop = Optimisation(epochs=epochs, batch_size=BATCH, learning_rate=RATE, precision="32", seed=seed)
    fit(Learner(model, [objective]), source, loop, name="stage", progress=False)


def batches(pictures: Tensor, seed: int) -> AloneBatches:
    n = len(pictures)
    make = pictures_seen(pictures, Looks(crop=(0.5, 1.0), flip=True))
    ids = [str(i) for i in range(n)]
    return AloneBatches("image", make, None, np.arange(n), ids, np.ones(n, dtype=np.int64), BATCH, seed)


@torch.no_grad()
def cells(eye: Eye, pictures: Tensor) -> np.ndarray:
    """(N × P, H) hidden vectors; statistics of the norms are those of the pictures that a probe learns from."""
    eye.eval()
    parts = [eye.image(Padded(p.float() / 255)).hidden for p in pictures.split(100)]
    return torch.cat(parts).flatten(0, 1).numpy()


def settle(eye: Eye, pictures: Tensor) -> None:
    """Statistics of batch norms from these pictures: a random tower has none, and exemplars have others."""
    update_bn((Padded(part.float() / 255) for part in pictures.split(100)), eye.image)  # type: ignore[arg-type]


def segmentation(eye: Eye, probe: Textures, test: Textures) -> float:
    """Mean IoU in percent over kinds, of logistic regression on single cells."""
    settle(eye, probe.pictures)
    x, held = cells(eye, probe.pictures), cells(eye, test.pictures)
    mean, spread = x.mean(0), x.std(0) + 1e-6
    read = LogisticRegression(C=1.0, max_iter=300).fit((x - mean) / spread, probe.cells.ravel())
    return 100 * float(jaccard_score(test.cells.ravel(), read.predict((held - mean) / spread), average="macro"))


class Asked:
    """Exemplars of held-out pictures, as an objective cuts them: the same for all that are asked."""

    def __init__(self, objective: Correlational, pictures: Tensor, seed: int) -> None:
        values = self.pictures = pictures.float() / 255
        ids = [str(i) for i in range(len(values))]
        self.batch = Batch({"image": Padded(values)}, torch.arange(len(values)), ids)
        torch.manual_seed(seed)
        self.exemplars, self.boxes = objective._cut(self.batch, Padded(values))
        self.share = boxes_cover(self.boxes, (64, 64), (8, 8))

    def matched(self) -> Tensor:
        """(N, P) bool: where cross-correlation finds each exemplar."""
        found = correlated(self.pictures, self.exemplars.values)
        return boxes_cover(found, (64, 64), (8, 8)) >= 0.5

    def iou(self, told: Tensor) -> float:
        covered = self.share >= 0.5
        return float(overlap(told, covered, torch.ones_like(covered)).mean())


@torch.no_grad()
def told(eye: Eye, objective: Correlational, asked: Asked) -> Tensor:
    """(N, P) probabilities."""
    eye.eval()
    context = objective.slow(eye.image, asked.batch.inputs["image"])
    logits: Tensor = objective.correlator(context, eye.image(asked.exemplars))
    return logits.flatten(0, 1).sigmoid()


def found(eye: Eye, objective: Correlational, pictures: Pictures) -> float:
    """IoU of the map from a threshold on, which is chosen on exemplars of training pictures."""
    seen = told(eye, objective, pictures.seen)
    least = max((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), key=lambda t: pictures.seen.iou(seen > t))
    return pictures.asked.iou(told(eye, objective, pictures.asked) > least)


def everything(asked: Asked) -> Tensor:
    return torch.ones_like(asked.share, dtype=torch.bool)


def constant(pictures: Pictures) -> Tensor:
    """The best map that is the same for all exemplars, chosen on those of training pictures."""
    seen = pictures.seen
    mean = seen.share.mean(0)
    maps = [(mean >= t).expand_as(seen.share) for t in mean.sort().values]
    return max(maps, key=seen.iou)[:1].expand_as(pictures.asked.share)


class Pictures:
    """What all runs over made pictures of one seed share."""

    def __init__(self, seed: int) -> None:
        self.train, self.probe = Textures.make(TRAIN, 100 * seed + 1), Textures.make(TEST, 100 * seed + 2)
        self.test = Textures.make(TEST, 100 * seed + 3)
        self.seed = seed
        self.objective = Correlational.Config(**PICTURES).build(Eye(seed))
        self.asked = Asked(self.objective, self.test.pictures[:PLACED], seed + 1)
        self.seen = Asked(self.objective, self.train.pictures[:200], seed + 2)

    def correlational(self, scale: float, **changes: Any) -> tuple[Eye, Correlational]:
        eye = Eye(self.seed)
        torch.manual_seed(self.seed + 1)
        objective = Correlational.Config(**{**PICTURES, **changes}).build(eye)
        learn(eye, objective, batches(self.train.pictures, self.seed), round(STEPS * scale), self.seed)
        return eye, objective

    def masked(self, scale: float) -> Eye:
        eye = Eye(self.seed)
        torch.manual_seed(self.seed + 1)
        objective = FastMim.Config(target="pixels", scale=1, block=1).build(eye)
        learn(eye, objective, batches(self.train.pictures, self.seed), round(STEPS * scale), self.seed)
        return eye


class Speech:
    """Utterances strung from recorded digits; exemplars are whole digits of another speaker."""

    def __init__(self, folder: Any, seed: int) -> None:
        train, self.val, test = (Words.read(folder, s) for s in ("train", "val", "test"))
        self.seed = seed
        self.train = Strung.make(train, UTTERANCES, 5, seed)
        self.test = Strung.make(test, QUERIES, 5, seed + 1000)
        rng = np.random.default_rng((seed, 5))
        self.asked = []
        for said in self.test.said:
            label = int(rng.choice(np.unique(said[said >= 0])))
            self.asked.append((label, int(rng.choice(np.flatnonzero(self.val.labels == label)))))

    def batches(self) -> AloneBatches:
        n = len(self.train.mels)
        lengths = np.array([m.shape[1] for m in self.train.mels])
        make = recordings_heard(self.train.mels, Augment())
        return AloneBatches("audio", make, None, np.arange(n), [str(i) for i in range(n)], lengths, BATCH, self.seed)

    def learn(self, scale: float, **changes: Any) -> tuple[Ear, Correlational]:
        ear = Ear(self.seed, **EAR)
        torch.manual_seed(self.seed + 1)
        objective = Correlational.Config(on="audio", **{**SPOKEN, **changes}).build(ear)
        learn(ear, objective, self.batches(), round(HEARD * scale), self.seed)
        return ear, objective

    @torch.no_grad()
    def random(self) -> Ear:
        """A tower that never learned, with statistics for its norms."""
        ear = Ear(self.seed, **EAR)
        ear.train()
        for i in range(0, 10 * BATCH, BATCH):
            ear.audio(pad_mels(self.train.mels[i : i + BATCH]))
        return ear

    def score(self, how: Any) -> float:
        """Mean average precision in percent over queries; ``how(exemplar, utterance)`` → scores and their step."""
        out = []
        for (label, row), mel, said in zip(self.asked, self.test.mels, self.test.said, strict=True):
            curve, step = how(self.val.mels[row], mel)
            out.append(precision(curve, said, label, step))
        return 100 * float(np.mean(out))

    def chance(self) -> float:
        flat = [float((said == label).mean()) for (label, _), said in zip(self.asked, self.test.said, strict=True)]
        return 100 * float(np.mean(flat))


@torch.no_grad()
def by_map(ear: Ear, objective: Correlational) -> Any:
    ear.eval()

    def how(exemplar: Tensor, utterance: Tensor) -> tuple[np.ndarray, int]:
        context = objective.slow(ear.audio, pad_mels([utterance]))
        return objective.correlator(context, ear.audio(pad_mels([exemplar])))[0, 0].detach().numpy(), 4

    return how


def by_warping(ear: Ear | None) -> Any:
    """Subsequence-DTW of a tower's hidden vectors, or of log-mels."""

    @torch.no_grad()
    def how(exemplar: Tensor, utterance: Tensor) -> tuple[np.ndarray, int]:
        if ear is None:
            return found_frames(cosines(levelled(exemplar), levelled(utterance))), 2
        ear.eval()
        a, b = (ear.audio(pad_mels([x])).hidden[0] for x in (exemplar, utterance))
        return found_frames(cosines(a, b)), 4

    return how


def judge(c: Criterion) -> None:
    ours, heard = "correlational, pictures", "correlational, speech"
    gain = c.gain(ours, "the best constant map", "IoU")
    c.ask("A: IoU at least .15 above the best constant map, on the mean", gain.mean() >= 0.15, gain, main=True)
    gain = c.gain(ours, "all of the picture", "IoU")
    c.ask("A: IoU at least .15 above all of the picture, on the mean", gain.mean() >= 0.15, gain)
    gain = c.gain(ours, "cross-correlation of pixels", "IoU")
    c.ask("A: IoU at least .05 above cross-correlation of pixels, on the mean", gain.mean() >= 0.05, gain)
    gain = c.gain(ours, "random tower", "mIoU, %")
    c.ask("B: at least 5 points of mIoU above a random tower, on the mean", gain.mean() >= 5, gain)
    gain = c.gain(ours, "masked pixels", "mIoU, %")
    c.ask("B: at most 1 point of mIoU below masked pixels at equal steps, on the mean", gain.mean() >= -1, gain)
    for name in ("log-mels, warped", "random tower, warped"):
        gain = c.gain(heard, name, "AP, %")
        c.ask(f"C: average precision above {name}, on the mean", gain.mean() > 0, gain)


def main() -> None:
    parser = arguments("correlational-image-modeling", __doc__, seeds=(6, 7, 8))
    folder = data_folder(parser, "spoken-digits")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shown, heard = lru_cache(maxsize=None)(Pictures), lru_cache(maxsize=None)(lambda seed: Speech(folder, seed))
    c = Criterion(
        method="correlational-image-modeling",
        claim="On held-out pictures the told map overlaps with where an exemplar was by .15 more than the best "
        "constant map and .05 more than cross-correlation of pixels; frozen cells tell textures 5 points better than "
        "a random tower's and at most 1 worse than after masked modelling; a word of another speaker is found in an "
        "utterance better than by warping log-mels or a random tower's vectors.",
        baseline="masked pixels",
        controls=["all of the picture", "the best constant map", "random tower"],
        seeds=args.seeds,
        data=f"Made pictures of 64 pixels with {len(KINDS) - 1} textures: {TRAIN} to learn from ({STEPS} steps of "
        f"{BATCH}), {TEST} for the probe, {TEST} to test (IoU: 4 exemplars of each of {PLACED}). Real spoken digits "
        f"strung into utterances of five: {UTTERANCES} of three speakers to learn from ({HEARD} steps of {BATCH}), "
        f"{QUERIES} of a fourth to test, asked with digits of a fifth; "
        f"chance of AP {np.mean([heard(seed).chance() for seed in args.seeds]):.1f} %.",
    )

    def pictures(seed: int) -> dict[str, float]:
        eye, objective = shown(seed).correlational(args.scale)
        place = found(eye, objective, shown(seed))
        return {"IoU": place, "mIoU, %": segmentation(eye, shown(seed).probe, shown(seed).test)}

    def textures(eye: Eye, seed: int) -> dict[str, float]:
        return {"mIoU, %": segmentation(eye, shown(seed).probe, shown(seed).test)}

    def speech(seed: int) -> dict[str, float]:
        ear, objective = heard(seed).learn(args.scale)
        return {"AP, %": heard(seed).score(by_map(ear, objective)), "AP, warped, %": heard(seed).score(by_warping(ear))}

    c.run("correlational, pictures", pictures)
    c.run("all of the picture", lambda seed: {"IoU": shown(seed).asked.iou(everything(shown(seed).asked))})
    c.run("the best constant map", lambda seed: {"IoU": shown(seed).asked.iou(constant(shown(seed)))})
    c.run("cross-correlation of pixels", lambda seed: {"IoU": shown(seed).asked.iou(shown(seed).asked.matched())})
    c.run("random tower", lambda seed: textures(Eye(seed), seed))
    c.run("masked pixels", lambda seed: textures(shown(seed).masked(args.scale), seed))
    c.run("correlational, speech", speech)
    c.run("log-mels, warped", lambda seed: {"AP, %": heard(seed).score(by_warping(None))})
    c.run("random tower, warped", lambda seed: {"AP, %": heard(seed).score(by_warping(heard(seed).random()))})
    judge(c)
    c.remarks = (
        "Seeds used up before: 0–2 with exemplars of 24 pixels instead of 32 (the map .147 above the best constant "
        "one, where .15 is asked, and all else met), and 3–5 with 300 steps over 400 utterances of speech instead of "
        "900 over 1,500 (all met but the last condition: 51.6 against 51.8 for a random tower). What was changed was "
        "chosen on seed 10."
    )
    c.finish(args.out)


if __name__ == "__main__":
    main()
