"""Things people make: clothes, instruments, tools and toys here; buildings and furniture next door."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lookhear.data.picturebook import furniture
from lookhear.data.picturebook.drawing import Drawing, outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, Point, shade

__all__ = ["DRAWINGS"]

GLASS: Colour = (176, 224, 244)
GOLD: Colour = (244, 196, 66)
LIGHT: Colour = (255, 232, 140)
PAGE: Colour = (252, 246, 228)
STEEL: Colour = (182, 188, 198)
WOOD: Colour = (150, 98, 58)


def _turn(points: Sequence[Point], degrees: float, x: float = 0.5, y: float = 0.5) -> list[Point]:
    """Points turned clockwise about (x, y)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x + (u - x) * cos - (v - y) * sin, y + (u - x) * sin + (v - y) * cos) for u, v in points]


def _mirror(points: Sequence[Point]) -> list[Point]:
    return [(1 - x, y) for x, y in points]


def umbrella(p: Pen, c: Colour) -> None:
    p.line([(0.5, 0.05), (0.5, 0.82)], (98, 76, 66), 0.04)
    p.arc(0.585, 0.84, 0.085, 0.085, 0, 180, (98, 76, 66), 0.05)
    p.pie(0.5, 0.54, 0.47, 0.44, 180, 360, c)
    p.polygon([(0.5, 0.1), *outline("30,20 20,34 18,54 34,54 36,34")], shade(c, 1.4))
    p.blob(outline("50,10 57,22 64,38 66,55 34,55 36,38 43,22"), shade(c, 0.85))
    p.polygon([(0.5, 0.1), *outline("75,17 89,33 96,53 82,54 78,34")], shade(c, 0.72))
    # Scallops: the ribs' ends hang lower than the cloth between them.
    for x, w in ((0.105, 0.078), (0.26, 0.08), (0.5, 0.16), (0.74, 0.08), (0.895, 0.078)):
        ring = [(x + w * math.cos(t / 8 * math.pi), 0.55 - 0.075 * math.sin(t / 8 * math.pi)) for t in range(9)]
        p.erase([*ring, (x - w, 0.58), (x + w, 0.58)])
    p.line([(0.5, 0.48), (0.5, 0.82)], (98, 76, 66), 0.04)
    p.circle(0.5, 0.07, 0.03, (98, 76, 66))


def hat(p: Pen, c: Colour) -> None:
    p.ellipse(0.5, 0.8, 0.47, 0.13, shade(c, 0.62))
    p.ellipse(0.5, 0.775, 0.47, 0.125, c)
    p.polygon(outline("27,78 24,22 76,22 73,78"), c)
    p.ellipse(0.5, 0.78, 0.23, 0.07, c)
    p.polygon(outline("62,24 76,22 73,78 62,83"), shade(c, 0.78))
    p.polygon(outline("29,26 37,26 38,60 31,60"), shade(c, 1.35))
    p.ellipse(0.5, 0.21, 0.26, 0.07, shade(c, 0.72))
    p.ellipse(0.5, 0.215, 0.21, 0.045, shade(c, 0.5))
    band = (222, 60, 60) if max(c) - min(c) < 30 else (46, 42, 52)
    p.polygon(outline("26,63 74,63 73,73 62,78 50,79 38,78 27,73"), band)


def shoe(p: Pen, c: Colour) -> None:
    p.blob(outline("6,40 14,34 26,38 36,40 44,32 54,36 64,52 80,60 93,66 96,78 90,84 50,84 8,84 5,64"), c)
    p.blob(outline("6,40 14,34 21,37 23,56 18,76 8,80 5,64"), shade(c, 0.72))
    p.blob(outline("66,64 80,60 93,66 96,78 90,84 70,82 64,74"), WHITE)
    p.polygon(outline("28,78 36,58 46,52 50,56 44,78"), shade(c, 1.7) if sum(c) < 600 else (120, 150, 200))
    p.box(0.03, 0.79, 0.97, 0.91, WHITE, 0.05)
    p.box(0.04, 0.855, 0.96, 0.885, shade(c, 0.8))
    for x, y in ((0.46, 0.38), (0.53, 0.46), (0.59, 0.54)):
        p.line([(x - 0.05, y + 0.05), (x + 0.06, y)], WHITE if sum(c) < 600 else INK, 0.03)
    p.arc(0.42, 0.3, 0.055, 0.045, 0, 360, shade(c, 1.6) if sum(c) < 600 else INK, 0.02)


