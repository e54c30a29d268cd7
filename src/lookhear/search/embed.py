"""Bulk embedding: files in, entries of an index out, with memory bounded by a batch and the longest recording."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lookhear.audio import stream_audio
from lookhear.core import RATE, lengths_to_mask
from lookhear.data.images import load_image
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.streaming import stream
from lookhear.search.files import Modality, content_hash, modality_of
from lookhear.search.index import Entry
from lookhear.search.segments import HOP, SEGMENT, WHOLE, segment_count, segment_times

__all__ = ["Job", "embed_files", "fingerprint", "job_of", "lines_of"]

Wave = NDArray[np.float32]
OnError = Callable[[UserError], None]
LINE, LINES = 2_000, 100_000
"""Characters of a line, and lines of a text, at most."""


@dataclass(frozen=True)
class Job:
    """A file to be embedded, and what is known of it already."""

    path: str
    hash: bytes
    size: int
    modified: int
    modality: Modality
    details: Mapping[str, str] = field(default_factory=dict)

    def entry(self, vectors: NDArray[np.float32], **more: Any) -> Entry:
        more = {"seconds": 0.0, **more}
        return Entry(
            self.path, self.hash, self.size, self.modified, self.modality, vectors=vectors, details=self.details, **more
        )


def job_of(path: Path, details: Mapping[str, str] | None = None) -> Job:
    """A file, looked at.

    Raises:
        UserError: it cannot be read, or its name is not UTF-8.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name!r}: a file name that is not UTF-8", "Rename it.") from None
    try:
        stat = path.stat()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the path and its permissions.") from None
    return Job(name, content_hash(path), stat.st_size, stat.st_mtime_ns, modality_of(path), details or {})


def embed_files(
    model: Model,
    jobs: Sequence[Job],
    *,
    on_error: OnError | None = None,
    batch_size: int = 32,
    progress: bool = False,
) -> Iterator[Entry]:
    """Entries of recordings, pictures and texts, each when its batch is full.

    A recording of up to ``WHOLE`` seconds is heard as the model hears it; a longer one is streamed, so that its frames
    do not depend on where it is cut, and the wholes of its segments are made of them. Of a tower whose frames depend on
    all of what it hears (``Model.context``) the segments are heard once more, one by one.

    Args:
        model: embeds them.
        on_error: gets the error of a file that cannot be read, which is then left out; None raises it.
        batch_size: recordings, pictures or lines that are embedded at once.
        progress: a bar on stderr, if that is a terminal.

    Raises:
        UserError: a file cannot be read (without ``on_error``), or the model cannot embed one of the kinds.
    """
    waiting: dict[Modality, list[tuple[Job, Any]]] = {"audio": [], "image": [], "text": []}
    whole = {"audio": _short, "image": _pictures, "text": _texts}

    def flush(kind: Modality) -> Iterator[Entry]:
        batch, waiting[kind] = waiting[kind], []
        yield from whole[kind](model, batch)

    for job in tqdm(jobs, desc="embedding", unit="file", disable=None if progress else True):
        try:
            content = _content(job)
            if content is None:
                yield _long(model, job)
                continue
        except UserError as e:
            if on_error is None:
                raise
            on_error(e)
            continue
        waiting[job.modality].append((job, content))
        if len(waiting[job.modality]) == batch_size:
            yield from flush(job.modality)
    for kind, batch in waiting.items():
        if batch:
            yield from flush(kind)


def _content(job: Job) -> Any:
    """The samples of a short recording, a picture, the lines of a text; None of a long recording."""
    path = Path(job.path)
    if job.modality == "image":
        return load_image(path)
    if job.modality == "text":
        return lines_of(path)
    head = list(islice(stream_audio(path, WHOLE, 0.0), 2))
    return head[0][1] if len(head) == 1 else None


