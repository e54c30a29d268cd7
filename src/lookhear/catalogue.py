"""The methods there are, with what was measured of them: a table made from the code and from benchmarks' results.

``methods.json`` beside this file is written by ``benchmarks/methods/page.py`` and held fresh by a test, so that to list
methods loads neither torch nor a recipe.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from lookhear.errors import UserError, did_you_mean

__all__ = ["NEEDS", "listing", "method", "methods", "page"]

# Fields of ``About`` that say what a method needs.
NEEDS = ("negatives", "second_modality", "order", "moving_average", "augmentation")


@cache
def _all() -> dict[str, dict[str, Any]]:
    text = (resources.files("lookhear") / "methods.json").read_text(encoding="utf-8")
    return {entry["name"]: entry for entry in json.loads(text)}


def methods() -> list[dict[str, Any]]:
    """All of them, those that were measured first; see ``method``."""
    return list(_all().values())


def method(name: str) -> dict[str, Any]:
    """One method: the fields of ``About``, and under ``measured`` its benchmark's result, or None.

    Raises:
        UserError: there is none of that name; the nearest is suggested.
    """
    if name not in _all():
        raise UserError(f"no method {name!r}", did_you_mean(name, _all()))
    return _all()[name]


def _verdict(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return ""
    return "met" if measured["passes"] else "not met"


def listing() -> str:
    """A line each: name, kind, family, recipe, whether its criterion is met, title."""
    rows = [("NAME", "KIND", "FAMILY", "RECIPE", "CRITERION", "")]
    rows += [
        (m["name"], m["kind"], m["family"], m["recipe"], _verdict(m["measured"]), m["title"]) for m in _all().values()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths)), row[5]]).rstrip() for row in rows]
    return "\n".join(lines)


def page(name: str) -> str:
    """What is known of a method: where it comes from, what it needs, and what was measured.

    Raises:
        UserError: as ``method``.
    """
    m = method(name)
    needs = [n.replace("_", " ") for n in NEEDS if m[n]]
    lines = [
        f"{m['name']}: {m['title']}",
        f"  paper    {m['paper']}",
        f"  kind     {m['kind']}, {m['family']}",
        f"  inputs   {', '.join(m['inputs'])}",
        f"  needs    {', '.join(needs) or 'nothing beside them'}",
        f"  recipe   {m['recipe'] or 'none of those that come with LookHear'}",
    ]
    measured = m["measured"]
    if measured is None:
        return "\n".join([*lines, "  measured by no benchmark of its own"])
    lines += ["", f"criterion: {_verdict(measured)}", f"  {measured['claim']}", f"  data: {measured['data']}"]
    lines += [f"  {'yes' if c['met'] else 'NO '}  {c['says']}" for c in measured["conditions"]]
    if measured["why"]:
        lines.append(f"  why not: {measured['why']}")
    lines += ["", f"runs (mean [95 % interval] of seeds {', '.join(map(str, measured['seeds']))}, seconds a seed)"]
    wide = max(len(v["run"]) for v in measured["values"])
    for v in measured["values"]:
        low, high = v["interval"]
        lines.append(
            f"  {v['run']:<{wide}}  {v['figure']}: {v['mean']:.4g} [{low:.4g}–{high:.4g}]  {v['seconds']:.0f} s"
        )
    return "\n".join(lines)
