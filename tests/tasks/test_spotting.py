"""Spotting: truths of every kind, figures against scikit-learn, the teacher on pictures, accuracy and confusion."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from sklearn.metrics import average_precision_score

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import labels_of, truth_table
from lookhear.tasks.spotting import Spotting
from lookhear.tasks.tables import tables
from lookhear.wording import tokens

E = torch.eye(6)


def test_tokens_are_exact_surface_forms():
    assert tokens("Two Dogs' t-shirt, the dog's BALL.") == ["two", "dogs", "t-shirt", "the", "dog's", "ball"]


def test_truth_of_texts_columns_lists_and_spoken_words(corpus_of):
    said = [{"word": "Hot", "start": 0.0, "end": 0.2}, {"word": "dog", "start": 0.2, "end": 0.5}]
    rows = [
        {"text": "A hot dog.", "things": ["Food", "dog"], "digit": 7, "words": said},
        {"text": "dogs, hot", "things": [], "digit": None},
    ]
    corpus = corpus_of(rows)
    asked = {"dog": ("dog",), "hot dog": ("hot dog",), "hot": ("hot",)}
    assert truth_table(labels_of(corpus, "text"), asked, True).tolist() == [[True] * 3, [False, False, True]]
    assert truth_table(labels_of(corpus, "words"), asked, True).tolist() == [[True, True, True]]
    assert labels_of(corpus, "things") == [["food", "dog"], None]
    assert labels_of(corpus, "digit") == [["7"], None]
    assert truth_table(labels_of(corpus, "digit"), {"seven": ("7", "yeddi")}, False).tolist() == [[True]]


@pytest.fixture
def spoken(corpus_of, fake, unit):
    """200 recordings of 100 pictures, each text holding some of four words, heard noisily."""
    rng = np.random.default_rng(0)
    words = ["dog", "cat", "red", "boat"]
    held = rng.random((200, 4)) < [0.3, 0.2, 0.5, 0.1]
    rows = [
        {
            "group": f"g{i // 2}",
            "image": f"{i // 2}.png",
            "audio": True,
            "text": "the " + " ".join(w for w, h in zip(words, held[i], strict=True) if h),
        }
        for i in range(200)
    ]
    clean = torch.tensor(held, dtype=torch.float32) @ E[:4] + E[5]
    audio = Features.of_pooled(F.normalize(clean + 0.5 * unit(200, 6).pooled, dim=-1))
    shown = held.reshape(100, 2, 4).any(1)
    image = Features.of_pooled(F.normalize(torch.tensor(shown, dtype=torch.float32) @ E[:4] + E[5], dim=-1))
    model = fake({w: E[i] for i, w in enumerate([*words, "unicorn"])}, dim=6)
    return Encoded(model, corpus_of(rows, {"words": {"animals": ["dog", "cat"]}}), audio=audio, image=image), held


def test_figures_against_scikit_learn(spoken):
    encoded, held = spoken
    result = Spotting(words=["dog", "cat", "red", "boat", "unicorn"]).run(encoded)
    scores = encoded.audio.pooled.numpy()
    expected = [average_precision_score(held[:, q], scores[:, q]) for q in range(4)]
    assert result["mAP"]["value"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert [row["AP"] for row in result["per_word"].values()] == pytest.approx(expected, abs=1e-4)
    assert result["per_word"]["boat"]["positives"] == held[:, 3].sum()
    assert (result["words"], result["recordings"], result["never_said"]) == (4, 200, ["unicorn"])
    top = np.argsort(-scores[:, :4], axis=0)[:10]
    assert result["P@10"]["value"] == pytest.approx(np.take_along_axis(held, top, 0).mean())
    assert result["mAP"]["low"] < result["mAP"]["value"] < result["mAP"]["high"]
    assert held.mean() < result["mAP"]["chance"] < held.mean() + 0.05
    assert result["P@N"]["chance"] == pytest.approx(held.mean())
    assert result["EER"]["chance"] == 0.5
    assert "accuracy" not in result  # the words do not exclude each other
    json.dumps(result, allow_nan=False)


def test_teacher_ranks_pictures_by_any_text_of_the_group(spoken):
    encoded, held = spoken
    result = Spotting(words=["dog", "cat", "red", "boat"]).run(encoded)
    shown = held.reshape(100, 2, 4).any(1)
    expected = [average_precision_score(shown[:, q], encoded.image.pooled[:, q]) for q in range(4)]
    assert result["teacher_mAP"]["value"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert result["teacher_mAP"]["size"] == 100
    assert result["per_word"]["cat"]["teacher_AP"] == pytest.approx(expected[1], abs=1e-4)


def test_word_lists_and_frequent_words(spoken):
    encoded, _held = spoken
    assert set(Spotting(list_name="animals").run(encoded)["per_word"]) == {"dog", "cat"}
    frequent = Spotting(frequent=2).run(encoded)["per_word"]
    assert set(frequent) == {"red", "dog"}  # "the" is in every text and is no content word
    assert "did you mean 'animals'" in Spotting(list_name="animal").missing(encoded.corpus)
    assert set(Spotting(list_name="none", frequent=1).run(encoded)["per_word"]) == {"red"}


def test_a_chance_model_gets_about_chance(spoken, fake, unit):
    encoded, _held = spoken
    noise = Encoded(encoded.model, encoded.corpus, audio=unit(200, 6, 9), image=encoded.image)
    result = Spotting(words=["dog", "red"]).run(noise)
    assert result["mAP"]["value"] == pytest.approx(result["mAP"]["chance"], abs=0.12)


def test_digits_asked_in_english(corpus_of, fake):
    """The truth is a column; every recording has one word; pictures are apart from recordings."""
    digits = [7, 7, 3, 3, 3, 5]
    heard = [7, 7, 3, 3, 5, 5]  # the fifth recording is misheard
    where = {7: 0, 3: 1, 5: 2}
    rows = [{"group": str(d), "audio": True, "digit": d, "text": "yeddi"} for d in digits]
    rows += [{"group": str(d), "vector": [1.0], "digit": d} for d in (7, 3, 5)]
    audio = Features.of_pooled(E[[where[d] for d in heard]])
    image = Features.of_pooled(E[[0, 1, 2]])
    model = fake({"the digit seven": E[0], "the digit three": E[1], "the digit five": E[2]})
    encoded = Encoded(model, corpus_of(rows), audio=audio, image=image)
    section = Spotting(words={"seven": "7", "three": ["3"], "five": "5"}, truth="digit", template="the digit {word}")
    result = section.run(encoded)
    assert result["accuracy"]["value"] == pytest.approx(5 / 6)
    assert result["accuracy"]["chance"] == pytest.approx(1 / 3)
    assert result["confusion"]["labels"] == ["seven", "three", "five"]
    assert result["confusion"]["counts"] == [[2, 0, 0], [0, 2, 1], [0, 0, 1]]
    assert result["teacher_mAP"]["value"] == 1
    assert result["per_word"]["seven"]["AP"] == 1
    assert result["interval_over"] == "items"


def test_what_a_picture_shows_goes_before_what_is_said_of_it(corpus_of, fake):
    rows = [
        {"group": "a", "image": "a.png", "things": ["cat"]},
        {"group": "b", "image": "b.png"},  # says nothing of itself: its recording's things stand for it
        {"group": "c", "image": "c.png"},  # nothing is known: left out
        {"group": "a", "audio": True, "things": ["dog"]},
        {"group": "b", "audio": True, "things": ["dog"]},
    ]
    image, audio = Features.of_pooled(E[[0, 1, 0]]), Features.of_pooled(E[[0, 0]])
    encoded = Encoded(fake({"dog": E[0]}), corpus_of(rows), audio=audio, image=image)
    result = Spotting(words=["dog"], truth="things").run(encoded)
    # Picture a scores highest and shows no dog; picture b comes second of the two.
    assert result["teacher_mAP"]["value"] == 0.5
    assert result["teacher_mAP"]["size"] == 2


def test_recordings_of_unknown_truth_are_left_out(corpus_of, fake):
    rows = [{"audio": True, "digit": 1}, {"audio": True}, {"audio": True, "digit": 2}]
    encoded = Encoded(fake({"one": E[0]}), corpus_of(rows), audio=Features.of_pooled(E[[0, 0, 1]]))
    result = Spotting(words={"one": "1"}, truth="digit").run(encoded)
    assert result["recordings"] == 2
    assert result["mAP"]["value"] == 1
    assert result["teacher_mAP"] is None
    assert result["teacher_peak_mAP"] is None


def test_peak_and_both(corpus_of, fake):
    # The first recording says the word once, among much else; the second something like it all along.
    local = torch.zeros(2, 4, 6)
    local[0, 1] = E[0]
    local[0, 0] = local[0, 2] = local[0, 3] = E[1] * 2
    local[1] = E[0] + 0.5 * E[2]
    audio = Features(F.normalize(local.sum(1), dim=-1), local, torch.ones(2, 4, dtype=torch.bool), 0.1)
    rows = [{"audio": True, "text": "dog"}, {"audio": True, "text": "cat"}]
    encoded = Encoded(fake({"dog": E[0]}), corpus_of(rows), audio=audio)
    ap = {s: Spotting(words=["dog"], score=s).run(encoded)["mAP"]["value"] for s in ("pooled", "peak", "both")}
    assert ap == {"pooled": 0.5, "peak": 1.0, "both": 0.5}  # both: +1 − 1 against −1 + 1, a tie


def with_head(model, names):
    model.head = SimpleNamespace(names=names)
    return model


def test_tags_alone_and_beside_vectors(corpus_of, fake):
    rows = [{"audio": True, "text": t} for t in ("a dog", "a cat", "the sea", "a dog at sea")]
    audio = replace(Features.of_pooled(E[[1, 0, 2, 3]]), tags=torch.tensor([[2.0, 0], [-1, 1], [0, 0.5], [1, 0]]))
    encoded = Encoded(with_head(fake({"dog": E[0], "sea": E[2]}), ("dog", "cat")), corpus_of(rows), audio=audio)
    tags = Spotting(words=["dog", "sea"], score="tags").run(encoded)["per_word"]
    assert tags["dog"]["AP"] == 1.0
    assert tags["sea"]["AP"] == pytest.approx(0.5)  # no word of the head's: a tie of all four, as at random

    def mixed(alpha):
        return Spotting(words=["dog", "sea"], score="tags+pooled", alpha=alpha)._scores(encoded, ["dog", "sea"])

    def z(x):
        x = np.array(x)
        return (x - x.mean()) / x.std()

    vectors, heard = z([0, 1, 0, 0]), z([2, -1, 0, 1])
    for alpha in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(mixed(alpha)[:, 0], alpha * vectors + (1 - alpha) * heard, atol=1e-4)
        np.testing.assert_allclose(mixed(alpha)[:, 1], alpha * z([0, 0, 1, 0]), atol=1e-4)
    none = Encoded(fake({"dog": E[0]}), corpus_of(rows), audio=audio)
    with pytest.raises(UserError, match="this model has no tag head"):
        Spotting(words=["dog"], score="tags").run(none)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        Spotting(words=["dog"], score="tags+peak", alpha=1.5)


def test_the_teacher_s_best_patch(corpus_of, fake):
    """A picture's pooled vector may drown a small thing that one of its patches shows."""
    rows = [
        {"group": "a", "audio": True, "text": "dog"},
        {"group": "b", "audio": True, "text": "cat"},
        {"group": "c", "audio": True, "text": "a cat"},
        *({"group": g, "image": f"{g}.png"} for g in "abc"),
    ]
    local = torch.zeros(3, 3, 6)
    local[0] = torch.stack([E[2], 0.1 * E[0], E[2]])  # one patch is all dog, and the pooled vector nearly none
    local[1] = torch.stack([E[0] + E[1], E[1], E[1]])
    local[2] = torch.stack([E[0] + 2 * E[1], E[1], E[3]])
    mask = torch.ones(3, 3, dtype=torch.bool)
    image = Features(F.normalize(local.sum(1), dim=-1), local, mask, (1, 3))
    model = fake({"dog": E[0], "cat": E[1]}, smooth=0.2)
    encoded = Encoded(model, corpus_of(rows), audio=Features.of_pooled(E[[0, 1, 1]]), image=image)
    result = Spotting(words=["dog", "cat"]).run(encoded)
    # dog: a is the last of three by the pooled vector and the first by its best patch; cat: b and c first both ways.
    assert image.pooled[:, 0].argsort().tolist()[0] == 0
    assert result["teacher_mAP"]["value"] == pytest.approx((1 / 3 + 1) / 2)
    assert result["teacher_peak_mAP"]["value"] == pytest.approx(1.0)
    assert result["teacher_peak_mAP"]["size"] == 3
    rows_of = {w: (r["teacher_AP"], r["teacher_peak_AP"]) for w, r in result["per_word"].items()}
    assert rows_of == {"dog": (pytest.approx(1 / 3), 1.0), "cat": (1.0, 1.0)}
    first = tables({"spotting": result}).splitlines()[2].split("  ")
    assert "by its best patch" in tables({"spotting": result}).splitlines()[1]
    assert any(cell.strip().startswith("66.7") for cell in first)
    assert any(cell.strip().startswith("100.0") for cell in first)


