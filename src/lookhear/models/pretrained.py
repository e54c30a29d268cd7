"""A speech tower over an encoder that was pretrained on speech alone: HuBERT, wav2vec 2.0, WavLM, Whisper."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lookhear.core import RATE, Features, Padded, Section, lengths_to_mask, pool
from lookhear.errors import UserError
from lookhear.models.backbones import Backbone, load_backbone
from lookhear.models.norm import Centre
from lookhear.models.speech import SpeechTower

__all__ = ["PretrainedTower"]

_LAST = re.compile(r"last ([1-9][0-9]*)")


class PretrainedTower(SpeechTower):
    """A pretrained encoder, a learned mix of its layers, and a read-out into the shared space.

    The mix is Σ softmax(w)ₗ × hidden state l (SUPERB: Yang et al., 2021, section 3; SpeechCLIP: Shih et al., 2022,
    section 3.1). A frozen encoder's hidden states are what ``extract`` gives, so that it never runs in a training step,
    and its weights are no part of the run: they are found again by name. Of an encoder that is tuned, ``extract`` gives
    the samples, and the run keeps the weights that were tuned.

    Every recording is heard as if it were alone: frozen, one at a time; tuned, under an attention mask, the
    convolutions of models that normalise over time (``feat_extract_norm = "group"``) one at a time, and Whisper in
    windows of 30 s.

    Attributes:
        mix: (states,) w.
    """

    class Config(Section):
        """Which encoder, how much of it learns, and how its frames become a whole.

        Attributes:
            name: a folder that ``save_pretrained`` wrote, or a hub name.
            layers: hidden states that are mixed, 0 what goes into the first layer; None for all of them. Their number
                decides how much a second of features takes: all of HuBERT base are 1 MB.
            tune: "none"; "last N" Transformer layers; or "all", the convolutions too.
            readout: "mean": a local vector is gate × value as in ``LocalTower``, and the whole points along their sum.
                "cls": SpeechCLIP's parallel branch, a learned vector in front of the frames through one Transformer
                layer with the encoder's heads and MLP, whose output there is the whole. "attention": frames weighted
                by a learned query; a local vector holds its weight, so that the whole points along their sum.
            dropout: of the Transformer layer of "cls".
        """

        log_mel: ClassVar[bool] = False

        kind: Literal["pretrained"] = "pretrained"
        name: str = "facebook/hubert-base-ls960"
        layers: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(None, min_length=1)
        tune: str = "none"
        readout: Literal["mean", "cls", "attention"] = "mean"
        dropout: float = Field(0.1, ge=0, lt=1)

        @field_validator("tune")
        @classmethod
        def _known(cls, tune: str) -> str:
            if tune not in ("none", "all") and not _LAST.fullmatch(tune):
                raise ValueError("it is 'none', 'all', or 'last N' with a number of layers")
            return tune

        @field_validator("layers")
        @classmethod
        def _each_once(cls, layers: tuple[int, ...] | None) -> tuple[int, ...] | None:
            if layers is not None and len(set(layers)) < len(layers):
                raise ValueError("a layer is named twice")
            return layers

        def build(self, dim: int) -> PretrainedTower:
            return PretrainedTower(self, dim)

    def __init__(self, config: Config, dim: int) -> None:
        super().__init__()
        backbone = load_backbone(config.name, batched=config.tune != "none")
        self._backbone = (backbone,)  # inside a tuple, so that what is not tuned is no part of this module
        # Recordings are decoded on the processor; a frozen encoder may run elsewhere, wherever the tower is.
        self._home = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if config.tune == "none":
            backbone.to(self._home)
        self.layers = _layers(config, backbone)
        self.tuned = _tuned(config, backbone, max(self.layers))
        w = self.width = backbone.width
        self.mix = nn.Parameter(torch.zeros(len(self.layers)))
        self.readout = config.readout
        self.value = nn.Linear(w, dim)
        if config.readout == "mean":
            self.gate = nn.Linear(w, 1)
        elif config.readout == "cls":
            self.cls = nn.Parameter(torch.randn(w) * 0.02)
            self.transformer = nn.TransformerEncoderLayer(
                w, backbone.heads, backbone.mlp, config.dropout, F.gelu, batch_first=True
            )
        else:
            self.query = nn.Parameter(torch.zeros(w))
        self.centre = Centre(dim)
        self.step, self.receptive_field = backbone.hop / RATE, float("inf")

    @property
    def backbone(self) -> Backbone:
        return self._backbone[0]

    @property
    def channels(self) -> int:
        return len(self.layers) * self.width if self.tuned is None else 1

    def frames(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.backbone.frames(samples) if self.tuned is None else samples

    def extract(self, x: Padded) -> Padded:
        """(B, S) samples → (B, layers × H, T) hidden states; (B, 1, S) samples if it is tuned; in half precision."""
        if self.tuned is not None:
            return Padded(x.values[:, None].half(), x.mask)  # as they are kept: kept or not, the answer is the same
        with torch.no_grad(), torch.autocast(self._home.type, enabled=False):
            # One by one: nothing of a batch can then reach an item, and a batch's hidden states are never held twice.
            # Large models have single values beyond half precision, which would become infinite.
            waves = [w.to(self._home) for w in _apart(x)]
            rows = [self.backbone([w])[0][list(self.layers)].clamp(-65504, 65504).half() for w in waves]
        lengths = torch.tensor([r.shape[1] for r in rows])
        values = torch.zeros(len(rows), self.channels, int(lengths.max()), dtype=torch.float16)
        for row, states in zip(values, rows):
            row[:, : states.shape[1]] = states.transpose(1, 2).flatten(0, 1)
        return Padded(values.to(x.values.device), lengths_to_mask(lengths, values.shape[2]).to(x.values.device))

    def encode(self, x: Padded) -> Features:
        """(B, layers × H, T) hidden states with their mask, or (B, 1, S) samples if it is tuned → Features."""
        h, mask = self._mixed(x)
        if self.readout == "cls":
            front = self.cls.to(h.dtype).expand(len(h), 1, -1)
            hidden_from = F.pad(~mask, (1, 0), value=False)
            out = self.transformer(torch.cat([front, h], dim=1), src_key_padding_mask=hidden_from)
            projected, h = self.value(out).float(), out[:, 1:]
            local, pooled = projected[:, 1:] * mask[..., None], F.normalize(projected[:, 0], dim=-1)
        else:
            local = (self.value(h) * self._weights(h, mask)[..., None]).float() * mask[..., None]
            pooled = pool(local, mask)
        return Features(self.centre(pooled), local, mask, self.step, h)

    def _mixed(self, x: Padded) -> tuple[Tensor, Tensor]:
        """(B, T, H) mix of the layers, zero past the end, and its (B, T) mask."""
        share = self.mix.softmax(0)
        if self.tuned is None:
            assert x.mask is not None
            b, _, t = x.values.shape
            h = share @ x.values.float().reshape(b, len(share), -1)
            return h.view(b, self.width, t).transpose(1, 2), x.mask
        self.backbone.to(self.mix.device)  # the loop has moved the tuned part only
        states = self.backbone(_apart(Padded(x.values[:, 0], x.mask)))
        rows = [torch.einsum("l,lth->th", share, s[list(self.layers)].float()) for s in states]
        h = pad_sequence(rows, batch_first=True)
        return h, lengths_to_mask(torch.tensor([len(r) for r in rows], device=h.device), h.shape[1])

    def _weights(self, h: Tensor, mask: Tensor) -> Tensor:
        """(B, T) how much each frame counts: a gate; or its share of attention, 1 on average over the item."""
        if self.readout == "mean":
            return torch.sigmoid(self.gate(h))[..., 0]
        scores = (h.float() @ self.query / self.width**0.5).masked_fill(~mask, float("-inf"))
        shares: Tensor = scores.softmax(1) * mask.sum(1, keepdim=True)
        return shares


def _apart(x: Padded) -> list[Tensor]:
    """(B, S) → the B recordings, each (S,) of its own length, in single precision."""
    lengths = [x.values.shape[1]] * len(x.values) if x.mask is None else x.mask.sum(1).tolist()
    return [wave[: max(n, 1)].float() for wave, n in zip(x.values, lengths, strict=True)]


def _layers(config: PretrainedTower.Config, backbone: Backbone) -> tuple[int, ...]:
    if config.layers is None:
        return tuple(range(backbone.states))
    if max(config.layers) >= backbone.states:
        raise UserError(
            f"speech.layers: model {config.name!r} has no layer {max(config.layers)}",
            f"Name layers from 0 to {backbone.states - 1}.",
        )
    return config.layers


def _tuned(config: PretrainedTower.Config, backbone: Backbone, highest: int) -> nn.Module | None:
    """The part that learns, asking for gradients; None for none."""
    if config.tune == "none":
        return None
    if config.tune == "all":
        for name, parameter in backbone.named_parameters():
            # Sines are no weights, and no frame is masked.
            parameter.requires_grad_(not re.search("embed_positions|masked_spec_embed", name))
        return backbone
    last, blocks = int(config.tune.removeprefix("last ")), backbone.blocks
    if last > len(blocks) or highest <= len(blocks) - last:
        raise UserError(
            f"speech.tune = {config.tune!r}: of {len(blocks)} layers of {config.name!r}, mixed up to layer {highest}",
            "Tune layers that are there and reach the mix.",
        )
    return nn.ModuleList(blocks[len(blocks) - last :]).requires_grad_(True)
