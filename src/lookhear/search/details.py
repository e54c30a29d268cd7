"""What is known about files beside their content: who speaks, when, in which language."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from lookhear.errors import UserError, did_you_mean

__all__ = ["Details", "read_details"]

_NAMES = ("file", "path", "filename", "audio", "image")
MOST = 100  # characters of a value: what is longer is no property to choose by


class Details:
    """Column → value of each file.

    Args:
        table: path → its details; a path may name a folder, whose files then have them.
    """

    def __init__(self, table: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.table = dict(table or {})

    def of(self, path: str) -> dict[str, str]:
        """Those of a file, by its absolute path; those of its folders count where it has none itself."""
        out: dict[str, str] = {}
        for place in (*reversed(Path(path).parents), Path(path)) if self.table else ():
            out |= self.table.get(str(place), {})
        return out


def read_details(path: Path | str) -> Details:
    """A CSV or TSV table with a column ``file`` (a path from the table's folder, of a file or a folder) and any others.

    A column ``date`` is written year first (1957, 1957-03, 1957-03-21). Empty cells say nothing.

    Raises:
        UserError: no such table, no column of files, a file named twice, or a date that is none.
    """
    from lookhear.search.index import dates_between

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read ({e})", "Give a table in CSV or TSV, in UTF-8.") from None
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    names = [n for n in rows.fieldnames or () if n]
    key = next((n for n in _NAMES if n in names), None)
    if key is None:
        raise UserError(f"{path}: no column of files", f"Call it {_NAMES[0]}; {did_you_mean('file', names)}")
    table: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, 2):
        cell = (row[key] or "").strip()
        if not cell:
            continue
        place = str(Path(path.parent.absolute(), cell))
        if place in table:
            raise UserError(f"{path}, row {number}: {cell} a second time", "Give each file one row.")
        about = {n: (row[n] or "").strip()[:MOST] for n in names if n != key}
        about = {n: v for n, v in about.items() if v}
        try:
            dates_between(about.get("date"), None)
        except UserError as e:
            raise UserError(f"{path}, row {number}: {e.what}", e.fix) from None
        table[place] = about
    return Details(table)
