"""The picture book's animals: its birds, swimmers, crawlers and insects, and the list of all of them."""

from __future__ import annotations

from lookhear.data.picturebook import mammals
from lookhear.data.picturebook.drawing import Drawing, outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, shade

__all__ = ["DRAWINGS"]

BEAK: Colour = (244, 150, 36)
RED: Colour = (214, 56, 50)
SKIN: Colour = (228, 196, 140)


def _eye(p: Pen, x: float, y: float, r: float = 0.03) -> None:
    """An eye with its white, so that it shows on dark bodies too."""
    p.circle(x, y, r * 1.45, WHITE)
    p.eye(x + r * 0.2, y, r)


def penguin(p: Pen, c: Colour) -> None:
    for s in (-1, 1):
        p.ellipse(0.5 + s * 0.14, 0.92, 0.13, 0.045, BEAK)
        p.ellipse(0.5 + s * 0.31, 0.56, 0.075, 0.23, shade(c, 0.75), -s * 22)
    p.blob(outline("50,4 66,10 72,28 76,52 76,78 64,91 36,91 24,78 24,52 28,28 34,10"), c)
    p.blob(outline("50,40 64,44 68,62 66,80 58,88 42,88 34,80 32,62 36,44"), WHITE)
    p.circle(0.41, 0.29, 0.125, WHITE)
    p.circle(0.59, 0.29, 0.125, WHITE)
    p.ellipse(0.5, 0.42, 0.16, 0.1, WHITE)
    p.eye(0.42, 0.28, 0.04)
    p.eye(0.58, 0.28, 0.04)
    p.polygon(outline("41,34 59,34 50,46"), BEAK)


def bird(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.72), shade(c, 1.4)
    p.polygon(outline("26,58 3,44 6,56 2,62 8,68 30,70"), low)
    p.blob(outline("42,52 36,30 40,8 48,6 58,22 64,48"), low)
    p.blob(outline("18,58 36,50 56,46 64,34 78,30 88,40 86,56 74,72 52,80 32,74"), c)
    p.blob(outline("40,72 60,66 78,56 84,58 74,72 54,79"), light)
    p.blob(outline("58,58 40,54 24,34 16,12 26,10 36,20 44,18 50,28 58,30 64,46"), shade(c, 0.86))
    p.line(outline("26,20 38,38 50,50"), low, 0.022, smooth=True)
    p.line(outline("40,26 48,40 56,50"), low, 0.022, smooth=True)
    p.polygon(outline("86,40 98,47 86,52"), BEAK)
    _eye(p, 0.775, 0.42, 0.036)
    for x in (0.46, 0.56):
        p.line([(x, 0.79), (x - 0.06, 0.87)], BEAK, 0.025)


def owl(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.72), shade(c, 1.45)
    p.blob(outline("50,14 72,16 80,36 82,66 70,88 50,93 30,88 18,66 20,36 28,16"), c)
    p.polygon(outline("20,34 18,4 44,17"), c)
    p.polygon(outline("80,34 82,4 56,17"), c)
    p.ellipse(0.5, 0.7, 0.2, 0.21, light)
    for y, xs in ((0.60, (0.42, 0.5, 0.58)), (0.69, (0.38, 0.46, 0.54, 0.62)), (0.78, (0.42, 0.5, 0.58))):
        for x in xs:
            p.arc(x, y, 0.032, 0.035, 0, 180, low, 0.018)
    p.blob(outline("17,46 26,52 30,70 26,88 18,76 14,60"), low)
    p.blob(outline("83,46 74,52 70,70 74,88 82,76 86,60"), low)
    for x in (0.35, 0.65):
        p.circle(x, 0.35, 0.165, low)
        p.circle(x, 0.35, 0.14, WHITE)
        p.circle(x, 0.35, 0.105, (250, 200, 40))
        p.eye(x, 0.35, 0.065)
    p.polygon(outline("44,42 56,42 50,55"), BEAK)
    for x in (0.4, 0.6):
        for dx in (-0.04, 0, 0.04):
            p.line([(x + dx * 0.6, 0.9), (x + dx, 0.94)], BEAK, 0.03)


