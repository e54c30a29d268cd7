"""A comparison as one HTML file that needs nothing else: the table, learning curves, and words one by one."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from statistics import fmean
from typing import Any

from lookhear.compare.measure import Measured
from lookhear.compare.run import Comparison
from lookhear.compare.scatter import scatter
from lookhear.compare.table import SIGNIFICANT, figure_name, p_text
from lookhear.demo.charts import Line, line_chart, percent
from lookhear.demo.numbers import read_log
from lookhear.models.model import write_atomically

__all__ = ["page", "write_page"]

COLOURS = 8
WORD_FIGURES = ("AP", "accuracy")
"""What a section may know of each word, the first that is there being drawn."""


def write_page(comparison: Comparison, path: Path) -> Path:
    """Writes the page.

    Raises:
        UserError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page(comparison).encode())
    return path


def page(comparison: Comparison) -> str:
    """The whole page; dark and light, down to the width of a phone, no script and nothing from elsewhere."""
    summary = comparison.summary
    pages = resources.files("lookhear") / "pages"
    style = "".join((pages / f"{name}.css").read_text(encoding="utf-8") for name in ("page", "palette", "compare"))
    labels = [r["label"] for r in summary["recipes"]]
    title = " · ".join(labels)
    body = _section("figures", "Figures", _figures_lead(summary), _table(summary))
    body += _section("learning", "How they learned", _learning_lead(summary), _learning(comparison))
    if plots := _words(comparison):
        lead = (
            f"A dot for each word: {escape(labels[0])} to the right, the other recipe upwards, mean over seeds, in "
            "percent. Above the dashed line the other recipe is better; the words that differ most are named."
        )
        body += _section("words", "Word by word", lead, f'<div class="plots">{plots}</div>')
    spent = summary["seconds"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>LookHear: {escape(title)}</title>'
        f'<style>{style}</style></head><body><header class="plain"><p class="brand">Look<b>Hear</b></p>'
        f'<h1>{escape(title)}</h1></header><main>{body}</main><footer><p class="note">Written by <code>lookhear '
        f"compare</code>; this call trained and measured for {spent['runs']:.0f} s, {spent['total']:.0f} s in "
        "all.</p></footer></body></html>\n"
    )


