"""The section as a whole: what it needs, what it refuses, what it gives, and on tapes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.locators import TagCurve
from lookhear.tasks import Detection
from lookhear.tasks.base import Encoded, primary_value
from lookhear.tasks.evaluate import evaluate, tables

E = torch.eye(3)


def said(*words):
    return [{"word": w, "start": s, "end": e} for w, s, e in words]


def encoded_of(corpus_of, fake, rows, heights, step=0.1):
    """Recordings whose cosines with "dog" and "cat" are given, (n, 2) each."""
    longest = max(map(len, heights))
    local, mask = torch.zeros(len(rows), longest, 3), torch.zeros(len(rows), longest, dtype=torch.bool)
    for i, height in enumerate(heights):
        h = torch.tensor(height, dtype=torch.float32)
        local[i, : len(h)] = torch.cat([h, (1 - (h**2).sum(1, keepdim=True)).clamp(min=0).sqrt()], 1)
        mask[i, : len(h)] = True
    pooled = torch.nn.functional.normalize(local.sum(1), dim=-1)
    audio = Features(pooled, local, mask, step)
    corpus = corpus_of([{"audio": True, "words": words} for words in rows])
    return Encoded(fake({"dog": E[0], "cat": E[1]}, dim=3), corpus, audio=audio)


def bumps(frames, *peaks):
    """(frames, 2) cosines, 0 but for (frame, word, height)."""
    table = np.zeros((frames, 2))
    for frame, word, height in peaks:
        table[frame, word] = height
    return table


ROWS = [
    said(("dog", 0.0, 0.4), ("and", 0.4, 1.5), ("dog", 1.5, 1.9)),
    said(("cat", 0.5, 1.0)),
    said(("bird", 0.5, 1.0)),
    [],
]
HEIGHTS = [
    bumps(20, (2, 0, 0.8), (16, 0, 0.7)),  # both found
    bumps(20, (12, 1, 0.6)),  # cat, at 1.25: after its end
    bumps(20, (7, 0, 0.9)),  # a dog that is not there
    bumps(20, (7, 0, 0.9)),  # nobody knows what is said
]


def test_everything_by_hand(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, ROWS, HEIGHTS)
    section = Detection(words=["dog", "cat", "cow"], threshold=0.5, legacy=True, within=0.5)
    encoded.model.vectors["cow"] = E[2]
    result = section.run(encoded)
    assert (result["recordings"], result["words"], result["never_said"]) == (3, 2, ["cow"])
    assert result["seconds"] == pytest.approx(6.0)
    assert result["detection"]["counts"] == {"TP": 2, "FP": 1, "FN": 0}
    assert result["localisation"]["counts"] == {"TP": 1, "FP": 2, "FN": 1}
    assert result["legacy"]["counts"] == {"TP": 1, "FP": 3, "FN": 0}
    assert result["spans"]["counts"] == {"TP": 2, "FP": 2, "FN": 1}
    assert result["localisation"]["F1"]["value"] == pytest.approx(2 / 5)
    assert primary_value(section, result) == pytest.approx(2 / 5)
    # One dog of two recordings with 0.9, then the right one; the cat is the first, in the wrong place.
    assert result["spotting"]["P@N"]["value"] == pytest.approx(0)
    # All three occurrences found within half a second, one false alarm, of the dog.
    assert result["terms"]["P_miss"] == pytest.approx(0)
    assert result["terms"]["P_FA"] == pytest.approx((1 / 4 + 0) / 2)
    assert result["per_word"]["dog"]["spans"] == {"TP": 2, "FP": 1, "FN": 0}
    assert result["per_word"]["cat"]["localisation"]["precision"] == 0
    assert encoded.resampled["detection"].values.shape == (1000,)
    json.dumps(result, allow_nan=False)
    told = tables({"detection": result})
    assert "actual localisation" in told
    assert "40.0" in told
    assert "chosen on these items" in told


def test_order_of_recordings_changes_no_figure(corpus_of, fake):
    section = Detection(words=["dog", "cat"], threshold=0.5)
    a, b = (section.run(encoded_of(corpus_of, fake, ROWS[::way], HEIGHTS[::way])) for way in (1, -1))
    for name in ("detection", "localisation", "spans"):
        assert a[name]["counts"] == b[name]["counts"]
    for name in ("ATWV", "MTWV", "OTWV"):
        assert a["terms"][name]["value"] == pytest.approx(b["terms"][name]["value"])


def test_the_model_s_calibration_is_asked_for_and_used(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, ROWS, HEIGHTS)
    section = Detection(words=["dog", "cat"], threshold="calibrated")
    with pytest.raises(UserError, match="this model has no calibration") as told:
        section.run(encoded)
    assert "lookhear calibrate" in told.value.fix
    assert section.unready(encoded.model) == "this model has no calibration"
    assert Detection(words=["dog"], threshold=0.3).unready(encoded.model) is None
    cuts = {"dog": 0.75, "cat": 0.1}

    def probability(scores, queries, names=None):
        return torch.sigmoid(20 * (scores - torch.tensor([cuts[n] for n in names])))

    encoded.model.calibration = SimpleNamespace(probability=probability)
    assert section.unready(encoded.model) is None
    result = section.run(encoded)
    assert (result["threshold"], result["scale"]) == (0.5, "calibrated probability")
    assert result["spans"]["counts"] == {"TP": 1, "FP": 2, "FN": 2}  # the second dog is below its word's cut


def test_a_pooled_score_has_no_moments(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, ROWS, HEIGHTS)
    said_aloud = []
    section = Detection(words=["dog", "cat"], threshold=0.05, score="pooled")
    result = evaluate(encoded.model, encoded.corpus, [section], say=said_aloud.append, encoded=encoded)["detection"]
    assert "spans" not in result
    assert "terms" not in result
    assert "moments have no 'pooled' score" in said_aloud[0]
    pooled = encoded.audio.pooled[:3, :2] >= 0.05
    assert result["detection"]["counts"]["TP"] + result["detection"]["counts"]["FP"] == int(pooled.sum())
    tables({"detection": result})


def test_the_tag_head_answers_for_its_own_words(corpus_of, fake):
    encoded = encoded_of(corpus_of, fake, ROWS, HEIGHTS)
    curve = torch.full((4, 20, 1), -3.0)
    curve[0, 2, 0] = 2.0
    audio = replace(encoded.audio, tags=torch.zeros(4, 1), tag_curve=curve)
    model = fake({"dog": E[0], "cat": E[1]}, dim=3)
    model.head = SimpleNamespace(names=("dog",))
    encoded = Encoded(model, encoded.corpus, audio=audio)
    result = Detection(words=["dog", "cat"], threshold=0.0, by="tags").run(encoded)
    assert result["by"] == TagCurve().kind
    assert list(result["per_word"]) == ["dog"]
    assert result["spans"]["counts"] == {"TP": 1, "FP": 0, "FN": 1}
    model.head.names = ("cow",)
    with pytest.raises(UserError, match="none of its words"):
        Detection(words=["dog", "cat"], threshold=0.0, by="tags").run(encoded)


def test_what_cannot_be_asked(corpus_of):
    section = Detection(words=["dog"], threshold=0.5)
    assert section.missing(corpus_of([{"text": "dog"}])) == "no recordings"
    assert "no word times" in section.missing(corpus_of([{"audio": True}]))
    assert "none of the 1 words" in section.missing(corpus_of([{"audio": True, "words": said(("cat", 0.0, 1.0))}]))
    assert section.missing(corpus_of([{"audio": True, "words": said(("dog", 0.0, 1.0))}])) is None


def test_what_is_no_section():
    with pytest.raises(ValidationError, match="threshold"):
        Detection(words=["dog"])
    with pytest.raises(ValidationError, match="calibration reads moments"):
        Detection(words=["dog"], threshold="calibrated", score="pooled")
    with pytest.raises(ValidationError, match="calibration reads moments"):
        Detection(words=["dog"], threshold="calibrated", by="tags")
    with pytest.raises(ValidationError):
        Detection(words=["dog"], threshold="best on validation")


def test_long_recordings_are_heard_a_few_at_a_time(tmp_path, fake, corpus_of, sound, monkeypatch):
    """Tapes beside short recordings: no chunk is longer than the limit, and order stays."""
    monkeypatch.setattr("lookhear.tasks.base.SECONDS", 10)
    lengths = [1.0, 8.0, 3.0, 2.0, 12.0, 1.0]
    paths = [sound(f"{i}.wav", seconds, seed=i) for i, seconds in enumerate(lengths)]
    rows = [
        {"audio": {"path": p.name, "bytes": None}, "words": said(("dog", 0.1, 0.5), ("dog", s / 2, s / 2 + 0.4))}
        for p, s in zip(paths, lengths, strict=True)
    ]
    encoded = Encoded(fake({"dog": torch.ones(4) / 2}), corpus_of(rows, root=tmp_path))
    assert [len(p) for p in encoded.audio_parts] == [1, 1, 2, 1, 1]
    heard = [int(m.sum()) / 100 for part in encoded.audio_parts for m in part.mask]
    assert heard == pytest.approx(lengths)
    result = Detection(words=["dog"], threshold=0.5).run(encoded)
    assert result["seconds"] == pytest.approx(sum(lengths))
    assert result["spans"]["recall"]["size"] == 12


def test_validation_leaves_out_what_wants_a_calibration(corpus_of, fake):
    """Training makes the calibration last; the sections that wait for it must not end it."""
    from lookhear.recipe import Recipe
    from lookhear.training.train import _validation

    encoded = encoded_of(corpus_of, fake, ROWS, HEIGHTS)
    sections = [
        {"kind": "detection", "name": "fixed", "words": ["dog"], "threshold": 0.5},
        {"kind": "detection", "name": "calibrated", "words": ["dog"], "threshold": "calibrated"},
    ]
    recipe = Recipe.model_validate({"evaluate": sections})
    model = encoded.model
    model.embed_audio = lambda waves: encoded.audio
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoded, "audio_parts", [encoded.audio])
        assert list(_validation(model, encoded.corpus, recipe, None)) == ["fixed"]
