"""Encoding a corpus once: order, both kinds of pictures, templates, real decoding, and scores that are no numbers."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from PIL import Image

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.tasks import Retrieval, Spotting
from lookhear.tasks.base import CHUNK, Encoded, steady
from lookhear.tasks.evaluate import evaluate
from lookhear.wording import content_words


def wav(amplitude, samples):
    out = io.BytesIO()
    tone = amplitude * np.sign(np.sin(np.arange(samples) / 5) + 1e-9)
    soundfile.write(out, tone, 16000, format="WAV", subtype="FLOAT")
    return {"path": None, "bytes": out.getvalue()}


def png(level):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (level,) * 3).save(out, "PNG")
    return {"path": None, "bytes": out.getvalue()}


def test_recordings_keep_their_order_and_length_across_chunks(corpus_of, fake):
    n = CHUNK + 3
    rows = [{"audio": wav(0.1 + 0.8 * i / n, 1600 + 160 * i)} if i != 1 else {"text": "none"} for i in range(n)]
    corpus, model = corpus_of(rows), fake()
    audio = Encoded(model, corpus).audio
    assert len(audio) == n - 1
    assert model.calls["audio"] == 2
    assert audio.mask.sum(1).tolist() == [10 + i for i in range(n) if i != 1]
    assert audio.local[:, 0, 0].tolist() == pytest.approx([0.1 + 0.8 * i / n for i in range(n) if i != 1], abs=1e-4)


def test_images_and_bare_vectors_stay_in_order(corpus_of, fake):
    rows = [
        {"vector": [1.0, 0, 0, 0]},
        {"image": png(255)},
        {"text": "x"},
        {"vector": [0, 1.0, 0, 0]},
        {"image": png(0)},
    ]
    encoded = Encoded(fake(), corpus_of(rows))
    assert encoded.image.pooled.tolist() == [[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert encoded.image is encoded.image


def test_a_model_of_vectors_takes_the_vector_of_a_picture(corpus_of, fake):
    model = fake()
    model.image = VectorTower(4, 4)
    rows = [{"image": png(255), "vector": [1.0, 0, 0, 0]}, {"image": png(255), "vector": [0, 1.0, 0, 0]}]
    assert Encoded(model, corpus_of(rows)).image.pooled.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert model.calls["images"] == 0


def test_a_damaged_recording_is_named(corpus_of, fake):
    corpus = corpus_of([{"id": "broken-7", "audio": {"path": None, "bytes": b""}}])
    with pytest.raises(UserError, match="broken-7"):
        _ = Encoded(fake(), corpus).audio


def test_texts_are_read_once_each_and_templates_averaged(corpus_of, fake):
    e = torch.eye(4)
    model = fake({"dog": e[0], "a dog": e[1], "cat": e[2], "a cat": e[3]})
    encoded = Encoded(model, corpus_of([{"text": "dog"}, {"audio": True}, {"text": "cat"}, {"text": "dog"}]))
    assert torch.equal(encoded.text.pooled, torch.stack([e[0], e[2], e[0]]))
    assert model.texts == ["dog", "cat"]
    both = encoded.words(["dog", "cat"], ["{word}", "a {word}"])
    assert torch.allclose(both, F.normalize(torch.stack([e[0] + e[1], e[2] + e[3]]), dim=-1))
    before = len(model.texts)
    encoded.words(["dog", "cat"], ["{word}", "a {word}"])
    assert len(model.texts) == before


def test_scores_do_not_depend_on_chunks(corpus_of, fake, unit):
    corpus = corpus_of([{"audio": True}] * (CHUNK * 2 + 5))
    audio, queries = unit(CHUNK * 2 + 5), unit(9, seed=1).pooled
    encoded = Encoded(fake(), corpus, audio=audio)
    expected = (audio.pooled @ queries.T).numpy()
    assert np.abs(encoded.scores(queries) - expected).max() < 2e-6
    assert encoded.audio is audio


def test_matrix_noise_makes_no_order_and_nan_is_refused():
    assert len(np.unique(steady(torch.tensor([0.3, 0.3 + 6e-8, 0.3 - 6e-8])))) == 1
    assert len(np.unique(steady(torch.tensor([3e-5, 3.001e-5])))) == 2  # small scores keep their own digits
    with pytest.raises(UserError, match="not numbers"):
        steady(torch.tensor([0.1, float("nan")]))


def test_what_is_resampled(corpus_of, fake):
    captions = [{"group": str(i // 2), "image": f"{i // 2}.png", "audio": True} for i in range(60)]
    encoded = Encoded(fake(), corpus_of(captions))
    assert encoded.interval_over == "pictures"
    assert encoded.units.tolist() == [i // 2 for i in range(60)]
    digits = [{"group": str(i % 10), "vector": [1.0]} for i in range(60)]
    encoded = Encoded(fake(), corpus_of(digits))
    assert encoded.interval_over == "items"
    assert encoded.units.tolist() == list(range(60))


def test_given_features_are_used(corpus_of, fake, unit):
    rows = [{"audio": True, "image": f"{i}.png", "text": "t"} for i in range(3)]
    audio, image, text = unit(3), unit(3), unit(3)
    encoded = Encoded(fake(), corpus_of(rows), audio=audio, image=image, text=text)
    assert encoded.image is image
    assert encoded.text is text
    assert isinstance(encoded.audio_parts[0], Features)


def slow_text_score(encoded, recording, text, contrast):
    """What search would say of one recording and one written text, written out."""
    features, model = encoded.audio[[recording]], encoded.model
    whole = float(features.pooled[0] @ model.embed_texts([text]).pooled[0]) * contrast
    words = [w for w in content_words(text) if w in model.vectors]
    if not words:
        return whole
    frames = F.normalize(features.local[0, features.mask[0]], dim=-1)
    best = np.mean([float((frames @ model.embed_texts([w]).pooled[0]).max()) for w in words])
    weight = 0.1 * len(list(combinations(words, 2)))
    return (best + weight * whole) / (1 + weight)


def test_texts_are_read_by_their_words_and_their_whole(corpus_of, fake, unit):
    """With one function word, one word that the encoder does not know, one text without any, and one said twice."""
    texts = ["a red boat", "the boat, the boat", "xyz boat snow", "over there", "xyz", "red snow red boat"]
    names = [*texts, "red", "boat", "snow"]
    model = fake(dict(zip(names, unit(len(names), 4, 3).pooled, strict=True)))
    model.contrast = lambda pooled: 1 + pooled[:, 0]
    rows = [{"text": t, "audio": True} for t in texts]
    rng = torch.Generator().manual_seed(1)
    mask = torch.arange(7)[None] < torch.tensor([7, 3, 5, 1, 2, 6])[:, None]
    local = torch.randn(6, 7, 4, generator=rng) * mask[..., None]
    audio = Features(F.normalize(local.sum(1), dim=-1), local, mask, 0.04)
    encoded = Encoded(model, corpus_of(rows), audio=audio)
    scores = encoded.text_scores()
    for r in range(6):
        for t, text in enumerate(texts):
            expected = slow_text_score(encoded, r, text, 1 + float(audio.pooled[r, 0]))
            assert scores[r, t] == pytest.approx(expected, abs=1e-5), (r, text)


def test_texts_of_unknown_words_only_are_read_as_wholes(corpus_of, fake, unit):
    model = fake()
    corpus = corpus_of([{"text": "x y", "audio": True}, {"text": "z", "audio": True}])
    encoded = Encoded(model, corpus, audio=unit(2, 4), text=unit(2, 4, 1))
    assert np.allclose(encoded.text_scores(), encoded.scores(encoded.text.pooled))


@pytest.mark.parametrize(
    ("tower", "picture", "said"),
    [
        (VectorTower(4, 4), {"image": "a.png"}, "1 pictures have no vectors"),
        (VectorTower(3, 4), {"image": "a.png", "vector": [1.0, 0, 0, 0]}, "width 4, and the model takes 3"),
        (torch.nn.Identity(), {"vector": [1.0, 0, 0, 0]}, "1 pictures are vectors alone"),
    ],
    ids=["no-vectors", "other-width", "vectors-alone"],
)
def test_pictures_that_the_model_cannot_look_at_are_left_out_aloud(fake, corpus_of, unit, tower, picture, said):
    corpus = corpus_of([{"audio": True, "group": "a", "text": "dog"}, {"group": "a", **picture}])
    model = fake({"dog": [1.0, 0, 0, 0]})
    model.image = tower
    heard = unit(1, 4)
    encoded, told = Encoded(model, corpus, audio=heard, text=heard), []
    sections = [Retrieval(), Spotting(words={"dog": "dog"})]
    results = evaluate(model, corpus, sections, say=told.append, encoded=encoded)
    assert said in encoded.blind
    assert "audio_to_image" not in results["retrieval"]
    assert "audio_to_text" in results["retrieval"]
    assert results["spotting"]["mAP"]["value"] == 1
    assert results["spotting"]["teacher_mAP"] is None
    assert any(line.startswith("skipped spotting.teacher") and said in line for line in told)
