"""Manifest files as they are: rows of JSONL and CSV, and arrays of npz archives, with damage named."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookhear.errors import UserError, did_you_mean

__all__ = ["find_manifest", "load_npz", "npz_array", "read_manifest_rows"]


def find_manifest(folder: Path, wanted: str) -> Path:
    """The manifest of a folder: the one wanted, or the only one there is."""
    if wanted:
        path = folder / wanted
        if not path.is_file():
            raise UserError(f"{path}: no such manifest", did_you_mean(wanted, [p.name for p in folder.glob("*.*")]))
        return path
    for pattern in ("manifest.jsonl", "manifest.csv", "*.jsonl", "*.csv", "*.npz", "*.parquet"):
        found = sorted(folder.glob(pattern))
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(
                f"{folder}: several manifests ({', '.join(p.name for p in found)})", "Name the one to read."
            )
    raise UserError(
        f"{folder}: no manifest (JSONL, CSV, npz or Parquet) and no prepared corpus", "Write a manifest.jsonl."
    )


def _jsonl(path: Path) -> list[dict[str, Any]]:
    rows = []
    # Not splitlines(): it also breaks lines at characters that JSON allows inside a string.
    for number, line in enumerate(_utf8(path).split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as e:
                raise UserError(f"{path}, line {number}: not JSON ({e})", "One JSON object a line.") from None
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: not a JSON object", "One JSON object a line.")
            rows.append(row)
    return rows


def _utf8(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise UserError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})", "Save it as UTF-8.") from None


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        rows = list(csv.DictReader(io.StringIO(_utf8(path), newline="")))
    except csv.Error as e:
        raise UserError(f"{path}: not CSV ({e})", "One item a line, below a line of column names.") from None
    return [{k: (v if v != "" else None) for k, v in row.items() if k is not None} for row in rows]


def _npz(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of an archive of arrays; columns that hold ``{split}`` are read once for each split found."""
    with load_npz(path) as archive:
        names = list(archive.files)
        if not columns:
            raise UserError(f"{path}: say which array is what", f"columns = {{...}}; arrays: {', '.join(names)}.")
        split_of = next((c for c in columns.values() if "{split}" in c), None)
        splits = [""]
        if split_of:
            before, after = split_of.split("{split}")
            splits = [n[len(before) : len(n) - len(after)] for n in names if n.startswith(before) and n.endswith(after)]
        rows: list[dict[str, Any]] = []
        for split in splits:
            arrays = {}
            for ours, pattern in columns.items():
                key = pattern.replace("{split}", split)
                arrays[ours] = npz_array(archive, key, path)
            lengths = {len(a) for a in arrays.values()}
            if len(lengths) != 1:
                raise UserError(f"{path}: arrays of different lengths {sorted(lengths)}", "One row per item in each.")
            for i in range(lengths.pop()):
                row = {ours: _cell(array[i], ours) for ours, array in arrays.items()}
                if split:
                    row.setdefault("split", split)
                    row.setdefault("id", f"{split}_{i}")
                rows.append(row)
    return rows


def load_npz(path: Path) -> Any:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one bare array")
        return archive
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as e:
        raise UserError(f"{path}: not a readable npz archive ({e})", "Write it with numpy.savez.") from None


def npz_array(archive: Any, key: str, path: Path) -> np.ndarray:
    if key not in archive.files:
        raise UserError(f"{path}: no array {key!r}", did_you_mean(key, archive.files))
    try:
        array: np.ndarray = archive[key]
    except (ValueError, EOFError, zipfile.BadZipFile) as e:
        raise UserError(f"{path}: array {key!r} cannot be read ({e})", "Write it with numpy.savez.") from None
    return np.atleast_1d(array)


def _cell(value: np.ndarray, column: str) -> Any:
    if column == "image":
        buffer = io.BytesIO()
        Image.fromarray(value).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
    return value.tolist()


def read_manifest_rows(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows under the file's own names; those of an npz archive come under the names of ``columns``.

    Raises:
        UserError: the file is not what its name says, or is damaged.
    """
    if path.suffix == ".npz":
        return _npz(path, columns)
    if path.suffix == ".parquet":
        raise UserError(
            f"{path}: a Parquet table, which is not read as it lies", "Make a corpus of it: lookhear prepare."
        )
    return _csv(path) if path.suffix == ".csv" else _jsonl(path)
