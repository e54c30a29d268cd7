"""Pretrains a small HuBERT here, in the real format, on recordings alone: no labels, no pictures, no texts.

    python benchmarks/pretrain_speech.py CORPUS CORPUS … --out hubert-small --untrained hubert-random

Its first iteration (Hsu et al., 2021, "HuBERT", sections III.A–B and IV.C): k-means of cepstra names every 20 ms,
stretches of the convolutions' output are hidden, and the Transformer names the hidden frames from what is about them.
What comes out is a ``HubertModel`` of transformers and its feature extractor, which a recipe names by its folder
(``kind = "pretrained"``), and ``pretraining.json``: what was heard and how often hidden frames of recordings that were
kept apart are named rightly, beside how often the most frequent name is right. ``--untrained`` leaves the same shape as
it was before the first step.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lookhear.audio import load_audio
from lookhear.core import RATE, Padded, bf16_pays
from lookhear.data.read import open_corpus
from lookhear.frontend import LogMel, Mfcc, level_speech
from lookhear.models.texts import require_transformers
from lookhear.training.fit import learning_rate

HOP, FIELD = 320, 400
"""Samples between frames of the convolutions, and what one of them sees."""
START, SPAN = 0.08, 10
"""Share of frames at which a hidden stretch begins, and its length in frames (section IV.C)."""
TEMPERATURE = 0.1
HELD = 20  # every how manieth recording is kept apart
FITTED = 200_000  # frames that k-means learns from, at most
AT_ONCE = 24.0  # seconds of a batch when it is only heard


def heard(folders: Sequence[Path]) -> list[Tensor]:
    """Recordings of the folders' training splits, (S,) each, in half precision; those without a frame are left out."""
    found = []
    for folder in folders:
        corpus = open_corpus(folder)
        corpus = corpus.select("train") if corpus.has("split") else corpus
        ids = corpus.column("id")
        found += [
            torch.from_numpy(load_audio(corpus.media("audio", r), name=f"recording {ids[r]}")).half()
            for r in corpus.recordings.tolist()
        ]
    return [w for w in found if len(w) >= FIELD]


def frames(samples: int) -> int:
    return (samples - FIELD) // HOP + 1


def cepstra(wave: Tensor) -> NDArray[np.float32]:
    """(T, 26): 13 cepstral coefficients of what frames 20 ms apart hear, and how they change.

    The mel bands are seen from the level of the speech and no lower than 26 dB below it (``level_speech``), so that all
    silence is one: noise in a silence, which cannot be foretold, would take clusters from the speech. The three windows
    of 25 ms about the middle of frame t, which sees samples 320 t to 320 t + 400, are averaged.
    """
    mel = LogMel(80)(Padded(wave[None])).values
    static = Mfcc(80).dct @ level_speech(mel, torch.ones(1, mel.shape[2], dtype=torch.bool))[0]
    smooth = F.avg_pool1d(F.pad(static, (0, 1), mode="replicate"), 3, 2)[:, : frames(len(wave))]
    around = F.pad(smooth, (1, 1), mode="replicate")
    return torch.cat([smooth, (around[:, 2:] - around[:, :-2]) / 2]).T.numpy()


def names_of(waves: Sequence[Tensor], clusters: int, seed: int) -> list[Tensor]:
    """(T,) the cluster of each frame's cepstra, by k-means."""
    from sklearn.cluster import MiniBatchKMeans

    found = [cepstra(wave.float()) for wave in waves]
    every = np.concatenate(found)
    some = np.random.default_rng(seed).permutation(len(every))[:FITTED]
    means = MiniBatchKMeans(clusters, random_state=seed, n_init=5, batch_size=10_000, compute_labels=False)
    means.fit(every[some])
    return [torch.from_numpy(means.predict(values).astype(np.int64)) for values in found]


def hidden(items: int, length: int, rng: np.random.Generator) -> Tensor:
    """(items, length) bool: stretches of ``SPAN`` frames, one at least in each item."""
    mask = torch.zeros(items, length, dtype=torch.bool)
    for row in mask:
        starts = np.flatnonzero(rng.random(length) < START)
        for start in starts if len(starts) else [rng.integers(length)]:
            row[start : start + SPAN] = True
    return mask


