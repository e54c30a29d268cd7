"""The picture book's furry half: thirteen mammals, each with its own pose so that the silhouette alone tells them."""

from __future__ import annotations

from lookhear.data.picturebook.drawing import outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, shade

__all__ = [
    "bear", "cat", "cow", "dog", "elephant", "giraffe", "horse", "lion", "monkey", "mouse", "pig", "rabbit", "sheep",
]  # fmt: skip

PINK: Colour = (240, 158, 168)
CREAM: Colour = (250, 232, 200)
TAN: Colour = (236, 196, 150)
RED: Colour = (214, 56, 50)


def _dark(c: Colour) -> bool:
    return bool(sum(c) < 270)


def _accent(c: Colour) -> Colour:
    """A tone that shows against ``c``: darker, or lighter where ``c`` is too dark for shadows."""
    return shade(c, 1.3) if _dark(c) else shade(c, 0.6)


def _eye(p: Pen, x: float, y: float, r: float = 0.03) -> None:
    """An eye with its white, so that it shows on dark fur too."""
    p.circle(x, y, r * 1.45, WHITE)
    p.eye(x + r * 0.2, y, r)


def _legs(p: Pen, xs: tuple[float, ...], top: float, width: float, c: Colour, hoof: Colour) -> None:
    for x in xs:
        p.box(x - width / 2, top, x + width / 2, 0.96, c, width * 0.35)
        p.box(x - width / 2, 0.90, x + width / 2, 0.96, hoof, width * 0.3)


def dog(p: Pen, c: Colour) -> None:
    far, light, ear = shade(c, 0.75), shade(c, 1.45), _accent(c)
    p.line(outline("16,54 7,42 8,24"), c, 0.075, smooth=True)
    _legs(p, (0.30, 0.64), 0.6, 0.12, far, far)
    _legs(p, (0.19, 0.54), 0.6, 0.13, c, light)
    p.blob(outline("12,54 28,48 50,48 66,46 70,62 60,76 36,74 16,78"), c)
    p.polygon(outline("48,34 74,40 71,58 50,60"), c)
    p.line(outline("50,52 60,57 72,54"), RED, 0.055, smooth=True)
    p.circle(0.645, 0.6, 0.04, (250, 208, 48))
    p.ellipse(0.85, 0.46, 0.045, 0.09, (236, 96, 110))
    p.circle(0.63, 0.28, 0.2, c)
    p.ellipse(0.82, 0.36, 0.15, 0.1, light)
    p.ellipse(0.925, 0.31, 0.05, 0.04, INK)
    p.arc(0.84, 0.35, 0.09, 0.07, 20, 130, INK, 0.018)
    p.blob(outline("46,12 58,12 61,28 57,48 47,52 40,40 42,22"), ear)
    _eye(p, 0.70, 0.22, 0.034)


def cat(p: Pen, c: Colour) -> None:
    ink, stripe = (WHITE if _dark(c) else INK), _accent(c)
    p.line(outline("64,89 82,88 90,74 84,56 90,46"), c, 0.09, smooth=True)
    p.blob(outline("28,96 24,80 34,58 50,50 66,58 76,80 72,96"), c)
    p.ellipse(0.5, 0.72, 0.11, 0.16, shade(c, 1.4))
    p.line(outline("50,80 50,94"), stripe, 0.015)
    p.ellipse(0.41, 0.92, 0.09, 0.045, shade(c, 1.4))
    p.ellipse(0.59, 0.92, 0.09, 0.045, shade(c, 1.4))
    for side in (-1, 1):
        p.polygon([(0.5 + side * x, y) for x, y in ((0.27, 0.32), (0.26, 0.04), (0.05, 0.18))], c)
        p.polygon([(0.5 + side * x, y) for x, y in ((0.23, 0.22), (0.225, 0.1), (0.12, 0.17))], PINK)
    p.ellipse(0.5, 0.35, 0.29, 0.22, c)
    for x in (0.43, 0.5, 0.57):
        p.line([(x, 0.15), (x + (0.5 - x) * 0.3, 0.22)], stripe, 0.025)
    for x in (0.38, 0.62):
        p.ellipse(x, 0.34, 0.07, 0.065, (178, 214, 84))
        p.ellipse(x, 0.34, 0.025, 0.06, (30, 26, 30))
    p.polygon(outline("46,42 54,42 50,47"), PINK)
    p.arc(0.46, 0.46, 0.04, 0.04, 0, 160, ink, 0.014)
    p.arc(0.54, 0.46, 0.04, 0.04, 20, 180, ink, 0.014)
    for side in (-1, 1):
        for y, end in ((0.43, 0.4), (0.47, 0.49)):
            p.line([(0.5 + side * 0.17, y), (0.5 + side * 0.42, end)], ink, 0.012)