def shirt(p: Pen, c: Colour) -> None:
    p.polygon(outline("34,8 66,8 80,14 97,40 80,50 74,42 74,94 26,94 26,42 20,50 3,40 20,14"), c)
    for side in (outline("26,36 26,42 20,50 3,40 6,36 21,44"), _mirror(outline("26,36 26,42 20,50 3,40 6,36 21,44"))):
        p.polygon(side, shade(c, 0.68))
    p.polygon(outline("66,40 74,36 74,94 60,94"), shade(c, 0.82))
    p.box(0.26, 0.885, 0.74, 0.94, shade(c, 0.68))
    p.pie(0.5, 0.08, 0.17, 0.17, 0, 180, shade(c, 0.6))
    p.pie(0.5, 0.08, 0.12, 0.12, 0, 180, shade(c, 0.35))
    p.box(0.56, 0.36, 0.68, 0.5, shade(c, 0.72), 0.02)
    p.line([(0.26, 0.34), (0.285, 0.46)], shade(c, 0.72), 0.018)
    p.line([(0.74, 0.34), (0.715, 0.46)], shade(c, 0.72), 0.018)


def guitar(p: Pen, c: Colour) -> None:
    def tilt(points: Sequence[Point]) -> list[Point]:
        return _turn([(0.52 + 0.93 * (x - 0.5), 0.48 + 0.93 * (y - 0.5)) for x, y in points], 35)

    def at(text: str) -> list[Point]:
        return tilt(outline(text))

    right = outline("50,47 60,46 68,51 69,59 65,66 68,72 76,79 79,89 75,99 64,106 50,108")
    body = [*right, *reversed(_mirror(right[1:-1]))]
    p.blob(tilt(body), shade(c, 0.62))
    p.blob(tilt([(0.475 + 0.94 * (x - 0.5), 0.76 + 0.94 * (y - 0.77)) for x, y in body]), c)
    p.circle(*at("49,69")[0], 0.1, shade(c, 1.6))
    p.circle(*at("49,69")[0], 0.078, INK)
    p.polygon(at("45,6 54,6 54,62 45,62"), (96, 64, 46))
    p.polygon(at("42,-12 57,-12 55,8 44,8"), (70, 46, 36))
    for y in (-8, -2, 4):
        for x in (41, 58):
            p.circle(*at(f"{x},{y}")[0], 0.022, STEEL)
    p.line(at("40,92 58,92"), (70, 46, 36), 0.045)
    for string in (47, 49.5, 52):
        p.line(at(f"{string},4 {string},92"), PAGE, 0.009)
    for y in (17, 27, 37, 47):
        p.line(at(f"45.5,{y} 53.5,{y}"), STEEL, 0.01)


def drum(p: Pen, c: Colour) -> None:
    p.box(0.08, 0.4, 0.92, 0.8, c)
    p.ellipse(0.5, 0.8, 0.42, 0.15, c)
    p.polygon(outline("72,44 92,40 92,80 84,88 72,93"), shade(c, 0.78))
    zig = [(0.09 + 0.82 * k / 8, (0.52 if k % 2 == 0 else 0.84) + 0.11 * math.sin(math.pi * k / 8)) for k in range(9)]
    p.line(zig, GOLD if c[2] > 90 or c[1] < 150 else WHITE, 0.03)
    p.arc(0.5, 0.8, 0.42, 0.15, 0, 180, PAGE, 0.05)
    p.ellipse(0.5, 0.4, 0.44, 0.17, PAGE)
    p.ellipse(0.5, 0.39, 0.39, 0.135, (238, 226, 204))
    for points, tip in ((outline("3,7 44,36"), (0.45, 0.37)), (outline("97,7 58,40"), (0.57, 0.41))):
        p.line(points, WOOD, 0.045)
        p.circle(*tip, 0.045, shade(WOOD, 1.3))


