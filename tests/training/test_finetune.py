"""Finetuning CLIP and SigLIP on captions: what changes, what is kept, exact resume, and the bridge by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.metrics import average_precision_score

from lookhear.core import Padded
from lookhear.data.read import open_corpus
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.models.finetuned import LastBlocks, LockedImage, LoRA
from lookhear.models.model import Model
from lookhear.models.speech import LocalTower
from lookhear.models.teacher import ClipTeacher, Teacher
from lookhear.objectives.contrastive import InfoNCE
from lookhear.recipe import Data, Optimisation, Recipe
from lookhear.training import fit as loop
from lookhear.training import train as runs
from lookhear.training.bridge import bridge, captioned, told
from lookhear.training.finetune import CaptionBatches, finetune
from lookhear.training.pictures import look, picture_tensor
from lookhear.wording import content_words, tokens

transformers = pytest.importorskip("transformers", reason="needs the 'text' extra")
pytest.importorskip("peft", reason="needs the 'finetune' extra")

SPLITS, HELD = ("teacher",), ("test", "val")
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
STEPS: dict[str, Any] = {"epochs": 2, "batch_size": 8, "words": 12}
WAYS = {
    "last": LastBlocks(blocks=1, learning_rate=3e-3, **STEPS),
    "lora": LoRA(rank=2, learning_rate=3e-3, **STEPS),
    "locked_image": LockedImage(learning_rate=3e-3, **STEPS),
}


@pytest.fixture(scope="module")
def book(tiny_book: Path) -> Corpus:
    return open_corpus(tiny_book)


@pytest.fixture(scope="module")
def names(book: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Tiny random models in the real format, whose tokenizer knows the book's words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = sorted({w for t in book.column("text") if t for w in tokens(t)})
    vocabulary = {w: i for i, w in enumerate(["<pad>", "<s>", "</s>", "<unk>", *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    text = {**TOWER, **special, "vocab_size": len(vocabulary), "max_position_embeddings": 24}
    vision = {**TOWER, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    clip = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    siglip = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    square = {"height": 32, "width": 32}
    folder = tmp_path_factory.mktemp("models")
    for model, name, processor in (
        (clip, "clip", transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square)),
        (siglip, "siglip", transformers.SiglipImageProcessor(size=square)),
    ):
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim > 1:  # as transformers fills them, narrow towers of so few blocks see all pictures alike
                    p.normal_(std=p[0].numel() ** -0.5)
        for part in (model.eval(), tokenizer, processor):
            part.save_pretrained(folder / name)
    return {name: str(folder / name) for name in ("clip", "siglip")}


@pytest.fixture(params=["clip", "siglip"])
def name(request: pytest.FixtureRequest, names: dict[str, str]) -> str:
    return names[request.param]


def tuned(name: str, way: Any, book: Corpus, folder: Path, **change: Any) -> Teacher:
    folder.mkdir(exist_ok=True)
    more = {"seed": 0, "folder": folder, "progress": False, **change}
    return finetune(ClipTeacher(name=name, finetune=way), book, SPLITS, HELD, **more)[0]


class Lesson(NamedTuple):
    teacher: Teacher
    folder: Path


@pytest.fixture(scope="module")
def lesson(book: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Lesson]:
    """``lesson(name, mode)``: a model finetuned in that way, once for all tests."""

    @cache
    def given(name: str, mode: str) -> Lesson:
        folder = tmp_path_factory.mktemp(mode)
        return Lesson(tuned(name, WAYS[mode], book, folder), folder)

    return given


def weights(teacher: Teacher) -> dict[str, torch.Tensor]:
    return dict(teacher.image.model.named_parameters())


def same(a: Teacher, b: Teacher) -> bool:
    return all(torch.equal(x, weights(b)[k]) for k, x in weights(a).items())


# The lesson ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", WAYS)
def test_training_changes_what_was_opened_and_nothing_else(name: str, mode: str, lesson: Any) -> None:
    torch.manual_seed(0)
    start = ClipTeacher(name=name, finetune=WAYS[mode]).build()
    teacher = lesson(name, mode).teacher
    opened = {k for k, p in weights(start).items() if p.requires_grad}
    changed = {k for k, p in weights(teacher).items() if not torch.equal(p, weights(start)[k])}
    assert changed == opened
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.training


def test_a_locked_image_tower_says_the_same_to_the_bit(name: str, book: Corpus, lesson: Any) -> None:
    before, after = ClipTeacher(name=name).build().eval(), lesson(name, "locked_image").teacher
    x = Padded(picture_tensor(book, book.pictures, before.image).float() / 255)
    with torch.no_grad():
        was, now = before.image(x), after.image(x)
        words = [t.text(t.text.tokenize(["a pig"])).pooled for t in (before, after)]
    assert torch.equal(was.pooled, now.pooled)
    assert torch.equal(was.local, now.local)
    assert not torch.allclose(*words, atol=1e-3)


@pytest.mark.parametrize("mode", WAYS)
def test_it_learns_its_captions(names: dict[str, str], mode: str, book: Corpus, tmp_path: Path) -> None:
    way = WAYS[mode].model_copy(update={"epochs": 18, "learning_rate": 1e-2})
    tuned(names["clip"], way, book.select("teacher"), tmp_path)
    told = [json.loads(line)["loss"] for line in (tmp_path / "teacher.log.jsonl").read_text().splitlines()]
    assert np.mean(told[-5:]) < 0.96 * math.log(8)  # what a batch of 8 costs who knows nothing


@pytest.mark.parametrize(("mode", "step"), [("last", 3), ("lora", 0), ("lora", 3), ("locked_image", 4)])
def test_a_stopped_lesson_goes_on_to_the_same_weights(
    names: dict[str, str],
    mode: str,
    step: int,
    book: Corpus,
    lesson: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, folder = lesson(names["clip"], mode)
    take = loop._Loop.step

    def stopping(self: Any, number: int) -> dict[str, float]:
        if number == step:
            self.inside = False  # as if Ctrl-C had come at the end of the step before
            raise KeyboardInterrupt
        return take(self, number)

    with monkeypatch.context() as m:
        m.setattr(loop._Loop, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            tuned(names["clip"], WAYS[mode], book, tmp_path / "part")
    kept = torch.load(tmp_path / "part" / "teacher.checkpoint", weights_only=True)
    assert kept["progress"]["step"] == step
    torch.rand(7)  # whatever else drew random numbers in between
    assert same(tuned(names["clip"], WAYS[mode], book, tmp_path / "part"), whole)
    bridges = [json.loads((f / "bridge.json").read_text()) for f in (folder, tmp_path / "part")]
    assert bridges[0] == bridges[1]


@pytest.mark.parametrize("mode", WAYS)
def test_checkpoints_hold_only_what_changes(name: str, mode: str, lesson: Any) -> None:
    teacher, folder = lesson(name, mode)
    state = torch.load(folder / "teacher.checkpoint", weights_only=True)["learner"]
    wanted = {f"model.{k}" for k in Model(teacher, None).state_to_save()}
    assert set(state) == wanted | {"objectives.0.logit_scale"}


@pytest.mark.parametrize("own", [100.0, 14.3])
def test_the_temperature_is_learned_from_the_model_s_own(
    names: dict[str, str], own: float, book: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CLIP was published at the ceiling of its own temperature, where no gradient would come through ours."""
    scales = []
    forward, build = InfoNCE.forward, ClipTeacher.build

    def noting(self: InfoNCE, views: Any) -> Any:
        scales.append(math.exp(float(self.logit_scale.detach())))
        return forward(self, views)

    def at(self: ClipTeacher) -> Teacher:
        teacher = build(self)
        teacher.text.model.logit_scale.fill_(math.log(own))
        return teacher

    monkeypatch.setattr(InfoNCE, "forward", noting)
    monkeypatch.setattr(ClipTeacher, "build", at)
    tuned(names["clip"], WAYS["locked_image"], book, tmp_path)
    assert scales[0] == pytest.approx(own, rel=1e-5)
    assert scales[-1] != pytest.approx(own, rel=1e-3)


