"""The verb that answers over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from lookhear.cli.options import FOLDER, say

__all__ = ["serve"]


@click.command(short_help="A page and an API to search an index with.")
@click.argument("index", type=FOLDER)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
@click.option("--token", envvar="LOOKHEAR_TOKEN", show_envvar=True, help="Asked of everybody; a secret.")
@click.option("--name", "names", multiple=True, help="A further host name that it is reached by, as behind a proxy.")
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@click.option("--run", type=FOLDER, help="The run that the index was made with, if it was moved.")
@click.option("--linked", type=FOLDER, multiple=True, help="A folder that links of the archive may lead into.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Searches at one time.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Queries of a forward pass.")
@click.option("--log", is_flag=True, help="A line for each request, without what was asked.")
def serve(
    index: Path,
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    opened: bool,
    run: Path | None,
    linked: tuple[Path, ...],
    threads: int,
    batch: int,
    log: bool,
) -> None:
    """Search INDEX from a page in the browser, or by the API that /openapi.json tells. Ctrl-C stops it.

    Only this machine can reach it, unless --host names another address, which needs --token.
    """
    from lookhear.serve.server import place

    at = place(host, port, token, names)  # before anything is loaded
    import logging

    from lookhear.serve.limits import Limits
    from lookhear.serve.server import serve as answer

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO if log else logging.WARNING)

    def ready() -> None:
        click.echo(at.address)
        if opened:
            click.launch(at.address)

    answer(index, at, Limits(batch=batch), run=run, linked=linked, threads=threads, log=log, ready=ready)
    say("stopped")
