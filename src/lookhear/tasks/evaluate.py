"""Runs evaluation sections on a corpus, skipping aloud what it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.tasks.base import Embedder, Encoded, Task
from lookhear.tasks.tables import tables

__all__ = ["evaluate", "tables"]


def _silent(line: str) -> None:
    del line


def evaluate(
    model: Embedder,
    corpus: Corpus,
    sections: Sequence[Task],
    progress: bool = False,
    say: Callable[[str], None] = _silent,
    *,
    encoded: Encoded | None = None,
) -> dict[str, Any]:
    """Every section that the corpus has the columns for.

    Args:
        model: the model under test.
        corpus: the items; any corpus will do.
        sections: the evaluations.
        progress: progress bars on stderr.
        say: is told, in one line each, what was skipped and why.
        encoded: the corpus encoded before, by this model.

    Returns:
        Section name → its result, JSON-able; skipped sections are left out.

    Raises:
        UserError: two sections of one name, or no section that can be run here.
    """
    twice = [name for name, n in Counter(s.name for s in sections).items() if n > 1]
    if twice:
        raise UserError(f"several evaluation sections are called {twice[0]!r}", "Give each its own name.")
    encoded = encoded or Encoded(model, corpus, progress)
    where = corpus.name or str(corpus.root)
    results: dict[str, Any] = {}
    for section in sections:
        reason = section.missing(corpus) or section.unready(model)
        if reason is not None:
            say(f"skipped {section.name} on {where}: {reason}")
            continue
        results[section.name] = section.run(encoded)
        for part, why in results[section.name].get("skipped", {}).items():
            say(f"skipped {section.name}.{part} on {where}: {why}")
    if sections and not results:
        raise UserError(
            f"{where}: none of the {len(sections)} evaluation sections can be run on it",
            "Evaluate on a corpus with recordings, and pictures, texts or keyword truths.",
        )
    return results
