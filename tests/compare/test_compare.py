"""Recipes compared: runs found again and gone on with, what is said of them, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from safetensors.numpy import load_file

from lookhear.compare import measure
from lookhear.compare.run import compare
from lookhear.compare.table import table
from lookhear.errors import UserError
from lookhear.recipe import check, load_recipe
from lookhear.tasks.resampling import centred_interval
from lookhear.training import kept
from lookhear.training.kept import KeptRuns


@pytest.fixture(scope="module")
def recipes(tiny_recipe, tmp_path_factory):
    """Two files: the tiny recipe, and one with a wider tower."""
    folder = tmp_path_factory.mktemp("recipes")
    text = tiny_recipe.read_text() + "[[evaluate]]\nkind = 'localisation'\nlist_name = 'spoken'\n"
    text = text.replace("[training]", "[training]\nvalidate_every = 1")
    (folder / "narrow.toml").write_text(text)
    (folder / "wide.toml").write_text(text.replace("width = 16", "width = 24"))
    return [str(folder / "narrow.toml"), str(folder / "wide.toml")]


@pytest.fixture(scope="module")
def found(recipes, tiny_book, tmp_path_factory):
    out = tmp_path_factory.mktemp("compare") / "out"
    return compare(recipes, tiny_book, out, [0], progress=False), out


def weights(run):
    return load_file(run / "model.safetensors")


def same_weights(one, other):
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def folders(comparison):
    return {label: runs[0].folder for label, runs in comparison.runs.items()}


def figures(comparison):
    return [(r["label"], r["figures"], r["differences"]) for r in comparison.summary["recipes"]]


def test_a_kept_run_is_what_train_gives_and_the_teacher_is_trained_once(found, recipes, tiny_book, tmp_path):
    comparison, out = found
    from lookhear.training.train import train

    (teacher,) = (out / "teachers").iterdir()
    assert (teacher / "teacher" / "model.json").is_file()
    train(recipes[1], tiny_book, tmp_path / "alone", progress=False)  # with a teacher of its own
    assert same_weights(folders(comparison)["wide"], tmp_path / "alone")
    assert not same_weights(folders(comparison)["wide"], folders(comparison)["narrow"])
    seconds = [runs[0].seconds["teacher"] for runs in comparison.runs.values()]
    assert seconds[0] == seconds[1] > 0


def test_figures_are_those_of_evaluate_and_resamples_give_their_intervals(found, tiny_book):
    import lookhear

    comparison, _ = found
    for label, (run,) in comparison.runs.items():
        assert run.results == lookhear.evaluate(run.folder, tiny_book), label
        named = {"retrieval": ("audio_to_image", "R@10"), "spotting": ("mAP",), "localisation": ("oracle_accuracy",)}
        assert run.resampled.keys() == named.keys()
        for section, path in named.items():
            figure = run.results[section]
            for key in path:
                figure = figure[key]
            drawn = run.resampled[section].values
            interval = (
                centred_interval(drawn, figure["value"])
                if section == "spotting"
                else tuple(np.percentile(drawn, [2.5, 97.5]))
            )
            assert interval == pytest.approx((figure["low"], figure["high"]))


def test_runs_are_used_again_by_content(found, recipes, tiny_book, monkeypatch):
    comparison, out = found
    monkeypatch.setattr(kept, "train", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(measure, "evaluate", lambda *_, **__: pytest.fail("measured again"))
    again = compare(recipes, tiny_book, out, [0], progress=False)
    assert figures(again) == figures(comparison)
    assert all(run.reused for runs in again.runs.values() for run in runs)
    assert again.summary["seconds"]["runs"] < 1


@pytest.mark.parametrize(
    "change", ["seed=1", "training.epochs=3", "speech.width=20", "name=other"], ids=["seed", "epochs", "width", "name"]
)
def test_another_recipe_is_another_run(recipes, tiny_book, tmp_path, change):
    runs = KeptRuns(tmp_path, tiny_book, progress=False)
    assert runs.place(load_recipe(recipes[0])) != runs.place(load_recipe(recipes[0], [change]))
    assert runs.place(load_recipe(recipes[0])) == runs.place(load_recipe(recipes[0]))


def test_a_teachers_run_is_part_of_what_a_run_depends_on(recipes, tiny_book, tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "teacher")
    recipe = load_recipe(recipes[0], [f"teacher_run={tmp_path / 'teacher'}"])
    before = kept.run_key(recipe, "data")
    with (tmp_path / "teacher" / "model.safetensors").open("ab") as file:
        file.write(b"0")
    assert kept.run_key(recipe, "data") != before


def test_a_model_put_in_anothers_place_is_another_run_and_another_teacher(tmp_path):
    clip, hubert = tmp_path / "clip", tmp_path / "hubert"
    for folder in (clip, hubert):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"0")
    recipe = check(
        {"teacher": {"kind": "clip", "name": str(clip)}, "speech": {"kind": "pretrained", "name": str(hubert)}}, ""
    )
    run, teacher = kept.run_key(recipe, "data"), kept.teacher_key(recipe, "data")
    (hubert / "model.safetensors").write_bytes(b"01")
    other = kept.run_key(recipe, "data")
    assert other != run
    assert kept.teacher_key(recipe, "data") == teacher
    (clip / "model.safetensors").write_bytes(b"01")
    assert kept.run_key(recipe, "data") not in (run, other)
    assert kept.teacher_key(recipe, "data") != teacher
    (clip / "model.safetensors").write_bytes(b"0")
    (hubert / "model.safetensors").write_bytes(b"0")
    assert (kept.run_key(recipe, "data"), kept.teacher_key(recipe, "data")) == (run, teacher)


def test_killed_and_run_again_it_goes_on_where_it_was(found, recipes, tiny_book, tmp_path):
    comparison, _ = found
    stops = []

    def stop(results):
        stops.append(set(results))
        raise KeyboardInterrupt

    runs = KeptRuns(tmp_path / "out", tiny_book, progress=False)
    with pytest.raises(KeyboardInterrupt):
        runs.train(load_recipe(recipes[1]), stop)
    assert stops == [{"retrieval", "spotting", "localisation"}]
    begun = tmp_path / "out" / "runs" / folders(comparison)["wide"].name
    assert (begun / "speech.checkpoint").is_file()
    assert not (begun / "speech.done").is_file()
    said: list[str] = []
    again = compare(recipes, tiny_book, tmp_path / "out", [0], progress=False, say=said.append)
    assert figures(again) == figures(comparison)
    assert same_weights(begun, folders(comparison)["wide"])
    assert not any("teacher:" in line for line in said)  # the one that was stopped had trained it


def test_the_table_has_a_row_a_recipe(found):
    comparison, _ = found
    text = table(comparison.summary)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["recipe", "narrow", "wide", "chance"]
    assert lines[0].count("difference") == 3
    assert "p=" in lines[2]
    assert "p=" not in lines[1]


def test_the_command_prints_json_and_writes_a_page(found, recipes, tiny_book, lookhear, tmp_path):
    comparison, out = found
    page = tmp_path / "page.html"
    answer = lookhear("compare", *recipes, "--seeds", 0, "--data", tiny_book, "--out", out, "--json", "--html", page)
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert [r["figures"] for r in told["recipes"]] == [r["figures"] for r in comparison.summary["recipes"]]
    assert set(told["seconds"]) == {"runs", "total", "overhead"}
    text = page.read_text()
    assert not re.findall(r"""(?:src|href)=|url\(|@import|https?:""", text)
    drawn = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text)]
    words = comparison.runs["narrow"][0].results["spotting"]["per_word"]
    dots = [len(d.findall("circle[title]")) for d in drawn]
    assert len(words) in dots
    assert any(d.findall("polyline") for d in drawn)


def test_several_values_of_one_option(lookhear, recipes, tiny_book, tmp_path, monkeypatch):
    from lookhear.compare import run as module

    seen = []
    monkeypatch.setattr(
        module, "compare", lambda *a, **k: seen.append(a) or (_ for _ in ()).throw(UserError("enough", ""))
    )
    data = ["--data", tiny_book, "--out", tmp_path]
    lookhear("compare", *recipes, "--seeds", 0, 1, 2, *data)
    lookhear("compare", "--seeds", 3, 4, *recipes, *data)
    lookhear("compare", *recipes, *data)
    assert [a[3] for a in seen] == [(0, 1, 2), (3, 4), (0,)]
    assert all(a[0] == tuple(recipes) for a in seen)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seeds", "1", "1"], "seed 1 is given twice"),
        (["--seeds", "x"], "--seeds"),
        (["--set", "training.epoch=3"], "unknown key"),
        (["--set", "evaluate=[]"], "no evaluation sections"),
        (["--set", "speech.width=16"], "are the same recipe"),
        (["--set", "data.test=nowhere"], "no split 'nowhere'"),
    ],
    ids=["seed twice", "no seed", "unknown key", "no sections", "same recipe", "no test items"],
)
def test_mistakes_are_one_line_before_anything_is_trained(lookhear, recipes, tiny_book, tmp_path, more, said):
    answer = lookhear("compare", *recipes, "--data", tiny_book, "--out", tmp_path / "o", *more)
    assert said in answer.complaint
    assert not (tmp_path / "o").exists()


def test_recipes_without_a_section_in_common_are_refused(recipes, tiny_book, tmp_path, tiny_recipe):
    other = tmp_path / "other.toml"
    text = tiny_recipe.read_text()
    other.write_text(text[: text.index("[[evaluate]]")] + "[[evaluate]]\nkind = 'retrieval'\nname = 'pictures'\n")
    with pytest.raises(UserError, match="other and narrow have no evaluation section in common"):
        compare([recipes[0], str(other)], tiny_book, tmp_path / "o", [0])
    with pytest.raises(UserError, match="are the same recipe"):
        compare([recipes[0], recipes[0]], tiny_book, tmp_path / "o", [0])


def test_another_question_is_not_compared(found, recipes, tiny_book, tmp_path):
    """Other words under the same section name: a figure, and no difference."""
    _, out = found
    other = tmp_path / "other.toml"
    text = (
        Path(recipes[1])
        .read_text()
        .replace('kind = "spotting"\nlist_name = "spoken"', 'kind = "spotting"\nwords = ["dog", "boat", "tree", "a"]')
    )
    other.write_text(text)
    said: list[str] = []
    comparison = compare([recipes[0], str(other)], tiny_book, out, [0], progress=False, say=said.append)
    second = comparison.summary["recipes"][1]
    assert "spotting" in second["figures"]
    assert set(second["differences"]) == {"retrieval", "localisation"}
    assert any("spotting" in line and "not asked the same" in line for line in said)
