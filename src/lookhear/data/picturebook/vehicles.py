"""Things that carry people, side on and facing right."""

from __future__ import annotations

from lookhear.data.picturebook.drawing import Drawing, outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, mix, shade

__all__ = ["DRAWINGS"]

GLASS: Colour = (176, 224, 244)
LAMP: Colour = (255, 226, 110)
STEEL: Colour = (176, 182, 192)
TYRE: Colour = (46, 44, 50)


def _wheel(p: Pen, x: float, y: float, r: float, hub: Colour = STEEL) -> None:
    p.circle(x, y, r, TYRE)
    p.circle(x, y, r * 0.56, hub)
    p.circle(x, y, r * 0.22, shade(hub, 0.6))


def _window(p: Pen, points: str) -> None:
    corners = outline(points)
    p.polygon(corners, GLASS)
    # A glint across the upper left corner, wherever the window is.
    (x0, y0), (x1, y1) = corners[0], corners[1]
    p.line([(x0 + 0.25 * (x1 - x0), y0 + 0.06), (x0 + 0.55 * (x1 - x0), y1 + 0.04)], shade(GLASS, 1.6), 0.018)


def car(p: Pen, c: Colour) -> None:
    p.polygon(outline("13,52 26,22 33,17 62,17 70,21 84,52"), shade(c, 0.85))
    p.box(0.03, 0.45, 0.97, 0.83, c, 0.12)
    p.box(0.03, 0.70, 0.97, 0.83, shade(c, 0.72), 0.06)
    p.box(0.05, 0.46, 0.95, 0.52, shade(c, 1.3), 0.03)
    _window(p, "30,25 46,25 46,47 22,47")
    _window(p, "52,25 64,25 75,47 52,47")
    p.line([(0.49, 0.5), (0.49, 0.76)], shade(c, 0.7), 0.014)
    p.box(0.53, 0.57, 0.61, 0.595, shade(c, 0.6), 0.01)
    p.ellipse(0.92, 0.6, 0.045, 0.06, LAMP)
    p.box(0.03, 0.56, 0.075, 0.66, (210, 60, 50), 0.02)
    for x in (0.26, 0.74):
        p.circle(x, 0.78, 0.19, shade(c, 0.5))
        _wheel(p, x, 0.79, 0.165)


def bus(p: Pen, c: Colour) -> None:
    p.box(0.03, 0.12, 0.97, 0.86, c, 0.09)
    p.box(0.07, 0.125, 0.9, 0.175, shade(c, 1.4), 0.02)
    p.box(0.03, 0.74, 0.97, 0.86, shade(c, 0.72), 0.05)
    p.box(0.03, 0.6, 0.97, 0.65, shade(c, 1.55) if sum(c) < 640 else STEEL)
    for k in range(4):
        x = 0.075 + 0.165 * k
        p.box(x, 0.24, x + 0.135, 0.52, shade(c, 0.6), 0.025)
        p.box(x + 0.012, 0.252, x + 0.123, 0.508, GLASS, 0.02)
        p.line([(x + 0.035, 0.34), (x + 0.07, 0.285)], shade(GLASS, 1.6), 0.016)
    p.box(0.75, 0.22, 0.97, 0.54, GLASS, 0.03)
    p.line([(0.83, 0.40), (0.90, 0.29)], shade(GLASS, 1.6), 0.02)
    p.box(0.735, 0.24, 0.765, 0.86, shade(c, 0.6))
    p.circle(0.93, 0.7, 0.038, LAMP)
    for x in (0.24, 0.68):
        p.circle(x, 0.83, 0.145, shade(c, 0.5))
        _wheel(p, x, 0.84, 0.12)


