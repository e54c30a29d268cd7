"""How fast training is fed from a prepared corpus, beside a plain torch Dataset of files and Hugging Face `datasets`.

    pip install datasets && python benchmarks/loader_speed.py --corpus book     # a corpus of `lookhear prepare`

One epoch of log-mel batches of 64 in shuffled order, from cold Python objects to padded tensors, three ways over the
same recordings: ours (StreamedMels and SpeechBatches, decoded ahead by threads), torch's DataLoader over sound files
with as many worker processes, and a `datasets` folder of the same rows with the same workers. The front end is the
tower's own in all three. Beside them: what the fastest tower here trains on in the same time, with the same processors.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

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
        return mel(self.tower, load_audio(self.rows[index]["audio"]["bytes"]))


def mel(tower: SpeechTower, wave: Any) -> Tensor:
    return tower.extract(Padded(torch.from_numpy(wave)[None])).values[0].half()


def ours(corpus: Corpus, rows: Any, tower: SpeechTower, threads: int) -> Iterator[int]:
    groups = np.zeros(len(rows), dtype=np.int64)
    mels = StreamedMels(tower, corpus, rows, threads)
    source = SpeechBatches(
        mels,
        groups,
        [str(i) for i in range(len(rows))],
        torch.eye(1, 8),
        np.zeros(1, dtype=np.int64),
        BATCH,
        0,
        Augment(),
        lengths=frames_of(corpus, rows),
    )
    for index in range(source.steps_per_epoch):
        yield len(source.batch(0, index).ids)
    mels.close()


def loader(dataset: Dataset[Tensor], workers: int) -> Iterator[int]:
    batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, collate_fn=pad_mels, drop_last=True)
    for batch in batches:
        yield len(batch.values)


def hugging_face(corpus: Corpus, rows: Any, folder: Path) -> Any:
    import datasets

    features = datasets.Features({"audio": datasets.Audio(decode=False)})
    given = ({"audio": {"bytes": bytes_of(corpus, r), "path": None}} for r in rows.tolist())
    datasets.Dataset.from_generator(lambda: given, features=features, cache_dir=str(folder / "cache")).save_to_disk(
        str(folder / "hf")
    )
    return datasets.load_from_disk(str(folder / "hf"))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--most", type=int, default=4000, help="recordings of the corpus that are used")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    corpus = open_corpus(given.corpus)
    rows = corpus.recordings[: given.most]
    torch.set_num_threads(given.workers)
    tower = load_recipe("picturebook").speech.build(256).train()
    train = trained_per_second(corpus, rows, tower)
    torch.set_num_threads(1)  # each worker decodes by itself
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = []
        for i, row in enumerate(rows.tolist()):
            paths.append(folder / f"{i}.flac")
            paths[-1].write_bytes(bytes_of(corpus, row))
        table = [["loader", "utterances a second", "× what the tower trains on"]]

        def measured(name: str, batches: Iterator[int]) -> None:
            speed = per_second(batches)
            table.append([name, f"{speed:.0f}", f"{speed / train:.1f}"])

        measured("ours, streamed", ours(corpus, rows, tower, given.workers))
        measured("torch Dataset of files", loader(Files(paths, tower), given.workers))
        try:
            found = hugging_face(corpus, rows, folder)
        except ModuleNotFoundError:
            table.append(["Hugging Face datasets", "not installed", ""])
        else:
            measured("Hugging Face datasets", loader(Rows(found, tower), given.workers))
        shutil.rmtree(folder / "hf", ignore_errors=True)
    print(f"{len(rows)} recordings, {given.workers} workers; the tower trains on {train:.0f} utterances a second\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
