"""The command line: verbs only. Parse, import late, call the API, print.

Results go to stdout, everything else to stderr. A mistake of the user's is one line and exit code 2.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lookhear.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from lookhear.core import Hit
    from lookhear.data.schema import Corpus

__all__ = ["main"]

FOLDER = click.Path(path_type=Path)
_DATA = click.option(
    "--data", type=FOLDER, envvar="LOOKHEAR_DATA", show_envvar=True, help="Data root: the folder of data sets."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")


def _say(line: str) -> None:
    if "tqdm" in sys.modules:  # a bar may be on the screen: it makes room for the line
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        click.echo(line, err=True)


def _fail(error: UserError) -> None:
    _say("lookhear: " + " ".join(str(error).split("\n")))


class _Reported:
    """Files that could not be read: one line each as they come, exit code 2 when the rest is done."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: UserError) -> None:
        self.count += 1
        _fail(error)

    @property
    def code(self) -> int:
        if self.count:
            _say(f"lookhear: {self.count} file{'s' if self.count > 1 else ''} left out, see above")
        return 2 if self.count else 0


class _Verbs(click.Group):
    """Verbs in the order of use; a mistyped one is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise UserError(f"no command {args[0]!r}", did_you_mean(args[0], self.commands))
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        import lookhear

        click.echo(f"lookhear {lookhear.__version__}")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Search speech with any written word, learned only from pictures and what people say about them."""


@cli.command(short_help="The whole line, on a made-up picture book.")
@click.option("--out", type=FOLDER, default=Path("demo-out"), show_default=True, help="Folder of the report.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A few scenes and steps only: to see that everything runs.")
def demo(out: Path, seed: int, quick: bool) -> None:
    """The whole line on a made-up picture book: data, teacher, speech, evaluation, search, report."""
    from lookhear.demo import run_demo

    run_demo(out, seed, quick)


@cli.command(short_help="Make a corpus of recordings and pictures on disk.")
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

        given = dict(_pair("--option", o) for o in options)
        corpus = run(
            source, out, layout=layout, options=given, inside=not paths, workers=workers, strict=strict, progress=True
        )
        found = corpus.meta["problems"]
        _say(f"{len(corpus)} items; {found['refused']} refused, {found['repaired']} mended")
        if found["refused"] or found["repaired"]:
            _say(f"see {out / PROBLEMS}")
        _findings(corpus)
    click.echo(out)


def _findings(corpus: Corpus) -> None:
    from lookhear.data.checks import check

    for finding in check(corpus):
        _say(f"check: {finding}")


def _picturebook(out: Path, seed: int, scenes: int | None, size: int) -> None:
    from lookhear.data.picturebook.build import prepare_picturebook
    from lookhear.data.picturebook.plan import DEFAULT_SCENES

    shares = None
    if scenes is not None:
        whole = sum(DEFAULT_SCENES.values())
        shares = {split: max(1, round(scenes * n / whole)) for split, n in DEFAULT_SCENES.items()}
    prepare_picturebook(out, seed, scenes=shares, size=size)


@cli.command(short_help="What a corpus holds, in tables and as a page.")
@click.argument("corpus", type=FOLDER)
@click.option("--html", type=FOLDER, metavar="FILE", help="Write a page with pictures and players.")
@_JSON
def inspect(corpus: Path, html: Path | None, as_json: bool) -> None:
    """Hours, speakers, lengths, words and splits of CORPUS, what is in it twice, and what leaks between splits."""
    from lookhear.data.inspect import write_page
    from lookhear.data.read import open_corpus
    from lookhear.data.summary import summarise

    found = open_corpus(corpus)
    summary = summarise(found)
    _findings(found)
    if html is not None:
        _say(f"page: {write_page(found, html)}")
    click.echo(json.dumps(summary.as_dict(), indent=1, ensure_ascii=False) if as_json else summary.text())


