"""The picture book's plants, food and sky."""

from __future__ import annotations

import math

from lookhear.data.picturebook.drawing import Drawing, outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, mix, shade

__all__ = ["DRAWINGS"]

BARK: Colour = (128, 82, 48)
LEAF: Colour = (86, 166, 72)
CREAM: Colour = (250, 234, 204)
CRUST: Colour = (212, 146, 74)
RED: Colour = (214, 56, 50)
YELLOW: Colour = (252, 210, 56)


def _ray(x: float, y: float, r: float, degrees: float) -> tuple[float, float]:
    """The point at distance ``r`` from (x, y); degrees clockwise from three o'clock."""
    return x + r * math.cos(math.radians(degrees)), y + r * math.sin(math.radians(degrees))


def tree(p: Pen, c: Colour) -> None:
    p.polygon(outline("43,56 57,56 59,86 66,96 34,96 41,86"), BARK)
    p.line(outline("50,74 64,60"), BARK, 0.05)
    p.line(outline("47,64 47,90"), shade(BARK, 0.75), 0.02)
    for x, y, r in ((0.24, 0.5, 0.19), (0.76, 0.5, 0.19), (0.5, 0.54, 0.19)):
        p.circle(x, y, r, shade(c, 0.8))
    for x, y, r in ((0.28, 0.38, 0.2), (0.72, 0.38, 0.2), (0.5, 0.26, 0.22), (0.5, 0.44, 0.2)):
        p.circle(x, y, r, c)
    for x, y, r in ((0.42, 0.18, 0.075), (0.25, 0.32, 0.06), (0.64, 0.3, 0.055)):
        p.circle(x, y, r, shade(c, 1.25))


def palm(p: Pen, c: Colour) -> None:
    p.polygon(outline("38,96 44,66 50,38 57,40 54,68 54,96"), (176, 124, 70))
    for y in (0.52, 0.62, 0.72, 0.82, 0.91):
        x = 0.53 - (y - 0.4) * 0.13
        p.line([(x - 0.045, y), (x + 0.04, y + 0.01)], (136, 90, 48), 0.022)
    fronds = (
        ("53,38 36,22 16,26 4,46 22,36 38,38", 0.75),
        ("53,38 70,22 88,26 97,46 80,36 66,38", 0.75),
        ("53,38 38,34 24,46 18,66 34,52 46,46", 1.0),
        ("53,38 68,34 82,46 88,66 72,52 60,46", 1.0),
        ("53,38 46,20 30,8 14,10 32,20 44,34", 1.0),
        ("53,38 60,20 76,8 92,10 74,20 62,34", 1.0),
        ("53,38 46,22 54,4 62,22", 0.86),
    )
    for points, factor in fronds:
        p.blob(outline(points), shade(c, factor))
    for x, y in outline("47,43 59,43 53,48"):
        p.circle(x, y, 0.055, (104, 64, 38))
        p.circle(x - 0.015, y - 0.018, 0.014, (160, 112, 72))


def flower(p: Pen, c: Colour) -> None:
    p.line(outline("50,50 49,74 50,95"), LEAF, 0.045, smooth=True)
    p.blob(outline("50,88 38,72 18,68 24,82 38,89"), LEAF)
    p.blob(outline("50,84 62,68 82,64 76,78 62,85"), shade(LEAF, 0.82))
    for k in range(6):
        x, y = _ray(0.5, 0.34, 0.19, 60 * k + 30)
        p.ellipse(x, y, 0.14, 0.105, c if k % 2 else shade(c, 0.88), 60 * k + 30)
    warm = c[0] > 225 and c[2] < 90  # a yellow heart would vanish among yellow or orange petals
    p.circle(0.5, 0.34, 0.105, BARK if warm else YELLOW)
    p.circle(0.48, 0.32, 0.04, shade(BARK if warm else YELLOW, 1.4))


