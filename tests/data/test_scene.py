"""The picture book's scenes: same seed, same pixels; masks that tell the truth; things that can be told apart."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest

from lookhear.data.picturebook import scene as scene_module
from lookhear.data.picturebook.drawing import COLOURS
from lookhear.data.picturebook.pen import Pen
from lookhear.data.picturebook.scene import ALL, PLACES, Placed, Scene, draw_scene
from lookhear.errors import UserError

PLACE_NAMES = {"beach", "snow", "street", "night", "forest", "garden", "desert", "river"}


def _scene(rng: random.Random, count: int) -> Scene:
    things = rng.sample(sorted(ALL), count)
    return Scene(
        rng.choice(sorted(PLACES)),
        tuple(Placed(t, rng.choice(ALL[t].paint), rng.choice(("big", "small", None))) for t in things),
    )


def _drawn(scene: Scene, seed: int, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    picture, masks = draw_scene(scene, random.Random(seed), size)
    stack = np.stack([np.asarray(m) for m in masks]) if masks else np.zeros((0, size, size), np.uint8)
    return np.asarray(picture).astype(int), stack


def _sprite(thing: str, colour: str) -> np.ndarray:
    pen = Pen(32, oversample=2)
    ALL[thing].draw(pen, COLOURS[colour])
    return np.asarray(pen.picture()).astype(int)


def test_same_seed_same_pixels() -> None:
    rng = random.Random(0)
    for k in range(8):
        scene = _scene(rng, 1 + k % 4)
        first, second, other = _drawn(scene, k), _drawn(scene, k), _drawn(scene, k + 1)
        assert (first[0] == second[0]).all()
        assert (first[1] == second[1]).all()
        assert (first[0] != other[0]).any()


def test_global_random_state_is_left_alone() -> None:
    random.seed(5)
    before = random.getstate()
    draw_scene(_scene(random.Random(1), 4), random.Random(2))
    assert random.getstate() == before


@pytest.mark.parametrize("size", [32, 64, 96, 224])
def test_sizes_modes_and_one_mask_a_thing(size: int) -> None:
    scene = _scene(random.Random(size), 3)
    picture, masks = draw_scene(scene, random.Random(0), size)
    assert (picture.mode, picture.size) == ("RGB", (size, size))
    assert [(m.mode, m.size) for m in masks] == [("L", (size, size))] * 3


def test_masks_are_binary_disjoint_and_inside() -> None:
    rng = random.Random(3)
    for k in range(60):
        scene = _scene(rng, 1 + k % 4)
        _, masks = _drawn(scene, k)
        assert set(np.unique(masks)) <= {0, 255}
        assert (masks > 0).sum(0).max() <= 1
        assert (masks > 0).sum((1, 2)).min() >= 40, scene  # enough of each thing left to know it by


def test_mask_is_where_the_picture_changed() -> None:
    rng = random.Random(4)
    for k in range(40):
        scene = _scene(rng, 1 + k % 4)
        picture, masks = _drawn(scene, k)
        empty, none = _drawn(Scene(scene.place, ()), k)
        assert len(none) == 0
        changed = np.abs(picture - empty).max(2)
        covered = masks.max(0) > 0
        assert (changed[covered] > 8).mean() > 0.9, scene
        # Outside, only the half-transparent edge differs: nothing more than a pixel away from a mask.
        near = np.pad(covered, 1)
        near = np.any([near[1 + a : 65 + a, 1 + b : 65 + b] for a in (-1, 0, 1) for b in (-1, 0, 1)], axis=0)
        assert changed[~near].max(initial=0) <= 40, scene


def test_later_things_hide_earlier_ones_and_never_much_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = scene_module._layout
    rng = random.Random(5)
    hidden: list[float] = []
    for k in range(200):
        scene = _scene(rng, 2 + k % 3)
        _, seen = _drawn(scene, k)
        for n in range(1, len(scene.things) + 1):
            # Painting stops after n things, laid out as in the whole scene: nothing covers the nth yet.
            with monkeypatch.context() as patch:
                patch.setattr(scene_module, "_layout", lambda _, r, scene=scene, n=n: layout(scene, r)[:n])
                whole = _drawn(Scene(scene.place, scene.things[:n]), k)[1][n - 1]
            assert not (seen[n - 1] & ~whole).any()
            hidden.append(1 - (seen[n - 1] > 0).sum() / (whole > 0).sum())
        assert hidden[-1] == 0
    assert 0 < max(hidden) <= 0.15


def test_every_thing_in_every_colour_is_its_own_drawing() -> None:
    sprites = {(t, c): _sprite(t, c) for t, d in ALL.items() for c in d.paint}
    for name, sprite in sprites.items():
        share = (sprite[..., 3] > 127).mean()
        assert 0.08 < share < 0.97, (name, share)
    names = list(sprites)
    stack = np.stack(list(sprites.values())).reshape(len(sprites), -1).astype(np.float32)
    for k, name in enumerate(names[:-1]):
        apart = np.abs(stack[k + 1 :] - stack[k]).mean(1)
        assert apart.min() > 2, (name, names[k + 1 + int(apart.argmin())])


def test_a_colour_that_can_be_named_dominates() -> None:
    """Changing the paint must change much of what is drawn, or "a red car" could not be told from a blue one."""
    for thing, drawing in ALL.items():
        pictures = [_sprite(thing, c) for c in drawing.paint]
        for a, b in combinations(pictures, 2):
            solid = a[..., 3] > 200
            assert (np.abs(a - b)[..., :3].max(2)[solid] > 12).mean() > 0.2, (thing, drawing.paint)


def test_the_picture_book_is_whole() -> None:
    assert len(ALL) >= 60
    assert set(PLACES) == PLACE_NAMES
    for thing, drawing in ALL.items():
        assert drawing.paint, thing
        assert set(drawing.paint) <= set(COLOURS), thing
        assert drawing.place in ("ground", "air", "water")
        assert 0.5 <= drawing.size <= 1, thing


def test_places_differ_more_between_than_within() -> None:
    """A nearest-mean rule on sixteen coarse pixels names the place of an empty scene."""

    def coarse(place: str, seed: int) -> np.ndarray:
        return _drawn(Scene(place, ()), seed)[0].reshape(4, 16, 4, 16, 3).mean((1, 3)).ravel()

    means = {p: np.mean([coarse(p, s) for s in range(12)], axis=0) for p in PLACES}
    for place in PLACES:
        for seed in range(100, 108):
            seen = coarse(place, seed)
            assert min(means, key=lambda p: float(np.square(means[p] - seen).sum())) == place


def test_big_is_larger_than_unsaid_is_larger_than_small() -> None:
    def area(size: str | None) -> float:
        scene = Scene("snow", (Placed("car", "red", size),))  # type: ignore[arg-type]
        return float(np.mean([(_drawn(scene, s)[1] > 0).sum() for s in range(20)]))

    big, plain, small = area("big"), area(None), area("small")
    assert big > 1.1 * plain > 1.1 * 1.5 * small
    assert (small / big) ** 0.5 == pytest.approx(0.61, abs=0.05)


def test_things_of_the_air_are_above_those_of_the_ground() -> None:
    scene = Scene("desert", (Placed("car", "red"), Placed("kite", "blue"), Placed("helicopter", "red")))
    rows = np.arange(64)[None, :, None]
    for seed in range(20):
        _, masks = _drawn(scene, seed)
        car, kite, helicopter = ((masks > 0) * rows).sum((1, 2)) / (masks > 0).sum((1, 2))
        assert max(kite, helicopter) < car


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (Scene("beech", ()), "did you mean 'beach'"),
        (Scene("beach", (Placed("hous", "red"),)), "did you mean 'house'"),
        (Scene("beach", (Placed("car", "bleu"),)), "did you mean 'blue'"),
        (Scene("beach", (Placed("car", "red", "huge"),)), "'huge'"),  # type: ignore[arg-type]
        (Scene("beach", (Placed("car", "red"),) * 5), "at most 4"),
    ],
)
def test_mistakes_are_named(scene: Scene, message: str) -> None:
    with pytest.raises(UserError, match=message):
        draw_scene(scene, random.Random(0))
