"""The table of methods is that of the code and of the results, and answers about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from lookhear import catalogue
from lookhear.about import About
from lookhear.errors import UserError
from lookhear.recipe import ObjectiveConfig, recipe_names

ROOT = Path(__file__).parents[1]


def test_page_and_table_are_those_of_the_code_and_the_results() -> None:
    script = ROOT / "benchmarks" / "methods" / "page.py"
    found = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("config", get_args(get_args(ObjectiveConfig)[0]), ids=lambda c: c.__qualname__)
def test_every_objective_says_what_it_is(config: Any) -> None:
    about = vars(config)["about"]  # its own, not that of the one it extends
    assert isinstance(about, About)
    assert about.recipe in {"", *recipe_names()}
    assert config.__pydantic_fields__["kind"].default


def test_the_verb_lists_and_shows(lookhear: Any) -> None:
    lines = lookhear("methods").out.splitlines()
    assert lines[0].split()[:3] == ["NAME", "KIND", "FAMILY"]
    assert len(lines) == len(catalogue.methods()) + 1
    names = [m["name"] for m in json.loads(lookhear("methods", "--json").out)]
    assert len(names) == len(set(names)) == len(lines) - 1
    for name in names:
        shown = lookhear("methods", name).out
        assert catalogue.method(name)["paper"] in shown
        assert json.loads(lookhear("methods", name, "--json").out)["name"] == name


def test_a_name_that_is_none(lookhear: Any) -> None:
    assert "did you mean 'densecl'?" in lookhear("methods", "densel").complaint
    with pytest.raises(UserError, match="no method"):
        catalogue.page("")


def test_a_measured_method_shows_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {
        "method": "x", "claim": "a beats b by 3", "baseline": "b", "controls": ["c"], "data": "made", "seeds": [0, 1],
        "seconds": 9.0, "interval": [1.0, 2.0], "passes": False, "why": "too few steps",
        "values": [{"run": "a", "figure": "AP", "by_seed": [1, 2], "mean": 1.5, "interval": [1, 2], "seconds": 3}],
        "conditions": [{"says": "a ≥ b + 3", "met": False, "found": [1.0]}],
    }  # fmt: skip
    entry = {**catalogue.methods()[0], "name": "x", "measured": measured}
    monkeypatch.setattr(catalogue, "_all", lambda: {"x": entry})
    assert "not met" in catalogue.listing()
    shown = catalogue.page("x")
    assert all(part in shown for part in ("a ≥ b + 3", "too few steps", "a beats b by 3", "AP: 1.5 [1–2]"))
