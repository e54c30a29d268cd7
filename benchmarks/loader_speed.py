"""How fast training is fed from a prepared corpus, beside a plain torch Dataset of files and Hugging Face `datasets`.

    pip install datasets && python benchmarks/loader_speed.py --corpus book     # a corpus of `lookhear prepare`

An epoch of log-mel batches of 64 in shuffled order, from encoded sounds to padded tensors, three ways over the same
recordings: ours (StreamedMels and SpeechBatches: decoded ahead by threads, kept in a file for later epochs), torch's
DataLoader over sound files with as many worker processes, and rows of a `datasets` folder through the same DataLoader.
The front end is the tower's own in all three. Beside them: what the fastest tower here trains on with the same
processors. Each way has a process of its own, and they take turns, for a machine's speed changes from minute to minute.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from lookhear.audio import load_audio
from lookhear.core import Padded
from lookhear.data.augment import Augment
from lookhear.data.read import open_corpus
from lookhear.data.schema import Corpus
from lookhear.models.speech import SpeechTower
from lookhear.recipe import load_recipe
from lookhear.training.batches import SpeechBatches
from lookhear.training.mels import StreamedMels, frames_of, pad_mels
from reporting import markdown

BATCH = 64
TOWER, FILES, HUGGING_FACE = "the tower trains", "torch Dataset of files", "Hugging Face datasets"
FIRST, LATER = "ours, streamed, first epoch", "ours, streamed, later epochs"


class Files(Dataset[Tensor]):
    """What anyone would write first: a list of files, decoded one by one."""

    def __init__(self, paths: list[Path], tower: SpeechTower) -> None:
        self.paths, self.tower = paths, tower

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return mel(self.tower, load_audio(self.paths[index]))


class Rows(Dataset[Tensor]):
    """Rows of a Hugging Face dataset, whose sounds are decoded by us, as the others' are."""

    def __init__(self, rows: Any, tower: SpeechTower) -> None:
        self.rows, self.tower = rows, tower

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return mel(self.tower, load_audio(self.rows[index]["audio"]))


def mel(tower: SpeechTower, wave: Any) -> Tensor:
    return tower.extract(Padded(torch.from_numpy(wave)[None])).values[0].half()


def ours(corpus: Corpus, rows: Any, tower: SpeechTower, threads: int, folder: Path) -> SpeechBatches:
    mels = StreamedMels(tower, corpus, rows, threads, folder, most=50.0)
    ids, groups = [str(i) for i in range(len(rows))], np.zeros(len(rows), dtype=np.int64)
    picture, lengths = torch.eye(1, 8), frames_of(corpus, rows)
    return SpeechBatches(mels, groups, ids, picture, np.zeros(1, dtype=np.int64), BATCH, 0, Augment(), lengths=lengths)


def epoch(source: SpeechBatches, number: int) -> Iterator[int]:
    for index in range(source.steps_per_epoch):
        yield len(source.batch(number, index).ids)


def loader(dataset: Dataset[Tensor], workers: int) -> Iterator[int]:
    batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, collate_fn=pad_mels, drop_last=True)
    for batch in batches:
        yield len(batch.values)


def bytes_of(corpus: Corpus, row: int) -> bytes:
    media = corpus.media("audio", row)
    return media.read_bytes() if isinstance(media, Path) else media


def per_second(batches: Iterator[int]) -> float:
    began, count = time.monotonic(), 0
    for size in batches:
        count += size
    return count / (time.monotonic() - began)


def trained_per_second(corpus: Corpus, rows: Any, tower: SpeechTower, steps: int = 12) -> float:
    """Utterances a second through forward and backward of the tower alone, in bf16, with all threads."""
    lengths = frames_of(corpus, rows)
    chosen = rows[np.argsort(lengths)[len(rows) // 2 :][:BATCH]]
    mels = pad_mels([mel(tower, load_audio(bytes_of(corpus, r))) for r in chosen.tolist()])
    took = []
    for _ in range(steps):
        began = time.monotonic()
        with torch.autocast("cpu", torch.bfloat16):
            loss = tower(mels).pooled.sum()
        loss.backward()
        took.append(time.monotonic() - began)
    return BATCH / float(np.median(took))


def measure(what: str, corpus: Corpus, rows: Any, tower: SpeechTower, workers: int, folder: Path) -> float:
    """Utterances a second of one of the ways; in a process of its own, for DataLoader forks and ours has threads."""
    if what == TOWER:
        torch.set_num_threads(workers)
        return trained_per_second(corpus, rows, tower)
    torch.set_num_threads(1)  # each worker decodes by itself
    if what == FILES:
        return per_second(loader(Files([folder / f"{row}.flac" for row in rows.tolist()], tower), workers))
    if what == HUGGING_FACE:
        import datasets

        return per_second(loader(Rows(datasets.load_from_disk(str(folder / "hf")), tower), workers))
    source = ours(corpus, rows, tower, workers, folder)
    first = per_second(epoch(source, 0))
    return per_second(epoch(source, 1)) if what == LATER else first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--most", type=int, default=4000, help="recordings of the corpus that are used")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="each way in turn, so many times")
    parser.add_argument("--what", help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    corpus = open_corpus(given.corpus)
    rows = corpus.recordings[: given.most]
    if given.what:
        tower = load_recipe("picturebook").speech.build(256).train()
        print(measure(given.what, corpus, rows, tower, given.workers, given.folder))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for row in rows.tolist():
            (folder / f"{row}.flac").write_bytes(bytes_of(corpus, row))
        ways = [TOWER, FIRST, LATER, FILES]
        if importlib.util.find_spec("datasets"):
            import datasets

            given_bytes = {"audio": [bytes_of(corpus, row) for row in rows.tolist()]}
            datasets.Dataset.from_dict(given_bytes).save_to_disk(str(folder / "hf"))
            ways.append(HUGGING_FACE)
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in tqdm(range(given.rounds), "rounds"):
            for way in ways:
                call = [sys.executable, *sys.argv, "--what", way, "--in", str(folder)]
                found[way].append(float(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout))
    table = [["", "utterances a second, median", "lowest to highest", "× what the tower trains on"]]
    for way, speeds in found.items():
        share = np.median(np.array(speeds) / np.array(found[TOWER]))
        table.append([way, f"{np.median(speeds):.0f}", f"{min(speeds):.0f} to {max(speeds):.0f}", f"{share:.1f}"])
    first, later, train = (np.array(found[way]) for way in (FIRST, LATER, TOWER))
    epochs = load_recipe("picturebook").training.epochs
    run = epochs / (1 / first + (epochs - 1) / later)
    spread = f"{run.min():.0f} to {run.max():.0f}"
    whole = f"ours, over the recipe's {epochs:g} epochs"
    table.insert(4, [whole, f"{np.median(run):.0f}", spread, f"{np.median(run / train):.1f}"])
    print(f"{len(rows)} recordings, {given.workers} workers, {given.rounds} rounds\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
