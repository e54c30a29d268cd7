"""How fast a pretrained speech tower trains on the hidden states that are kept of its frozen encoder.

    pip install 'lookhear[text]' && python benchmarks/pretrained_features.py          # HuBERT base: some minutes
    python benchmarks/pretrained_features.py --width 32 --layers 2 --recordings 16 --batch-size 8 --epochs 1

An encoder of HuBERT's shape with random weights hears recordings of noise once (the first epoch's reading, which fills
the file), then epochs of training read what was kept: all layers, in half precision, from a file on disk, which the
system holds in memory where it fits. A step is the batch, forward, loss, backward and AdamW. One thread; processor
seconds are counted, not the clock's: they leave out the time that other programs had. The goal: 1 GB a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile as sf
import torch
from torch import nn

from lookhear.core import RATE, Batch
from lookhear.data.augment import Augment
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.models.pretrained import PretrainedTower
from lookhear.models.texts import require_transformers
from lookhear.objectives.base import Learner
from lookhear.objectives.contrastive import InfoNCE
from lookhear.training.batches import SpeechBatches
from lookhear.training.mels import StreamedMels, frames_of
from reporting import markdown

DIM, GOAL = 256, 1.0


def encoder(folder: Path, width: int, layers: int) -> Path:
    """HuBERT with random weights, as ``save_pretrained`` writes it; heads of 64 and an MLP of 4 × the width."""
    transformers = require_transformers()
    config = transformers.HubertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
    )
    transformers.HubertModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def noise(folder: Path, count: int, seconds: float) -> Corpus:
    """Recordings of about ``seconds``, with the spread of captions' lengths (a quarter of the mean)."""
    rng = np.random.default_rng(0)
    rows = []
    for i, n in enumerate(rng.normal(seconds, seconds / 4, count).clip(seconds / 4)):
        sf.write(folder / f"{i}.flac", rng.standard_normal(round(n * RATE)) * 0.1, RATE)
        rows.append({"id": str(i), "audio": {"path": f"{i}.flac", "bytes": None}})
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), folder, "noise")


def gigabytes(batch: Batch, channels: int) -> float:
    """What a batch read: its real frames in half precision."""
    mask = getattr(batch.inputs["audio"], "mask")  # noqa: B009 (features have one too)
    return int(mask.sum()) * channels * 2 / 1e9


def epoch(source: SpeechBatches, number: int, learner: Learner | None, channels: int) -> tuple[float, float]:
    """(gigabytes, processor seconds) of an epoch; without a learner it is only read."""
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad]) if learner else None
    read, began = 0.0, time.process_time()
    for index in range(source.steps_per_epoch):
        batch = source.batch(number, index)
        read += gigabytes(batch, channels)
        if learner is not None and optimizer is not None:
            torch.stack(list(learner(batch).values())).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    return read, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--recordings", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a recording, on average")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3, help="of each read-out")
    parser.add_argument("--readouts", nargs="+", default=["mean", "cls", "attention"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        name = str(encoder(folder / "encoder", given.width, given.layers))
        towers = {r: PretrainedTower.Config(name=name, readout=r).build(DIM) for r in given.readouts}
        first = next(iter(towers.values()))
        corpus = noise(folder, given.recordings, given.seconds)
        rows, pictures = corpus.recordings, np.arange(given.recordings)
        source = SpeechBatches(
            StreamedMels(first, corpus, rows, threads=1, folder=folder, most=100.0),
            pictures,
            [str(i) for i in pictures],
            nn.functional.normalize(torch.randn(len(pictures), DIM), dim=-1),
            pictures,
            given.batch_size,
            0,
            Augment(),
            lengths=frames_of(corpus, rows, first),
        )
        found = {"first epoch: heard by the encoder": [epoch(source, 0, None, first.channels)]}
        # A first reading of all, so that items which no batch of that epoch held are kept too.
        assert isinstance(source.mels, StreamedMels)
        for i in range(len(rows)):
            source.mels.make(i)
        found["later epochs, reading alone"] = [epoch(source, 1 + e, None, first.channels) for e in range(given.epochs)]
        for readout, tower in towers.items():
            model = nn.Module()
            model.audio = tower
            learner = Learner(model, [InfoNCE.Config().build()]).train()
            taken = [epoch(source, 1 + e, learner, first.channels) for e in range(given.epochs)]
            found[f"later epochs, training ({readout})"] = taken
    table = [["", "GB of features", "GB a minute and core", "goal"]]
    for what, taken in found.items():
        rates = [60 * read / seconds for read, seconds in taken]
        rate = float(np.median(rates))
        later = what.startswith("later")
        verdict = "" if not later else f"≥ {GOAL:.0f} {'met' if rate >= GOAL else 'MISSED'}"
        table.append([what, f"{np.median([read for read, _ in taken]):.3f}", f"{rate:.2f}", verdict])
    print(f"{given.recordings} recordings of {given.seconds} s, width {given.width}, {given.layers} layers\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
