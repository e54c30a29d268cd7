"""What is looked for in long recordings: written words and phrases, spoken examples, pictures; what is not meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lookhear.audio import load_audio
from lookhear.core import Features, pool
from lookhear.data.images import load_image
from lookhear.errors import UserError
from lookhear.models.model import Model
from lookhear.wording import content_words

__all__ = ["Asked", "pictured", "spoken", "without", "written"]


@dataclass(frozen=True)
class Asked:
    """One thing to look for.

    Attributes:
        name: what hits are called by.
        parts: (W, D) unit vectors that must be met near each other: one for each content word of a phrase.
        words: the W written words, for their calibration; empty strings for what was not written.
        against: what is not meant: a moment that one of these meets better is no hit.
    """

    name: str
    parts: Tensor
    words: tuple[str, ...]
    against: tuple[Asked, ...] = ()


def written(model: Model, texts: Sequence[str], template: str | Sequence[str] | None = None) -> list[Asked]:
    """Words and phrases, each once.

    Of a phrase, every content word is looked for; of one without content words ("over there"), the whole. Several
    templates are averaged; by default those that the model was calibrated with, or the word alone.

    Raises:
        UserError: no texts, a template without ``{word}``, or a word that the text encoder can make nothing of.
    """
    texts = list(dict.fromkeys(texts))
    if not texts:
        raise UserError("no words to spot", "Name at least one.")
    if template is None:
        template = ("{word}",) if model.calibration is None else model.calibration.templates
    templates = (template,) if isinstance(template, str) else tuple(template)
    for given in templates:
        if "{word}" not in given:
            raise UserError(f"template {given!r}", "Put {word} where the word goes.")
    parts = [tuple(content_words(t)) if len(t.split()) > 1 else (t,) for t in texts]
    parts = [words or (text,) for words, text in zip(parts, texts)]
    each = list(dict.fromkeys(word for words in parts for word in words))
    vectors = [model.embed_texts([t.replace("{word}", w) for w in each]).pooled.float() for t in templates]
    mean = F.normalize(torch.stack(vectors).mean(0), dim=-1)
    place = {word: i for i, word in enumerate(each)}
    return [Asked(text, mean[[place[w] for w in words]], words) for text, words in zip(texts, parts)]


def spoken(model: Model, path: Path | str, name: str | None = None) -> Asked:
    """A spoken example, such as a word cut out of a recording: the direction of its own local vectors.

    Raises:
        UserError: as ``load_audio``.
    """
    features: Features = model.embed_audio([load_audio(path)])
    return Asked(name or Path(path).name, pool(features.local.float(), features.mask), ("",))


def pictured(model: Model, path: Path | str, name: str | None = None) -> Asked:
    """What a picture shows.

    Raises:
        UserError: as ``load_image``, or a model that looks at vectors only.
    """
    return Asked(name or Path(path).name, model.embed_images([load_image(path)]).pooled.float(), ("",))


def without(asked: Sequence[Asked], against: Sequence[Asked]) -> list[Asked]:
    """The same, with what is not meant by any of them."""
    return [replace(a, against=(*a.against, *against)) for a in asked]
