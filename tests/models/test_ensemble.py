"""Ensembles of teachers: their cosine is the mean of the members'; what does not fit together is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from lookhear.core import Features, Padded
from lookhear.errors import UserError
from lookhear.models.ensemble import EnsembleTeacher, joined
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.models.speech import LocalTower
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, TeacherConfig, VectorTeacher

TEXTS = ["a dog", "a picture of the red boat on the sea", "boat"]


def run(folder: Path, config: TeacherConfig, seed: int = 0) -> str:
    """A teacher of random weights, saved as a run of its own."""
    torch.manual_seed(seed)
    Model(config.build(), None).save(folder, {"teacher": config.model_dump(mode="json"), "speech": None})
    return str(folder)


def embedded(encoder: Path, dim: int = 8, size: int = 16) -> EmbeddedTeacher:
    return EmbeddedTeacher(encoder=str(encoder), dim=dim, size=size, width=4)


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray((rng.random((h, w, 3)) * 255).astype(np.uint8)) for h, w in ((20, 30), (32, 16), (16, 16))]


@pytest.mark.parametrize("dims", [(8, 8), (8, 12, 10)], ids=["two", "three of other widths"])
def test_cosines_are_the_mean_of_the_members(encoder: Path, tmp_path: Path, dims: tuple[int, ...]) -> None:
    runs = tuple(run(tmp_path / str(i), embedded(encoder, dim), i) for i, dim in enumerate(dims))
    teacher = EnsembleTeacher(runs=runs).build()
    assert teacher.dim == sum(dims)
    whole, members = Model(teacher, None), [Model.load(r) for r in runs]
    images, texts = whole.embed_images(pictures()), whole.embed_texts(TEXTS)
    assert torch.allclose(images.pooled.norm(dim=-1), torch.ones(3), atol=1e-6)
    wanted = torch.zeros(3, 3)
    patches = torch.zeros(3, images.local.shape[1], 3)
    for m in members:
        image, text = m.embed_images(pictures()), m.embed_texts(TEXTS)
        for i in range(3):
            for j in range(3):
                wanted[i, j] += float(image.pooled[i] @ text.pooled[j]) / len(dims)
        patches += m.compatibility.curve(image, text.pooled) / len(dims)
    assert torch.allclose(images.pooled @ texts.pooled.T, wanted, atol=1e-5)
    assert torch.allclose(whole.compatibility.curve(images, texts.pooled), patches, atol=1e-5)
    assert not any(p.requires_grad for p in teacher.parameters())


def test_clip_and_its_like(clip: Path, tmp_path: Path) -> None:
    """Twice the same teacher answers as it does alone."""
    runs = tuple(run(tmp_path / name, ClipTeacher(name=str(clip))) for name in "ab")
    alone, twice = Model.load(runs[0]), Model(EnsembleTeacher(runs=runs).build(), None)
    images, texts = twice.embed_images(pictures()), twice.embed_texts(TEXTS)
    wanted = alone.embed_images(pictures()).pooled @ alone.embed_texts(TEXTS).pooled.T
    assert torch.allclose(images.pooled @ texts.pooled.T, wanted, atol=1e-5)
    assert images.step == (4, 4)


@torch.no_grad()
@pytest.mark.parametrize("unseen", [None, 1.0], ids=["one map", "a map for the lesson"])
def test_vectors_computed_elsewhere(encoder: Path, tmp_path: Path, unseen: float | None) -> None:
    config = VectorTeacher(encoder=str(encoder), dim=8, vector_width=5, unseen_noise=unseen)
    runs = tuple(run(tmp_path / name, config, seed) for seed, name in enumerate("ab"))
    teacher, members = EnsembleTeacher(runs=runs).build(), [Model.load(r).teacher for r in runs]
    assert isinstance(teacher.image, VectorTower)
    assert teacher.image.width == 5
    given = torch.randn(4, 5)
    pairs = [(teacher.image, [m.image for m in members])]
    if unseen is None:
        assert teacher.lesson is None
    else:
        assert teacher.lesson is not None
        pairs.append((teacher.lesson, [m.lesson for m in members if m.lesson is not None]))
    for whole, parts in pairs:
        found = whole(Padded(given)).pooled
        cosines = torch.stack([p(Padded(given)).pooled @ p(Padded(given)).pooled.T for p in parts]).mean(0)
        assert torch.allclose(found @ found.T, cosines, atol=1e-5)


def test_padding_stays_empty_and_items_keep_their_places() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    one, two = (Features(torch.randn(2, d), torch.randn(2, 2, d) * mask[..., None], mask, None) for d in (3, 4))
    found = joined([one, two])
    assert torch.equal(found.mask, mask)
    assert not found.local[1, 1].any()
    alone = joined([one[[1]], two[[1]]])
    assert torch.allclose(alone.pooled[0], found.pooled[1], atol=1e-6)


def test_a_run_that_learned_from_an_ensemble_finds_it_again(encoder: Path, tmp_path: Path) -> None:
    config = EnsembleTeacher(runs=tuple(run(tmp_path / n, embedded(encoder), i) for i, n in enumerate("ab")))
    teacher, speech = config.build(), LocalTower.Config(bins=8, width=8, dilations=(1,))
    model = Model(teacher, speech.build(teacher.dim))
    model.save(tmp_path / "run", {"teacher": config.model_dump(mode="json"), "speech": speech.model_dump(mode="json")})
    assert json.loads((tmp_path / "run" / "model.json").read_text())["teacher"]["kind"] == "ensemble"
    assert not any(k.startswith("teacher.") for k in model.state_to_save())
    again = Model.load(tmp_path / "run")
    assert torch.equal(again.embed_texts(TEXTS).pooled, model.embed_texts(TEXTS).pooled)
    assert torch.equal(again.embed_images(pictures()).pooled, model.embed_images(pictures()).pooled)


def test_an_ensemble_of_ensembles(encoder: Path, tmp_path: Path) -> None:
    runs = tuple(run(tmp_path / n, embedded(encoder), i) for i, n in enumerate("abcd"))
    halves = []
    for name, part in (("ab", runs[:2]), ("cd", runs[2:])):
        halves.append(run(tmp_path / name, EnsembleTeacher(runs=part)))
    whole = Model(EnsembleTeacher(runs=runs).build(), None).embed_texts(TEXTS).pooled
    nested = Model(EnsembleTeacher(runs=tuple(halves)).build(), None).embed_texts(TEXTS).pooled
    assert torch.allclose(whole @ whole.T, nested @ nested.T, atol=1e-6)


# What is refused -----------------------------------------------------------------------------------------------------


def test_members_that_need_other_pictures(encoder: Path, tmp_path: Path) -> None:
    runs = (run(tmp_path / "a", embedded(encoder)), run(tmp_path / "b", embedded(encoder, size=24)))
    with pytest.raises(UserError, match=r"a and .*b read pictures differently"):
        EnsembleTeacher(runs=runs).build()


def test_members_of_other_kinds(encoder: Path, clip: Path, tmp_path: Path) -> None:
    runs = (run(tmp_path / "a", embedded(encoder)), run(tmp_path / "b", ClipTeacher(name=str(clip))))
    with pytest.raises(UserError, match="pictures and texts differently"):
        EnsembleTeacher(runs=runs).build()


def test_folders_without_a_run(encoder: Path, tmp_path: Path) -> None:
    runs = (run(tmp_path / "a", embedded(encoder)), str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere: no trained model"):
        EnsembleTeacher(runs=runs).build()


def test_one_teacher_is_no_ensemble() -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        EnsembleTeacher(runs=("a",))


def test_speech_learns_from_an_ensemble(tiny_book: Path, tiny_run: Path, tmp_path: Path) -> None:
    """Through the whole of training, with tags asked of both."""
    from lookhear.training.train import train

    member = str(tiny_run / "teacher")
    text = f'extends = "{tiny_run / "recipe.toml"}"\n[teacher]\nkind = "ensemble"\nruns = ["{member}", "{member}"]\n'
    (tmp_path / "recipe.toml").write_text(text)
    changes = ('objectives=[{kind="infonce"}, {kind="tags"}]', "training.epochs=1", "evaluate=[]")
    found = train(str(tmp_path / "recipe.toml"), tiny_book, tmp_path / "run", changes=changes, progress=False)
    assert found.model.dim == 2 * Model.load(member).dim
    assert found.model.embed_audio(
        [np.random.default_rng(0).standard_normal(8000).astype(np.float32)]
    ).pooled.shape == (
        1,
        found.model.dim,
    )
