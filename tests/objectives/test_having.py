"""An objective sees the items of a batch that have what it needs, and no others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from lookhear.core import Batch, Features, Padded
from lookhear.errors import UserError
from lookhear.objectives.base import Learner, Views
from lookhear.objectives.contrastive import InfoNCE

IMAGE = torch.tensor([True, False, True, True, False])
TEXT = torch.tensor([False, True, True, False, True])


def batch(present: bool = True) -> Batch:
    g = torch.Generator().manual_seed(0)
    audio, image, text = (F.normalize(torch.randn(5, 4, generator=g), dim=-1) for _ in range(3))
    inputs = {k: Features.of_pooled(v) for k, v in (("audio", audio), ("image", image), ("text", text))}
    more = {"image": (Features.of_pooled(F.normalize(torch.randn(3, 4, generator=g), dim=-1)), torch.arange(7, 10))}
    there = {"image": IMAGE, "text": TEXT} if present else {}
    return Batch(inputs, torch.arange(5), list("abcde"), more, there)


def test_what_is_lacking_is_left_out_of_each_objective() -> None:
    objectives = [InfoNCE.Config(b=b).build() for b in ("image", "text")]
    found = Learner(torch.nn.Module(), list(objectives))(batch())
    for objective, there in zip(objectives, (IMAGE, TEXT)):
        alone = batch(present=False).take(there.nonzero()[:, 0])
        wanted = objective(Views(SimpleNamespace(), alone))
        assert {k: found[k].item() for k in wanted} == pytest.approx({k: v.item() for k, v in wanted.items()})
    assert len(found) == 2


def test_nothing_is_copied_where_all_is_there() -> None:
    views = Views(SimpleNamespace(), batch())
    assert views.having({"audio"}) is views
    assert len(views.having({"audio", "image", "text"}).batch) == 1
    some = views.having({"audio", "text"})
    assert some.batch.ids == ["b", "c", "e"]
    assert some.group.tolist() == [1, 2, 4]


def test_one_item_is_no_contrast() -> None:
    few = Batch(batch().inputs, batch().group, batch().ids, {}, {"image": torch.arange(5) == 2, "text": TEXT})
    found = Learner(torch.nn.Module(), [InfoNCE.Config(b=b).build() for b in ("image", "text")])(few)
    assert list(found) == ["infonce_audio_text"]


def test_a_tower_runs_once_for_the_whole_batch() -> None:
    calls = []

    class Model(torch.nn.Module):
        def audio(self, given: Padded) -> Features:
            calls.append(len(given.values))
            return Features.of_pooled(F.normalize(given.values, dim=-1))

    raw = Batch({**batch().inputs, "audio": Padded(torch.randn(5, 4))}, batch().group, present=batch().present)
    Learner(Model(), [InfoNCE.Config(b=b).build() for b in ("image", "text")])(raw)
    assert calls == [5]


def test_a_batch_with_nothing_to_learn_from_is_passed_over() -> None:
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.ones(2))
    few = Batch(batch().inputs, batch().group, batch().ids, {}, {"image": torch.arange(5) == 2})
    found = Learner(model, [InfoNCE.Config().build()])(few)
    assert {k: v.item() for k, v in found.items()} == {"nothing": 0.0}
    found["nothing"].backward()
    assert not model.weight.grad.any()


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    with pytest.raises(UserError, match=r"data\.pictured and data\.texted work in one process"):
        Views(SimpleNamespace(), batch()).having({"audio", "image"})