@cli.command(short_help="Write a corpus in the layout of a published one.")
@click.argument("corpus", type=FOLDER)
@click.option("--layout", required=True, help="flickr8k, places, spokencoco, speechcoco or yfacc.")
@click.option("--out", type=FOLDER, required=True, help="The folder to make.")
def export(corpus: Path, layout: str, out: Path) -> None:
    """Write CORPUS so that programs made for a published corpus can read it."""
    from lookhear.data.corpora import WRITTEN, write_layout
    from lookhear.data.read import open_corpus

    if layout not in WRITTEN:
        raise UserError(f"no layout {layout!r} to write", did_you_mean(layout, WRITTEN))
    left_out = write_layout(layout, open_corpus(corpus), out)
    if left_out:
        _say(left_out)
    click.echo(out)


@cli.command(short_help="A part of a corpus.")
@click.argument("corpus", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="The corpus folder to make.")
@click.option("--where", "wanted", multiple=True, metavar="COLUMN=VALUE", help="Keep these; several values are 'or'.")
@click.option("--groups", type=click.IntRange(1), help="Of those, so many pictures with all their captions.")
@click.option("--seed", type=int, default=0, show_default=True)
def subset(corpus: Path, out: Path, wanted: tuple[str, ...], groups: int | None, seed: int) -> None:
    """Make a corpus of some items of CORPUS, by the values of columns or at random."""
    from lookhear.data.read import open_corpus
    from lookhear.data.reshape import subset as run

    where: dict[str, list[str]] = {}
    for name, value in (_pair("--where", w) for w in wanted):
        where.setdefault(name, []).append(value)
    click.echo(run(open_corpus(corpus), out, where, groups, seed))


@cli.command(short_help="Several corpora as one.")
@click.argument("corpora", type=FOLDER, nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, help="The corpus folder to make.")
def merge(corpora: tuple[Path, ...], out: Path) -> None:
    """Make one corpus of several; ids and groups get their corpus's name before them."""
    from lookhear.data.read import open_corpus
    from lookhear.data.reshape import merge as run

    made = run([open_corpus(c) for c in corpora], out)
    _findings(open_corpus(made))
    click.echo(made)


@cli.command(short_help="Draw the splits of a corpus anew, without leaks.")
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
    for name, value in (_pair("--share", s) for s in shares or ("train=8", "val=1", "test=1")):
        try:
            given[name] = float(value)
        except ValueError:
            raise UserError(f"--share {name}={value} is no number", "Write train=8.") from None
    made = run(open_corpus(corpus), out, by, given, seed)
    _findings(open_corpus(made))
    click.echo(made)


@cli.command(short_help="Annotations from one format into another.")
@click.argument("source", type=FOLDER)
@click.argument("out", type=FOLDER)
def convert(source: Path, out: Path) -> None:
    """Write the annotation file SOURCE as OUT: TextGrid, EAF, CTM, SRT, VTT, Audacity labels or CSV, by the endings."""
    from lookhear.data.annotations import read_annotation, write_annotation

    write_annotation(read_annotation(source), out)
    click.echo(out)


@cli.command(short_help="Train a recipe; leaves a run folder.")
@click.argument("recipe")
@_DATA
@click.option("--out", type=FOLDER, required=True, help="The run folder; a stopped run in it goes on.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the recipe: section.key=value.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.")
def train(
    recipe: str, data: Path | None, out: Path, changes: tuple[str, ...], threads: int | None, seed: int | None
) -> None:
    """Train RECIPE (a name, see `lookhear recipes`, or a file) and leave a run folder."""
    if data is None:
        raise UserError("no data to train on", "Name the data root with --data, or set LOOKHEAR_DATA.")
    from lookhear.training.train import train as run

    more = [f"{k}={v}" for k, v in (("threads", threads), ("seed", seed)) if v is not None]
    run(recipe, data, out, changes=[*changes, *more], say=_say)
    click.echo(out)


