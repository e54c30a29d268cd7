"""A prepared corpus on its way into a layout of spoken captions: its rows, and its sounds and pictures as files.

A row without a picture of its own shows what the nearest row before it in its group shows: a prepared corpus keeps the
bytes of a picture with the first of its recordings, or in a row of its own. Rows without a recording have no place in
these layouts (``not_written``), nor have columns beyond the schema, vectors, masks and things.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from PIL import Image

from lookhear.data.schema import Corpus
from lookhear.errors import UserError

__all__ = ["UNSPLIT", "Pictures", "Rows", "not_written", "recordings_of", "write_wav"]

UNSPLIT = "all"
"""The name of the list of rows that belong to no split."""
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif", "TIFF": ".tif"}
_CLEAN = re.compile(r"[^/\\:\0-\x1f\x7f]{1,60}")


def recordings_of(corpus: Corpus) -> list[int]:
    """The rows that a list of recordings holds.

    Raises:
        UserError: there is none.
    """
    if not len(corpus.recordings):
        called = corpus.name or str(corpus.root)
        raise UserError(f"{called} has no recording, and this layout is a list of recordings", "Choose another layout.")
    return sorted(corpus.recordings.tolist())


def not_written(corpus: Corpus) -> str:
    """What a list of recordings leaves out of a corpus, for people; empty if nothing."""
    heard = set(recordings_of(corpus))
    groups = corpus.groups
    spoken = set(groups[sorted(heard)].tolist())
    silent = [row for row in range(len(corpus)) if row not in heard]
    if not silent:
        return ""
    shown = sum(1 for row in corpus.pictures.tolist() if row not in heard and groups[row] in spoken)
    kept = f" (but {shown:,} of them give pictures to the recordings of their groups)" if shown else ""
    return f"left out: {len(silent):,} rows without a recording{kept}, for this layout is a list of recordings"


class Rows:
    """The columns of a corpus that captions have, and which rows are in which list.

    Args:
        corpus: with recordings, and a picture in the group of each.
        named: the split that the list of a split would be read back as; None if it can have no list.

    Raises:
        UserError: no recordings, some without a picture, ids that are empty or occur twice, a split that can have no
            list.
    """

    def __init__(self, corpus: Corpus, named: Callable[[str], str | None]) -> None:
        self.corpus = corpus
        called = corpus.name or str(corpus.root)
        heard = recordings_of(corpus)
        self.ids: list[str] = corpus.column("id")
        names = [self.ids[row] for row in heard]
        if len(set(names)) < len(names) or not all(names):
            raise UserError(f"{called}: ids that are empty or occur twice", "Give each item an id of its own.")
        columns = ("group", "split", "text", "language", "speaker", "words")
        self.group, self.split, self.text, self.language, self.speaker, self.words = map(corpus.column, columns)
        self.picture = _pictures(corpus, heard, called)
        self.image_path: list[str | None] = pc.struct_field(corpus.table["image"], "path").to_pylist()
        self.lists: dict[str, list[int]] = {}
        for row in heard:
            split = self.split[row]
            self.lists.setdefault(UNSPLIT if split is None else split, []).append(row)
        for split in self.lists:
            if named(split) != split or (split == UNSPLIT and split in self.split):
                raise UserError(
                    f"{called}: no list of this layout can be called by the split {split!r}",
                    "Name the splits train, val and test, or as the layout does.",
                )

    def media(self, column: str, row: int) -> bytes:
        """The bytes of a sound or picture file.

        Raises:
            UserError: the file is gone, or cannot be read.
        """
        found = self.corpus.media(column, row)
        if isinstance(found, bytes):
            return found
        try:
            return found.read_bytes()
        except OSError as e:
            raise UserError(f"{found}: cannot be read ({e.strerror or e})", "Check the file.") from None


def _pictures(corpus: Corpus, heard: list[int], called: str) -> dict[int, int]:
    """Each recording's row → the row that has its picture.

    Raises:
        UserError: a recording whose group has no picture.
    """
    groups, has = corpus.groups.tolist(), corpus.table["image"].is_valid().to_numpy()
    first: dict[int, int] = {}
    for row in range(len(groups)):
        if has[row]:
            first.setdefault(groups[row], row)
    if lacking := [row for row in heard if groups[row] not in first]:
        raise UserError(
            f"{called}: {len(lacking)} recordings, such as {corpus.column('id')[lacking[0]]!r}, have no picture in "
            "their group, and this layout is of captions of pictures",
            "Take a subset of rows with pictures.",
        )
    latest, wanted, found = dict(first), set(heard), {}
    for row, group in enumerate(groups):
        if has[row]:
            latest[group] = row
        if row in wanted:
            found[row] = latest[group]
    return found


class Pictures:
    """Writes each picture of a corpus once.

    A picture keeps the name that its group has, or that it has in its corpus, if the layout allows it and no other
    picture has it; otherwise one is made.

    Args:
        rows: of the corpus.
        folder: to write into.
        fits: whether a name is one that the layout gives.
        make: makes a name of the number of a row and a suffix such as ".png"; called again with higher numbers until
            the name is free.
    """

    def __init__(
        self, rows: Rows, folder: Path, fits: Callable[[str], bool], make: Callable[[int, str, int], str]
    ) -> None:
        self.rows, self.folder, self.fits, self.make = rows, folder, fits, make
        self.names: dict[Any, str] = {}
        self.row_names: dict[int, str] = {}
        self.used: set[str] = set()
        self.number = 0

    def of(self, row: int) -> str:
        """The name of a row's picture, which is written if it was not yet.

        Raises:
            UserError: no picture, or none of a known kind.
        """
        row = self.rows.picture[row]
        if row not in self.row_names:
            data = self.rows.media("image", row)
            # A path tells pictures apart; bytes without one are a picture for each row.
            path = self.rows.image_path[row]
            key = row if path is None else (path, hashlib.blake2b(data, digest_size=16).digest())
            if key not in self.names:
                self.names[key] = self._write(row, data)
            self.row_names[row] = self.names[key]
        return self.row_names[row]

    def _write(self, row: int, data: bytes) -> str:
        suffix = _suffix(data, self.rows.image_path[row] or self.rows.ids[row])
        names = (self.rows.group[row], self.rows.image_path[row])
        wishes = [name for name in names if name is not None and _clean(name) and self.fits(name)]
        name = next((w for w in wishes if w.casefold() not in self.used), "")
        while not name or name.casefold() in self.used:
            self.number += 1
            name = self.make(self.number, suffix, row)
        self.used.add(name.casefold())
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return name


def _clean(name: str) -> bool:
    """Whether this is a relative path of a picture, of plain parts."""
    parts = name.split("/")
    plain = all(_CLEAN.fullmatch(p) and p not in (".", "..") for p in parts)
    return plain and len(parts) <= 8 and Path(name).suffix.lower() in {*_SUFFIXES.values(), ".jpeg", ".tiff"}


def _suffix(data: bytes, called: str) -> str:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _SUFFIXES.get(image.format or "", f".{(image.format or 'image').lower()}")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise UserError(f"{called}: not a picture ({e})", "Prepare the corpus again.") from None


def write_wav(data: bytes, path: Path, called: str) -> None:
    """Writes a sound file as WAV of 16 bits, at its own rate and with its own channels.

    A WAV of 16 bits is copied; FLAC of 16 bits keeps every sample. What has more bits than that loses the rest.

    Raises:
        UserError: not a readable recording.
    """
    import soundfile as sf

    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            if (file.format, file.subtype) == ("WAV", "PCM_16"):
                wave = None
            else:
                whole = file.subtype.startswith("PCM_") or file.subtype in ("ALAW", "ULAW")
                wave, rate = file.read(dtype="int16" if whole else "float64", always_2d=True), file.samplerate
        if wave is not None:
            buffer = io.BytesIO()
            sf.write(buffer, wave, rate, format="WAV", subtype="PCM_16")
            data = buffer.getvalue()
    except sf.LibsndfileError as e:
        raise UserError(
            f"{called}: not a readable recording ({e.error_string.rstrip('.')})", "Prepare it again."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
