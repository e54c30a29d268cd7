"""The small CLIP that is pretrained here: what it never sees, how it reads words it never met, and that it learns."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from lookhear.data.picturebook.plan import plan
from lookhear.data.picturebook.words import written_names
from lookhear.data.schema import SCHEMA
from lookhear.models.teacher import ClipTeacher
from lookhear.recipe import Optimisation

pytest.importorskip("transformers", reason="needs the 'text' extra")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import pretrain_clip as script

SMALL = ["--scenes", "300", "--held", "20", "--batch-size", "8", "--width", "32", "--layers", "1", "--text-layers", "1"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_no_page_shows_or_names_what_is_left_out_nor_what_is_tested() -> None:
    chosen = script.pages(400, 7)
    assert 50 < len(chosen) < 200
    names = {n for thing in script.LEFT_OUT for n in written_names()[thing]}
    for page in chosen:
        assert script.LEFT_OUT.isdisjoint(p.thing for p in page.scene.things)
        assert names.isdisjoint(w for s in page.said for w in s.text.split())
    corpus = script.written(chosen, 10)
    texts = [t for t in corpus.column("text") if t]
    assert len(texts) == 5 * 10 + 10 * (len(chosen) - 10)
    assert names.isdisjoint(w for t in texts for w in t.split())
    tested = plan({"test": 500, "open": 200, "val": 150}, 0)
    assert {script.content(t.scene) for t in tested}.isdisjoint(script.content(p.scene) for p in chosen)
    shown = {p.thing for page in chosen for p in page.scene.things}
    assert len(shown) > 25


def test_words_it_never_met_are_read_in_pieces_and_every_text_ends_where_it_ends(tmp_path: Path) -> None:
    words = script.tokenizer(["a dog on the beach", "a red boat and a dog"] * 5, 300)
    ids = words("a giraffe")["input_ids"]
    assert words.unk_token_id not in ids
    assert (ids[0], ids[-1]) == (words.bos_token_id, words.eos_token_id)
    assert words.decode(ids, skip_special_tokens=True).strip() == "a giraffe"
    assert len(words.tokenize("dog")) == 1
    torch.manual_seed(0)
    script.untrained(tmp_path / "clip", words, 32, 1, 1)
    text = ClipTeacher(name=str(tmp_path / "clip")).build().text
    short = text.tokenize(["a dog"])
    beside = text.tokenize(["a dog", "a red boat and a dog and a giraffe"])
    with torch.no_grad():  # padding is neither read nor taken for the end
        assert torch.allclose(text(short).pooled[0], text(beside).pooled[0], atol=1e-5)
        assert not torch.allclose(text(beside).pooled[0], text(beside).pooled[1], atol=1e-3)


def test_it_learns_its_pages_and_all_its_weights_change(tmp_path: Path) -> None:
    corpus = script.written(script.pages(150, 7)[:32], 0)
    words = script.tokenizer([t for t in corpus.column("text") if t], 300)
    torch.manual_seed(0)
    script.untrained(tmp_path / "clip", words, 32, 1, 1)
    before = dict(ClipTeacher(name=str(tmp_path / "clip")).build().image.model.named_parameters())
    # Asked for the pages that it learned: that it learns is the question here.
    rows = [*corpus.table.to_pylist(), *({**r, "split": "held"} for r in corpus.table.to_pylist())]
    both = replace(corpus, table=pa.Table.from_pylist(rows, schema=SCHEMA))
    found = script.pretrain(
        tmp_path / "clip", both, Optimisation(epochs=30, batch_size=16, learning_rate=3e-3, weight_decay=0.0)
    )
    assert found["image_to_text"]["R@10"]["value"] > 2 * found["image_to_text"]["R@10"]["chance"]
    after = dict(ClipTeacher(name=str(tmp_path / "clip")).build().image.model.named_parameters())
    unchanged = {k for k in after if torch.equal(after[k], before[k])}
    # The key's bias changes no softmax; position 0 and tokens that no text holds have no gradient.
    assert not {k for k in unchanged if "k_proj.bias" not in k}


def test_the_script_leaves_a_folder_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clip"
    monkeypatch.setattr(sys, "argv", ["pretrain_clip.py", "--out", str(out), "--epochs", "1", *SMALL])
    script.main()
    assert re.search(r"^\d+ pictures, \d+ texts; on 20 others: text → image R@1", capsys.readouterr().out)
    about = json.loads((out / "pretraining.json").read_text())
    assert about["left out"] == sorted(script.LEFT_OUT)
    assert about["texts"] == 10 * about["pictures"]
    teacher = ClipTeacher(name=str(out)).build()
    assert teacher.dim == 32
    assert teacher.image.grid == (8, 8)
    with pytest.raises(SystemExit):  # nothing is overwritten
        script.main()
    assert "already" in capsys.readouterr().err


@pytest.mark.shared
def test_of_digits_it_sees_and_reads_zero_to_four() -> None:
    root = Path(os.environ.get("LOOKHEAR_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "handwritten-digits").is_dir():
        pytest.skip("no data set handwritten-digits (LOOKHEAR_DATA, or ../shared/data)")
    corpus = script.digits(root)
    assert set(corpus.column("digit")) == set(range(5))
    assert {t.split()[-1] for t in corpus.column("text") if t} == {"zero", "one", "two", "three", "four"}
    counts = {s: len(corpus.select(s).pictures) for s in ("train", "held")}
    assert counts == {"train": 4500, "held": 500}
