"""docs/methods.md and the table of `lookhear methods`, from the code's own `About`s and benchmarks/results/*.json.

python benchmarks/methods/page.py            # writes both
python benchmarks/methods/page.py --check    # exits with 1 where either is stale (continuous integration does)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from lookhear.about import About
from lookhear.balance import BalanceConfig
from lookhear.catalogue import NEEDS
from lookhear.recipe import ObjectiveConfig, PartnersConfig

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
TABLE, PAGE = ROOT / "src" / "lookhear" / "methods.json", ROOT / "docs" / "methods.md"
UNIONS = (ObjectiveConfig, PartnersConfig, BalanceConfig)

SURVEY = About(
    name="multimodal-temporal-ssl-survey",
    title="eight families of self-supervision on one speech tower",
    kind="strategy",
    family="multi-task",
    paper=(
        "Deldari et al., 2022, Beyond Just Vision: A Review on Self-Supervised Representation Learning on Multimodal "
        "and Temporal Data"
    ),
    inputs=("audio", "image"),
    recipe="",
)
"""A comparison of what stands in the unions: it has a result, and no section of its own."""


def abouts() -> Iterator[About]:
    """What every section of the recipe's visible unions says of itself."""
    for union in UNIONS:
        for config in get_args(get_args(union)[0]):
            if "about" in vars(config):
                yield config.about
    yield SURVEY


def gather() -> list[dict[str, Any]]:
    """Every method with its result, those that have one first."""
    found = {}
    for about in abouts():
        if about.name in found:
            raise SystemExit(f"page: two methods are called {about.name}")
        result = RESULTS / f"{about.name}.json"
        measured = json.loads(result.read_text()) if result.is_file() else None
        found[about.name] = asdict(about) | {"inputs": list(about.inputs), "measured": measured}
    lost = {p.stem for p in RESULTS.glob("*.json")} - found.keys()
    if lost:
        raise SystemExit(f"page: results of no method: {', '.join(sorted(lost))}")
    return sorted(found.values(), key=lambda m: (m["measured"] is None, m["name"]))


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def taxonomy(methods: list[dict[str, Any]]) -> str:
    heads = ["method", "kind", "family", "inputs", *(n.replace("_", " ") for n in NEEDS), "recipe", "criterion"]
    lines = [row(heads), row(["---"] * len(heads))]
    for m in methods:
        verdict = "" if m["measured"] is None else ("**met**" if m["measured"]["passes"] else "not met")
        name = f"[`{m['name']}`](#{m['name']})" if m["measured"] else f"`{m['name']}`"
        marks = ["×" if m[n] else "" for n in NEEDS]
        recipe = f"`{m['recipe']}`" if m["recipe"] else ""
        lines.append(row([name, m["kind"], m["family"], ", ".join(m["inputs"]), *marks, recipe, verdict]))
    return "\n".join(lines)


def section(m: dict[str, Any]) -> str:
    told = m["measured"]
    lines = [f"## {m['name']}", "", f"{m['title'][0].upper()}{m['title'][1:]}. {m['paper']}.", ""]
    lines += [f"**{'Met' if told['passes'] else 'Not met'}:** {told['claim']}", ""]
    if told["why"]:
        lines += [told["why"], ""]
    script = f"benchmarks/methods/{m['name'].replace('-', '_')}.py"
    seeds = ", ".join(map(str, told["seeds"]))
    lines += [f"`python {script}`, seeds {seeds}, {told['seconds']:.0f} s in all. {told['data']}", ""]
    lines += [row(["run", "figure", "mean [95 %]", "by seed", "s a seed"]), row(["---", "---", "---:", "---", "---:"])]
    for v in told["values"]:
        middle = f"{v['mean']:.4g} [{v['interval'][0]:.4g}–{v['interval'][1]:.4g}]"
        each = ", ".join(f"{x:.4g}" for x in v["by_seed"])
        lines.append(row([v["run"], v["figure"], middle, each, f"{v['seconds']:.0f}"]))
    lines.append("")
    for c in told["conditions"]:
        found = f" ({', '.join(f'{x:.4g}' for x in c['found'])})" if "found" in c else ""
        lines.append(f"- {'met' if c['met'] else '**not met**'}: {c['says']}{found}")
    lines += ["", told["remarks"]] if told["remarks"] else []
    return "\n".join(lines)


def document(methods: list[dict[str, Any]]) -> str:
    head = """# Methods

Made by `python benchmarks/methods/page.py` from what each method says of itself in the code and from what its benchmark
wrote to `benchmarks/results/`; `lookhear methods` tells the same. A criterion is what a method must show to be worth
having: the method, its baseline and its controls, of one encoder at equal steps. One that is not met stays here.
Intervals are Student's, over seeds.
"""
    measured = [section(m) for m in methods if m["measured"]]
    return "\n".join([head, taxonomy(methods), "", *("\n".join([s, ""]) for s in measured)]).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="The page and the table of methods.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where they are stale")
    args = parser.parse_args()
    methods = gather()
    wanted = {TABLE: json.dumps(methods, indent=1, ensure_ascii=False) + "\n", PAGE: document(methods)}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if args.check and stale:
        names = ", ".join(str(p.relative_to(ROOT)) for p in stale)
        sys.exit(f"page: {names} stale: run python benchmarks/methods/page.py")
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")


if __name__ == "__main__":
    main()
