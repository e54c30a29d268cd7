"""What is opened of CLIP and SigLIP: exactly the weights that were asked for, kept with the run and found again."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from lookhear.core import Padded
from lookhear.errors import UserError
from lookhear.models.finetuned import LastBlocks, LockedImage, LoRA
from lookhear.models.model import Model
from lookhear.models.teacher import ClipTeacher, Teacher

pytest.importorskip("peft", reason="needs the 'finetune' extra")

TEXTS = ["a dog", "a picture of the red boat on the sea", "boat"]
READ_OUT = {
    "clip": [r"vision_model\.post_layernorm", r"text_model\.final_layer_norm", r"(visual|text)_projection"],
    "siglip": [r"vision_model\.(post_layernorm|head)", r"text_model\.(final_layer_norm|head)"],
}
"""What stands between the last block and the shared space."""


WAYS = [LastBlocks(blocks=1), LastBlocks(blocks=2), LoRA(rank=3), LockedImage()]
ways = pytest.mark.parametrize("way", WAYS, ids=["last 1", "last 2", "lora", "locked image"])


def build(folder: Path, way: Any = None) -> Teacher:
    return ClipTeacher(name=str(folder), finetune=way).build().eval()


def weights(teacher: Teacher) -> dict[str, torch.Tensor]:
    """Of the transformers model, each once."""
    return dict(teacher.image.model.named_parameters())


def vectors(teacher: Teacher) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(5)
    with torch.no_grad():
        image = teacher.image(Padded(torch.rand(3, 3, 32, 32)))
        text = teacher.text(teacher.text.tokenize(TEXTS))
    return image.pooled, image.local, text.pooled, text.local


def stir(teacher: Teacher) -> Teacher:
    """Changes every weight that asks for a gradient, as training would."""
    torch.manual_seed(6)
    with torch.no_grad():
        for p in teacher.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.3)
    return teacher


def opened(teacher: Teacher) -> set[str]:
    return {k for k, p in weights(teacher).items() if p.requires_grad}


def by_pattern(teacher: Teacher, *patterns: str) -> set[str]:
    return {k for k in weights(teacher) if any(re.match(p, k) for p in patterns)}


@pytest.mark.parametrize("blocks", [1, 2])
def test_last_blocks_and_what_follows_them_are_opened(kind: str, folder: Path, blocks: int) -> None:
    teacher = build(folder, LastBlocks(blocks=blocks))
    which = "1" if blocks == 1 else "[01]"
    wanted = by_pattern(teacher, rf"(text|vision)_model\.encoder\.layers\.{which}\.", *READ_OUT[kind])
    assert opened(teacher) == wanted
    assert len(wanted) < len(weights(teacher))


def test_all_of_the_text_tower_is_opened_towards_a_locked_image_tower(folder: Path) -> None:
    teacher = build(folder, LockedImage())
    before = vectors(teacher)
    assert opened(teacher) == by_pattern(teacher, r"text_")
    after = vectors(stir(teacher))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    assert not torch.allclose(before[2], after[2], atol=1e-2)


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("q_proj",), ("k_proj", "out_proj", "fc1", "fc2")])
def test_lora_adds_rank_times_both_widths_of_every_map(folder: Path, targets: tuple[Any, ...]) -> None:
    plain, rank = build(folder), 3
    adapted = build(folder, LoRA(rank=rank, targets=targets))
    widths = {"fc1": 16 + 32, "fc2": 32 + 16}
    count = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert count == sum(rank * widths.get(t, 16 + 16) for t in targets) * 2 * 2  # blocks, towers
    assert all("lora_" in k for k in opened(adapted))
    was = weights(plain)
    kept = {k.replace("base_layer.", ""): p for k, p in weights(adapted).items() if "lora_" not in k}
    assert kept.keys() == was.keys()
    assert all(torch.equal(kept[k], was[k]) for k in was)


def test_lora_starts_as_the_unchanged_model(folder: Path) -> None:
    assert all(torch.equal(a, b) for a, b in zip(vectors(build(folder)), vectors(build(folder, LoRA(rank=3)))))


def test_lora_is_the_product_of_its_matrices_added_to_the_map(folder: Path) -> None:
    adapted, plain = stir(build(folder, LoRA(rank=3, alpha=6))), build(folder)
    trained, merged = weights(adapted), weights(plain)
    with torch.no_grad():
        for name in [k for k in trained if "lora_A" in k]:
            a, b = trained[name], trained[name.replace("lora_A", "lora_B")]
            merged[name.replace("lora_A.default.", "")].add_(6 / 3 * (b @ a))
    for found, wanted, start in zip(vectors(adapted), vectors(plain), vectors(build(folder))):
        assert torch.allclose(found, wanted, atol=1e-5)
        assert not torch.allclose(found, start, atol=1e-3)


@ways
def test_a_step_changes_what_was_opened_and_nothing_else(folder: Path, way: Any) -> None:
    torch.manual_seed(0)
    teacher = build(folder, way)
    with torch.no_grad():
        for k, p in weights(teacher).items():
            if "lora_B" in k:
                p.normal_()  # while B is zero, A has no gradient
    before = {k: p.detach().clone() for k, p in weights(teacher).items()}
    optimizer = torch.optim.SGD([p for p in teacher.parameters() if p.requires_grad], lr=10.0)
    image = teacher.image(Padded(torch.rand(3, 3, 32, 32)))
    text = teacher.text(teacher.text.tokenize(["a dog", "the red boat", "on sea picture of the red boat on the sea"]))
    (image.pooled @ text.pooled.T)[0, 1].backward()
    optimizer.step()
    moved = {k for k, p in weights(teacher).items() if not torch.equal(p, before[k])}
    assert moved <= opened(teacher)
    assert all("k_proj.bias" in k for k in opened(teacher) - moved)  # a key's bias changes no softmax


@ways
def test_what_was_opened_is_kept_and_the_same_vectors_come_back(folder: Path, tmp_path: Path, way: Any) -> None:
    config = ClipTeacher(name=str(folder), finetune=way)
    teacher = stir(config.build().eval())
    Model(teacher, None).save(tmp_path, {"teacher": config.model_dump(mode="json"), "speech": None})
    kept = load_file(tmp_path / "model.safetensors")
    assert set(kept) == {f"teacher.image.model.{k}" for k in opened(teacher)}
    found = Model.load(tmp_path)
    assert not any(p.requires_grad for p in found.parameters())
    teacher.requires_grad_(False)  # PyTorch's attention rounds otherwise (1e-7) where a weight asks for a gradient
    assert all(torch.equal(a, b) for a, b in zip(vectors(teacher), vectors(found.teacher)))


def test_a_run_that_lacks_what_was_opened_is_refused(clip: Path, tmp_path: Path) -> None:
    config = ClipTeacher(name=str(clip), finetune=LoRA(rank=3))
    Model(config.build(), None).save(tmp_path, {"teacher": config.model_dump(mode="json"), "speech": None})
    kept = load_file(tmp_path / "model.safetensors")
    gone = sorted(kept)[0]
    save_file({k: v for k, v in kept.items() if k != gone}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=re.escape(gone)):
        Model.load(tmp_path)


def test_a_teacher_that_is_not_finetuned_leaves_nothing_in_the_run(folder: Path, tmp_path: Path) -> None:
    config = ClipTeacher(name=str(folder))
    Model(config.build(), None).save(tmp_path, {"teacher": config.model_dump(mode="json"), "speech": None})
    assert load_file(tmp_path / "model.safetensors") == {}


def test_a_model_kept_in_half_precision_is_finetuned_in_full(clip: Path, tmp_path: Path) -> None:
    for file in clip.iterdir():
        if file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes().replace(b'"float32"', b'"float16"'))
    halves = {k: v.half() for k, v in load_file(clip / "model.safetensors").items()}
    save_file(halves, tmp_path / "model.safetensors", metadata={"format": "pt"})
    teacher = build(tmp_path, LastBlocks(blocks=1))
    assert {p.dtype for p in teacher.parameters()} == {torch.float32}


# Bad input -----------------------------------------------------------------------------------------------------------


def test_more_blocks_than_there_are(folder: Path) -> None:
    with pytest.raises(UserError, match=r"blocks = 3, but the vision tower of .* has 2") as e:
        build(folder, LastBlocks(blocks=3))
    assert e.value.fix == "Ask for 2 at most."


def test_without_peft_its_extra_is_named(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "peft" else there(name, *a))
    with pytest.raises(UserError, match="'finetune' extra") as e:
        build(clip, LoRA())
    assert e.value.fix == "pip install 'lookhear[finetune]'."
    build(clip, LastBlocks())  # needs none of it


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "lora", "rank": 0},
        {"mode": "lora", "targets": []},
        {"mode": "lora", "blocks": 1},
        {"mode": "last", "blocks": 0},
    ],
    ids=["rank", "no targets", "blocks of lora", "blocks"],
)
def test_values_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClipTeacher.model_validate({"finetune": values})
