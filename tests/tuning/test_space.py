"""What may be searched, how it is written, and what is refused."""

from __future__ import annotations

import pytest

from lookhear.errors import UserError
from lookhear.tuning.space import Choice, Range, check_space, parse_search, read_space


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("training.learning_rate=1e-4:1e-2:log", Range("training.learning_rate", 1e-4, 1e-2, True)),
        ("speech.width=8:24", Range("speech.width", 8, 24)),
        ("training.floor=0:1.0", Range("training.floor", 0, 1.0)),
        ("training.batch_size=8,16, 32", Choice("training.batch_size", ("8", "16", "32"))),
        ("training.precision=auto,32", Choice("training.precision", ("auto", "32"))),
    ],
    ids=["log", "whole", "half whole", "numbers", "names"],
)
def test_a_search_is_read(text, want):
    assert parse_search(text) == want


def test_whole_ends_make_whole_numbers():
    assert parse_search("a=1:3").whole
    assert not parse_search("a=1:3.0").whole


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        '"objectives.0.weight" = [0.5, 1]\n[training]\nlearning_rate = {low = 1e-4, high = 1e-2, log = true}\n'
        'precision = ["auto", "32"]\n[speech]\ndilations = [[1], [1, 2]]\n'
    )
    assert read_space(path) == [
        Choice("objectives.0.weight", ("0.5", "1")),
        Range("training.learning_rate", 1e-4, 1e-2, True),
        Choice("training.precision", ('"auto"', '"32"')),
        Choice("speech.dilations", ("[1]", "[1, 2]")),
    ]


@pytest.mark.parametrize(
    "text",
    ["width", "=1:2", "a=", "a=2:1", "a=1:1", "a=0:1:log", "a=1:2:lin", "a=x:y", "a=1:2:3:4", "a=5", "a=1,1"],
)
def test_a_search_that_means_nothing_is_refused(text):
    with pytest.raises(UserError, match="search"):
        parse_search(text)


@pytest.mark.parametrize("text", ["a = 1", "a = {low = 1}", "a = {low = 1, high = 2, step = 1}", "a = [1]", "a ="])
def test_a_file_that_means_nothing_is_refused(tmp_path, text):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(UserError):
        read_space(tmp_path / "s.toml")
    with pytest.raises(UserError, match="no readable search space"):
        read_space(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("training.learnin_rate=1e-4:1e-2", "did you mean 'learning_rate'"),
        ("training.learning_rate=-1.0:1e-2", "greater than 0"),
        ("training.warmup=0.1:2.0", "less than 1"),
        ("training.batch_size=8,many", "batch_size"),
        ("speech.width=1.5:8.5", "width"),
        ("seed=0:9", "same in all trials"),
        ("evaluate.0.name=a,b", "same in all trials"),
        ("data.validation=train,test", "same in all trials"),
    ],
    ids=["unknown", "too low", "too high", "no number", "no whole number", "seed", "sections", "validation"],
)
def test_keys_and_ends_are_tried_on_the_recipe(tiny_recipe, search, said):
    with pytest.raises(UserError, match=said):
        check_space([parse_search(search)], str(tiny_recipe), [])


def test_a_key_is_searched_once_and_something_must_be(tiny_recipe):
    with pytest.raises(UserError, match="given twice"):
        check_space([parse_search("speech.width=8:16")] * 2, str(tiny_recipe), [])
    with pytest.raises(UserError, match="nothing to search"):
        check_space([], str(tiny_recipe), [])


def test_a_recipes_own_value_is_held_or_not():
    assert Range("a", 1, 5).holds(3) == 3
    assert Range("a", 1, 5).holds(3.5) is None
    assert Range("a", 1.0, 5.0).holds(3) == 3
    assert Range("a", 1, 5).holds(9) is None
    assert Range("a", 0, 5).holds(True) is None
    assert Choice("a", ("[1, 2]", "x")).holds([1, 2]) == "[1, 2]"
    assert Choice("a", ("[1, 2]", "x")).holds("x") == "x"
    assert Choice("a", ("[1, 2]", "x")).holds("y") is None
