"""Image vectors computed elsewhere, and class probabilities beside them, joined to a manifest by id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from lookhear.core import Section
from lookhear.data.manifest import load_npz, npz_array
from lookhear.data.schema import safe_path
from lookhear.errors import UserError, did_you_mean

__all__ = ["Vectors", "class_names", "class_shares", "join_vectors"]


class Vectors(Section):
    """Image vectors computed elsewhere, in an npz archive or a Parquet file beside the manifest, joined by id.

    Attributes:
        values: the array (or column) of the vectors.
        probabilities: an array of class probabilities for the same pictures. Their square roots, which are of unit
            length (two such vectors are as far apart as the distributions by Hellinger's measure), follow the
            vector, itself brought to unit length, at ``probability_weight`` times that length.
        classes: a file of the classes' names, a line each. The probabilities are then a column of their own too, called
            ``classes``, which an objective may ask (``tagger = "classes"``).
    """

    file: str
    ids: str = "ids"
    values: str = "embedding"
    probabilities: str | None = None
    probability_weight: float = Field(0.5, gt=0)
    classes: str | None = None


def join_vectors(folder: Path, vectors: Vectors) -> dict[str, np.ndarray]:
    """Id → (V,) vector, with the roots of its class probabilities behind it where they are asked for.

    Raises:
        UserError: a file that cannot be read, an array that is not there, rows that do not fit the ids, or numbers that
            are no probabilities.
    """
    path = safe_path(folder, vectors.file)
    names = [vectors.values] + ([] if vectors.probabilities is None else [vectors.probabilities])
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as e:
            raise UserError(
                f"{path}: not a readable Parquet file ({str(e).splitlines()[0]})", "Copy it again."
            ) from None
        for key in (vectors.ids, *names):
            if key not in table.column_names:
                raise UserError(f"{path}: no column {key!r}", did_you_mean(key, table.column_names))
        ids, given = table[vectors.ids].to_pylist(), [table[name].to_pylist() for name in names]
    else:
        with load_npz(path) as archive:
            ids = npz_array(archive, vectors.ids, path).tolist()
            given = [npz_array(archive, name, path) for name in names]
    parts = [_matrix(values, len(ids), name, path) for values, name in zip(given, names)]
    if vectors.probabilities is not None:
        if not (np.isfinite(parts[1]).all() and (parts[1] >= 0).all()):
            raise UserError(
                f"{path}: {vectors.probabilities!r} holds numbers below 0 or NaN",
                "Name an array of probabilities (not of logits).",
            )
        parts = [_unit(parts[0]), vectors.probability_weight * _unit(np.sqrt(parts[1]))]
    return dict(zip(map(str, ids), np.concatenate(parts, 1)))


def class_names(folder: Path, vectors: Vectors) -> list[str]:
    """The names of the C classes, in order.

    Raises:
        UserError: a file that cannot be read, or no probabilities that it names.
    """
    path = safe_path(folder, vectors.classes or "")
    if vectors.probabilities is None:
        raise UserError(f"{path}: names of classes without their probabilities", "Name the array: probabilities = ….")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise UserError(f"{path}: cannot be read ({e})", "Give a text file, a name a line.") from None


def class_shares(vector: np.ndarray, vectors: Vectors, count: int, folder: Path) -> np.ndarray:
    """(C,) probabilities, which add up to one, out of a joined vector's end.

    Raises:
        UserError: ``count`` is not the number of classes.
    """
    tail = vector[-count:] / vectors.probability_weight
    # The other numbers are of unit length too, so a wrong count of names shows in the sum.
    if count >= len(vector) or abs(float(np.square(tail).sum()) - 1) > 1e-3:
        raise UserError(
            f"{folder / str(vectors.classes)}: {count} names, which is not the number of classes", "Check it."
        )
    return np.square(tail)


def _matrix(given: Any, rows: int, name: str, path: Path) -> np.ndarray:
    try:
        values = np.array(given, dtype=np.float32)
    except (ValueError, TypeError):
        values = np.zeros(0, dtype=np.float32)
    if values.ndim != 2 or len(values) != rows:
        raise UserError(f"{path}: {name!r} is not one vector of equal width for each id", "Write it again.")
    return values


def _unit(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1)
