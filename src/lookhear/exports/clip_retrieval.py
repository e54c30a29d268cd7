"""Vectors in the layout of clip-retrieval, which `clip-retrieval index`, autofaiss and embedding-reader read.

clip-retrieval (Beaumont, 2022, version 2.45) keeps a data set as folders of equal order: the rows of
``img_emb/img_emb_0.npy``, ``img_emb_1.npy``, … belong, one after the other, to those of ``metadata/metadata_0.parquet``
and so on. Recordings, pictures and texts of an archive are no pairs, so that each kind becomes a data set of its own::

    recordings/audio_emb/audio_emb_0.npy   metadata/metadata_0.parquet   audio_path, start, end
    pictures/img_emb/img_emb_0.npy         metadata/metadata_0.parquet   image_path
    texts/text_emb/text_emb_0.npy          metadata/metadata_0.parquet   caption, text_path

Vectors are unit vectors in half precision, as clip-retrieval writes them. Their inner products are the similarities, of
one kind with another too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookhear.data.store import new_folder
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.search.embed import Job, OnError, embed_files, job_of
from lookhear.search.files import AUDIO, IMAGE, TEXT, find_files
from lookhear.search.index import Entry, Found, Index
from lookhear.search.segments import segment_times
from lookhear.search.update import seen_by

__all__ = ["Rows", "rows_of_files", "rows_of_index", "write_clip_retrieval"]

Kind = Literal["recordings", "pictures", "texts"]
PART = 200_000
"""Rows of a file."""
_KINDS: dict[str, Kind] = {"audio": "recordings", "image": "pictures", "text": "texts"}
_EMBEDDINGS: dict[Kind, str] = {"recordings": "audio_emb", "pictures": "img_emb", "texts": "text_emb"}
_PATH: dict[Kind, str] = {"recordings": "audio_path", "pictures": "image_path", "texts": "text_path"}
_TOGETHER = 4096


@dataclass(frozen=True)
class Rows:
    """Rows of one kind.

    Attributes:
        files: (n) paths.
        starts, ends: (n) seconds; of recordings alone.
        texts: (n) lines; of texts alone.
        vectors: (n, D) unit vectors.
        details: (n) what is known about the files, by column.
    """

    kind: Kind
    files: Sequence[str]
    vectors: NDArray[np.floating[Any]]
    starts: Sequence[float] = ()
    ends: Sequence[float] = ()
    texts: Sequence[str] = ()
    details: Sequence[dict[str, str]] = ()

    def table(self, columns: Sequence[str]) -> pa.Table:
        """The metadata, with these columns of the details."""
        made: dict[str, pa.Array] = {_PATH[self.kind]: pa.array(self.files, pa.string())}
        if self.kind == "texts":
            made = {"caption": pa.array(self.texts, pa.string()), **made}
        if self.kind == "recordings":
            made |= {"start": pa.array(self.starts, pa.float64()), "end": pa.array(self.ends, pa.float64())}
        for name in columns:
            values = [d.get(name) for d in self.details] if self.details else [None] * len(self.files)
            made[name if name not in made else f"{name}_2"] = pa.array(values, pa.string())
        return pa.table(made)


def rows_of_index(index: Index) -> Iterator[Rows]:
    """All rows of an index, file by file as they were added, in batches of one kind."""
    waiting: list[Found] = []
    for source in index.sources():
        for row in range(source.id, source.id + source.rows):
            if waiting and (len(waiting) == _TOGETHER or waiting[0].modality != source.modality):
                yield _found_rows(index, waiting)
                waiting = []
            waiting.append(Found(source.path, "", *source.times(row), 0.0, row, source))
    if waiting:
        yield _found_rows(index, waiting)


def _found_rows(index: Index, hits: list[Found]) -> Rows:
    kind = _KINDS[hits[0].modality]
    return Rows(
        kind,
        [h.file for h in hits],
        index.pooled(hits),
        [h.start for h in hits],
        [h.end for h in hits],
        index.texts(hits) if kind == "texts" else (),
        [dict(h.source.details) for h in hits],
    )


def rows_of_files(
    model: Model,
    paths: Iterable[Path | str],
    *,
    on_error: OnError | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> Iterator[Rows]:
    """Rows of recordings, pictures and texts that are in no index, embedded here.

    Args:
        paths: files and folders.
        on_error: gets the error of a file that cannot be read, which is then left out; None raises it.
        say: is told, in one line, what the model cannot see.

    Raises:
        UserError: no such path, nothing in a folder, or a file that cannot be read (without ``on_error``).
    """
    files = find_files([Path(p).absolute() for p in paths], AUDIO | IMAGE | TEXT)
    jobs = list[Job]()
    for file in seen_by(model, files, say):
        try:
            jobs.append(job_of(file))
        except UserError as e:
            if on_error is None:
                raise
            on_error(e)
    for entry in embed_files(model, jobs, on_error=on_error, progress=progress):
        yield _entry_rows(entry)


def _entry_rows(entry: Entry) -> Rows:
    n = len(entry.vectors)
    times = [segment_times(entry.seconds, i) if entry.modality == "audio" else (0.0, 0.0) for i in range(n)]
    starts, ends = [t[0] for t in times], [t[1] for t in times]
    return Rows(_KINDS[entry.modality], [entry.path] * n, entry.vectors, starts, ends, entry.texts)


def write_clip_retrieval(rows: Iterable[Rows], out: Path | str, columns: Sequence[str] = ()) -> dict[Kind, int]:
    """Writes a new folder with a data set for each kind that there are rows of, whole or not at all.

    Args:
        rows: in any order; those of one kind keep theirs.
        columns: of the details, that become columns of the metadata.

    Returns:
        Kind → rows.

    Raises:
        UserError: ``out`` is not empty, there are no rows, or the disk is full.
    """
    with new_folder(Path(out)) as building:
        sets: dict[Kind, _Set] = {}
        for part in rows:
            if not len(part.vectors):
                continue
            if part.kind not in sets:
                sets[part.kind] = _Set(building / part.kind, part.kind, columns)
            sets[part.kind].add(part)
        if not sets:
            raise UserError("no vectors to write", "Give an index that holds something, or files.")
        return {kind: one.finish() for kind, one in sets.items()}


class _Set:
    """A data set that is being written, in files of ``PART`` rows."""

    def __init__(self, folder: Path, kind: Kind, columns: Sequence[str]) -> None:
        self.folder, self.kind, self.columns = folder, kind, columns
        self.count, self.parts = 0, 0
        self.vectors: list[NDArray[np.float16]] = []
        self.tables: list[pa.Table] = []
        for name in (_EMBEDDINGS[kind], "metadata"):
            (folder / name).mkdir(parents=True)

    def add(self, rows: Rows) -> None:
        vectors, table = np.asarray(rows.vectors, dtype=np.float16), rows.table(self.columns)
        while len(vectors):
            room = PART - sum(map(len, self.vectors))
            self.vectors.append(vectors[:room])
            self.tables.append(table.slice(0, room))
            vectors, table = vectors[room:], table.slice(room)
            if sum(map(len, self.vectors)) == PART:
                self._flush()

    def _flush(self) -> None:
        embeddings, metadata = self._files(str(self.parts))
        np.save(embeddings, np.concatenate(self.vectors))
        pq.write_table(pa.concat_tables(self.tables), metadata)
        self.count += sum(map(len, self.vectors))
        self.parts += 1
        self.vectors, self.tables = [], []

    def _files(self, number: str) -> tuple[Path, Path]:
        name = _EMBEDDINGS[self.kind]
        return self.folder / name / f"{name}_{number}.npy", self.folder / "metadata" / f"metadata_{number}.parquet"

    def finish(self) -> int:
        """How many rows there are. Files are read in the order of their names, so numbers get equally many digits."""
        if self.vectors:
            self._flush()
        digits = len(str(self.parts - 1))
        for number in range(self.parts):
            for old, new in zip(self._files(str(number)), self._files(str(number).zfill(digits)), strict=True):
                old.rename(new)
        return self.count
