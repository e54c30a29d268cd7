"""A visual dictionary: does telling masked codes from the other modality bring speech and pictures together?

    python benchmarks/methods/soho_visual_dictionary.py

On a made world of pairs (``scenes.py``), few of them: InfoNCE alone; beside it matching over quantised vectors; and
masked modelling of random cells, or of all cells of a code (SOHO). The codes' mutual information with the true kinds
is held against k-means of as many clusters on the vectors that InfoNCE alone has learned.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from criterion import Criterion, arguments
from scenes import FrameTower, GridTower, Pairs, World
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch import nn

from lookhear.objectives.base import Learner, Objective, Views
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.dictionary import Dictionary
from lookhear.recipe import Optimisation
from lookhear.training.fit import fit

STEPS, DIM, CODES, TRAIN = 1000, 48, 48, 1500
SHARED: dict[str, Any] = {"codes": CODES, "weight": 2.0, "matching": 0.2, "negatives": "hard"}
"""Of all dictionaries; weights chosen on seeds that are not the record's."""


class Towers(nn.Module):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.audio, self.image, self.dim = FrameTower(world.sounds, DIM), GridTower(world.looks, DIM), DIM


@torch.no_grad()
def figures(model: Towers, objective: Dictionary | None, test: Pairs, seed: int) -> dict[str, float]:
    model.eval()
    batch = test.take(torch.arange(len(test.cells)))
    audio, image = model.audio(batch.inputs["audio"]), model.image(batch.inputs["image"])
    scores = audio.pooled @ image.pooled.T
    right = torch.arange(len(scores))
    found = {}
    for k in (1, 10):
        hits = [(s.topk(k, 1).indices == right[:, None]).any(1).float().mean() for s in (scores, scores.T)]
        found[f"R@{k}, %"] = 100 * float(torch.stack(hits).mean())
    patches, kinds = F.normalize(image.local, dim=-1).flatten(0, 1), test.shown.flatten().numpy()
    if objective is None:
        codes = KMeans(CODES, n_init=3, random_state=seed).fit_predict(patches.numpy())
    else:
        codes = objective.quantizer.nearest(patches).numpy()
        objective.eval()
        objective(Views(model, batch))
        if "matched right" in objective.told:
            found["matched right, %"] = 100 * objective.told["matched right"]
        found["codes used, %"] = 100 * float(objective.quantizer.used)
        found["perplexity"] = float(objective.quantizer.perplexity)
    found["information of codes on things"] = float(normalized_mutual_info_score(kinds, codes))
    return found


def learn(seed: int, scale: float, change: dict[str, Any] | None) -> dict[str, float]:
    world = World(kinds=12, seed=seed)
    train, test = Pairs.make(world, TRAIN, 1), Pairs.make(world, 500, 2)
    torch.manual_seed(seed)
    model = Towers(world)
    objectives: list[Objective] = [InfoNCE(InfoNCE.Config())]
    extra = None if change is None else Dictionary.Config(**SHARED, **change).build(model)
    objectives += [] if extra is None else [extra]
    steps = round(STEPS * scale)
    loop = Optimisation(
        epochs=steps / train.steps_per_epoch, batch_size=64, learning_rate=1e-3, precision="32", seed=seed
    )
    state = fit(Learner(model, objectives), train, loop, name="dictionary", progress=False)
    told = figures(model, extra, test, seed)
    cells = [row["masked cells"] for row in state.history if "masked cells" in row]
    return told | ({"masked cells a batch": float(np.mean(cells))} if cells else {})


def reachable(seed: int) -> float:
    """R@1 in percent of who finds the right things, and guesses among pairs that hold the same."""
    shown = [tuple(sorted(set(row))) for row in Pairs.make(World(kinds=12, seed=seed), 500, 2).shown.tolist()]
    count = Counter(shown)
    return 100 * float(np.mean([1 / count[things] for things in shown]))


RUNS: dict[str, dict[str, Any] | None] = {
    "no dictionary": None,
    "dictionary, nothing masked": {"cells": "none"},
    "dictionary, random cells masked": {"cells": "random"},
    "dictionary, codes masked (SOHO)": {"cells": "code"},
}


def main() -> None:
    args = arguments("soho-visual-dictionary", __doc__).parse_args()
    c = Criterion(
        method="soho-visual-dictionary",
        claim="A shared dictionary with masked codes raises R@1 by at least 2 points over InfoNCE alone at equal "
        "steps; its codes know as much of the things as k-means on the vectors of InfoNCE alone; at least 60 % used.",
        baseline="no dictionary",
        controls=["dictionary, nothing masked", "dictionary, random cells masked"],
        seeds=args.seeds,
        data=f"A made world: {TRAIN:,} pairs to learn from, 500 to test, 12 kinds, {CODES} codes, {STEPS} steps of 64. "
        "Chance of R@1 0.2 %; who always found the right things would reach "
        f"{np.mean([reachable(seed) for seed in args.seeds]):.1f} %.",
        why="R@1 is 1.3 points above no dictionary (R@10 3.4), with seeds from .4 to 2.3; its codes know more "
        "of the things than k-means does. Matching stays at chance, for the nearest picture of a batch "
        "often shows the same things. So do many test pictures, and most of what can be reached is reached "
        "without a dictionary.",
        remarks="Other numbers of things and pairs, and drawn negatives, were tried since on seed 10 and did not "
        "raise R@1. What is masked has since been drawn by item, so that figures above will not repeat to "
        "the digit.",
    )
    for name, change in RUNS.items():
        c.run(name, lambda seed, change=change: learn(seed, args.scale, change))
    ours = "dictionary, codes masked (SOHO)"
    gain = c.gain(ours, "no dictionary", "R@1, %")
    c.ask("R@1 at least 2 points above no dictionary", gain.mean() >= 2, gain, main=True)
    known = c.gain(ours, "no dictionary", "information of codes on things")
    c.ask("codes know as much of the things as k-means on frozen vectors", known.mean() >= 0, known)
    used = c.get(ours, "codes used, %")
    c.ask("at least 60 % of the codes are used", used.min() >= 60, used)
    cells = c.get(ours, "masked cells a batch")
    c.ask("cells are masked, and how many is logged", cells.min() > 0, cells)
    c.finish(args.out)


if __name__ == "__main__":
    main()
