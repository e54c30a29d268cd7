"""Reading corpora: prepared folders, and manifests (JSONL, CSV, npz) that name their files and columns.

A manifest row may name ``audio``, ``image``, ``text``, ``id``, ``group``, ``split``, ``speaker``, ``language`` and
``vector``; ``words`` (times in seconds) and ``things`` are taken where they have that form, and other columns are kept
beside them. A ``text`` column that holds a list gives one item per text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from lookhear.core import Section
from lookhear.data.manifest import find_manifest, read_manifest_rows
from lookhear.data.masks import Masks, label_names, read_label_map
from lookhear.data.schema import SCHEMA, Corpus, safe_path
from lookhear.data.store import read_store
from lookhear.data.vectors import Vectors, class_names, class_shares, join_vectors
from lookhear.errors import UserError, did_you_mean

__all__ = [
    "COLUMNS",
    "Captions",
    "Source",
    "concat",
    "find_columns",
    "open_corpus",
    "read_source",
    "word_times",
]

_ENDINGS = {
    "audio": {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a"},
    "image": {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm"},
}
_ANY_FILE = ("file", "path", "filename")  # names that do not tell whether files are recordings or pictures
COLUMNS = {
    "audio": ("audio", "wav", "recording", "file", "path", "filename"),
    "image": ("image", "img", "picture", "photo", "file", "path", "filename"),
    "text": ("text", "captions", "caption", "transcript", "sentence"),
    "id": ("id", "uttid", "key"),
    "group": ("group",),
    "split": ("split", "subset"),
    "speaker": ("speaker", "speaker_id", "voice"),
    "language": ("language", "lang"),
}


class Captions(Section):
    """Captions made from a label column, for pictures that come with labels and no texts."""

    column: str
    words: dict[str, str] = Field(default_factory=dict)
    templates: tuple[str, ...] = ("{word}",)

    @field_validator("templates")
    @classmethod
    def _only_word(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            try:
                template.format(word="")
            except (KeyError, IndexError, ValueError):
                raise ValueError(f"{template!r} may hold {{word}} and no other braces") from None
        return templates


class Source(Section):
    """A data set as it lies under the data root.

    Attributes:
        name: its folder.
        manifest: the file that lists its items; found by itself where there is one.
        columns: our name → the manifest's name (in npz archives ``{split}`` stands for each split's arrays).
        vectors: image vectors beside it.
        masks: label maps beside its pictures.
        captions: texts made from labels.
        splits: the splits to keep; all where empty.
        evaluate_only: never read for training; ``evaluate --on NAME`` then reads it with these columns.
    """

    name: str
    manifest: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    vectors: Vectors | None = None
    masks: Masks | None = None
    captions: Captions | None = None
    splits: tuple[str, ...] = ()
    evaluate_only: bool = False


def open_corpus(path: Path | str, columns: Mapping[str, str] | None = None, name: str | None = None) -> Corpus:
    """A prepared corpus folder, or a folder or file with a manifest.

    Args:
        path: the folder or manifest file.
        columns: our name → the manifest's name, where they differ and cannot be told from the values.
        name: how messages call it; the folder's name by default.

    Raises:
        UserError: nothing there, a wrong column (the right name is suggested), a missing file, a path that climbs out.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such corpus", "Check the path, or make one with `lookhear prepare`.")
    if (path / "corpus.json").is_file():
        return read_store(path)
    folder = path if path.is_dir() else path.parent
    source = Source(
        name=name or folder.resolve().name,
        manifest="" if path.is_dir() else path.name,
        columns=dict(columns or {}),
    )
    return read_source(source, folder.resolve().parent, folder=folder)


