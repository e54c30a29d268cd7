"""What a method must show: runs of several seeds, conditions on them, and a file that says whether they are met.

A script beside this one runs a method's criterion: the method, its baseline and its controls, of the same encoder at
equal steps, and hands the figures to ``Criterion``. ``benchmarks/results/NAME.json`` is what `lookhear methods` and
docs/methods.md tell (``python benchmarks/methods/page.py``).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from reporting import markdown

__all__ = ["RESULTS", "Criterion", "arguments", "spread"]

RESULTS = Path(__file__).parents[1] / "results"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds, and its 95 % interval by Student's t."""
    x = np.asarray(values, dtype=float)
    mean = float(x.mean())
    if len(x) < 2:
        return mean, mean, mean
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)
    return mean, mean - half, mean + half


@dataclass
class Criterion:
    """Figures of one method's benchmark, gathered and judged.

    Attributes:
        method: its name, as in its ``About``.
        claim: what is asked, in a sentence with the figures.
        baseline: the run that it is held against.
        controls: runs that must not show the gain, or bound it.
        seeds: of every run.
        data: what it was measured on, with sizes and chance.
        why: where it is not met, the reason, in a sentence; printed with it.
        remarks: what else the runs show.
    """

    method: str
    claim: str
    baseline: str
    controls: Sequence[str]
    seeds: Sequence[int]
    data: str
    why: str = ""
    remarks: str = ""
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    interval: tuple[float, float] | None = None

    def run(self, name: str, work: Callable[[int], dict[str, float]]) -> None:
        """``work(seed)`` → figures, for each seed; its seconds are the run's."""
        for seed in self.seeds:
            began = time.monotonic()
            for figure, value in work(seed).items():
                self.values.setdefault((name, figure), []).append(float(value))
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
        said = "  ".join(f"{f} {np.mean(v):.4g}" for (n, f), v in self.values.items() if n == name)
        print(f"{name}: {said}  ({self.seconds[name] / len(self.seeds):.0f} s a seed)", file=sys.stderr, flush=True)

    def get(self, name: str, figure: str) -> np.ndarray:
        """(seeds,) figures of a run."""
        return np.array(self.values[name, figure])

    def gain(self, a: str, b: str, figure: str) -> np.ndarray:
        """(seeds,) a − b."""
        return self.get(a, figure) - self.get(b, figure)

    def ask(self, says: str, met: bool, found: Sequence[float] | float | None = None, *, main: bool = False) -> None:
        """One condition; of the ``main`` one, the differences by seed give the result's interval."""
        entry: dict[str, Any] = {"says": says, "met": bool(met)}
        if found is not None:
            entry["found"] = np.round(np.atleast_1d(np.asarray(found, dtype=float)), 4).tolist()
        self.conditions.append(entry)
        if main:
            assert found is not None
            _, low, high = spread(np.atleast_1d(np.asarray(found, dtype=float)).tolist())
            self.interval = low, high

    @property
    def passes(self) -> bool:
        return bool(self.conditions) and all(c["met"] for c in self.conditions)

    def as_dict(self) -> dict[str, Any]:
        rows = []
        for (name, figure), values in self.values.items():
            mean, low, high = spread(values)
            rows.append(
                {
                    "run": name,
                    "figure": figure,
                    "by_seed": np.round(values, 4).tolist(),
                    "mean": round(mean, 4),
                    "interval": [round(low, 4), round(high, 4)],
                    "seconds": round(self.seconds[name] / len(self.seeds), 1),
                }
            )
        return {
            "method": self.method,
            "claim": self.claim,
            "baseline": self.baseline,
            "controls": list(self.controls),
            "data": self.data,
            "seeds": list(self.seeds),
            "seconds": round(sum(self.seconds.values()), 1),
            "values": rows,
            "conditions": self.conditions,
            "interval": None if self.interval is None else [round(v, 4) for v in self.interval],
            "passes": self.passes,
            "why": "" if self.passes else self.why,
            "remarks": self.remarks,
        }

    def finish(self, out: Path) -> None:
        """Prints the figures and conditions, and writes the file."""
        told = self.as_dict()
        table = [["run", "figure", "mean [95 %]", "by seed", "s a seed"]]
        for row in told["values"]:
            (low, high), each = row["interval"], ", ".join(f"{v:.4g}" for v in row["by_seed"])
            middle = f"{row['mean']:.4g} [{low:.4g}–{high:.4g}]"
            table.append([row["run"], row["figure"], middle, each, str(row["seconds"])])
        print(f"# {self.method}\n\n{self.claim}\n{self.data}\n\n{markdown(table)}\n")
        for c in told["conditions"]:
            print(f"- {'met' if c['met'] else 'NOT MET'}: {c['says']} {c.get('found', '')}")
        print(f"\n{'passes' if told['passes'] else 'does not pass'}; {told['seconds']:.0f} s in all")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def arguments(name: str, description: str | None, seeds: Sequence[int] = (0, 1, 2)) -> argparse.ArgumentParser:
    """A parser with --seeds, --steps-scale (a rehearsal; results are not for the record) and --out."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps: below 1 for a rehearsal")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    return parser