def horse(p: Pen, c: Colour) -> None:
    far, mane = shade(c, 0.75), _accent(c)
    p.blob(outline("18,46 8,50 4,66 6,86 14,80 15,62 22,54"), mane)
    _legs(p, (0.30, 0.64), 0.55, 0.075, far, INK)
    _legs(p, (0.21, 0.57), 0.55, 0.085, c, INK)
    p.blob(outline("14,48 28,41 48,44 64,40 68,54 58,66 38,64 20,66"), c)
    p.blob(outline("50,48 58,28 66,12 76,14 78,28 70,44 66,60 54,60"), c)
    p.blob(outline("66,12 76,8 84,18 95,34 95,42 88,44 78,34 68,28"), c)
    p.blob(outline("86,30 94,34 95,42 88,44 83,38"), shade(c, 1.35))
    p.circle(0.915, 0.37, 0.013, INK)
    p.polygon(outline("66,13 68,2 75,10"), c)
    p.blob(outline("66,4 72,12 64,18 64,26 58,34 58,42 50,48 44,44 50,34 52,24 58,14"), mane)
    _eye(p, 0.77, 0.19, 0.026)


def cow(p: Pen, c: Colour) -> None:
    patch = WHITE if sum(c) < 600 else (58, 56, 64)
    p.line(outline("12,44 6,56 7,72"), c, 0.03, smooth=True)
    p.ellipse(0.07, 0.75, 0.035, 0.06, patch)
    _legs(p, (0.28, 0.64), 0.6, 0.1, shade(c, 0.75), INK)
    p.ellipse(0.38, 0.71, 0.1, 0.07, PINK)
    _legs(p, (0.18, 0.55), 0.6, 0.11, c, INK)
    p.box(0.1, 0.36, 0.74, 0.71, c, 0.13)
    p.blob(outline("14,40 30,36 34,48 26,58 14,56"), patch)
    p.blob(outline("42,42 54,38 60,50 56,64 44,62 40,52"), patch)
    for side in (-1, 1):
        p.line([(0.79 + side * x, y) for x, y in ((0.07, 0.24), (0.13, 0.17), (0.11, 0.09))], CREAM, 0.045, smooth=True)
        p.ellipse(0.79 + side * 0.14, 0.3, 0.065, 0.04, c if side < 0 else patch, side * 18)
    p.blob(outline("67,26 79,22 91,26 92,42 88,56 70,56 66,42"), c)
    p.blob(outline("81,24 91,26 91,38 86,42 81,36"), patch)
    p.ellipse(0.79, 0.53, 0.15, 0.1, PINK)
    p.ellipse(0.74, 0.52, 0.022, 0.03, shade(PINK, 0.55))
    p.ellipse(0.84, 0.52, 0.022, 0.03, shade(PINK, 0.55))
    _eye(p, 0.73, 0.35, 0.026)
    _eye(p, 0.85, 0.35, 0.026)