def camera(p: Pen, c: Colour) -> None:
    p.box(0.12, 0.2, 0.28, 0.32, shade(c, 0.6), 0.03)
    p.polygon(outline("34,30 41,14 65,14 72,30"), shade(c, 0.8))
    p.box(0.44, 0.18, 0.62, 0.26, LIGHT, 0.02)
    p.box(0.03, 0.26, 0.97, 0.86, c, 0.08)
    p.box(0.03, 0.28, 0.97, 0.38, shade(c, 1.35), 0.04)
    p.box(0.03, 0.72, 0.97, 0.86, shade(c, 0.7), 0.07)
    p.circle(0.52, 0.58, 0.25, (232, 232, 236))
    p.circle(0.52, 0.58, 0.215, (52, 52, 62))
    p.circle(0.52, 0.58, 0.14, (70, 110, 170))
    p.circle(0.52, 0.58, 0.08, (34, 46, 84))
    p.circle(0.46, 0.51, 0.04, (226, 240, 252))
    p.circle(0.87, 0.4, 0.04, (230, 66, 60))
    p.box(0.09, 0.42, 0.2, 0.5, GLASS, 0.02)


def clock(p: Pen, c: Colour) -> None:
    for x, m in ((0.24, -1), (0.76, 1)):
        p.line([(x - 0.02 * m, 0.84), (x + 0.06 * m, 0.94)], shade(c, 0.55), 0.06)
        p.ellipse(x - 0.015 * m, 0.18, 0.17, 0.12, shade(c, 0.8), 38 * m)
        p.circle(x + 0.07 * m, 0.085, 0.03, GOLD)
    p.line([(0.42, 0.1), (0.58, 0.1)], shade(c, 0.5), 0.04)
    p.line([(0.5, 0.1), (0.5, 0.2)], shade(c, 0.5), 0.04)
    p.circle(0.5, 0.56, 0.395, c)
    p.pie(0.5, 0.56, 0.395, 0.395, 0, 110, shade(c, 0.78))
    p.circle(0.5, 0.56, 0.285, WHITE)
    for k in range(12):
        t, inner = math.pi * k / 6, (0.205 if k % 3 == 0 else 0.23)
        p.line([(0.5 + r * math.cos(t), 0.56 + r * math.sin(t)) for r in (inner, 0.248)], INK, 0.022)
    p.line([(0.5, 0.56), (0.5, 0.39)], INK, 0.036)
    p.line([(0.5, 0.56), (0.615, 0.61)], INK, 0.044)
    p.circle(0.5, 0.56, 0.032, (222, 60, 60))


def hammer(p: Pen, c: Colour) -> None:
    def at(text: str) -> list[Point]:
        return _turn(outline(text), 32)

    p.polygon(at("44,18 56,18 58,60 42,60"), shade(c, 0.85))
    p.blob(at("42,50 58,50 60,70 59,94 56,102 44,102 41,94 40,70"), c)
    p.polygon(at("52,20 56,20 57,100 52,102"), shade(c, 0.72))
    for y in (72, 80, 88):
        p.line(at(f"45,{y} 55,{y}"), shade(c, 0.6), 0.018)
    steel, dark = (150, 158, 172), (104, 112, 128)
    p.polygon(at("40,4 60,4 61,26 39,26"), steel)
    p.polygon(at("60,7 74,7 74,23 60,23"), dark)
    p.polygon(at("73,1 86,1 86,29 73,29"), steel)
    p.blob(at("41,4 28,3 16,10 9,24 18,20 28,19 41,26"), dark)
    p.line(at("41,9 30,9 18,15"), steel, 0.03, smooth=True)
    p.line(at("43,8 57,8"), shade(steel, 1.5), 0.025)


def key(p: Pen, c: Colour) -> None:
    def at(text: str) -> list[Point]:
        return _turn(outline(text), 38)

    p.polygon(at("45,36 55,36 55,108 45,108"), c)
    p.polygon(at("51,36 55,36 55,108 51,108"), shade(c, 0.74))
    p.polygon(at("54,80 68,80 68,88 54,88"), c)
    p.polygon(at("54,95 74,95 74,106 54,106"), shade(c, 0.86))
    p.polygon(at("41,41 59,41 59,47 41,47"), shade(c, 0.74))
    x, y = at("50,18")[0]
    p.circle(x, y, 0.235, c)
    p.arc(x, y, 0.19, 0.19, -40, 100, shade(c, 0.76), 0.05)
    p.arc(x, y, 0.19, 0.19, 160, 260, shade(c, 1.5), 0.035)
    p.erase([(x + 0.115 * math.cos(t / 5), y + 0.115 * math.sin(t / 5)) for t in range(32)])


