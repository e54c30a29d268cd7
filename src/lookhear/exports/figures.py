"""The figures that ``lookhear evaluate --json`` wrote, read back for a model card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lookhear.errors import UserError
from lookhear.tasks.tables import tables

__all__ = ["header_figures", "read_results"]

_PRIMARY = {
    "retrieval": ("audio_to_image", "image_to_audio", "text_to_audio", "audio_to_text"),
    "spotting": ("mAP",),
    "localisation": ("oracle_accuracy",),
    "detection": ("localisation.F1",),
    "regions": ("pointing",),
}
"""What a card's header tells of each kind of section; of a direction of retrieval, its largest cut."""

Results = Mapping[str, Mapping[str, Any]]


def read_results(path: Path | str) -> dict[str, dict[str, Any]]:
    """Section name → result, out of a file in which sections stand under their kind (``lookhear.api.by_kind``).

    Raises:
        UserError: no such file, or not such results.
    """
    path = Path(path)
    wrong = UserError(f"{path}: not what `lookhear evaluate --json` writes", "Write it again: --json FILE.")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror or e})", "Check the path.") from None
    except ValueError:
        raise wrong from None
    found: dict[str, dict[str, Any]] = {}
    for kind, place in tree.items() if isinstance(tree, dict) else ():
        if not isinstance(place, dict):
            raise wrong
        sections = {k: v for k, v in place.items() if isinstance(v, dict) and v.get("kind") == kind}
        if place.get("kind") == kind:  # a section called like its kind, among which others of that kind stand
            found[kind] = {k: v for k, v in place.items() if k not in sections}
        found |= sections
    try:
        told = tables(found)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise wrong from None
    if not told:
        raise wrong
    return found


def header_figures(found: Results) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Kind, section, name and figure ("value", "low", "high", "chance", "size") of what a card's header tells."""
    for section, result in found.items():
        for path in _PRIMARY.get(result["kind"], ()):
            node: Any = result
            for key in path.split("."):
                node = node.get(key) if isinstance(node, Mapping) else None
            cuts = [k for k in node if k.startswith("R@")] if isinstance(node, Mapping) else []
            if cuts:
                path, node = f"{path} {cuts[-1]}", node[cuts[-1]]
            if isinstance(node, Mapping) and node.get("value") is not None:
                yield result["kind"], section, path, node
