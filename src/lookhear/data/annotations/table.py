"""Intervals as a table (.csv): a row an interval, with columns tier, label, start and end (seconds).

The column ``tier`` may lack; usual other names of these columns are known, and further columns are passed over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from lookhear.data.annotations.files import put, read_text
from lookhear.data.annotations.tiers import Annotation, Form, Interval, Tier, in_order, number, sayable, span, wrong

__all__ = ["read", "write"]

FORM = Form("a CSV file", decimals=6, named=True, lines=True, points=True)
COLUMNS = {
    "tier": ("tier",),
    "label": ("label", "word", "text"),
    "start": ("start", "start_s", "begin", "xmin"),
    "end": ("end", "end_s", "stop", "xmax"),
}


def read(path: Path) -> Annotation:
    """The tiers in the order of their first rows; a table without tiers is one called words.

    Raises:
        UserError: no header, a missing column, a row of another length or without times.
    """
    tiers: dict[str, list[Interval]] = {}
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, None)
        places = _places(path, header or [])
        if "tier" not in places:
            tiers["words"] = []
        for row in reader:
            if not row:
                continue
            line = reader.line_num
            if len(row) != len(header or []):
                raise wrong(path, line, f"{len(row)} fields for {len(header or [])} columns", "Mend the row.")
            got = {ours: row[k] for ours, k in places.items()}
            try:
                times = number(got["start"].strip()), number(got["end"].strip())
            except ValueError as e:
                raise wrong(path, line, f"a time that is no number: {e}", "Give seconds.") from None
            interval = span(path, line, got["label"], *times)
            tiers.setdefault(got.get("tier", "words").strip(), []).append(interval)
    except csv.Error as e:
        raise wrong(path, reader.line_num, f"not CSV ({e})", "Mend the quotes of the row.") from None
    return Annotation(tuple(Tier(name, in_order(intervals)) for name, intervals in tiers.items()))


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    lower = [h.strip().lower() for h in header]
    found = {ours: lower.index(n) for ours, names in COLUMNS.items() for n in reversed(names) if n in lower}
    for ours in ("label", "start", "end"):
        if ours not in found:
            fix = "The first line names the columns: tier, label, start, end."
            raise wrong(path, 1, f"no column {ours!r}", fix)
    return found


def write(annotation: Annotation, path: Path) -> None:
    """To the microsecond. Media and duration have no place in it.

    Raises:
        UserError: a tier without intervals, of which a table of intervals says nothing.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for tier in sayable(annotation, path, FORM):
        if not tier.intervals:
            raise wrong(path, None, f"tier {tier.name!r} is empty; a CSV file has no row for it", "Leave it out.")
        for i in tier.intervals:
            writer.writerow((tier.name, i.label, _plain(i.start), _plain(i.end)))
    put(path, buffer.getvalue())


def _plain(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
