"""Spotting beside what a user would otherwise pick: pocketsphinx for English, DTW on MFCC where nothing is written.

    python benchmarks/spot_rivals.py digits-az=runs/az-0 digits-en=runs/en-0 --data DATA --out tapes
    python benchmarks/spot_rivals.py commands-en=runs/photos-0 captions-flickr=runs/photos-0 --data DATA --out tapes
    python benchmarks/spot_rivals.py words-lt=runs/az-0 --data DATA --out tapes --no-writing

SET=RUN as in spot_tapes.py; all finders get the same tapes in the same call, each in a process of its own with one
thread. Asked in writing: the run, and pocketsphinx 5 in keyword mode (skipped with a reason where it is not installed;
rival_sphinx.py says how) for English. Asked by one and by ten spoken examples of a word, of training speakers: the run
(the mean direction of the examples' local vectors) and DTW (rival_dtw.py).

"default" is the threshold that a finder has by itself; "tuned" the one of the highest F1 on the tapes of the validation
split, which for captions-flickr, where there is none, are those of commands-en. Best F1 is an upper bound. Speed is
seconds of tape for each second of one processor, once models are loaded; memory the peak of the process (VmHWM of
Linux), Python and its libraries included, torch too where a finder does without.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import lookhear
import rival_dtw
import rival_sphinx
from lookhear.core import RATE, pool
from lookhear.data.pieces import load_even, pieces_of
from lookhear.search.queries import Asked, written
from lookhear.search.spot import hear
from reporting import markdown
from spot_tapes import founds, lowest
from tape_scores import Found, as_rows, best_f1, figures
from tape_sets import DIGITS, SETS, TapeSet, open_set

Examples = dict[str, list[NDArray[np.float32]]]
Search = Callable[[], list[Found]]
ENGLISH = ("digits-en", "commands-en", "captions-flickr", "book")
WITH_EXAMPLES = ("digits-az", "digits-en", "words-lt")
LABELS = {"digits-az": "digit", "digits-en": "digit"}


@dataclass(frozen=True)
class Searched:
    """What a finder found on the tapes, and what that took."""

    found: list[Found]
    seconds: float
    megabytes: float


def alone(work: Callable[..., list[Search]], *given: Any) -> list[Searched]:
    """``work`` in a process of its own, on one thread.

    Raises:
        UserError: as the work does.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        results, mistake = one.submit(_timed, work, *given).result()
    if mistake is not None:
        raise lookhear.UserError(*mistake)
    return results


def _timed(work: Callable[..., list[Search]], *given: Any) -> tuple[list[Searched], tuple[str, str] | None]:
    torch.set_num_threads(1)
    results = list[Searched]()
    try:
        for search in work(*given):
            began = time.process_time()
            found = search()
            results.append(Searched(found, time.process_time() - began, _peak()))
    except lookhear.UserError as e:  # which cannot pass between processes as it is
        return [], (e.what, e.fix)
    return results, None


