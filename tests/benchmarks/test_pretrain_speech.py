"""The small HuBERT that is pretrained here: frames and their names, what is hidden, and that nothing hidden is seen."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lookhear.models.backbones import load_backbone

pytest.importorskip("transformers", reason="needs the 'text' extra")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import pretrain_speech as script

SMALL = {"width": 32, "layers": 1, "channels": 8}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small() -> Any:
    torch.manual_seed(0)
    return script.untrained(argparse.Namespace(**SMALL))


def tones(seconds: float, *pitches: float) -> torch.Tensor:
    t = torch.arange(round(seconds * 16_000)) / 16_000
    return torch.cat([torch.sin(2 * torch.pi * p * t) for p in pitches]) * 0.3


@settings(max_examples=30)
@given(items=st.integers(1, 5), length=st.integers(1, 60), seed=st.integers(0, 99))
def test_stretches_are_hidden_in_every_item(items: int, length: int, seed: int) -> None:
    mask = script.hidden(items, length, np.random.default_rng(seed))
    assert mask.shape == (items, length)
    for row in mask:
        assert row.any()
        edges = np.flatnonzero(np.diff([0, *row.int().tolist(), 0]))
        for start, end in edges.reshape(-1, 2):
            assert end - start >= script.SPAN or end == length


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=30),
    longest=st.integers(1, 120),
    most=st.floats(0.5, 20),
    seed=st.integers(0, 99),
)
def test_an_epoch_hears_every_recording_as_often_as_it_is_long(
    lengths: list[int], longest: int, most: float, seed: int
) -> None:
    found = list(script.batches(np.array(lengths), longest, most, np.random.default_rng(seed)))
    pieces = [p for batch in found for p in batch]
    for i, n in enumerate(lengths):
        own = [p for p in pieces if p[0] == i]
        assert len(own) == -(-n // longest)
        assert all(start >= 0 and start + count <= n and count <= longest for _, start, count in own)
    for batch in found:
        whole = [min(lengths[i], longest) for i, *_ in batch]
        assert {count for *_, count in batch} == {min(whole)}
        assert len(batch) == 1 or len(batch) * max(whole) * 320 <= most * 16_000


def test_frames_are_those_of_the_convolutions_and_named_by_what_is_heard_there() -> None:
    waves = [tones(0.5, 300, 2500), tones(0.5, 2500, 300), tones(0.123, 300)]
    names = script.names_of(waves, 2, 0)
    model = small()
    assert [len(n) for n in names] == [int(model._get_feat_extract_output_lengths(len(w))) for w in waves]
    # The pitch changes at 0.5 s; frame t sees 20 t to 20 t + 25 ms, and the deltas 40 ms about it.
    for found in names[:2]:
        assert len(set(found[3:20].tolist())) == 1
        assert len(set(found[29:-4].tolist())) == 1
    assert names[0][10] == names[1][40] != names[0][40] == names[1][10]


def test_a_piece_has_the_samples_of_its_frames() -> None:
    wave = torch.arange(5000.0)
    names = torch.arange(script.frames(5000))
    waves, asked = script.cut([(wave, names), (-wave, names + 1)], [(0, 3, 4), (1, 0, 4)])
    assert torch.equal(waves[0], wave[960 : 960 + 3 * 320 + 400])
    assert script.frames(waves.shape[1]) == 4
    assert asked.tolist() == [[3, 4, 5, 6], [1, 2, 3, 4]]


def test_what_is_hidden_is_not_seen_and_what_is_not_is() -> None:
    guess = script.Guess(small(), 5).eval()
    one, other = tones(0.5, 300), tones(0.5, 2500)
    n = script.frames(len(one))
    every, some = torch.ones(1, n, dtype=torch.bool), torch.zeros(1, n, dtype=torch.bool)
    some[0, 5:15] = True
    with torch.no_grad():
        assert torch.allclose(guess(one[None], every, False), guess(other[None], every, False), atol=1e-6)
        assert not torch.allclose(guess(one[None], some, False), guess(other[None], some, False), atol=1e-3)


def test_logits_are_cosines_over_the_temperature_and_neighbours_are_not_heard() -> None:
    guess = script.Guess(small(), 5).eval()
    waves = torch.stack([tones(0.3, 300), tones(0.3, 2500) + 0.1])
    mask = torch.zeros(2, script.frames(waves.shape[1]), dtype=torch.bool)
    mask[0, 2:8] = mask[1, 4:] = True
    with torch.no_grad():
        both, alone = guess(waves, mask, False), guess(waves[1:], mask[1:], False)
        wave = (waves[1:] - waves[1].mean()) / (waves[1].var(correction=0) + 1e-7).sqrt()
        out = guess.model(wave, mask_time_indices=mask[1:]).last_hidden_state[0, 4:]
        by_hand = torch.stack([F.cosine_similarity(guess.project(h), c, dim=0) / 0.1 for h in out for c in guess.codes])
    assert torch.allclose(both[6:], alone, atol=1e-4)
    assert torch.allclose(alone.flatten(), by_hand, atol=1e-4)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A low and a high note in turns: what is hidden can be told from what is about it."""
    folder = tmp_path_factory.mktemp("notes")
    rng, rows = np.random.default_rng(0), []
    for i in range(44):
        notes = (300, 2500) if i % 2 else (2500, 300)
        wave = tones(0.3, *(3 * notes)).numpy() + 0.003 * rng.standard_normal(6 * 4800)
        soundfile.write(folder / f"{i}.wav", wave, 16_000)
        rows.append({"id": str(i), "audio": f"{i}.wav", "split": "train" if i < 40 else "test"})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def test_the_script_leaves_two_folders_that_load_and_it_learns(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, control = tmp_path / "hubert", tmp_path / "random"
    sizes = [x for k, v in SMALL.items() for x in (f"--{k}", str(v))]
    more = ["--epochs", "12", "--clusters", "2", "--seconds", "9", "--learning-rate", "3e-3"]
    argv = ["pretrain_speech.py", str(recordings), "--out", str(out), "--untrained", str(control), *sizes, *more]
    monkeypatch.setattr(sys, "argv", argv)
    script.main()
    assert "40 recordings" in capsys.readouterr().out  # not those of the test split
    log = [json.loads(line) for line in (out / "pretraining.log.jsonl").read_text().splitlines()]
    about = json.loads((out / "pretraining.json").read_text())
    assert len(log) == 12
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert about["accuracy"] == log[-1]["accuracy"] > about["majority"] + 0.2
    trained, random = (load_backbone(str(f), batched=False).model.state_dict() for f in (out, control))
    torch.manual_seed(0)
    fresh = script.untrained(argparse.Namespace(**SMALL)).state_dict()
    assert random.keys() == trained.keys() == fresh.keys()
    assert all(torch.equal(random[k], fresh[k]) for k in fresh)
    assert sum(not torch.equal(random[k], trained[k]) for k in fresh) > len(fresh) / 2
    with pytest.raises(SystemExit):  # nothing is overwritten
        script.main()
    assert "already" in capsys.readouterr().err
