"""Localisation by hand: borders, a word said twice, tolerance, padding, chance."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.locators import Attention, Curve, MaskedIn
from lookhear.tasks.base import Encoded
from lookhear.tasks.keywords import occurrences
from lookhear.tasks.localisation import Localisation

E = torch.eye(3)


def said(*words):
    return [{"word": w, "start": s, "end": e} for w, s, e in words]


def encoded_of(corpus_of, fake, rows, peaks, frames, step=0.1):
    """Recordings whose score for "dog" peaks at one frame; frames past the mask would score higher still."""
    longest = max(frames)
    local, mask = torch.zeros(len(rows), longest, 3), torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, (peak, n) in enumerate(zip(peaks, frames, strict=True)):
        mask[i, :n] = True
        local[i, peak] = E[0]
        local[i, n:] = 5 * E[0]
    audio = Features(E[[0] * len(rows)], local, mask, step)
    corpus = corpus_of([{"audio": True, "words": words} for words in rows])
    return Encoded(fake({"dog": E[0], "cat": E[1], "hund": E[0]}), corpus, audio=audio)


def test_the_frame_centre_must_lie_in_any_occurrence(corpus_of, fake):
    rows = [
        said(("A", 0.0, 0.2), ("Dog", 0.2, 0.4)),  # frame 3 is at 0.35: inside
        said(("dog", 0.0, 0.2), ("and", 0.2, 0.6), ("dog", 0.6, 0.9)),  # frame 7, 0.75: in the second one
        said(("dog", 0.0, 0.2), ("and", 0.2, 0.6), ("dog", 0.6, 0.9)),  # frame 4, 0.45: in neither
        said(("dog", 0.25, 0.25)),  # frame 2, at 0.25: both ends included
        said(("bird", 0.0, 0.5)),  # the word is not spoken: not asked
        [],
    ]
    encoded = encoded_of(corpus_of, fake, rows, [3, 7, 4, 2, 0, 0], [10, 10, 10, 5, 5, 5])
    result = Localisation(words=["dog", "cat"]).run(encoded)
    assert result["oracle_accuracy"]["value"] == pytest.approx(3 / 4)
    assert (result["pairs"], result["words"]) == (4, 1)
    # Frame centres inside: 0.25, 0.35 of 10; 0.05, 0.15, 0.65, 0.75, 0.85 of 10, twice; 0.25 of the 5 real ones.
    assert result["chance"] == pytest.approx((0.2 + 0.5 + 0.5 + 0.2) / 4)
    assert result["per_word"]["dog"]["pairs"] == 4
    json.dumps(result, allow_nan=False)


def test_tolerance_widens_both_ends(corpus_of, fake):
    rows = [said(("dog", 0.3, 0.4)), said(("dog", 0.3, 0.4))]
    encoded = encoded_of(corpus_of, fake, rows, [1, 5], [8, 8])  # 0.15 and 0.55, both 0.15 away
    assert Localisation(words=["dog"]).run(encoded)["oracle_accuracy"]["value"] == 0
    assert Localisation(words=["dog"], tolerance=0.16).run(encoded)["oracle_accuracy"]["value"] == 1


def test_many_recordings_and_chance_by_counting(corpus_of, fake):
    n = 150  # more than two chunks
    rows = [said(("dog", 0.0, 0.1 * (1 + i % 5))) for i in range(n)]
    encoded = encoded_of(corpus_of, fake, rows, [i % 7 for i in range(n)], [8] * n)
    result = Localisation(words=["dog"]).run(encoded)
    assert result["oracle_accuracy"]["value"] == pytest.approx(sum(i % 7 <= i % 5 for i in range(n)) / n)
    assert result["chance"] == pytest.approx(sum((1 + i % 5) / 8 for i in range(n)) / n)


def test_asked_in_another_language(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, [said(("dog", 0.0, 0.2))], [1], [4])
    result = Localisation(words={"hund": "dog"}).run(encoded)
    assert result["per_word"]["hund"]["accuracy"] == 1


def test_phrases_span_their_words():
    words = said(("hot", 0.0, 0.1), ("dog", 0.1, 0.3), ("dog", 0.4, 0.5))
    assert occurrences(words, ["hot dog"]) == [(0.0, 0.3)]
    assert occurrences(words, ["DOG"]) == [(0.1, 0.3), (0.4, 0.5)]
    assert occurrences(words, ["dogs"]) == []


def test_missing_says_why(corpus_of):
    section = Localisation(words=["dog"])
    assert section.missing(corpus_of([{"text": "dog"}])) == "no recordings"
    assert "no word times" in section.missing(corpus_of([{"audio": True}]))
    assert "none of the 1 words" in section.missing(corpus_of([{"audio": True, "words": said(("cat", 0.0, 1.0))}]))
    assert section.missing(corpus_of([{"audio": True, "words": said(("dog", 0.0, 1.0))}])) is None


def test_the_tag_head_answers(corpus_of, fake):
    rows = [said(("dog", 0.0, 0.2), ("cat", 0.2, 0.4)), said(("dog", 0.1, 0.3))]
    encoded = encoded_of(corpus_of, fake, rows, [3, 0], [4, 3])
    curve = torch.full((2, 4, 2), float("-inf"))
    curve[0, :4, 0], curve[0, :4, 1] = torch.tensor([0.0, 1, 0, 0]), torch.tensor([0.0, 1, 0, 0])
    curve[1, :3, 0], curve[1, :3, 1] = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1])
    audio = replace(encoded.audio, tags=torch.zeros(2, 2), tag_curve=curve)
    model = fake({"dog": E[0], "cat": E[1]})
    model.head = SimpleNamespace(names=("dog", "cat"))
    encoded = Encoded(model, encoded.corpus, audio=audio)
    result = Localisation(words=["dog", "cat"], by="tags").run(encoded)
    assert {w: r["accuracy"] for w, r in result["per_word"].items()} == {"dog": 0.5, "cat": 0.0}
    model.head.names = ("cow", "cat")
    result = Localisation(words=["dog", "cat"], by="tags").run(encoded)
    assert list(result["per_word"]) == ["cat"]  # a word outside the vocabulary is not asked
    model.head.names = ("cow", "pig")
    with pytest.raises(UserError, match="none of its words is in the vocabulary"):
        Localisation(words=["dog", "cat"], by="tags").run(encoded)


def test_any_locator_answers_and_the_samples_are_decoded_only_for_those_that_hear_them(corpus_of, fake, sound):
    rows = [[("dog", 0.3, 0.5)], [("dog", 0.0, 0.2)]]
    paths = [sound(f"{i}.wav") for i in range(2)]
    corpus = corpus_of([{"audio": {"path": p.name, "bytes": None}, "words": said(*w)} for p, w in zip(paths, rows)])
    corpus = replace(corpus, root=paths[0].parent)
    encoded = Encoded(fake({"dog": [1, 1, 1, 1]}), corpus)
    assert Localisation(words=["dog"]).run(encoded)["by"] == "curve"
    assert encoded.model.calls["audio"] == 1
    result = Localisation(words=["dog"], by={"kind": "masked_in", "shortest": 0.1, "longest": 0.2}).run(encoded)
    assert result["by"] == "masked_in"
    calls = encoded.model.calls["audio"]
    assert calls > 1
    assert Localisation(words=["dog"], by="attention").run(encoded)["by"] == "attention"
    assert encoded.model.calls["audio"] == calls
    lost = Encoded(encoded.model, replace(corpus, root=paths[0].parent / "nowhere"), audio=encoded.audio)
    Localisation(words=["dog"], by="attention").run(lost)
    with pytest.raises(UserError, match=r"0\.wav: no such file"):
        Localisation(words=["dog"], by="masked_in").run(lost)


def test_curves_come_in_chunks_with_the_number_of_their_first_recording(corpus_of, fake):
    rows = [said(("dog", 0.0, 0.1))] * 130
    encoded = encoded_of(corpus_of, fake, rows, [i % 5 for i in range(130)], [6] * 130)
    parts = list(encoded.curves(Curve(), ["dog", "cat"]))
    assert [(start, len(part), tuple(curves.shape)) for start, part, curves in parts] == [
        (0, 64, (64, 6, 2)),
        (64, 64, (64, 6, 2)),
        (128, 2, (2, 6, 2)),
    ]
    assert [int(f) for _, _, curves in parts for f in curves[..., 0].argmax(1)] == [i % 5 for i in range(130)]


def test_a_locator_is_named_or_a_table():
    assert Localisation(words=["dog"]).by == Curve()
    assert Localisation(words=["dog"], by="attention").by == Attention()
    assert Localisation(words=["dog"], by={"kind": "masked_in", "hop": 0.1}).by == MaskedIn(hop=0.1)
