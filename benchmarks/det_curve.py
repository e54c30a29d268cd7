"""Draws detection-error curves: misses over false alarms, in probit scale, out of what `lookhear evaluate` printed.

    lookhear evaluate run --on book --json figures.json       # a recipe with sections of kind "detection"
    python benchmarks/det_curve.py figures.json other.json -o docs/images/det.svg

One curve for each detection section of each file (Martin et al., 1997, "The DET curve in assessment of detection task
performance"): normally distributed scores give straight lines. The dot is the section's threshold, the ring the best
one, chosen on the same items. Rates are means over words; a trial of false alarm is a second of speech.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scipy.special import ndtri

X, Y = (1e-5, 0.4), (0.01, 0.98)  # what is drawn of false alarms and of misses
SIDE, LEFT, TOP, BOTTOM, LINE = 420, 70, 20, 56, 18
TICKS = (1e-5, 1e-4, 1e-3, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98)
COLOURS = ("#2563eb", "#b45309", "#15803d", "#a21caf", "#be123c", "#0f766e")
STYLE = """text{font:13px system-ui,sans-serif;fill:#333}.g{stroke:#8884;stroke-width:1}.c{fill:none;stroke-width:2}
svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}}"""


def detections(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(label, ``terms`` of the result) of every detection section of a JSON file of `lookhear evaluate`."""
    tree = json.loads(path.read_text(encoding="utf-8")).get("detection", {})
    for name, result in {path.stem: tree}.items() if "kind" in tree else tree.items():
        if "terms" in result:
            yield name if "kind" in tree else f"{path.stem} {name}", result["terms"]


def place(value: float, span: tuple[float, float], size: float) -> float:
    """Where a rate lies on an axis of ``size`` pixels, in probits; what is off it lies at its end."""
    low, high = ndtri(span[0]), ndtri(span[1])
    at = ndtri(min(max(value, span[0]), span[1]))
    return float(size * (at - low) / (high - low))


def point(false: float, miss: float) -> tuple[float, float]:
    return LEFT + place(false, X, SIDE), TOP + SIDE - place(miss, Y, SIDE)


def axes() -> list[str]:
    parts = []
    for tick in TICKS:
        label = f"{100 * tick:g}"
        if X[0] <= tick <= X[1]:
            x, _ = point(tick, Y[0])
            parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + SIDE}"/>')
            parts.append(f'<text x="{x:.1f}" y="{TOP + SIDE + 18}" text-anchor="middle">{label}</text>')
        if Y[0] <= tick <= Y[1]:
            _, y = point(X[0], tick)
            parts.append(f'<line class="g" x1="{LEFT}" x2="{LEFT + SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    middle = LEFT + SIDE / 2
    parts.append(f'<text x="{middle}" y="{TOP + SIDE + 42}" text-anchor="middle">false alarms, % of seconds</text>')
    turned = f'transform="rotate(-90 18 {TOP + SIDE / 2})" text-anchor="middle"'
    return [*parts, f'<text x="18" y="{TOP + SIDE / 2}" {turned}>missed, % of occurrences</text>']


def curve(terms: Mapping[str, Any], colour: str) -> list[str]:
    points = [point(p["P_FA"], p["P_miss"]) for p in terms["DET"]]
    parts = [f'<polyline class="c" stroke="{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>']
    x, y = point(terms["P_FA"], terms["P_miss"])
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
    best = terms["MTWV"]["threshold"]
    if best is not None:
        near = min(terms["DET"], key=lambda p: abs(p["threshold"] - best))
        x, y = point(near["P_FA"], near["P_miss"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6.5" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts


def det(curves: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """An SVG of (label, ``terms``) each."""
    width, height = LEFT + SIDE + 20, TOP + SIDE + BOTTOM + LINE * len(curves)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">']
    parts += [f"<style>{STYLE}</style>", *axes()]
    for i, (label, terms) in enumerate(curves):
        colour, y = COLOURS[i % len(COLOURS)], TOP + SIDE + BOTTOM + LINE * i + 6
        values = f"ATWV {100 * terms['ATWV']['value']:.1f}, MTWV {100 * terms['MTWV']['value']:.1f}"
        parts += curve(terms, colour)
        parts.append(
            f'<line x1="{LEFT}" x2="{LEFT + 24}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="3"/>'
        )
        parts.append(f'<text x="{LEFT + 32}" y="{y}">{escape(label)}: {values}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Detection-error curves.")
    parser.add_argument("figures", nargs="+", type=Path, help="what `lookhear evaluate --json` wrote")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    found = [c for path in args.figures for c in detections(path)]
    if not found:
        parser.error("no section of kind 'detection' with terms in these files")
    args.out.write_text(det(found), encoding="utf-8")
    for label, terms in found:
        print(f"{label}: {len(terms['DET'])} points, {terms['terms']} words, {terms['seconds']:.0f} s")


if __name__ == "__main__":
    main()