def sheep(p: Pen, c: Colour) -> None:
    face = TAN if _dark(c) else (74, 62, 62)
    _legs(p, (0.25, 0.36, 0.56, 0.66), 0.7, 0.075, face, INK)
    rim = "14,58 18,42 32,32 48,30 62,36 70,50 66,66 54,75 38,77 24,73"
    for x, y in outline(rim):
        p.circle(x, y + 0.02, 0.12, shade(c, 0.85))
    for x, y in outline(rim):
        p.circle(x, y - 0.01, 0.11, c)
    p.ellipse(0.42, 0.53, 0.28, 0.22, c)
    for x, y in outline("24,48 40,44 32,62 50,60 54,44"):
        p.arc(x, y, 0.06, 0.055, 20, 200, shade(c, 0.8), 0.022)
    p.ellipse(0.64, 0.42, 0.09, 0.045, shade(face, 0.85), -25)
    p.blob(outline("68,30 82,26 92,40 94,56 86,64 76,58 68,46"), face)
    for x, y in outline("66,30 74,23 83,24"):
        p.circle(x, y, 0.075, c)
    _eye(p, 0.80, 0.40, 0.028)
    p.ellipse(0.905, 0.53, 0.012, 0.018, shade(face, 0.5))


def pig(p: Pen, c: Colour) -> None:
    snout, inner = shade(c, 1.3), shade(c, 0.72)
    p.line(outline("13,50 5,48 5,38 12,38 11,46 4,54"), inner, 0.03, smooth=True)
    _legs(p, (0.31, 0.66), 0.7, 0.12, inner, shade(c, 0.5))
    _legs(p, (0.21, 0.56), 0.7, 0.13, c, shade(c, 0.5))
    p.ellipse(0.43, 0.56, 0.34, 0.27, c)
    p.ellipse(0.40, 0.74, 0.18, 0.06, snout)
    p.polygon(outline("58,36 54,14 70,26"), c)
    p.circle(0.71, 0.48, 0.22, c)
    p.polygon(outline("66,28 74,10 84,34"), inner)
    p.polygon(outline("56,36 54,14 70,28"), inner)
    p.box(0.79, 0.42, 0.97, 0.62, snout, 0.085)
    p.ellipse(0.85, 0.52, 0.02, 0.04, shade(c, 0.45))
    p.ellipse(0.915, 0.52, 0.02, 0.04, shade(c, 0.45))
    _eye(p, 0.74, 0.38, 0.028)
    p.arc(0.76, 0.58, 0.07, 0.06, 40, 150, shade(c, 0.45), 0.018)


def elephant(p: Pen, c: Colour) -> None:
    far, ear = shade(c, 0.75), shade(c, 0.84)
    p.line(outline("8,44 4,56 6,70"), far, 0.03, smooth=True)
    _legs(p, (0.32, 0.62), 0.6, 0.14, far, far)
    p.ellipse(0.37, 0.5, 0.32, 0.27, c)
    _legs(p, (0.19, 0.52), 0.6, 0.155, c, shade(c, 1.5))
    p.line(outline("80,38 87,50 85,64 82,76 86,87 93,82"), c, 0.1, smooth=True)
    for y in (0.62, 0.69, 0.76):
        p.line([(0.80, y), (0.87, y + 0.005)], far, 0.014)
    p.line(outline("75,52 82,58 94,54"), WHITE, 0.045, smooth=True)
    p.circle(0.70, 0.36, 0.2, c)
    p.blob(outline("50,10 64,14 68,30 64,52 52,62 40,54 34,36 38,18"), ear)
    p.blob(outline("50,18 60,21 62,32 58,46 51,53 44,47 41,35 44,23"), PINK)
    _eye(p, 0.78, 0.31, 0.03)


