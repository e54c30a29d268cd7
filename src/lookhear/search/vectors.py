"""The vectors of files as one NumPy file, for whoever wants vectors and no index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lookhear.errors import UserError
from lookhear.models.model import Model, write_atomically
from lookhear.search.embed import Job, OnError, embed_files, job_of
from lookhear.search.files import AUDIO, IMAGE, TEXT, find_files
from lookhear.search.segments import segment_times
from lookhear.search.update import seen_by

__all__ = ["write_vectors"]


def write_vectors(
    run: Path | str,
    paths: Iterable[Path | str],
    out: Path,
    *,
    local: bool = False,
    overwrite: bool = False,
    on_error: OnError | None = None,
    progress: bool = False,
) -> int:
    """Writes ``vectors`` (rows, D) float32 with the ``path``, ``modality``, ``start`` and ``end`` (seconds) of each
    row, and ``text`` of lines; with ``local`` also ``local`` (frames, D) float16 of all recordings one after the other,
    and ``frames``: how many each row's file has, at its first row, and 0 at its others.

    Returns:
        How many rows there are.

    Raises:
        UserError: as ``index_files``; the file exists; its name does not end in .npz.
    """
    import io

    out = Path(out)
    if out.suffix != ".npz":
        raise UserError(f"{out}: not a name for vectors", "End it in .npz.")
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists", "Name another -o, or give --overwrite to replace it.")
    model = Model.load(run)
    files = seen_by(model, find_files([Path(p) for p in paths], AUDIO | IMAGE | TEXT), lambda line: None)
    entries = embed_files(model, list(_jobs(files, on_error)), on_error=on_error, progress=progress)
    table: dict[str, list[object]] = {n: [] for n in ("path", "modality", "start", "end", "text", "frames")}
    vectors, frames = [], []
    for entry in entries:
        vectors.append(entry.vectors)
        for n in range(len(entry.vectors)):
            start, end = segment_times(entry.seconds, n) if entry.modality == "audio" else (0.0, 0.0)
            own = len(entry.local) if entry.local is not None and n == 0 else 0
            text = entry.texts[n] if entry.texts else ""
            for name, value in zip(table, (entry.path, entry.modality, start, end, text, own)):
                table[name].append(value)
        if local and entry.local is not None:
            frames.append(entry.local)
    if not vectors:
        raise UserError("nothing to embed", "Give a folder with recordings or pictures that can be read.")
    arrays = {name: np.array(values) for name, values in table.items()}
    if local:
        arrays["local"] = np.concatenate([np.zeros((0, model.dim), np.float16), *frames])
    else:
        del arrays["frames"]
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, vectors=np.concatenate(vectors), **arrays)
    write_atomically(out, data.getvalue())
    return len(table["path"])


def _jobs(files: Iterable[Path], on_error: OnError | None) -> Iterator[Job]:
    for file in files:
        try:
            yield job_of(file)
        except UserError as e:
            if on_error is None:
                raise
            on_error(e)
