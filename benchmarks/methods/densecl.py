"""Dense contrast: do frames find the patch of what they name, beside a global loss and after a warm-up?

    python benchmarks/methods/densecl.py

On a made world of pairs (``scenes.py``): global InfoNCE alone; with the dense term after the first half of the steps at
three weights; and from the start.
Pointing: a frame of a word, asked for the patch that it is nearest to, finds the thing (chance 4 of 36 patches). The
images-only form of the paper (`densecl-views`) is not asked to beat MoCo here: on two cores neither leaves the
random encoder behind (docs/methods.md).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from criterion import Criterion, arguments
from scenes import FrameTower, GridTower, Pairs, World
from torch import nn

from lookhear.objectives.base import Learner, Objective
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.dense import Dense
from lookhear.recipe import Optimisation
from lookhear.training.fit import fit

STEPS, WARMUP, DIM = 2500, 1200, 64


class Towers(nn.Module):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.audio, self.image = FrameTower(world.sounds, DIM), GridTower(world.looks, DIM)


@torch.no_grad()
def figures(model: Towers, test: Pairs) -> dict[str, float]:
    """Pointing and retrieval among the test pairs, in percent."""
    model.eval()
    batch = test.take(torch.arange(len(test.cells)))
    audio, image = model.audio(batch.inputs["audio"]), model.image(batch.inputs["image"])
    near = torch.einsum("bnd,bpd->bnp", F.normalize(audio.local, dim=-1), F.normalize(image.local, dim=-1)).argmax(-1)
    named = test.said >= 0
    right = test.shown.gather(1, near) == test.said
    rank = (audio.pooled @ image.pooled.T).argsort(1, descending=True)
    found = (rank[:, :10] == torch.arange(len(rank))[:, None]).any(1)
    return {"pointing, %": 100 * float(right[named].float().mean()), "R@10, %": 100 * float(found.float().mean())}


def learn(seed: int, scale: float, dense: dict[str, Any] | None) -> dict[str, float]:
    world = World(seed=seed)
    train, test = Pairs.make(world, 4000, 1), Pairs.make(world, 500, 2)
    torch.manual_seed(seed)
    model = Towers(world)
    objectives: list[Objective] = [InfoNCE(InfoNCE.Config())]
    if dense is not None:
        warmup = round(dense.get("warmup", WARMUP) * scale)
        objectives.append(Dense(Dense.Config(weight=dense["weight"], warmup=warmup)))
    steps = round(STEPS * scale)
    loop = Optimisation(
        epochs=steps / train.steps_per_epoch, batch_size=64, learning_rate=1e-3, precision="32", seed=seed
    )
    fit(Learner(model, objectives), train, loop, name="densecl", progress=False)
    return figures(model, test)


RUNS: dict[str, dict[str, Any] | None] = {
    "global only": None,
    "dense .3 after the warm-up": {"weight": 0.3},
    "dense .5 after the warm-up": {"weight": 0.5},
    "dense 1 after the warm-up": {"weight": 1.0},
    "dense .5 from the start": {"weight": 0.5, "warmup": 0},
}


def main() -> None:
    parser = arguments("densecl", __doc__, (0, 1, 2))
    args = parser.parse_args()
    c = Criterion(
        method="densecl",
        claim="Dense contrast of weight .3 after a warm-up points at least 3 points better than global InfoNCE alone, "
        "no seed worse, at an R@10 that is lower by at most 1 point.",
        baseline="global only",
        controls=["dense .5 from the start"],
        seeds=args.seeds,
        data=f"A made world: 4,000 pairs to learn from, 500 to test, 20 kinds, three things a pair, {STEPS} steps of "
        "64. Chance of pointing 11.1 %, of R@10 2.0 %.",
    )
    for name, dense in RUNS.items():
        c.run(name, lambda seed, dense=dense: learn(seed, args.scale, dense))
    ours, base = "dense .3 after the warm-up", "global only"
    gain = c.gain(ours, base, "pointing, %")
    c.ask("pointing at least 3 points better on the mean", gain.mean() >= 3, gain, main=True)
    c.ask("no seed points worse", gain.min() >= 0, gain)
    lost = c.gain(ours, base, "R@10, %")
    c.ask("R@10 lower by at most 1 point on the mean", lost.mean() >= -1, lost)
    early = c.gain("dense .5 from the start", "dense .5 after the warm-up", "pointing, %").mean()
    c.remarks = (
        f"From the start instead of after the warm-up, the dense term points {abs(early):.1f} points "
        f"{'better' if early > 0 else 'worse'} in this world, where cells of one thing are alike."
    )
    c.finish(args.out)


if __name__ == "__main__":
    main()
