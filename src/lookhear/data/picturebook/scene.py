"""Scenes: one to four things in a place, drawn with a mask of what can be seen of each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageChops, ImageFilter

from lookhear.data.picturebook import animals, nature, objects, vehicles
from lookhear.data.picturebook.drawing import COLOURS, Drawing
from lookhear.data.picturebook.pen import Colour, Pen
from lookhear.data.picturebook.places import PLACES
from lookhear.errors import UserError, did_you_mean

__all__ = ["ALL", "PLACES", "Placed", "Scene", "draw_scene"]

ALL: dict[str, Drawing] = {**animals.DRAWINGS, **nature.DRAWINGS, **vehicles.DRAWINGS, **objects.DRAWINGS}
LIMIT = 4
VARIANTS = 6


@dataclass(frozen=True)
class Placed:
    """One thing of a scene. ``colour`` is one of the thing's ``paint``, or "" for the first of these."""

    thing: str
    colour: str = ""
    size: Literal["big", "small"] | None = None


@dataclass(frozen=True)
class Scene:
    """What a picture shows: a place and up to four things, in painting order."""

    place: str
    things: tuple[Placed, ...]


Slot = tuple[float, float, float]
"""Centre x, bottom y and height of a thing of the largest size, as shares of the picture."""

SIZES: dict[str | None, tuple[float, float]] = {"big": (1.0, 1.0), None: (0.84, 0.92), "small": (0.58, 0.64)}
PAD = 0.06
"""Room around a drawing for its rim and for turning it, as a share of the drawing."""


def _detail(size: int) -> int:
    """Pixels that sprites and backgrounds are kept at: little more than a picture of ``size`` can show of them."""
    return round(1.25 * size)


@lru_cache(maxsize=256)
def _background(place: str, variant: int, pixels: int) -> Image.Image:
    pen = Pen(pixels)
    PLACES[place].draw(pen, random.Random(f"{place} {variant}"))
    return pen.picture().convert("RGB")


@lru_cache(maxsize=4096)
def _sprite(thing: str, colour: str, rim: Colour, pixels: int) -> Image.Image:
    """A thing with a rim around it, RGBA, (1 + 2 PAD) × ``pixels`` square."""
    drawing = ALL[thing]
    full = max(160, pixels)
    pen = Pen(full)
    drawing.draw(pen, COLOURS[colour or drawing.paint[0]])
    border = round(full * PAD)
    padded = Image.new("RGBA", (full + 2 * border,) * 2, (0, 0, 0, 0))
    padded.paste(pen.picture(), (border, border))
    alpha = padded.getchannel("A")
    reach = 2 * round(full * 0.014) + 1
    # A square filter and a blur together make a rim that is nearly round.
    grown = alpha.filter(ImageFilter.MaxFilter(reach)).filter(ImageFilter.GaussianBlur(reach / 3))
    grown = ImageChops.lighter(grown.point([min(255, v * 2) for v in range(256)]), alpha)
    outlined = Image.new("RGBA", padded.size, (*rim, 0))
    outlined.putalpha(grown)
    return Image.alpha_composite(outlined, padded).resize((round(pixels * (1 + 2 * PAD)),) * 2, Image.Resampling.BOX)


def _slots(n: int, air: int, rng: random.Random) -> list[Slot]:
    """Where ``n`` things go, ``air`` of them (the first slots) in the sky."""
    if n == 1:
        bottom = rng.uniform(0.76, 0.86) if air else rng.uniform(0.88, 0.97)
        return [(0.5 + rng.uniform(-0.12, 0.12), bottom, 0.75)]
    if n == 2:
        x = rng.choice((0.255, 0.745))
        bottoms = [rng.uniform(0.52, 0.66) if k < air else rng.uniform(0.8, 0.96) for k in range(2)]
        return [(0.5 + side * (x - 0.5) + rng.uniform(-0.02, 0.02), b, 0.52) for side, b in zip((1, -1), bottoms)]
    # Two rows: those in the air above; among the rest, chance decides who stands farther away.
    upper = 2 if n == 4 else (air if air in (1, 2) else rng.choice((1, 2)))
    slots: list[Slot] = []
    for count, low, high in ((upper, 0.5, 0.55), (n - upper, 0.95, 0.99)):
        xs = [0.255, 0.745] if count == 2 else [rng.uniform(0.32, 0.68)]
        rng.shuffle(xs)
        slots += [(x + rng.uniform(-0.02, 0.02), rng.uniform(low, high), 0.47) for x in xs]
    return slots


