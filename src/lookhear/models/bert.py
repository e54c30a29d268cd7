"""BERT by torch alone: what a folder of ``save_pretrained`` holds, run without transformers.

Importing transformers' BERT takes longer than all else that answers a written query. The operations here are the same
in the same order, so the numbers are, too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, empty, nn

from lookhear.errors import UserError

__all__ = ["Bert", "is_bert"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_FIX = "Give a folder that save_pretrained wrote, whole."


class _Config(BaseModel):
    """What ``config.json`` says of the sizes, with BERT's own defaults; the rest of it is for training."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    vocab_size: int = Field(30522, ge=1)
    hidden_size: int = Field(768, ge=1)
    num_hidden_layers: int = Field(12, ge=0)
    num_attention_heads: int = Field(12, ge=1)
    intermediate_size: int = Field(3072, ge=1)
    max_position_embeddings: int = Field(512, ge=1)
    type_vocab_size: int = Field(2, ge=1)
    layer_norm_eps: float = Field(1e-12, ge=0)


def is_bert(folder: Path) -> bool:
    """Whether a folder holds a BERT that ``Bert`` runs: one file of safetensors, and a ``config.json`` that says
    ``model_type`` "bert", absolute positions, GELU, an encoder (no decoder), not quantised.

    Raises:
        UserError: ``config.json`` is damaged.
    """
    if not ((folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()):
        return False
    told = _told(folder)
    return (
        told.get("model_type") == "bert"
        and told.get("position_embedding_type", "absolute") == "absolute"
        and told.get("hidden_act", "gelu") == "gelu"
        and not any(told.get(key) for key in ("is_decoder", "add_cross_attention", "quantization_config"))
    )


class Bert(nn.Module):
    """The encoder of Devlin et al., 2019, "BERT: Pre-training of Deep Bidirectional Transformers", frozen.

    Attributes:
        dim: E, numbers of a token's vector.
        positions: tokens that a text may have at most.
    """

    def __init__(self, config: _Config) -> None:
        super().__init__()
        self.dim, self.positions = config.hidden_size, config.max_position_embeddings
        self.embeddings = _Embeddings(config)
        self.encoder: Any = _named(layer=nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers)))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, W) ids and (B, W) bool, true at tokens → (B, W, E) last hidden states; meaningless at padding."""
        h, keys = self.embeddings(ids), mask[:, None, None, :]
        for layer in self.encoder["layer"]:
            h = layer(h, keys)
        return h  # type: ignore[no-any-return]

    @staticmethod
    def load(folder: Path) -> Bert:
        """The encoder of a folder, in single precision.

        Raises:
            UserError: a damaged file, sizes that cannot be, or weights that are not there or of another shape.
        """
        try:
            config = _Config.model_validate(_told(folder))
        except ValidationError as e:
            wrong = e.errors()[0]
            raise UserError(f"{folder / CONFIG}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", _FIX) from None
        if config.hidden_size % config.num_attention_heads:
            heads = f"{config.num_attention_heads} heads"
            raise UserError(f"{folder / CONFIG}: hidden_size {config.hidden_size} is not for {heads}", _FIX)
        model = Bert(config)
        found = _weights(folder / WEIGHTS)
        for name, expected in model.state_dict().items():
            if name not in found:
                raise UserError(f"{folder / WEIGHTS}: no weight {name!r}", _FIX)
            if found[name].shape != expected.shape:
                shapes = f"{tuple(found[name].shape)}, and {CONFIG} says {tuple(expected.shape)}"
                raise UserError(f"{folder / WEIGHTS}: {name!r} is {shapes}", _FIX)
        model.load_state_dict({name: found[name].float() for name in model.state_dict()}, assign=True)
        return model.eval().requires_grad_(False)


# Modules are named as the weights in the file are. All are made without memory ("meta"), since they are loaded at once.


class _Embeddings(nn.Module):
    def __init__(self, config: _Config) -> None:
        super().__init__()
        self.word_embeddings = _table(config.vocab_size, config.hidden_size)
        self.position_embeddings = _table(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = _table(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = _norm(config)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]  # a text alone is all of the first type
        return self.LayerNorm(x + self.position_embeddings.weight[: ids.shape[1]])  # type: ignore[no-any-return]


class _Layer(nn.Module):
    """Self-attention and two linear maps, each added to its input and then normalised."""

    def __init__(self, config: _Config) -> None:
        super().__init__()
        dim, inner, self.heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
        own = _named(query=_linear(dim, dim), key=_linear(dim, dim), value=_linear(dim, dim))
        self.attention: Any = nn.ModuleDict({"self": own, "output": _output(dim, config)})
        self.intermediate = _named(dense=_linear(dim, inner))
        self.output = _output(inner, config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, W, E) and a (B, 1, 1, W) bool mask of keys → (B, W, E)."""
        own, after = self.attention["self"], self.attention["output"]
        q, k, v = (own[n](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for n in ("query", "key", "value"))
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        x = after["LayerNorm"](after["dense"](heard) + x)
        inner = self.output["dense"](F.gelu(self.intermediate["dense"](x)))
        return self.output["LayerNorm"](inner + x)  # type: ignore[no-any-return]


def _named(**modules: nn.Module) -> Any:
    return nn.ModuleDict(modules)


def _output(width: int, config: _Config) -> Any:
    return _named(dense=_linear(width, config.hidden_size), LayerNorm=_norm(config))


def _linear(width: int, dim: int) -> nn.Linear:
    return nn.Linear(width, dim, device="meta")


def _norm(config: _Config) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, config.layer_norm_eps, device="meta")


def _table(rows: int, dim: int) -> nn.Embedding:
    # nn.Embedding(…, device="meta") would draw numbers there, which imports torch's compiler: a second.
    return nn.Embedding.from_pretrained(empty(rows, dim, device="meta"))  # type: ignore[no-any-return, no-untyped-call]


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise UserError(f"{folder / CONFIG}: damaged ({str(e).splitlines()[0]})", _FIX) from None
    if not isinstance(told, dict):
        raise UserError(f"{folder / CONFIG}: no table of settings", _FIX)
    return told


def _weights(path: Path) -> dict[str, Tensor]:
    """A file's weights under the encoder's own names: models with a head say "bert." before them, and the first ones
    called the numbers of a norm gamma and beta."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as e:
        raise UserError(f"{path}: damaged ({(str(e) or type(e).__name__).splitlines()[0]})", _FIX) from None
    older = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    named = {}
    for name, weight in found.items():
        name = name.removeprefix("bert.")
        for old, new in older.items():
            name = name.replace(old, new)
        named[name] = weight
    return named
