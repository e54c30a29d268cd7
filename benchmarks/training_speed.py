"""Training speed: utterances per processor-second, the input pipeline's share of it, and how near the machine's peak.

    python benchmarks/training_speed.py               # all towers, fp32 and bf16: some minutes
    python benchmarks/training_speed.py --steps 4 --towers local --precisions bf16

One thread, batches of 64 utterances of about 2.6 s, the towers and the augmentation of the recipe `picturebook`. What
the utterances say has no part in speed, so they are noise. Processor seconds are counted, not the clock's: they leave
out the time that other programs had. A step is forward, loss, backward, gradient clipping and AdamW.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import soundfile as sf
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lookhear.audio import load_audio, pad_audio
from lookhear.core import RATE, Batch
from lookhear.models.speech import LocalTower, SpeechTower
from lookhear.objectives.asked import Tags
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.tag_head import TagHeadLoss
from lookhear.recipe import Recipe, load_recipe
from lookhear.training.batches import SpeechBatches
from reporting import markdown

DIM, PICTURES, UTTERANCES, DECODED = 256, 2000, 1024, 256
WORDS = 67
"""Of a closed vocabulary, as the research code's."""
RECIPES: dict[str, tuple[str, ...]] = {
    "local": ("picturebook",),
    "small": ("picturebook-small",),
    "seed": ("picturebook-seed",),
    "cnn-attend": ("picturebook-attend",),
    "cnn-attend, MLP 4096": ("picturebook-attend", "objectives.0.head.mlp=4096"),
}
"""Name → recipe and what is changed in it. 5.6 million parameters, as the research code's CNN-Attend has, are an MLP of
4096; the paper's is of 8192."""
PEERS = """For comparison, measured elsewhere on another day (reference figures, not this machine's): the research
code this grew from, same batch and length, one thread, fp32: 122.2 utterances per processor-second for the step alone
and 85.5 with its loading of features; its CNN-Attend (5.6 million parameters, all padded to 8 s) 9.3 and 9.0."""


@dataclass(frozen=True)
class Speed:
    """Processor seconds of one batch: drawn and augmented, and learned from; and its floating-point operations."""

    utterances: int
    draw: float
    step: float
    operations: float


def cpu_seconds(work: Callable[[int], object], times: int) -> float:
    """The median of ``work(0)``, ``work(1)`` … in processor seconds; the first, which warms up, is not counted."""
    taken = []
    for i in range(times + 1):
        began = time.process_time()
        work(i)
        taken.append(time.process_time() - began)
    return median(taken[1:])


def peak(dtype: torch.dtype, size: int = 2048, times: int = 7) -> float:
    """Operations per processor-second of a (size, size) matrix product, the best of several."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    a @ b
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        a @ b
        best = min(best, time.process_time() - began)
    return 2 * size**3 / best


def utterances(seconds: float, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Noise of about ``seconds``, with the spread of captions' lengths (a quarter of the mean)."""
    lengths = np.clip(rng.normal(seconds, seconds / 4, count), 0.3 * seconds, 2 * seconds)
    return [rng.standard_normal(round(n * RATE)).astype(np.float32) * 0.1 for n in lengths]


def features(tower: SpeechTower, waves: list[np.ndarray]) -> tuple[list[torch.Tensor], float]:
    """Log-mel of each utterance as training keeps it, and processor seconds an utterance, decoding included."""
    files = [io.BytesIO() for _ in waves[:DECODED]]
    for file, wave in zip(files, waves, strict=False):
        sf.write(file, wave, RATE, format="FLAC")
    mels: list[torch.Tensor] = []
    began = time.process_time()
    for i in range(0, DECODED, 64):
        mels += log_mel(tower, [load_audio(f.getvalue()) for f in files[i : i + 64]])
    taken = (time.process_time() - began) / DECODED
    for i in range(DECODED, len(waves), 64):
        mels += log_mel(tower, waves[i : i + 64])
    return mels, taken


def log_mel(tower: SpeechTower, waves: list[np.ndarray]) -> list[torch.Tensor]:
    mel = tower.extract(pad_audio(waves))
    assert mel.mask is not None
    return [v[:, : int(m.sum())].half().clone() for v, m in zip(mel.values, mel.mask, strict=True)]