def duck(p: Pen, c: Colour) -> None:
    low = shade(c, 0.82)
    p.blob(outline("4,46 16,54 36,54 54,56 62,46 76,48 84,64 78,84 60,93 32,93 14,82 6,66"), c)
    p.circle(0.67, 0.32, 0.2, c)
    p.blob(outline("55,40 76,44 80,62 60,62 52,54"), c)
    p.blob(outline("20,64 38,60 54,66 58,74 48,84 34,86 30,78 22,74"), low)
    p.line(outline("36,74 48,75"), shade(c, 0.65), 0.02)
    p.line(outline("34,80 44,81"), shade(c, 0.65), 0.02)
    p.blob(outline("80,30 90,30 97,36 95,41 86,44 80,42"), BEAK)
    p.line(outline("81,38 94,38"), shade(BEAK, 0.7), 0.016)
    _eye(p, 0.73, 0.26, 0.036)


def chicken(p: Pen, c: Colour) -> None:
    low = shade(c, 0.78)
    for x in (0.42, 0.55):
        p.line([(x, 0.76), (x, 0.93)], BEAK, 0.032)
        p.line([(x - 0.05, 0.94), (x, 0.92), (x + 0.07, 0.94)], BEAK, 0.03)
    p.blob(outline("26,56 8,50 4,34 8,20 16,30 18,16 26,24 32,20 34,40"), low)
    for x, y in outline("60,13 68,9 76,13"):
        p.circle(x, y, 0.062, RED)
    p.blob(outline("14,46 28,50 44,50 54,40 56,20 68,12 80,20 82,40 80,60 66,76 46,82 26,74 16,60"), c)
    p.ellipse(0.81, 0.42, 0.045, 0.075, RED)
    p.polygon(outline("80,24 96,31 80,37"), BEAK)
    p.blob(outline("28,56 44,54 58,58 54,70 42,74 32,68"), low)
    p.line(outline("36,63 50,63"), shade(c, 0.6), 0.02)
    _eye(p, 0.71, 0.27, 0.032)


def fish(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.75), shade(c, 1.4)
    p.blob(outline("30,50 18,34 6,22 4,36 10,50 4,64 6,78 18,66"), low)
    p.blob(outline("36,32 46,14 62,16 70,30"), low)
    p.blob(outline("44,70 48,84 60,82 62,68"), low)
    p.blob(outline("20,50 36,32 60,24 80,32 96,52 82,70 60,77 36,68"), c)
    p.blob(outline("36,62 60,64 90,58 80,70 60,76 40,69"), light)
    for x, y in outline("38,42 38,54 48,36 48,48 48,60 58,42 58,54"):
        p.arc(x, y, 0.045, 0.055, -80, 80, low, 0.02)
    p.arc(0.66, 0.5, 0.05, 0.17, -75, 75, low, 0.025)
    p.arc(0.93, 0.54, 0.06, 0.05, 60, 180, shade(c, 0.5), 0.02)
    _eye(p, 0.80, 0.44, 0.045)


def whale(p: Pen, c: Colour) -> None:
    water = (150, 214, 246)
    for s in (-1, 1):
        p.line(
            [(0.66 + s * x, y) for x, y in ((0.0, 0.34), (0.03, 0.16), (0.12, 0.08), (0.19, 0.16))], water, 0.05, True
        )
    p.blob(outline("18,46 8,40 3,24 12,24 18,32 22,18 32,16 30,32 26,46"), c)
    p.blob(outline("16,42 26,40 36,52 46,42 60,34 78,36 92,48 96,66 88,82 66,92 40,90 22,76 15,58"), c)
    p.blob(outline("30,82 50,74 70,72 95,70 88,82 66,92 42,90"), shade(c, 1.65))
    for points in ("50,78 56,90", "60,76 66,90", "70,75 76,88"):
        p.line(outline(points), shade(c, 1.25), 0.015)
    p.blob(outline("48,66 62,68 60,80 50,88 44,84"), shade(c, 0.75))
    p.arc(0.86, 0.62, 0.1, 0.07, 60, 150, shade(c, 0.5), 0.02)
    _eye(p, 0.78, 0.55, 0.036)


