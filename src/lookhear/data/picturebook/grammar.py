"""Captions of scenes: a small grammar with function words, articles, sizes, colours and places."""

from __future__ import annotations

import random
from collections.abc import Container, Mapping, Sequence
from typing import Protocol

__all__ = ["PLACE_PHRASES", "TEMPLATES", "caption"]


class _Placed(Protocol):
    @property
    def thing(self) -> str: ...
    @property
    def colour(self) -> str: ...
    @property
    def size(self) -> str | None: ...


class _Scene(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def things(self) -> Sequence[_Placed]: ...


PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("on the beach", "at the beach", "on a beach"),
    "snow": ("in the snow", "out in the snow"),
    "street": ("on the street", "in the street", "on a street"),
    "night": ("at night", "in the night", "late at night"),
    "forest": ("in the forest", "in a forest"),
    "garden": ("in the garden", "in a garden"),
    "desert": ("in the desert", "out in the desert"),
    "river": ("by the river", "near the river", "at the river"),
}

# {list}: all things; {first}, {rest}: one and the others (only with two things or more); {place}: where.
TEMPLATES: tuple[str, ...] = (
    "{list} {place}",
    "there is {list} {place}",
    "here is {list} {place}",
    "i can see {list} {place}",
    "we can see {list} {place}",
    "look at {list} {place}",
    "this is a picture of {list} {place}",
    "someone drew {list} {place}",
    "you will find {list} {place}",
    "a drawing that shows {list} {place}",
    "{place} there is {list}",
    "{place} you can see {list}",
    "{place} we find {list}",
    "{first} next to {rest} {place}",
    "{first} with {rest} {place}",
    "{first} is near {rest} {place}",
    "{first} and not far from it {rest} {place}",
    "{place} there is {first} beside {rest}",
    "there is {first} close to {rest} {place}",
)
_OF_TWO = tuple(t for t in TEMPLATES if "{first}" in t)
_OF_ONE = tuple(t for t in TEMPLATES if "{first}" not in t)

_THE: Container[str] = {"sun", "moon", "rainbow"}  # there is only one
_SOME: Container[str] = {"bread", "scissors"}  # not counted one by one
_SIZES = {"big": ("big", "large", "huge"), "small": ("small", "little", "tiny")}


def caption(
    scene: _Scene, rng: random.Random, *, names: Mapping[str, Sequence[str]], must: Container[str] = ()
) -> tuple[str, list[str]]:
    """One sentence about a scene: lower case, single spaces, no punctuation.

    Colours are said of about 65 % of the things that have one, sizes of 60 % of those big or small, the place in 90 %
    of the captions. One or two things are always all named; of three or four, one is left out 15 % of the time.

    Args:
        names: thing → its names; the first is taken 70 % of the time.
        must: things that may not be left out.

    Returns:
        the sentence, and the things it names, in its order.
    """
    shown = list(scene.things)
    rng.shuffle(shown)
    spare = [p for p in shown if p.thing not in must]
    if len(shown) > 2 and spare and rng.random() < 0.15:
        shown.remove(rng.choice(spare))
    phrases = [_noun_phrase(p, rng, names[p.thing]) for p in shown]
    template = rng.choice(_OF_TWO if len(shown) > 1 and rng.random() < 0.35 else _OF_ONE)
    place = rng.choice(PLACE_PHRASES[scene.place]) if rng.random() < 0.9 else ""
    text = template.format(list=_join(phrases, rng), first=phrases[0], rest=_join(phrases[1:], rng), place=place)
    return " ".join(text.split()), [p.thing for p in shown]


def _noun_phrase(placed: _Placed, rng: random.Random, names: Sequence[str]) -> str:
    """ "a small red boat", "the sun", "some bread", "a boat that is red"."""
    name = names[0] if len(names) == 1 or rng.random() < 0.7 else rng.choice(names[1:])
    size = rng.choice(_SIZES[placed.size]) if placed.size and rng.random() < 0.6 else ""
    colour = placed.colour if placed.colour and rng.random() < 0.65 else ""
    after = f"that is {colour}" if colour and name not in _SOME and rng.random() < 0.08 else ""
    words = [w for w in (size, "" if after else colour, name) if w]
    return " ".join([_article(name, words[0], rng), *words, after]).strip()


def _article(name: str, following: str, rng: random.Random) -> str:
    if name in _SOME:
        return "some"
    if name in _THE or rng.random() < 0.08:
        return "the"
    return "an" if following[0] in "aeiou" else "a"


def _join(phrases: Sequence[str], rng: random.Random) -> str:
    """ "x", "x and y", "x y and z" or "x and y and z"."""
    if len(phrases) > 2 and rng.random() < 0.5:
        return " ".join(phrases[:-1]) + " and " + phrases[-1]
    return " and ".join(phrases)
