"""A comparison as one plain-text table: a row a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookhear.tasks.layout import grid, percent

__all__ = ["SIGNIFICANT", "figure_name", "p_text", "table"]

SIGNIFICANT = 0.05
"""A corrected p below it gets a star."""


def table(summary: Mapping[str, Any]) -> str:
    """Figures in percent with intervals, differences from the first recipe, seconds, speed and size; then how to read.

    Args:
        summary: of ``Comparison``.
    """
    recipes = summary["recipes"]
    names = list(recipes[0]["figures"])
    names += [n for r in recipes[1:] for n in r["figures"] if n not in names]
    names = list(dict.fromkeys(names))
    several = len(recipes) > 1
    head = ["recipe"]
    for name in names:
        head += [figure_name(name, summary), *(["difference"] if several else [])]
    rows = [[*head, "training s", "utterances/s", "parameters"]]
    for recipe in recipes:
        row = [recipe["label"]]
        for name in names:
            row.append(_value(recipe["figures"].get(name)))
            if several:
                row.append(_difference(recipe["differences"].get(name)))
        speed = recipe["utterances_per_second"]
        rows.append(
            [
                *row,
                f"{recipe['seconds']['speech']:.0f}",
                "–" if speed is None else f"{speed:.0f}",
                f"{recipe['parameters']:,}",
            ]
        )
    chance = ["chance"]
    for name in names:
        found = next(r["figures"][name]["chance"] for r in recipes if name in r["figures"])
        chance += [percent(found), *([""] if several else [])]
    rows.append([*chance, "", "", ""])
    return f"{grid(rows)}\n\n{_note(summary)}"


def figure_name(section: str, summary: Mapping[str, Any]) -> str:
    """``"spoken mAP"``, ``"retrieval audio→image R@10"``: the section and what it measures."""
    path = next(r["figures"][section]["figure"] for r in summary["recipes"] if section in r["figures"])
    return f"{section} {' '.join(path.split('.'))}".replace("_to_", "→").replace("_", " ")


def _value(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    spread = "" if figure["sd"] is None else f" ±{percent(figure['sd'])}"
    return f"{percent(figure['mean'])}{spread} [{percent(figure['low'])}–{percent(figure['high'])}]"


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    star = "*" if found["p_holm"] < SIGNIFICANT else ""
    value, low, high = (f"{100 * found[k]:+.1f}".replace("-", "−") for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}] p={p_text(found['p_holm'])}{star}"


def p_text(p: float | None) -> str:
    """``".012"``; an en dash for None."""
    if p is None:
        return "–"
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _note(summary: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, summary["seeds"]))
    first = summary["recipes"][0]["label"]
    lines = [f"In %, mean over seeds {seeds}; [95 % bootstrap interval over {summary['interval_over']}]."]
    if any(f["sd"] is not None for r in summary["recipes"] for f in r["figures"].values()):
        lines[0] += " ±: standard deviation between seeds."
    if len(summary["recipes"]) > 1:
        several = ", Holm-corrected for several recipes" if len(summary["recipes"]) > 2 else ""
        lines.append(
            f"difference: from {first}, paired bootstrap over the same resampled items, two-sided p{several}; "
            f"* p < {p_text(SIGNIFICANT)}."
        )
    for recipe in summary["recipes"][1:]:
        for name, found in recipe["differences"].items():
            over = found["over_seeds"]
            if over is not None:
                low, high = (f"{100 * over[k]:+.1f}".replace("-", "−") for k in ("low", "high"))
                lines.append(
                    f"over seeds, {recipe['label']}, {figure_name(name, summary)}: [{low}, {high}] by a paired t-test, "
                    f"p={p_text(over['p'])}."
                )
    return "\n".join(lines)
