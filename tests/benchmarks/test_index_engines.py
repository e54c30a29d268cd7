"""The comparison of embedded engines: its data and truth, its limits, and every engine that is installed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faiss", reason="needs faiss-cpu")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import index_engines as script
from engines import ENGINES, data
from engines.payload import Payload

INSTALLED = [name for name, engine in ENGINES.items() if not engine.missing() and name != "clip-retrieval-1g"]
ROWS, QUERIES = 600, 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    data.make(folder, ROWS, QUERIES, 3)
    return folder


def test_the_truth_is_what_sorting_all_products_gives(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = data.load(made)
    np.testing.assert_allclose(np.linalg.norm(given.vectors, axis=1), 1, atol=1e-5)
    products = given.queries @ np.asarray(given.vectors).T
    truth = np.sort(np.argsort(-products, axis=1)[:, : data.K], axis=1)
    assert (truth == np.sort(given.truth, axis=1)).all()
    monkeypatch.setattr(data, "BLOCK", 77)  # blocks that the rows do not fill
    assert (truth == np.sort(data.exact(given.vectors, given.queries, data.K)[0], axis=1)).all()


def test_the_same_seed_makes_the_same_and_another_makes_others(made: Path, tmp_path: Path) -> None:
    given = data.load(made)
    again, other = (data.make(tmp_path / str(seed), ROWS, QUERIES, seed) for seed in (3, 4))
    assert (again.vectors == given.vectors).all()
    assert (again.queries == given.queries).all()
    assert np.abs(other.vectors - given.vectors).max() > 0.1
    more = data.make(tmp_path / "3", ROWS, QUERIES + 1, 3)  # other wishes, other data
    assert len(more.queries) == QUERIES + 1


def test_rows_are_the_same_in_one_piece_and_in_many() -> None:
    whole = data.rows_beside(0, 200).to_pylist()
    pieces = [row for at in range(0, 200, 50) for row in data.rows_beside(at, 50).to_pylist()]
    assert whole == pieces
    assert len({row["file"] for row in whole}) == 4


def test_the_payload_gives_back_what_was_put_in_and_not_what_was_deleted(tmp_path: Path) -> None:
    payload, rows = Payload(tmp_path / "rows.sqlite"), data.rows_beside(0, 130)
    payload.add(rows.slice(0, 70))
    payload.add(rows.slice(70))
    wanted = [{**row, "date": row["date"].isoformat()} for row in rows.to_pylist()]
    assert payload.answer(np.array([129, 0, 65])) == [wanted[129], wanted[0], wanted[65]]
    language = data.LANGUAGES[1]
    assert payload.of_language(language).tolist() == [r["id"] for r in wanted if r["language"] == language]
    payload.delete(np.array([0, 5]))
    assert len(payload) == 128


@pytest.mark.parametrize("name", INSTALLED)
def test_an_engine_finds_nearly_all_that_is_nearest_and_tells_its_rows(name: str, made: Path, tmp_path: Path) -> None:
    given = data.load(made)
    ENGINES[name](tmp_path, 1).build(given.vectors, data.rows_beside, lambda rows: None)
    engine = ENGINES[name](tmp_path, 1)
    engine.open()
    assert engine.counts() == (ROWS, ROWS)
    setting = list(engine.settings.values())[-1]
    found = [engine.search(query, data.K, setting) for query in given.queries]
    recall = np.mean([np.isin(f, t).mean() for f, t in zip(found, given.truth, strict=True)])
    assert recall >= (1.0 if name in ("faiss-flat", "lancedb") else 0.85)
    told = engine.answer(found[0])
    expected = data.rows_beside(0, ROWS).to_pylist()
    assert [(t["id"], t["file"], t["speaker"]) for t in told] == [
        (i, expected[i]["file"], expected[i]["speaker"]) for i in found[0].tolist()
    ]


def run(monkeypatch: pytest.MonkeyPatch, *given: str) -> None:
    monkeypatch.setattr(sys, "argv", ["index_engines.py", *given])
    script.main()


def test_a_run_prints_its_figures_and_a_second_one_does_not_build_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(script.__file__).parent))
    small = ["--work", str(tmp_path), "--rows", "3000", "--queries", "20", "--threads", "1", "--engines", "faiss-flat"]
    run(monkeypatch, *small, "--kills", "1", "--json")
    told = json.loads(capsys.readouterr().out)["engines"]["faiss-flat"]
    assert told["timed"]["1"]["settings"]["exact"]["recall"] == 1.0
    assert {what: told["tried"][what] for what in ("add", "delete", "filter")} == dict.fromkeys(
        ("add", "delete", "filter"), "yes"
    )
    assert told["tried"]["killed"]["tries"] == 1
    assert 2048 < told["bytes"] / 3000 < 2300
    built = next(tmp_path.glob("built-*/faiss-flat/vectors.faiss")).stat().st_mtime_ns
    run(monkeypatch, *small)
    assert re.search(r"^\| faiss-flat \| exact \|.* 1\.000 ± 0\.000 \|", capsys.readouterr().out, re.M)
    assert next(tmp_path.glob("built-*/faiss-flat/vectors.faiss")).stat().st_mtime_ns == built


def test_a_build_past_its_limit_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(script.__file__).parent))
    given = ["--rows", "20000", "--queries", "5", "--threads", "1", "--no-trials", "--engines", "faiss-hnsw-sq8"]
    run(monkeypatch, "--work", str(tmp_path), *given, "--cap", "1")
    assert "| not in 1 s of processors; " in capsys.readouterr().out
    assert not next(tmp_path.glob("built-*")).joinpath("faiss-hnsw-sq8").exists()


def test_what_is_missing_is_named_and_what_is_unknown_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(ENGINES["lancedb"], "needs", ("no_such_module",))
    assert script.chosen(["faiss-flat", "lancedb"]) == ["faiss-flat"]
    assert "lancedb: skipped, no_such_module not installed" in capsys.readouterr().err
    with pytest.raises(script.lookhear.UserError, match="none of these engines is installed"):
        script.chosen(["lancedb"])
    with pytest.raises(script.lookhear.UserError, match="no engine milvus"):
        script.chosen(["milvus"])
