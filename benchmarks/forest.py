"""Draws what `lookhear compare --json` printed: a dot and its 95 % interval for each recipe, one panel a figure.

    lookhear compare A.toml B.toml --data book --out study --json > study.json
    python benchmarks/forest.py study.json -o docs/images/answers.svg --recipes A B --figures spoken localisation

Without --recipes or --figures all of them are drawn; several JSON files are put together, each recipe once. A recipe
without a figure leaves its row empty. Chance is the dashed line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

NAMES, PANEL, GAP, ROW, TOP, BOTTOM = 210, 240, 36, 24, 34, 30
STYLE = """text{font:13px system-ui,sans-serif;fill:#333}.t{font-weight:600}.g{stroke:#8884;stroke-width:1}
.c{stroke:#b45309;stroke-dasharray:4 3}.i{stroke:#2563eb;stroke-width:2.5}.d{fill:#2563eb}
@media(prefers-color-scheme:dark){text{fill:#ddd}.i{stroke:#7aa7ff}.d{fill:#7aa7ff}.c{stroke:#f0a860}}"""
Figures = Mapping[str, Mapping[str, Any]]


def title(name: str, figure: str) -> str:
    """retrieval, audio_to_image.R@10 → audio → image R@10."""
    what = figure.replace("_to_", " → ").replace(".", " ").replace("_", " ")
    return what if name == "retrieval" else f"{name} {what}"


def panel(x: int, name: str, rows: Sequence[Figures]) -> list[str]:
    found = next(f[name] for f in rows if name in f)
    at = lambda value: x + PANEL * value  # noqa: E731
    low, high = TOP, TOP + ROW * len(rows)
    parts = [f'<text class="t" x="{x}" y="{TOP - 14}">{escape(title(name, found["figure"]))}</text>']
    for step in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="g" x1="{at(step):.1f}" x2="{at(step):.1f}" y1="{low}" y2="{high}"/>')
        parts.append(f'<text x="{at(step):.1f}" y="{high + 18}" text-anchor="middle">{100 * step:.0f}</text>')
    if found["chance"] is not None:
        c = at(found["chance"])
        parts.append(f'<line class="c" x1="{c:.1f}" x2="{c:.1f}" y1="{low}" y2="{high}"/>')
    for i, figures in enumerate(rows):
        if name not in figures:
            continue
        f, y = figures[name], TOP + ROW * (i + 0.5)
        told = f"{100 * f['mean']:.1f} [{100 * f['low']:.1f}–{100 * f['high']:.1f}]"
        parts.append(f'<line class="i" x1="{at(f["low"]):.1f}" x2="{at(f["high"]):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="d" cx="{at(f["mean"]):.1f}" cy="{y}" r="4.5"><title>{told}</title></circle>')
    return parts


def forest(recipes: Mapping[str, Figures], names: Sequence[str]) -> str:
    """An SVG: recipes downwards, a panel for each figure."""
    rows = list(recipes.values())
    width, height = NAMES + len(names) * (PANEL + GAP), TOP + ROW * len(rows) + BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">']
    parts.append(f"<style>{STYLE}</style>")
    for i, label in enumerate(recipes):
        y = TOP + ROW * (i + 0.5) + 4
        parts.append(f'<text x="{NAMES - 14}" y="{y}" text-anchor="end">{escape(label)}</text>')
    for i, name in enumerate(names):
        parts += panel(NAMES + i * (PANEL + GAP), name, rows)
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Dots and intervals of comparisons.")
    parser.add_argument("studies", nargs="+", type=Path, help="what `lookhear compare --json` printed")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", help="in this order")
    parser.add_argument("--figures", nargs="+", help="evaluation sections, in this order")
    args = parser.parse_args()
    found: dict[str, Figures] = {}
    for path in args.studies:
        for recipe in json.loads(path.read_text(encoding="utf-8"))["recipes"]:
            found.setdefault(recipe["label"], recipe["figures"])
    labels = args.recipes or list(found)
    if missing := [label for label in labels if label not in found]:
        parser.error(f"no recipe {missing[0]!r} there; there are {', '.join(found)}")
    names = args.figures or list(dict.fromkeys(n for label in labels for n in found[label]))
    if missing := [n for n in names if not any(n in found[label] for label in labels)]:
        parser.error(f"no figure {missing[0]!r} of these recipes")
    args.out.write_text(forest({label: found[label] for label in labels}, names), encoding="utf-8")


if __name__ == "__main__":
    main()