def test_pictures_without_patches_have_no_best_patch(spoken):
    encoded, _held = spoken
    result = Spotting(words=["dog", "cat"]).run(encoded)
    assert result["teacher_mAP"] is not None
    assert result["teacher_peak_mAP"] is None
    assert "teacher_peak_AP" not in result["per_word"]["dog"]
    assert "–" in tables({"spotting": result}).splitlines()[2]


def test_missing_says_why(corpus_of):
    dog = Spotting(words=["dog"])
    assert dog.missing(corpus_of([{"text": "dog"}])) == "no recordings"
    assert "no column 'text'" in dog.missing(corpus_of([{"audio": True}]))
    assert "none of the 1 words" in dog.missing(corpus_of([{"audio": True, "text": "dogs"}]))
    assert "did you mean 'digit'" in Spotting(words=["1"], truth="digits").missing(
        corpus_of([{"audio": True, "digit": 1}])
    )
    with pytest.raises(ValueError, match="none of the"):
        dog.run(Encoded(None, corpus_of([{"audio": True, "text": "dogs"}])))


@pytest.mark.parametrize("bad", [{}, {"words": []}, {"words": ["a"], "template": "a photo"}, {"words": ["a"], "x": 1}])
def test_bad_sections_are_refused(bad):
    with pytest.raises(ValidationError):
        Spotting(**bad)
