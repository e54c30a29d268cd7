"""The verb about methods: what there is to learn by, and what was measured of it."""

from __future__ import annotations

import click

from lookhear.cli.options import as_json_text

__all__ = ["methods"]


@click.command(short_help="List the methods of learning, or show one.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def methods(name: str | None, as_json: bool) -> None:
    """List the methods with their kind, family, recipe and whether their criterion is met, or show NAME's page."""
    from lookhear import catalogue

    if name is None:
        click.echo(as_json_text(catalogue.methods()) if as_json else catalogue.listing())
    else:
        click.echo(as_json_text(catalogue.method(name)) if as_json else catalogue.page(name))