def learner(recipe: Recipe) -> Learner:
    """The recipe's tower under InfoNCE, or under its tag head where it has nothing but that."""
    model = nn.Module()
    model.audio = recipe.speech.build(DIM)
    head = recipe.objectives[0]
    if not isinstance(head, TagHeadLoss.Config):
        return Learner(model, [InfoNCE.Config().build()]).train()
    tags = Tags([str(i) for i in range(WORDS)], torch.eye(WORDS), torch.full((1, WORDS), 0.05))
    return Learner(model, [head.build(model, tags)]).train()


def source(recipe: Recipe, mels: list[torch.Tensor], batch_size: int, rng: np.random.Generator) -> SpeechBatches:
    """The real input pipeline: batches of like lengths, a picture drawn for each, augmentation, a bank of negatives."""
    pictures = torch.nn.functional.normalize(torch.randn(PICTURES, DIM), dim=-1)
    groups = rng.integers(PICTURES, size=len(mels))
    ids = [str(i) for i in range(len(mels))]
    tags = {"tag_head": torch.rand(PICTURES, WORDS) / 10}
    return SpeechBatches(mels, groups, ids, pictures, np.arange(PICTURES), batch_size, 0, recipe.augment, tags)


def measure(recipe: Recipe, mels: list[torch.Tensor], batch_size: int, bf16: bool, steps: int) -> Speed:
    torch.manual_seed(0)
    model, batches = learner(recipe), source(recipe, mels, batch_size, np.random.default_rng(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    places = [divmod(i, batches.steps_per_epoch) for i in range(steps + 1)]
    drawn: list[Batch] = []
    draw = cpu_seconds(lambda i: drawn.append(batches.batch(*places[i])), steps)

    def losses(batch: Batch) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return torch.stack(list(model(batch).values())).sum()

    def step(i: int) -> None:
        losses(drawn[i]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    taken = cpu_seconds(step, steps)
    counts = []
    for batch in drawn[1:4]:
        with FlopCounterMode(display=False) as counter:
            losses(batch).backward()
        optimizer.zero_grad()
        counts.append(counter.get_total_flops())
    return Speed(batch_size, draw, taken, median(counts))


def row(name: str, precision: str, found: Speed, top: float) -> list[str]:
    whole = found.draw + found.step
    rate = found.operations / found.step
    return [
        f"{name}, {precision}",
        f"{found.utterances / found.step:.1f}",
        f"{found.utterances / whole:.1f}",
        f"{100 * found.draw / whole:.1f} %",
        f"{found.operations / found.utterances / 1e9:.2f}",
        f"{rate / 1e9:.0f}",
        f"{100 * rate / top:.0f} %",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed of the speech towers.")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.6, help="mean length of an utterance (%(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="steps timed, of which the median counts (%(default)s)")
    parser.add_argument("--towers", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--precisions", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    tops = {"fp32": torch.float32, "bf16": torch.bfloat16}
    tops = {p: peak(tops[p]) for p in args.precisions}
    waves = utterances(args.seconds, max(UTTERANCES, 2 * args.batch_size), np.random.default_rng(0))
    table = [
        ["tower", "utt/CPU-s, step", "utt/CPU-s, with input", "input's share", "GFLOP/utt", "GFLOP/s", "of peak"],
    ]
    notes = []
    for name in args.towers:
        recipe_name, *changes = RECIPES[name]
        recipe = load_recipe(recipe_name, changes)
        mels, once = features(recipe.speech.build(DIM), waves)
        mfcc = " (MFCC of it in every step)" if not isinstance(recipe.speech, LocalTower.Config) else ""
        epochs = recipe.training.epochs
        notes.append(
            f"{name}: FLAC decoded and log-mel made once a run, {1000 * once:.2f} CPU-ms an utterance{mfcc}; "
            f"over the recipe's {epochs:g} epochs that is {1000 * once / epochs:.2f} ms each time one is heard"
        )
        for precision in args.precisions:
            found = measure(recipe, mels, args.batch_size, precision == "bf16", args.steps)
            table.append(row(name, precision, found, tops[precision]))
    print(f"batches of {args.batch_size}, utterances of {args.seconds} s, one thread, torch {torch.__version__}\n")
    print(markdown(table))
    products = ", ".join(f"{p} {top / 1e9:.0f} GFLOP/s" for p, top in tops.items())
    print(f"\nPeak, measured here on products of 2048 × 2048 matrices: {products}.")
    print("Operations of convolutions, products and attention are counted, over padded frames too.")
    print("\n".join(f"- {note}" for note in notes))
    print(f"\n{PEERS}")


if __name__ == "__main__":
    main()
