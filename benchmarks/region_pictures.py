"""Pictures with a word's map laid over: warm where it is high, the thing's outline in white, a cross at the peak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.tasks.regions import Found

__all__ = ["montage", "overlaid"]

SIDE = 168
"""Pixels of the shorter side."""
WARM = np.array([255, 80, 0], dtype=np.float32)


def overlaid(corpus: Corpus, found: Found) -> Image.Image:
    """What the tower sees of the picture, with the map above its own median laid over, and the word under it."""
    masks_height, masks_width = found.shape
    source = corpus.media("image", found.row)
    whole = load_image(source, name=f"picture {corpus.table['id'][found.row].as_py()}")
    rows, columns = found.window
    across, down = whole.width / masks_width, whole.height / masks_height
    box = (columns.start * across, rows.start * down, columns.stop * across, rows.stop * down)
    h, w = found.mask.shape
    size = (round(SIDE * w / min(h, w)), round(SIDE * h / min(h, w)))
    picture = whole.resize(size, Image.Resampling.BICUBIC, box=box)
    low, high = float(np.median(found.values)), float(found.values.max())
    heat = ((found.values - low) / max(high - low, 1e-9)).clip(0, 1)
    heat = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR))[..., None]
    grey = np.asarray(picture.convert("L"), dtype=np.float32)[..., None]  # warm things must not look like warm places
    faded = (0.25 * np.asarray(picture, dtype=np.float32) + 0.75 * grey) * 0.8 + 40
    mixed = faded * (1 - 0.65 * heat) + WARM * 0.65 * heat
    out = Image.fromarray(mixed.clip(0, 255).astype(np.uint8))
    solid = Image.fromarray((found.mask * 255).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    rim = np.asarray(solid.filter(ImageFilter.MaxFilter(3))) > np.asarray(solid)
    out.paste((255, 255, 255), mask=Image.fromarray((rim * 255).astype(np.uint8)))
    draw = ImageDraw.Draw(out)
    y, x = np.unravel_index(found.values.argmax(), found.values.shape)
    at = ((x + 0.5) / w * size[0], (y + 0.5) / h * size[1])
    for width, colour in ((4, (255, 255, 255)), (2, (0, 0, 0))):
        draw.line([(at[0] - 6, at[1]), (at[0] + 6, at[1])], fill=colour, width=width)
        draw.line([(at[0], at[1] - 6), (at[0], at[1] + 6)], fill=colour, width=width)
    labelled = Image.new("RGB", (size[0], size[1] + 18), (255, 255, 255))
    labelled.paste(out)
    ImageDraw.Draw(labelled).text((3, size[1] + 2), found.word, fill=(0, 0, 0), font_size=13)
    return labelled


def montage(pictures: Sequence[Image.Image], columns: int, path: Path) -> None:
    """Writes pictures side by side, ``columns`` in a row, as JPEG or PNG by the path's ending."""
    width, height = (max(p.size[i] for p in pictures) + 4 for i in (0, 1))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), (255, 255, 255))
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * width + 2, i // columns * height + 2))
    sheet.save(path, quality=88)
