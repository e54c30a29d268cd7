"""Masked margin softmax against loops; how its margin grows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import mean, one_hot, only, pairs, slow_cross_entropy, slow_rows

from lookhear.objectives.contrastive import InfoNCE
from lookhear.objectives.mms import MaskedMarginSoftmax

GROUPS = st.lists(st.integers(0, 4), min_size=2, max_size=6)


def slow_mms(groups: list[int], more: list[int], margin: float, symmetric: bool) -> float:
    views = pairs(groups, more=more)
    a, b = views["audio"].pooled, views["image"].pooled
    columns = torch.cat([b, views.more("image")[0].pooled]) if more else b  # type: ignore[index]
    sides = [slow_rows(a, groups, columns, [*groups, *more], 2.0), slow_rows(b, groups, a, groups, 2.0)]
    means = []
    for rows in sides:
        for i, row in enumerate(rows):
            row[i] = row[i] - margin  # type: ignore[operator]
        means.append(mean([slow_cross_entropy(row, one_hot(len(row))(i)) for i, row in enumerate(rows)]))
    return mean(means) if symmetric else means[0]


@settings(max_examples=40)
@given(GROUPS, st.lists(st.integers(0, 6), max_size=3), st.sampled_from([0.0, 0.7, 3.0]), st.booleans())
def test_by_hand(groups: list[int], more: list[int], margin: float, symmetric: bool) -> None:
    config = MaskedMarginSoftmax.Config(margin=margin, temperature=0.5, symmetric=symmetric, weight=3.0)
    found = only(MaskedMarginSoftmax(config)(pairs(groups, more=more)), "mms_audio_image")
    assert found == pytest.approx(3 * slow_mms(groups, more, margin, symmetric), abs=1e-4)


def test_without_a_margin_it_is_infonce() -> None:
    views = pairs([0, 1, 1, 2])
    plain = only(InfoNCE(InfoNCE.Config())(views), "infonce_audio_image")
    assert only(MaskedMarginSoftmax(MaskedMarginSoftmax.Config(margin=0))(views), "mms_audio_image") == plain


def test_the_margin_grows_and_goes_on_where_it_was() -> None:
    objective = MaskedMarginSoftmax(MaskedMarginSoftmax.Config())
    margins = []
    for step in range(2001):
        margins.append(objective.margin)
        objective.after_step(torch.nn.Module(), step)
    assert margins[0] == margins[999] == 0.001
    assert margins[1000] == margins[1999] == pytest.approx(0.001 * 1.002)
    assert margins[2000] == pytest.approx(0.001 * 1.002**2)
    fresh = MaskedMarginSoftmax(MaskedMarginSoftmax.Config())
    fresh.load_state_dict(objective.state_dict())
    assert fresh.margin == objective.margin > margins[0]
    fixed = MaskedMarginSoftmax(MaskedMarginSoftmax.Config(growth=1))
    fixed.load_state_dict(objective.state_dict())
    assert fixed.margin == 0.001
