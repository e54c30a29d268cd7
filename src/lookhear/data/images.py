"""Pictures in: decoding that refuses what is no picture, or is a bomb."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from lookhear.errors import UserError

__all__ = ["MAX_PIXELS", "load_image"]

MAX_PIXELS = 100_000_000
"""Larger pictures are refused before they are decoded: 100 megapixels is more than any scanner page or camera."""

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "HEIF", "JPEG2000")
"""Formats of photographs and scans. Pillow knows more, some of which run other programs (EPS) or are seldom tried."""


def load_image(source: Path | str | bytes | Image.Image, name: str | None = None) -> Image.Image:
    """One picture as RGB, turned upright by its EXIF orientation.

    Raises:
        UserError: no such file, not a picture, damaged, or more than 100 megapixels.
    """
    if isinstance(source, Image.Image):
        return source.convert("RGB")
    name = name or (str(source) if not isinstance(source, bytes) else "picture")
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise UserError(f"{name}: no such picture", "Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound follows
            Image.init()
            known = [kind for kind in FORMATS if kind in Image.OPEN]
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=known)
            if image.width * image.height > MAX_PIXELS:
                raise UserError(
                    f"{name}: {image.width} × {image.height} pixels, more than is safe to decode",
                    "Scale it down first.",
                )
            return ImageOps.exif_transpose(image).convert("RGB")
    except UnidentifiedImageError:
        raise UserError(f"{name}: not a picture", "Give PNG, JPEG, WebP, TIFF, GIF, BMP or AVIF.") from None
    except Image.DecompressionBombError as e:
        raise UserError(f"{name}: a decompression bomb ({e})", "Scale it down first.") from None
    except (OSError, SyntaxError, ValueError, RuntimeError) as e:  # the last of AVIF and of kinds not implemented
        raise UserError(f"{name}: damaged picture ({e})", "Copy it again.") from None