def cup(p: Pen, c: Colour) -> None:
    for x in (0.3, 0.46, 0.62):
        p.line([(x, 0.25), (x - 0.03, 0.18), (x + 0.03, 0.11), (x, 0.05)], (236, 238, 244), 0.034, smooth=True)
    p.arc(0.74, 0.6, 0.19, 0.19, -100, 100, shade(c, 0.8), 0.085)
    p.blob(outline("11,34 45,36 80,34 80,60 76,84 66,94 45,96 25,94 15,84 11,60"), c)
    p.blob(outline("62,40 80,34 80,60 76,84 66,94 52,96 62,84 66,62"), shade(c, 0.78))
    p.line(outline("20,48 20,62 23,76"), shade(c, 1.5), 0.04, smooth=True)
    p.ellipse(0.455, 0.35, 0.355, 0.085, shade(c, 1.45))
    p.ellipse(0.455, 0.358, 0.3, 0.058, (98, 58, 38))


def bottle(p: Pen, c: Colour) -> None:
    p.box(0.41, 0.03, 0.59, 0.13, (196, 142, 86), 0.02)
    p.blob(outline("42,12 58,12 58,30 64,40 71,50 72,64 72,90 66,96 50,97 34,96 28,90 28,64 29,50 36,40 42,30"), c)
    p.box(0.4, 0.14, 0.6, 0.19, shade(c, 0.66), 0.02)
    p.blob(outline("62,38 71,50 72,64 72,90 66,96 58,96 64,88 64,56"), shade(c, 0.72))
    p.line(outline("36,50 35,56"), shade(c, 1.65), 0.04, smooth=True)
    p.line(outline("46,22 46,31"), shade(c, 1.5), 0.03)
    p.box(0.28, 0.58, 0.72, 0.82, PAGE)
    p.polygon(outline("64,58 72,58 72,82 64,82"), shade(PAGE, 0.86))
    p.circle(0.48, 0.67, 0.055, shade(c, 0.9))
    p.line([(0.38, 0.77), (0.6, 0.77)], shade(c, 0.7), 0.02)


def book(p: Pen, c: Colour) -> None:
    p.polygon(outline("14,12 22,6 84,6 90,12 90,90 84,96 18,96 12,90"), shade(c, 0.62))
    p.polygon(outline("18,82 86,82 86,92 20,92 15,88"), PAGE)
    for y in (0.855, 0.885):
        p.line([(0.2, y), (0.85, y)], shade(PAGE, 0.78), 0.01)
    p.box(0.1, 0.05, 0.88, 0.83, c, 0.04)
    p.box(0.1, 0.05, 0.22, 0.88, shade(c, 0.74), 0.04)
    p.box(0.1, 0.88, 0.9, 0.955, shade(c, 0.74), 0.035)
    p.box(0.32, 0.16, 0.78, 0.44, PAGE, 0.02)
    p.line([(0.39, 0.25), (0.71, 0.25)], INK, 0.035)
    p.line([(0.44, 0.345), (0.66, 0.345)], INK, 0.025)
    p.polygon(outline("68,82 78,82 78,97 73,92 68,97"), (226, 60, 60) if c[0] < 200 or c[1] > 150 else GOLD)
    p.line([(0.29, 0.1), (0.29, 0.78)], shade(c, 1.4), 0.012)


def ball(p: Pen, c: Colour) -> None:
    accent = WHITE if sum(c) < 640 else (222, 60, 60)
    pole = (0.4, 0.3)
    for k in range(6):
        start, end = 60 * k + 10 * (k % 2), 60 * k + 60 + 10 * (1 - k % 2)
        edge = [_seam(pole, end, t / 8) for t in range(9)]
        rim = [_seam(pole, end + (start - end) * t / 12, 1) for t in range(1, 12)]
        back = [_seam(pole, start, 1 - t / 8) for t in range(9)]
        p.polygon([*edge, *rim, *back], c if k % 2 == 0 else accent)
    for k in range(6):
        # The side away from the light.
        start, end = max(60 * k + 10 * (k % 2), 20), min(60 * k + 60 + 10 * (1 - k % 2), 130)
        if start < end:
            ts = [start + (end - start) * t / 12 for t in range(13)]
            crescent = [_seam(pole, t, 1 - 0.16 * math.sin(math.pi * (t - 20) / 110)) for t in reversed(ts)]
            p.polygon([*(_seam(pole, t, 1) for t in ts), *crescent], shade(c if k % 2 == 0 else accent, 0.8))
    p.circle(*pole, 0.06, accent)
    p.arc(0.5, 0.51, 0.445, 0.445, 0, 360, shade(c, 0.8), 0.02)


