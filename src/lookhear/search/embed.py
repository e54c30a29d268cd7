"""Bulk embedding: files and folders in, index rows out, with memory bounded by one batch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookhear.audio import stream_audio
from lookhear.core import RATE, Features
from lookhear.data.images import load_image
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.search.index import FlatIndex, create_index
from lookhear.search.store import row_batch

__all__ = ["AUDIO", "IMAGE", "embed_files", "find_files", "fingerprint", "index_files"]

AUDIO = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"))
IMAGE = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"))
SEGMENT, HOP, WHOLE = 4.0, 2.0, 6.0
"""Seconds: long recordings are cut into segments of the length of the captions that towers learn from, each second in
two of them, so that a phrase of up to ``SEGMENT - HOP`` lies whole in one; those up to ``WHOLE`` are one segment."""

OnError = Callable[[UserError], None]


@dataclass(frozen=True)
class _Piece:
    """One row to be: a segment's samples, or a picture."""

    file: str
    hash: str
    start: float
    end: float
    content: Any


def find_files(paths: Iterable[Path | str], endings: frozenset[str] = AUDIO | IMAGE) -> list[Path]:
    """Files as given, and the recordings and pictures in folders and their subfolders, in order of name; each once.

    Hidden files and folders (``.name``) inside a folder are passed over, and links to folders are not followed.

    Raises:
        UserError: no such path, or nothing in a folder.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_file():
            found[path] = None
            continue
        if not path.is_dir():
            raise UserError(f"{path}: no such file or folder", "Check the path.")
        inside = list(_walk(path, endings))
        if not inside:
            kinds = " or ".join(n for n, e in (("recordings", AUDIO), ("pictures", IMAGE)) if e & endings)
            raise UserError(f"{path}: no {kinds} in this folder", f"Endings looked for: {' '.join(sorted(endings))}.")
        found |= dict.fromkeys(inside)
    return list(found)


def _walk(folder: Path, endings: frozenset[str]) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                yield Path(at) / name


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the path and its permissions.") from None


def _segments(path: Path) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """(start in seconds, samples) of a recording; nothing is given before all of it is known to be readable."""
    head = list(islice(stream_audio(path, WHOLE, 0.0), 2))
    if len(head) == 1:
        yield head[0]
        return
    # A file is indexed whole or not at all. Decoding twice costs little beside embedding, and holding hours does not.
    for _ in stream_audio(path, 60.0, 0.0):
        pass
    yield from stream_audio(path, SEGMENT, SEGMENT - HOP)


def _pieces(path: Path) -> Iterator[_Piece]:
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name!r}: a file name that is not UTF-8", "Rename it.") from None
    digest = _hash(path)
    if path.suffix.lower() in IMAGE:
        yield _Piece(name, digest, 0.0, 0.0, load_image(path))
        return
    for start, wave in _segments(path):
        yield _Piece(name, digest, start, start + len(wave) / RATE, wave)


def _record_batch(pieces: Sequence[_Piece], features: Features, audio: bool) -> pa.RecordBatch:
    pooled = features.pooled.float().numpy()
    if not np.isfinite(pooled).all():
        raise UserError("the model gives vectors that are not numbers", "Its training diverged: train again.")
    local = [f.local.half().numpy() if audio else np.zeros((0, pooled.shape[1]), np.float16) for f in features]
    columns: dict[str, list[Any]] = {
        "file": [p.file for p in pieces],
        "start": [p.start for p in pieces],
        "end": [p.end for p in pieces],
        "modality": ["audio" if audio else "image"] * len(pieces),
        "hash": [p.hash for p in pieces],
    }
    return row_batch(columns, pooled, local)


def embed_files(
    model: Model,
    files: Sequence[Path],
    *,
    on_error: OnError | None = None,
    batch_size: int = 32,
    progress: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Rows (``row_schema``) of recordings and pictures, in the order of the files within each of the two kinds.

    Args:
        model: embeds them.
        files: paths; the ending says which kind each is, and what is no picture is taken for a recording.
        on_error: gets the error of a file that cannot be read, which is then left out; None raises it.
        batch_size: segments or pictures held and embedded at once.
        progress: a bar on stderr, if that is a terminal.

    Raises:
        UserError: a file cannot be read (without ``on_error``), or the model cannot embed one of the kinds.
    """
    from tqdm import tqdm

    waiting: dict[bool, list[_Piece]] = {True: [], False: []}

    def flush(audio: bool) -> pa.RecordBatch:
        pieces, waiting[audio] = waiting[audio], []
        embed: Callable[..., Features] = model.embed_audio if audio else model.embed_images
        return _record_batch(pieces, embed([p.content for p in pieces]), audio)

    for path in tqdm(files, desc="embedding", unit="file", disable=None if progress else True):
        try:
            for piece in _pieces(path):
                audio = isinstance(piece.content, np.ndarray)
                waiting[audio].append(piece)
                if len(waiting[audio]) == batch_size:
                    yield flush(audio)
        except UserError as e:
            if on_error is None:
                raise
            on_error(e)
    for audio, pieces in waiting.items():
        if pieces:
            yield flush(audio)


def fingerprint(model: Model) -> str:
    """A short hash of a model's own weights and of how it reads local vectors."""
    h = hashlib.sha256(model.compatibility.model_dump_json().encode())
    for name, value in sorted(model.state_to_save().items()):
        h.update(name.encode())
        h.update(value.cpu().numpy().tobytes())
    return h.hexdigest()[:16]


def index_files(
    run: Path | str,
    paths: Iterable[Path | str],
    out: Path | str,
    *,
    on_error: OnError | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> FlatIndex:
    """Embeds files and folders with the model of a run, and writes them as an index.

    An index that lies in ``out`` is replaced when the new one is whole; the same files give the same index.

    Args:
        run: the run folder; the index remembers it.
        paths: recordings, pictures, folders of them.
        on_error: as of ``embed_files``.
        say: is told, in one line, what was left out by kind.

    Raises:
        UserError: no run, no files, nothing readable among them, or the disk is full.
    """
    files, model = find_files(paths), Model.load(run)
    if isinstance(model.image, VectorTower):
        recordings = [f for f in files if f.suffix.lower() not in IMAGE]
        if len(recordings) < len(files):
            say(f"{len(files) - len(recordings)} pictures left out: this model knows pictures by given vectors only")
        files = recordings
    about = {
        "run": str(Path(run).resolve()),
        "model": fingerprint(model),
        "dim": model.dim,
        "step": model.step,
    }
    return create_index(out, embed_files(model, files, on_error=on_error, progress=progress), about)
