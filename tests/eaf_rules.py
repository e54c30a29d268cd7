"""The rules that a written EAF document must keep, told again from the published format.

The schema of the Max Planck Institute (EAFv2.8.xsd, which documents name) is not part of this project: where a copy is
at hand, ``LOOKHEAR_EAF_SCHEMA`` names it and a test validates against it as well. Here stands what its part about
time-aligned tiers says, after "ELAN Annotation Format" (EAF 2.8 and 3.0): elements and their order, attributes, types,
identities and references.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

TEXT, COUNT, NAME, WHEN = (
    r"(?s).*",
    r"[0-9]{1,10}",
    r"[A-Za-z_][\w.-]*",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?",
)

# Element → its children in order (name, least, most), its attributes (name → type, required).
ELEMENTS: dict[str, tuple[list[tuple[str, int, int]], dict[str, tuple[str, bool]]]] = {
    "ANNOTATION_DOCUMENT": (
        [
            ("LICENSE", 0, 10**6), ("HEADER", 1, 1), ("TIME_ORDER", 1, 1), ("TIER", 0, 10**6),
            ("LINGUISTIC_TYPE", 0, 10**6), ("LOCALE", 0, 10**6), ("LANGUAGE", 0, 10**6), ("CONSTRAINT", 0, 10**6),
            ("CONTROLLED_VOCABULARY", 0, 10**6), ("LEXICON_REF", 0, 10**6), ("EXTERNAL_REF", 0, 10**6),
        ],
        {"DATE": (WHEN, True), "AUTHOR": (TEXT, True), "VERSION": (TEXT, True), "FORMAT": (TEXT, False)},
    ),
    "HEADER": (
        [("MEDIA_DESCRIPTOR", 0, 10**6), ("LINKED_FILE_DESCRIPTOR", 0, 10**6), ("PROPERTY", 0, 10**6)],
        {"MEDIA_FILE": (TEXT, False), "TIME_UNITS": ("milliseconds|PAL-frames|NTSC-frames", False)},
    ),
    "MEDIA_DESCRIPTOR": (
        [],
        {
            "MEDIA_URL": (".+", True), "RELATIVE_MEDIA_URL": (".+", False), "MIME_TYPE": (".+", True),
            "TIME_ORIGIN": ("-?[0-9]+", False), "EXTRACTED_FROM": (".+", False),
        },
    ),
    "PROPERTY": ([], {"NAME": (TEXT, False)}),
    "TIME_ORDER": ([("TIME_SLOT", 0, 10**9)], {}),
    "TIME_SLOT": ([], {"TIME_SLOT_ID": (NAME, True), "TIME_VALUE": (COUNT, False)}),
    "TIER": (
        [("ANNOTATION", 0, 10**9)],
        {
            "TIER_ID": (TEXT, True), "LINGUISTIC_TYPE_REF": (TEXT, True), "PARTICIPANT": (TEXT, False),
            "ANNOTATOR": (TEXT, False), "DEFAULT_LOCALE": (NAME, False), "PARENT_REF": (TEXT, False),
            "EXT_REF": (NAME, False), "LANG_REF": (TEXT, False),
        },
    ),
    "ANNOTATION": ([("ALIGNABLE_ANNOTATION", 1, 1)], {}),
    "ALIGNABLE_ANNOTATION": (
        [("ANNOTATION_VALUE", 1, 1)],
        {
            "ANNOTATION_ID": (NAME, True), "TIME_SLOT_REF1": (NAME, True), "TIME_SLOT_REF2": (NAME, True),
            "SVG_REF": (TEXT, False), "EXT_REF": (TEXT, False), "LANG_REF": (TEXT, False), "CVE_REF": (TEXT, False),
        },
    ),
    "ANNOTATION_VALUE": ([], {}),
    "LINGUISTIC_TYPE": (
        [],
        {
            "LINGUISTIC_TYPE_ID": (TEXT, True), "TIME_ALIGNABLE": ("true|false|1|0", False),
            "CONSTRAINTS": (NAME, False), "GRAPHIC_REFERENCES": ("true|false|1|0", False),
            "CONTROLLED_VOCABULARY_REF": (TEXT, False), "EXT_REF": (NAME, False), "LEXICON_REF": (NAME, False),
        },
    ),
    "CONSTRAINT": ([], {"STEREOTYPE": (NAME, True), "DESCRIPTION": (TEXT, False)}),
}  # fmt: skip
IDS = ("TIME_SLOT_ID", "ANNOTATION_ID", "STEREOTYPE")


def faults(document: Path | str) -> list[str]:
    """What of the rules a document breaks; a path, or the document itself."""
    text = document.read_text(encoding="utf-8") if isinstance(document, Path) else document
    root = ET.fromstring(text)
    found = [] if root.tag == "ANNOTATION_DOCUMENT" else [f"the root is <{root.tag}>"]
    for element in root.iter():
        found += _about(element)
    if found:
        return found
    ids = [e.attrib[name] for e in root.iter() for name in IDS if name in e.attrib]
    found += [f"the ID {i!r} twice" for i in set(ids) if ids.count(i) > 1]
    slots = {e.get("TIME_SLOT_ID"): int(e.get("TIME_VALUE", "0")) for e in root.iter("TIME_SLOT")}
    for each in root.iter("ALIGNABLE_ANNOTATION"):
        ends = [each.get("TIME_SLOT_REF1"), each.get("TIME_SLOT_REF2")]
        if not set(ends) <= set(slots):
            found.append(f"{each.get('ANNOTATION_ID')} names no time slot")
        elif not slots[ends[0]] < slots[ends[1]]:
            found.append(f"{each.get('ANNOTATION_ID')} ends before it starts")
    tiers = [e.get("TIER_ID") for e in root.iter("TIER")]
    found += [f"two tiers {t!r}" for t in set(tiers) if tiers.count(t) > 1]
    types = {e.get("LINGUISTIC_TYPE_ID") for e in root.iter("LINGUISTIC_TYPE")}
    found += [
        f"no type {e.get('LINGUISTIC_TYPE_REF')!r}"
        for e in root.iter("TIER")
        if e.get("LINGUISTIC_TYPE_REF") not in types
    ]
    last = [e.text for e in root.iter("PROPERTY") if e.get("NAME") == "lastUsedAnnotationId"]
    numbers = [int(e.get("ANNOTATION_ID", "a0")[1:]) for e in root.iter("ALIGNABLE_ANNOTATION")]
    if last and numbers and int(last[0] or 0) < max(numbers):
        found.append("ELAN would give a number of an annotation again")
    return found


def _about(element: ET.Element) -> list[str]:
    if element.tag not in ELEMENTS:
        return [f"<{element.tag}> is not among the elements of time-aligned tiers"]
    children, attributes = ELEMENTS[element.tag]
    order = [name for name, _, _ in children]
    tags = [child.tag for child in element]
    found = [f"<{t}> in <{element.tag}>" for t in tags if t not in order]
    known = [t for t in tags if t in order]
    if known != sorted(known, key=order.index):
        found.append(f"the children of <{element.tag}> are out of order")
    found += [
        f"{known.count(n)} <{n}> in <{element.tag}>" for n, low, high in children if not low <= known.count(n) <= high
    ]
    for name, value in element.attrib.items():
        plain = name if not name.startswith("{") else None
        if plain is not None and name not in attributes:
            found.append(f"{name} of <{element.tag}>")
        elif plain is not None and not re.fullmatch(attributes[name][0], value):
            found.append(f"{name}={value!r} of <{element.tag}>")
    found += [f"<{element.tag}> without {n}" for n, (_, due) in attributes.items() if due and n not in element.attrib]
    return found
