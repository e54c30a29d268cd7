"""The command line: verbs only. Parse, import late, call the API, print.

Results go to stdout, everything else to stderr. A mistake of the user's is one line and exit code 2.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lookhear.cli import corpora, exporting, runs, serving, studies
from lookhear.cli.methods import methods
from lookhear.cli.options import fail, say
from lookhear.errors import UserError, did_you_mean

__all__ = ["main"]


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


for verb in (runs.demo, *corpora.VERBS, *runs.VERBS, serving.serve, *exporting.VERBS, *studies.VERBS, methods):
    cli.add_command(verb)


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
        fail(e)
    except click.exceptions.NoArgsIsHelpError as e:
        e.show()
    except click.UsageError as e:
        command = e.ctx.command_path if e.ctx is not None else "lookhear"
        fail(UserError(e.format_message().rstrip("."), f"See `{command} --help`."))
    except click.ClickException as e:
        fail(UserError(e.format_message().rstrip("."), ""))
    except (click.Abort, KeyboardInterrupt):
        say("stopped; run the same command again to go on")
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing more to say, and nothing to flush at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        full = e.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "Free some space; what was saved before is kept." if full else "Check the path and its permissions."
        fail(UserError(f"{where}{(e.strerror or str(e)).lower()}", fix))
    return 2
