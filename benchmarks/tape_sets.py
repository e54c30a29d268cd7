"""The tapes that spotting is measured on: real digits, commands, captions and Lithuanian words, and the picture book.

Each is strung once, into a folder of its own, and read from there afterwards; recordings are those of one split, so
speakers of test tapes were never heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lookhear
from lookhear.data.schema import Corpus
from lookhear.data.tapes import Tapes, string_tapes
from lookhear.recipe import load_recipe
from lookhear.wording import content_words
from tape_scores import Said, Truth

__all__ = ["DIGITS", "SETS", "TapeSet", "open_set"]

LIKE = Tapes(seconds=300, pause=(0.2, 1.0), overlaps=0.1, noise=(20, 40))
"""A tenth of the recordings begin before the last one ends; noise 20 to 40 dB below the words."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SETS = ("digits-az", "digits-en", "book", "words-lt", "commands-en", "captions-flickr")


@dataclass(frozen=True)
class TapeSet:
    """Tapes with what is said on them.

    Attributes:
        name: for tables.
        files: the tapes.
        truth: words asked, their occurrences.
        source: the recordings they were strung of, all splits.
    """

    name: str
    files: tuple[Path, ...]
    truth: Truth
    source: Corpus


def open_set(name: str, split: str, folder: Path, data: Path, book: Path | None = None, passes: int = 1) -> TapeSet:
    """The tapes of one set and split, strung into ``folder`` if they are not there yet.

    Args:
        data: root of the real data sets.
        book: a prepared picture book, for "book".
        passes: how often each recording is told, in ever new orders.
    """
    corpus, asked, label, timed = _source(name, data, book)
    place = folder / f"{name}-{split}-{passes}"
    if not place.is_dir():
        chosen = corpus.select(split)
        chosen = chosen.take(chosen.recordings)
        for again in range(passes):
            part = place.with_name(place.name + f".{again}") if passes > 1 else place
            string_tapes(chosen, part, LIKE.model_copy(update={"label": label, "seed": again}))
    parts = [place] if passes == 1 else [place.with_name(place.name + f".{i}") for i in range(passes)]
    tapes = [lookhear.open_corpus(p) for p in parts]
    return TapeSet(f"{name} {split}", *_truth(tapes, corpus, asked, timed), corpus)


def _source(name: str, data: Path, book: Path | None) -> tuple[Corpus, Mapping[str, Sequence[str]], str, bool]:
    """Recordings; word asked → what it is called on the tapes; the column that labels; whether words have times."""
    if name in ("digits-az", "digits-en"):
        recipe = load_recipe(name)
        (section,) = (s for s in recipe.evaluate if s.kind == "spotting")
        corpus = lookhear.open_corpus(data / recipe.data.sources[0].name, {"audio": "file"})
        return corpus, {w: [str(v)] for w, v in section.words.items()}, "digit", True
    if name == "book":
        if book is None:
            raise lookhear.UserError("the picture book's tapes need a picture book", "Name it with --book.")
        corpus = lookhear.open_corpus(book)
        return corpus, {w: [w] for w in corpus.meta["words"]["spoken"]}, "text", True
    if name == "words-lt":
        corpus = lookhear.open_corpus(data / "word-times-lt", {"audio": "file"})
        words = dict.fromkeys(w["word"] for row in corpus.column("words") for w in row)
        return corpus, {w: [w] for w in words}, "text", True
    if name not in SETS:
        raise lookhear.UserError(f"no tapes {name!r}", f"There are {', '.join(SETS)}.")
    folder = {"commands-en": "commands-en", "captions-flickr": "spoken-captions-flickr"}[name]
    corpus = lookhear.open_corpus(data / folder, {"audio": "file", "group": "id"})
    return corpus, {}, "id", False


def _truth(
    tapes: Sequence[Corpus], source: Corpus, asked: Mapping[str, Sequence[str]], timed: bool
) -> tuple[tuple[Path, ...], Truth]:
    files, seconds, said, units = list[Path](), list[float](), list[Said](), list[tuple[int, float, float, int]]()
    number = {key: i for i, key in enumerate(source.column("id"))}
    names = {value: word for word, values in asked.items() for value in values}
    clips = {} if timed else _words_of_clips(source)
    for part in tapes:
        for row in part.table.to_pylist():
            tape = len(files)
            files.append(part.root / row["audio"]["path"])
            seconds.append(row["seconds"])
            for w, key in zip(row["words"], row["sources"], strict=True):
                units.append((tape, w["start"], w["end"], number[key]))
                spoken = [names[w["word"]]] if w["word"] in names else clips.get(key, ())
                said += [Said(tape, word, w["start"], w["end"], number[key]) for word in spoken]
    words = tuple(asked) if timed else tuple(sorted({s.word for s in said}))
    kept = {s.word for s in said}
    return tuple(files), Truth(tuple(w for w in words if w in kept), tuple(said), tuple(seconds), tuple(units), timed)


def _words_of_clips(source: Corpus) -> dict[str, tuple[str, ...]]:
    """Content words that each clip says: of its keywords, or of its text."""
    rows: list[dict[str, Any]] = source.table.to_pylist()
    told = [" ".join(r["keywords"]) if r.get("keywords") else r.get("text") or "" for r in rows]
    return {r["id"]: tuple(content_words(t)) for r, t in zip(rows, told, strict=True)}