def _seam(pole: Point, degrees: float, t: float) -> Point:
    """A point of a ball's seam from its pole (t = 0) to its rim (t = 1), bulging as on a sphere."""
    a = math.radians(degrees)
    rim = (0.5 + 0.45 * math.cos(a), 0.51 + 0.45 * math.sin(a))
    bend = (0.5 + 0.3 * math.cos(a - 0.35), 0.51 + 0.3 * math.sin(a - 0.35))
    x, y = ((1 - t) ** 2 * u + 2 * t * (1 - t) * v + t * t * w for u, v, w in zip(pole, bend, rim))
    return x, y


def kite(p: Pen, c: Colour) -> None:
    tail = outline("37,64 43,74 34,81 41,88 34,95")
    p.line(tail, INK, 0.018, smooth=True)
    for (x, y), bow in zip(tail[1:4], (GOLD, (230, 80, 90), (90, 170, 230))):
        p.polygon([(x - 0.08, y - 0.05), (x, y), (x - 0.08, y + 0.05)], bow)
        p.polygon([(x + 0.08, y - 0.05), (x, y), (x + 0.08, y + 0.05)], bow)
    p.polygon(outline("66,3 95,34 36,70 16,20"), c)
    p.polygon(outline("66,3 95,34 54,30"), shade(c, 1.4))
    p.polygon(outline("95,34 36,70 54,30"), shade(c, 0.72))
    p.polygon(outline("16,20 36,70 54,30"), shade(c, 0.88))
    p.line(outline("66,3 54,30 36,70"), shade(c, 0.45), 0.02)
    p.line(outline("16,20 54,30 95,34"), shade(c, 0.45), 0.02)


def ladder(p: Pen, c: Colour) -> None:
    for k in range(6):
        y = 0.15 + 0.145 * k
        half = 0.17 + 0.1 * (y - 0.05)
        p.line([(0.5 - half, y), (0.5 + half, y)], shade(c, 0.78), 0.06)
        p.line([(0.5 - half, y - 0.012), (0.5 + half, y - 0.012)], shade(c, 1.25), 0.018)
    for m in (-1, 1):
        p.line([(0.5 + m * 0.17, 0.07), (0.5 + m * 0.27, 0.93)], c, 0.085)
        p.line([(0.52 + m * 0.17, 0.07), (0.52 + m * 0.27, 0.93)], shade(c, 0.7), 0.026)


def candle(p: Pen, c: Colour) -> None:
    p.blob(outline("50,3 57,13 61,22 58,30 50,33 42,30 39,22 43,13"), (250, 150, 40))
    p.blob(outline("50,14 54,21 54,28 50,31 46,28 46,21"), (255, 240, 150))
    p.line([(0.5, 0.29), (0.5, 0.38)], INK, 0.024)
    p.ellipse(0.5, 0.88, 0.42, 0.085, (180, 132, 60))
    p.ellipse(0.5, 0.86, 0.42, 0.07, GOLD)
    p.arc(0.89, 0.84, 0.06, 0.06, -120, 130, (180, 132, 60), 0.035)
    p.box(0.33, 0.37, 0.67, 0.87, c, 0.05)
    p.box(0.56, 0.39, 0.67, 0.87, shade(c, 0.78), 0.04)
    p.ellipse(0.5, 0.385, 0.17, 0.04, shade(c, 1.4))
    p.blob(outline("33,40 39,38 44,40 44,54 41,59 38,54 37,48 33,50"), shade(c, 1.5))
    p.line([(0.5, 0.32), (0.5, 0.385)], INK, 0.024)


def bell(p: Pen, c: Colour) -> None:
    p.arc(0.5, 0.1, 0.065, 0.065, 0, 360, shade(c, 0.7), 0.04)
    p.circle(0.5, 0.86, 0.1, shade(c, 0.5))
    p.polygon(outline("50,13 62,17 71,28 75,46 79,62 88,76 12,76 21,62 25,46 29,28 38,17"), c)
    p.polygon(outline("56,14 62,17 71,28 75,46 79,62 88,76 66,76 64,50 62,28"), shade(c, 0.76))
    p.line(outline("38,26 34,42 31,58"), shade(c, 1.65), 0.045, smooth=True)
    p.box(0.08, 0.73, 0.92, 0.83, shade(c, 0.86), 0.05)
    p.box(0.14, 0.745, 0.6, 0.775, shade(c, 1.4), 0.015)
    p.line(outline("22,64 78,64"), shade(c, 0.62), 0.022)


