"""The table of a ``detection`` result: figures downwards, precision, recall and F1 across."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookhear.tasks.layout import grid, percent, with_interval

__all__ = ["detection"]

ROWS = {
    "detection": "keyword detection",
    "localisation": "actual localisation",
    "legacy": "… counted as published scripts do (legacy)",
    "spans": "spans, middle in the word",
}
EVENTS = {"event": "events, collar {collar:g} s", "segment": "segments of {segment_seconds:g} s"}


def detection(result: Mapping[str, Any]) -> str:
    """Rates at the threshold, what the best threshold would give, ranked localisation, and term-weighted values."""
    where = f"{result['words']} words, {result['recordings']} recordings, {result['seconds']:.0f} s of speech"
    lines = [f"threshold {result['threshold']:.4g} ({result['scale']}); {where}"]
    head = ["figure", "precision", "recall", "F1", "chance F1", "best F1 (threshold chosen on these items)"]
    rows = [head, *(_rates(title, result[name]) for name, title in ROWS.items() if name in result)]
    if "events" in result:
        told = result["events"]
        rows += [_rates(title.format(**told), told[name]) for name, title in EVENTS.items()]
    lines.append(grid(rows))
    more = [["figure", "value", "chance", "chosen on"]]
    more += [[f"spotting localisation {k}", with_interval(f), percent(f["chance"]), ""] for k, f in _spotting(result)]
    if (overlap := result.get("spans", {}).get("IoU")) is not None:
        more.append(["mean IoU of right spans", with_interval(overlap), percent(overlap["chance"]), ""])
    if "terms" in result:
        for name, title in (("ATWV", "threshold"), ("MTWV", "these items"), ("OTWV", "these items, each word")):
            fig = result["terms"][name]
            more.append([f"{name} (β {result['terms']['beta']:g})", with_interval(fig), percent(fig["chance"]), title])
    return "\n".join([*lines, "", grid(more)])


def _spotting(result: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(result["spotting"].items())


def _rates(title: str, part: Mapping[str, Any]) -> list[str]:
    f1, best = part["F1"], part.get("best_F1")
    upper = "" if best is None else f"{percent(best['value'])} at {_at(best['threshold'])}"
    chance = percent(None if f1 is None else f1["chance"])
    return [title, *(with_interval(part[k]) for k in ("precision", "recall", "F1")), chance, upper]


def _at(threshold: float | None) -> str:
    return "–" if threshold is None else f"{threshold:.3g}"