def bicycle(p: Pen, c: Colour) -> None:
    rear, front, pedals, saddle, head = (0.25, 0.71), (0.75, 0.71), (0.46, 0.72), (0.38, 0.36), (0.67, 0.34)
    for x, y in (rear, front):
        p.arc(x, y, 0.205, 0.205, 0, 360, TYRE, 0.05)
        p.arc(x, y, 0.17, 0.17, 0, 360, STEEL, 0.014)
        for dx, dy in ((0.17, 0), (0, 0.17), (0.12, 0.12), (0.12, -0.12)):
            p.line([(x - dx, y - dy), (x + dx, y + dy)], STEEL, 0.009)
    for path in ([rear, pedals, head], [rear, (0.4, 0.44), head], [saddle, pedals], [front, (0.635, 0.2)]):
        p.line(path, c, 0.058)
    p.line([(0.40, 0.435), head], shade(c, 1.35), 0.018)
    p.line([(0.54, 0.165), (0.635, 0.2), (0.76, 0.16), (0.79, 0.23)], INK, 0.045, smooth=True)
    p.blob(outline("26,31 48,33 50,37 40,39 30,41 25,37"), INK)
    p.circle(*pedals, 0.06, INK)
    p.line([(0.46, 0.72), (0.52, 0.85)], INK, 0.03)
    p.box(0.46, 0.84, 0.6, 0.88, INK, 0.015)
    for x, y in (rear, front):
        p.circle(x, y, 0.035, INK)


def train(p: Pen, c: Colour) -> None:
    p.box(0.04, 0.74, 0.9, 0.82, shade(c, 0.55), 0.02)
    p.polygon(outline("86,70 97,92 80,92 80,70"), (96, 94, 102))
    p.box(0.3, 0.4, 0.88, 0.76, c, 0.08)
    p.box(0.34, 0.43, 0.86, 0.5, shade(c, 1.4), 0.035)
    for x in (0.46, 0.62):
        p.box(x, 0.4, x + 0.03, 0.76, (240, 196, 70))
    p.box(0.84, 0.4, 0.91, 0.76, shade(c, 0.62), 0.03)
    p.box(0.06, 0.2, 0.36, 0.78, shade(c, 0.85), 0.02)
    p.box(0.11, 0.28, 0.31, 0.5, INK, 0.02)
    p.box(0.125, 0.295, 0.295, 0.485, GLASS, 0.02)
    p.box(0.02, 0.14, 0.4, 0.22, shade(c, 0.5), 0.03)
    p.polygon(outline("70,41 68,22 84,22 82,41"), (70, 68, 78))
    p.box(0.65, 0.17, 0.87, 0.235, (240, 196, 70), 0.02)
    p.pie(0.5, 0.41, 0.07, 0.1, 180, 360, (240, 196, 70))
    for x, y, r in ((0.72, 0.105, 0.055), (0.6, 0.075, 0.06), (0.49, 0.08, 0.045)):
        p.circle(x, y, r, (232, 232, 236))
    p.circle(0.91, 0.5, 0.045, LAMP)
    for x, r in ((0.2, 0.145), (0.5, 0.115), (0.75, 0.115)):
        _wheel(p, x, 0.96 - r, r, (226, 196, 110))
    p.line([(0.2, 0.84), (0.75, 0.84)], STEEL, 0.032)


def airplane(p: Pen, c: Colour) -> None:
    p.polygon(outline("44,44 22,13 34,13 66,44"), shade(c, 0.7))
    p.polygon(outline("5,14 17,14 32,44 12,47"), shade(c, 0.8))
    p.blob(outline("5,42 24,38 60,37 82,40 95,50 93,57 78,63 50,64 24,58 8,50"), c)
    p.blob(outline("10,50 40,57 70,60 92,56 78,63 50,64 24,58"), shade(c, 0.72))
    p.line([(0.14, 0.415), (0.5, 0.39), (0.76, 0.41)], shade(c, 1.45), 0.022)
    p.polygon(outline("79,42 87,45 91,50 80,51"), GLASS)
    for k in range(6):
        p.circle(0.3 + 0.08 * k, 0.475, 0.024, INK)
        p.circle(0.3 + 0.08 * k, 0.475, 0.017, GLASS)
    p.polygon(outline("8,47 26,49 12,64 2,64"), shade(c, 0.6))
    p.polygon(outline("40,55 66,55 34,92 20,92"), shade(c, 1.2))
    p.polygon(outline("40,55 47,55 26,92 20,92"), shade(c, 0.6))
    p.box(0.38, 0.66, 0.57, 0.75, (90, 90, 100), 0.04)
    p.box(0.54, 0.66, 0.59, 0.75, STEEL, 0.02)