Piece = tuple[int, int, int]
"""A recording, the frame it is heard from, and how many frames."""
Named = Sequence[tuple[Tensor, Tensor]]
"""Recordings (S,), each with the clusters (T,) of its frames."""


def batches(lengths: NDArray[np.int64], longest: int, most: float, rng: np.random.Generator) -> Iterator[list[Piece]]:
    """One epoch: recordings as often as they have room for a piece of ``longest`` frames, like lengths together.

    The pieces of a batch are cut to its shortest: the first convolution is normalised over time, padding included.

    Args:
        lengths: in frames.
        most: seconds in a batch, before that.
    """
    pieces = [
        (i, int(rng.integers(max(1, n - longest + 1))), min(int(n), longest))
        for i, n in enumerate(lengths.tolist())
        for _ in range(-(-n // longest))
    ]
    # Lengths with some chance in them, so that no epoch has the batches of the last one.
    pieces.sort(key=lambda p: p[2] * rng.uniform(0.9, 1.1), reverse=True)
    full: list[list[Piece]] = [[]]
    for piece in pieces:
        wide = max(p[2] for p in [*full[-1], piece])
        if full[-1] and (len(full[-1]) + 1) * wide * HOP > most * RATE:
            full.append([])
        full[-1].append(piece)
    for at in rng.permutation(len(full)).tolist():
        shortest = min(n for *_, n in full[at])
        yield [(i, start, shortest) for i, start, _ in full[at]]


class Guess(nn.Module):
    """HuBERT and what names its hidden frames: cosines with a vector of each cluster over a temperature (eq. 3)."""

    def __init__(self, model: Any, clusters: int) -> None:
        super().__init__()
        self.model, self.project = model, nn.Linear(model.config.hidden_size, 64)
        self.codes = nn.Parameter(torch.randn(clusters, 64))

    def forward(self, waves: Tensor, mask: Tensor, bf16: bool) -> Tensor:
        """(B, S) recordings and (B, T) what is hidden → (hidden frames, clusters) logits."""
        # As the extractor does it.
        waves = (waves - waves.mean(1, keepdim=True)) * torch.rsqrt(waves.var(1, correction=0, keepdim=True) + 1e-7)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found = self.project(self.model(waves, mask_time_indices=mask).last_hidden_state[mask])
        logits: Tensor = F.normalize(found.float(), dim=-1) @ F.normalize(self.codes, dim=-1).T / TEMPERATURE
        return logits


def cut(named: Named, pieces: Sequence[Piece]) -> tuple[Tensor, Tensor]:
    """(B, S) samples and (B, T) clusters of pieces of one length."""
    waves = [named[i][0][HOP * a : HOP * (a + n - 1) + FIELD].float() for i, a, n in pieces]
    return torch.stack(waves), torch.stack([named[i][1][a : a + n] for i, a, n in pieces])


def step(guess: Guess, waves: Tensor, names: Tensor, rng: np.random.Generator, bf16: bool) -> tuple[Tensor, Tensor]:
    """(hidden frames, clusters) logits and the (hidden frames,) clusters."""
    mask = hidden(*names.shape, rng)
    return guess(waves, mask, bf16), names[mask]


def train(
    guess: Guess, waves: Sequence[Tensor], names: Sequence[Tensor], given: argparse.Namespace, out: Path
) -> list[dict[str, float]]:
    """Epochs of masked prediction; what each brought."""
    every = list(zip(waves, names, strict=True))
    kept = every[HELD - 1 :: HELD]
    known = [pair for i, pair in enumerate(every) if i % HELD != HELD - 1]
    lengths = np.array([len(n) for _, n in known], dtype=np.int64)
    longest = frames(round(given.crop * RATE))
    epochs = [
        list(batches(lengths, longest, given.seconds, np.random.default_rng((given.seed, e))))
        for e in range(given.epochs)
    ]
    total = sum(map(len, epochs))
    optimizer = torch.optim.AdamW(guess.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)
    rng, bf16, done, log = np.random.default_rng(given.seed), bf16_pays(), 0, list[dict[str, float]]()
    for number, epoch in enumerate(epochs):
        guess.train()
        began, losses = time.process_time(), []
        for pieces in epoch:
            optimizer.param_groups[0]["lr"] = learning_rate(done, total, given.learning_rate, 0.1)
            logits, wanted = step(guess, *cut(known, pieces), rng, bf16)
            loss = F.cross_entropy(logits, wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(guess.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            done += 1
        found = judge(guess, kept, [n for _, n in known], longest)
        log.append({"epoch": number + 1, "steps": done, "loss": float(np.mean(losses)), **found})
        log[-1]["processor seconds"] = time.process_time() - began
        print(json.dumps({k: round(v, 4) for k, v in log[-1].items()}), flush=True)
        (out / "pretraining.log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in log), encoding="utf-8")
    return log


@torch.no_grad()
def judge(guess: Guess, kept: Named, known: Sequence[Tensor], longest: int) -> dict[str, float]:
    """How often hidden frames of recordings kept apart are named rightly, always hiding the same; and what the most
    frequent cluster of the others would give."""
    guess.eval()
    rng, right, wanted = np.random.default_rng(0), list[Tensor](), list[Tensor]()
    lengths = np.array([len(n) for _, n in kept], dtype=np.int64)
    for pieces in batches(lengths, longest, AT_ONCE, rng):
        logits, asked = step(guess, *cut(kept, pieces), rng, False)
        right.append(logits.argmax(1) == asked)
        wanted.append(asked)
    most = torch.cat(list(known)).bincount().argmax()
    share = (torch.cat(wanted) == most).float().mean()
    return {
        "accuracy": float(torch.cat(right).float().mean()),
        "majority": float(share),
        "frames": len(torch.cat(wanted)),
    }


def untrained(given: argparse.Namespace) -> Any:
    """HuBERT with random weights: the convolutions of the base model, half as wide where there are most frames, and the
    order of norms of the large one, which learns from scratch more readily."""
    return require_transformers().HubertModel(
        require_transformers().HubertConfig(
            hidden_size=given.width,
            intermediate_size=4 * given.width,
            num_hidden_layers=given.layers,
            num_attention_heads=max(1, given.width // 32),
            conv_dim=(given.channels // 2,) * 2 + (given.channels,) * 5,
            do_stable_layer_norm=True,
            num_conv_pos_embeddings=64,
            num_conv_pos_embedding_groups=8,
            layerdrop=0.0,
            feat_proj_dropout=0.0,
            mask_feature_prob=0.0,
        )
    )


def save(model: Any, folder: Path) -> None:
    model.eval().save_pretrained(folder)
    extractor = require_transformers().Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    extractor.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="corpora; of one with splits, 'train' is heard")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument("--untrained", type=Path, help="a folder for the same model before its first step")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0, help="of speech in a batch")
    parser.add_argument("--crop", type=float, default=2.5, help="seconds of a recording that are heard at once")
    parser.add_argument("--clusters", type=int, default=50)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--channels", type=int, default=64, help="of the convolutions")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for folder in filter(None, (given.out, given.untrained)):
        if folder.exists():
            parser.error(f"{folder} is there already; name another folder")
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    waves = heard(given.folders)
    names = names_of(waves, given.clusters, given.seed)
    model = untrained(given)
    if given.untrained:
        save(model, given.untrained)
    given.out.mkdir(parents=True)
    log = train(Guess(model, given.clusters), waves, names, given, given.out)
    save(model, given.out)
    about = {
        "recordings": len(waves),
        "hours": sum(map(len, waves)) / RATE / 3600,
        "settings": {
            k: [str(f) for f in v] if k == "folders" else str(v) if isinstance(v, Path) else v
            for k, v in vars(given).items()
        },
        **log[-1],
    }
    (given.out / "pretraining.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    print(f"{len(waves)} recordings, {about['hours']:.2f} h: hidden frames {100 * log[-1]['accuracy']:.1f} % right")


if __name__ == "__main__":
    main()
