"""Recipes: inheritance, changes, all mistakes at once, and what is written out is what was read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.errors import UserError
from lookhear.models.speech import LocalTower, SeedTower
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, VectorTeacher
from lookhear.objectives.contrastive import InfoNCE, Margin, Sigmoid
from lookhear.recipe import Recipe, check, json_schema, load_recipe, merge, recipe_names

BASE = """
name = "base"
seed = 1
[data]
sources = [{ name = "pictures", columns = { text = "caption" } }]
[speech]
kind = "local"
width = 64
dilations = [1, 2]
[training]
epochs = 3
batch_size = 8
[[objectives]]
kind = "infonce"
weight = 2.0
[[objectives]]
kind = "margin"
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path / "base.toml"


def child(base: Path, text: str, name: str = "child.toml") -> str:
    path = base.parent / name
    path.write_text(f'extends = "base.toml"\n{text}')
    return str(path)


def test_extends_lays_tables_over_and_replaces_lists(base: Path) -> None:
    text = 'name = "child"\n[speech]\nwidth = 32\n[training]\nepochs = 9\n[[objectives]]\nkind = "sigmoid"\n'
    r = load_recipe(child(base, text))
    assert (r.name, r.seed) == ("child", 1)
    assert r.speech == LocalTower.Config(width=32, dilations=(1, 2))
    assert (r.training.epochs, r.training.batch_size) == (9, 8)
    assert r.objectives == (Sigmoid.Config(),)
    assert r.data.sources[0].columns == {"text": "caption"}


def test_a_table_of_another_kind_is_replaced(base: Path) -> None:
    assert load_recipe(child(base, '[speech]\nkind = "seed"\nlayers = 2\n')).speech == SeedTower.Config(layers=2)


def test_grandchildren_and_circles(base: Path) -> None:
    child(base, "seed = 2\n")
    (base.parent / "grand.toml").write_text('extends = "child.toml"\n[training]\nepochs = 4\n')
    r = load_recipe(str(base.parent / "grand.toml"))
    assert (r.seed, r.training.epochs, r.training.batch_size) == (2, 4, 8)
    base.write_text('extends = "child.toml"\n')
    with pytest.raises(UserError, match="extends itself"):
        load_recipe(str(base))


