"""Which words are asked, what the teacher's answers become, and what goes with which picture."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize

from lookhear.data.read import open_corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.teacher import PROMPTS
from lookhear.objectives.tags import WordTags
from lookhear.recipe import load_recipe
from lookhear.tasks.base import Encoded
from lookhear.training.pictures import look
from lookhear.training.tags import calibrate, tag_pictures
from lookhear.training.train import train, train_teacher
from lookhear.training.vocabulary import said_by_group, vocabulary

TEXTS = ["a red dog", "the dog and the cat"] * 3 + ["a cat"] * 2 + ["a bird"] * 5 + ["don't look"] * 9


def test_the_most_frequent_content_words_are_asked() -> None:
    assert vocabulary(TEXTS, 10) == ["look", "dog", "cat", "bird"]  # red is said three times, a and the say nothing
    assert vocabulary(TEXTS, 2) == ["look", "dog"]
    assert vocabulary(TEXTS, 2, always=["one", "dog"]) == ["one", "dog", "look"]
    assert vocabulary(TEXTS, 2, leave_out={"look"}) == ["dog", "cat"]


def test_who_says_what() -> None:
    said = said_by_group(["A Red dog", "a cat", "no dogs"], np.array([2, 0, 2]), ["dog", "cat"], 4)
    assert said.tolist() == [[False, True], [False, False], [True, False], [False, False]]


def test_calibration_against_scipy() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((300, 4)) < [0.5, 0.2, 0.1, 0.3]
    scores = rng.standard_normal(truth.shape) * 0.1 + truth * 0.15
    p = truth.mean(0)
    prior, entropy = np.log(p / (1 - p)), -(p * np.log(p) + (1 - p) * np.log(1 - p))

    def loss(x: np.ndarray) -> float:
        z = scores * np.exp(x[0]) + x[1] + prior
        return float(((np.logaddexp(0, z) - z * truth) / entropy).mean())

    wanted = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
    scale, bias = calibrate(torch.from_numpy(scores).float(), torch.from_numpy(truth))
    assert (scale, bias) == pytest.approx((np.exp(wanted[0]), wanted[1]), rel=1e-3)


@pytest.fixture(scope="module")
def book(tiny_book: Path):
    return open_corpus(tiny_book)


def test_tags_of_pictures(tiny_model: Model, book) -> None:
    rows = book.pictures[np.array(book.column("split"), dtype=object)[book.pictures] == "train"]
    config = WordTags.Config(words=6, leave_out=("synonym",), prompts=("{word}", "a {word}"))
    tags, vectors = tag_pictures(config, tiny_model, book, ("teacher",), rows)
    assert len(tags.words) == 6
    assert not set(tags.words) & set(book.meta["words"]["synonym"])
    by_hand = F.normalize(
        sum(tiny_model.embed_texts([p.format(word=w) for w in tags.words]).pooled for p in config.prompts), dim=-1
    )
    assert torch.allclose(tags.vectors, by_hand, atol=1e-6)
    pooled, met = look(tiny_model, book, rows, tags.vectors)
    assert torch.equal(vectors, pooled)
    # One rising curve for all words beyond each word's prior: the order of pictures is the teacher's own.
    assert torch.equal(tags.probabilities.float().argmax(0), met.argmax(0)) or met.argmax(0).unique().numel() < 6
    assert ((tags.probabilities > 0) & (tags.probabilities < 1)).all()
    assert torch.allclose(tags.share, tags.probabilities.float().mean(0))


def test_looking_in_parts_is_looking_at_once(
    tiny_model: Model, book, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    words = F.normalize(torch.randn(3, tiny_model.dim, generator=torch.Generator().manual_seed(0)), dim=-1)
    whole = look(tiny_model, book, book.pictures, words)
    shutil.rmtree(own_cache)
    monkeypatch.setattr("lookhear.training.pictures.AT_ONCE", 7)
    parts = look(tiny_model, book, book.pictures, words)
    for a, b in zip(whole, parts, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert look(tiny_model, book, book.pictures)[1].shape == (len(book.pictures), 0)


def test_mistakes_are_named(tiny_model: Model, book) -> None:
    with pytest.raises(UserError, match=r"no word list 'synonyms'.*synonym"):
        tag_pictures(WordTags.Config(leave_out=("synonyms",)), tiny_model, book, ("teacher",), book.pictures)
    with pytest.raises(UserError, match="no word is said five times in the texts of nowhere"):
        tag_pictures(WordTags.Config(), tiny_model, book, ("nowhere",), book.pictures)


def test_towers_know_the_middle_of_their_own_vectors(tiny_model: Model, book) -> None:
    """That is, of the lesson's pictures, and of the one caption of each that the lesson encodes."""
    # The tiny recipe's lesson is the split "train".
    model = copy.deepcopy(tiny_model)
    middles = [model.image.centre.clone(), model.text.centre.clone()]  # type: ignore[operator, union-attr]
    model.image.centre.zero_()  # type: ignore[operator, union-attr]
    model.text.centre.zero_()  # type: ignore[operator, union-attr]
    split, texts = np.array(book.column("split"), dtype=object), book.column("text")
    rows = book.pictures[split[book.pictures] == "train"]
    first = {book.groups[i]: texts[i] for i in book.texts[::-1] if split[i] == "train"}
    seen = look(model, book, rows)[0], model.embed_texts(list(first.values())).pooled
    for middle, vectors in zip(middles, seen, strict=True):
        assert float(middle.norm()) > 0.2
        assert torch.allclose(middle, vectors.mean(0), atol=0.02)  # the lesson encodes texts in bf16


