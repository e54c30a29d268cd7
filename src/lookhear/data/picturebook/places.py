"""Where the picture book's scenes are set: eight backgrounds, told apart by colour and by what lies about."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from lookhear.data.picturebook.pen import INK, Colour, Pen, mix, shade

__all__ = ["PLACES", "Backdrop"]

CREAM: Colour = (250, 244, 226)


@dataclass(frozen=True)
class Backdrop:
    """A background, the rim that makes things stand out from it, and where its water (if any) ends below."""

    draw: Callable[[Pen, random.Random], None]
    rim: Colour = INK
    shore: float | None = None


def _bands(p: Pen, top: Colour, bottom: Colour, y0: float, y1: float, steps: int = 7) -> None:
    """A gradient in flat steps; the last one goes on to the bottom edge, behind whatever is drawn next."""
    for k in range(steps):
        p.box(0, y0 + (y1 - y0) * k / steps, 1, 1, mix(top, bottom, k / max(1, steps - 1)))


def _hills(p: Pen, r: random.Random, y: float, height: float, fill: Colour, waves: float = 1.3) -> None:
    """Rolling ground from ``y`` down to the bottom edge."""
    a, b = r.uniform(0, 6.3), r.uniform(0, 6.3)
    crest = [
        (x / 40, y - height * (math.sin(waves * 6.3 * x / 40 + a) + 0.5 * math.sin(2.3 * waves * 6.3 * x / 40 + b)) / 2)
        for x in range(41)
    ]
    p.polygon([(0, 1), *crest, (1, 1)], fill)


def _specks(p: Pen, r: random.Random, n: int, y0: float, y1: float, radius: float, fills: tuple[Colour, ...]) -> None:
    for _ in range(n):
        p.circle(r.random(), r.uniform(y0, y1), radius * r.uniform(0.6, 1.3), r.choice(fills))


def beach(p: Pen, r: random.Random) -> None:
    _bands(p, (120, 205, 245), (205, 240, 252), 0, 0.36)
    _bands(p, (20, 110, 190), (50, 185, 215), 0.34, 0.62, 5)
    for _ in range(9):
        x, y = r.uniform(-0.1, 1), r.uniform(0.37, 0.52)
        p.line([(x, y), (x + r.uniform(0.06, 0.16), y)], (150, 220, 240), 0.008)
    _hills(p, r, 0.58, 0.03, (255, 255, 255), 1.1)
    a = r.uniform(0, 6.3)
    p.polygon([(0, 1), *[(k / 20, 0.62 + 0.025 * math.sin(0.33 * k + a)) for k in range(21)], (1, 1)], (246, 222, 158))
    _specks(p, r, 40, 0.66, 1, 0.006, (shade((246, 222, 158), 0.86),))
    _specks(p, r, 7, 0.7, 0.98, 0.016, ((255, 160, 150), (255, 250, 240), (225, 150, 180)))


def snow(p: Pen, r: random.Random) -> None:
    _bands(p, (165, 195, 222), (222, 234, 244), 0, 0.5)
    _hills(p, r, 0.42, 0.1, (214, 228, 242))
    for _ in range(8):
        x, y, h = r.random(), r.uniform(0.42, 0.47), r.uniform(0.1, 0.17)
        for k in range(3):
            top = y - h + k * h * 0.28
            p.polygon(
                [(x, top), (x - h * (0.16 + k * 0.07), top + h * 0.4), (x + h * (0.16 + k * 0.07), top + h * 0.4)],
                (62, 105, 100),
            )
    _hills(p, r, 0.47, 0.05, (240, 246, 252), 0.9)
    _hills(p, r, 0.74, 0.06, (252, 254, 255), 0.7)
    for _ in range(5):
        x, y = r.random(), r.uniform(0.6, 0.98)
        p.line([(x, y), (x + 0.12, y - 0.012)], (212, 226, 242), 0.012)
    _specks(p, r, 60, 0, 0.9, 0.011, ((255, 255, 255),))


def street(p: Pen, r: random.Random) -> None:
    _bands(p, (176, 200, 216), (224, 228, 226), 0, 0.5)
    x = -r.uniform(0, 0.1)
    while x < 1:
        w, top = r.uniform(0.14, 0.24), r.uniform(0.06, 0.3)
        wall = r.choice(((150, 140, 142), (172, 146, 132), (134, 148, 164), (164, 160, 150)))
        p.box(x, top, x + w, 0.6, wall)
        for row in range(5):
            for col in range(3):
                u, v = x + w * (0.14 + 0.28 * col), top + 0.04 + 0.085 * row
                p.box(u, v, u + w * 0.16, v + 0.045, r.choice((shade(wall, 0.72), shade(wall, 0.78), (250, 226, 150))))
        x += w
    p.box(0, 0.54, 1, 1, (206, 203, 196))
    for k in range(9):
        p.line([(k / 8, 0.54), (k / 8 * 1.4 - 0.2, 0.66)], (184, 181, 175), 0.006)
    p.box(0, 0.655, 1, 0.68, (150, 148, 146))
    p.box(0, 0.68, 1, 1, (98, 100, 106))
    start = r.uniform(-0.2, 0)
    for k in range(5):
        p.polygon(
            [(start + k * 0.3 + d, y) for d, y in ((0, 0.82), (0.17, 0.82), (0.155, 0.86), (-0.02, 0.86))],
            (248, 240, 214),
        )


def night(p: Pen, r: random.Random) -> None:
    _bands(p, (14, 16, 52), (52, 54, 112), 0, 0.66, 9)
    _specks(p, r, 55, 0, 0.6, 0.007, ((255, 255, 255), (255, 240, 180), (200, 210, 255)))
    for _ in range(6):
        x, y, s = r.random(), r.uniform(0.02, 0.5), r.uniform(0.018, 0.03)
        p.polygon(
            [
                (x, y - s),
                (x + s / 4, y - s / 4),
                (x + s, y),
                (x + s / 4, y + s / 4),
                (x, y + s),
                (x - s / 4, y + s / 4),
                (x - s, y),
                (x - s / 4, y - s / 4),
            ],
            (255, 246, 196),
        )
    _hills(p, r, 0.62, 0.09, (34, 44, 86))
    _hills(p, r, 0.72, 0.05, (24, 34, 66), 0.9)


def forest(p: Pen, r: random.Random) -> None:
    _bands(p, (44, 84, 58), (92, 128, 76), 0, 0.6, 6)
    for row, (bark, width, base) in enumerate(
        (((62, 80, 56), 0.035, 0.56), ((70, 58, 42), 0.055, 0.64), ((54, 40, 30), 0.075, 0.72))
    ):
        for k in range(9 - 2 * row):
            x = (k + r.uniform(0.2, 0.8)) / (9 - 2 * row)
            w = width * r.uniform(0.7, 1.1)
            p.polygon(
                [
                    (x - w * 0.42, -0.1),
                    (x + w * 0.42, -0.1),
                    (x + w / 2, base),
                    (x + w, base + 0.03),
                    (x - w, base + 0.03),
                    (x - w / 2, base),
                ],
                bark,
            )
            p.line([(x - w * 0.15, 0.1), (x - w * 0.2, base - 0.06)], shade(bark, 0.8), w * 0.1)
    for k in range(14):
        p.circle(
            (k + r.random()) / 14, r.uniform(-0.03, 0.06), r.uniform(0.06, 0.11), r.choice(((26, 58, 38), (36, 72, 44)))
        )
    _hills(p, r, 0.7, 0.03, (58, 84, 44), 2)
    _hills(p, r, 0.8, 0.03, (46, 70, 38), 1.6)
    for _ in range(26):
        x, y = r.random(), r.uniform(0.72, 0.99)
        for d in (-0.022, 0, 0.022):
            p.line([(x, y), (x + d, y - 0.035)], (88, 122, 58), 0.008)


def garden(p: Pen, r: random.Random) -> None:
    _bands(p, (150, 214, 246), (222, 244, 250), 0, 0.4)
    for k in range(12):
        p.circle((k + r.random()) / 12, 0.36, r.uniform(0.06, 0.1), r.choice(((74, 150, 72), (88, 166, 80))))
    for y in (0.37, 0.47):
        p.box(0, y, 1, y + 0.025, (226, 224, 214))
    for k in range(17):
        x = k / 16
        p.polygon([(x - 0.02, 0.55), (x - 0.02, 0.32), (x, 0.29), (x + 0.02, 0.32), (x + 0.02, 0.55)], (252, 250, 242))
    p.box(0, 0.53, 1, 1, (126, 204, 84))
    for k in range(4):
        y = 0.56 + 0.12 * k
        p.box(0, y, 1, y + 0.06, (114, 194, 76))
    p.box(0, 0.52, 1, 0.58, (70, 142, 60))
    _specks(
        p,
        r,
        46,
        0.515,
        0.585,
        0.014,
        ((240, 70, 90), (255, 214, 60), (250, 140, 200), (255, 255, 255), (170, 110, 220)),
    )
    for _ in range(16):
        x, y = r.random(), r.uniform(0.66, 0.98)
        p.line([(x, y), (x + 0.012, y - 0.03)], (88, 166, 60), 0.008)


def desert(p: Pen, r: random.Random) -> None:
    _bands(p, (226, 104, 74), (255, 208, 132), 0, 0.5, 8)
    x = r.uniform(0.1, 0.7)
    p.polygon([(x - 0.03, 0.52), (x + 0.03, 0.31), (x + 0.2, 0.31), (x + 0.27, 0.52)], (178, 88, 66))
    p.polygon([(x + 0.15, 0.31), (x + 0.2, 0.31), (x + 0.27, 0.52), (x + 0.19, 0.52)], (150, 70, 58))
    _hills(p, r, 0.49, 0.08, (232, 160, 84), 0.8)
    _hills(p, r, 0.62, 0.1, (240, 178, 96), 0.6)
    _hills(p, r, 0.8, 0.09, (248, 196, 112), 0.5)
    for k in range(4):
        y, a = 0.86 + 0.035 * k, r.uniform(0, 6)
        p.line(
            [(0.25 * k * 0.4 + t / 12, y + 0.008 * math.sin(1.4 * t + a)) for t in range(8)],
            (230, 172, 92),
            0.008,
            True,
        )


def river(p: Pen, r: random.Random) -> None:
    _bands(p, (168, 222, 244), (226, 242, 240), 0, 0.3)
    _hills(p, r, 0.26, 0.09, (140, 190, 130), 0.9)
    _hills(p, r, 0.36, 0.04, (106, 176, 84), 1.2)
    p.box(0, 0.43, 1, 0.46, (150, 116, 76))
    _bands(p, (70, 160, 226), (36, 112, 190), 0.455, 0.86, 5)
    for _ in range(16):
        x, y, w = r.uniform(-0.1, 1), r.uniform(0.49, 0.82), r.uniform(0.06, 0.13)
        p.line([(x, y), (x + w / 3, y - 0.012), (x + 2 * w / 3, y + 0.012), (x + w, y)], (168, 216, 246), 0.009, True)
    _hills(p, r, 0.885, 0.025, (142, 110, 70), 1.1)
    _hills(p, r, 0.91, 0.025, (92, 162, 70), 1.1)
    for _ in range(14):
        x = r.choice((r.uniform(0, 0.25), r.uniform(0.75, 1)))
        p.line([(x, 0.95), (x + r.uniform(-0.02, 0.02), r.uniform(0.78, 0.86))], (66, 130, 56), 0.01)


PLACES: dict[str, Backdrop] = {
    "beach": Backdrop(beach, shore=0.66),
    "snow": Backdrop(snow),
    "street": Backdrop(street),
    "night": Backdrop(night, rim=CREAM),
    "forest": Backdrop(forest, rim=CREAM),
    "garden": Backdrop(garden),
    "desert": Backdrop(desert),
    "river": Backdrop(river, shore=0.84),
}
