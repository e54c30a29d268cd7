"""Hits of all recordings as rows: a JSON list, JSON lines, or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lookhear.search.spot import Heard

__all__ = ["write_table"]


def write_table(kind: str, found: Iterable[Heard], path: Path) -> None:
    """The rows that ``lookhear spot --json`` prints, recording by recording, in order of time.

    Args:
        kind: json, jsonl or csv.
    """
    rows = [hit.as_dict("word") for heard in found for hit in heard.hits]
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        if kind == "csv":
            _write_csv(rows, file)
        elif kind == "jsonl":
            file.writelines(json.dumps(_ordered(row), ensure_ascii=False) + "\n" for row in rows)
        else:
            json.dump([_ordered(row) for row in rows], file, indent=1, ensure_ascii=False)
            file.write("\n")


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return {k: row[k] for k in ("file", "word", "start", "end", "score", "probability") if k in row}


def _write_csv(rows: list[dict[str, Any]], file: Any) -> None:
    columns = ["file", "word", "start", "end", "score"]
    if any("probability" in row for row in rows):
        columns.append("probability")
    writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
