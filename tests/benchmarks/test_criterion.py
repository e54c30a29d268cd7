"""A criterion's intervals, conditions and file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "methods"))
from criterion import Criterion, spread


def test_intervals_are_student_s() -> None:
    mean, low, high = spread([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert high - mean == pytest.approx(4.302653 / 3**0.5, abs=1e-5)
    assert mean - low == pytest.approx(high - mean)
    assert spread([5.0]) == (5.0, 5.0, 5.0)


def test_one_condition_that_is_not_met_fails_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    c = Criterion("m", "claims", "base", ["control"], [0, 1, 2], "made", why="a reason")
    c.run("base", lambda seed: {"AP": seed})
    c.run("ours", lambda seed: {"AP": seed + 3.0})
    gain = c.gain("ours", "base", "AP")
    c.ask("ours ≥ base + 2", gain.mean() >= 2, gain, main=True)
    assert c.passes
    assert c.as_dict()["interval"] == [3.0, 3.0]
    c.ask("a control below", False, 1.0)
    c.finish(tmp_path / "deep" / "m.json")
    told = json.loads((tmp_path / "deep" / "m.json").read_text())
    assert not told["passes"]
    assert told["why"] == "a reason"
    assert {v["run"]: v["by_seed"] for v in told["values"]} == {"base": [0, 1, 2], "ours": [3, 4, 5]}
    assert "NOT MET: a control below" in capsys.readouterr().out


def test_nothing_asked_is_nothing_passed() -> None:
    assert not Criterion("m", "claims", "base", [], [0], "made").passes
