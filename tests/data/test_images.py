"""Pictures of any bytes: decoded, or refused in one line."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookhear.data.images import FORMATS, load_image
from lookhear.errors import UserError

WRITTEN = [kind for kind in FORMATS if kind in Image.registered_extensions().values() and kind in Image.SAVE]


def encoded(kind: str, size: int = 16) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", WRITTEN)
def test_pictures_of_the_formats_are_read(kind: str) -> None:
    image = load_image(encoded(kind))
    assert (image.size, image.mode) == ((16, 16), "RGB")
    red, green, blue = image.getpixel((8, 8))  # type: ignore[misc]
    assert (abs(red - 200), abs(green - 30), abs(blue - 30)) < (25, 25, 25)


@pytest.mark.parametrize("kind", ["EPS", "ICNS", "TGA", "SPIDER", "DDS"])
def test_formats_that_are_no_photographs_are_not_opened(kind: str) -> None:
    """Pillow hands EPS to Ghostscript, which is a program that a picture would run."""
    with pytest.raises(UserError, match="not a picture"):
        load_image(encoded(kind))


@pytest.mark.filterwarnings("ignore")  # of Pillow's, about damaged TIFF
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(WRITTEN),
    places=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.floats(0, 1),
)
def test_damaged_pictures_are_refused_in_words(kind: str, places: list[tuple[int, int]], cut: float) -> None:
    data = bytearray(encoded(kind))
    for place, byte in places:
        data[place % len(data)] = byte
    given: Any = bytes(data[: max(1, round(cut * len(data)))])
    try:
        read = load_image(given).mode
    except UserError as e:
        read = str(e)
    assert read == "RGB" or read.startswith("picture: ")