def mushroom(p: Pen, c: Colour) -> None:
    p.blob(outline("40,52 60,52 62,74 70,92 50,96 30,92 38,74"), CREAM)
    p.blob(outline("54,52 60,52 62,74 70,92 58,95 55,74"), shade(CREAM, 0.86))
    p.ellipse(0.5, 0.53, 0.42, 0.085, shade(CREAM, 0.8))
    p.pie(0.5, 0.54, 0.46, 0.5, 180, 360, c)
    p.ellipse(0.5, 0.545, 0.46, 0.05, shade(c, 0.8))
    dot = CREAM if sum(c) > 600 else WHITE
    for x, y, r in ((0.5, 0.18, 0.085), (0.28, 0.34, 0.075), (0.72, 0.32, 0.085), (0.5, 0.42, 0.06), (0.14, 0.49, 0.04),
                    (0.86, 0.48, 0.045)):  # fmt: skip
        p.ellipse(x, y, r, r * 0.85, shade(dot, 0.86) if sum(c) > 600 else dot)


def cactus(p: Pen, c: Colour) -> None:
    low = shade(c, 0.72)
    p.ellipse(0.5, 0.93, 0.4, 0.035, (222, 190, 126))
    p.line(outline("48,64 24,64 20,58 20,38"), c, 0.14)
    p.line(outline("52,54 76,54 80,48 80,26"), c, 0.14)
    p.box(0.37, 0.08, 0.63, 0.94, c, 0.13)
    p.box(0.53, 0.14, 0.63, 0.93, shade(c, 0.86), 0.05)
    for x in (0.45, 0.54):
        p.line([(x, 0.2), (x, 0.9)], low, 0.016)
    for x, y in outline("42,30 50,24 58,34 42,50 50,44 58,56 42,72 50,66 58,76 50,84 20,44 20,56 80,32 80,44"):
        p.line([(x - 0.018, y - 0.02), (x, y), (x + 0.018, y - 0.02)], CREAM, 0.012)
    for k in range(5):
        p.circle(*_ray(0.5, 0.13, 0.055, 72 * k - 90), 0.042, (240, 110, 160))
    p.circle(0.5, 0.13, 0.03, YELLOW)


def apple(p: Pen, c: Colour) -> None:
    p.blob(outline("50,28 66,21 84,27 93,46 88,70 74,90 60,95 50,92 40,95 26,90 12,70 7,46 16,27 34,21"), c)
    p.blob(outline("84,30 93,46 88,70 74,90 60,95 72,80 82,58"), shade(c, 0.82))
    p.ellipse(0.5, 0.285, 0.12, 0.04, shade(c, 0.65))
    p.line(outline("50,30 50,16 55,6"), BARK, 0.045, smooth=True)
    p.blob(outline("54,18 64,6 84,5 78,18 64,22"), LEAF)
    p.line(outline("58,17 76,9"), shade(LEAF, 0.7), 0.014)
    p.ellipse(0.26, 0.44, 0.05, 0.105, shade(c, 1.55), 18)


def banana(p: Pen, c: Colour) -> None:
    p.blob(outline("80,14 88,16 95,36 92,60 76,82 50,93 26,90 7,76 10,68 30,70 52,62 68,46 76,28"), c)
    p.blob(outline("94,44 92,60 76,82 50,93 26,90 7,76 28,81 54,77 76,62"), shade(c, 0.84))
    p.line(outline("12,72 32,76 56,69 74,52 82,30"), shade(c, 0.76), 0.016, smooth=True)
    p.polygon(outline("78,18 77,5 87,4 89,20"), (150, 130, 44))
    p.box(0.765, 0.04, 0.88, 0.075, (96, 70, 34), 0.015)
    p.circle(0.075, 0.72, 0.04, (96, 70, 34))


