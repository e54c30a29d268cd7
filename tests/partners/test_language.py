"""Partners by meaning against loops, none of one's own group, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.core import Features
from lookhear.data.read import open_corpus
from lookhear.data.schema import SCHEMA, Corpus
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.partners.language import LanguagePartners, nearest
from lookhear.partners.listed import ListedPartners

MEANING = {"a dog": (1.0, 0.0), "the hound": (0.9, 0.1), "a boat": (0.0, 1.0), "two ships": (0.1, 0.9), "fog": (-1, -1)}


def model() -> SimpleNamespace:
    def embed(texts: list[str]) -> Features:
        return Features.of_pooled(F.normalize(torch.tensor([MEANING[t] for t in texts]).float(), dim=-1))

    return SimpleNamespace(text=None, embed_texts=embed)


def corpus(texts: list[str | None], groups: list[str]) -> Corpus:
    rows = [
        {"id": f"r{i}", "group": g, "text": t, "audio": {"path": f"{i}.wav", "bytes": None}}
        for i, (t, g) in enumerate(zip(texts, groups))
    ]
    return Corpus(pa.Table.from_pylist(rows, schema=SCHEMA), Path(), "made")


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=9), st.integers(1, 10), st.integers(0, 99))
def test_nearest_of_other_groups_by_loops(groups: list[int], top: int, seed: int) -> None:
    vectors = F.normalize(torch.randn(len(groups), 4, generator=torch.Generator().manual_seed(seed)), dim=-1)
    rows, scores = nearest(vectors, np.array(groups), top)
    for i, g in enumerate(groups):
        cosines = [(float(vectors[i] @ vectors[j]), j) for j, h in enumerate(groups) if h != g]
        expected = [s for s, _ in sorted(cosines, reverse=True)][:top]
        found = [s for s in scores[i] if s > -math.inf]
        assert found == pytest.approx(expected, abs=1e-6)
        assert all(groups[rows[i, k]] != g for k in range(len(found)))


def test_weights_fall_with_similarity_and_nobody_goes_with_its_own_group() -> None:
    given = corpus(["a dog", "the hound", "a boat", "two ships", "a dog"], ["p", "q", "r", "s", "p"])
    found = LanguagePartners(by="text", top=2, temperature=0.2).find(model(), given, np.arange(5))
    assert found.rows[:, 0].tolist()[:4] == [1, found.rows[1, 0], 3, 2]
    assert found.rows[1, 0] in (0, 4)
    assert 4 not in found.rows[0]
    near, far = (
        float(given_ @ other)
        for given_, other in [(unit("a dog"), unit("the hound")), (unit("a dog"), unit("two ships"))]
    )
    assert found.weights[0, 0] / found.weights[0, 1] == pytest.approx(math.exp((near - far) / 0.2), rel=1e-4)


def unit(text: str) -> torch.Tensor:
    return F.normalize(torch.tensor(MEANING[text]).float(), dim=0)


def test_one_without_a_neighbour_is_its_own_partner_and_all_without_are_refused() -> None:
    given = corpus(["a dog", "the hound", "fog"], ["p", "q", "r"])
    found = LanguagePartners(by="text", least=0.5).find(model(), given, np.arange(3))
    assert {int(found.draw(np.array([2]), np.random.default_rng(i))[0]) for i in range(9)} == {2}
    with pytest.raises(UserError, match=r"similarity of 1\.0"):
        LanguagePartners(by="text", least=1.0).find(model(), given, np.arange(3))


def test_a_recording_without_a_text_takes_its_group_s() -> None:
    given = corpus(["a dog", None, "the hound"], ["p", "p", "q"])
    found = LanguagePartners(by="text", top=1).find(model(), given, np.arange(3))
    assert found.rows[1, 0] == 2
    with pytest.raises(UserError, match="the first is r1"):
        LanguagePartners(by="text").find(model(), corpus(["a dog", None, "fog"], ["p", "x", "q"]), np.arange(3))


@pytest.mark.parametrize("by", ["sentence", "text", "picture"])
def test_each_reading_on_a_book(by: str, tiny_book: Path, tiny_model: Model) -> None:
    book = open_corpus(tiny_book)
    rows = book.recordings[:12]
    found = LanguagePartners(by=by, least=-1.0).find(tiny_model, book, rows)
    groups = book.groups[rows]
    assert found.rows.shape == found.weights.shape == (12, 4)
    assert (groups[found.rows] != groups[:, None])[found.weights > 0].all()
    assert math.isfinite(found.skew)


def test_a_hub_is_told_by_the_skew() -> None:
    from lookhear.partners.base import Partners

    even = Partners(np.array([[1], [2], [3], [0]]), np.ones((4, 1)))
    hub = Partners(np.array([[0], [0], [0], [0]]), np.ones((4, 1)))
    assert even.skew == 0
    assert hub.skew == pytest.approx(2 / math.sqrt(3))


def test_a_file_of_pairs(tmp_path: Path) -> None:
    path, given = tmp_path / "pairs.csv", corpus(["a dog", "fog", "a boat"], ["p", "q", "r"])
    path.write_text("id,partner,weight\nr0,r1,3\nr0,r2,1\nr2,r0,\n")
    found = ListedPartners(file=str(path)).find(model(), given, np.arange(3))
    assert found.rows[:, 0].tolist() == [1, 1, 0]
    assert found.weights[0].tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,partner\nr0,r9\n", "line 2: no item 'r9'"),
        ("id,other\nr0,r1\n", "no columns 'id' and 'partner'"),
        ("id,partner,weight\nr0,r1,-2\n", "weight of '-2'"),
        ("id,partner,weight\nr0,r1,much\n", "weight of 'much'"),
        ("", "no columns"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_pairs_that_cannot_be_meant(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=told):
        ListedPartners(file=str(path)).find(model(), corpus(["a dog", "fog"], ["p", "q"]), np.arange(2))