def rocket(p: Pen, c: Colour) -> None:
    p.blob(outline("38,76 62,76 60,86 50,97 40,86"), (250, 140, 40))
    p.blob(outline("43,76 57,76 55,84 50,90 45,84"), (255, 228, 110))
    for m in (1, -1):
        fin = [(0.5 + m * (x - 0.5), y) for x, y in outline("64,46 86,66 88,86 64,74")]
        p.polygon(fin, shade(c, 0.62))
    p.polygon(outline("40,74 60,74 63,81 37,81"), (90, 92, 104))
    p.blob(outline("50,2 62,16 69,36 69,56 64,77 50,79 36,77 31,56 31,36 38,16"), c)
    p.blob(outline("52,3 62,16 69,36 69,56 64,77 56,78 61,56 60,32"), shade(c, 0.76))
    p.blob(outline("50,2 58,10 63,20 50,23 37,20 42,10"), shade(c, 1.65) if sum(c) < 600 else (214, 70, 60))
    p.circle(0.49, 0.39, 0.115, (84, 88, 102))
    p.circle(0.49, 0.39, 0.085, GLASS)
    p.arc(0.49, 0.39, 0.055, 0.055, 180, 260, WHITE, 0.02)
    p.line([(0.37, 0.64), (0.63, 0.64)], shade(c, 1.5) if sum(c) < 600 else (214, 70, 60), 0.03)
    p.box(0.475, 0.6, 0.525, 0.86, shade(c, 0.5), 0.02)


def boat(p: Pen, c: Colour) -> None:
    p.line([(0.49, 0.06), (0.49, 0.74)], (122, 78, 46), 0.036)
    p.polygon(outline("52,8 62,24 74,44 86,62 52,64"), (252, 248, 234))
    p.polygon(outline("52,8 55,12 58,63 52,64"), (222, 216, 200))
    p.polygon(outline("46,14 36,36 24,52 12,62 46,64"), c)
    p.polygon(outline("46,14 46,64 40,64 42,30"), shade(c, 0.8))
    p.polygon(outline("49,3 66,7 49,12"), shade(c, 0.9))
    p.polygon(outline("3,70 97,70 90,84 82,93 74,96 26,96 16,92 8,82"), c)
    p.polygon(outline("7,82 91,82 82,93 74,96 26,96 16,92"), shade(c, 0.68))
    p.box(0.03, 0.68, 0.97, 0.745, shade(c, 1.55) if sum(c) < 640 else (90, 130, 180), 0.02)
    for x in (0.3, 0.5, 0.7):
        p.circle(x, 0.8, 0.03, WHITE)
        p.circle(x, 0.8, 0.02, INK)


def tractor(p: Pen, c: Colour) -> None:
    p.box(0.66, 0.16, 0.71, 0.46, (84, 84, 94), 0.02)
    p.circle(0.66, 0.09, 0.045, (206, 206, 212))
    p.circle(0.6, 0.06, 0.035, (222, 222, 228))
    p.box(0.44, 0.42, 0.95, 0.74, c, 0.06)
    p.box(0.46, 0.42, 0.93, 0.49, shade(c, 1.35), 0.03)
    p.box(0.88, 0.46, 0.95, 0.74, shade(c, 0.62), 0.03)
    for k in range(3):
        p.line([(0.64 + 0.07 * k, 0.55), (0.64 + 0.07 * k, 0.65)], shade(c, 0.6), 0.02)
    p.polygon(outline("14,18 50,18 56,60 14,60"), shade(c, 0.72))
    p.polygon(outline("19,22 46,22 51,50 19,50"), GLASS)
    p.line([(0.25, 0.42), (0.37, 0.27)], shade(GLASS, 1.6), 0.024)
    p.box(0.08, 0.12, 0.57, 0.2, c, 0.03)
    p.pie(0.29, 0.68, 0.3, 0.3, 180, 360, shade(c, 0.85))
    _wheel(p, 0.29, 0.7, 0.262, LAMP)
    for k in range(4):
        p.arc(0.29, 0.7, 0.225, 0.225, 90 * k, 90 * k + 30, (86, 84, 92), 0.02)
    _wheel(p, 0.8, 0.815, 0.148, LAMP)


