"""Regions by hand: written and spoken queries, things cut off, masks of another size, words without one, bad input."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.tasks.base import Encoded
from lookhear.tasks.evaluate import evaluate
from lookhear.tasks.regions import Regions, _over_words
from lookhear.tasks.resampling import Bootstrap

E = torch.eye(4)
QUARTERS = {
    "upper left": (slice(0, 4), slice(0, 4)),
    "upper right": (slice(0, 4), slice(4, 8)),
    "lower left": (slice(4, 8), slice(0, 4)),
    "lower right": (slice(4, 8), slice(4, 8)),
}


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def masked(things: dict[str, str], shape: tuple[int, int] = (8, 8), scale: int = 1) -> dict[str, Any]:
    """A row with a picture and masks: thing → the quarter that it fills."""
    masks = []
    for thing, quarter in things.items():
        mask = np.zeros(shape, np.uint8)
        mask[QUARTERS[quarter]] = 255
        masks.append({"thing": thing, "png": png(mask.repeat(scale, 0).repeat(scale, 1))})
    return {"image": {"path": None, "bytes": png(np.zeros((*shape, 3), np.uint8))}, "masks": masks}


def looking(model: Any, size: int = 8, squash: bool = False) -> Any:
    model.image = SimpleNamespace(size=size, squash=squash)
    return model


def patches(*pictures: list[torch.Tensor]) -> Features:
    """Pictures of 2 × 2 patches."""
    local = torch.stack([torch.stack(p) for p in pictures])
    return Features(E[[0] * len(local)], local, torch.ones(local.shape[:2], dtype=torch.bool), (2, 2))


WORDS = {"dog": E[0], "cat": E[1], "cow": E[2]}
TWO = patches([E[0], E[1], E[3], E[3]], [E[3], E[3], E[1], E[3]])


def test_pointing_and_iou_of_written_words(corpus_of, fake) -> None:
    """Dog and cat in the first picture, found and not found; the dog of the second is nowhere: a tie of all pixels."""
    rows = [masked({"Dog": "upper left", "cat": "lower left"}), masked({"dog": "lower right"}), {"text": "dog"}]
    encoded = Encoded(looking(fake(WORDS)), corpus_of(rows), image=TWO)
    result = Regions(words=["dog", "cat", "cow"]).run(encoded)
    assert (result["pairs"], result["pictures"], result["words"]) == (3, 2, 2)  # no picture has a cow
    # A flat map points anywhere: a quarter of it is on the dog.
    assert result["pointing"]["value"] == pytest.approx((1 + 0 + 0.25) / 3)
    assert result["pointing"]["chance"] == pytest.approx(0.25)
    assert result["per_word"]["dog"]["pointing"] == pytest.approx(0.625)
    assert result["per_word"]["cat"] == {"pointing": 0, "iou": 0, "area": 0.25, "centre": 0.25, "pairs": 1}
    assert result["pointing_words"]["value"] == pytest.approx(0.3125)
    assert result["centre"] == result["iou_whole"] == pytest.approx(0.25)
    assert result["iou_ceiling"] == pytest.approx(15 / 16)
    # From patch to patch the map falls as 1, 1, 7/8, 5/8, 3/8, 1/8, 0, 0 both ways, and products of two are its values:
    # of the dog's quarter all but (5/8)² are above half, and nothing else. The flat map is all region.
    assert result["per_word"]["dog"]["iou"] == pytest.approx((15 / 16 + 16 / 64) / 2)
    json.dumps(result, allow_nan=False)
    assert encoded.resampled["regions"].values.mean() == pytest.approx(result["pointing"]["value"], abs=0.05)


def test_a_threshold_is_a_similarity(corpus_of, fake) -> None:
    rows = [masked({"dog": "upper left"}), masked({"cat": "lower left"})]
    encoded = Encoded(looking(fake(WORDS)), corpus_of(rows), image=TWO)
    result = Regions(words=["dog", "cat"], threshold=0.99).run(encoded)
    # The corner of the picture that lies beyond the patch's centre has the patch's own value: 2 × 2 pixels of 16.
    assert result["iou_learned"]["value"] == pytest.approx(4 / 16)
    assert "iou_learned" not in Regions(words=["dog", "cat"]).run(encoded)
    learned = Regions(words=["dog", "cat"]).learned_threshold(encoded)
    assert Regions(words=["dog", "cat"], threshold=learned).run(encoded)["iou_learned"]["value"] == pytest.approx(1)


def test_tolerance_widens_the_thing_and_its_chance(corpus_of, fake) -> None:
    rows = [masked({"dog": "upper left"}), masked({"dog": "upper left"})]
    image = patches([E[0], E[3], E[3], E[3]], [E[3], E[0], E[3], E[3]])
    encoded = Encoded(looking(fake(WORDS)), corpus_of(rows), image=image)
    assert Regions(words=["dog"]).run(encoded)["pointing"]["value"] == 0.5
    near = Regions(words=["dog"], tolerance=3).run(encoded)
    assert near["pointing"]["value"] == pytest.approx(0.75)  # pixels 6 of the plateau 6, 7 are within 3 of pixel 3
    assert near["chance"] > 0.25
    assert Regions(words=["dog"], tolerance=4).run(encoded)["pointing"]["value"] == 1


def test_asked_by_another_name_and_of_several_things(corpus_of, fake) -> None:
    rows = [masked({"sofa": "upper left", "chair": "upper right", "bed": "lower left"})]
    image = patches([E[3], E[0], E[3], E[3]])
    encoded = Encoded(looking(fake({"seat": E[0]})), corpus_of(rows), image=image)
    result = Regions(words={"seat": ["Sofa", "chair"]}).run(encoded)
    assert result["per_word"]["seat"] == {"pointing": 1, "iou": 15 / 32, "area": 0.5, "centre": 0.5, "pairs": 1}
    counted = Regions(frequent=2).asked(corpus_of(rows), [["sofa", "chair"], ["sofa"], ["bed", "chair"]])
    assert list(counted) == ["chair", "sofa"]


@pytest.mark.parametrize("squash", [False, True])
def test_what_the_tower_does_not_see_is_not_asked(corpus_of, fake, squash: bool) -> None:
    """A wide picture: the middle third is seen, or all of it squeezed. The cat sits at the left border."""
    row = masked({}, (8, 24))
    for thing, columns in (("dog", slice(12, 16)), ("cat", slice(0, 8))):
        mask = np.zeros((8, 24), np.uint8)
        mask[:4, columns] = 1
        row["masks"].append({"thing": thing, "png": png(mask)})
    image = patches([E[3], E[0] + E[1], E[3], E[3]])
    encoded = Encoded(looking(fake(WORDS), 8, squash), corpus_of([row]), image=image)
    result = Regions(words=["dog", "cat"]).run(encoded)
    if squash:
        # The cell is then the right half of the picture, and its highest points its right quarter: no dog there.
        assert result["pairs"] == 2
        assert result["per_word"]["dog"]["pointing"] == 0
        assert result["per_word"]["dog"]["area"] == pytest.approx(16 / 192)
    else:
        assert result["pairs"] == 1
        assert result["per_word"]["dog"] == {"pointing": 1, "iou": 15 / 16, "area": 0.25, "centre": 0.25, "pairs": 1}
        only = Regions(words=["cat"])
        assert only.missing(encoded.corpus) is None
        with pytest.raises(UserError, match="nothing asked lies in the part"):
            only.run(encoded)


def test_masks_of_another_size_than_the_picture(corpus_of, fake) -> None:
    """The map is brought to the masks' pixels, whatever the picture's; masks of another shape are refused."""
    fine = Encoded(looking(fake(WORDS)), corpus_of([masked({"dog": "upper left"}, scale=3)]), image=TWO[:1])
    (found,) = Regions(words=["dog"]).found(fine)
    assert found.mask.shape == found.values.shape == (24, 24)
    result = Regions(words=["dog"]).run(fine)
    assert result["pointing"]["value"] == 1
    assert result["chance"] == pytest.approx(0.25)
    wrong = {**masked({}), "masks": [{"thing": "dog", "png": png(np.ones((8, 12), np.uint8))}]}
    with pytest.raises(UserError, match="picture p9: 8 × 8 pixels, and its masks have 12 × 8"):
        Regions(words=["dog"]).run(Encoded(looking(fake(WORDS)), corpus_of([{"id": "p9", **wrong}]), image=TWO[:1]))


def said(*words: tuple[str, float, float]) -> list[dict[str, Any]]:
    return [{"word": w, "start": s, "end": e} for w, s, e in words]


def spoken(*frames: list[torch.Tensor]) -> Features:
    longest = max(map(len, frames))
    local, mask = torch.zeros(len(frames), longest, 4), torch.zeros(len(frames), longest, dtype=torch.bool)
    for i, f in enumerate(frames):
        local[i, : len(f)], mask[i, : len(f)] = torch.stack(f), True
    return Features(E[[0] * len(frames)], local, mask, 0.1)


def test_spoken_words_ask_with_their_own_moments(corpus_of, fake) -> None:
    """The second recording's "dog" sounds like the cat's patch; a word in no recording of the picture is not asked."""
    rows = [
        {**masked({"dog": "upper left", "cat": "upper right"}), "group": "a"},
        {"audio": True, "group": "a", "words": said(("a", 0.0, 0.1), ("dog", 0.1, 0.3))},
        {"audio": True, "group": "a", "words": said(("Dog", 0.0, 0.1), ("and", 0.1, 0.2), ("dog", 0.2, 0.3))},
        {"audio": True, "group": "b", "words": said(("cat", 0.0, 0.3))},
        {"audio": True, "group": "a", "words": None},
    ]
    audio = spoken([E[1], E[0], 3 * E[0]], [E[1], E[0], E[1]], [E[1]], [E[1]])
    encoded = Encoded(looking(fake()), corpus_of(rows), audio=audio, image=TWO[:1])
    section = Regions(words=["dog", "cat"], by="speech")
    assert section.missing(encoded.corpus) is None
    result = section.run(encoded)
    assert (result["pairs"], result["words"]) == (2, 1)
    assert result["pointing"]["value"] == 0.5
    assert [f.values.argmax() for f in section.found(encoded)] == [0, 6]  # upper left corner; upper right plateau


def test_a_word_shorter_than_a_frame_is_its_nearest_frame(corpus_of, fake) -> None:
    rows = [
        {**masked({"dog": "upper right"}), "group": "a"},
        {"audio": True, "group": "a", "words": said(("dog", 0.17, 0.19))},
    ]
    audio = spoken([E[0], E[1], E[0]])
    encoded = Encoded(looking(fake()), corpus_of(rows), audio=audio, image=TWO[:1])
    assert Regions(words=["dog"], by="speech").run(encoded)["pointing"]["value"] == 1


def test_a_spoken_name_of_what_is_shown(corpus_of, fake) -> None:
    """The word is what is said, its value what is shown."""
    rows = [
        {**masked({"person": "upper right"}), "group": "a"},
        {"audio": True, "group": "a", "words": said(("man", 0.0, 0.1), ("person", 0.1, 0.2))},
    ]
    encoded = Encoded(looking(fake()), corpus_of(rows), audio=spoken([E[1], E[0]]), image=TWO[:1])
    assert Regions(words={"man": "person"}, by="speech").run(encoded)["pointing"]["value"] == 1


def test_the_word_blind_map_is_that_of_all_queries(corpus_of, fake) -> None:
    """Asked with the mean of dog and cat, both patches are equally high: half of the points are on each."""
    rows = [masked({"dog": "upper left", "cat": "upper right"})]
    encoded = Encoded(looking(fake(WORDS)), corpus_of(rows), image=TWO[:1])
    result = Regions(words=["dog", "cat"]).run(encoded)
    assert result["pointing"]["value"] == 1
    assert 0.4 < result["word_blind"] < 0.6


def test_means_over_words_and_their_interval_against_a_slow_loop() -> None:
    rng = np.random.default_rng(0)
    values, words, units = rng.random(40), rng.choice(["a", "b", "c"], 40), rng.integers(0, 12, 40)
    resamples = Bootstrap(units, samples=50)
    value, (low, high) = _over_words(values, words, resamples)
    assert value == pytest.approx(np.mean([values[words == w].mean() for w in "abc"]))
    means = []
    for weights in resamples.weights().T:
        each = [np.average(values[words == w], weights=weights[words == w]) for w in "abc" if weights[words == w].sum()]
        means.append(np.mean(each))
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=1e-6)


def test_many_pictures_in_any_order_answer_alike(corpus_of, fake) -> None:
    rng = torch.Generator().manual_seed(0)
    local = torch.randn(30, 4, 4, generator=rng)
    image = Features(E[[0] * 30], local, torch.ones(30, 4, dtype=torch.bool), (2, 2))
    places = list(QUARTERS)
    rows = [masked({"dog": places[i % 4], "cat": places[(i + 1) % 4]}) for i in range(30)]
    section = Regions(words=["dog", "cat"])
    once = section.run(Encoded(looking(fake(WORDS)), corpus_of(rows), image=image))
    order = torch.randperm(30, generator=rng)
    shuffled = corpus_of([rows[i] for i in order])
    again = section.run(Encoded(looking(fake(WORDS)), shuffled, image=image[order]))
    for key in ("pointing", "iou", "pointing_words", "iou_words"):
        assert again[key]["value"] == pytest.approx(once[key]["value"])
    assert all(again["per_word"][w] == pytest.approx(once["per_word"][w]) for w in ("dog", "cat"))
    slow = []
    for i, row in enumerate(rows):
        for q, thing in enumerate(m["thing"] for m in row["masks"]):
            cell = int((local[i] / local[i].norm(dim=-1, keepdim=True))[:, q].argmax())
            slow.append(cell == places.index([places[i % 4], places[(i + 1) % 4]][q]))
            assert thing == ["dog", "cat"][q]
    assert once["pointing"]["value"] == pytest.approx(np.mean(slow))


def test_missing_says_why(corpus_of) -> None:
    section, heard = Regions(words=["dog"]), Regions(words=["dog"], by="speech")
    assert section.missing(corpus_of([{"text": "dog"}])) == "no masks (column 'masks')"
    shown = masked({"dog": "upper left"})
    assert section.missing(corpus_of([shown])) is None
    assert "none of the 1 words is shown" in section.missing(corpus_of([masked({"cat": "upper left"})]))
    assert "no recordings" in heard.missing(corpus_of([shown]))
    elsewhere = {"audio": True, "words": said(("dog", 0, 1)), "group": "other"}
    assert "none of the 1 words is said" in heard.missing(corpus_of([{**shown, "group": "a"}, elsewhere]))
    only_vector = {"vector": [1.0], "masks": shown["masks"]}
    assert "none of the 1 words is shown" in section.missing(corpus_of([only_vector]))


def test_models_without_patches_are_refused(corpus_of, fake) -> None:
    corpus = corpus_of([masked({"dog": "upper left"})])
    model = fake({"dog": E[0]})
    with pytest.raises(UserError, match="no patches"):
        Regions(words=["dog"]).run(Encoded(model, corpus, image=Features.of_pooled(E[:1])))
    model.image = VectorTower(4, 4)
    with pytest.raises(UserError, match="have no vectors"):
        Regions(words=["dog"]).run(Encoded(model, corpus))


def test_evaluate_prints_a_table(corpus_of, fake) -> None:
    encoded = Encoded(looking(fake(WORDS)), corpus_of([masked({"dog": "upper left"})]), image=TWO[:1])
    from lookhear.tasks.tables import tables

    results = evaluate(encoded.model, encoded.corpus, [Regions(words=["dog"], threshold=0.5)], encoded=encoded)
    text = tables(results)
    assert "written words, 1 pictures" in text
    for name in ("pointing game", "IoU above half", "IoU above the threshold"):
        assert name in text


def test_a_picture_book_and_a_trained_run(tiny_book, tiny_model) -> None:
    """Both sections on real pictures, sounds and masks; every pair is one that the corpus tells of."""
    from lookhear.data.read import open_corpus

    corpus = open_corpus(tiny_book)
    encoded = Encoded(tiny_model, corpus)
    for by in ("text", "speech"):
        section = Regions(list_name="spoken", by=by)
        things, groups = corpus.column("things"), corpus.column("group")
        said_of = {g: set() for g in groups}
        for g, words in zip(groups, corpus.column("words")):
            said_of[g] |= {w["word"].lower() for w in words or ()}
        pairs = list(section.found(encoded))
        assert pairs
        for pair in pairs:
            assert pair.word in things[pair.row]
            assert by == "text" or pair.word in said_of[groups[pair.row]]
            assert pair.mask.shape == (32, 32)
        result = section.run(encoded)
        assert 0 < result["chance"] < 0.6
        assert result["pairs"] == len(pairs)