def snake(p: Pen, c: Colour) -> None:
    path = "17,70 26,86 44,90 52,78 42,66 32,54 38,40 54,40 64,52 72,66 86,62 86,44 78,30"
    p.blob(outline("3,46 10,54 23,67 20,77 13,76 7,62"), shade(c, 0.7))
    p.line(outline(path), shade(c, 0.7), 0.135, smooth=True)
    p.line(outline(path), c, 0.105, smooth=True)
    for x, y in outline("17,72 27,86 44,89 51,78 41,65 33,53 40,41 54,41 64,52 73,65 85,60 86,44"):
        p.ellipse(x, y, 0.028, 0.028, shade(c, 0.6) if sum(c) > 270 else shade(c, 1.4))
    p.line(outline("88,24 96,26"), RED, 0.02)
    p.blob(outline("66,14 78,10 90,18 92,26 84,34 70,34 64,24"), c)
    _eye(p, 0.78, 0.19, 0.036)


def turtle(p: Pen, c: Colour) -> None:
    skin = (164, 196, 96) if c[1] > 1.3 * c[0] else (122, 176, 86)
    p.polygon(outline("14,70 3,80 18,80"), skin)
    for x in (0.24, 0.6):
        p.box(x - 0.08, 0.7, x + 0.08, 0.96, skin, 0.06)
    p.line(outline("62,76 78,72 82,54"), skin, 0.14, smooth=True)
    p.ellipse(0.84, 0.46, 0.12, 0.11, skin)
    p.pie(0.42, 0.74, 0.36, 0.5, 180, 360, c)
    p.box(0.04, 0.70, 0.80, 0.79, shade(c, 0.72), 0.045)
    low = shade(c, 0.7)
    p.polygon(outline("33,40 51,40 58,54 51,66 33,66 26,54"), low)
    p.polygon(outline("35,43 49,43 54.5,54 49,63 35,63 29.5,54"), shade(c, 1.25))
    for points in ("33,40 26,32", "51,40 58,32", "58,54 74,56", "26,54 10,56", "33,66 30,71", "51,66 54,71"):
        p.line(outline(points), low, 0.025)
    _eye(p, 0.87, 0.43, 0.032)
    p.arc(0.89, 0.49, 0.06, 0.03, 20, 150, shade(skin, 0.5), 0.016)


def frog(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.74), shade(c, 1.5)
    for s in (-1, 1):
        p.ellipse(0.5 + s * 0.3, 0.74, 0.13, 0.19, low, s * 18)
        p.blob([(0.5 + s * x, y) for x, y in outline("22,90 32,86 46,93 44,96 24,96")], c)
    p.ellipse(0.5, 0.7, 0.27, 0.24, c)
    p.ellipse(0.5, 0.74, 0.17, 0.18, light)
    for s in (-1, 1):
        p.line([(0.5 + s * 0.2, 0.68), (0.5 + s * 0.16, 0.92)], c, 0.085)
        for dx in (-0.06, 0, 0.06):
            p.line([(0.5 + s * 0.16, 0.92), (0.5 + s * 0.16 + dx, 0.94)], c, 0.035)
        p.circle(0.5 + s * 0.22, 0.2, 0.14, c)
    p.ellipse(0.5, 0.39, 0.38, 0.22, c)
    for s in (-1, 1):
        p.circle(0.5 + s * 0.22, 0.19, 0.1, WHITE)
        p.eye(0.5 + s * 0.21, 0.2, 0.06)
        p.circle(0.5 + s * 0.05, 0.35, 0.014, low)
    p.arc(0.5, 0.38, 0.29, 0.12, 10, 170, shade(c, 0.4), 0.026)


