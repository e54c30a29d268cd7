"""Retrieval protocols on corpora small enough to rank by eye."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Features
from lookhear.tasks.base import Encoded, primary_value
from lookhear.tasks.retrieval import Retrieval


def features(rows):
    return Features.of_pooled(F.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1))


@pytest.fixture
def captions(corpus_of, fake):
    """Three pictures with two spoken captions each; caption 1 of picture 0 sounds like picture 1."""
    rows = [
        {"group": f"g{i // 2}", "image": f"{i // 2}.png", "audio": True, "text": f"t{i}", "seen": i % 2 == 0}
        for i in range(6)
    ]
    audio = features([[1, 0, 0, 0], [0.3, 1, 0, 0.1], [0, 1, 0, 0], [0, 1, 0.2, 0.2], [0, 0, 1, 0], [0, 0.1, 1, 0.3]])
    image = features([[1, 0.01, 0, 0], [0, 1, 0.01, 0], [0, 0, 1, 0]])
    text = features([[1, 0, 0.1, 0], [0.3, 1, 0, 0.1], [0, 1, 0, 0.1], [0, 1, 0.2, 0.2], [0, 0, 1, 0], [0, 0.1, 1, 0]])
    return Encoded(fake(), corpus_of(rows), audio=audio, image=image, text=text)


def test_protocol_a(captions):
    result = Retrieval(ks=(1, 2), by="seen").run(captions)
    assert result["skipped"] == {}
    to_image = result["audio_to_image"]
    assert (to_image["size"], to_image["queries"]) == (3, 6)
    assert to_image["R@1"]["value"] == pytest.approx(5 / 6)
    assert to_image["R@1"]["chance"] == pytest.approx(1 / 3)
    assert to_image["R@2"]["value"] == 1
    assert to_image["chance_R@2"] == pytest.approx(2 / 3)
    assert to_image["median_rank"]["value"] == 1
    assert "P@10" not in to_image
    # Any of the two captions will do for a picture, and all 6 are in the gallery.
    to_audio = result["image_to_audio"]
    assert (to_audio["size"], to_audio["queries"]) == (6, 3)
    assert to_audio["R@1"]["value"] == 1
    assert to_audio["R@1"]["chance"] == pytest.approx(1 / 3)
    assert result["text_to_image"]["queries"] == 6
    assert result["image_to_text"]["queries"] == 3
    # Only the identical caption is right; a sibling (caption 0's text for recording 1) is not.
    assert result["audio_to_text"]["R@1"]["chance"] == pytest.approx(1 / 6)
    best = (captions.audio.pooled @ captions.text.pooled.T).argmax(1)
    assert result["audio_to_text"]["R@1"]["value"] == pytest.approx((best == torch.arange(6)).float().mean().item())
    split = Retrieval(ks=(1,), by="seen").run(captions)["audio_to_image_by"]
    assert split["true"]["value"] == 1
    assert split["false"]["value"] == pytest.approx(2 / 3)
    assert split["false"]["queries"] == 3
    json.dumps(result, allow_nan=False)


def test_the_sibling_caption_is_wrong_between_speech_and_text(corpus_of, fake):
    rows = [{"group": "g", "audio": True, "text": f"t{i}"} for i in range(2)]
    swapped = Encoded(fake(), corpus_of(rows), audio=features([[1, 0], [0, 1]]), text=features([[0, 1], [1, 0]]))
    assert Retrieval(ks=(1,)).run(swapped)["audio_to_text"]["R@1"]["value"] == 0


def slow_recall(scores, right, k):
    hits = [right[q][np.argsort(-scores[q], kind="stable")[:k]].any() for q in range(len(scores))]
    return np.mean(hits)


@pytest.fixture
def larger(corpus_of, fake, unit):
    rows = [{"group": f"g{i // 3}", "image": f"{i // 3}.png", "audio": True, "text": f"t{i}"} for i in range(300)]
    image = unit(100, 16)
    noisy = F.normalize(image.pooled.repeat_interleave(3, 0) + 0.25 * unit(300, 16, 1).pooled * 4, dim=-1)
    return Encoded(fake(), corpus_of(rows), audio=Features.of_pooled(noisy), image=image, text=unit(300, 16, 2))


def test_all_directions_against_a_slow_loop(larger):
    result = Retrieval(texts="whole").run(larger)
    a, i, t = larger.audio.pooled.numpy(), larger.image.pooled.numpy(), larger.text.pooled.numpy()
    own = np.arange(300)[:, None] // 3 == np.arange(100)
    cases = {
        "audio_to_image": (a @ i.T, own),
        "image_to_audio": (i @ a.T, own.T),
        "audio_to_text": (a @ t.T, np.eye(300, dtype=bool)),
        "text_to_audio": (t @ a.T, np.eye(300, dtype=bool)),
        "image_to_text": (i @ t.T, own.T),
        "text_to_image": (t @ i.T, own),
    }
    for name, (scores, right) in cases.items():
        for k in (1, 5, 10):
            fig = result[name][f"R@{k}"]
            assert fig["value"] == pytest.approx(slow_recall(scores, right, k)), (name, k)
            assert fig["low"] <= fig["value"] <= fig["high"]
    assert 0.1 < result["audio_to_image"]["R@1"]["value"] < 0.95
    assert primary_value(Retrieval(), result) == result["audio_to_image"]["R@10"]["value"]


def test_order_of_rows_does_not_matter(larger, fake):
    order = np.random.default_rng(0).permutation(300)
    corpus = larger.corpus.take(order)
    first = {f"g{g}": g for g in range(100)}
    groups = [first[corpus.column("group")[r]] for r in corpus.pictures]
    shuffled = Encoded(fake(), corpus, audio=larger.audio[order], image=larger.image[groups], text=larger.text[order])
    a, b = Retrieval().run(larger), Retrieval().run(shuffled)
    for direction in ("audio_to_image", "image_to_audio", "audio_to_text", "text_to_image"):
        for figure in ("R@1", "R@5", "R@10", "median_rank"):
            assert a[direction][figure]["value"] == pytest.approx(b[direction][figure]["value"])


def test_protocol_b_cuts_square_blocks(larger):
    result = Retrieval(protocol="B", block=120, ks=(1, 10)).run(larger)
    to_image = result["audio_to_image"]
    assert (to_image["size"], to_image["queries"]) == (120, 240)  # the last 60 pairs are left out
    scores = (larger.audio.pooled @ larger.image.pooled.repeat_interleave(3, 0).T).numpy()
    ranks = []
    for start in (0, 120):
        square = scores[start : start + 120, start : start + 120]
        for q in range(120):
            # A picture stands once for each of its captions, so its copies tie with the right one.
            others = np.abs(square[q] - square[q, q]) < 1e-6
            ranks.append(1 + (square[q][~others] > square[q, q]).sum() + (others.sum() - 1) / 2)
    assert to_image["median_rank"]["value"] == pytest.approx(np.median(ranks))
    assert result["audio_to_text"]["R@10"]["chance"] == pytest.approx(10 / 120)
    whole = Retrieval(protocol="B", ks=(1,)).run(larger)["audio_to_image"]
    assert (whole["size"], whole["queries"]) == (300, 300)


def test_many_right_pictures_give_precision(corpus_of, fake, unit):
    rows = [{"group": str(i % 2), "vector": [1.0]} for i in range(24)]
    rows += [{"group": str(i % 3), "audio": True} for i in range(30)]  # nothing shows group 2
    vectors = torch.eye(4)
    image = Features.of_pooled(vectors[[i % 2 for i in range(24)]])
    audio = Features.of_pooled(vectors[[i % 3 for i in range(30)]])
    result = Retrieval(by="voice").run(Encoded(fake(), corpus_of(rows), audio=audio, image=image))
    to_image = result["audio_to_image"]
    assert to_image["queries"] == 20
    assert to_image["P@10"]["value"] == 1
    assert to_image["P@10"]["chance"] == pytest.approx(0.5)
    assert to_image["R@1"]["chance"] == pytest.approx(0.5)
    assert result["interval_over"] == "items"
    assert set(result["skipped"]) == {
        "audio_to_text",
        "text_to_audio",
        "image_to_text",
        "text_to_image",
        "audio_to_image_by",
    }
    assert result["skipped"]["audio_to_text"] == "no texts"


def test_missing(corpus_of):
    assert Retrieval().missing(corpus_of([{"audio": True}])) == "no pictures"
    assert "belong together" in Retrieval().missing(corpus_of([{"audio": True}, {"image": "a.png"}]))
    assert Retrieval().missing(corpus_of([{"audio": True, "text": "a"}])) is None
