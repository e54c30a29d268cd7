"""What a teacher makes of pictures is kept, found again, and made again when anything it depends on changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.core import Features, Padded
from lookhear.data.read import open_corpus
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.training.pictures import look, picture_patches, picture_tensor


@pytest.fixture
def book(tiny_book: Path) -> Corpus:
    return open_corpus(tiny_book)


@pytest.fixture
def seen(tiny_model: Model, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went through the image tower, call by call."""
    counts: list[int] = []
    kind = type(tiny_model.image)
    forward = kind.forward

    def counted(self: Any, x: Padded) -> Features:
        counts.append(len(x.values))
        return forward(self, x)

    monkeypatch.setattr(kind, "forward", counted)
    return counts


def words(model: Model, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(3, model.dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_what_was_seen_is_not_looked_at_again(tiny_model: Model, book: Corpus, seen: list[int]) -> None:
    rows = book.pictures
    asked = words(tiny_model)
    first = look(tiny_model, book, rows[:9], asked)
    more = look(tiny_model, book, rows[4:15], asked)
    assert seen == [9, 6]
    again = look(tiny_model, book, rows[:15][::-1], asked)
    assert seen == [9, 6]
    for one, two, all_ in zip(first, more, again, strict=True):
        assert torch.equal(all_, torch.cat([one, two[5:]]).flip(0))


def test_other_words_another_tower_or_another_picture_is_looked_at(
    tiny_model: Model, book: Corpus, seen: list[int]
) -> None:
    rows = book.pictures[:4]
    look(tiny_model, book, rows, words(tiny_model))
    other = copy.deepcopy(tiny_model)
    with torch.no_grad():
        next(other.image.parameters())[0] += 0.1
    assert not torch.equal(look(other, book, rows, words(tiny_model))[0], look(tiny_model, book, rows)[0])
    look(tiny_model, book, rows, words(tiny_model, 1))
    assert seen == [4] * 4
    look(tiny_model, book, rows[[0, 0, 1]], words(tiny_model))
    assert seen == [4] * 4
    look(tiny_model, book, book.pictures[3:6], words(tiny_model))
    assert seen == [4] * 4 + [2]


def test_a_file_that_changed_is_looked_at_again(
    tiny_model: Model, tmp_path: Path, seen: list[int], tiny_folder: Path
) -> None:
    picture = next(p for p in sorted(tiny_folder.rglob("*.png")))
    (tmp_path / "a.png").write_bytes(picture.read_bytes())
    (tmp_path / "manifest.jsonl").write_text('{"id": "a", "image": "a.png", "text": "a dog"}\n')
    corpus = open_corpus(tmp_path)
    before, _ = look(tiny_model, corpus, corpus.pictures)
    look(tiny_model, corpus, corpus.pictures)
    assert seen == [1]
    other = next(p for p in sorted(tiny_folder.rglob("*.png")) if p.read_bytes() != picture.read_bytes())
    (tmp_path / "a.png").write_bytes(other.read_bytes() + b"\0")
    after, _ = look(tiny_model, corpus, corpus.pictures)
    assert seen == [1, 1]
    assert not torch.equal(before, after)


@pytest.mark.parametrize("harm", ["damaged", "a folder", "no space"])
def test_a_cache_that_cannot_be_used_is_done_without(
    tiny_model: Model, book: Corpus, seen: list[int], own_cache: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = book.pictures[:5]
    first = look(tiny_model, book, rows, words(tiny_model))
    (file,) = (own_cache / "pictures").iterdir()
    if harm == "no space":

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("safetensors.torch.save_file", full)
        rows, first = book.pictures[5:9], look(tiny_model, book, book.pictures[5:9], words(tiny_model))
    elif harm == "damaged":
        file.write_bytes(file.read_bytes()[:-7])
    else:
        file.unlink()
        file.parent.rmdir()
        file.parent.write_bytes(b"")
    again = look(tiny_model, book, rows, words(tiny_model))
    assert seen == ([5, 4, 4] if harm == "no space" else [5, 5])
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


def test_a_picture_that_comes_twice_is_kept_once(tiny_model: Model, book: Corpus, own_cache: Path) -> None:
    from safetensors.torch import load_file

    rows = np.repeat(book.pictures[:2], 2)
    pooled, met = look(tiny_model, book, rows, words(tiny_model))
    assert torch.equal(pooled[0], pooled[1])
    assert met.shape == (4, 3)
    (file,) = (own_cache / "pictures").iterdir()
    assert len(load_file(file)["keys"]) == 2


def test_patches_are_the_tower_s_own_in_half_precision_and_may_be_learned_from(
    tiny_model: Model, book: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookhear.training.pictures.AT_ONCE", 4)
    rows = book.pictures[:6]
    found = picture_patches(tiny_model, book, rows)
    whole = tiny_model.image(Padded(picture_tensor(book, rows, tiny_model.image).float() / 255))
    assert found.local.dtype == torch.float16
    assert found.step == whole.step == (4, 4)
    assert torch.allclose(found.local.float(), whole.local, atol=2e-3 * float(whole.local.abs().max()))
    assert torch.allclose(found.pooled, look(tiny_model, book, rows)[0], atol=1e-5)
    (found.local.float() * torch.ones(1, requires_grad=True)).sum().backward()  # not possible for inference tensors


def test_given_vectors_have_no_patches(tiny_model: Model, book: Corpus) -> None:
    other = copy.deepcopy(tiny_model)
    other.teacher.image = VectorTower(8, tiny_model.dim)
    with pytest.raises(UserError, match="needs the patches of pictures"):
        picture_patches(other, book, book.pictures[:2])
