"""What several verbs share: options, and how a line, a mistake or JSON is said."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookhear.errors import UserError

if TYPE_CHECKING:
    from lookhear.core import Hit

__all__ = ["DATA", "FOLDER", "JSON", "Reported", "as_json_text", "fail", "pair", "print_hits", "say"]

FOLDER = click.Path(path_type=Path)
DATA = click.option(
    "--data", type=FOLDER, envvar="LOOKHEAR_DATA", show_envvar=True, help="Data root: the folder of data sets."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")


def say(line: str) -> None:
    if "tqdm" in sys.modules:  # a bar may be on the screen: it makes room for the line
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        click.echo(line, err=True)


def fail(error: UserError) -> None:
    say("lookhear: " + " ".join(str(error).split("\n")))


class Reported:
    """Files that could not be read: one line each as they come, exit code 2 when the rest is done."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: UserError) -> None:
        self.count += 1
        fail(error)

    @property
    def code(self) -> int:
        if self.count:
            say(f"lookhear: {self.count} file{'s' if self.count > 1 else ''} left out, see above")
        return 2 if self.count else 0


def pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise UserError(f"{option} {text!r}", f"Write {option} ours=theirs.")
    return key, value


def as_json_text(value: Any) -> str:
    return json.dumps(value, indent=1)


def print_hits(hits: Sequence[Hit], query_key: str, as_json: bool) -> None:
    """Hits as a JSON list, or as one line each: score, time, word (where several were asked for), file."""
    if as_json:
        click.echo(as_json_text([hit.as_dict(query_key) for hit in hits]))
        return
    for hit in hits:
        word = f"  {hit.query}" if query_key == "word" else ""
        sure = "" if hit.probability is None else f"  {100 * hit.probability:3.0f} %"
        click.echo(f"{hit.score:8.3f}{sure}  {hit.start:8.2f}–{hit.end:.2f} s{word}  {hit.file}")