def lemon(p: Pen, c: Colour) -> None:
    p.ellipse(0.48, 0.61, 0.41, 0.31, c, -24)
    p.ellipse(0.86, 0.43, 0.105, 0.085, c, -24)
    p.ellipse(0.11, 0.785, 0.075, 0.065, c, -24)
    p.blob(outline("12,83 28,85 52,79 74,65 86,51 84,65 70,83 48,93 28,94"), shade(c, 0.86))
    p.ellipse(0.36, 0.48, 0.14, 0.045, shade(c, 1.7), -30)
    for x, y in outline("52,46 62,42 58,56 44,58 70,52 36,64 48,68 26,60"):
        p.circle(x, y, 0.011, shade(c, 0.8))
    p.blob(outline("82,35 66,31 56,16 60,9 76,14 86,24"), LEAF)
    p.line(outline("82,33 64,16"), shade(LEAF, 0.7), 0.014)


def carrot(p: Pen, c: Colour) -> None:
    for points, factor in (
        ("66,32 62,14 70,4 74,18", 0.8),
        ("66,34 82,26 96,30 84,38", 0.8),
        ("64,36 74,14 90,8 86,24", 1.0),
    ):
        p.blob(outline(points), shade(LEAF, factor))
    p.blob(outline("56,24 68,22 78,32 76,46 62,62 38,80 10,93 6,90 18,64 36,40"), c)
    p.blob(outline("76,46 62,62 38,80 10,93 36,74 58,54 72,40"), shade(c, 0.82))
    for points in ("48,30 58,38", "36,44 45,51", "56,60 49,53", "26,60 33,66", "38,76 33,71"):
        p.line(outline(points), shade(c, 0.7), 0.02)


def pizza(p: Pen, c: Colour) -> None:
    p.polygon(outline("8,28 92,28 50,96"), shade(CRUST, 0.85))
    p.polygon(outline("10,24 90,24 50,92"), c)
    for x, y, length in ((0.3, 0.5, 0.1), (0.6, 0.62, 0.1), (0.46, 0.74, 0.08)):
        p.line([(x, y), (x, y + length)], shade(c, 0.9), 0.04)
    p.line(outline("10,22 30,12 50,9 70,12 90,22"), shade(CRUST, 0.8), 0.15, smooth=True)
    p.line(outline("10,20 30,10 50,7.5 70,10 90,20"), CRUST, 0.115, smooth=True)
    for x, y, r in ((0.34, 0.36, 0.1), (0.64, 0.38, 0.105), (0.49, 0.6, 0.095)):
        p.circle(x, y, r, (178, 40, 36))
        p.circle(x, y, r * 0.82, (222, 72, 56))
        p.circle(x - r * 0.3, y - r * 0.2, r * 0.16, (246, 140, 110))
    for x, y, angle in ((0.49, 0.29, 30), (0.5, 0.46, -40), (0.5, 0.79, 20)):
        p.ellipse(x, y, 0.045, 0.022, LEAF, angle)


def cake(p: Pen, c: Colour) -> None:
    p.ellipse(0.5, 0.9, 0.46, 0.055, shade(WHITE, 0.8))
    p.ellipse(0.5, 0.885, 0.46, 0.05, WHITE)
    top = shade(c, 1.35)
    p.box(0.1, 0.6, 0.9, 0.89, c, 0.05)
    p.box(0.1, 0.74, 0.9, 0.78, CREAM)
    p.box(0.1, 0.58, 0.9, 0.66, top, 0.04)
    for x, drop in zip((0.15, 0.26, 0.37, 0.48, 0.59, 0.70, 0.81), (0.05, 0.08, 0.04, 0.08, 0.05, 0.09, 0.05)):
        p.box(x - 0.04, 0.6, x + 0.09, 0.66 + drop, top, 0.045)
    p.box(0.24, 0.36, 0.76, 0.6, c, 0.05)
    p.box(0.24, 0.34, 0.76, 0.42, top, 0.04)
    for x, drop in zip((0.29, 0.39, 0.5, 0.6, 0.69), (0.05, 0.08, 0.05, 0.08, 0.05)):
        p.box(x - 0.045, 0.36, x + 0.06, 0.42 + drop, top, 0.045)
    for x, colour in ((0.34, RED), (0.5, (62, 130, 214)), (0.66, LEAF)):
        p.box(x - 0.025, 0.18, x + 0.025, 0.35, colour)
        p.line([(x - 0.02, 0.3), (x + 0.02, 0.26)], WHITE, 0.014)
        p.blob([(x, 0.03), (x + 0.035, 0.11), (x, 0.16), (x - 0.035, 0.11)], (255, 176, 40))
        p.ellipse(x, 0.12, 0.014, 0.026, (255, 240, 160))


