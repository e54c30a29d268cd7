"""Hits of one recording as an annotation file: a tier for each word, or one track of them all."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lookhear.core import Hit
from lookhear.data.annotations import Annotation, Interval, Tier, write_annotation
from lookhear.search.spot import Heard

__all__ = ["annotation_of", "labels_of", "write_marks"]

TIERED = frozenset((".textgrid", ".eaf"))
"""Endings of formats that know tiers."""
_LONG = re.compile("([0-9]{99})[0-9]+")  # a number that the library of SRT gets lost in


def write_marks(heard: Heard, names: Sequence[str], part: Path, place: Path) -> None:
    """One recording's hits, in the format of the ending.

    Args:
        names: all queries, in the order of their tiers; those without hits have empty ones.
        part: the file to write, in the folder of ``place``.
        place: where it will lie, from which the recording is linked.
    """
    write_annotation(annotation_of(heard, names, place), part)


def annotation_of(heard: Heard, names: Sequence[str], place: Path) -> Annotation:
    """Hits as labelled intervals.

    In formats with tiers every query has one, and a label is the query: they can go on to be a corpus. In the others,
    which are there to be looked through, a label also tells how sure or how well scored it is.
    """
    labels = labels_of(names)
    media = os.path.relpath(heard.file, place.parent)
    if place.suffix.lower() in TIERED:
        tiers = tuple(
            Tier(labels[name], tuple(_interval(h, labels[name]) for h in _apart(heard.hits, name)))
            for name in dict.fromkeys(names)
        )
        return Annotation(tiers, media, heard.seconds)
    marks = [_interval(h, f"{labels[h.query]} ({_worth(h)})") for h in heard.hits]
    return Annotation((Tier("hits", tuple(marks)),), media, heard.seconds)


def _apart(hits: Sequence[Hit], name: str) -> list[Hit]:
    """The hits of a query in order of time, those that overlap made one, as the intervals of a tier may not."""
    apart: list[Hit] = []
    for hit in sorted((h for h in hits if h.query == name), key=lambda h: h.start):
        if apart and hit.start < apart[-1].end:
            last = apart[-1]
            best = max(last, hit, key=lambda h: h.score)
            apart[-1] = replace(best, start=last.start, end=max(last.end, hit.end))
        else:
            apart.append(hit)
    return apart


def _interval(hit: Hit, label: str) -> Interval:
    return Interval(label, hit.start, max(hit.end, hit.start + 0.001))  # a millisecond is the least that EAF tells


def _worth(hit: Hit) -> str:
    return f"{hit.score:.2f}" if hit.probability is None else f"{100 * hit.probability:.0f} %"


def labels_of(names: Sequence[str]) -> dict[str, str]:
    """Query → what it is called in files: one line without control characters, each another.

    Every text can be asked for; in tiers' names and subtitles not every text can stand.
    """
    labels: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = base = _LONG.sub(r"\1", _plain(name)) or "?"
        number = 1
        while plain in labels.values():
            number += 1
            plain = f"{base} ({number})"
        labels[name] = plain
    return labels


def _plain(text: str) -> str:
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp") else c for c in text)
    return " ".join(kept.replace("-->", "→").split())