def giraffe(p: Pen, c: Colour) -> None:
    spot, far = (168, 104, 50), shade(c, 0.8)
    p.line(outline("15,58 8,66 9,78"), c, 0.022, smooth=True)
    p.ellipse(0.09, 0.79, 0.025, 0.045, spot)
    _legs(p, (0.28, 0.57), 0.6, 0.065, far, spot)
    _legs(p, (0.19, 0.50), 0.6, 0.07, c, spot)
    p.blob(outline("13,60 22,55 42,52 56,44 64,54 58,68 40,70 18,70"), c)
    p.polygon(outline("44,56 62,12 76,18 63,62"), c)
    p.line(outline("45,50 62,10"), spot, 0.03)
    for x in (0.67, 0.73):
        p.line([(x, 0.11), (x - 0.01, 0.05)], spot, 0.022)
        p.circle(x - 0.01, 0.05, 0.022, spot)
    p.ellipse(0.585, 0.14, 0.065, 0.03, c, 20)
    p.blob(outline("61,12 72,8 82,13 94,22 94,30 84,31 72,27 63,22"), c)
    p.ellipse(0.91, 0.265, 0.05, 0.042, shade(c, 1.6))
    p.circle(0.93, 0.25, 0.01, INK)
    _eye(p, 0.76, 0.165, 0.023)
    for x, y, r in ((66, 26, 3), (62, 36, 4), (66, 45, 3), (56, 48, 4), (60, 56, 4), (50, 60, 4.5), (39, 58, 4.5),
                    (42, 66, 3), (28, 60, 4.5), (32, 67, 2.6), (19, 63, 3.4)):  # fmt: skip
        p.ellipse(x / 100, y / 100, r / 100, r / 110, spot, 30)


def lion(p: Pen, c: Colour) -> None:
    mane = (176, 96, 40)
    p.line(outline("14,62 5,52 8,38"), c, 0.04, smooth=True)
    p.ellipse(0.09, 0.35, 0.05, 0.075, mane, 15)
    _legs(p, (0.29, 0.70), 0.65, 0.11, shade(c, 0.8), shade(c, 0.8))
    _legs(p, (0.18, 0.58), 0.65, 0.12, c, shade(c, 1.4))
    p.blob(outline("10,62 22,54 46,56 68,56 72,74 58,80 34,76 16,80"), c)
    for k, (x, y) in enumerate(outline("63,10 77,13 88,23 92,38 88,53 77,63 63,67 49,63 38,53 34,38 38,23 49,13")):
        p.circle(0.63 + (x - 0.63) * 0.93, 0.38 + (y - 0.38) * 0.93, 0.08, mane if k % 2 else shade(mane, 0.85))
    p.circle(0.63, 0.38, 0.27, mane)
    for x in (0.49, 0.77):
        p.circle(x, 0.22, 0.06, c)
        p.circle(x, 0.22, 0.032, mane)
    p.ellipse(0.63, 0.38, 0.185, 0.19, c)
    p.ellipse(0.58, 0.47, 0.075, 0.06, WHITE)
    p.ellipse(0.68, 0.47, 0.075, 0.06, WHITE)
    p.ellipse(0.63, 0.53, 0.04, 0.03, RED)
    p.polygon(outline("57,40 69,40 63,47"), INK)
    _eye(p, 0.56, 0.33, 0.028)
    _eye(p, 0.70, 0.33, 0.028)


def rabbit(p: Pen, c: Colour) -> None:
    low, light = shade(c, 0.84), shade(c, 1.5)
    p.circle(0.13, 0.68, 0.09, light)
    for x, angle in ((0.58, -14), (0.75, 8)):
        p.ellipse(x, 0.23, 0.075, 0.21, c, angle)
        p.ellipse(x, 0.24, 0.035, 0.15, PINK, angle)
    p.blob(outline("12,78 18,56 36,46 58,52 72,62 74,82 66,92 30,94"), c)
    p.ellipse(0.68, 0.92, 0.11, 0.045, light)
    p.ellipse(0.33, 0.74, 0.18, 0.16, low)
    p.ellipse(0.40, 0.92, 0.19, 0.045, light)
    p.ellipse(0.70, 0.50, 0.2, 0.17, c)
    p.ellipse(0.82, 0.57, 0.1, 0.08, light)
    p.box(0.82, 0.61, 0.88, 0.69, WHITE, 0.012)
    p.line(outline("85,61 85,68"), low, 0.01)
    p.ellipse(0.88, 0.52, 0.035, 0.026, PINK)
    _eye(p, 0.75, 0.45, 0.036)


