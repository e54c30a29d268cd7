"""What a step of training takes in memory and time when a batch is trained in parts (gradient caching).

    python benchmarks/gradient_cache.py

One step of InfoNCE over made-up log-mels of 2.6 s, forward and backward, each in a process of its own: a batch of 64 at
once, larger ones in parts of 64, and 512 at once to compare with. Memory is the peak over the step of what the process
holds beyond its libraries (resident, before the batch is made); the input and the features of all items are part of it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from lookhear.core import Batch, Features, Padded
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import load_recipe
from lookhear.training.cached import backward_in_parts
from reporting import markdown

FRAMES, DIM = 261, 256
RUNS = [(64, 0), (512, 0), (512, 64), (4096, 64)]


class Towers(torch.nn.Module):
    """A speech tower where objectives look for it."""

    def __init__(self, tower: torch.nn.Module) -> None:
        super().__init__()
        self.audio = tower


def peak() -> float:
    """Megabytes that this process has held at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def step(size: int, part: int, tower: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    recipe = load_recipe("picturebook" if tower == "local" else "picturebook-seed")
    made = recipe.speech.build(DIM)
    learner = Learner(Towers(made), [InfoNCE.Config().build()]).train()
    before = peak()
    mel = Padded(torch.randn(size, made.channels, FRAMES), torch.ones(size, FRAMES, dtype=torch.bool))
    image = Features.of_pooled(F.normalize(torch.randn(size, DIM), dim=-1))
    batch = Batch({"audio": mel, "image": image}, torch.arange(size))
    began = time.monotonic()
    with torch.autocast("cpu", torch.bfloat16):
        if part:
            backward_in_parts(learner, batch, part)
        else:
            losses = learner(batch)
    if not part:
        torch.stack(list(losses.values())).sum().backward()
    print(peak() - before, time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tower", choices=["local", "seed"], default="local")
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        step(*given.one, given.tower)
        return
    table = [["batch", "part", "peak memory, MB", "of that the input, MB", "ms an utterance"]]
    for size, part in RUNS:
        call = [sys.executable, __file__, "--tower", given.tower, "--one", str(size), str(part)]
        told = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        channels = load_recipe("picturebook" if given.tower == "local" else "picturebook-seed").speech.build(8).channels
        given_mb = size * channels * FRAMES * 4 / 1e6
        row = [f"{size:,}", str(part) if part else "all", f"{float(told[0]):.0f}", f"{given_mb:.0f}"]
        table.append([*row, f"{1e3 * float(told[1]) / size:.1f}"])
    print(f"tower {given.tower}, one thread, bf16\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