def lines_of(path: Path) -> list[str]:
    """The lines of a text that say something.

    Raises:
        UserError: it is not UTF-8, has no such line, or is no text that anybody wrote.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (UnicodeDecodeError, OSError) as e:
        raise UserError(f"{path}: not a text in UTF-8 ({e})", "Save it as UTF-8.") from None
    lines = [line[:LINE] for line in lines if line]
    if not lines:
        raise UserError(f"{path}: an empty text", "Write something into it, or take it away.")
    if len(lines) > LINES:
        raise UserError(f"{path}: {len(lines)} lines, more than {LINES}", "Cut it into several files.")
    return lines


def _checked(pooled: torch.Tensor) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = pooled.float().numpy()
    if not np.isfinite(vectors).all():
        raise UserError("the model gives vectors that are not numbers", "Its training diverged: train again.")
    return vectors


def _short(model: Model, batch: Sequence[tuple[Job, Wave]]) -> Iterator[Entry]:
    features = model.embed_audio([wave for _, wave in batch])
    pooled = _checked(features.pooled)
    for n, (one, (job, wave)) in enumerate(zip(features, batch)):
        yield job.entry(pooled[n : n + 1], seconds=len(wave) / RATE, local=one.local.half().numpy())


def _pictures(model: Model, batch: Sequence[tuple[Job, Any]]) -> Iterator[Entry]:
    pooled = _checked(model.embed_images([picture for _, picture in batch]).pooled)
    for n, (job, _) in enumerate(batch):
        yield job.entry(pooled[n : n + 1])


def _texts(model: Model, batch: Sequence[tuple[Job, list[str]]]) -> Iterator[Entry]:
    pooled = _checked(model.embed_texts([line for _, lines in batch for line in lines]).pooled)
    parts = np.split(pooled, np.cumsum([len(lines) for _, lines in batch])[:-1])
    for (job, lines), vectors in zip(batch, parts):
        yield job.entry(vectors, texts=lines)


def _long(model: Model, job: Job) -> Entry:
    """A recording of several segments, whole or not at all."""
    blocks, seconds = [], 0.0
    for stretch in stream(model, job.path):
        blocks.append(stretch.features.local[0].half())
        seconds = stretch.end
    local = torch.cat(blocks)
    times = [segment_times(seconds, n) for n in range(segment_count(seconds))]
    vectors = _of_frames(model, local, times)
    if vectors is None:
        waves = (wave for _, wave in stream_audio(job.path, SEGMENT, SEGMENT - HOP))
        parts = []
        while batch := list(islice(waves, 32)):
            parts.append(model.embed_audio(batch).pooled)
        vectors = torch.cat(parts)[: len(times)]
    return job.entry(_checked(vectors), seconds=seconds, local=local.numpy())


def _of_frames(model: Model, local: torch.Tensor, times: Sequence[tuple[float, float]]) -> torch.Tensor | None:
    """(N, D) frames of a recording → (segments, D), or None of a tower whose wholes are not made of its frames."""
    ends = [min(len(local), round(end / model.step)) for _, end in times[:-1]] + [len(local)]
    cuts = [local[round(start / model.step) : end].float() for (start, _), end in zip(times, ends)]
    parts = []
    for i in range(0, len(cuts), 64):
        mask = lengths_to_mask(torch.tensor([len(c) for c in cuts[i : i + 64]]), max(map(len, cuts[i : i + 64])))
        values = torch.nn.utils.rnn.pad_sequence(cuts[i : i + 64], batch_first=True)
        whole = model.whole_of_frames(values, mask)
        if whole is None:
            return None
        parts.append(whole)
    return torch.cat(parts)


def fingerprint(model: Model) -> str:
    """A short hash of a model's own weights and of how it reads local vectors."""
    h = hashlib.sha256(model.compatibility.model_dump_json().encode())
    for name, value in sorted(model.state_to_save().items()):
        h.update(name.encode())
        h.update(value.cpu().numpy().tobytes())
    return h.hexdigest()[:16]