def mouse(p: Pen, c: Colour) -> None:
    low = shade(c, 0.8)
    p.line(outline("16,84 6,74 8,58 17,48 13,34 21,26"), PINK, 0.032, smooth=True)
    p.circle(0.73, 0.40, 0.15, low)
    p.circle(0.73, 0.40, 0.1, shade(PINK, 0.85))
    p.blob(outline("10,84 10,66 26,52 48,48 70,52 86,64 95,76 90,84 70,91 30,93"), c)
    p.ellipse(0.46, 0.88, 0.28, 0.06, shade(c, 1.45))
    for x in (0.30, 0.66):
        p.ellipse(x, 0.935, 0.09, 0.03, PINK)
    p.circle(0.48, 0.42, 0.19, c)
    p.circle(0.48, 0.42, 0.19 - 0.055, PINK)
    p.arc(0.48, 0.42, 0.19, 0.19, 0, 360, low, 0.012)
    p.circle(0.935, 0.755, 0.04, (228, 96, 120))
    for end in ("66,74", "66,82", "70,88"):
        p.line(outline("83,79 " + end), _accent(c), 0.011)
    _eye(p, 0.77, 0.66, 0.036)


def bear(p: Pen, c: Colour) -> None:
    light, low = shade(c, 1.45), shade(c, 0.8)
    for s in (-1, 1):
        p.line([(0.5 + s * x, y) for x, y in ((0.2, 0.56), (0.33, 0.5), (0.37, 0.36))], low, 0.14, smooth=True)
        for dx in (-0.04, 0, 0.04):
            p.line([(0.5 + s * 0.37 + dx, 0.31), (0.5 + s * 0.37 + dx * 1.3, 0.26)], CREAM, 0.022)
        p.ellipse(0.5 + s * 0.17, 0.88, 0.13, 0.08, low)
        p.circle(0.5 + s * 0.17, 0.16 - 0.05, 0.085, c)
        p.circle(0.5 + s * 0.17, 0.16 - 0.05, 0.045, light)
    p.ellipse(0.5, 0.68, 0.29, 0.25, c)
    p.ellipse(0.5, 0.71, 0.18, 0.17, light)
    p.ellipse(0.5, 0.27, 0.24, 0.21, c)
    p.ellipse(0.5, 0.35, 0.125, 0.1, light)
    p.ellipse(0.5, 0.30, 0.06, 0.042, INK)
    p.line(outline("50,32 50,38"), INK, 0.016)
    p.arc(0.5, 0.36, 0.06, 0.04, 20, 160, INK, 0.016)
    _eye(p, 0.39, 0.23, 0.028)
    _eye(p, 0.61, 0.23, 0.028)


def monkey(p: Pen, c: Colour) -> None:
    low = shade(c, 0.8)
    p.line(outline("60,86 80,88 92,76 90,58 79,56 77,66 84,68"), low, 0.05, smooth=True)
    for s in (-1, 1):
        p.line([(0.46 + s * x, y) for x, y in ((0.14, 0.58), (0.26, 0.72), (0.2, 0.86))], low, 0.085, smooth=True)
        p.line([(0.46 + s * x, y) for x, y in ((0.1, 0.82), (0.2, 0.84), (0.15, 0.92))], c, 0.1, smooth=True)
        p.ellipse(0.46 + s * 0.17, 0.925, 0.1, 0.037, TAN)
        p.circle(0.46 + s * 0.29, 0.3, 0.115, c)
        p.circle(0.46 + s * 0.29, 0.3, 0.07, TAN)
    p.ellipse(0.46, 0.70, 0.18, 0.21, c)
    p.ellipse(0.46, 0.73, 0.11, 0.14, TAN)
    p.ellipse(0.46, 0.3, 0.27, 0.26, c)
    for x in (0.37, 0.55):
        p.ellipse(x, 0.26, 0.115, 0.12, TAN)
        _eye(p, x, 0.26, 0.034)
    p.ellipse(0.46, 0.42, 0.2, 0.125, TAN)
    p.circle(0.43, 0.37, 0.014, INK)
    p.circle(0.49, 0.37, 0.014, INK)
    p.arc(0.46, 0.41, 0.12, 0.07, 15, 165, shade(RED, 0.7), 0.024)
