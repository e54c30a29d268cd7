"""Verbs that look through recordings for words, spoken examples and pictures, and that learn how sure to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookhear.cli.options import DATA, FOLDER, JSON, Reported, pair, print_hits, say
from lookhear.errors import UserError
from lookhear.search.hits.targets import KINDS, check_places, targets_of

if TYPE_CHECKING:
    from lookhear.models.model import Model
    from lookhear.search.queries import Asked

__all__ = ["calibrate", "spot"]


@click.command(short_help="Find where words are said in recordings.")
@click.argument("run", type=FOLDER)
@click.argument("files", type=FOLDER, nargs=-1, required=True, metavar="FILE...")
@click.option("-w", "--word", "words", multiple=True, help="A word or phrase to look for; may be given again.")
@click.option("--words", "word_list", type=FOLDER, metavar="LIST", help="A file of words, one a line.")
@click.option("--example", "examples", type=FOLDER, multiple=True, metavar="CLIP", help="Look for what a clip says.")
@click.option("--picture", "pictures", type=FOLDER, multiple=True, metavar="FILE", help="Look for what is pictured.")
@click.option("--not", "unwanted", multiple=True, metavar="WORD", help="What is not meant: its moments are no hits.")
@click.option(
    "--threshold",
    type=float,
    help="Lowest probability that counts (one half by default); of a model without calibration, lowest score.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    help="Prompt around the word, as 'a picture of a {word}'; several are averaged. By default as calibrated.",
)
@click.option("--out", "outs", type=FOLDER, multiple=True, help="A file (its ending tells the format), or a folder.")
@click.option("--format", "kind", type=click.Choice(list(KINDS)), help="The format where no ending tells it.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there.")
@click.option("--players", type=click.IntRange(0), default=200, show_default=True, help="Hits that a page can play.")
@JSON
def spot(
    run: Path,
    files: tuple[Path, ...],
    words: tuple[str, ...],
    word_list: Path | None,
    examples: tuple[Path, ...],
    pictures: tuple[Path, ...],
    unwanted: tuple[str, ...],
    threshold: float | None,
    templates: Sequence[str],
    outs: tuple[Path, ...],
    kind: str | None,
    overwrite: bool,
    players: int,
    as_json: bool,
) -> int:
    """Find where words are said in FILEs (or folders of them), of any length, without an index.

    With --out a job that was stopped goes on where it was when the same command is given again.
    """
    texts = [*words, *(_word_list(word_list) if word_list else [])]
    if not (texts or examples or pictures):
        more = "--words LIST, --example CLIP or --picture FILE"
        raise UserError("no words to spot", f"Name some: -w dog -w boat, {more}.")
    from lookhear.models.model import Model
    from lookhear.search.files import AUDIO, find_files
    from lookhear.search.hits.job import spot_to_files
    from lookhear.search.spot import best_first, hear

    if kind is not None and not outs:
        raise UserError(f"--format {kind} without --out", "Name a file or a folder: --out hits.")
    _tell_passed_over(files)
    found = find_files(files, AUDIO)
    targets = targets_of(outs, kind, found)
    check_places(targets, overwrite)  # before a model is loaded
    model, reported = Model.load(run), Reported()
    asked = _queries(model, texts, examples, pictures, unwanted, templates)
    if targets:
        heard = spot_to_files(
            model, found, asked, targets, threshold=threshold, overwrite=overwrite, players=players,
            on_error=reported, progress=True, say=say,
        )  # fmt: skip
    else:
        heard = list(hear(model, found, asked, threshold=threshold, on_error=reported, progress=True))
    if as_json or not targets:
        print_hits(best_first(h for each in heard for h in each.hits), "word", as_json)
    elif heard:
        for target in targets:
            click.echo(target.path)
    return reported.code


def _queries(
    model: Model,
    texts: Sequence[str],
    examples: Sequence[Path],
    pictures: Sequence[Path],
    unwanted: Sequence[str],
    templates: Sequence[str],
) -> list[Asked]:
    """All that is looked for, each by a name of its own."""
    from lookhear.search.queries import pictured, spoken, without, written

    texts = list(dict.fromkeys(texts))
    names = _names(texts, [*examples, *pictures])
    asked = written(model, texts, templates or None) if texts else []
    asked += [spoken(model, path, name) for path, name in zip(examples, names)]
    asked += [pictured(model, path, name) for path, name in zip(pictures, names[len(examples) :])]
    return without(asked, written(model, unwanted, templates or None)) if unwanted else asked


def _names(taken: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Files by their names; as they were given where another is called so."""
    count = Counter([*taken, *(p.name for p in paths)])
    names = [p.name if count[p.name] == 1 else str(p) for p in paths]
    twice = next((n for n, k in Counter([*taken, *names]).items() if k > 1), None)
    if twice is not None:
        raise UserError(f"{twice!r} is looked for twice", "Name it once, or rename the file.")
    return names


def _tell_passed_over(paths: Sequence[Path]) -> None:
    """What libsndfile does not read and lies in the folders is no mistake, and is not passed over in silence either."""
    from lookhear.audio import FOREIGN, conversion

    inside = (f for folder in paths if folder.is_dir() for f in sorted(folder.rglob("*")))
    other = [f for f in inside if f.suffix.lower() in FOREIGN and not f.name.startswith(".")]
    if other:
        kinds = " ".join(sorted({f.suffix.lower() for f in other}))
        what = "a file was" if len(other) == 1 else f"{len(other)} files were"
        say(f"{what} passed over ({kinds}): install ffmpeg and convert, as in: {conversion(other[0])}")


def _word_list(path: Path) -> list[str]:
    try:
        words = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        why = e.strerror if isinstance(e, OSError) else "not UTF-8 text"
        raise UserError(f"{path}: no readable word list ({why})", "Give a text file, one word a line.") from None
    words = [w for w in words if w]
    if not words:
        raise UserError(f"{path}: no words in this file", "Write one word a line.")
    return words


@click.command(short_help="Learn how sure a run's scores make its hits.")
@click.argument("run", type=FOLDER)
@DATA
@click.option("--on", metavar="CORPUS", help="Recordings of which it is known what they say, instead of pictures.")
@click.option("--split", help="Items of CORPUS; all of them by default.")
@click.option("--truth", default="text", show_default=True, help="The column of CORPUS that holds what is said.")
@click.option("-w", "--word", "words", multiple=True, metavar="WORD[=VALUE]", help="A word, and what TRUTH calls it.")
@click.option("--columns", multiple=True, metavar="OURS=THEIRS", help="What a column is called in CORPUS.")
def calibrate(
    run: Path,
    data: Path | None,
    on: str | None,
    split: str | None,
    truth: str,
    words: tuple[str, ...],
    columns: tuple[str, ...],
) -> None:
    """Learn which scores of RUN make it likely that a word is said, for `lookhear spot`.

    By default from the pictures of the run's own held-out recordings, without any transcript, as training does at its
    end. With --on, goes on from there with a few labelled recordings.
    """
    from lookhear.api import calibrate as learn

    asked = {word: value or word for word, _, value in (w.partition("=") for w in words)}
    named = dict(pair("--columns", c) for c in columns)
    found = learn(run, on, split, data=data, columns=named, words=asked, truth=truth)
    say(f"calibrated {len(found.words)} words, and all others by what any word scores")
    click.echo(run)
