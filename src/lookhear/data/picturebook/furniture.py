"""The picture book's buildings and furniture."""

from __future__ import annotations

from lookhear.data.picturebook.drawing import outline
from lookhear.data.picturebook.pen import INK, WHITE, Colour, Pen, shade

__all__ = ["bed", "castle", "chair", "house", "lamp", "table", "tent"]

GLASS: Colour = (176, 224, 244)
GOLD: Colour = (244, 196, 66)
LIGHT: Colour = (255, 232, 140)
WOOD: Colour = (150, 98, 58)


def _pane(p: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    """A window with four panes."""
    p.box(x0 - 0.02, y0 - 0.02, x1 + 0.02, y1 + 0.02, WHITE)
    p.box(x0, y0, x1, y1, GLASS)
    p.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], WHITE, 0.018)
    p.line([(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)], WHITE, 0.018)


def house(p: Pen, c: Colour) -> None:
    p.box(0.68, 0.1, 0.8, 0.4, (152, 92, 78))
    p.box(0.66, 0.08, 0.82, 0.13, (122, 70, 60))
    p.polygon(outline("12,46 50,14 88,46 88,96 12,96"), c)
    p.box(0.12, 0.88, 0.88, 0.96, shade(c, 0.72))
    p.polygon(outline("12,46 50,14 88,46 88,52 50,22 12,52"), shade(c, 0.7))
    p.line(outline("6,48 50,9 94,48"), (106, 66, 58), 0.075)
    p.box(0.4, 0.6, 0.6, 0.96, (110, 70, 50), 0.03)
    p.circle(0.56, 0.79, 0.018, GOLD)
    _pane(p, 0.18, 0.58, 0.32, 0.74)
    _pane(p, 0.68, 0.58, 0.82, 0.74)
    p.circle(0.5, 0.41, 0.075, WHITE)
    p.circle(0.5, 0.41, 0.055, GLASS)


def castle(p: Pen, c: Colour) -> None:
    p.box(0.2, 0.44, 0.8, 0.96, c)
    for k in range(5):
        p.box(0.26 + 0.105 * k, 0.39, 0.32 + 0.105 * k, 0.46, c)
    p.box(0.38, 0.2, 0.62, 0.5, shade(c, 0.86))
    for x, y, w in ((0.05, 0.3, 0.22), (0.73, 0.3, 0.22)):
        p.box(x, y, x + w, 0.96, shade(c, 0.93))
        p.box(x + w - 0.06, y, x + w, 0.96, shade(c, 0.76))
    for x, y, w in ((0.03, 0.27, 0.26), (0.71, 0.27, 0.26), (0.36, 0.18, 0.28)):
        step = w / 5
        p.box(x, y, x + w, y + 0.06, shade(c, 0.82))
        for k in (0, 2, 4):
            p.box(x + k * step, y - 0.05, x + (k + 1) * step, y + 0.01, shade(c, 0.82))
    for x, y in ((0.16, 0.22), (0.84, 0.22), (0.5, 0.13)):
        p.line([(x, y), (x, y - 0.1)], INK, 0.018)
        p.polygon([(x, y - 0.12), (x + 0.12, y - 0.085), (x, y - 0.05)], (222, 54, 60))
    p.pie(0.5, 0.76, 0.13, 0.15, 180, 360, (74, 46, 36))
    p.box(0.37, 0.755, 0.63, 0.96, (74, 46, 36))
    for x in (0.43, 0.5, 0.57):
        p.line([(x, 0.65), (x, 0.95)], (120, 80, 56), 0.016)
    for x, y in ((0.15, 0.46), (0.15, 0.68), (0.83, 0.46), (0.83, 0.68), (0.5, 0.31)):
        p.box(x - 0.03, y, x + 0.03, y + 0.11, (60, 56, 72), 0.03)
    for x, y in ((0.26, 0.56), (0.68, 0.53), (0.3, 0.84), (0.69, 0.86)):
        p.line([(x, y), (x + 0.06, y)], shade(c, 0.76), 0.018)


def tent(p: Pen, c: Colour) -> None:
    p.line(outline("8,92 2,96"), INK, 0.02)
    p.line(outline("46,10 54,20"), WOOD, 0.03)
    p.line(outline("54,10 46,20"), WOOD, 0.03)
    p.polygon(outline("50,15 97,96 3,96"), c)
    p.polygon(outline("50,15 97,96 84,96"), shade(c, 0.75))
    p.polygon(outline("50,15 3,96 16,96"), shade(c, 1.35))
    p.polygon(outline("50,34 72,96 28,96"), (62, 46, 48))
    p.polygon(outline("50,34 28,96 20,96 34,72"), shade(c, 0.66))
    p.polygon(outline("50,34 72,96 80,96 66,72"), shade(c, 0.6))
    p.polygon(outline("50,62 62,96 38,96"), (96, 74, 66))


