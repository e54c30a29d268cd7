"""Locators side by side: where each says that a word is, on the same recordings, and what that costs.

    python benchmarks/locators.py pictures=runs/infonce words=runs/picturebook pacl=runs/pacl --on book --recordings 150

Every locator that a run (NAME=FOLDER) has something for is asked the same pairs of a recording and a word spoken in it
(oracle accuracy, docs/protocols.md), so that rows of one run differ in the locator alone. Recordings are drawn at
random (seed 0) from the split. Processor seconds are counted, not the clock's, beyond hearing each recording once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import lookhear
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.locators import Attention, Curve, GradCam, Locator, MaskedIn, MaskedOut, TagCurve
from lookhear.models.model import Model
from lookhear.tasks import Localisation
from lookhear.tasks.base import Encoded
from reporting import markdown

HEAD = ["run", "locator", "oracle accuracy, %", "95 %", "chance", "pairs", "words", "s per minute"]


def locators(model: Model) -> Iterator[Locator]:
    """Those that the model has something for."""
    yield from (Curve(), Attention(), MaskedIn(), MaskedOut(), GradCam())
    if model.head is not None:
        yield from (TagCurve(), MaskedIn(answer="tags"), MaskedOut(answer="tags"), GradCam(answer="tags"))


def label(by: Locator) -> str:
    return f"{by.kind} ({by.answer})" if isinstance(by, MaskedIn | MaskedOut | GradCam) else by.kind


def some(corpus: Corpus, count: int) -> Corpus:
    """So many recordings with word times, drawn at random."""
    words = corpus.column("words") if corpus.has("words") else [None] * len(corpus)
    rows = np.array([r for r in corpus.recordings if words[r]], dtype=np.int64)
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return corpus.take(np.sort(rows[chosen]))


def measure(name: str, folder: str, corpus: Corpus, asked: dict[str, object]) -> Iterator[list[str]]:
    model = lookhear.load(folder)
    if reason := Localisation.model_validate(asked).missing(corpus):
        raise UserError(f"{corpus.name}: {reason}", "Name another corpus, split or words.")
    encoded = Encoded(model, corpus)
    began = time.process_time()
    minutes = sum(float(part.mask.sum()) * float(part.step) for part in encoded.audio_parts) / 60  # type: ignore[arg-type]
    yield [name, "hearing once", "", "", "", "", "", f"{(time.process_time() - began) / minutes:.2f}"]
    Localisation.model_validate(asked).run(encoded)  # so that no locator's time holds the encoding of the words
    for by in locators(model):
        section = Localisation.model_validate({**asked, "by": by})
        began = time.process_time()
        try:
            result = section.run(encoded)
        except UserError as e:
            print(f"{name}, {label(by)}: left out, {e.what}", file=sys.stderr, flush=True)
            continue
        spent = (time.process_time() - began) / minutes
        found = result["oracle_accuracy"]
        row = [f"{100 * found['value']:.1f}", f"{100 * found['low']:.1f}–{100 * found['high']:.1f}"]
        row += [f"{100 * found['chance']:.1f}", str(result["pairs"]), str(result["words"]), f"{spent:.2f}"]
        print(f"{name}, {label(by)}: {row[0]}", file=sys.stderr, flush=True)
        yield [name, label(by), *row]


def main() -> None:
    parser = argparse.ArgumentParser(description="Locators side by side.")
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--on", type=Path, required=True, help="a prepared corpus, or a folder with a manifest")
    parser.add_argument("--split", default="test")
    parser.add_argument("--recordings", type=int, default=150)
    parser.add_argument("--list", default="spoken", help="a word list of the corpus; without it, frequent words")
    parser.add_argument("--frequent", type=int, default=67)
    args = parser.parse_args()
    corpus = some(lookhear.open_corpus(args.on).select(args.split), args.recordings)
    asked = {"list_name": args.list, "frequent": args.frequent}
    rows = [HEAD]
    for name, equals, folder in (r.partition("=") for r in args.runs):
        if not equals:
            raise UserError(f"run {name!r} has no name", "Write NAME=FOLDER.")
        rows += measure(name, folder, corpus, asked)
    print(f"{len(corpus)} recordings of {args.on.name}, split {args.split}; one seed a run\n")
    print(markdown(rows))


if __name__ == "__main__":
    try:
        main()
    except UserError as e:
        sys.exit(f"locators: {e}")
