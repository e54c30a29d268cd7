"""Pretrained speech encoders of transformers: samples in, the hidden states of every layer out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lookhear.core import RATE, lengths_to_mask
from lookhear.errors import UserError
from lookhear.models.texts import load_pretrained, require_transformers

__all__ = ["Backbone", "MelBackbone", "WaveBackbone", "load_backbone"]


class Backbone(nn.Module):
    """An encoder whose layers can be read one by one.

    Attributes:
        model: the encoder as transformers builds it.
        extractor: its feature extractor, as transformers builds it.
        width, heads, mlp: of its Transformer layers.
        states: L + 1, the input of the first layer and the output of each.
        hop: samples from frame to frame.
    """

    model: Any
    width: int
    heads: int
    mlp: int
    states: int
    hop: int

    def __init__(self, model: Any, extractor: Any) -> None:
        super().__init__()
        self.model, self.extractor = model, extractor

    @property
    def blocks(self) -> nn.ModuleList:
        """Its Transformer layers, lowest first."""
        raise TypeError(f"{type(self).__name__} does not say where its layers are")

    def frames(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """Frames of recordings of so many samples."""
        raise TypeError(f"{type(self).__name__} does not say how many frames it gives")

    def forward(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """B recordings (S,) of 16 kHz → for each its (L + 1, T, H), which does not depend on the others."""
        raise TypeError(f"{type(self).__name__} does not say how it hears")


class _Apart(nn.Module):
    """A convolutional feature extractor that hears each item of a padded batch by itself.

    The first convolution of the base models is normalised over time (``feat_extract_norm = "group"``), so that zeros
    past an item's end would change all of it, and no attention mask mends that.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.lengths = inner, list[int]()

    def forward(self, values: Tensor) -> Tensor:
        """(B, S) → (B, C, T), with the first ``lengths`` samples of each item."""
        parts = [self.inner(v[None, :n])[0].T for v, n in zip(values, self.lengths, strict=True)]
        return pad_sequence(parts, batch_first=True).transpose(1, 2)


class WaveBackbone(Backbone):
    """HuBERT (Hsu et al., 2021), wav2vec 2.0 (Baevski et al., 2020) and WavLM (Chen et al., 2022).

    Args:
        batched: several recordings will be heard at once, and not from several threads.
    """

    def __init__(self, model: Any, extractor: Any, batched: bool) -> None:
        super().__init__(model, extractor)
        c = model.config
        self.width, self.heads, self.mlp = c.hidden_size, c.num_attention_heads, c.intermediate_size
        self.states = c.num_hidden_layers + 1
        self.hop = int(np.prod(c.conv_stride))
        strides = np.cumprod([1, *c.conv_stride[:-1]])
        self.least = int(1 + sum((k - 1) * s for k, s in zip(c.conv_kernel, strides, strict=True)))
        # A layer that is skipped leaves no hidden state, and time masks are drawn from NumPy's global generator, with
        # which a stopped run would not go on as it began.
        c.layerdrop, c.apply_spec_augment = 0.0, False
        if getattr(model, "adapter", None) is not None:
            model.adapter = None  # it halves the frame rate, after the layers that are read here
        if batched and c.feat_extract_norm == "group":
            model.feature_extractor = _Apart(model.feature_extractor)

    @property
    def blocks(self) -> nn.ModuleList:
        blocks: nn.ModuleList = self.model.encoder.layers
        return blocks

    def frames(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.maximum(samples, self.least)
        for kernel, stride in zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True):
            found = (found - kernel) // stride + 1
        return found

    def forward(self, waves: Sequence[Tensor]) -> list[Tensor]:
        if self.extractor.do_normalize:  # as Wav2Vec2FeatureExtractor does it, over the real samples alone
            waves = [(w - w.mean()) * torch.rsqrt(w.var(correction=0) + 1e-7) for w in waves]
        # What is shorter than the convolutions' field of view would have no frame: silence follows it.
        waves = [F.pad(w, (0, max(0, self.least - len(w)))) for w in waves]
        lengths = [len(w) for w in waves]
        if isinstance(self.model.feature_extractor, _Apart):
            self.model.feature_extractor.lengths = lengths
        values = pad_sequence(list(waves), batch_first=True)
        mask = lengths_to_mask(torch.tensor(lengths), values.shape[1]).long().to(values.device)
        out = self.model(values, attention_mask=mask if len(waves) > 1 else None, output_hidden_states=True)
        # The last one as the model gives it: large models normalise it once more.
        states = torch.stack([*out.hidden_states[:-1], out.last_hidden_state], dim=1)
        return [s[:, :n] for s, n in zip(states, self.frames(np.array(lengths)).tolist(), strict=True)]


