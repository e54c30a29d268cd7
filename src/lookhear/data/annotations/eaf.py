"""Annotation documents of ELAN (.eaf), through pympi; times are whole milliseconds.

A document is checked before pympi sees it: a DOCTYPE (entities, files of elsewhere) is refused, and so are two things
of one name, of which pympi would keep the last. Times are those of the first media file.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any
from xml.parsers import expat

from lookhear.data.annotations.files import fresh, library, read_bytes
from lookhear.data.annotations.tiers import Annotation, Form, Interval, Tier, in_order, sayable, span, wrong
from lookhear.errors import UserError

__all__ = ["read", "write"]

FORM = Form("an EAF file", decimals=3, named=True, lines=True, overlap=False)
MEND = "Open it in ELAN and save it again."
DEPTH = 20
"""ELAN's own documents are 5 elements deep."""
MIME = {
    ".wav": "audio/x-wav",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    **dict.fromkeys((".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aif", ".aiff", ".au"), "audio/*"),
}
"""As ELAN calls them; any other file is ``unknown`` to it."""

_MILLISECONDS = re.compile("-?[0-9]{1,12}")
_NEEDED = {
    "TIER": ("TIER_ID",),
    "TIME_SLOT": ("TIME_SLOT_ID",),
    "ALIGNABLE_ANNOTATION": ("ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"),
    "REF_ANNOTATION": ("ANNOTATION_ID", "ANNOTATION_REF"),
}
"""Attributes of elements; the first is a name that no other element of the document may have."""