def test_changes(base: Path) -> None:
    r = load_recipe(
        str(base),
        [
            "seed=7",
            "name=words without quotes",
            "training.epochs=0.5",
            "speech.dilations=[1, 1]",
            "data.sources.0.name=other",
            "objectives.1.margin=0.4",
            "compatibility.kind=max",
            "augment.noise=[5, 20]",
        ],
    )
    assert (r.seed, r.name, r.training.epochs) == (7, "words without quotes", 0.5)
    assert r.speech == LocalTower.Config(width=64, dilations=(1, 1))
    assert r.data.sources[0].name == "other"
    assert r.objectives == (InfoNCE.Config(weight=2.0), Margin.Config(margin=0.4))
    assert (r.compatibility.kind, r.augment.noise) == ("max", (5.0, 20.0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed", "Write --set"),
        ("=3", "Write --set"),
        ("seed.deep=1", "'seed' is no section"),
        ("objectives.2.weight=1", "'2' is none of 2 sections"),
        ("objectives.first.weight=1", "'first' is none of 2"),
        ("objectives.5=1", "'5' is none of 2"),
    ],
)
def test_wrong_changes(base: Path, change: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_recipe(str(base), [change])


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"sede": 3}, "sede: unknown key, did you mean 'seed'?"),
    ({"training": {"epoch": 3}}, "training.epoch: unknown key, did you mean 'epochs'?"),
    ({"training": {"seed": "x"}}, "training.seed: input should be a valid integer"),
    ({"training": {"epochs": -1}}, "training.epochs: input should be greater than or equal to 0"),
    ({"training": {"epochs": 0}}, "training.epochs = 0 keeps what a stage on 'audio' or speech_run taught"),
    (
        {"stages": [{"objectives": [{"kind": "cpc"}], "training": {"epochs": 0}}]},
        "stages.0: value error, a stage of 0 epochs teaches nothing: leave it out",
    ),
    ({"speech": {"kind": "local", "widht": 3}}, "speech.widht: unknown key, did you mean 'width'?"),
    ({"speech": {"kind": "local", "kernel": 4}}, "speech.kernel: value error, an odd number"),
    ({"speech": {"kind": "locl"}}, "speech: input tag 'locl'"),
    ({"speech": {"width": 3}}, "speech: unable to extract tag using discriminator 'kind'"),
    ({"teacher": {"kind": "vectors", "hiden": 1}}, "teacher.hiden: unknown key, did you mean 'hidden'?"),
    ({"teacher": {"kind": "clip", "epochs": 1}}, "teacher.epochs: unknown key, known: finetune, kind, name"),
    (
        {"teacher": {"kind": "clip", "finetune": {"mode": "last", "rank": 3}}},
        "teacher.finetune.rank: unknown key, known: batch_size, blocks, epochs, learning_rate, mode, weight_decay, wor",
    ),
    ({"teacher": {"kind": "clip", "finetune": {"mode": "lora", "rnk": 3}}}, "finetune.rnk: unknown key, did you mean"),
    ({"teacher": {"kind": "clip", "finetune": {"mode": "lora", "rank": 0}}}, "finetune.rank: input should be greater"),
    ({"teacher": {"kind": "clip", "finetune": {"mode": "all"}}}, "teacher.finetune: input tag 'all'"),
    ({"teacher": {"kind": "embedded", "finetune": {"mode": "lora"}}}, "teacher.finetune: unknown key"),
    (
        {"objectives": [{"kind": "infonce", "temprature": 1}]},
        "objectives.0.temprature: unknown key, did you mean 'temp",
    ),
    ({"objectives": [{"kind": "margin", "wieght": 2}]}, "objectives.0.wieght: unknown key, did you mean 'weight'?"),
    ({"evaluate": [{"kind": "spotting", "nmae": "x"}]}, "evaluate.0.nmae: unknown key, did you mean 'name'?"),
    (
        {"evaluate": [{"kind": "localisation", "by": {"kind": "masked_in", "hopp": 1}}]},
        "evaluate.0.by.hopp: unknown key, did you mean 'hop'?",
    ),
    ({"evaluate": [{"kind": "localisation", "by": "maskd"}]}, "evaluate.0.by: input tag 'maskd'"),
    ({"data": {"sources": [{"name": "a", "vectors": {"file": "v", "idz": 1}}]}}, "data.sources.0.vectors.idz: unknown"),
    ({"data": {"sources": [{"nam": "a"}]}}, "data.sources.0.name: field required"),
    ({"data": {"voiced": {"renderngs": 3}}}, "data.voiced.renderngs: unknown key, did you mean 'renderings'?"),
    ({"augment": {"noise": [9, 1]}}, "augment.noise: value error, the lowest"),
    ({"compatibility": {"smoth": 0}}, "compatibility.smoth: unknown key, did you mean 'smooth'?"),
]


@pytest.mark.parametrize(("values", "said"), MISTAKES, ids=[said.split(":")[0] for _, said in MISTAKES])
def test_a_mistake_is_named_where_it_is(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as e:
        check(values, "r.toml")
    assert said in e.value.what
    assert "r.toml" in e.value.what
    assert "\n" not in str(e.value)


def test_all_mistakes_at_once(base: Path) -> None:
    text = '[speech]\nwidht = 3\n[training]\nepoch = 2\nbatch_size = "many"\n[sppech]\n'
    with pytest.raises(UserError) as e:
        load_recipe(child(base, text))
    for said in (
        "speech.widht",
        "did you mean 'width'",
        "training.epoch:",
        "training.batch_size",
        "sppech",
        "'speech'",
    ):
        assert said in e.value.what


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = \n", "not TOML"),
        (b'name = "\xff"', "not UTF-8"),
        (b"extends = 3", "extends = 3"),
        (b'extends = "nobody"', "nobody"),
    ],
)
def test_damaged_files(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=said):
        load_recipe(str(path))


def test_recipes_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.toml: no such recipe"):
        load_recipe(str(tmp_path / "gone.toml"))
    with pytest.raises(UserError, match="no recipe 'nobody-wrote-this'"):
        load_recipe("nobody-wrote-this")