def test_the_text_tower_knows_how_its_lesson_spreads(tiny_model: Model, book) -> None:
    split, texts = np.array(book.column("split"), dtype=object), book.column("text")
    first = {book.groups[i]: texts[i] for i in book.texts[::-1] if split[i] == "train"}
    seen = tiny_model.embed_texts(list(first.values())).pooled
    spread = tiny_model.text.spread  # type: ignore[union-attr]
    assert float(spread.trace()) == pytest.approx(1, abs=1e-4)
    assert torch.allclose(spread, sum(torch.outer(t, t) for t in seen) / len(seen), atol=0.02)  # type: ignore[arg-type]


def test_training_with_tags_learns_the_words(
    tiny_book: Path, tiny_recipe: Path, tiny_run: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tags.toml"
    tags = '[[objectives]]\nkind = "tags"\nwords = 5\n[training]'
    text = tiny_recipe.read_text().replace("[training]", '[[objectives]]\nkind = "infonce"\n' + tags)
    recipe.write_text(text)
    changes = [f"teacher_run={tiny_run}", "training.epochs=6"]
    run = train(str(recipe), tiny_book, tmp_path / "run", changes=changes, progress=False)
    log = [json.loads(line) for line in (run.folder / "speech.log.jsonl").read_text().splitlines()]
    losses = [row["tags"] for row in log if "tags" in row]
    assert losses[-1] < losses[0]
    recipe.write_text(text.replace("[training]", tags))
    with pytest.raises(UserError, match="several objectives of kind 'tags'"):
        train(str(recipe), tiny_book, tmp_path / "other", progress=False)


def with_objectives(recipe: Path, tmp_path: Path, lines: str) -> Path:
    """The recipe with these objectives, in a file of its own."""
    path = tmp_path / "objectives.toml"
    path.write_text(recipe.read_text().replace("[training]", f"{lines}\n[training]"))
    return path


def test_a_teacher_is_trained_alone_for_a_recipe_with_a_tag_head(
    tiny_book: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    """As ``compare`` and ``tune`` do, whose runs share a teacher: there is no speech tower to put a head on yet."""
    head = '[[objectives]]\nkind = "tag_head"\nwords = 5\nhead = { reading = "max" }'
    recipe = with_objectives(tiny_recipe, tmp_path, head)
    train_teacher(load_recipe(str(recipe)), tiny_book, tmp_path / "shared", progress=False)
    changes = [f"teacher_run={tmp_path / 'shared' / 'teacher'}"]
    model = train(str(recipe), tiny_book, tmp_path / "run", changes=changes, progress=False).model
    assert model.head is not None


def test_what_is_embedded_has_the_words_that_training_learned(
    tiny_book: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    """The evidence is that of the final weights over the training recordings, and off when it weighs nothing."""
    tags = '[[objectives]]\nkind = "infonce"\n[[objectives]]\nkind = "tags"\nwords = 5'
    recipe = with_objectives(tiny_recipe, tmp_path, tags)
    model = train(str(recipe), tiny_book, tmp_path / "run", progress=False).model
    assert model.evidence is not None
    assert 1 <= len(model.evidence.names) <= 5
    words = F.normalize(
        sum(model.embed_texts([p.format(word=w) for w in model.evidence.names]).pooled for p in PROMPTS), dim=-1
    )
    assert torch.allclose(model.evidence.words, words, atol=1e-5)
    corpus = open_corpus(tiny_book).select("train")
    encoded = Encoded(model, corpus)
    peaks = torch.from_numpy(encoded.scores(words, "peak"))
    assert torch.allclose(model.evidence.mean, peaks.mean(0), atol=5e-3)  # training keeps log-mels in half precision
    assert torch.allclose(model.evidence.deviation, peaks.std(0, correction=0), atol=5e-3)
    recipe.write_text(recipe.read_text().replace("words = 5", "words = 5\nevidence = 0"))
    assert train(str(recipe), tiny_book, tmp_path / "plain", progress=False).model.evidence is None


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("only = 'synonyms'", "no word list 'synonyms'"),
        ("tagger = 'nowhere/classifier'", "no column of .*, and no image classifier"),
        ("words = 3\n[data]\nteacher = ['nowhere']", "no word is said five times"),
        ("words = 3\n[speech]\nkind = 'pretrained'\nname = './nowhere'", "nowhere: no such model folder"),
    ],
)
def test_mistakes_are_found_before_a_teacher_is_taught(
    objective: str, said: str, tiny_recipe: Path, tiny_book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: object, **more: object) -> None:
        raise AssertionError("taught")

    monkeypatch.setattr("lookhear.training.train.teach", never)
    recipe = tmp_path / "mistake.toml"
    head = "head = { reading = 'max' }"
    recipe.write_text(f"extends = '{tiny_recipe}'\n[[objectives]]\nkind = 'tag_head'\n{head}\n{objective}\n")
    with pytest.raises(UserError, match=said):
        train(str(recipe), tiny_book, tmp_path / "run", progress=False)


def test_the_teacher_is_as_it_was_after_speech_has_learned_words(
    tiny_recipe: Path, tiny_book: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKHEAR_CACHE", str(tmp_path / "cache"))  # so that pictures are looked at anew
    changes = [f"teacher_run={tiny_run}", "objectives=[{kind='infonce'},{kind='tags'}]", "training.epochs=1"]
    run = train(str(tiny_recipe), tiny_book, tmp_path / "run", changes=changes, progress=False)
    before = Model.load(tiny_run).teacher.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in run.model.teacher.state_dict().items())
