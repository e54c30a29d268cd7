"""A pen for drawing small things well: unit coordinates, smooth curves, round lines, antialiased by oversampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

__all__ = ["Colour", "Pen", "Point", "mix", "shade"]

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (45, 38, 40)
WHITE: Colour = (250, 250, 248)


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (factor < 1) or lighter, towards white (factor > 1, 2 is white)."""
    if factor <= 1:
        r, g, b = (round(v * factor) for v in colour)
    else:
        r, g, b = (round(v + (255 - v) * (factor - 1)) for v in colour)
    return r, g, b


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``a`` at share 0, ``b`` at share 1."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b))
    return r, g, bl


def _smooth(points: Sequence[Point], closed: bool, steps: int = 8) -> list[Point]:
    """Catmull-Rom curve through the points."""
    n = len(points)
    out: list[Point] = []
    for i in range(n if closed else n - 1):
        p0 = points[(i - 1) % n] if closed or i else points[0]
        p1, p2 = points[i], points[(i + 1) % n]
        p3 = points[(i + 2) % n] if closed or i + 2 < n else points[-1]
        for k in range(steps):
            t = k / steps
            out.append(
                tuple(  # type: ignore[arg-type]
                    0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
                    for a, b, c, d in zip(p0, p1, p2, p3)
                )
            )
    if not closed:
        out.append(points[-1])
    return out


class Pen:
    """Draws into a square RGBA picture whose corners are (0, 0) top left and (1, 1) bottom right."""

    def __init__(self, size: int, oversample: int = 3) -> None:
        self.size, self.scale = size, size * oversample
        self._image = Image.new("RGBA", (self.scale, self.scale), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._image)

    def _px(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.scale, y * self.scale) for x, y in points]

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon(self._px(points), fill=fill)

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """A smooth closed shape through the points."""
        self.polygon(_smooth(points, closed=True), fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, angle: float = 0) -> None:
        """Centre, radii; ``angle`` in degrees, clockwise."""
        if not angle:
            self._draw.ellipse(self._px([(x - rx, y - ry), (x + rx, y + ry)]), fill=fill)
            return
        a = math.radians(angle)
        ring = [2 * math.pi * k / 48 for k in range(48)]
        self.polygon(
            [
                (
                    x + rx * math.cos(t) * math.cos(a) - ry * math.sin(t) * math.sin(a),
                    y + rx * math.cos(t) * math.sin(a) + ry * math.sin(t) * math.cos(a),
                )
                for t in ring
            ],
            fill,
        )

    def circle(self, x: float, y: float, r: float, fill: Colour) -> None:
        self.ellipse(x, y, r, r, fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, radius: float = 0) -> None:
        (a, b), (c, d) = self._px([(x0, y0), (x1, y1)])
        self._draw.rounded_rectangle((a, b, c, d), radius=radius * self.scale, fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, width: float, smooth: bool = False) -> None:
        """A line with round ends and joins; ``smooth`` bends it through the points."""
        path = self._px(_smooth(points, closed=False) if smooth else points)
        w = max(1, round(width * self.scale))
        self._draw.line(path, fill=fill, width=w, joint="curve")
        r = w / 2
        for x, y in (path[0], path[-1]):
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Colour, width: float
    ) -> None:
        """Part of an ellipse's rim; degrees clockwise from three o'clock."""
        ts = [math.radians(start + (end - start) * k / 24) for k in range(25)]
        self.line([(x + rx * math.cos(t), y + ry * math.sin(t)) for t in ts], fill, width)

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Colour) -> None:
        """A slice of an ellipse; degrees clockwise from three o'clock."""
        ts = [math.radians(start + (end - start) * k / 32) for k in range(33)]
        self.polygon([(x, y), *[(x + rx * math.cos(t), y + ry * math.sin(t)) for t in ts]], fill)

    def erase(self, points: Sequence[Point]) -> None:
        """Makes a polygon transparent again."""
        self._draw.polygon(self._px(points), fill=(0, 0, 0, 0))

    def eye(self, x: float, y: float, r: float = 0.025) -> None:
        """A dark eye with a glint."""
        self.circle(x, y, r, INK)
        self.circle(x + r * 0.3, y - r * 0.35, r * 0.35, WHITE)

    def picture(self) -> Image.Image:
        """The finished RGBA picture, (size, size)."""
        return self._image.resize((self.size, self.size), Image.Resampling.LANCZOS)