def test_merge_leaves_its_inputs() -> None:
    a, b = {"x": {"y": 1, "z": [1]}}, {"x": {"z": [2]}}
    assert merge(a, b) == {"x": {"y": 1, "z": [2]}}
    assert (a, b) == ({"x": {"y": 1, "z": [1]}}, {"x": {"z": [2]}})


# Written out and read again ------------------------------------------------------------------------------------------


def again(recipe: Recipe, folder: Path) -> Recipe:
    path = folder / "resolved.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    return load_recipe(str(path))


ANSWERS = sorted((Path(__file__).parents[1] / "benchmarks" / "answers").glob("*.toml"))


@pytest.mark.parametrize("path", ANSWERS, ids=[p.stem for p in ANSWERS])
def test_the_recipes_behind_the_answers_change_what_they_extend(path: Path) -> None:
    recipe = load_recipe(str(path))
    base = tomllib.loads(path.read_text())["extends"]
    extended = load_recipe(str(path.parent / base) if base.endswith(".toml") else base)
    assert recipe.name == path.stem
    assert recipe.model_copy(update={"name": extended.name}) != extended


@pytest.mark.parametrize("teacher", [EmbeddedTeacher(width=7), VectorTeacher(hidden=5), ClipTeacher(name="a/b")])
@pytest.mark.parametrize("speech", [LocalTower.Config(dilations=(1, 3)), SeedTower.Config(readout="mean")])
def test_resolved_recipes_read_back(tmp_path: Path, teacher: Any, speech: Any) -> None:
    recipe = Recipe(teacher=teacher, speech=speech, objectives=(Sigmoid.Config(), Margin.Config(margin=0.3)), threads=2)
    assert again(recipe, tmp_path) == recipe


@pytest.mark.parametrize(
    ("by", "kind"),
    [("tags", "tags"), ("masked_in", "masked_in"), ({"kind": "grad_cam", "answer": "tags"}, "grad_cam")],
)
def test_locators_are_named_or_tables_and_read_back(tmp_path: Path, by: Any, kind: str) -> None:
    recipe = check({"evaluate": [{"kind": "localisation", "list_name": "spoken", "by": by}]}, "here")
    (section,) = recipe.evaluate
    assert section.by.kind == kind  # type: ignore[union-attr]
    assert again(recipe, tmp_path) == recipe


@settings(max_examples=40)
@given(
    name=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    epochs=st.floats(1e-6, 1e6),
    rate=st.floats(1e-9, 1.0),
    noise=st.none() | st.just((1.5, 20.0)),
    words=st.dictionaries(st.text("abc.\"' é", max_size=4), st.text("xyz{}\n\\", max_size=5), max_size=3),
)
def test_any_values_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, epochs: float, rate: float, noise: Any, words: dict[str, str]
) -> None:
    recipe = check(
        {
            "name": name,
            "training": {"epochs": epochs, "learning_rate": rate},
            "augment": {"noise": noise},
            "data": {"sources": [{"name": "s", "captions": {"column": "c", "words": words}}]},
        },
        "",
    )
    assert again(recipe, tmp_path_factory.mktemp("r")) == recipe


def test_resolved_recipes_write_every_default_out() -> None:
    text = Recipe().to_toml()
    for line in ("weight_decay = 0.02", 'kind = "local"', "smooth = 0.12", "time_share = 0.1", "renderings"):
        assert (line in text) == (line != "renderings")


def test_schema_for_editors() -> None:
    schema = json.loads(json_schema())
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["additionalProperties"] is False
    assert {"Optimisation", "Compatibility", "Augment"} <= set(schema["$defs"])


def test_shipped_recipes_are_valid(tmp_path: Path) -> None:
    """One test over all of them, so that none is forgotten when one is added."""
    for name in recipe_names():
        recipe = load_recipe(name)
        assert again(recipe, tmp_path) == recipe, name
        assert recipe.name, name


def test_recipes_can_be_built_from_plain_values() -> None:
    values = {"training": {"epochs": 2}, "speech": {"kind": "seed"}}
    assert check(values, "") == Recipe.model_validate(values)
