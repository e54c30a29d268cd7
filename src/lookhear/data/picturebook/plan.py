"""What the picture book's scenes show and what is said of them, before anything is drawn or spoken."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lookhear.data.picturebook.grammar import caption
from lookhear.data.picturebook.scene import ALL, PLACES, Placed, Scene
from lookhear.data.picturebook.words import NEVER_SPOKEN, SPOKEN_NAMES, UNSEEN, written_names
from lookhear.data.voices import TEST_VOICES, TRAIN_VOICES

__all__ = ["DEFAULT_SCENES", "Said", "Told", "plan"]

DEFAULT_SCENES: dict[str, int] = {"teacher": 8000, "train": 3400, "val": 150, "test": 500, "open": 200}
"""Scenes by split. ``teacher`` has written captions only; ``open`` says never-spoken words and shows such things."""

COUNT_WEIGHTS = {1: 0.2, 2: 0.45, 3: 0.25, 4: 0.1}
TEACHER_COUNT_WEIGHTS = {1: 0.4, 2: 0.3, 3: 0.2, 4: 0.1}
"""How many things a scene shows; the teacher's pages show one thing more often, as a child's first book does."""
TEACHER_CAPTIONS = 5
# Test scenes come first: whatever is drawn for them is refused to the splits that are trained on.
_ORDER = ("test", "open", "val", "train", "teacher")


@dataclass(frozen=True)
class Said:
    """A caption: its words, the things it names, and the voice that says it (None where it is only written)."""

    text: str
    things: tuple[str, ...]
    voice: str | None


@dataclass(frozen=True)
class Told:
    """A scene and its captions. ``seed`` draws the picture and the recording conditions."""

    split: str
    id: str
    scene: Scene
    said: tuple[Said, ...]
    seed: str


def plan(scenes: Mapping[str, int], seed: int) -> list[Told]:
    """All scenes of all splits, in the order of ``scenes``; no scene is in two splits.

    Scene *i* of a split is drawn from ``Random(f"{seed}/{split}/{i}")`` and drawn again while another split has one
    with the same place, things, colours and sizes.
    """
    taken: dict[tuple[object, ...], str] = {}
    told: dict[str, list[Told]] = {}
    for split in sorted(scenes, key=_ORDER.index):
        told[split] = [_tell(split, i, seed, taken) for i in range(scenes[split])]
    return [t for split in scenes for t in told[split]]


def _tell(split: str, number: int, seed: int, taken: dict[tuple[object, ...], str]) -> Told:
    rng = random.Random(f"{seed}/{split}/{number}")
    # Every other open scene has a never-spoken thing; the others are called by a never-spoken synonym.
    must: tuple[str, ...] = ()
    names: Mapping[str, Sequence[str]] = written_names() if split == "teacher" else SPOKEN_NAMES
    pool: Sequence[str] = tuple(names)
    if split == "open":
        must = (rng.choice(UNSEEN if number % 2 == 0 else tuple(NEVER_SPOKEN)),)
        names = {**SPOKEN_NAMES, **{t: (t,) for t in UNSEEN}}
        if number % 2:
            names = {**names, must[0]: NEVER_SPOKEN[must[0]]}
    while True:
        scene = _scene(rng, pool, must, TEACHER_COUNT_WEIGHTS if split == "teacher" else COUNT_WEIGHTS)
        key = (scene.place, *sorted((p.thing, p.colour, str(p.size)) for p in scene.things))
        if taken.setdefault(key, split) == split:
            break
    said = [caption(scene, rng, names=names, must=must) for _ in range(_captions(split, rng))]
    voices = _voices(split, number, rng)
    name = f"{split}-{number:05d}"
    return Told(
        split, name, scene, tuple(Said(t, tuple(x), next(voices)) for t, x in said), f"{seed}/{split}/{number}/drawn"
    )


def _captions(split: str, rng: random.Random) -> int:
    """2–5 in training, five for the teacher; two elsewhere, of which test and open give one to an unseen voice."""
    if split == "teacher":
        return TEACHER_CAPTIONS
    # Two far more often than five: a new scene teaches more than one more caption of a known scene.
    return rng.choices((2, 3, 4, 5), (0.7, 0.2, 0.07, 0.03))[0] if split == "train" else 2


def _scene(
    rng: random.Random, pool: Sequence[str], must: Sequence[str], weights: Mapping[int, float] = COUNT_WEIGHTS
) -> Scene:
    place = rng.choice(tuple(PLACES))
    count = rng.choices(tuple(weights), tuple(weights.values()))[0]
    things = list(must)
    while len(things) < count:
        thing = rng.choice(pool)
        if thing not in things and (thing, place) != ("sun", "night"):
            things.append(thing)
    rng.shuffle(things)
    return Scene(place, tuple(_placed(t, rng) for t in things))


def _placed(thing: str, rng: random.Random) -> Placed:
    paint = ALL[thing].paint
    sizes: tuple[Literal["big", "small"] | None, ...] = ("big", "small", None)
    size = rng.choices(sizes, (0.15, 0.15, 0.7))[0]
    # A thing that has one colour shows it unsaid.
    return Placed(thing, rng.choice(paint) if len(paint) > 1 else "", size)


def _voices(split: str, number: int, rng: random.Random) -> Iterator[str | None]:
    """Training voices for train and val; test and open take turns between unseen and seen voices."""
    turn = 0
    while True:
        if split == "teacher":
            yield None
        elif split in ("test", "open") and turn % 2 == number % 2:
            yield rng.choice(TEST_VOICES)
        else:
            yield rng.choice(TRAIN_VOICES)
        turn += 1