def bee(p: Pen, c: Colour) -> None:
    wing = (208, 232, 248)
    p.polygon(outline("12,54 3,62 14,66"), INK)
    p.ellipse(0.36, 0.24, 0.12, 0.22, shade(wing, 0.85), -28)
    p.ellipse(0.55, 0.24, 0.13, 0.22, wing, 12)
    p.ellipse(0.42, 0.6, 0.34, 0.25, c)
    for x, h in ((0.2, 0.185), (0.36, 0.243), (0.52, 0.238)):
        p.box(x - 0.045, 0.6 - h, x + 0.045, 0.6 + h, INK, 0.03)
    p.circle(0.75, 0.55, 0.19, c)
    for end in ("72,20 66,16", "84,22 90,17"):
        x, y = outline(end)[1]
        p.line([(0.76, 0.38), *outline(end)], INK, 0.024, smooth=True)
        p.circle(x, y, 0.035, INK)
    _eye(p, 0.80, 0.52, 0.042)
    p.arc(0.83, 0.6, 0.07, 0.06, 30, 150, INK, 0.02)
    for x in (0.34, 0.48):
        p.line([(x, 0.83), (x + 0.03, 0.91)], INK, 0.024)


def butterfly(p: Pen, c: Colour) -> None:
    rim, light = shade(c, 0.6), shade(c, 1.6)
    for s in (-1, 1):
        for scale, colour in ((1.0, rim), (0.84, c)):
            upper = outline("3,48 10,22 28,6 44,8 46,28 38,46 20,54")
            lower = outline("4,54 22,54 36,62 38,78 26,92 12,86 5,70")
            for points, cx, cy in ((upper, 0.25, 0.31), (lower, 0.21, 0.72)):
                p.blob([(0.5 + s * (cx + (x - cx) * scale), cy + (y - cy) * scale) for x, y in points], colour)
        p.circle(0.5 + s * 0.31, 0.24, 0.075, light)
        p.circle(0.5 + s * 0.2, 0.4, 0.045, light)
        p.circle(0.5 + s * 0.23, 0.74, 0.065, light)
        p.line([(0.5, 0.26), (0.5 + s * 0.05, 0.14), (0.5 + s * 0.12, 0.07)], INK, 0.02, smooth=True)
        p.circle(0.5 + s * 0.12, 0.07, 0.025, INK)
    p.ellipse(0.5, 0.54, 0.045, 0.28, INK)
    p.circle(0.5, 0.27, 0.06, INK)


def snail(p: Pen, c: Colour) -> None:
    low = shade(SKIN, 0.8)
    p.line(outline("80,60 78,40 74,30"), low, 0.035, smooth=True)
    p.line(outline("86,60 90,42 92,32"), SKIN, 0.035, smooth=True)
    p.blob(outline("4,94 16,82 40,78 66,80 72,64 78,54 90,54 95,64 92,80 84,95 40,96"), SKIN)
    p.line(outline("8,94 84,94"), low, 0.035)
    p.circle(0.4, 0.52, 0.34, shade(c, 0.7))
    p.circle(0.4, 0.52, 0.31, c)
    spiral = "66,66 56,74 38,76 24,68 18,52 22,36 38,28 54,33 61,48 56,60 43,64 33,57 34,45 44,43 47,50 41,53"
    p.line(outline(spiral), shade(c, 0.62), 0.04, smooth=True)
    _eye(p, 0.735, 0.28, 0.036)
    _eye(p, 0.92, 0.30, 0.036)
    p.arc(0.87, 0.66, 0.06, 0.05, 20, 140, shade(SKIN, 0.5), 0.02)


def spider(p: Pen, c: Colour) -> None:
    low = shade(c, 0.75)
    legs = ("10,52 24,26 44,6", "10,54 30,40 46,30", "10,60 32,62 46,76", "12,66 24,76 34,94")
    for s in (-1, 1):
        for leg in legs:
            (x0, y0), (x1, y1), (x2, y2) = outline(leg)
            p.line([(0.5 + s * x0, y0), (0.5 + s * x1, y1), (0.5 + s * x2, y2)], low, 0.04)
    p.ellipse(0.5, 0.42, 0.23, 0.22, c)
    p.polygon(outline("44,24 56,24 50,34 56,42 44,42 50,34"), shade(c, 1.5))
    p.ellipse(0.5, 0.66, 0.18, 0.16, shade(c, 1.12))
    for x, y, r in ((0.42, 0.64, 0.05), (0.58, 0.64, 0.05), (0.35, 0.58, 0.026), (0.65, 0.58, 0.026)):
        _eye(p, x, y, r * 0.8)
    for s in (-1, 1):
        p.polygon([(0.5 + s * x, y) for x, y in outline("2,78 8,78 5,87")], WHITE)