def find_columns(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], folder: Path, where: Path
) -> dict[str, str]:
    """Our name → the manifest's, from what is given and else from usual names and the files' endings."""
    known = list(dict.fromkeys(k for row in rows for k in row))
    for ours, theirs in columns.items():
        if theirs not in known:
            raise UserError(f"{where}: no column {theirs!r} (for {ours})", did_you_mean(theirs, known))
    found = dict(columns)
    for ours, names in COLUMNS.items():
        if ours in found:
            continue
        for theirs in names:
            if theirs not in known or theirs in columns.values():
                continue
            if ours in ("audio", "image"):
                values = [v for row in rows[:50] if (v := row.get(theirs))]
                paths = [v for v in values if isinstance(v, str) and Path(v).suffix.lower() in _ENDINGS[ours]]
                inside = [] if theirs in _ANY_FILE else [v for v in values if _holds_file(v)]
                if len(paths) + len(inside) <= (len(values) // 2 if theirs in _ANY_FILE else 0):  # a few may be wrong
                    continue
                if not inside and not any(_is_file(folder / v) for v in paths) and theirs not in ("file", "path"):
                    # Names of pictures that are kept elsewhere still say which captions belong together.
                    found.setdefault("group", theirs)
                    continue
            found[ours] = theirs
            break
    if not {"audio", "image", "text"} & set(found) and found.get("group") in (*COLUMNS["audio"], *COLUMNS["image"]):
        told = f"{where}: column {found['group']!r} names files, and none of them is in {folder}"
        raise UserError(told, "Put the manifest where its paths start from.")
    if not {"audio", "image", "text"} & set(found):
        raise UserError(
            f"{where}: no column names recordings, pictures or texts", f"Name one: columns = {{...}}; has {known}."
        )
    return found


def _holds_file(value: Any) -> bool:
    """Whether a cell is a file's bytes, or has them, or its path, as Hugging Face and LookHear keep media."""
    return isinstance(value, bytes) or (isinstance(value, dict) and set(value) == {"path", "bytes"})


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name longer than any file's, a null character
        return False


def _rows(path: Path, columns: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    if path.suffix == ".npz":
        return read_manifest_rows(path, columns), {k: k for k in ("id", "split", *columns)}
    rows = read_manifest_rows(path, columns)
    if not rows:
        raise UserError(f"{path}: the manifest has no rows", "List at least one item.")
    return rows, find_columns(rows, columns, path.parent, path)


def _texts(row: Mapping[str, Any], name: str | None, captions: Captions | None, where: Path) -> list[str | None]:
    if captions is not None:
        if captions.column not in row:
            raise UserError(f"{where}: no column {captions.column!r} for captions", did_you_mean(captions.column, row))
        label = str(row[captions.column])
        word = captions.words.get(label, label)
        return [t.format(word=word) for t in captions.templates]
    value = row.get(name) if name else None
    if isinstance(value, (list, tuple)):
        return [str(v) for v in value] or [None]
    return [None if value is None else str(value)]


def read_source(source: Source, root: Path, folder: Path | None = None) -> Corpus:
    """One data set under a data root, as a Corpus whose paths start from that root.

    Raises:
        UserError: as ``open_corpus``.
    """
    folder = folder or root / source.name
    if not folder.is_dir():
        near = did_you_mean(source.name, [p.name for p in root.iterdir() if p.is_dir()] if root.is_dir() else [])
        raise UserError(f"{folder}: no such data set", f"{near} Name the data root with --data or LOOKHEAR_DATA.")
    if (folder / "corpus.json").is_file():
        return read_store(folder)
    path = find_manifest(folder, source.manifest)
    rows, found = _rows(path, source.columns)
    if source.splits:
        rows = [r for r in rows if str(r.get(found.get("split", "split"))) in source.splits]
    vectors = join_vectors(folder, source.vectors) if source.vectors else {}
    classes = class_names(folder, source.vectors) if source.vectors and source.vectors.classes else []
    masks = _label_maps(folder, source.masks, rows, path)
    prefix, checked = Path(folder.resolve().relative_to(root.resolve())), set[str]()

    def media(row: Mapping[str, Any], ours: str) -> dict[str, Any] | None:
        value = row.get(found[ours]) if ours in found else None
        if value is None or isinstance(value, bytes):
            return None if value is None else {"path": None, "bytes": value}
        if str(value) not in checked:
            safe_path(folder, str(value))
            checked.add(str(value))
        return {"path": str(prefix / str(value)), "bytes": None}

    taken = {found[k] for k in found if k not in source.columns or k in ("audio", "image", "text")}
    extra = [k for k in dict.fromkeys(k for r in rows for k in r) if k not in taken and k not in SCHEMA.names]
    items: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        key = str(row[found["id"]]) if "id" in found and row.get(found["id"]) is not None else f"{number}"
        vector = vectors.get(key) if source.vectors else _numbers(row.get(source.columns.get("vector", "vector")), path)
        if source.vectors and vector is None:
            raise UserError(f"{folder / source.vectors.file}: no vector for item {key!r}", "Compute it as well.")
        common = {
            "group": key if (group := _text(row, found, "group")) is None else group,
            "split": _text(row, found, "split"),
            "audio": media(row, "audio"),
            "image": media(row, "image"),
            "speaker": _text(row, found, "speaker"),
            "language": _text(row, found, "language"),
            "vector": vector,
            "words": word_times(row.get("words")),
            "masks": masks[number],
            "things": row.get("things") if _are_strings(row.get("things")) else None,
            **{k: row.get(k) for k in extra},
        }
        if source.vectors and classes:
            common["classes"] = class_shares(vectors[key], source.vectors, len(classes), folder)
        texts = _texts(row, found.get("text"), source.captions, path)
        for k, text in enumerate(texts):
            row_id = key if len(texts) == 1 else f"{key}_{k}"
            items.append({**common, "id": row_id, "text": text, **(_text_only(common) if k else {})})
    if classes and "classes" not in extra:
        extra.append("classes")
    return Corpus(_table(items, extra, path), root, source.name, {"words": {"classes": classes}} if classes else {})


def word_times(value: Any) -> list[dict[str, Any]] | None:
    """Word times of a manifest, [{word, start, end}] in seconds (or text, start_s, end_s); None where it has none."""
    if not isinstance(value, list) or not all(isinstance(w, dict) for w in value):
        return None
    times = [
        (w.get("word", w.get("text")), w.get("start", w.get("start_s")), w.get("end", w.get("end_s"))) for w in value
    ]
    if any(word is None or start is None or end is None for word, start, end in times):
        return None
    return [{"word": str(word), "start": float(start), "end": float(end)} for word, start, end in times]


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _text(row: Mapping[str, Any], found: Mapping[str, str], ours: str) -> str | None:
    value = row.get(found[ours]) if ours in found else None
    return None if value is None else str(value)


def _numbers(value: Any, where: Path) -> np.ndarray | None:
    """A manifest's own image vector."""
    if value is None:
        return None
    try:
        return np.asarray(value, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError):
        raise UserError(f"{where}: column 'vector' holds no list of numbers", "Give an array of numbers.") from None


def _label_maps(
    folder: Path, config: Masks | None, rows: Sequence[Mapping[str, Any]], where: Path
) -> list[list[dict[str, Any]] | None]:
    """For each row the masks of the label map that it names; rows of one map share them."""
    if config is None:
        return [None] * len(rows)
    known = list(dict.fromkeys(k for row in rows for k in row))
    if config.column not in known:
        raise UserError(f"{where}: no column {config.column!r} (for masks)", did_you_mean(config.column, known))
    labels, maps = label_names(folder, config), [row.get(config.column) for row in rows]
    read = {m: read_label_map(safe_path(folder, m), labels) for m in dict.fromkeys(str(m) for m in maps if m)}
    return [read[str(m)] if m else None for m in maps]


def _text_only(common: Mapping[str, Any]) -> dict[str, None]:
    """What a picture's further captions leave out: pixels inside the corpus lie in the picture's first row alone."""
    inside = common["image"] is not None and common["image"]["path"] is None
    return {"image": None, "vector": None, "masks": None} if inside else {}


def _table(items: list[dict[str, Any]], extra: Iterable[str], where: Path) -> pa.Table:
    try:
        arrays: list[pa.Array] = [pa.array([r.get(f.name) for r in items], type=f.type) for f in SCHEMA]
    except UnicodeEncodeError as e:
        raise UserError(f"{where}: text that is no Unicode ({e.reason})", "Save the manifest as UTF-8.") from None
    names = list(SCHEMA.names)
    for name in extra:
        values = [r.get(name) for r in items]
        try:
            arrays.append(pa.array(values))
        # All that Arrow says of values of several types, of whole numbers beyond 64 bits and of texts that are none.
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError):
            texts = [None if v is None else str(v).encode(errors="replace").decode() for v in values]
            arrays.append(pa.array(texts))  # mixed types: keep as written
        names.append(name)
    if not items:
        raise UserError(f"{where}: nothing left of the manifest", "Check the splits that are asked for.")
    return pa.table(arrays, names=names)


def concat(corpora: Sequence[Corpus], name: str = "") -> Corpus:
    """Several corpora of one root as one."""
    table = pa.concat_tables([c.table for c in corpora], promote_options="permissive")
    meta = {k: v for c in corpora for k, v in c.meta.items()}
    return Corpus(table, corpora[0].root, name or "+".join(c.name for c in corpora), meta)
