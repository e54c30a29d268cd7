"""Which words name something that a picture's masks show, and which recordings of the picture say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lookhear.data.schema import Corpus
from lookhear.tasks.keywords import Asked, occurrences
from lookhear.tasks.spoken import Spans

__all__ = ["Pair", "said_pairs", "shown_names", "shown_pairs"]


@dataclass(frozen=True)
class Pair:
    """A picture and a word that it shows, and who says the word.

    Attributes:
        picture: position in ``corpus.pictures``.
        word: number of the word.
        things: names of its masks in the picture.
        recording: position in ``corpus.recordings``, or −1; ``spans`` are the word's moments in it, in seconds.
    """

    picture: int
    word: int
    things: tuple[str, ...]
    recording: int = -1
    spans: Spans = field(default_factory=list)


def shown_names(corpus: Corpus) -> list[list[str]]:
    """For each of ``corpus.pictures`` the lower-cased names of its masks; none where there is no picture file."""
    rows = corpus.pictures
    files = corpus.table["image"].is_valid().to_numpy()[rows]
    cells = corpus.table["masks"].take(rows).to_pylist()
    return [[m["thing"].lower() for m in c or ()] if f else [] for c, f in zip(cells, files)]


def shown_pairs(names: Sequence[Sequence[str]], asked: Asked) -> list[Pair]:
    """Every word with every picture that shows one of its values, in the order of the pictures."""
    return [
        Pair(i, q, things)
        for i, held in enumerate(names)
        for q, values in enumerate(asked.values())
        if (things := tuple(sorted({v.lower() for v in values} & set(held))))
    ]


def said_pairs(corpus: Corpus, words: Sequence[str], pairs: Sequence[Pair]) -> list[Pair]:
    """Those of the pairs whose word is said, once for each recording of the picture's group that says it."""
    groups, every = corpus.groups, corpus.column("words")
    of_group: dict[int, list[int]] = {}
    for position, row in enumerate(corpus.recordings):
        if every[row]:
            of_group.setdefault(int(groups[row]), []).append(position)
    return [
        replace(pair, recording=position, spans=spans)
        for pair in pairs
        for position in of_group.get(int(groups[corpus.pictures[pair.picture]]), ())
        if (spans := occurrences(every[corpus.recordings[position]], [words[pair.word]]))
    ]