def chair(p: Pen, c: Colour) -> None:
    p.line([(0.66, 0.62), (0.68, 0.86)], shade(c, 0.5), 0.06)
    p.line([(0.34, 0.62), (0.36, 0.86)], shade(c, 0.5), 0.06)
    for x in (0.25, 0.75):
        p.line([(x, 0.07), (x, 0.62)], shade(c, 0.8), 0.075)
    for y in (0.13, 0.27, 0.41):
        p.box(0.25, y - 0.045, 0.75, y + 0.045, c, 0.03)
        p.box(0.27, y - 0.04, 0.73, y - 0.015, shade(c, 1.35), 0.012)
    p.polygon(outline("22,54 78,54 88,68 12,68"), c)
    p.polygon(outline("24,55 76,55 79,59 21,59"), shade(c, 1.35))
    p.box(0.115, 0.67, 0.885, 0.745, shade(c, 0.7), 0.02)
    for x in (0.17, 0.83):
        p.line([(x, 0.73), (x, 0.925)], shade(c, 0.8), 0.075)


def table(p: Pen, c: Colour) -> None:
    for x in (0.27, 0.73):
        p.line([(x, 0.5), (x, 0.78)], shade(c, 0.5), 0.06)
    p.polygon(outline("18,30 82,30 97,48 3,48"), c)
    p.polygon(outline("21,32 79,32 83,37 17,37"), shade(c, 1.35))
    p.box(0.03, 0.475, 0.97, 0.55, shade(c, 0.72), 0.015)
    p.box(0.1, 0.54, 0.9, 0.63, shade(c, 0.58))
    for x in (0.115, 0.885):
        p.line([(x, 0.56), (x, 0.92)], shade(c, 0.85), 0.085)
    p.circle(0.5, 0.585, 0.022, GOLD)


def bed(p: Pen, c: Colour) -> None:
    p.box(0.03, 0.26, 0.13, 0.92, WOOD, 0.04)
    p.box(0.88, 0.46, 0.97, 0.92, WOOD, 0.04)
    p.box(0.08, 0.72, 0.92, 0.83, shade(WOOD, 0.7))
    p.box(0.12, 0.54, 0.9, 0.72, WHITE, 0.04)
    p.blob(outline("15,44 24,38 36,40 40,48 36,55 22,57 14,53"), (255, 255, 255))
    p.blob(outline("18,51 30,52 39,48 36,55 22,57 14,53"), (214, 220, 232))
    p.blob(outline("40,46 56,41 76,43 89,50 90,70 86,80 74,75 62,80 50,75 40,80 36,68 37,54"), c)
    p.blob(outline("40,46 56,41 60,42 52,48 47,62 47,76 40,80 36,68 37,54"), shade(c, 1.4))
    for x, y in ((0.6, 0.54), (0.74, 0.52), (0.67, 0.64), (0.81, 0.62), (0.56, 0.68), (0.76, 0.7)):
        p.circle(x, y, 0.022, shade(c, 0.74))
    p.circle(0.08, 0.25, 0.05, WOOD)
    p.circle(0.925, 0.45, 0.045, WOOD)


def lamp(p: Pen, c: Colour) -> None:
    p.polygon(outline("22,46 78,46 92,70 8,70"), shade(LIGHT, 1.4))
    p.circle(0.5, 0.5, 0.075, LIGHT)
    p.box(0.46, 0.5, 0.54, 0.9, (112, 92, 84))
    p.blob(outline("44,66 56,66 60,76 56,88 44,88 40,76"), shade(c, 0.72))
    p.box(0.26, 0.87, 0.74, 0.96, (112, 92, 84), 0.04)
    p.polygon(outline("32,6 68,6 88,50 12,50"), c)
    p.polygon(outline("56,6 68,6 88,50 66,50"), shade(c, 0.8))
    p.polygon(outline("32,6 40,6 27,50 12,50"), shade(c, 1.4))
    p.box(0.12, 0.475, 0.88, 0.525, shade(c, 0.62), 0.02)
    p.line([(0.7, 0.5), (0.7, 0.66)], INK, 0.014)
    p.circle(0.7, 0.67, 0.025, GOLD)