def _section(name: str, title: str, lead: str, body: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2><p class="lead">{lead}</p>{body}</section>'


def _figures_lead(summary: Mapping[str, Any]) -> str:
    seeds, over = ", ".join(map(str, summary["seeds"])), summary["interval_over"]
    text = f"In percent, mean over seeds {seeds}. Small: 95 % bootstrap intervals over {over}"
    if any(f["sd"] is not None for r in summary["recipes"] for f in r["figures"].values()):
        text += ", and ± the standard deviation between seeds"
    text += "."
    if len(summary["recipes"]) > 1:
        text += (
            f" Differences are from {escape(summary['recipes'][0]['label'])}, on the same resampled items; p is "
            f"two-sided and Holm-corrected, and what is below {p_text(SIGNIFICANT)} is coloured."
        )
    return text


def _table(summary: Mapping[str, Any]) -> str:
    recipes = summary["recipes"]
    names = list(dict.fromkeys(n for r in recipes for n in r["figures"]))
    several = len(recipes) > 1
    head = "".join(
        f"<th>{escape(figure_name(n, summary))}</th>{'<th>difference</th>' if several else ''}" for n in names
    )
    rows = []
    for i, recipe in enumerate(recipes):
        cells = ""
        for n in names:
            cells += _value(recipe["figures"].get(n))
            if several:
                cells += _difference(recipe["differences"].get(n), recipe["figures"].get(n))
        speed = recipe["utterances_per_second"]
        cells += f"<td>{recipe['seconds']['speech']:,.0f}</td><td>{'–' if speed is None else f'{speed:,.0f}'}</td>"
        mark = f'<i class="{_colour(i)}"></i>'
        rows.append(f"<th>{mark}{escape(recipe['label'])}</th>{cells}<td>{recipe['parameters']:,}</td>")
    chances = [next(r["figures"][n]["chance"] for r in recipes if n in r["figures"]) for n in names]
    chance = "".join(f"<td>{percent(c)}</td>{'<td></td>' if several else ''}" for c in chances)
    rows.append(f"<th>chance</th>{chance}<td></td><td></td><td></td>")
    body = "".join(f"<tr>{r}</tr>" for r in rows)
    return (
        f'<div class="scroll"><table><thead><tr><th>recipe</th>{head}<th>training, s</th><th>utterances<br>per second'
        f"</th><th>parameters</th></tr></thead><tbody>{body}</tbody></table></div>"
    )


def _value(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "<td>–</td>"
    spread = "" if figure["sd"] is None else f" ±{percent(figure['sd'])}"
    interval = f"{percent(figure['low'])}–{percent(figure['high'])}"
    return f"<td><b>{percent(figure['mean'])}</b><small>{interval}{spread}</small></td>"


def _difference(found: Mapping[str, Any] | None, figure: Mapping[str, Any] | None) -> str:
    if found is None or figure is None:
        return "<td></td>"
    value, low, high = (f"{100 * found[k]:+.1f}".replace("-", "−") for k in ("value", "low", "high"))
    style = ""
    if found["p_holm"] < SIGNIFICANT:
        style = ' class="better"' if (found["value"] > 0) == figure["greater_is_better"] else ' class="worse"'
    over = found["over_seeds"]
    seeds = f"<small>over seeds p {p_text(over['p'])}</small>" if over is not None else ""
    return f"<td{style}><b>{value}</b><small>{low} to {high}, p {p_text(found['p_holm'])}</small>{seeds}</td>"


def _colour(i: int) -> str:
    return f"c{i % COLOURS}" + (" again" if i >= COLOURS else "")


def _learning_lead(summary: Mapping[str, Any]) -> str:
    several = " A line for each seed." if len(summary["seeds"]) > 1 else ""
    return f"Losses of different objectives cannot be compared; validation figures can.{several}"


def _learning(comparison: Comparison) -> str:
    labels = list(comparison.runs)
    logs = [(i, run.label, read_log(run.folder / "speech.log.jsonl")) for i, run in _each(comparison)]
    losses = [Line(label, _colour(i), [(r["step"], r["loss"]) for r in log if "loss" in r]) for i, label, log in logs]
    charts = [line_chart("Loss", losses, "steps")]
    names = dict.fromkeys(n for _, _, log in logs for r in log for n in r.get("validation", {}))
    for name in names:
        lines = [
            Line(
                label,
                _colour(i),
                [(r["step"], r["validation"][name]) for r in log if name in r.get("validation", {})],
            )
            for i, label, log in logs
        ]
        if any(len(line.points) > 1 for line in lines):
            charts.append(line_chart(f"Validation: {name}", lines, "steps", share=True))
    key = "".join(f'<li><i class="{_colour(i)}"></i>{escape(label)}</li>' for i, label in enumerate(labels))
    return f'<ul class="key">{key}</ul><div class="plots">{"".join(charts)}</div>'


def _each(comparison: Comparison) -> list[tuple[int, Measured]]:
    return [(i, run) for i, runs in enumerate(comparison.runs.values()) for run in runs]


def _words(comparison: Comparison) -> str:
    """A plot for each section that knows single words, and each recipe beside the first."""
    labels = list(comparison.runs)
    first = comparison.runs[labels[0]]
    plots = []
    for section, result in first[0].results.items():
        figure = next((f for f in WORD_FIGURES if any(f in w for w in result.get("per_word", {}).values())), None)
        if figure is None:
            continue
        base = _by_word(first, section, figure)
        for i, label in enumerate(labels[1:], 1):
            other = _by_word(comparison.runs[label], section, figure)
            points = [(word, base[word], other[word]) for word in base if word in other]
            if points:
                plots.append(scatter(f"{section}: {figure}", points, labels[0], label, _colour(i)))
    return "".join(plots)


def _by_word(runs: list[Measured], section: str, figure: str) -> dict[str, float]:
    """Word → its figure, mean over seeds; words that every run was asked."""
    each = [run.results.get(section, {}).get("per_word", {}) for run in runs]
    return {
        word: fmean(float(words[word][figure]) for words in each)
        for word in each[0]
        if all(words.get(word, {}).get(figure) is not None for words in each)
    }