def scissors(p: Pen, c: Colour) -> None:
    blade = outline("45,58 56,62 80,5 64,14")
    p.polygon(_mirror(blade), shade(STEEL, 0.86))
    p.polygon(_mirror(outline("50,60 56,62 80,5 73,9")), shade(STEEL, 0.66))
    p.polygon(blade, STEEL)
    p.polygon(outline("50,60 56,62 80,5 73,9"), shade(STEEL, 0.76))
    for m in (-1, 1):
        p.line([(0.5 - m * 0.03, 0.5), (0.5 + m * 0.13, 0.68)], shade(c, 0.85), 0.085)
        p.ellipse(0.5 + m * 0.23, 0.79, 0.16, 0.19, c, -24 * m)
        p.arc(0.5 + m * 0.23, 0.79, 0.125, 0.15, 10, 120, shade(c, 0.72), 0.04)
        ring = [(0.5 + m * 0.23 + 0.08 * math.cos(t / 5), 0.8 + 0.105 * math.sin(t / 5)) for t in range(32)]
        p.erase(_turn(ring, -24 * m, 0.5 + m * 0.23, 0.8))
    p.circle(0.5, 0.545, 0.032, INK)


MANY = ("red", "blue", "yellow", "green", "pink", "purple", "white")

DRAWINGS: dict[str, Drawing] = {
    "house": Drawing(furniture.house, ("red", "yellow", "blue", "white", "green", "pink"), "ground", 1.0),
    "castle": Drawing(furniture.castle, ("grey", "white", "brown", "pink"), "ground", 1.0),
    "tent": Drawing(furniture.tent, ("red", "blue", "green", "yellow", "orange"), "ground", 0.95),
    "chair": Drawing(furniture.chair, ("brown", "red", "blue", "green", "yellow", "white"), "ground", 0.75),
    "table": Drawing(furniture.table, ("brown", "red", "blue", "green", "white"), "ground", 0.85),
    "bed": Drawing(furniture.bed, ("red", "blue", "green", "yellow", "pink", "purple"), "ground", 0.9),
    "lamp": Drawing(furniture.lamp, ("yellow", "red", "blue", "green", "pink", "purple"), "ground", 0.7),
    "umbrella": Drawing(umbrella, ("red", "blue", "yellow", "green", "pink", "purple", "black"), "ground", 0.8),
    "hat": Drawing(hat, ("black", "red", "blue", "green", "brown", "white", "purple"), "ground", 0.6),
    "shoe": Drawing(shoe, ("red", "blue", "green", "black", "pink", "yellow"), "ground", 0.6),
    "shirt": Drawing(shirt, ("red", "blue", "yellow", "green", "white", "pink"), "ground", 0.65),
    "guitar": Drawing(guitar, ("brown", "red", "blue", "yellow", "black"), "ground", 0.75),
    "drum": Drawing(drum, ("red", "blue", "green", "yellow", "purple"), "ground", 0.7),
    "camera": Drawing(camera, ("black", "red", "blue", "grey", "yellow"), "ground", 0.6),
    "clock": Drawing(clock, ("red", "blue", "yellow", "green", "black"), "ground", 0.65),
    "hammer": Drawing(hammer, ("red", "blue", "yellow", "brown", "green"), "ground", 0.6),
    "key": Drawing(key, ("yellow", "grey", "red", "blue"), "ground", 0.5),
    "cup": Drawing(cup, MANY, "ground", 0.55),
    "bottle": Drawing(bottle, ("green", "blue", "brown", "red", "purple"), "ground", 0.65),
    "book": Drawing(book, ("red", "blue", "green", "yellow", "brown", "purple"), "ground", 0.6),
    "ball": Drawing(ball, ("red", "blue", "yellow", "green", "orange", "purple"), "ground", 0.55),
    "kite": Drawing(kite, ("red", "blue", "yellow", "green", "pink", "purple", "orange"), "air", 0.95),
    "ladder": Drawing(ladder, ("brown", "red", "yellow", "grey", "blue"), "ground", 0.9),
    "candle": Drawing(candle, ("white", "red", "blue", "green", "pink", "purple"), "ground", 0.6),
    "bell": Drawing(bell, ("yellow", "red", "blue", "green"), "ground", 0.6),
    "scissors": Drawing(scissors, ("red", "blue", "green", "yellow", "orange"), "ground", 0.6),
}