def icecream(p: Pen, c: Colour) -> None:
    p.polygon(outline("27,54 73,54 50,97"), (226, 166, 92))
    for top in (0.35, 0.43, 0.51, 0.59, 0.67):
        fall = (top - 0.27) / 0.46  # where a line along the cone's far edge meets its near edge
        for s in (-1, 1):
            p.line([(0.5 + s * (top - 0.5), 0.54), (0.5 + s * (0.23 * fall - 0.23), 0.54 + 0.43 * fall)], BARK, 0.012)
    p.circle(0.5, 0.36, 0.27, c)
    for x in (0.27, 0.38, 0.5, 0.62, 0.73):
        p.circle(x, 0.53, 0.075, shade(c, 0.86))
    p.ellipse(0.5, 0.45, 0.24, 0.09, c)
    p.ellipse(0.38, 0.26, 0.06, 0.09, shade(c, 1.5), 35)
    for x, y, colour in ((60, 26, WHITE), (52, 38, YELLOW), (66, 40, RED), (40, 42, (62, 130, 214)), (54, 20, LEAF)):
        p.line([(x / 100, y / 100), (x / 100 + 0.03, y / 100 + 0.025)], colour, 0.02)
    p.circle(0.5, 0.1, 0.065, RED)
    p.circle(0.48, 0.08, 0.018, WHITE)


def bread(p: Pen, c: Colour) -> None:
    crust, crumb = c, mix(c, (255, 236, 196), 0.82)
    p.blob(outline("30,20 60,12 86,18 95,34 90,46 90,78 84,88 40,94 30,60"), shade(crust, 0.8))
    for points in ("62,16 72,30 71,46", "76,16 86,30 84,44"):
        p.line(outline(points), shade(crust, 0.62), 0.025, smooth=True)
    p.blob(outline("8,30 20,20 42,19 58,24 63,36 57,47 57,82 54,92 34,94 14,92 11,82 11,47 5,38"), crust)
    p.blob(outline("13,32 22,25 40,24 54,29 57,37 52,45 52,80 49,87 34,89 19,87 16,80 16,45 11,38"), crumb)
    for x, y in outline("26,42 40,38 32,56 44,54 24,68 38,72 44,80 28,80"):
        p.ellipse(x, y, 0.016, 0.012, mix(crumb, crust, 0.4))


def moon(p: Pen, c: Colour) -> None:
    rim = [_ray(0.5, 0.5, 0.46, a) for a in range(-66, -336, -6)]
    bite = [_ray(0.66, 0.44, 0.36, a) for a in range(44, 276, 4)]
    p.polygon(rim + bite, c)
    for x, y, r in ((0.2, 0.4, 0.045), (0.27, 0.64, 0.06), (0.44, 0.81, 0.045), (0.16, 0.54, 0.022)):
        p.circle(x, y, r, shade(c, 0.85))


def sun(p: Pen, c: Colour) -> None:
    for k in range(12):
        a = 30 * k
        reach = 0.47 if k % 2 else 0.42
        ray = shade(c, 0.88)
        p.polygon([_ray(0.5, 0.5, 0.3, a - 13), _ray(0.5, 0.5, reach, a), _ray(0.5, 0.5, 0.3, a + 13)], ray)
    p.circle(0.5, 0.5, 0.3, shade(c, 1.2))
    p.circle(0.5, 0.5, 0.265, c)
    for x in (0.4, 0.6):
        p.eye(x, 0.46, 0.035)
        p.circle(x + (x - 0.5) * 0.6, 0.55, 0.04, mix(c, (240, 90, 80), 0.5))
    p.arc(0.5, 0.51, 0.11, 0.1, 20, 160, INK, 0.024)


