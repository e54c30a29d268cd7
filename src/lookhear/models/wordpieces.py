"""Texts as numbers of word pieces, by a folder's ``tokenizer.json`` and the tokenizers library alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch.nn.utils.rnn import pad_sequence

from lookhear.core import Padded
from lookhear.errors import UserError

__all__ = ["WordPieces"]

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
_FIX = "Give a folder that save_pretrained wrote, whole."
_VOCABULARIES = (TOKENIZER, "vocab*", "*.model")
_OF_BERT = ("BertTokenizer", "BertTokenizerFast")
_GENERAL = ("PreTrainedTokenizerFast", "TokenizersBackend")
_NAMES = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "bos": None, "eos": None}
"""Special tokens, as BertTokenizer of transformers calls them unless told otherwise."""


class _Token(BaseModel):
    content: str


class _Settings(BaseModel):
    """What ``tokenizer_config.json`` says, with BertTokenizer's own defaults."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tokenizer_class: str = "BertTokenizer"
    model_max_length: float = Field(1e30, ge=1, allow_inf_nan=False)
    padding_side: str = "right"
    truncation_side: str = "right"
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    unk_token: str | _Token | None = None
    pad_token: str | _Token | None = None
    cls_token: str | _Token | None = None
    sep_token: str | _Token | None = None
    mask_token: str | _Token | None = None
    bos_token: str | _Token | None = None
    eos_token: str | _Token | None = None

    def name(self, role: str) -> str | None:
        """Of "unk", "pad", …: the special token of that role, if there is one."""
        key = f"{role}_token"
        if key not in self.model_fields_set:
            return _NAMES[role] if self.tokenizer_class in _OF_BERT else None
        told = getattr(self, key)
        return told.content if isinstance(told, _Token) else told


class WordPieces:
    """A tokenizer; what it has in common with those of transformers has their names.

    Attributes:
        model_max_length: tokens of a text at most, if there is a bound.
        unk_token_id, eos_token_id: of the unknown piece and of the end, where there are such.
        pad_token_id: what fills up shorter texts.
        all_special_ids: tokens that no text is made of.
    """

    def __init__(self, inner: Any, settings: _Settings, told: dict[str, Any]) -> None:
        """Of a ``tokenizers.Tokenizer``, and of ``tokenizer_config.json`` as read and as it is."""
        inner.no_truncation()
        inner.no_padding()
        self._inner, self._settings, self._told = inner, settings, told
        self.model_max_length = int(settings.model_max_length)
        self.unk_token_id = self._id("unk")
        self.eos_token_id = self._id("eos")
        self.pad_token_id = self._id("pad")
        self.all_special_ids = [i for i, token in inner.get_added_tokens_decoder().items() if token.special]

    @staticmethod
    def of(folder: Path) -> WordPieces | None:
        """The tokenizer of a folder, where ``tokenizer.json`` says all of it.

        Transformers' general tokenizer reads that file as it is. Its BertTokenizer takes the vocabulary from there and
        all else from ``tokenizer_config.json``, so the two must agree. Others are not read, nor are those that cut or
        pad on the left.

        Returns:
            None where it must be left to transformers.

        Raises:
            UserError: tokenizers is not installed, a damaged file, or none with a vocabulary.
        """
        if not any(match for pattern in _VOCABULARIES for match in folder.glob(pattern)):
            # transformers would go on with a vocabulary of five special tokens.
            raise UserError(f"{folder}: no {TOKENIZER}", _FIX)
        if not ((folder / TOKENIZER).is_file() and (folder / CONFIG).is_file()):
            return None
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError("the text side needs the 'text' extra", "pip install 'lookhear[text]'.") from None
        told, settings = _read(folder / CONFIG)
        try:
            inner = Tokenizer.from_buffer((folder / TOKENIZER).read_bytes())
        except Exception as e:  # the library raises nothing narrower
            raise UserError(f"{folder / TOKENIZER}: damaged ({str(e).splitlines()[0]})", _FIX) from None
        pieces = WordPieces(inner, settings, told)
        return pieces if pieces._says_all() else None

    def __call__(self, text: str) -> dict[str, list[int]]:
        """The whole of a text, however long, with what stands at its start and end."""
        return {"input_ids": self._inner.encode(text).ids}

    def padded(self, texts: Sequence[str], length: int) -> Padded:
        """B texts → (B, W) ids and mask; texts of more than ``length`` tokens end before that, but for the last."""
        room = length - self._inner.num_special_tokens_to_add(is_pair=False)
        rows = []
        for text in texts:
            pieces = self._inner.encode(text, add_special_tokens=False)
            pieces.truncate(room)
            rows.append(torch.tensor(self._inner.post_process(pieces).ids, dtype=torch.long))
        values = pad_sequence(rows, batch_first=True, padding_value=self.pad_token_id or 0)
        lengths = torch.tensor([len(row) for row in rows])
        return Padded(values, torch.arange(values.shape[1]) < lengths[:, None])

    def __len__(self) -> int:
        return int(self._inner.get_vocab_size(with_added_tokens=True))

    def get_vocab(self) -> dict[str, int]:
        """Piece → number."""
        return dict(self._inner.get_vocab(with_added_tokens=True))

    def save_pretrained(self, folder: Path) -> None:
        """Writes what transformers' AutoTokenizer reads into a folder, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._inner.save(str(folder / TOKENIZER))
        told = {**self._told, "tokenizer_class": self._settings.tokenizer_class}
        (folder / CONFIG).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    def _id(self, role: str) -> int | None:
        name = self._settings.name(role)
        return None if name is None else self._inner.token_to_id(name)

    def _says_all(self) -> bool:
        told = self._settings
        known = all(self._id(role) is not None for role in _NAMES if told.name(role) is not None)
        if not known or (told.padding_side, told.truncation_side) != ("right", "right"):
            return False
        return told.tokenizer_class in _GENERAL or (told.tokenizer_class in _OF_BERT and self._as_bert())

    def _as_bert(self) -> bool:
        """Whether the file normalises, cuts and frames texts as transformers' BertTokenizer does from the settings."""
        from tokenizers import models, normalizers, pre_tokenizers

        normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self._settings.tokenize_chinese_chars,
            strip_accents=self._settings.strip_accents,
            lowercase=self._settings.do_lower_case,
        )
        inner, usual = self._inner, models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")
        return (
            isinstance(inner.model, models.WordPiece)
            and inner.model.unk_token == self._settings.name("unk")
            and inner.model.continuing_subword_prefix == usual.continuing_subword_prefix
            and inner.model.max_input_chars_per_word == usual.max_input_chars_per_word
            and repr(inner.normalizer) == repr(normalizer)
            and repr(inner.pre_tokenizer) == repr(pre_tokenizers.BertPreTokenizer())
            and inner.encode("").ids == [self._id("cls"), self._id("sep")]
        )


def _read(path: Path) -> tuple[dict[str, Any], _Settings]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: damaged ({str(e).splitlines()[0]})", _FIX) from None
    if not isinstance(told, dict):
        raise UserError(f"{path}: no table of settings", _FIX)
    given = {key: value for key, value in told.items() if value is not None or key.endswith("_token")}
    try:
        return told, _Settings.model_validate(given)
    except ValidationError as e:
        wrong = e.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", _FIX) from None
