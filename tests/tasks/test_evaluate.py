"""Running sections on corpora that have or lack their columns, and printing what came out."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from lookhear.core import Features
from lookhear.errors import UserError
from lookhear.tasks import Localisation, Retrieval, Spotting, TaskConfig
from lookhear.tasks.base import Encoded, primary_value
from lookhear.tasks.evaluate import evaluate, tables

E = torch.eye(3)


@pytest.fixture
def encoded(corpus_of, fake):
    rows = [{"group": str(i), "image": f"{i}.png", "audio": True, "digit": i} for i in range(3)]
    features = Features.of_pooled(E)
    return Encoded(fake({"zero": E[0], "one": E[1], "two": E[2]}), corpus_of(rows), audio=features, image=features)


DIGITS = Spotting(name="digits", words={"zero": "0", "one": "1", "two": "2"}, truth="digit")


def test_runs_what_it_can_and_skips_the_rest_aloud(encoded):
    said = []
    sections = [Retrieval(), DIGITS, Spotting(name="captions", frequent=5), Localisation(words=["zero"])]
    results = evaluate(encoded.model, encoded.corpus, sections, say=said.append, encoded=encoded)
    assert list(results) == ["retrieval", "digits"]
    assert any("captions" in line and "no column 'text'" in line for line in said)
    assert any("localisation" in line and "no word times" in line for line in said)
    assert any("audio_to_text" in line and "no texts" in line for line in said)
    assert all("tiny" in line for line in said)
    assert primary_value(DIGITS, results["digits"]) == 1


def test_tables_show_value_interval_chance_size_and_teacher(encoded):
    results = evaluate(encoded.model, encoded.corpus, [Retrieval(ks=(1,)), DIGITS], encoded=encoded)
    text = tables(results)
    row = next(line for line in text.splitlines() if line.startswith("audio → image"))
    assert "100.0 [100.0–100.0]" in row
    assert "33.3" in row
    assert row.split()[-2:] == ["3", "3"]
    row = next(line for line in text.splitlines() if line.startswith("mAP"))
    assert row.count("100.0 [100.0–100.0]") == 2  # the words, and the teacher's on pictures
    assert "true \\ answered" in text
    assert "oracle accuracy" in tables(
        {
            "l": {
                "kind": "localisation",
                "interval_over": "items",
                "words": 1,
                "oracle_accuracy": {"value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.1, "size": 7},
            }
        }
    )


def test_nothing_to_run_and_double_names_are_mistakes(encoded):
    with pytest.raises(UserError, match="none of the 1"):
        evaluate(encoded.model, encoded.corpus, [Localisation(words=["zero"])], encoded=encoded)
    with pytest.raises(UserError, match="'digits'"):
        evaluate(encoded.model, encoded.corpus, [DIGITS, DIGITS], encoded=encoded)


def test_a_primary_figure_that_is_not_there(encoded):
    result = Retrieval(ks=(1,)).run(encoded)
    with pytest.raises(UserError, match=r"audio_to_image.R@10"):
        primary_value(Retrieval(ks=(1,)), result)


def test_sections_are_told_apart_by_kind():
    read = TypeAdapter(TaskConfig).validate_python
    section = read({"kind": "spotting", "name": "unseen", "list_name": "unseen", "template": ["a {word}", "{word}"]})
    assert isinstance(section, Spotting)
    assert read(section.model_dump()) == section
    assert isinstance(read({"kind": "retrieval", "protocol": "B"}), Retrieval)
    with pytest.raises(ValidationError):
        read({"kind": "retrieval", "protocol": "C"})
    with pytest.raises(ValidationError):
        read({"kind": "guessing"})