def octopus(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.78), shade(c, 1.45)
    for s in (-1, 1):
        for arm, colour in (("12,56 24,72 20,90 12,92", low), ("20,52 34,56 40,70 34,82", low),
                            ("16,54 29,64 33,80 42,90", c), ("4,56 8,76 4,90 9,93", c)):  # fmt: skip
            p.line([(0.5 + s * x, y) for x, y in outline(arm)], colour, 0.095, smooth=True)
        for x, y in outline("28,64 33,74 37,84 7,74 6,84"):
            p.circle(0.5 + s * x, y, 0.022, light)
    p.blob(outline("50,4 70,10 78,28 72,48 68,62 50,66 32,62 28,48 22,28 30,10"), c)
    p.ellipse(0.40, 0.15, 0.075, 0.045, light, -25)
    for x in (0.4, 0.6):
        p.circle(x, 0.4, 0.085, WHITE)
        p.eye(x + 0.01, 0.41, 0.055)
    p.arc(0.5, 0.48, 0.08, 0.06, 20, 160, shade(c, 0.45), 0.024)


DRAWINGS: dict[str, Drawing] = {
    "dog": Drawing(mammals.dog, ("brown", "black", "white", "grey"), "ground", 0.75),
    "cat": Drawing(mammals.cat, ("black", "white", "grey", "orange", "brown"), "ground", 0.65),
    "horse": Drawing(mammals.horse, ("brown", "black", "white", "grey"), "ground", 1.0),
    "cow": Drawing(mammals.cow, ("white", "brown", "black"), "ground", 0.95),
    "sheep": Drawing(mammals.sheep, ("white", "black", "grey"), "ground", 0.8),
    "pig": Drawing(mammals.pig, ("pink", "brown", "black"), "ground", 0.8),
    "elephant": Drawing(mammals.elephant, ("grey",), "ground", 1.0),
    "giraffe": Drawing(mammals.giraffe, ("yellow",), "ground", 1.0),
    "lion": Drawing(mammals.lion, ("yellow",), "ground", 0.9),
    "rabbit": Drawing(mammals.rabbit, ("white", "brown", "grey", "black"), "ground", 0.6),
    "mouse": Drawing(mammals.mouse, ("grey", "white", "brown"), "ground", 0.5),
    "bear": Drawing(mammals.bear, ("brown", "black", "white"), "ground", 0.95),
    "monkey": Drawing(mammals.monkey, ("brown", "black", "grey"), "ground", 0.75),
    "penguin": Drawing(penguin, ("black",), "ground", 0.7),
    "bird": Drawing(bird, ("red", "blue", "yellow", "green", "purple", "black", "white", "pink"), "air", 0.55),
    "owl": Drawing(owl, ("brown", "white", "grey"), "ground", 0.6),
    "duck": Drawing(duck, ("yellow", "white", "brown"), "water", 0.6),
    "chicken": Drawing(chicken, ("white", "brown", "black"), "ground", 0.6),
    "fish": Drawing(fish, ("red", "orange", "yellow", "green", "blue", "purple", "pink", "grey"), "water", 0.6),
    "whale": Drawing(whale, ("blue", "grey", "black", "white"), "water", 1.0),
    "snake": Drawing(snake, ("green", "yellow", "red", "black", "brown", "purple"), "ground", 0.65),
    "turtle": Drawing(turtle, ("green", "brown", "blue", "purple", "orange"), "ground", 0.65),
    "frog": Drawing(frog, ("green", "red", "blue", "yellow", "orange"), "ground", 0.55),
    "bee": Drawing(bee, ("yellow",), "air", 0.5),
    "butterfly": Drawing(butterfly, ("red", "orange", "yellow", "blue", "purple", "pink", "white"), "air", 0.5),
    "snail": Drawing(snail, ("brown", "red", "blue", "pink", "purple", "green", "orange"), "ground", 0.5),
    "spider": Drawing(spider, ("black", "brown", "red", "purple"), "ground", 0.5),
    "octopus": Drawing(octopus, ("orange", "purple", "red", "pink", "blue", "green"), "water", 0.8),
}
