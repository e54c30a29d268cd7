"""Masked codes and matching against loops; which cells are masked; and that the objective is never idle in silence."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from local_views import views
from torch import Tensor

from lookhear.core import Batch, Features
from lookhear.errors import UserError
from lookhear.objectives.base import Views
from lookhear.objectives.dictionary import INACTIVE, Dictionary
from lookhear.scoring import Compatibility

GROUPS = [0, 1, 2, 1, 3]


def material(groups: list[int] = GROUPS) -> Views:
    return views(groups, Compatibility(), patches=[2 + i % 3 for i in range(len(groups))])


def build(**changes: Any) -> Dictionary:
    torch.manual_seed(0)
    dim = material()["audio"].local.shape[2]
    given = {"codes": 6, "heads": 1, "masked": 1.0, "rare": 0.0, **changes}
    return Dictionary.Config(**given).build(SimpleNamespace(dim=dim))


def slow_fused(objective: Dictionary, audio: list[Tensor], image: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """One item alone, no padding: its first token, frames and patches through the Transformer."""
    given = [objective.first, *(v + objective.kinds[0] for v in audio), *(v + objective.kinds[1] for v in image)]
    out = objective.norm(objective.fuse(torch.stack(given)[None]))[0]
    return out[0], out[1 : 1 + len(audio)], out[1 + len(audio) :]


def slow(objective: Dictionary, batch: Views, chosen: dict[str, Tensor], drawn: list[int] | None = None) -> float:
    codes = objective.quantizer.codes
    items, tokens, index = [], {}, {}
    for name in ("audio", "image"):
        f = batch[name]
        unit = [[F.normalize(v, dim=0) for v, m in zip(f.local[i], f.mask[i]) if m] for i in range(len(f))]
        index[name] = [[int((codes - v).square().sum(1).argmin()) for v in row] for row in unit]
        tokens[name] = [[codes[k] for k in row] for row in index[name]]
    for i in range(len(batch.group)):
        hidden = {
            name: [objective.hidden if chosen[name][i, n] else v for n, v in enumerate(tokens[name][i])]
            for name in tokens
        }
        _, audio, image = slow_fused(objective, hidden["audio"], hidden["image"])
        each = []
        for name, fused in (("audio", audio), ("image", image)):
            for n, v in enumerate(fused):
                if chosen[name][i, n]:
                    scores = [float(objective.scale * F.cosine_similarity(v, c, dim=0)) for c in codes]
                    each.append(math.log(sum(map(math.exp, scores))) - scores[index[name][i][n]])
        if each:
            items.append(sum(each) / len(each))
    masked = sum(items) / len(items)
    if objective.match is None:
        return masked
    pairs, group = [], batch.group.tolist()
    for i in range(len(group)):
        others = [j for j in range(len(group)) if group[j] != group[i]]
        near = max(others, key=lambda j: float(batch["audio"].pooled[i] @ batch["image"].pooled[j]))
        other = near if drawn is None else drawn[i]
        assert other in others
        scores = [
            float(objective.match(slow_fused(objective, tokens["audio"][i], tokens["image"][j])[0])) for j in (i, other)
        ]
        pairs.append((math.log1p(math.exp(-scores[0])) + math.log1p(math.exp(scores[1]))) / 2)
    return masked + objective.config.matching * sum(pairs) / len(pairs)


@pytest.mark.parametrize(("matching", "negatives"), [(0.0, "drawn"), (0.7, "drawn"), (0.7, "hard")])
@pytest.mark.parametrize("cells", ["code", "random"])
def test_by_hand(matching: float, negatives: str, cells: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objective, batch = build(matching=matching, negatives=negatives, cells=cells, weight=2.0), material()
    chosen = {}
    choose = Dictionary._choose

    def note(self: Dictionary, index: Tensor, mask: Tensor, name: str, given: Batch) -> Tensor:
        chosen[name] = choose(self, index, mask, name, given)
        return chosen[name]

    other, drawn = Dictionary._other, []

    def draw(self: Dictionary, sides: dict[str, Features], given: Views) -> tuple[Tensor, Tensor]:
        drawn.append(other(self, sides, given))
        return drawn[-1]

    monkeypatch.setattr(Dictionary, "_choose", note)
    monkeypatch.setattr(Dictionary, "_other", draw)
    with torch.no_grad():
        found = float(objective(batch)["dictionary"])
        told = drawn[0][0].tolist() if drawn and negatives == "drawn" else None
        assert found == pytest.approx(2 * slow(objective, batch, chosen, told), abs=1e-4)
    assert objective.told["masked cells"] == sum(int(c.sum()) for c in chosen.values())


def test_all_cells_of_one_code_are_masked_and_no_padding() -> None:
    objective = build()
    index, mask = torch.randint(0, 4, (50, 9)), torch.rand(50, 9) < 0.8
    mask[:, 0] = True
    batch = Batch({}, torch.arange(50))
    cells = objective._choose(index, mask, "audio", batch)
    for i in range(50):
        picked = {int(k) for k in index[i][cells[i]]}
        assert len(picked) == 1
        assert cells[i].tolist() == [bool(m and int(k) in picked) for k, m in zip(index[i], mask[i])]
    random = build(cells="random")._choose(index, mask, "audio", batch)
    assert not (random & ~mask).any()
    assert not build(mask="image")._choose(index, mask, "audio", batch).any()


def test_every_code_of_an_item_is_equally_likely() -> None:
    index = torch.tensor([[0, 0, 0, 0, 0, 1]]).expand(4000, -1)
    batch = Batch({}, torch.arange(4000))
    cells = build()._choose(index, torch.ones_like(index, dtype=torch.bool), "image", batch)
    assert 0.45 < float(cells[:, 5].float().mean()) < 0.55


def test_drawn_pictures_are_those_of_others_each_once_and_depend_on_no_order() -> None:
    objective = build()

    def other(ids: list[str]) -> dict[str, str]:
        torch.manual_seed(3)
        batch = Batch(material().batch.inputs, torch.tensor([int(name) for name in ids]), ids)
        chosen, apart = objective._other({}, Views(material().model, batch))
        assert apart.tolist() == [1.0] * len(ids)
        return {name: ids[j] for name, j in zip(ids, chosen.tolist(), strict=True)}

    ids = ["0", "1", "2", "3", "4"]
    told = other(ids)
    assert sorted(told.values()) == ids
    assert all(a != b for a, b in told.items())
    assert other(ids[::-1]) == told


def test_one_group_alone_has_no_negatives() -> None:
    _, apart = build()._other({}, material([1, 1, 1]))
    assert apart.tolist() == [0.0, 0.0, 0.0]


def test_a_copied_code_moves_nothing_and_the_rest_learns() -> None:
    objective, given = build(), material()
    local = given["audio"].local.clone().requires_grad_()
    audio = Features(given["audio"].pooled, local, given["audio"].mask, 0.04)
    batch = Views(given.model, Batch({"audio": audio, "image": given["image"]}, given.group))
    objective(batch)["dictionary"].backward()
    assert local.grad is not None
    assert float(local.grad.abs().max()) > 0
    assert float(local.grad[~given["audio"].mask].abs().max()) == 0
    assert not objective.quantizer.codes.requires_grad


def test_codes_follow_after_the_step_only() -> None:
    objective, batch = build(decay=0.5).train(), material()
    objective(batch)
    before = objective.quantizer.codes.clone()
    objective(batch)
    assert torch.equal(before, objective.quantizer.codes)
    objective.after_step(torch.nn.Module(), 0)
    assert torch.isfinite(objective.quantizer.codes).all()
    assert float(objective.quantizer.count.sum()) > 0


def test_more_codes_than_cells_and_a_share_that_masks_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="99 codes for"):
        build(codes=99)(material())
    batch = material().batch
    with pytest.raises(UserError, match="masks nothing in most steps"):
        build(masked=0.1).ready(batch, 50)
    whole = {**batch.inputs, "image": Features.of_pooled(material()["image"].pooled)}
    with pytest.raises(UserError, match="needs the patches"):
        build().ready(Batch(whole, batch.group), 50)
    with pytest.raises(UserError, match="do not split into 7 heads"):
        build(heads=7)


def test_masked_modelling_that_is_inactive_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, batch = build().train(), material()
    monkeypatch.setattr(Dictionary, "_choose", lambda self, index, mask, name, batch: torch.zeros_like(mask))
    for _ in range(INACTIVE - 1):
        objective(batch)
    with pytest.raises(UserError, match="inactive"):
        objective(batch)
