"""Chosen hits as files for other programs: TextGrid, EAF or CSV."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lookhear.core import Hit
from lookhear.search.hits.marks import write_marks
from lookhear.search.index import Source
from lookhear.search.spot import Heard
from lookhear.serve.files import shown
from lookhear.serve.refusals import Refusal
from lookhear.serve.schemas import Marked

__all__ = ["Attachment", "export"]

_ENDINGS = {"textgrid": ".TextGrid", "eaf": ".eaf"}
_RISKY = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula


class Attachment:
    """A file to be sent: its name in plain ASCII, its type, its content."""

    def __init__(self, name: str, media_type: str, content: bytes) -> None:
        self.name, self.media_type, self.content = name, media_type, content


def export(kind: str, hits: Sequence[Marked], sources: Mapping[int, Source]) -> Attachment:
    """Hits in a format: CSV as one table; TextGrid and EAF as one document for each recording, in a zip if several.

    Args:
        sources: of all files that the hits name.

    Raises:
        Refusal: 422, a hit lies outside its recording, or none is of a recording and the format knows only those.
        UserError: the library of a format is not installed.
    """
    for hit in hits:
        source = sources[hit.file]
        if source.modality == "audio" and hit.end > source.seconds + 1:
            what = f"{shown(Path(source.path).name)} ends before {hit.end:g} s"
            raise Refusal(422, what, "Export hits as the search gave them.")
    if kind == "csv":
        return Attachment("hits.csv", "text/csv; charset=utf-8", _table(hits, sources))
    documents = _documents(kind, hits, sources)
    if not documents:
        raise Refusal(422, "none of these hits is in a recording", "Export pictures and texts as CSV.")
    if len(documents) == 1:
        ((name, content),) = documents.items()
        return Attachment(name, "application/octet-stream", content)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in documents.items():
            file.writestr(name, content)
    return Attachment("hits.zip", "application/zip", out.getvalue())


def _documents(kind: str, hits: Sequence[Marked], sources: Mapping[int, Source]) -> dict[str, bytes]:
    """Name of a file → its content, for each recording in the order of the hits."""
    names = list(dict.fromkeys(hit.query for hit in hits))
    made: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="lookhear-") as folder:
        for number in dict.fromkeys(hit.file for hit in hits):
            source = sources[number]
            if source.modality != "audio":
                continue
            own = [h for h in hits if h.file == number]
            moments = tuple(Hit(source.path, h.query, h.start, min(h.end, source.seconds), h.score) for h in own)
            heard = Heard(source.path, source.seconds, tuple(h for h in moments if h.start < h.end))
            name, count = _plain(Path(source.path).stem), 1
            while (whole := f"{name}{'' if count == 1 else f'-{count}'}{_ENDINGS[kind]}") in made:
                count += 1
            part = Path(folder) / whole
            # As if it lay beside the recording, so that it names it without a path of this machine.
            write_marks(heard, names, part, Path(source.path).with_name(whole))
            # EAF also links it absolutely, from where the document was written: that place is gone by now.
            made[whole] = part.read_bytes().replace(f"file://{Path(folder).resolve()}/".encode(), b"./")
    return made


def _plain(name: str) -> str:
    """A name of a file that every system takes and no header or archive misreads."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:100] or "recording"


def _table(hits: Sequence[Marked], sources: Mapping[int, Source]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "query", "start", "end", "score", "probability"])
    for hit in hits:
        sure = "" if hit.probability is None else f"{hit.probability:.4f}"
        path, query = _cell(sources[hit.file].path), _cell(hit.query)
        writer.writerow([path, query, f"{hit.start:.3f}", f"{hit.end:.3f}", f"{hit.score:.4f}", sure])
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    """Text that stays text in a spreadsheet (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_RISKY) else text