class MelBackbone(Backbone):
    """The encoder of Whisper (Radford et al., 2023), which hears windows of 30 s, filled up with silence.

    Longer recordings are cut into windows, each heard by itself; frames of the filling are cut off.
    """

    def __init__(self, model: Any, extractor: Any, name: str) -> None:
        super().__init__(model, extractor)
        c = model.config
        self.width, self.heads, self.mlp = c.d_model, c.encoder_attention_heads, c.encoder_ffn_dim
        self.states = c.encoder_layers + 1
        self.hop = 2 * extractor.hop_length  # the second convolution strides
        self.window = c.max_source_positions * self.hop
        if (self.window, c.num_mel_bins) != (extractor.n_samples, extractor.feature_size):
            raise UserError(
                f"model {name!r}: preprocessor_config.json gives {extractor.n_samples} samples and "
                f"{extractor.feature_size} mel bands, config.json takes {self.window} and {c.num_mel_bins}",
                "The two files must come from one model.",
            )
        model.layerdrop, extractor.dither = 0.0, 0.0

    @property
    def blocks(self) -> nn.ModuleList:
        blocks: nn.ModuleList = self.model.layers
        return blocks

    def frames(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        return -(-np.maximum(samples, 1) // self.hop)

    def forward(self, waves: Sequence[Tensor]) -> list[Tensor]:
        windows = [w.cpu().numpy() for wave in waves for w in torch.split(wave, self.window)]
        with torch.autocast("cpu", enabled=False):  # NumPy, which the extractor goes through, knows no bf16
            mels = self.extractor(windows, sampling_rate=RATE, return_tensors="pt").input_features
        device = next(self.model.parameters()).device
        out = self.model(mels.to(device), output_hidden_states=True)
        states = torch.stack([*out.hidden_states[:-1], out.last_hidden_state])
        found, at = list[Tensor](), 0
        for wave, n in zip(waves, self.frames(np.array([len(w) for w in waves])).tolist(), strict=True):
            count = -(-len(wave) // self.window)
            found.append(states[:, at : at + count].flatten(1, 2)[:, :n])
            at += count
        return found


def load_backbone(name: str, batched: bool) -> Backbone:
    """The encoder of a folder that ``save_pretrained`` wrote, or of a hub name; frozen, without dropout.

    Args:
        name: the folder or hub name.
        batched: see ``WaveBackbone``.

    Raises:
        UserError: the model is in no folder or reachable hub, its files are damaged, or it is another kind of model.
    """
    if importlib.util.find_spec("transformers") is None:
        raise UserError("pretrained speech towers need transformers", "pip install 'lookhear[text]'.")
    transformers = require_transformers()
    config = _load(transformers.AutoConfig.from_pretrained, name)
    if config.model_type not in ("hubert", "wav2vec2", "wavlm", "whisper"):
        raise UserError(
            f"model {name!r} is a {config.model_type} model",
            "A pretrained speech tower needs HuBERT, wav2vec 2.0, WavLM or Whisper.",
        )
    extractor = _load(transformers.AutoFeatureExtractor.from_pretrained, name)
    if extractor.sampling_rate != RATE:
        raise UserError(f"model {name!r} hears {extractor.sampling_rate} Hz", f"Choose one of {RATE} Hz.")
    # Half-precision files would give a half-precision model.
    load = partial(transformers.AutoModel.from_pretrained, output_loading_info=True, dtype=torch.float32)
    model, about = _load(load, name)
    whisper = config.model_type == "whisper"
    lacking = [k for k in about["missing_keys"] if k != "masked_spec_embed" and not (whisper and "decoder." in k)]
    if lacking:  # transformers would make them up at random
        raise UserError(
            f"model {name!r} cannot be loaded (its files lack {sorted(lacking)[0]} and perhaps others)",
            "Get its files anew.",
        )
    found = MelBackbone(model.encoder, extractor, name) if whisper else WaveBackbone(model, extractor, batched)
    return found.eval().requires_grad_(False)


def _load(load: Callable[..., Any], name: str) -> Any:
    """``load_pretrained``, and weights of other shapes than ``config.json`` says are damaged files too."""
    try:
        return load_pretrained(SimpleNamespace(from_pretrained=load), name)
    except RuntimeError as e:
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise UserError(f"model {name!r} cannot be loaded ({reason})", "Get its files anew.") from None