def cloud(p: Pen, c: Colour) -> None:
    puffs = ((0.2, 0.6, 0.16), (0.38, 0.46, 0.2), (0.6, 0.42, 0.22), (0.8, 0.6, 0.16))
    for x, y, r in puffs:
        p.circle(x, y + 0.04, r, shade(c, 0.84))
    p.box(0.04, 0.52, 0.96, 0.81, shade(c, 0.84), 0.14)
    for x, y, r in puffs:
        p.circle(x, y, r * 0.97, c)
    p.box(0.05, 0.5, 0.95, 0.75, c, 0.12)
    for x, y, start, end in ((0.4, 0.5, 190, 290), (0.62, 0.46, 200, 320)):
        p.arc(x, y, 0.13, 0.14, start, end, shade(c, 1.5), 0.03)


def rainbow(p: Pen, c: Colour) -> None:
    bands = (c, (244, 146, 46), YELLOW, LEAF, (62, 130, 214), (136, 80, 180))
    for k, colour in enumerate(bands):
        r = 0.43 - 0.052 * k
        p.arc(0.5, 0.76, r, r * 1.3, 180, 360, colour, 0.06)
    for side in (-1, 1):
        for dx, dy, r in ((-0.1, 0.02, 0.075), (0.1, 0.02, 0.075), (0, -0.03, 0.095)):
            p.circle(0.5 + side * 0.29 + dx, 0.8 + dy, r, WHITE)


def star(p: Pen, c: Colour) -> None:
    tips = [_ray(0.5, 0.53, 0.46 if k % 2 == 0 else 0.21, 36 * k - 90) for k in range(10)]
    p.polygon(tips, c)
    p.line([*tips, tips[0]], c, 0.05)
    for k in range(5):
        p.polygon([(0.5, 0.53), tips[2 * k], tips[2 * k + 1]], shade(c, 1.3))


DRAWINGS: dict[str, Drawing] = {
    "tree": Drawing(tree, ("green", "orange", "yellow", "red"), "ground", 1.0),
    "palm": Drawing(palm, ("green",), "ground", 1.0),
    "flower": Drawing(flower, ("red", "yellow", "pink", "purple", "blue", "orange", "white"), "ground", 0.6),
    "mushroom": Drawing(mushroom, ("red", "brown", "white", "purple", "orange", "blue"), "ground", 0.55),
    "cactus": Drawing(cactus, ("green",), "ground", 0.8),
    "apple": Drawing(apple, ("red", "green", "yellow"), "ground", 0.5),
    "banana": Drawing(banana, ("yellow",), "ground", 0.5),
    "lemon": Drawing(lemon, ("yellow",), "ground", 0.5),
    "carrot": Drawing(carrot, ("orange",), "ground", 0.5),
    "pizza": Drawing(pizza, ("yellow",), "ground", 0.6),
    "cake": Drawing(cake, ("pink", "brown", "white", "blue", "purple", "yellow", "green"), "ground", 0.65),
    "icecream": Drawing(icecream, ("pink", "white", "brown", "green", "yellow", "blue"), "ground", 0.55),
    "bread": Drawing(bread, ("brown",), "ground", 0.55),
    "moon": Drawing(moon, ("yellow", "white"), "air", 0.65),
    "sun": Drawing(sun, ("yellow", "orange", "red"), "air", 0.75),
    "cloud": Drawing(cloud, ("white", "grey"), "air", 0.75),
    "rainbow": Drawing(rainbow, ("red",), "air", 1.0),
    "star": Drawing(star, ("yellow", "white", "red", "blue", "pink", "green", "purple"), "air", 0.5),
}
