"""An item and its files made a row of a corpus: decoded once to see that they are whole, mended by stated rules.

Rules. A recording or picture that cannot be decoded refuses its item. A word whose times are no numbers, run backwards
or begin after the recording's end is left out; one that ends up to ``SLACK`` after it ends with it, and one that ends
later is left out; words out of order are put in order. All of this is reported.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookhear.audio import load_audio
from lookhear.core import RATE
from lookhear.data.images import load_image
from lookhear.data.items import Item, Media, Problem, Word
from lookhear.data.prints import sound_print
from lookhear.data.sounds import check_header
from lookhear.errors import UserError

__all__ = ["EXTRA", "SLACK", "Rows"]

EXTRA = (
    pa.field("seconds", pa.float64()),  # of the recording
    pa.field("audio_hash", pa.binary()),  # of the bytes of the sound, 16 bytes
    pa.field("image_hash", pa.binary()),
    pa.field("sound_print", pa.uint64()),  # near-identical sounds have prints that differ in few bits
)
"""Columns that every prepared corpus has beyond the schema."""

SLACK = 0.1
"""Seconds that a word may end after its recording: aligners round, and recordings are cut."""


class Rows:
    """Makes rows of items, one after the other.

    Args:
        root: for media that stay where they are: the folder that paths in the corpus start from. None takes the bytes
            of all media into the corpus.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._picture: tuple[tuple[str, Path | bytes | None], dict[str, Any]] | None = None
        self._long: tuple[Path | None, NDArray[np.float32]] | None = None

    def row(self, item: Item) -> dict[str, Any] | None:
        """The row, or None for an item that was refused; ``problems`` has why."""
        try:
            for text in _texts(item):
                text.encode()
            row: dict[str, Any] = {
                "id": item.id,
                "group": item.group if item.group is not None else item.id,
                "text": item.text or None,
                **{k: getattr(item, k) for k in ("split", "language", "speaker", "things", "vector")},
                "masks": None if item.masks is None else [{"thing": t, "png": p} for t, p in item.masks],
                **item.extra,
            }
            if item.audio is not None:
                row |= self._sound(item.audio)
            if item.image is not None:
                row |= self._image(item.image, row["group"])
        except UserError as e:
            self._note(item, e.what, e.fix, "refused")
            return None
        except UnicodeEncodeError as e:
            self._note(item, f"text that is no Unicode ({e.reason})", "Save the file as UTF-8.", "refused")
            return None
        if item.words is not None:
            row["words"] = self._words(item, row.get("seconds", math.inf))
        return row

    def _note(self, item: Item, what: str, fix: str, done: str) -> None:
        self.problems.append(Problem(item.file, item.line, what, fix, done, item.id))

    def _sound(self, media: Media) -> dict[str, Any]:
        if media.start is not None or media.end is not None:
            wave, data = _stretch(self._whole(media), media)
        else:
            data = _bytes(media)
            wave = _decoded(data, media.called)
        stays = self.root is not None and media.path is not None and media.start is None and media.end is None
        return {
            "audio": {"path": self._path(media), "bytes": None if stays else data},
            "seconds": len(wave) / RATE,
            "audio_hash": hashlib.blake2b(data, digest_size=16).digest(),
            "sound_print": sound_print(wave),
        }

    def _whole(self, media: Media) -> NDArray[np.float32]:
        """The recording that a stretch is of; that of the stretch before it, mostly, which is not decoded again."""
        if self._long is None or media.path is None or self._long[0] != media.path:
            self._long = (media.path, _decoded(_bytes(media), media.called))
        return self._long[1]

    def _image(self, media: Media, group: str) -> dict[str, Any]:
        """A picture that the last item of the group had too is not decoded again, and its bytes are kept but once."""
        key = (group, media.path or media.data)
        if self._picture is not None and self._picture[0] == key:
            again = dict(self._picture[1])
            if again["image"]["bytes"] is not None:
                again["image"] = None
            return again
        data = _bytes(media)
        load_image(data, name=media.called)
        stays = self.root is not None and media.path is not None
        row = {
            "image": {"path": self._path(media), "bytes": None if stays else data},
            "image_hash": hashlib.blake2b(data, digest_size=16).digest(),
        }
        self._picture = (key, row)
        return row

    def _path(self, media: Media) -> str | None:
        if self.root is not None and media.path is not None:
            path, root = media.path.resolve(), self.root.resolve()
            if not path.is_relative_to(root):
                raise UserError(f"{media.path} lies outside {root}: it cannot stay there", "Take it into the corpus.")
            return path.relative_to(root).as_posix()
        return media.name or None

    def _words(self, item: Item, seconds: float) -> list[dict[str, Any]]:
        kept: list[Word] = []
        assert item.words is not None
        for word, start, end in item.words:
            if not (math.isfinite(start) and math.isfinite(end)) or start < 0 or end < start:
                fault = f"word {word!r} from {start} to {end} s"
            elif start >= seconds or end > seconds + SLACK:
                fault = f"word {word!r} ends at {end:.3f} s, in a recording of {seconds:.3f} s"
            else:
                kept.append((word, start, min(end, seconds)))
                continue
            self._note(item, f"{fault}: left out", "Mend the alignment.", "repaired")
        if any(a[1] > b[1] for a, b in pairwise(kept)):
            kept.sort(key=lambda w: w[1])
            self._note(item, "words out of order: put in order of their starts", "Mend the alignment.", "repaired")
        return [{"word": w, "start": s, "end": e} for w, s, e in kept]


def _texts(item: Item) -> Iterator[str]:
    """All that must be Unicode to be written."""
    said = (item.id, item.group, item.split, item.text, item.language, item.speaker, *item.extra.values())
    yield from (v for v in said if isinstance(v, str))
    yield from item.things or ()
    yield from (word for word, _, _ in item.words or ())


def _decoded(data: bytes, name: str) -> NDArray[np.float32]:
    check_header(data, name)
    return load_audio(data, name=name)


def _bytes(media: Media) -> bytes:
    if media.data is not None:
        return media.data
    assert media.path is not None
    try:
        if not media.path.is_file():  # reading a pipe would wait for ever
            what = "no plain file" if media.path.exists() else "no such file"
            raise UserError(f"{media.path}: {what}", "Restore the file, or take it out of the list.")
        return media.path.read_bytes()
    except OSError as e:
        raise UserError(f"{media.path}: cannot be read ({e.strerror or e})", "Check the file.") from None


def _stretch(wave: NDArray[np.float32], media: Media) -> tuple[NDArray[np.float32], bytes]:
    """The stretch that is meant, and as a FLAC file of 16 kHz.

    Raises:
        UserError: it is empty or lies outside the recording.
    """
    import soundfile as sf

    start, end = media.start or 0.0, len(wave) / RATE if media.end is None else media.end
    cut = wave[max(0, round(start * RATE)) : round(min(end, len(wave) / RATE) * RATE)]
    if not (0 <= start < end <= len(wave) / RATE + SLACK) or not len(cut):
        raise UserError(
            f"{media.called}: no sound from {start} to {end} s in a recording of {len(wave) / RATE:.3f} s",
            "Mend the times.",
        )
    buffer = io.BytesIO()
    sf.write(buffer, cut, RATE, format="FLAC", subtype="PCM_16")
    return cut, buffer.getvalue()
