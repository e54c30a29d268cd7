"""What the picture book knows of a thing it can draw: how, in which colours, where it belongs and how big it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lookhear.data.picturebook.pen import Colour, Pen, Point

__all__ = ["COLOURS", "Drawing", "Place", "outline"]

Place = Literal["ground", "air", "water"]

# White is off-white and black lifted, so that glints, outlines and shadows still show on them.
COLOURS: dict[str, Colour] = {
    "red": (218, 52, 48),
    "orange": (242, 138, 34),
    "yellow": (250, 208, 48),
    "green": (76, 164, 74),
    "blue": (52, 116, 208),
    "purple": (132, 76, 176),
    "pink": (244, 142, 178),
    "brown": (142, 90, 52),
    "black": (58, 56, 64),
    "white": (244, 242, 236),
    "grey": (146, 150, 158),
}


@dataclass(frozen=True)
class Drawing:
    """A thing the picture book can draw.

    ``draw(pen, colour)`` fills the pen's unit square; ``paint`` names the ``COLOURS`` it may come in (one name for a
    thing with one natural colour); ``place`` is where it belongs in a scene; ``size`` is relative, .5 to 1.
    """

    draw: Callable[[Pen, Colour], None]
    paint: tuple[str, ...]
    place: Place
    size: float


def outline(text: str) -> list[Point]:
    """Points written as SVG's ``points`` attribute writes them, in hundredths of the unit square: ``"4,96 50,4"``.

    Raises ``ValueError`` where a pair is not two numbers.
    """
    points: list[Point] = []
    for pair in text.split():
        x, y = pair.split(",")
        points.append((float(x) / 100, float(y) / 100))
    return points
