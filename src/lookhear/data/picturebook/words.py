"""The words of the picture book, in three lists: spoken in training, never-spoken synonyms, never-spoken things.

A speech tower that learned from the ``train`` split has heard the first list only. The other two measure open
vocabulary: what it makes of a written word it never heard, whose meaning comes from the text encoder alone.
"""

from __future__ import annotations

__all__ = [
    "COLOUR_WORDS",
    "NEVER_SPOKEN",
    "NEVER_SPOKEN_THINGS",
    "PLACE_WORDS",
    "SPOKEN",
    "SPOKEN_NAMES",
    "SYNONYMS",
    "THINGS",
    "UNSEEN",
    "written_names",
]

SPOKEN_NAMES: dict[str, tuple[str, ...]] = {
    **{t: (t,) for t in ("dog", "cat", "cow", "pig", "elephant", "lion", "bear", "monkey", "bird", "owl", "duck")},
    **{t: (t,) for t in ("fish", "whale", "snake", "frog", "bee", "butterfly", "snail", "spider")},
    "horse": ("horse", "pony"),
    "sheep": ("sheep", "lamb"),
    "rabbit": ("rabbit", "bunny"),
    "mouse": ("mouse", "rat"),
    "chicken": ("chicken", "hen"),
    "turtle": ("turtle", "tortoise"),
    **{t: (t,) for t in ("tree", "palm", "flower", "mushroom", "apple", "banana", "lemon", "carrot", "cake")},
    **{t: (t,) for t in ("icecream", "moon", "sun", "cloud", "star")},
    "bread": ("bread", "loaf"),
    "car": ("car", "automobile"),
    "bicycle": ("bicycle", "bike"),
    "airplane": ("airplane", "plane"),
    "rocket": ("rocket", "spaceship"),
    "boat": ("boat", "ship"),
    "truck": ("truck", "lorry"),
    **{t: (t,) for t in ("bus", "train", "tractor", "balloon")},
    "house": ("house", "home"),
    "chair": ("chair", "seat"),
    "table": ("table", "desk"),
    "shoe": ("shoe", "boot"),
    "hat": ("hat", "cap"),
    "cup": ("cup", "mug"),
    **{t: (t,) for t in ("tent", "bed", "lamp", "umbrella", "shirt", "drum", "camera", "clock", "hammer", "key")},
    **{t: (t,) for t in ("bottle", "book", "ball", "kite", "bell")},
}
"""Thing → what it is called in training speech, its main name first."""

UNSEEN: tuple[str, ...] = (
    *("giraffe", "penguin", "octopus", "cactus", "rainbow", "pizza", "helicopter"),
    *("castle", "guitar", "ladder", "candle", "scissors"),
)
"""Never-spoken things: the speech tower meets neither their pictures nor their names in training."""
NEVER_SPOKEN_THINGS = UNSEEN

NEVER_SPOKEN: dict[str, tuple[str, ...]] = {
    "dog": ("puppy", "hound"),
    "cat": ("kitten",),
    "horse": ("stallion",),
    "pig": ("hog",),
    "rabbit": ("hare",),
    "mouse": ("rodent",),
    "bear": ("grizzly",),
    "monkey": ("chimpanzee",),
    "bird": ("sparrow",),
    "chicken": ("rooster",),
    "fish": ("trout",),
    "snake": ("serpent",),
    "frog": ("toad",),
    "butterfly": ("moth",),
    "snail": ("slug",),
    "spider": ("tarantula",),
    "tree": ("oak",),
    "flower": ("blossom",),
    "mushroom": ("fungus",),
    "cake": ("cupcake",),
    "car": ("sedan",),
    "train": ("locomotive",),
    "airplane": ("jet",),
    "boat": ("yacht",),
    "house": ("cottage",),
    "lamp": ("lantern",),
    "shoe": ("sneaker",),
    "shirt": ("blouse",),
    "bottle": ("flask",),
    "book": ("novel",),
    "bed": ("mattress",),
}
"""Thing → synonyms, or near kinds, that a sentence encoder understands and that no training speech says."""

SYNONYMS: dict[str, str] = {word: thing for thing, words in NEVER_SPOKEN.items() for word in words}
"""Never-spoken synonym → its thing."""

THINGS: tuple[str, ...] = (*SPOKEN_NAMES, *UNSEEN)
PLACE_WORDS: tuple[str, ...] = ("beach", "snow", "street", "night", "forest", "garden", "desert", "river")
COLOUR_WORDS: tuple[str, ...] = (
    *("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey"),
)
SPOKEN: tuple[str, ...] = (*SPOKEN_NAMES, *PLACE_WORDS)
"""Keywords of the first list: the main name of every thing spoken of in training, and the places."""


def written_names() -> dict[str, tuple[str, ...]]:
    """Thing → every name of it, as people who write about pictures use them (the teacher's captions)."""
    return {t: (*SPOKEN_NAMES.get(t, (t,)), *NEVER_SPOKEN.get(t, ())) for t in THINGS}
