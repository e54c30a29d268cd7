"""The towers of a model as graphs that need no LookHear: tensors in, tensors out, and what to try them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lookhear.audio import pad_audio
from lookhear.core import RATE, Features, Padded
from lookhear.errors import UserError
from lookhear.models.images import VectorTower
from lookhear.models.model import Model
from lookhear.models.pretrained import PretrainedTower
from lookhear.models.texts import SentenceEncoder, TextTower

__all__ = ["Graph", "ImageGraph", "SpeechGraph", "TextGraph", "VectorGraph", "graphs_of"]

Inputs = tuple[Tensor, ...]
_SECONDS = (4.0, 0.3, 1.7, 14.0)
"""Of the recordings that a speech graph is tried on; the last is longer than what sets the level of a moment."""
_TOKENS = (4, 2, 11)
"""Of the texts that a text graph is tried on, drawn from its vocabulary, whatever its language."""


class Graph(nn.Module):
    """One tower.

    Attributes:
        name: of its file.
        inputs: name → its axes that may have any length, by position.
        outputs: names, in order.
    """

    name: str
    inputs: dict[str, dict[int, str]]
    outputs: tuple[str, ...] = ("pooled", "local", "local_mask")

    def about(self) -> dict[str, Any]:
        """What whoever calls the graph must know of its inputs; JSON-able."""
        return {}

    def alone(self) -> list[Inputs]:
        """Inputs of one item each, of several sizes."""
        raise TypeError(f"{type(self).__name__} has no examples")

    def together(self) -> Inputs:
        """The same items as one batch, padded where they differ in size."""
        parts = self.alone()
        return tuple(torch.cat([p[i] for p in parts]) for i in range(len(parts[0])))


def _answer(features: Features) -> Inputs:
    return features.pooled.float(), features.local.float(), features.mask


class SpeechGraph(Graph):
    """(B, S) samples at 16 kHz and their (B, S) mask → vectors as ``Model.hear`` gives them; ``tags`` with a head."""

    name = "speech"
    inputs = {"samples": {0: "batch", 1: "samples"}, "mask": {0: "batch", 1: "samples"}}  # noqa: RUF012

    def __init__(self, model: Model) -> None:
        super().__init__()
        if isinstance(model.audio, PretrainedTower):
            raise UserError(
                "a pretrained speech tower is no one graph: its encoder hears recordings one by one",
                "Leave it out with --tower image --tower text; export the encoder itself with Hugging Face's optimum.",
            )
        self.model = model
        if model.head is not None:
            self.outputs = (*Graph.outputs, "tags", "tag_curve")

    def forward(self, samples: Tensor, mask: Tensor) -> Inputs:
        features = self.model.hear(Padded(samples, mask))
        if features.tags is None or features.tag_curve is None:
            return _answer(features)
        return (*_answer(features), features.tags, features.tag_curve)

    def about(self) -> dict[str, Any]:
        told: dict[str, Any] = {"rate": RATE, "step": self.model.step}
        return told if self.model.head is None else {**told, "tags": list(self.model.head.names)}

    def _waves(self) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
        """Noise in bursts: what is loud and what is not are 30 dB apart."""
        rng, waves = np.random.default_rng(0), []
        for seconds in _SECONDS:
            n = round(seconds * RATE)
            loud = np.repeat(rng.random(n // 1600 + 1) < 0.5, 1600)[:n]
            waves.append((rng.standard_normal(n) * np.where(loud, 0.1, 0.003)).astype(np.float32))
        return waves

    def alone(self) -> list[Inputs]:
        return [_tensors(pad_audio([wave])) for wave in self._waves()]

    def together(self) -> Inputs:
        return _tensors(pad_audio(self._waves()))


class ImageGraph(Graph):
    """(B, 3, H, W) pictures in [0, 1] → vectors, a local one for each patch, row by row."""

    name = "image"
    inputs = {"pixels": {0: "batch"}}  # noqa: RUF012

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.tower: Any = model.image

    def forward(self, pixels: Tensor) -> Inputs:
        return _answer(self.tower(Padded(pixels)))

    def about(self) -> dict[str, Any]:
        t = self.tower
        how = "both sides scaled to it" if t.squash else "the shorter side scaled to it (bicubic), then the middle cut"
        return {"size": t.size, "picture": how, "grid": list(t.grid)}

    def alone(self) -> list[Inputs]:
        rng = np.random.default_rng(0)
        pictures = [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)) for h, w in ((90, 120), (64, 64))]
        return [(self.tower.prepare([picture]).values,) for picture in pictures]


class VectorGraph(Graph):
    """(B, V) image vectors computed elsewhere → vectors."""

    name = "image"
    inputs = {"vectors": {0: "batch"}}  # noqa: RUF012

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert isinstance(model.image, VectorTower)
        self.tower = model.image

    def forward(self, vectors: Tensor) -> Inputs:
        return _answer(self.tower(Padded(vectors)))

    def about(self) -> dict[str, Any]:
        return {"width": self.tower.width}

    def alone(self) -> list[Inputs]:
        rows = np.random.default_rng(0).standard_normal((2, 1, self.tower.width)).astype(np.float32)
        return [(torch.from_numpy(row),) for row in rows]


class TextGraph(Graph):
    """(B, W) token ids and their (B, W) attention mask, as the tokenizer gives them → vectors."""

    name = "text"

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.tower: Any = model.text
        # Frozen encoders are no modules of their towers; a graph must hold their weights.
        encoders = [t.encoder for t in self.tower.modules() if isinstance(t, TextTower)]
        self.encoders = nn.ModuleList({id(e.model): e.model for e in encoders}.values())
        first = next(iter(getattr(self.tower, "towers", [self.tower])))
        reader: SentenceEncoder | Any = encoders[0] if encoders else first
        self.tokenizer, self.length = reader.tokenizer, int(reader.length)
        self.full = bool(getattr(reader, "full", False))
        axes = {0: "batch"} if self.full else {0: "batch", 1: "tokens"}
        self.inputs = {"input_ids": axes, "attention_mask": axes}

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Inputs:
        return _answer(self.tower(Padded(input_ids, attention_mask.bool())))

    def about(self) -> dict[str, Any]:
        return {
            "tokenizer": "tokenizer",
            "padding": "max_length" if self.full else "longest",
            "max_length": self.length,
        }

    def alone(self) -> list[Inputs]:
        return [self._padded([ids], self.length if self.full else len(ids)) for ids in self._ids()]

    def together(self) -> Inputs:
        rows = self._ids()
        return self._padded(rows, self.length if self.full else max(map(len, rows)))

    def _ids(self) -> list[list[int]]:
        rng, t = np.random.default_rng(0), self.tokenizer
        words = sorted(set(range(len(t))) - set(t.all_special_ids))
        end = [] if t.eos_token_id is None else [t.eos_token_id]
        return [[*rng.choice(words, min(n, self.length - 1)).tolist(), *end] for n in _TOKENS]

    def _padded(self, rows: list[list[int]], width: int) -> Inputs:
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        return ids, mask


def _tensors(x: Padded) -> Inputs:
    assert x.mask is not None
    return x.values, x.mask


def graphs_of(model: Model, towers: tuple[str, ...]) -> list[Graph]:
    """The graphs of some of "speech", "image" and "text".

    Raises:
        UserError: a tower that the model does not have, or that is no one graph.
    """
    made: list[Graph] = []
    for name in towers:
        if name == "speech":
            if model.audio is None:
                raise UserError("this model has no speech tower", "Train one first, or name the towers it has.")
            made.append(SpeechGraph(model))
        elif name == "image":
            made.append(VectorGraph(model) if isinstance(model.image, VectorTower) else ImageGraph(model))
        else:
            made.append(TextGraph(model))
    return made