class _Fence:
    """Goes through a document and raises a UserError that names the line of what pympi must not see."""

    def __init__(self, path: Path) -> None:
        self.path, self.depth = path, 0
        self.names: set[tuple[str, str]] = set()
        self.parser = expat.ParserCreate(namespace_separator="}")  # as pympi's parser: a prefix needs its namespace
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end

    def check(self, raw: bytes) -> None:
        try:
            self.parser.Parse(raw, True)
        except expat.ExpatError as e:
            raise wrong(self.path, e.lineno, f"not XML ({expat.ErrorString(e.code)})", MEND) from None
        except (LookupError, ValueError) as e:
            raise wrong(self.path, 1, f"not XML in an encoding that is known ({e})", "Save it as UTF-8.") from None

    def doctype(self, *_: object) -> None:
        raise self.fault("a DOCTYPE, which no EAF file has and which could name other files", "Take it out.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1 and tag != "ANNOTATION_DOCUMENT":
            raise self.fault(f"<{tag[:40]}> where an EAF file has <ANNOTATION_DOCUMENT>", "Name an EAF file.")
        if self.depth > DEPTH:
            raise self.fault("elements deeper than ELAN writes them", MEND)
        for name in ("TIME_VALUE", "TIME_ORIGIN"):
            if not _MILLISECONDS.fullmatch(attributes.get(name, "0")):
                raise self.fault(f"a {name} of {attributes[name][:40]!r}", "Write whole milliseconds.")
        needed = _NEEDED.get(tag, ())
        for name in needed:
            if name not in attributes:
                raise self.fault(f"<{tag}> without {name}", MEND)
        if needed:
            key = (needed[0], attributes[needed[0]])
            if key in self.names:
                raise self.fault(f"a second <{tag}> with {needed[0]} {key[1][:40]!r}", "Rename one of them.")
            self.names.add(key)

    def end(self, _: str) -> None:
        self.depth -= 1

    def fault(self, what: str, fix: str) -> UserError:
        return wrong(self.path, self.parser.CurrentLineNumber, what, fix)


def read(path: Path) -> Annotation:
    """All tiers.

    Boundaries without a time (of a time subdivision) are spread evenly between their neighbours, as ELAN shows them;
    annotations that refer to another have its times.

    Raises:
        UserError: not an EAF document, or one whose parts do not fit together.
    """
    eaf_class = library("pympi.Elan").Eaf
    _Fence(path).check(read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that pympi does not know: what is read here is in all of them
            eaf = eaf_class(str(path))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as e:
        raise wrong(path, None, f"not as ELAN writes it ({type(e).__name__}: {e})", MEND) from None
    media = eaf.media_descriptors[0] if eaf.media_descriptors else {}
    origin = int(media.get("TIME_ORIGIN", 0))
    times = _times(path, eaf)
    tiers = []
    for name, (aligned, referring, *_) in eaf.tiers.items():
        intervals: list[Interval] = []
        for key, value in [(k, v[2]) for k, v in aligned.items()] + [(k, v[1]) for k, v in referring.items()]:
            start, end = ((t + origin) / 1000 for t in times[key])
            intervals.append(span(path, None, value.replace("\r\n", "\n").replace("\r", "\n"), start, end))
        tiers.append(Tier(name, in_order(intervals)))
    named = media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL")
    return Annotation(tuple(tiers), media=named.removeprefix("./").removeprefix("file://") if named else None)


def _times(path: Path, eaf: Any) -> dict[str, tuple[float, float]]:
    """Annotation → start and end in milliseconds."""
    times: dict[str, tuple[float, float]] = {}
    parents: dict[str, str] = {}
    for aligned, referring, *_ in eaf.tiers.values():
        slots = dict.fromkeys(slot for entry in aligned.values() for slot in entry[:2])
        for slot in slots:
            if slot not in eaf.timeslots:
                raise wrong(path, None, f"no time slot {slot[:40]!r}, which an annotation names", MEND)
        known = _filled({slot: eaf.timeslots[slot] for slot in slots})
        for key, entry in aligned.items():
            start, end = (known.get(slot) for slot in entry[:2])
            if start is None or end is None:
                raise wrong(path, None, f"annotation {key[:40]!r} has no time", "Align it in ELAN.")
            times[key] = (start, end)
        parents |= {key: entry[0] for key, entry in referring.items()}
    for key in parents:
        line, top = {key: None}, parents[key]
        while top not in times:
            if top in line or top not in parents:
                what = "itself" if top in line else f"{top[:40]!r}, which is not there"
                raise wrong(path, None, f"annotation {key[:40]!r} refers to {what}", MEND)
            line[top] = None
            top = parents[top]
        times |= dict.fromkeys(line, times[top])
    return times


def _filled(slots: dict[str, int | None]) -> dict[str, float]:
    """Times of a tier's boundaries; those without one evenly between the known ones around them."""
    filled: dict[str, float] = {}
    waiting: list[str] = []
    last: float | None = None
    for slot, time in slots.items():
        if time is None:
            waiting.append(slot)
            continue
        if last is not None:
            step = (time - last) / (len(waiting) + 1)
            filled |= {w: last + k * step for k, w in enumerate(waiting, 1)}
        filled[slot] = last = float(time)
        waiting = []
    return filled


def write(annotation: Annotation, path: Path) -> None:
    """Time-aligned tiers, to the millisecond, with the media file linked; a duration has no place in it.

    Raises:
        UserError: intervals of a tier overlap, or last less than a millisecond.
    """
    eaf = library("pympi.Elan").Eaf(author="LookHear")
    tiers = sayable(annotation, path, FORM)
    eaf.remove_tier("default")
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    if annotation.media:
        where, beside = _links(annotation.media, path)
        mime = MIME.get(Path(annotation.media).suffix.lower(), "unknown")
        eaf.add_linked_file(where, relpath=beside, mimetype=mime)
    for tier in tiers:
        eaf.add_tier(tier.name)
        for i in tier.intervals:
            eaf.add_annotation(tier.name, round(i.start * 1000), round(i.end * 1000), i.label)
    eaf.properties = [("lastUsedAnnotationId", eaf.maxaid)]  # ELAN numbers its own from there
    _order_slots(eaf)
    with fresh(path) as part:
        eaf.to_file(str(part))


def _links(media: str, path: Path) -> tuple[str, str | None]:
    """MEDIA_URL and RELATIVE_MEDIA_URL: ELAN looks at the first, then at the second, from the document's folder."""
    if "://" in media:
        return media, None
    if Path(media).is_absolute():
        return f"file://{media}", None
    # As ELAN writes it, blanks and letters of any script as they are.
    return f"file://{(path.parent / media).resolve()}", media if media.startswith("../") else f"./{media}"


def _order_slots(eaf: Any) -> None:
    """Numbers the time slots in order of time, as ELAN has them; pympi numbers them tier by tier."""
    order = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot[2:])))
    new = {slot: f"ts{i}" for i, slot in enumerate(order, 1)}
    eaf.timeslots = {new[slot]: eaf.timeslots[slot] for slot in order}
    for aligned, *_ in eaf.tiers.values():
        for key, (start, end, *rest) in aligned.items():
            aligned[key] = (new[start], new[end], *rest)
