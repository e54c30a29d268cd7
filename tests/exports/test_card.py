"""Model cards: what the header says to the hub, and what the text says to people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lookhear.api import by_kind, evaluate
from lookhear.data.read import open_corpus
from lookhear.errors import UserError
from lookhear.exports.card import model_card
from lookhear.exports.figures import header_figures, read_results
from lookhear.models.model import Model

hub = pytest.importorskip("huggingface_hub", reason="needs the 'hub' extra")


@pytest.fixture(scope="module")
def results(tiny_run: Path, tiny_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("results") / "figures.json"
    path.write_text(json.dumps(by_kind(evaluate(tiny_run, tiny_book))))
    return path


def test_the_header_is_what_the_hub_reads(tiny_run: Path, tiny_book: Path, results: Path) -> None:
    text = model_card(tiny_run, "me/tiny", corpus=open_corpus(tiny_book), results=results, licence="cc-by-4.0")
    data = hub.ModelCard(text).data
    assert (data.library_name, data.license, data.language) == ("lookhear", "cc-by-4.0", ["en"])
    assert data.datasets == ["picturebook"]
    assert "synthetic-speech" in data.tags
    figures = json.loads(results.read_text())
    told = {(r.task_type, r.metric_type): r for r in data.eval_results}
    mean = told["spotting", "mAP"]
    found = figures["spotting"]["spotting"]["mAP"] if "mAP" not in figures["spotting"] else figures["spotting"]["mAP"]
    assert mean.metric_value == pytest.approx(found["value"], abs=1e-4)
    assert mean.metric_args["low"] == pytest.approx(found["low"], abs=1e-4)
    assert told["retrieval", "text_to_audio R@10"].metric_args["size"] == found["size"]


def test_the_text_says_what_the_run_is(tiny_run: Path, tiny_book: Path, results: Path) -> None:
    text = model_card(tiny_run, corpus=open_corpus(tiny_book), results=results)
    assert "\n# tiny\n" in text
    assert "license:" not in text
    assert "**The speech that it learned from is synthetic**" in text
    assert "without transcripts" in text
    numbers = sum(p.numel() for p in [*_speech(tiny_run)])
    assert f"| speech | local | {numbers:,} |" in text
    assert "2 epochs of batches of 8" in text
    assert "audio → image" in text
    assert "| recordings |" in text


def _speech(run: Path) -> Any:
    return (v for k, v in Model.load(run).state_to_save().items() if k.startswith("audio."))


def test_without_corpus_and_results_nothing_is_made_up(tiny_run: Path) -> None:
    text = model_card(tiny_run)
    data = hub.ModelCard(text).data
    assert not data.eval_results
    assert data.language is None
    assert "The run folder does not name its corpus" in text
    assert "None were given to this card" in text
    assert "synthetic" not in text


def test_sections_are_found_under_their_kinds(tmp_path: Path) -> None:
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.1, "size": 10}
    place = {"kind": "localisation", "interval_over": "pictures", "oracle_accuracy": figure, "words": 3}
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"localisation": {**place, "other": {**place, "words": 4}}}))
    found = read_results(path)
    assert {name: r["words"] for name, r in found.items()} == {"localisation": 3, "other": 4}
    assert "other" not in found["localisation"]
    assert [(k, s, m) for k, s, m, _ in header_figures(found)] == [
        ("localisation", "localisation", "oracle_accuracy"),
        ("localisation", "other", "oracle_accuracy"),
    ]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "{", '{"spotting": 3}', '{"spotting": {"kind": "spotting"}}', '{"a": {"kind": "a"}}']
)
def test_results_that_are_none(content: str, tmp_path: Path, tiny_run: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(content)
    with pytest.raises(UserError, match="not what `lookhear evaluate --json` writes"):
        model_card(tiny_run, results=path)


def test_as_a_person_types_it(lookhear: Any, tiny_run: Path, tmp_path: Path, results: Path) -> None:
    card = tmp_path / "README.md"
    answer = lookhear("export", tiny_run, "--card", card, "--results", results, "--license", "mit")
    assert (answer.code, answer.out) == (0, f"{card}\n")
    assert "license: mit" in card.read_text()
    before = card.read_text()
    assert "is there already" in lookhear("export", tiny_run, "--card", card).complaint
    assert card.read_text() == before
    assert (
        "cannot be read"
        in lookhear("export", tiny_run, "--card", tmp_path / "b", "--results", tmp_path / "no").complaint
    )
    assert "no run" in lookhear("export", tmp_path, "--card", tmp_path / "b").complaint
