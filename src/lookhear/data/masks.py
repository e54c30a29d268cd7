"""Which pixels of a picture show what: label maps read into a corpus's ``masks``, and those read back as arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lookhear.core import Section
from lookhear.data.images import MAX_PIXELS
from lookhear.data.schema import Corpus, safe_path
from lookhear.errors import UserError

__all__ = ["Masks", "label_names", "read_label_map", "thing_masks"]

Bools = NDArray[np.bool_]


class Masks(Section):
    """Label maps beside pictures, as COCO's may be kept: one PNG a picture, whose pixel values are numbers of things.

    Attributes:
        column: of the manifest, with the map's path from its folder; null where a picture has none.
        names: the JSON file in that folder that says what the numbers are called: ``{"1": "person"}``. 0 is nothing.
    """

    column: str = "mask"
    names: str = "categories.json"


def label_names(folder: Path, config: Masks) -> dict[int, str]:
    """What the numbers of a folder's label maps are called.

    Raises:
        UserError: no such file, or not an object of numbers and names.
    """
    path = safe_path(folder, config.names)
    try:
        told = json.loads(path.read_bytes())
        return {int(k): v for k, v in told.items() if isinstance(v, str)}
    except (ValueError, AttributeError):
        raise UserError(f"{path}: no names of labels", 'Write {"1": "person", …}, in UTF-8.') from None


def read_label_map(path: Path, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """A label map as a corpus keeps masks: ``[{thing, png}]``, one black-and-white PNG for each thing on it.

    Raises:
        UserError: not a PNG of one number a pixel, damaged, or a number without a name.
    """
    values = _pixels(path.read_bytes(), str(path))
    if values.ndim != 2:
        raise UserError(f"{path}: not one number a pixel", "Save the label map as a grey or indexed PNG.")
    found = []
    for value in np.unique(values[values != 0]).tolist():
        if value not in names:
            raise UserError(f"{path}: label {value} has no name", "Add it to the names of the labels.")
        buffer = io.BytesIO()
        Image.fromarray(values == value).save(buffer, "PNG")
        found.append({"thing": names[value], "png": buffer.getvalue()})
    return found


def thing_masks(corpus: Corpus, row: int) -> dict[str, Bools]:
    """What a picture shows and where: lower-cased name → (H, W) bool, True on its pixels; several of a name are one.

    Raises:
        UserError: a mask that is no PNG, or masks of different sizes; the picture is named.
    """
    out: dict[str, Bools] = {}
    where = f"picture {corpus.table['id'][int(row)].as_py()}"
    size: tuple[int, ...] | None = None
    for cell in corpus.table["masks"][int(row)].as_py() or ():
        mask = _pixels(cell["png"] or b"", f"{where}: its mask of {cell['thing']!r}") != 0
        mask = mask if mask.ndim == 2 else mask.any(-1)
        if size is not None and mask.shape != size:
            raise UserError(f"{where}: masks of different sizes", "Give all masks of a picture one size.")
        size, name = mask.shape, cell["thing"].lower()
        out[name] = out[name] | mask if name in out else mask
    return out


def _pixels(data: bytes, name: str) -> NDArray[Any]:
    """The numbers of a PNG as they stand in it: (H, W), or (H, W, channels)."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        if image.width * image.height > MAX_PIXELS:
            raise UserError(f"{name}: {image.width} × {image.height} pixels, more than is safe to decode", "Scale it.")
        image.load()
        return np.asarray(image)
    except UnidentifiedImageError:
        raise UserError(f"{name}: not a PNG", "Masks are PNG files, for every pixel counts.") from None
    except Image.DecompressionBombError as e:
        raise UserError(f"{name}: a decompression bomb ({e})", "Scale it down first.") from None
    except (OSError, SyntaxError, ValueError) as e:
        raise UserError(f"{name}: damaged mask ({e})", "Copy it again.") from None