def _layout(scene: Scene, rng: random.Random) -> list[Slot]:
    """Slots of a scene's things in their order, with the height each thing really gets."""
    order = list(range(len(scene.things)))
    rng.shuffle(order)
    order.sort(key=lambda i: ALL[scene.things[i].thing].place != "air")
    air = sum(ALL[t.thing].place == "air" for t in scene.things)
    slots: list[Slot] = [(0.0, 0.0, 0.0)] * len(order)
    for i, (x, bottom, height) in zip(order, _slots(len(order), air, rng)):
        placed = scene.things[i]
        # Things differ in size less than in life: a key beside a castle must still be recognised.
        tall = height * rng.uniform(*SIZES[placed.size]) * (0.8 + 0.2 * ALL[placed.thing].size)
        lift = (height - tall) / 2 if ALL[placed.thing].place == "air" else 0.0
        slack = (height - tall) / 3
        shore = PLACES[scene.place].shore
        if shore and len(order) <= 2 and ALL[placed.thing].place == "water":
            bottom = max(tall, rng.uniform(shore - 0.06, shore))
        slots[i] = (x + rng.uniform(-slack, slack), bottom - lift, tall)
    return slots


def _check(scene: Scene) -> None:
    if scene.place not in PLACES:
        raise UserError(f"the picture book has no place {scene.place!r}", did_you_mean(scene.place, PLACES))
    if len(scene.things) > LIMIT:
        raise UserError(f"a scene of {len(scene.things)} things", f"a scene holds at most {LIMIT}")
    for placed in scene.things:
        if placed.thing not in ALL:
            raise UserError(f"the picture book has no thing {placed.thing!r}", did_you_mean(placed.thing, ALL))
        if placed.colour and placed.colour not in ALL[placed.thing].paint:
            raise UserError(
                f"{placed.thing!r} does not come in {placed.colour!r}",
                did_you_mean(placed.colour, ALL[placed.thing].paint),
            )
        if placed.size not in SIZES:
            raise UserError(f"{placed.thing!r} has size {placed.size!r}", 'use "big", "small" or None')


def draw_scene(scene: Scene, rng: random.Random, size: int = 64) -> tuple[Image.Image, list[Image.Image]]:
    """Draws a scene; the same scene and state of ``rng`` give the same pixels.

    Returns:
        The picture, RGB, (size, size), and for each of ``scene.things`` a mask of the same size, mode "L", 255 where
        the thing (its rim included) is seen and 0 elsewhere. Later things hide earlier ones, so masks are disjoint.

    Raises:
        UserError: unknown place, thing, colour or size; too many things.
    """
    _check(scene)
    pixels = _detail(size)
    back = _background(scene.place, rng.randrange(VARIANTS), pixels)
    edge = rng.uniform(0.9, 1.0) * pixels
    left, top = rng.uniform(0, pixels - edge), rng.uniform(0, pixels - edge)
    picture = back.resize((size, size), Image.Resampling.HAMMING, box=(left, top, left + edge, top + edge))
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gains = [rng.uniform(0.93, 1.06) for _ in range(3)]
    picture = picture.point([min(255, round(v * g)) for g in gains for v in range(256)])
    masks: list[Image.Image] = []
    for placed, (x, bottom, height) in zip(scene.things, _layout(scene, rng)):
        side = max(4, round(height * (1 + 2 * PAD) * size))
        sprite = _sprite(placed.thing, placed.colour, PLACES[scene.place].rim, pixels)
        sprite = sprite.resize((side, side), Image.Resampling.HAMMING)
        sprite = sprite.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC)
        if rng.random() < 0.5:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        corner = (round(x * size - side / 2), round(bottom * size - side + height * PAD * size))
        alpha = sprite.getchannel("A")
        picture.paste(sprite, corner, alpha)
        solid = alpha.point(_SOLID)
        for mask in masks:
            mask.paste(0, (*corner, corner[0] + side, corner[1] + side), solid)
        masks.append(Image.new("L", (size, size)))
        masks[-1].paste(solid, corner)
    return picture, masks


_SOLID = [255 * (v > 127) for v in range(256)]