@cli.command(short_help="Measure a run, on its own data or any corpus.")
@click.argument("run", type=FOLDER)
@click.option("--on", metavar="CORPUS", help="A corpus folder, a manifest, or a data set's name under --data.")
@click.option("--split", help="Its items; the recipe's test split by default.")
@_DATA
@click.option("--columns", multiple=True, metavar="OURS=THEIRS", help="What a column is called in CORPUS.")
@click.option("--json", "json_file", type=FOLDER, metavar="FILE", help="Write the figures as JSON too ('-': stdout).")
def evaluate(
    run: Path, on: str | None, split: str | None, data: Path | None, columns: tuple[str, ...], json_file: Path | None
) -> None:
    """Measure RUN by its own evaluation sections, on its own test items or on any corpus."""
    from lookhear.api import by_kind, recipe_of
    from lookhear.api import evaluate as measure
    from lookhear.models.model import write_atomically
    from lookhear.tasks.tables import tables

    named = dict(_pair("--columns", c) for c in columns)
    split = split or recipe_of(run).data.test
    results = measure(run, on, split, data=data, columns=named, progress=sys.stderr.isatty(), say=_say)
    if json_file == Path("-"):
        click.echo(_json(by_kind(results)))
        return
    if json_file is not None:
        write_atomically(json_file, (_json(by_kind(results)) + "\n").encode())
    click.echo(tables(results))


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UserError(f"{option} {text!r}", f"Write {option} ours=theirs.")
    return key, value


@cli.command(short_help="Embed folders of recordings and pictures.")
@click.argument("run", type=FOLDER)
@click.argument("folders", type=FOLDER, nargs=-1, required=True, metavar="FOLDER...")
@click.option("-o", "--out", type=FOLDER, required=True, help="The index folder.")
def index(run: Path, folders: tuple[Path, ...], out: Path) -> int:
    """Embed the recordings and pictures in FOLDERs with the model of RUN, for `lookhear search`."""
    from lookhear.search.embed import index_files

    reported = _Reported()
    made = index_files(run, folders, out, on_error=reported, say=_say, progress=True)
    _say(f"{made.about['files']} files, {len(made)} segments")
    click.echo(out)
    return reported.code


@cli.command(short_help="Ask an index by text, picture or recording.")
@click.argument("index", type=FOLDER)
@click.argument("query", required=False)
@click.option("--picture", type=FOLDER, help="Search with a picture instead of a text.")
@click.option("--recording", type=FOLDER, help="Search with a recording instead of a text.")
@click.option("-k", type=click.IntRange(1), default=10, show_default=True, help="How many hits.")
@click.option("--kind", type=click.Choice(["recordings", "pictures", "all"]), default="recordings", show_default=True)
@click.option("--run", type=FOLDER, help="The run that the index was made with, if it was moved.")
@_JSON
def search(
    index: Path,
    query: str | None,
    picture: Path | None,
    recording: Path | None,
    k: int,
    kind: str,
    run: Path | None,
    as_json: bool,
) -> None:
    """Find what is said (or shown) in an INDEX by a written QUERY, a picture or a recording."""
    asked = {m: q for m, q in (("text", query), ("picture", picture), ("recording", recording)) if q is not None}
    if len(asked) != 1:
        raise UserError(f"{len(asked)} queries", "Give one: a text, --picture FILE or --recording FILE.")
    from lookhear.models.model import Model
    from lookhear.search.searcher import Searcher

    ((modality, what),) = asked.items()
    searcher = Searcher(index, Model.load(run) if run else None)
    hits = searcher.search(what, k, None if kind == "all" else kind, modality=modality)  # type: ignore[arg-type]
    if not hits:
        _say(f"{index} holds no {kind if kind != 'all' else 'rows'}")
    _print(hits, "query", as_json)


