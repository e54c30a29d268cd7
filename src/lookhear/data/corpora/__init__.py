"""Raw layouts of corpora, one reader a file: what each gives, and which of them a folder holds.

A layout is a module with

- ``recognises(source) -> bool``: whether a folder (or file) looks like it; quick, opens next to nothing;
- ``open_raw(source, options) -> Raw``: checks the lists that it needs and raises a UserError where one is missing;
- and, where it can be written too, ``write_raw(corpus, out)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa

from lookhear.data.items import Item, Problems
from lookhear.data.schema import Corpus
from lookhear.errors import UserError, did_you_mean

__all__ = ["LAYOUTS", "WRITTEN", "Layout", "Raw", "layout_of", "load_layout", "write_layout"]


@dataclass(frozen=True)
class Raw:
    """An opened raw corpus.

    Attributes:
        name: for messages and reports.
        items: gives the items in an order that is always the same; those of one picture next to each other. What is
            wrong with single items goes to the Problems given; nothing is left out in silence.
        extra: columns that its items have beyond the schema.
        meta: what comes with the corpus as a whole (word lists, …), JSON-able.
    """

    name: str
    items: Callable[[Problems], Iterator[Item]]
    extra: tuple[pa.Field, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


class Layout(Protocol):
    """What a module of a layout has."""

    def recognises(self, source: Path) -> bool: ...

    def open_raw(self, source: Path, options: Mapping[str, str]) -> Raw: ...


LAYOUTS: tuple[str, ...] = (
    "flickr8k",
    "yfacc",
    "places",
    "spokencoco",
    "speechcoco",
    "webdataset",
    "hfdatasets",
    "elan",
    "praat",
    "manifest",
    "folder",
)
"""Names of the layouts, which are those of their modules here, the special before the general."""


WRITTEN = ("flickr8k", "places", "spokencoco", "speechcoco", "yfacc")
"""Layouts that a corpus can be written in."""
_RECORDINGS_ONLY = ("places", "spokencoco", "speechcoco")
_HELD = {"id", "group", "split", "audio", "image", "text", "language", "speaker", "words"}
_ALSO_HELD = {"speechcoco": {"gender", "nationality"}}


def load_layout(name: str) -> Layout:
    """A layout by its name.

    Raises:
        UserError: there is none of this name.
    """
    if name not in LAYOUTS:
        raise UserError(f"no layout {name!r}", did_you_mean(name, LAYOUTS))
    return cast(Layout, importlib.import_module(f"{__name__}.{name}"))


def layout_of(source: Path) -> str:
    """The layout that a folder or file is in.

    Raises:
        UserError: it is in none, or does not exist.
    """
    if not source.exists():
        raise UserError(f"{source}: no such folder or file", "Check the path.")
    for name in LAYOUTS:
        if load_layout(name).recognises(source):
            return name
    raise UserError(
        f"{source}: in no layout that is known", f"Force one with --layout ({', '.join(LAYOUTS)}), or write a manifest."
    )


def write_layout(name: str, corpus: Corpus, out: Path) -> str:
    """Writes a prepared corpus in one of the layouts ``WRITTEN``, into a new folder.

    Returns:
        what of the corpus has no place there, for people; empty if everything has.

    Raises:
        UserError: the layout cannot say what the corpus holds, or the folder cannot be made.
    """
    from lookhear.data.corpora.captions_out import not_written
    from lookhear.data.rows import EXTRA

    cast(Any, load_layout(name)).write_raw(corpus, out)
    held = _HELD | _ALSO_HELD.get(name, set()) | {field.name for field in EXTRA}
    columns = [c for c in corpus.table.column_names if c not in held and corpus.has(c)]
    told = [not_written(corpus)] if name in _RECORDINGS_ONLY else []
    told += [f"left out: the columns {', '.join(columns)}, which this layout has no place for"] if columns else []
    return "\n".join(filter(None, told))
