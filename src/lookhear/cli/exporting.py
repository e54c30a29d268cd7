"""Verbs that write for other programs: a corpus in a published layout, a run as ONNX or as a card, runs on the hub."""

from __future__ import annotations

from pathlib import Path

import click

from lookhear.cli.options import FOLDER, Reported, say
from lookhear.errors import UserError, did_you_mean

__all__ = ["VERBS", "export"]

_MEANT = {
    "--layout": {"--out"},
    "--onnx": {"--tower"},
    "--card": {"--on", "--results", "--license"},
    "--clip-retrieval": {"--run"},
}
"""What to write → the options that say more about it."""
_TOKEN = click.option("--token", help="Of the hub; what `hf auth login` or HF_TOKEN left, by default.")


@click.command(short_help="Write a corpus, a run or an index for other programs.")
@click.argument("source", type=FOLDER)
@click.option("--layout", help="Of a corpus: flickr8k, places, spokencoco, speechcoco or yfacc; with --out.")
@click.option("--out", type=FOLDER, help="The folder that --layout makes.")
@click.option("--onnx", type=FOLDER, metavar="FOLDER", help="Of a run: its towers as ONNX files, in a new folder.")
@click.option("--tower", "towers", multiple=True, help="Only this one, with --onnx: speech, image or text.")
@click.option("--card", type=FOLDER, metavar="FILE", help="Of a run: its model card, as RUN/README.md.")
@click.option("--on", "corpus", type=FOLDER, metavar="CORPUS", help="What the run learned from, for the card.")
@click.option("--results", type=FOLDER, metavar="JSON", help="Its `evaluate --json`, for the card.")
@click.option("--license", "licence", default="", metavar="ID", help="For the card, as cc-by-4.0.")
@click.option("--clip-retrieval", "vectors", type=FOLDER, metavar="FOLDER", help="Of an index: its vectors.")
@click.option("--run", type=FOLDER, help="Embeds the files of a folder that is no index, for --clip-retrieval.")
def export(
    source: Path,
    layout: str | None,
    out: Path | None,
    onnx: Path | None,
    towers: tuple[str, ...],
    card: Path | None,
    corpus: Path | None,
    results: Path | None,
    licence: str,
    vectors: Path | None,
    run: Path | None,
) -> int:
    """Write SOURCE for other programs: a corpus (--layout), a run (--onnx, --card) or an index (--clip-retrieval)."""
    asked = {"--layout": layout, "--onnx": onnx, "--card": card, "--clip-retrieval": vectors}
    chosen = [name for name, value in asked.items() if value is not None]
    if len(chosen) != 1:
        raise UserError(f"{len(chosen)} things to write", f"Give one of {', '.join(asked)}.")
    extra = {"--out": out, "--tower": towers, "--on": corpus, "--results": results, "--license": licence, "--run": run}
    for name, value in extra.items():
        if value and name not in _MEANT[chosen[0]]:
            raise UserError(f"{name} says nothing of {chosen[0]}", "Leave it out; see `lookhear export --help`.")
    if layout is not None:
        _layout(source, layout, out)
    elif onnx is not None:
        _onnx(source, onnx, towers)
    elif card is not None:
        _card(source, card, corpus, results, licence)
    elif vectors is not None:
        return _vectors(source, vectors, run)
    return 0


def _layout(source: Path, layout: str, out: Path | None) -> None:
    from lookhear.data.corpora import WRITTEN, write_layout
    from lookhear.data.read import open_corpus

    if out is None:
        raise UserError("no folder to write the corpus into", "Name it with --out.")
    if layout not in WRITTEN:
        raise UserError(f"no layout {layout!r} to write", did_you_mean(layout, WRITTEN))
    left_out = write_layout(layout, open_corpus(source), out)
    if left_out:
        say(left_out)
    click.echo(out)


def _onnx(run: Path, out: Path, towers: tuple[str, ...]) -> None:
    from lookhear.exports.onnx import TOWERS, export_onnx

    for tower, difference in export_onnx(run, out, towers or TOWERS).items():
        say(f"{tower}: its numbers differ from the tower's by {difference:.1g} at most")
    click.echo(out)


def _card(run: Path, card: Path, corpus: Path | None, results: Path | None, licence: str) -> None:
    from lookhear.data.read import open_corpus
    from lookhear.exports.card import model_card
    from lookhear.models.model import write_atomically

    if card.exists():
        raise UserError(f"{card} is there already", "Name another file, or delete it.")
    text = model_card(run, corpus=None if corpus is None else open_corpus(corpus), results=results, licence=licence)
    write_atomically(card, text.encode())
    click.echo(card)


def _vectors(source: Path, out: Path, run: Path | None) -> int:
    from lookhear.exports.clip_retrieval import rows_of_files, rows_of_index, write_clip_retrieval
    from lookhear.models.model import Model
    from lookhear.search.index import open_index

    reported = Reported()
    if run is not None:
        rows = rows_of_files(Model.load(run), [source], on_error=reported, say=say, progress=True)
        made = write_clip_retrieval(rows, out)
    else:
        index = open_index(source)
        made = write_clip_retrieval(rows_of_index(index), out, [c for c in index.facets(1) if c != "folder"])
    say(", ".join(f"{n:,} rows of {kind}" for kind, n in made.items()))
    click.echo(out)
    return reported.code


@click.command(short_help="Upload a run to the Hugging Face hub.")
@click.argument("run", type=FOLDER)
@click.argument("name", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Where the repository is made: only for you.")
@_TOKEN
def push(run: Path, name: str, private: bool, token: str | None) -> None:
    """Upload what RUN needs, with its model card, as the repository OWNER/NAME; no checkpoints and logs."""
    from lookhear.exports.hub import push as upload

    click.echo(upload(run, name, private=private, token=token, say=say))


@click.command(short_help="Download a run from the Hugging Face hub.")
@click.argument("name", metavar="OWNER/NAME[@REVISION]")
@click.argument("out", type=FOLDER)
@_TOKEN
def pull(name: str, out: Path, token: str | None) -> None:
    """Download a run into the new folder OUT, whole or not at all; a revision is a branch, a tag or a commit."""
    from lookhear.exports.hub import pull as download

    say(f"{name}: commit {download(name, out, token=token)}")
    click.echo(out)


VERBS = (push, pull)
