"""Makes what field linguists have on disk, by hand: sounds, photographs, TextGrids of Praat, documents of ELAN."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import soundfile as sf
from PIL import Image

from lookhear.data.corpora import load_layout
from lookhear.data.items import Item, Problems
from lookhear.data.prepare import PROBLEMS, prepare

RATE = 16000
Marks = Sequence[tuple[float, float, str]]


def sound(path: Path, seconds: float = 0.2, seed: int = 0) -> np.ndarray:
    """Writes noise; its samples, as whole numbers."""
    wave = np.random.default_rng(seed).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, wave, RATE, subtype="PCM_16")
    return wave


def picture(path: Path, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def textgrid(path: Path, end: float, tiers: Mapping[str, Marks]) -> None:
    """Praat's long form: intervals cover the whole time, with empty labels in between."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end}",
        "tiers? <exists>",
    ]
    lines += [f"size = {len(tiers)}", "item []:"]
    for k, (name, marks) in enumerate(tiers.items(), 1):
        filled, at = [], 0.0
        for start, stop, label in marks:
            filled += [(at, start, "")] if start > at else []
            filled.append((start, stop, label))
            at = stop
        filled += [(at, end, "")] if at < end else []
        lines += [f"    item [{k}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
        lines += [f"        xmax = {end}", f"        intervals: size = {len(filled)}"]
        for i, (start, stop, label) in enumerate(filled, 1):
            text = label.replace('"', '""')
            lines += [f"        intervals [{i}]:", f"            xmin = {start}", f"            xmax = {stop}"]
            lines.append(f'            text = "{text}"')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def eaf(
    path: Path,
    tiers: Mapping[str, Marks],
    media: Iterable[Mapping[str, str]] = (),
    participants: Mapping[str, str] | None = None,
    parts: Mapping[str, tuple[str, Sequence[tuple[int, str]]]] | None = None,
) -> None:
    """A document of ELAN.

    Args:
        media: attributes of its MEDIA_DESCRIPTORs.
        parts: tiers without times of their own: name → parent tier, and (number of the parent's annotation, label).
    """
    slots: list[int] = []
    names: dict[tuple[str, int], str] = {}
    body = []
    for name, marks in tiers.items():
        who = (participants or {}).get(name)
        body.append(f"<TIER LINGUISTIC_TYPE_REF='default-lt' TIER_ID={quoteattr(name)}")
        body[-1] += f" PARTICIPANT={quoteattr(who)}>" if who else ">"
        for i, (start, end, label) in enumerate(marks):
            names[name, i] = f"a{len(names) + 1}"
            slots += [round(start * 1000), round(end * 1000)]
            body.append(
                f"<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID='{names[name, i]}' "
                f"TIME_SLOT_REF1='ts{len(slots) - 1}' TIME_SLOT_REF2='ts{len(slots)}'>"
                f"<ANNOTATION_VALUE>{escape(label)}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
        body.append("</TIER>")
    for name, (parent, labels) in (parts or {}).items():
        body.append(f"<TIER LINGUISTIC_TYPE_REF='part' TIER_ID={quoteattr(name)} PARENT_REF={quoteattr(parent)}>")
        for i, (of, label) in enumerate(labels):
            names[name, i] = f"a{len(names) + 1}"
            before = f" PREVIOUS_ANNOTATION='{names[name, i - 1]}'" if i and labels[i - 1][0] == of else ""
            body.append(
                f"<ANNOTATION><REF_ANNOTATION ANNOTATION_ID='{names[name, i]}' "
                f"ANNOTATION_REF='{names[parent, of]}'{before}>"
                f"<ANNOTATION_VALUE>{escape(label)}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
            )
        body.append("</TIER>")
    head = "".join(
        "<MEDIA_DESCRIPTOR " + " ".join(f"{k}={quoteattr(v)}" for k, v in each.items()) + "/>" for each in media
    )
    times = "".join(f"<TIME_SLOT TIME_SLOT_ID='ts{i}' TIME_VALUE='{t}'/>" for i, t in enumerate(slots, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{head}</HEADER>\n<TIME_ORDER>{times}</TIME_ORDER>\n'
        + "\n".join(body)
        + '\n<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>'
        '<LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Subdivision" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="part" '
        'TIME_ALIGNABLE="false"/>'
        '<CONSTRAINT DESCRIPTION="" STEREOTYPE="Symbolic_Subdivision"/>\n</ANNOTATION_DOCUMENT>\n',
        encoding="utf-8",
    )


def read(source: Path, layout: str, **options: str) -> tuple[list[Item], list[dict[str, Any]]]:
    """Items and problems of a layout, without looking into media."""
    told = io.StringIO()
    items = list(load_layout(layout).open_raw(source, options).items(Problems(told)))
    return items, [json.loads(line) for line in told.getvalue().splitlines()]


def make(source: Path, out: Path, layout: str, **options: str) -> tuple[Any, list[dict[str, Any]]]:
    """The prepared corpus and its problems."""
    corpus = prepare(source, out, layout=layout, options=options, workers=0, progress=False)
    return corpus, [json.loads(line) for line in (out / PROBLEMS).read_text(encoding="utf-8").splitlines()]


def samples(corpus: Any, row: int) -> np.ndarray:
    """Of a recording, as whole numbers."""
    data, rate = sf.read(io.BytesIO(corpus.media("audio", row)), dtype="int16")
    assert rate == RATE
    return np.asarray(data)