@cli.command(short_help="Find where words are said in recordings.")
@click.argument("run", type=FOLDER)
@click.argument("files", type=FOLDER, nargs=-1, required=True, metavar="FILE...")
@click.option("-w", "--word", "words", multiple=True, help="A word or phrase to look for; may be given again.")
@click.option("--words", "word_list", type=FOLDER, metavar="LIST", help="A file of words, one a line.")
@click.option("--threshold", type=float, help="Lowest score that counts; by default each word's own statistics say.")
@click.option("--template", default="{word}", show_default=True, help="Prompt around the word.")
@_JSON
def spot(
    run: Path,
    files: tuple[Path, ...],
    words: tuple[str, ...],
    word_list: Path | None,
    threshold: float | None,
    template: str,
    as_json: bool,
) -> int:
    """Find where words are said in FILEs (or folders of them), of any length, without an index."""
    asked = [*words, *(_word_list(word_list) if word_list else [])]
    if not asked:
        raise UserError("no words to spot", "Name some: -w dog -w boat, or --words LIST.")
    from lookhear.models.model import Model
    from lookhear.search.embed import AUDIO, find_files
    from lookhear.search.spot import spot as find

    reported = _Reported()
    found = find_files(files, AUDIO)
    hits = find(Model.load(run), found, asked, threshold=threshold, template=template, on_error=reported, progress=True)
    _print(list(hits), "word", as_json)
    return reported.code


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


@cli.command(short_help="List or print the recipes.")
@click.argument("name", required=False)
@click.option("--schema", is_flag=True, help="Print the JSON schema of a recipe, for editors.")
def recipes(name: str | None, schema: bool) -> None:
    """List the recipes that come with LookHear, or print one."""
    if schema:
        from lookhear.recipe import json_schema

        click.echo(json_schema())
        return
    from importlib import resources

    # Not through lookhear.recipe, which imports torch to know what a recipe may say.
    folder = resources.files("lookhear") / "recipes"
    texts = {p.name[:-5]: p.read_text(encoding="utf-8") for p in folder.iterdir() if p.name.endswith(".toml")}
    if name is not None:
        if name not in texts:
            raise UserError(f"no recipe {name!r}", did_you_mean(name, texts))
        click.echo(texts[name], nl=False)
        return
    for known in sorted(texts):
        first = next((line for line in texts[known].splitlines() if line.startswith("#")), "")
        click.echo(f"{known:<16}  {first.lstrip('# ')}".rstrip())


def _json(value: Any) -> str:
    return json.dumps(value, indent=1)


def _print(hits: Sequence[Hit], query_key: str, as_json: bool) -> None:
    """Hits as a JSON list, or as one line each: score, time, word (where several were asked for), file."""
    if as_json:
        click.echo(_json([hit.as_dict(query_key) for hit in hits]))
        return
    for hit in hits:
        word = f"  {hit.query}" if query_key == "word" else ""
        click.echo(f"{hit.score:8.3f}  {hit.start:8.2f}–{hit.end:.2f} s{word}  {hit.file}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point: runs a verb and turns whatever a user can cause into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name must not break the listing it stands in
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(
            args=None if arguments is None else list(arguments), prog_name="lookhear", standalone_mode=False
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except UserError as e:
        _fail(e)
    except click.exceptions.NoArgsIsHelpError as e:
        e.show()
    except click.UsageError as e:
        command = e.ctx.command_path if e.ctx is not None else "lookhear"
        _fail(UserError(e.format_message().rstrip("."), f"See `{command} --help`."))
    except click.ClickException as e:
        _fail(UserError(e.format_message().rstrip("."), ""))
    except (click.Abort, KeyboardInterrupt):
        _say("stopped; run the same command again to go on")
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing more to say, and nothing to flush at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "Free some space; what was saved before is kept." if full else "Check the path and its permissions."
        _fail(UserError(f"{where}{(e.strerror or str(e)).lower()}", fix))
    return 2


if __name__ == "__main__":
    main()
