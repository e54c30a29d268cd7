"""What stands beside the package: examples and benchmarks run, and the commands that the pages name exist."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")))]
SMALL = [
    *("threads=1", "teacher.size=32", "teacher.width=4", "teacher.dim=16", "teacher.epochs=1", "teacher.words=8"),
    *("speech.width=16", "speech.dilations=[1]", "training.epochs=1", "training.batch_size=4"),
]


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs a script as ``python PATH ARGUMENTS`` would, and gives what it printed."""

    def run(path: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        monkeypatch.syspath_prepend(str((ROOT / path).parent))
        runpy.run_path(str(ROOT / path), run_name="__main__")
        return str(capsys.readouterr().out)

    return run


def test_train_picturebook(script, tmp_path):
    said = script("examples/train_picturebook.py", "--out", tmp_path, "--scale", 0.005, "--set", *SMALL)
    assert "audio → image" in said
    assert re.search(r"^ *-?\d\.\d{3}  boat", said, re.MULTILINE)
    assert (tmp_path / "run" / "speech.done").is_file()


def test_search_recordings(script, tiny_run, tiny_folder, tmp_path):
    said = script("examples/search_recordings.py", tiny_run, tiny_folder, "a dog", "-k", 2, "--index", tmp_path / "i")
    hits = [line for line in said.splitlines() if line.startswith("  ")]
    assert len(hits) == 2
    assert all(str(tiny_folder) in hit for hit in hits)


def test_spot_words(script, plain_run, tiny_folder):
    file = sorted(tiny_folder.glob("*.flac"))[0]
    said = script("examples/spot_words.py", plain_run, file, "-w", "dog", "boat")
    assert {line.split()[3] for line in said.splitlines()} == {"dog", "boat"}


def test_training_speed(script):
    small = ["--steps", 1, "--batch-size", 4, "--seconds", 0.5, "--towers", "local", "--precisions", "fp32"]
    said = script("benchmarks/training_speed.py", *small)
    row = next(line for line in said.splitlines() if line.startswith("| local, fp32"))
    numbers = [float(n) for n in re.findall(r"\d+\.?\d*", row.partition("fp32")[2])]
    assert len(numbers) == 6
    assert all(n > 0 for n in numbers)


def test_spotting_on_tapes(script, tiny_run, tiny_book, tmp_path):
    said = script("benchmarks/spot_tapes.py", f"book={tiny_run}", "--book", tiny_book, "--out", tmp_path)
    row = next(line for line in said.splitlines() if line.startswith("| run 0 |")).split("|")
    assert all(0 <= float(cell.split()[0]) <= 100 for cell in row[2:7])
    assert "F1 by word: " in said


def test_spotting_speed(script, plain_run, tiny_book, tmp_path):
    small = ["--book", tiny_book, "--out", tmp_path, "--hours", 20 / 3600, "--repeats", 1]
    said = script("benchmarks/spot_speed.py", plain_run, *small)
    rows = [line.split("|") for line in said.splitlines() if " min |" in line]
    assert [row[2].strip() for row in rows] == ["1", "100"]
    assert all(float(row[k].replace(",", "")) > 0 for row in rows for k in (3, 4, 6, 7, 8))


def test_figures_are_judged_by_their_mean(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from reporting import Row, figures_table

    rows = [
        Row("R@10", [0.99, 0.97], goal=0.975),
        Row("mAP", [0.5, 0.6], goal=0.7),
        Row("seconds", [500.0, 590.0], goal=600, at_most=True, scale=1, digits=0),
        Row("chance", [0.02, 0.02]),
    ]
    lines = figures_table(rows, [0, 1]).splitlines()
    assert lines[2] == "| R@10 | ≥ 97.5 | 98.0 | 99.0 | 97.0 | met (seed 1 misses) |"
    assert lines[3] == "| mAP | ≥ 70.0 | 55.0 | 50.0 | 60.0 | MISSED (seed 0, 1 misses) |"
    assert lines[4] == "| seconds | ≤ 600 | 545 | 500 | 590 | met |"
    assert lines[5] == "| chance |  | 2.0 | 2.0 | 2.0 |  |"


def commands(page: str) -> list[str]:
    """``lookhear …`` commands of a page's shell blocks, with continued lines joined and comments left out."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [part for line in lines for part in re.split(r"&&|;|\|", line.partition(" #")[0])]
    return [c.strip() for c in found if c.strip().startswith("lookhear ")]


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_pages_exist(page):
    from lookhear.cli import cli

    for command in commands(page):
        name, *arguments = shlex.split(command)
        group: click.Command = cli
        while isinstance(group, click.Group) and arguments and arguments[0] in group.commands:
            name = arguments.pop(0)
            group = group.commands[name]
        try:
            group.make_context(name, arguments)
        except click.exceptions.Exit:
            assert {"--help", "-h", "--version"} & set(arguments), command
        except click.ClickException as e:
            pytest.fail(f"{page}: {command}: {e.format_message()}")


def test_the_pages_name_commands():
    assert {c.split()[1] for page in PAGES for c in commands(page)} >= {
        *("prepare", "train", "evaluate", "index", "search", "spot", "recipes", "demo")
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_between_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert ((ROOT / page).parent / target).exists(), target
