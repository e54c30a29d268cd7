"""Files of the index, by number only: where they lie, whether they still are what was indexed."""

from __future__ import annotations

import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from lookhear.search.files import content_hash
from lookhear.search.index import Source
from lookhear.serve.refusals import Refusal

__all__ = ["MEDIA_TYPES", "Files", "shown"]

MEDIA_TYPES = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
    ".mp3": "audio/mpeg", ".aif": "audio/aiff", ".aiff": "audio/aiff", ".aifc": "audio/aiff", ".au": "audio/basic",
    ".caf": "audio/x-caf", ".w64": "audio/x-w64",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".bmp": "image/bmp",
    ".gif": "image/gif", ".tif": "image/tiff", ".tiff": "image/tiff", ".ppm": "image/x-portable-pixmap",
    ".pgm": "image/x-portable-graymap", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
"""Ending → type; what is not listed here is bytes to a browser, so nothing of an archive is ever run."""


def shown(text: str) -> str:
    """A name that JSON can carry: bytes that are no UTF-8, which Python keeps as lone surrogates, are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Files:
    """Opens what the index lists, and nothing else.

    A link may lead to files inside its own folder and inside those that are named, and nowhere else: who may put a
    link into an archive may not read the machine so.

    Args:
        linked: folders that links may lead into, such as an annex.
    """

    def __init__(self, linked: Sequence[Path] = ()) -> None:
        self._linked = [folder.resolve() for folder in linked]
        self._same: dict[tuple[str, int, int], bool] = {}  # (path, size, time of change) → still what was indexed
        self._lock = threading.Lock()

    def path(self, source: Source) -> Path:
        """Where the content of a file of the index lies, every link followed.

        Raises:
            Refusal: 404, it is a link to somewhere else, or no plain file; 409, its content has changed; 410, it is
                gone or cannot be read.
        """
        given, name = Path(source.path), shown(Path(source.path).name)
        again = "Bring the index up to date with `lookhear index`."
        try:
            real = given.resolve(strict=True)
            if not any(real.is_relative_to(folder) for folder in (given.parent.resolve(), *self._linked)):
                raise Refusal(404, f"{name} is a link that leads out of the archive", "Name its folder with --linked.")
            found = real.stat()
            if not stat.S_ISREG(found.st_mode):
                raise Refusal(404, f"{name} is no plain file", again)
            if not self._unchanged(source, real, found.st_size, found.st_mtime_ns):
                raise Refusal(409, f"{name} has changed since it was indexed", again)
        except (OSError, RuntimeError) as e:  # the latter of links that go round in circles
            why = e.strerror if isinstance(e, OSError) else "a link to itself"
            raise Refusal(410, f"{name} cannot be read any more ({why})", again) from None
        return real

    def _unchanged(self, source: Source, real: Path, size: int, modified: int) -> bool:
        """By size and time of change; by its content where only the time is another (a copy, a restored backup)."""
        if size != source.size:
            return False
        if modified == source.modified:
            return True
        key = (source.path, size, modified)
        with self._lock:  # reading hours of sound once is enough
            if key not in self._same:
                self._same[key] = content_hash(real) == source.hash
            return self._same[key]
