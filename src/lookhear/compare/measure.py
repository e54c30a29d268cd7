"""Every recipe with every seed: trained or used again, then measured on the same items, once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookhear.compare.contest import Contestant
from lookhear.data.schema import Corpus
from lookhear.models.model import Model, write_atomically
from lookhear.recipe import Recipe
from lookhear.tasks.base import Encoded, Task
from lookhear.tasks.evaluate import evaluate
from lookhear.tasks.resampling import Resampled
from lookhear.training.kept import KeptRuns
from lookhear.training.train import Say

__all__ = ["Bench", "Measured", "primary_figure"]


@dataclass(frozen=True)
class Measured:
    """One run, trained and measured.

    Attributes:
        label, seed: whose it is.
        folder: of the run.
        reused: it was trained before.
        seconds: of its parts, as when it was trained: data, teacher, speech, speech_steps; and of its evaluation.
        parameters: of its speech tower.
        utterances_per_second: in training, validation not counted.
        results: section name → result.
        resampled: section name → its primary figure in each resample.
        wall: seconds that training and evaluation took here and now.
    """

    label: str
    seed: int
    folder: Path
    reused: bool
    seconds: dict[str, float]
    parameters: int
    utterances_per_second: float | None
    results: dict[str, Any]
    resampled: dict[str, Resampled]
    wall: float


class Bench:
    """Trains and measures, and keeps both under one folder.

    Args:
        data: the data root, or a prepared corpus.
        out: holds ``runs``, ``teachers`` and ``evaluations``.
        progress: bars on stderr.
        say: gets a line for each run and stage.
    """

    def __init__(self, data: Path, out: Path, progress: bool, say: Say) -> None:
        self.out, self.progress, self.say = out, progress, say
        self.runs = KeptRuns(out, data, progress, say)

    def items(self, recipe: Recipe) -> tuple[Corpus, str]:
        """The test items of a recipe's data, on which all are measured, and their fingerprint.

        Raises:
            UserError: there is no such split.
        """
        corpus, _ = self.runs.corpus(recipe)
        items = corpus.select(recipe.data.test) if corpus.has("split") else corpus
        return items, items.fingerprint()

    def measure(self, one: Contestant, seed: int, items: tuple[Corpus, str]) -> Measured:
        """Trains (or finds) one recipe with one seed and measures it on the items.

        Raises:
            UserError: as of training and evaluation.
        """
        kept = self.runs.train(one.seeded(seed))
        began = time.monotonic()
        told = self._evaluation(kept.folder, one.sections, items)
        wall = kept.wall + time.monotonic() - began
        return Measured(
            one.label,
            seed,
            kept.folder,
            kept.reused,
            kept.seconds | {"evaluation": told["seconds"]},
            told["parameters"],
            _speed(kept.folder),
            told["results"],
            {n: Resampled(np.array(r["values"], dtype=np.float64), r["drawn"]) for n, r in told["resampled"].items()},
            wall,
        )

    def _evaluation(self, run: Path, sections: Sequence[Task], items: tuple[Corpus, str]) -> dict[str, Any]:
        asked = json.dumps([s.model_dump(mode="json") for s in sections])  # type: ignore[attr-defined]
        corpus, fingerprint = items
        key = hashlib.sha256(f"{fingerprint}\n{asked}".encode()).hexdigest()[:16]
        path = self.out / "evaluations" / f"{run.name}-{key}.json"
        if path.is_file():
            told: dict[str, Any] = json.loads(path.read_text())
            return told
        began = time.monotonic()
        model = Model.load(run)
        encoded = Encoded(model, corpus, self.progress)
        results = evaluate(model, corpus, sections, self.progress, self.say, encoded=encoded)
        assert model.audio is not None
        told = {
            "results": results,
            "resampled": {
                n: {"drawn": r.drawn, "values": [None if np.isnan(v) else v for v in r.values.tolist()]}
                for n, r in encoded.resampled.items()
            },
            "parameters": sum(p.numel() for p in model.audio.parameters()),
            "seconds": time.monotonic() - began,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(told).encode())
        return told


def _speed(run: Path) -> float | None:
    """Utterances a second as the run's log last says."""
    path = run / "speech.log.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    found = [float(row["utterances_per_second"]) for row in rows if "utterances_per_second" in row]
    return found[-1] if found else None


def primary_figure(section: Task, results: dict[str, Any]) -> dict[str, Any] | None:
    """The figure, with interval, chance and size, of a section's primary path; None where the data do not give it."""
    node: Any = results.get(section.name)
    for key in section.primary.removesuffix(".value").split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None
