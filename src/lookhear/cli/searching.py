"""Verbs about indexes: made of folders, asked by texts, pictures and recordings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookhear.cli.options import FOLDER, JSON, Reported, pair, print_hits, say
from lookhear.errors import UserError

if TYPE_CHECKING:
    from lookhear.search.index import Where
    from lookhear.search.question import Part
    from lookhear.search.searcher import Searcher

__all__ = ["VERBS"]


@click.command(short_help="Index folders of recordings, pictures and texts.")
@click.argument("run", type=FOLDER)
@click.argument("folders", type=FOLDER, nargs=-1, required=True, metavar="FOLDER...")
@click.option("-o", "--out", required=True, help="The index: a folder, or qdrant://HOST:PORT/COLLECTION.")
@click.option(
    "--details", type=FOLDER, metavar="TABLE", help="A CSV with a column file and others: speaker, date, language, …"
)
def index(run: Path, folders: tuple[Path, ...], out: str, details: Path | None) -> int:
    """Embed what is in FOLDERs with the model of RUN, for `lookhear search` and `lookhear serve`.

    Run it again when something changed: only new and changed files are embedded, what moved is followed, and what is
    gone leaves the index. A stopped run goes on where it was.
    """
    from lookhear.search.details import read_details
    from lookhear.search.update import index_files

    reported = Reported()
    known = read_details(details) if details else None
    made = index_files(run, folders, out, details=known, on_error=reported, say=say, progress=True)
    counts = made.counts()
    files = ", ".join(f"{counts[k]:,.0f} {k}" for k in ("recordings", "pictures", "texts") if counts[k])
    say(f"{files}; {counts['segments']:,.0f} rows, {counts['hours']:.1f} hours")
    click.echo(out)
    return reported.code


@click.command(short_help="Vectors of files, without an index.")
@click.argument("run", type=FOLDER)
@click.argument("folders", type=FOLDER, nargs=-1, required=True, metavar="FOLDER...")
@click.option("-o", "--out", type=FOLDER, required=True, help="A .npz file.")
@click.option("--local", is_flag=True, help="The local vectors of recordings too.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
def embed(run: Path, folders: tuple[Path, ...], out: Path, local: bool, overwrite: bool) -> int:
    """Write the vectors that the model of RUN gives of the files in FOLDERs: `vectors` (rows, D), with `path`,
    `modality`, `start` and `end` of each row; with --local also `local` (frames, D) and `frames`, how many each file
    has."""
    from lookhear.search.vectors import write_vectors

    reported = Reported()
    rows = write_vectors(run, folders, out, local=local, overwrite=overwrite, on_error=reported, progress=True)
    say(f"{rows:,} rows")
    click.echo(out)
    return reported.code


@click.command(short_help="Ask an index by text, picture or recording.")
@click.argument("index")
@click.argument("query", required=False)
@click.option("--picture", "pictures", type=FOLDER, multiple=True, help="Ask by a picture; may be given again.")
@click.option("--recording", "recordings", type=FOLDER, multiple=True, help="Ask by a recording.")
@click.option("--like", multiple=True, metavar="FILE@START-END", help="Ask for more like a moment of the index.")
@click.option("--not", "unwanted", multiple=True, metavar="TEXT", help="What is not meant.")
@click.option("-k", type=click.IntRange(1), default=10, show_default=True, help="How many hits.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Which k of them.")
@click.option(
    "--kind",
    type=click.Choice(["moments", "recordings", "pictures", "texts", "all"]),
    default="moments",
    show_default=True,
)
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only files with one of these values (a,b,c).")
@click.option("--folder", help="Only files below a folder.")
@click.option("--since", metavar="DATE", help="Only files from a date on: 1957, 1957-03 or 1957-03-21.")
@click.option("--until", metavar="DATE", help="Only files up to a date.")
@click.option("--run", type=FOLDER, help="The run that the index was made with, if it was moved.")
@click.option("--jsonl", is_flag=True, help="Print a line of JSON for each hit.")
@JSON
def search(
    index: str,
    query: str | None,
    pictures: tuple[Path, ...],
    recordings: tuple[Path, ...],
    like: tuple[str, ...],
    unwanted: tuple[str, ...],
    k: int,
    page: int,
    kind: str,
    where: tuple[str, ...],
    folder: str | None,
    since: str | None,
    until: str | None,
    run: Path | None,
    jsonl: bool,
    as_json: bool,
) -> None:
    """Find what is said, shown or written in an INDEX by a written QUERY, pictures, recordings or a moment; several
    of them are asked together."""
    if query is None and not (pictures or recordings or like):
        raise UserError("nothing is asked", "Give a text, --picture FILE, --recording FILE or --like FILE@START-END.")
    chosen = _where(where, folder, since, until)
    from lookhear.models.model import Model
    from lookhear.search.searcher import Searcher

    searcher = Searcher(index, Model.load(run) if run else None)
    parts = searcher.parts([query]) if query is not None else []
    parts += [searcher.part(picture=p) for p in pictures] + [searcher.part(recording=r) for r in recordings]
    parts += [_moment(searcher, text) for text in like]
    none = searcher.parts(unwanted) if unwanted else []
    hits = searcher.find(parts, none, kind, k, (page - 1) * k, chosen)
    if not hits:
        say("nothing found" if page == 1 else f"no page {page}")
    if jsonl:
        for hit in hits:
            click.echo(json.dumps(hit.as_dict(), ensure_ascii=False))
    else:
        print_hits(hits, "query", as_json)
    if hits.more and not (jsonl or as_json):
        say(f"more: --page {page + 1}")


def _where(where: Sequence[str], folder: str | None, since: str | None, until: str | None) -> Where:
    from lookhear.search.index import Where

    details: dict[str, tuple[str, ...]] = {}
    for text in where:
        column, values = pair("--where", text)
        details[column] = (*details.get(column, ()), *values.split(","))
    return Where(folder=folder, since=since, until=until, details=details)


def _moment(searcher: Searcher, text: str) -> Part:
    """FILE@START-END, or FILE alone of a picture or text."""
    path, _, times = text.rpartition("@")
    path, times = (path, times) if path else (text, "0-0")
    try:
        start, _, end = times.partition("-")
        low, high = float(start), float(end)
    except ValueError:
        raise UserError(f"--like {text!r}", "Write it FILE@START-END, in seconds.") from None
    wanted = str(Path(path).absolute())
    source = next((s for s in searcher.index.sources() if s.path == wanted), None)
    if source is None:
        raise UserError(f"{path}: not in the index", "Name a file as `lookhear search` prints it.")
    return searcher.part(moment=searcher.answer(source.id, low, high))


VERBS = (index, embed, search)