def _peak() -> float:
    """MB of resident memory that this process has had at most. (Its ru_maxrss would count what its parent had.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


# What each finder does: a model is loaded first, then each search is timed. ------------------------------------------


def by_writing(run: Path, tapes: Sequence[TapeSet]) -> list[Search]:
    """The default hits on the first tapes, then all hits on each."""
    model = lookhear.load(run)

    def search(on: TapeSet, threshold: float | None) -> list[Found]:
        hits = [h for x in hear(model, on.files, written(model, on.truth.words), threshold=threshold) for h in x.hits]
        return founds(on, iter(hits))

    return [lambda: search(tapes[0], None), *((lambda t=t: search(t, lowest(model))) for t in tapes)]


def by_example(run: Path, examples: Examples, tapes: Sequence[TapeSet]) -> list[Search]:
    model = lookhear.load(run)
    model.calibration = None  # it was learned for written words
    asked = []
    for word, waves in examples.items():
        features = model.embed_audio(waves)
        mean = F.normalize(pool(features.local.float(), features.mask).mean(0, keepdim=True), dim=-1)
        asked.append(Asked(word, mean, ("",)))

    def search(on: TapeSet) -> list[Found]:
        return founds(on, iter([h for x in hear(model, on.files, asked, threshold=0.0) for h in x.hits]))

    return [(lambda t=t: search(t)) for t in tapes]


def by_warping(examples: Examples, tapes: Sequence[TapeSet]) -> list[Search]:
    frames = {word: [rival_dtw.mfcc(w) for w in waves] for word, waves in examples.items()}
    return [(lambda t=t: rival_dtw.dtw_hits(t.files, frames)) for t in tapes]


def by_sphinx(tapes: Sequence[TapeSet]) -> list[Search]:
    low = [(lambda t=t: rival_sphinx.sphinx_hits(t.files, t.truth.words, rival_sphinx.LOW)) for t in tapes]
    return [lambda: rival_sphinx.sphinx_hits(tapes[0].files, tapes[0].truth.words, rival_sphinx.AS_IS), *low]


def examples_of(name: str, tapes: TapeSet, count: int, seed: int) -> Examples:
    """Recordings of each word by training speakers, cut to the word; of different speakers as far as they reach."""
    corpus = tapes.source.select("train")
    rng = np.random.default_rng(seed)
    pieces = pieces_of(corpus, LABELS.get(name, "text"), 0.3)
    names = {str(i): w for i, w in enumerate(DIGITS)} if name in LABELS else {w: w for w in tapes.truth.words}
    by_word: dict[str, list[Any]] = {w: [] for w in tapes.truth.words}
    seen: dict[str, set[Any]] = {w: set() for w in tapes.truth.words}
    order = rng.permutation(len(pieces)).tolist()
    speakers = corpus.column("speaker")
    for new in (True, False):  # new speakers first
        for i in order:
            piece = pieces[i]
            word = names.get(piece.said[0][0])
            if word not in by_word or len(by_word[word]) == count or (new and speakers[piece.row] in seen[word]):
                continue
            if not new and any(p is piece for p in by_word[word]):
                continue
            by_word[word].append(piece)
            seen[word].add(speakers[piece.row])

    def cut(piece: Any) -> NDArray[np.float32]:
        start, end = piece.spoken
        return load_even(corpus, piece.row)[round(start * RATE) : round(end * RATE)]

    return {word: [cut(p) for p in chosen] for word, chosen in by_word.items()}


def rivals(name: str, run: Path, test: TapeSet, tuning: TapeSet, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Rows of figures, finder by finder."""
    results: dict[str, dict[str, Any]] = {}

    def add(finder: str, default: Searched | None, every: Searched, on_tuning: Searched) -> None:
        _, cut = best_f1(on_tuning.found, tuning.truth)
        tuned = [f for f in every.found if f.score >= cut]
        took = {"x real time": sum(test.truth.seconds) / every.seconds, "megabytes": every.megabytes}
        if default is not None:
            spent = {"x real time": sum(test.truth.seconds) / default.seconds, "megabytes": default.megabytes}
            results[f"{finder}, default"] = figures(default.found, every.found, test.truth) | spent
        results[f"{finder}, tuned"] = figures(tuned, every.found, test.truth) | took
        print(f"{name}: {finder} done", file=sys.stderr, flush=True)

    if not args.no_writing:
        add("the run, in writing", *alone(by_writing, run, (test, tuning)))
    if name in ENGLISH and not rival_sphinx.installed():
        print(f"{name}: pocketsphinx is not installed (pip install --no-deps pocketsphinx)", file=sys.stderr)
    elif name in ENGLISH:
        add("pocketsphinx, in writing", *alone(by_sphinx, (test, tuning)))
        if unknown := rival_sphinx.unknown_words(test.truth.words):
            print(f"{name}: not in pocketsphinx's dictionary, so never found: {', '.join(unknown)}")
    if name in WITH_EXAMPLES:
        for count in args.examples:
            examples = examples_of(name, test, count, args.seed)
            told = f"{count} example{'s' * (count > 1)} a word"
            add(f"the run, {told}", None, *alone(by_example, run, examples, (test, tuning)))
            add(f"DTW on MFCC, {told}", None, *alone(by_warping, examples, (test, tuning)))
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    rows = as_rows(results)
    rows[0] += ["× real time, a core", "peak MB"]
    for row, r in zip(rows[1:], results.values(), strict=True):
        row += [f"{r['x real time']:.0f}", f"{r['megabytes']:.0f}"]
    return markdown(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Spotting beside its rivals.")
    parser.add_argument("runs", nargs="+", metavar="SET=RUN", help=f"sets: {', '.join(SETS)}")
    root = os.environ.get("LOOKHEAR_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None, help="data root (LOOKHEAR_DATA)")
    parser.add_argument("--book", type=Path, help="a prepared picture book")
    parser.add_argument("--out", type=Path, required=True, help="a folder for the tapes")
    parser.add_argument("--examples", type=int, nargs="*", default=[1, 10], help="spoken examples of a word")
    parser.add_argument("--seed", type=int, default=0, help="which recordings are the examples")
    parser.add_argument("--no-writing", action="store_true", help="the run cannot read the words of these tapes")
    parser.add_argument("--json", type=Path, help="write all figures there too")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    everything = {}
    for given in args.runs:
        name, _, run = given.partition("=")
        test = open_set(name, "test", args.out, args.data or Path(), args.book)
        held = ("commands-en" if name == "captions-flickr" else name, "val")
        tuning = open_set(*held, args.out, args.data or Path(), args.book)
        everything[given] = rivals(name, Path(run), test, tuning, args)
        said, minutes = len(test.truth.said), sum(test.truth.seconds) / 60
        print(f"\n### {name}: {said} occurrences of {len(test.truth.words)} words, {minutes:.1f} min\n")
        print(table(everything[given]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except lookhear.UserError as e:
        sys.exit(f"spot_rivals: {e}")
