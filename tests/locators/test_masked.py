"""Windows kept or silenced: by loops, where the word is known to be, at the ends, and that nothing is overwritten."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from listeners import STEP, Heard, Toy, asked, noise, some_words, spoken
from pydantic import ValidationError

from lookhear.core import RATE, Features
from lookhear.errors import UserError
from lookhear.locators import Asked, MaskedIn, MaskedOut
from lookhear.models.heads import TagHead

KINDS = [MaskedIn, MaskedOut]


def slow(by, model, wave, words: Asked) -> list[list[float]]:
    """One window at a time, about every frame; a frame's score is the best of its windows."""
    whole = model.embed_audio([wave])
    frames, rows = int(whole.mask[0].sum()), []
    for n in range(frames):
        middle, best = (n + 0.5) * STEP, [-float("inf")] * len(words.names)
        for length in np.linspace(by.shortest, by.longest, by.lengths):
            start = max(0, round((middle - length / 2) * RATE))
            start = min(start, len(wave) - round(length / 2 * RATE))
            stop = min(len(wave), round((middle + length / 2) * RATE))
            if by.kind == "masked_in":
                given = wave[start:stop]
                scores = model.compatibility.pooled(model.embed_audio([given]), words.vectors)[0]
            else:
                given = np.concatenate([wave[:start], np.zeros(stop - start, np.float32), wave[stop:]])
                before = model.compatibility.pooled(whole, words.vectors)[0]
                scores = before - model.compatibility.pooled(model.embed_audio([given]), words.vectors)[0]
            best = [max(b, float(s)) for b, s in zip(best, scores)]
        rows.append(best)
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [Toy(), Toy("attention"), Heard()], ids=["toy", "toy attention", "tower"])
def test_by_hand(kind, model) -> None:
    waves = [spoken(20, (0, 3, 6), (1, 12, 15)), spoken(14, (1, 0, 2))]
    if isinstance(model, Heard):
        waves = [noise(0.85, 0), noise(0.62, 1)]
    words = some_words(2) if isinstance(model, Heard) else asked(0, 1)
    features = model.embed_audio(waves)
    by = kind(shortest=0.2, longest=0.4, lengths=2, hop=STEP)
    found = by.curves(model, lambda: waves, features, words)
    for b, wave in enumerate(waves):
        n = int(features.mask[b].sum())
        assert np.allclose(found[b, :n], slow(by, model, wave, words), atol=1e-5)
        assert torch.isinf(found[b, n:]).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), st.booleans(), st.sampled_from([0.03, 0.04, 0.1]))
def test_the_word_is_found_where_it_is(kind, before: int, between: int, after: int, swap: bool, hop: float) -> None:
    """Two words of seven frames each, also at the ends and beside each other, and windows shorter than they are."""
    model, places = Toy(), [before, before + 7 + between]
    first, second = reversed(places) if swap else places
    wave = spoken(places[1] + 7 + after, (0, first, first + 7), (1, second, second + 7))
    by = kind(hop=hop, lengths=1)
    found = by.curves(model, lambda: [wave], model.embed_audio([wave]), asked(0, 1))[0].argmax(0).tolist()
    assert first <= found[0] < first + 7
    assert second <= found[1] < second + 7


@pytest.mark.parametrize("kind", KINDS)
def test_the_recording_is_as_it_was_and_each_window_is_masked_alone(kind) -> None:
    """Published code silenced window after window in one buffer, so that later ones met what was masked before."""
    model, wave = Toy(), spoken(20, (0, 3, 6), (1, 12, 15))
    before = wave.copy()
    by = kind(hop=STEP, lengths=1, shortest=0.2)
    given = list(by._windows(wave, [0.1, 0.5]))
    assert np.array_equal(wave, before)
    assert not any(np.shares_memory(g, wave) for g in given) or kind is MaskedIn
    if kind is MaskedOut:
        assert given[1][:3200].any() == before[:3200].any()
        assert [len(g) for g in given] == [len(wave)] * 2
    by.curves(model, lambda: [wave], model.embed_audio([wave]), asked(0))
    assert np.array_equal(wave, before)


def test_windows_are_laid_about_every_hop_and_joined_between() -> None:
    model, wave = Toy(), spoken(21, (0, 8, 12))
    features = model.embed_audio([wave])
    every = MaskedIn(hop=STEP, lengths=2).curves(model, lambda: [wave], features, asked(0))[0, :, 0]
    model.heard.clear()
    some = MaskedIn(hop=4 * STEP, lengths=2).curves(model, lambda: [wave], features, asked(0))[0, :, 0]
    assert len(model.heard) == 2 * 6
    assert some[::4].tolist() == pytest.approx(every[::4].tolist())
    assert some[10].item() == pytest.approx((some[8] + some[12]).item() / 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 2, 3])
def test_recordings_shorter_than_a_window(kind, frames: int) -> None:
    model, wave = Heard(), noise(frames * STEP, 0)
    features = model.embed_audio([wave])
    found = kind().curves(model, lambda: [wave], features, some_words(2))
    assert torch.isfinite(found[features.mask]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind) -> None:
    model, words = Heard(), some_words(2)
    short, long = noise(0.5, 1), noise(0.9, 0)
    alone = kind(lengths=2).curves(model, lambda: [short], model.embed_audio([short]), words)
    beside = kind(lengths=2).curves(model, lambda: [long, short], model.embed_audio([long, short]), words)
    assert torch.allclose(beside[1, : alone.shape[1]], alone[0], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tag_head_answers(kind) -> None:
    """The same windows, read by the head: compared with the head's log-odds of each window, one by one."""
    words = some_words(2)
    head = TagHead(TagHead.Config(reading="mean"), 12, ["w1", "other", "w0"]).eval()
    model, wave = Heard(head=head), noise(0.6, 3)
    features = model.embed_audio([wave])
    by = kind(answer="tags", lengths=1, hop=STEP)
    assert by.known(model, ["w0", "w7"]) == [True, False]
    found = by.curves(model, lambda: [wave], features, words)[0]
    windows = list(by._windows(wave, [(n + 0.5) * STEP for n in range(len(found))]))
    tags = torch.cat([model.embed_audio([w]).tags[:, [2, 0]] for w in windows])  # type: ignore[index]
    wanted = tags if kind is MaskedIn else features.tags[:, [2, 0]] - tags  # type: ignore[index]
    assert torch.allclose(found, wanted, atol=1e-5)
    with pytest.raises(UserError, match="no tag head"):
        by.curves(Heard(), lambda: [wave], features, words)


def test_settings_that_make_no_windows() -> None:
    with pytest.raises(ValidationError, match="shorter than shortest"):
        MaskedIn(shortest=0.5, longest=0.3)
    with pytest.raises(ValidationError):
        MaskedOut(hop=0)
    features = Features(torch.ones(1, 2), torch.ones(1, 4, 2), torch.ones(1, 4, dtype=torch.bool), (2, 2))
    with pytest.raises(UserError, match="no frames in time"):
        MaskedIn().curves(Toy(), lambda: [], features, asked(0))