def truck(p: Pen, c: Colour) -> None:
    p.box(0.05, 0.72, 0.95, 0.82, (74, 74, 84), 0.02)
    p.box(0.02, 0.14, 0.62, 0.76, c, 0.02)
    p.box(0.02, 0.14, 0.62, 0.2, shade(c, 1.4), 0.02)
    for k in range(4):
        p.line([(0.13 + 0.125 * k, 0.26), (0.13 + 0.125 * k, 0.69)], shade(c, 0.78), 0.02)
    p.polygon(outline("66,34 82,34 89,40 96,58 97,80 66,80"), shade(c, 0.88))
    p.polygon(outline("73,40 81,40 85,43 90,57 73,57"), GLASS)
    p.line([(0.77, 0.52), (0.82, 0.44)], shade(GLASS, 1.6), 0.02)
    p.box(0.69, 0.63, 0.75, 0.655, shade(c, 0.5), 0.01)
    p.box(0.92, 0.74, 0.98, 0.83, STEEL, 0.02)
    p.circle(0.94, 0.67, 0.035, LAMP)
    for x in (0.17, 0.41, 0.8):
        _wheel(p, x, 0.835, 0.125)


def balloon(p: Pen, c: Colour) -> None:
    p.line([(0.5, 0.7), (0.47, 0.78), (0.53, 0.86), (0.49, 0.96)], (96, 90, 96), 0.02, smooth=True)
    p.polygon(outline("50,66 43,74 57,74"), shade(c, 0.75))
    p.blob(outline("50,3 68,8 80,22 81,38 73,54 60,66 50,69 40,66 27,54 19,38 20,22 32,8"), c)
    p.blob(outline("66,8 80,22 81,38 73,54 60,66 50,69 44,67 60,58 70,42 72,24"), shade(c, 0.78))
    p.ellipse(0.355, 0.24, 0.045, 0.1, shade(c, 1.75), 28)
    p.circle(0.31, 0.4, 0.022, shade(c, 1.7))


def helicopter(p: Pen, c: Colour) -> None:
    p.polygon(outline("4,34 44,42 44,60 8,46"), shade(c, 0.85))
    p.polygon(outline("3,22 11,22 16,48 6,48"), shade(c, 0.62))
    p.circle(0.07, 0.36, 0.075, STEEL)
    p.circle(0.07, 0.36, 0.025, INK)
    for x in (0.48, 0.76):
        p.line([(x, 0.74), (x, 0.9)], (80, 80, 90), 0.03)
    p.line([(0.32, 0.91), (0.86, 0.91), (0.93, 0.85)], (80, 80, 90), 0.042)
    p.blob(outline("36,46 46,34 62,29 80,33 93,46 96,60 90,73 72,80 50,78 38,68"), c)
    p.blob(outline("37,60 52,66 76,68 95,64 90,73 72,80 50,78 38,68"), shade(c, 0.7))
    p.blob(outline("70,37 81,38 90,47 92,58 84,61 70,60 66,48"), GLASS)
    p.line([(0.75, 0.53), (0.81, 0.43)], shade(GLASS, 1.6), 0.024)
    p.box(0.46, 0.42, 0.6, 0.58, shade(GLASS, 0.9), 0.03)
    p.box(0.56, 0.17, 0.61, 0.32, (80, 80, 90), 0.01)
    p.box(0.2, 0.13, 0.97, 0.185, mix(STEEL, INK, 0.5), 0.027)
    p.circle(0.585, 0.155, 0.05, INK)


DRAWINGS: dict[str, Drawing] = {
    "car": Drawing(car, ("red", "blue", "yellow", "green", "white", "black"), "ground", 0.9),
    "bus": Drawing(bus, ("red", "yellow", "blue", "green", "orange", "white"), "ground", 1.0),
    "bicycle": Drawing(bicycle, ("red", "blue", "green", "black", "pink", "orange"), "ground", 0.85),
    "train": Drawing(train, ("red", "blue", "green", "black", "purple"), "ground", 1.0),
    "airplane": Drawing(airplane, ("white", "red", "blue", "yellow", "orange", "green"), "air", 1.0),
    "rocket": Drawing(rocket, ("white", "red", "blue", "orange", "green", "purple"), "air", 1.0),
    "boat": Drawing(boat, ("red", "blue", "white", "green", "yellow", "orange"), "water", 0.95),
    "tractor": Drawing(tractor, ("red", "green", "blue", "yellow", "orange"), "ground", 0.95),
    "truck": Drawing(truck, ("red", "blue", "white", "green", "yellow", "orange"), "ground", 1.0),
    "balloon": Drawing(balloon, ("red", "blue", "yellow", "green", "pink", "purple", "orange"), "air", 0.8),
    "helicopter": Drawing(helicopter, ("red", "blue", "yellow", "green", "black", "orange"), "air", 0.95),
}
