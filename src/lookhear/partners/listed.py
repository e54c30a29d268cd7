"""Partners that a file names."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.partners.base import Partners, PartnerSection

__all__ = ["ListedPartners"]


class ListedPartners(PartnerSection):
    """Pairs by id from a CSV file with the columns ``id``, ``partner`` and, if they differ, ``weight``.

    An item that the file does not name is its own partner.
    """

    kind: Literal["listed"] = "listed"
    file: str

    def find(self, model: Any, corpus: Corpus, rows: NDArray[np.int64]) -> Partners:
        """See the class.

        Raises:
            UserError: the file cannot be read, or names an id that is not among these items.
        """
        number = {name: i for i, name in enumerate(corpus.table["id"].take(rows).to_pylist())}
        named: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for line, row in _rows(Path(self.file).expanduser()):
            where = f"{self.file}, line {line}"
            for key in ("id", "partner"):
                if row[key] not in number:
                    raise UserError(
                        f"{where}: no item {row[key]!r} among those learned from", "Take the line out, or its split in."
                    )
            named[number[row["id"]]].append((number[row["partner"]], _weight(row.get("weight"), where)))
        width = max((len(v) for v in named.values()), default=1)
        found, weights = np.zeros((len(rows), width), dtype=np.int64), np.zeros((len(rows), width))
        for i in range(len(rows)):
            for place, (partner, weight) in enumerate(named.get(i, [(i, 1.0)])):
                found[i, place], weights[i, place] = partner, weight
        return Partners(found, weights)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not {"id", "partner"} <= set(reader.fieldnames or ()):
                raise UserError(f"{path}: no columns 'id' and 'partner'", "Name them in its first line.")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise UserError(f"{path}: partners cannot be read ({e})", "Give a CSV file in UTF-8.") from None


def _weight(text: str | None, where: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise UserError(f"{where}: a weight of {text!r}", "Weights are numbers above 0.")
    return weight