# Batches -------------------------------------------------------------------------------------------------------------


def batches(n: int = 10, size: int = 4) -> CaptionBatches:
    """Picture i (groups 0 0 1 1 2 2 …; the last group has no text) and three texts "g0 t0", "g0 t1", … a group."""
    groups = np.arange(n) // 2
    text_groups = np.repeat(np.arange(groups[-1]), 3)
    return CaptionBatches(
        lambda rows: Padded(torch.from_numpy(rows)[:, None].float()),
        groups,
        lambda texts: Padded(torch.tensor([[int(w[1:]) for w in t.split()] for t in texts])),
        [f"g{g} t{i % 3}" for i, g in enumerate(text_groups)],
        text_groups,
        size,
        seed=3,
    )


def test_a_batch_is_the_same_whenever_it_is_asked_for_and_pairs_only_within_a_group() -> None:
    source = batches()
    assert source.steps_per_epoch == 2
    seen, drawn = [], set()
    for epoch in range(12):
        for index in (0, 1):
            batch, again = source.batch(epoch, index), batches().batch(epoch, index)
            assert torch.equal(batch.inputs["text"].values, again.inputs["text"].values)
            assert torch.equal(batch.inputs["image"].values, again.inputs["image"].values)
            picture = batch.inputs["image"].values[:, 0].long()
            assert torch.equal(batch.group, picture // 2)
            assert torch.equal(batch.inputs["text"].values[:, 0], batch.group)
            seen += picture.tolist()
            drawn |= {tuple(t) for t in batch.inputs["text"].values.tolist()}
    assert sorted(seen) == sorted([*range(8)] * 12)  # each once an epoch, without the two that nothing is said of
    assert len(drawn) == 12


def test_processes_share_a_batch() -> None:
    source = batches()
    whole, parts = source.batch(1, 0), [source.batch(1, 0, rank, 2) for rank in (0, 1)]
    for side in ("image", "text"):
        for rank, part in enumerate(parts):
            assert torch.equal(part.inputs[side].values, whole.inputs[side].values[rank::2])


# The bridge ----------------------------------------------------------------------------------------------------------


def recall(scores: np.ndarray, query_groups: np.ndarray, groups: np.ndarray, k: int) -> float:
    hits = 0
    for row, group in zip(scores, query_groups):
        first = sorted(range(len(row)), key=lambda j: -row[j])[:k]
        hits += any(groups[j] == group for j in first)
    return hits / len(scores)


def test_the_bridge_is_recall_and_precision_by_hand(name: str, book: Corpus) -> None:
    model, held = Model(ClipTeacher(name=name).build().eval(), None), captioned(book, HELD)
    found = bridge(model, held, words=12)
    texts = [held.column("text")[i] for i in held.texts]
    pictures = look(model, held, held.pictures)[0].numpy()
    written = np.concatenate([model.embed_texts([t]).pooled.numpy() for t in texts])
    scores, shown, said = pictures @ written.T, held.groups[held.pictures], held.groups[held.texts]
    for k in (1, 5, 10):
        assert found["image_to_text"][f"R@{k}"]["value"] == pytest.approx(recall(scores, shown, said, k))
        assert found["text_to_image"][f"R@{k}"]["value"] == pytest.approx(recall(scores.T, said, shown, k))
    assert found["text_to_image"]["queries"] == len(texts) == 12
    spotting, each = found["spotting"], []
    for word, row in spotting["per_word"].items():
        assert any(word in content_words(t) for t in texts)
        true = [any(word in tokens(t) for t, g in zip(texts, said) if g == group) for group in shown]
        each.append(average_precision_score(true, pictures @ model.embed_texts([word]).pooled.numpy()[0]))
        assert row == {"AP": pytest.approx(each[-1], abs=1e-6), "positives": sum(true)}
    assert spotting["words"] == len(each) == 12
    assert spotting["mAP"]["value"] == pytest.approx(np.mean(each), abs=1e-6)


def test_only_pictures_and_their_texts_cross_the_bridge(book: Corpus) -> None:
    held = captioned(book, HELD)
    assert not len(held.recordings)
    assert len(held.pictures) == 6
    assert set(held.column("split")) == set(HELD)
    rows = [r for r in range(len(book)) if book.column("split")[r] == "test"]
    silenced = [r for r in rows if book.groups[r] == book.groups[rows[0]] and book.column("text")[r] is not None]
    left = captioned(book.take([r for r in rows if r not in silenced]), ("test",))
    assert len(left.pictures) == 3
    assert not len(captioned(book, ("open",)))


def test_the_bridge_is_told_before_and_after_and_left_in_the_folder(
    names: dict[str, str], book: Corpus, tmp_path: Path
) -> None:
    lines: list[str] = []
    teacher = tuned(names["clip"], WAYS["last"], book, tmp_path, say=lines.append)
    left = json.loads((tmp_path / "bridge.json").read_text())
    held = captioned(book, HELD)
    assert (left["splits"], left["pictures"], left["texts"]) == (list(HELD), 6, 12)
    assert left["before"] == bridge(Model(ClipTeacher(name=names["clip"]).build().eval(), None), held, 12)
    assert left["after"] == bridge(Model(teacher, None), held, 12)
    assert left["before"] != left["after"]
    assert lines == [f"bridge before: {told(left['before'])}", f"bridge after: {told(left['after'])}"]
    for part in ("text → image R@1 0.", "image → text R@1 0.", "words over pictures mAP 0."):
        assert part in lines[0]


def test_without_held_out_captions_the_bridge_is_said_to_be_unmeasured(
    names: dict[str, str], book: Corpus, tmp_path: Path
) -> None:
    lines: list[str] = []
    tuned(names["clip"], WAYS["locked_image"], book.select("teacher"), tmp_path, say=lines.append)
    assert lines == ["bridge: no pictures with texts in test, val, so it is not measured"]
    assert not (tmp_path / "bridge.json").exists()


# In a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", WAYS)
def test_a_run_keeps_its_finetuned_teacher(
    names: dict[str, str], mode: str, tiny_book: Path, lesson: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(
        data=Data(teacher=SPLITS, validation=HELD), teacher=ClipTeacher(name=names["clip"], finetune=WAYS[mode])
    )
    lines: list[str] = []
    teacher = runs.train_teacher(recipe, tiny_book, tmp_path / "run", progress=False, say=lines.append)
    assert lines[0] == f"teacher: finetuning {names['clip']}"
    assert (tmp_path / "run" / "bridge.json").is_file()
    assert not (tmp_path / "run" / "teacher.checkpoint").exists()
    assert same(teacher, lesson(names["clip"], mode).teacher)
    monkeypatch.delattr(loop._Loop, "step")  # nothing is trained again
    assert same(runs.train_teacher(recipe, tiny_book, tmp_path / "run", progress=False), teacher)
    other = Recipe(data=Data(teacher=SPLITS), teacher_run=str(tmp_path / "run" / "teacher"))
    assert same(runs.train_teacher(other, tiny_book, tmp_path / "other", progress=False), teacher)
    found = Model.load(tmp_path / "run" / "teacher")
    assert torch.equal(found.embed_texts(["a pig"]).pooled, Model(teacher, None).embed_texts(["a pig"]).pooled)


def test_speech_is_trained_and_loaded_with_its_finetuned_teacher(
    names: dict[str, str], tiny_book: Path, tmp_path: Path
) -> None:
    recipe = Recipe(
        data=Data(teacher=SPLITS, validation=()),
        teacher=ClipTeacher(name=names["siglip"], finetune=WAYS["lora"]),
        speech=LocalTower.Config(width=8, dilations=(1,)),
        training=Optimisation(epochs=1, batch_size=8),
    )
    run = runs.train(recipe, tiny_book, tmp_path / "run", progress=False)
    lesson = Model.load(tmp_path / "run" / "teacher")
    assert same(run.model.teacher, lesson.teacher)
    assert run.model.audio is not None
    assert torch.equal(run.model.embed_texts(["a pig"]).pooled, lesson.embed_texts(["a pig"]).pooled)


# Bad input -----------------------------------------------------------------------------------------------------------


def test_no_captions(names: dict[str, str], book: Corpus, tmp_path: Path) -> None:
    at = book.table.schema.get_field_index("text")
    silent = Corpus(book.table.set_column(at, "text", pa.nulls(len(book), pa.string())), book.root, "silent", book.meta)
    with pytest.raises(UserError, match="silent: no pictures with texts in teacher") as e:
        tuned(names["clip"], WAYS["lora"], silent, tmp_path)
    assert e.value.fix == "Set data.teacher."


def test_fewer_pictures_than_a_batch(names: dict[str, str], book: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="24 pictures with texts, fewer than a batch of 25") as e:
        tuned(names["clip"], WAYS["lora"].model_copy(update={"batch_size": 25}), book, tmp_path)
    assert "teacher.finetune.batch_size" in e.value.fix


def test_a_text_that_cannot_be_read_is_named_before_the_first_step(
    names: dict[str, str], book: Corpus, tmp_path: Path
) -> None:
    at = book.table.schema.get_field_index("text")
    texts = [t and (t if i else "котка") for i, t in enumerate(book.column("text"))]
    texts[book.texts[0]] = "котка"
    odd = Corpus(book.table.set_column(at, "text", pa.array(texts, pa.string())), book.root, "odd", book.meta)
    splits = (book.column("split")[book.texts[0]],)
    with pytest.raises(UserError, match="котка"):
        finetune(ClipTeacher(name=names["clip"], finetune=WAYS["lora"]), odd, splits, (), seed=0, folder=tmp_path)
    assert not list(tmp_path.iterdir())
