"""Teachers over given vectors: two maps, one that speech learns from and one for pictures never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Padded
from lookhear.data.read import open_corpus
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.models.teacher import Teacher, VectorTeacher
from lookhear.training import fit as loop
from lookhear.training import teach as lessons
from lookhear.training.pictures import look, picture_vectors
from lookhear.training.teach import teach

WIDTH = 12


@pytest.fixture(scope="module")
def given(tiny_book: Path) -> Corpus:
    """The tiny book, a vector for each picture."""
    book = open_corpus(tiny_book)
    vectors = np.random.default_rng(0).standard_normal((len(book.table), WIDTH)).astype(np.float32)
    column = pa.array(list(vectors), type=book.table.schema.field("vector").type)
    table = book.table.set_column(book.table.schema.get_field_index("vector"), "vector", column)
    return Corpus(table, book.root, book.name, book.meta)


def config(**change: Any) -> VectorTeacher:
    return VectorTeacher(**{"vector_width": WIDTH, "dim": 8, "epochs": 4, "batch_size": 8, "words": 6, **change})


def taught(given: Corpus, folder: Path | None = None, **change: Any) -> Teacher:
    return teach(config(**change), given, ("teacher",), seed=0, folder=folder, progress=False)[0]


def same(a: Teacher, b: Teacher) -> bool:
    return all(torch.equal(x, b.state_dict()[k]) for k, x in a.state_dict().items())


def test_the_first_map_and_the_texts_are_as_without_a_second(given: Corpus) -> None:
    one, two = taught(given, noise=0.5), taught(given, noise=0.5, unseen_noise=1.5)
    assert one.lesson is None
    assert two.lesson is not None
    assert torch.equal(one.image.map.weight, two.lesson.map.weight)
    assert torch.equal(one.text.head.weight, two.text.head.weight)
    assert not torch.equal(one.image.map.weight, two.image.map.weight)
    assert not any(p.requires_grad for p in two.parameters())


def test_speech_learns_from_the_first_map_and_pictures_are_seen_through_the_second(given: Corpus) -> None:
    model = Model(taught(given, unseen_noise=1.5).eval(), None)
    rows = given.pictures[:5]
    vectors = picture_vectors(given, rows)
    lesson = model.teacher.lesson
    assert lesson is not None
    assert torch.allclose(look(model, given, rows)[0], lesson(Padded(torch.from_numpy(vectors))).pooled, atol=1e-6)
    seen = model.embed_vectors(vectors).pooled
    assert torch.allclose(seen, model.image(Padded(torch.from_numpy(vectors))).pooled, atol=1e-6)
    assert not torch.allclose(seen, lesson(Padded(torch.from_numpy(vectors))).pooled, atol=1e-2)


def test_both_maps_are_centred_on_their_own_vectors(given: Corpus) -> None:
    teacher = taught(given, unseen_noise=1.5)
    rows = given.pictures[np.isin(given.groups[given.pictures], given.select("teacher").groups)]
    lesson_rows = [i for i in rows if given.column("split")[i] == "teacher"]
    x = torch.from_numpy(picture_vectors(given, np.array(lesson_rows)))
    for tower in (teacher.image, teacher.lesson):
        assert tower is not None
        raw = F.normalize(tower.map(F.normalize(F.normalize(x, dim=-1) - tower.mean, dim=-1)), dim=-1)
        assert torch.allclose(tower.centre, raw.mean(0), atol=1e-5)


@pytest.mark.parametrize("stage", lessons.TEACHER_STAGES)
@pytest.mark.parametrize("step", [0, 3])
def test_a_stopped_lesson_goes_on_to_the_same_maps(
    given: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, step: int
) -> None:
    whole = taught(given, unseen_noise=1.5)
    now = {"stage": ""}
    fit, take = lessons.fit, loop._Loop.step

    def named(*a: Any, name: str, **k: Any) -> Any:
        now["stage"] = name
        return fit(*a, name=name, **k)

    def stopping(self: Any, number: int) -> dict[str, float]:
        if (now["stage"], number) == (stage, step):
            raise KeyboardInterrupt
        return take(self, number)

    with monkeypatch.context() as m:
        m.setattr(lessons, "fit", named)
        m.setattr(loop._Loop, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            taught(given, tmp_path, unseen_noise=1.5)
    torch.rand(7)  # whatever else drew random numbers in between
    assert same(taught(given, tmp_path, unseen_noise=1.5), whole)


@pytest.mark.parametrize("hidden", [0, 5])
def test_it_is_saved_and_loaded_with_both_maps(given: Corpus, tmp_path: Path, hidden: int) -> None:
    how = config(unseen_noise=1.5, map_hidden=hidden)
    teacher = taught(given, unseen_noise=1.5, map_hidden=hidden)
    Model(teacher, None).save(tmp_path, {"teacher": how.model_dump(mode="json"), "speech": None})
    assert same(Model.load(tmp_path).teacher, teacher)


def test_vectors_of_another_width_are_named_with_a_mend(given: Corpus) -> None:
    with pytest.raises(UserError, match=f"width {WIDTH}, the recipe says 7") as e:
        taught(given, vector_width=7)
    assert e.value.fix == f"Set teacher.vector_width={WIDTH}."
