"""Verbs about corpora: make, look into, write out, cut, join, split; and annotations from one format into another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookhear.cli.exporting import export
from lookhear.cli.options import FOLDER, JSON, pair, say
from lookhear.errors import UserError

if TYPE_CHECKING:
    from lookhear.data.schema import Corpus

__all__ = ["VERBS"]


@click.command(short_help="Make a corpus of recordings and pictures on disk.")
@click.argument("source")
@click.option("--out", type=FOLDER, required=True, help="The corpus folder; one that was begun is gone on with.")
@click.option("--layout", default="", help="How SOURCE lies on disk; recognised by itself where left out.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the layout.")
@click.option("--paths", is_flag=True, help="Leave sounds and pictures where they are and refer to them.")
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True, help="Processes.")
@click.option("--strict", is_flag=True, help="Stop at the first item that is wrong.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the picture book.")
@click.option("--scenes", type=click.IntRange(1), help="Of the picture book: scenes in all, shared out as by default.")
@click.option("--size", type=int, default=64, show_default=True, help="Of the picture book: pixels of a side.")
def prepare(
    source: str,
    out: Path,
    layout: str,
    options: tuple[str, ...],
    paths: bool,
    workers: int,
    strict: bool,
    seed: int,
    scenes: int | None,
    size: int,
) -> None:
    """Make a corpus of SOURCE: a folder or file in any known layout, or the word `picturebook`.

    `picturebook` is made by LookHear itself: scenes drawn, captioned and spoken, with word times and object masks.
    """
    if source == "picturebook":
        _picturebook(out, seed, scenes, size)
    else:
        from lookhear.data.prepare import PROBLEMS
        from lookhear.data.prepare import prepare as run

        given = dict(pair("--option", o) for o in options)
        corpus = run(
            source, out, layout=layout, options=given, inside=not paths, workers=workers, strict=strict, progress=True
        )
        found = corpus.meta["problems"]
        _tell(corpus)
        if found["refused"] or found["repaired"]:
            say(f"refused: {found['refused']:,}, mended: {found['repaired']:,}; see {out / PROBLEMS}")
    click.echo(out)


def _tell(corpus: Corpus) -> None:
    """The summary of a corpus that was just made, and what is twice in it."""
    from lookhear.data.summary import summarise

    say(summarise(corpus).text())
    _findings(corpus)


def _findings(corpus: Corpus) -> None:
    from lookhear.data.checks import check

    for finding in check(corpus):
        say(f"check: {finding}")


def _picturebook(out: Path, seed: int, scenes: int | None, size: int) -> None:
    from lookhear.data.picturebook.build import prepare_picturebook
    from lookhear.data.picturebook.plan import DEFAULT_SCENES

    shares = None
    if scenes is not None:
        whole = sum(DEFAULT_SCENES.values())
        shares = {split: max(1, round(scenes * n / whole)) for split, n in DEFAULT_SCENES.items()}
    _tell(prepare_picturebook(out, seed, scenes=shares, size=size))


@click.command(short_help="What a corpus holds, in tables and as a page.")
@click.argument("corpus", type=FOLDER)
@click.option("--html", type=FOLDER, metavar="FILE", help="Write a page with pictures and players.")
@JSON
def inspect(corpus: Path, html: Path | None, as_json: bool) -> None:
    """Hours, speakers, lengths, words and splits of CORPUS, what is in it twice, and what leaks between splits."""
    from lookhear.data.inspect import write_page
    from lookhear.data.read import open_corpus
    from lookhear.data.summary import summarise

    found = open_corpus(corpus)
    summary = summarise(found)
    _findings(found)
    if html is not None:
        say(f"page: {write_page(found, html)}")
    click.echo(json.dumps(summary.as_dict(), indent=1, ensure_ascii=False) if as_json else summary.text())


@click.command(short_help="A part of a corpus.")
@click.argument("corpus", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="The corpus folder to make.")
@click.option("--where", "wanted", multiple=True, metavar="COLUMN=VALUE", help="Keep these; several values are 'or'.")
@click.option("--having", multiple=True, metavar="COLUMN", help="Keep what has a value there, such as audio.")
@click.option("--groups", type=click.IntRange(1), help="Of those, so many pictures with all their captions.")
@click.option("--seed", type=int, default=0, show_default=True)
def subset(
    corpus: Path, out: Path, wanted: tuple[str, ...], having: tuple[str, ...], groups: int | None, seed: int
) -> None:
    """Make a corpus of some items of CORPUS, by the values of columns or at random."""
    from lookhear.data.read import open_corpus
    from lookhear.data.reshape import subset as run

    where: dict[str, list[str]] = {}
    for name, value in (pair("--where", w) for w in wanted):
        where.setdefault(name, []).append(value)
    click.echo(run(open_corpus(corpus), out, where, groups, seed, having))


@click.command(short_help="Several corpora as one.")
@click.argument("corpora", type=FOLDER, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="The corpus folder to make.")
def merge(corpora: tuple[Path, ...], out: Path) -> None:
    """Make one corpus of several; ids and groups get their corpus's name before them."""
    from lookhear.data.read import open_corpus
    from lookhear.data.reshape import merge as run

    made = run([open_corpus(c) for c in corpora], out)
    _findings(open_corpus(made))
    click.echo(made)


@click.command(short_help="Draw the splits of a corpus anew, without leaks.")
@click.argument("corpus", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="The corpus folder to make.")
@click.option("--by", default="picture", show_default=True, help="What stays together: picture, speaker, both, random.")
@click.option("--share", "shares", multiple=True, metavar="SPLIT=SHARE", help="train=8, val=1 and test=1 by default.")
@click.option("--seed", type=int, default=0, show_default=True)
def split(corpus: Path, out: Path, by: str, shares: tuple[str, ...], seed: int) -> None:
    """Make a corpus of the items of CORPUS with other splits, so that nothing of one is in another."""
    from lookhear.data.read import open_corpus
    from lookhear.data.reshape import split as run

    given = {}
    for name, value in (pair("--share", s) for s in shares or ("train=8", "val=1", "test=1")):
        try:
            given[name] = float(value)
        except ValueError:
            raise UserError(f"--share {name}={value} is no number", "Write train=8.") from None
    made = run(open_corpus(corpus), out, by, given, seed)
    _findings(open_corpus(made))
    click.echo(made)


@click.command(short_help="Annotations from one format into another.")
@click.argument("source", type=FOLDER)
@click.argument("out", type=FOLDER)
def convert(source: Path, out: Path) -> None:
    """Write the annotation file SOURCE as OUT: TextGrid, EAF, CTM, SRT, VTT, Audacity labels or CSV, by the endings."""
    from lookhear.data.annotations import read_annotation, write_annotation

    write_annotation(read_annotation(source), out)
    click.echo(out)


VERBS = (prepare, inspect, export, subset, merge, split, convert)
