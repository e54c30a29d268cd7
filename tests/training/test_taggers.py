"""What others than the teacher see: class probabilities of columns and classifiers, and the words they show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from lookhear.data.read import Source, open_corpus, read_source
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.objectives.tag_head import TagHeadLoss
from lookhear.training.taggers import class_probabilities, words_of_classes
from lookhear.training.tags import tag_pictures

CLASSES = ["Maltese dog, Maltese", "toy terrier", "tabby, tabby cat", "seashore, coast", "sea lion"]


def test_words_meet_the_names_of_classes() -> None:
    assert words_of_classes(["dog", "cat", "sea", "house"], CLASSES, {}) == {"dog": [0], "cat": [2], "sea": [4]}
    given = {"dog": ["Maltese dog .. toy terrier"], "beach": ["seashore", "sea lion"]}
    assert words_of_classes(["dog", "beach", "sea"], CLASSES, given) == {"dog": [0, 1], "beach": [3, 4], "sea": [4]}
    with pytest.raises(UserError, match=r"no class 'seeshore'.*did you mean 'seashore'"):
        words_of_classes(["beach"], CLASSES, {"beach": ["seeshore"]})


@pytest.fixture
def book(tiny_book: Path) -> Corpus:
    return open_corpus(tiny_book)


def with_column(corpus: Corpus, cells: list[list[float] | None], names: list[str]) -> Corpus:
    table = corpus.table.append_column("seen", pa.array(cells, pa.list_(pa.float32())))
    return Corpus(table, corpus.root, corpus.name, {**corpus.meta, "words": {**corpus.meta["words"], "seen": names}})


def test_tags_of_a_column(book: Corpus, tiny_model: Model) -> None:
    rng = np.random.default_rng(0)
    cells = rng.random((len(book), 3)) / 2
    seen = with_column(book, cells.tolist(), ["dog, puppy", "hound", "cat"])
    config = TagHeadLoss.Config(tagger="seen", only="spoken", classes={"dog": ["dog, puppy", "hound"]})
    rows = book.pictures[:7]
    tags, vectors = tag_pictures(config, tiny_model, seen, ("teacher",), rows)
    shown = [w for w in book.meta["words"]["spoken"] if w in ("dog", "cat")]
    assert tags.words == shown
    wanted = {"dog": cells[rows, 0] + cells[rows, 1], "cat": cells[rows, 2]}
    for i, word in enumerate(shown):
        assert tags.probabilities[:, i].tolist() == pytest.approx(wanted[word].tolist(), abs=1e-3)
    assert vectors.shape == (7, tiny_model.dim)


def test_mistakes_of_columns_are_named(book: Corpus, tiny_model: Model) -> None:
    cells: list[list[float] | None] = [[0.5, 0.2]] * len(book)
    with pytest.raises(UserError, match="nobody says what the numbers of column 'seen' are called"):
        class_probabilities("seen", with_column(book, cells, []), book.pictures)
    with pytest.raises(UserError, match=f"{len(book.pictures)} of {len(book.pictures)} pictures do not have 3 numbers"):
        class_probabilities("seen", with_column(book, cells, ["a", "b", "c"]), book.pictures)
    with pytest.raises(UserError, match="no probabilities"):
        class_probabilities("seen", with_column(book, [[3.0, -1.0]] * len(book), ["a", "b"]), book.pictures)
    config = TagHeadLoss.Config(tagger="seen", only="spoken")
    other = with_column(book, cells, ["zeppelin", "fjord"])
    with pytest.raises(UserError, match=r"none of the \d+ words asked .* is a class of 'seen'"):
        tag_pictures(config, tiny_model, other, ("teacher",), book.pictures)


def classifier(folder: Path, **config: object) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    made = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8,
        num_labels=3, **config,
    )  # fmt: skip
    transformers.ViTForImageClassification(made).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("several", [False, True], ids=["one class", "several classes"])
def test_an_image_classifier_in_the_real_format(book: Corpus, tmp_path: Path, several: bool) -> None:
    kind = "multi_label_classification" if several else "single_label_classification"
    folder = classifier(tmp_path, id2label={0: "dog", 1: "cat", 2: "sea"}, problem_type=kind)
    names, found = class_probabilities(str(folder), book, book.pictures[:5])
    assert names == ["dog", "cat", "sea"]
    assert found.shape == (5, 3)
    assert ((found > 0) & (found < 1)).all()
    assert torch.allclose(found.sum(1), torch.ones(5), atol=1e-5) is not several
    again = class_probabilities(str(folder), book, book.pictures[3:5])[1]
    assert torch.allclose(found[3:5], again, atol=1e-5)


def test_mistakes_of_classifiers_are_named(book: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a classifier without labels"):
        class_probabilities(str(classifier(tmp_path / "bare")), book, book.pictures)
    with pytest.raises(UserError, match=r"no column of .*, and no image classifier \(.*: no such model folder\)"):
        class_probabilities(str(tmp_path / "nothing"), book, book.pictures)


def test_classes_beside_given_vectors(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "manifest.jsonl").write_text("".join(json.dumps({"id": i, "text": i}) + "\n" for i in ("a", "b")))
    share = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]], dtype=np.float32)
    np.savez(folder / "v.npz", ids=["a", "b"], embedding=np.ones((2, 2), np.float32), p=share * 2)
    (folder / "names.txt").write_text("dog\ncat\nsea\n")
    vectors = {"file": "v.npz", "probabilities": "p", "classes": "names.txt"}
    corpus = read_source(Source.model_validate({"name": "set", "vectors": vectors}), tmp_path)
    assert corpus.meta["words"]["classes"] == ["dog", "cat", "sea"]
    np.testing.assert_allclose(corpus.column("classes"), share, atol=1e-6)
    (folder / "names.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match="2 names, which is not the number of classes"):
        read_source(Source.model_validate({"name": "set", "vectors": vectors}), tmp_path)
