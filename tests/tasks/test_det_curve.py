"""The script that draws detection-error curves, on a result with known points."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "det_curve.py"


def terms(*points):
    rows = [{"threshold": 1 - i / 10, "P_FA": a, "P_miss": m} for i, (a, m) in enumerate(points)]
    values = {"ATWV": {"value": 0.25}, "MTWV": {"value": 0.5, "threshold": 0.9}, "terms": 3, "seconds": 60.0}
    return {"kind": "detection", "terms": {"DET": rows, "P_FA": 0.001, "P_miss": 0.5, **values}}


def draw(tmp_path, tree):
    (tmp_path / "figures.json").write_text(json.dumps(tree))
    command = [sys.executable, SCRIPT, tmp_path / "figures.json", "-o", tmp_path / "det.svg"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_curve_a_section_on_probit_axes(tmp_path):
    normal = terms((1e-5, 0.98), (0.02275, 0.5), (0.4, 0.01))  # 0.02275 is two deviations from one half
    done = draw(tmp_path, {"detection": {"spoken": normal, "<unseen>": terms((0.01, 0.9))}})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "figures spoken: 3 points, 3 words, 60 s"
    svg = ET.parse(tmp_path / "det.svg").getroot()
    lines = svg.findall("{*}polyline")
    assert len(lines) == 2
    corners = [tuple(map(float, p.split(","))) for p in lines[0].attrib["points"].split()]
    (left, top), (x, y), (right, bottom) = corners
    low, high = -4.2649, -0.2533  # probits of the ends of the axis of false alarms
    assert (x - left) / (right - left) == pytest.approx((-2 - low) / (high - low), abs=2e-3)
    low, high = -2.3263, 2.0537
    assert (bottom - y) / (bottom - top) == pytest.approx((0 - low) / (high - low), abs=2e-3)
    assert any("ATWV 25.0, MTWV 50.0" in t.text for t in svg.findall("{*}text"))


def test_no_such_section(tmp_path):
    done = draw(tmp_path, {"spotting": {}})
    assert done.returncode == 2
    assert "no section of kind 'detection'" in done.stderr
