"""The bridge between a teacher's pictures and its words, measured on captions it has not learned from.

What speech learns from pictures is asked for in words: where a picture and what people write of it lie apart, no speech
tower can bring them together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookhear.core import Features
from lookhear.data.schema import Corpus
from lookhear.models.model import Model
from lookhear.tasks.base import Encoded, figure, steady
from lookhear.tasks.chance import chance_average_precision
from lookhear.tasks.keywords import KeywordSection, labels_of, truth_table
from lookhear.tasks.metrics import RankingCurve
from lookhear.tasks.retrieval import Retrieval
from lookhear.training.pictures import look

__all__ = ["bridge", "captioned", "told"]

AT_ONCE = 256


def captioned(corpus: Corpus, splits: Sequence[str]) -> Corpus:
    """The items of some splits with nothing but their pictures and texts: no recordings, no vectors.

    Empty where no picture has a text of its group.
    """
    rows = np.isin(np.array(corpus.column("split"), dtype=object), list(splits))
    table = corpus.take(rows).table
    for name in ("audio", "vector"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.nulls(len(table), table.schema.field(at).type))
    found = Corpus(table, corpus.root, corpus.name, corpus.meta)
    meet = np.intersect1d(found.groups[found.pictures], found.groups[found.texts])
    return found.take(np.isin(found.groups, meet))


def bridge(model: Model, held: Corpus, words: int) -> dict[str, Any]:
    """How well pictures and texts find each other.

    Args:
        model: its image and text towers are asked.
        held: pictures with texts, as ``captioned`` gives them.
        words: how many of their most frequent content words are spotted.

    Returns:
        "text_to_image" and "image_to_text" as ``Retrieval`` gives them (protocol A), and "spotting": mean average
        precision of single words over the pictures, a word being true of a picture that one of its captions says it of.
    """
    column = held.column("text")
    texts = [column[i] for i in held.texts]
    read = [model.embed_texts(texts[i : i + AT_ONCE]).pooled.cpu() for i in range(0, len(texts), AT_ONCE)]
    encoded = Encoded(
        model,
        held,
        image=Features.of_pooled(look(model, held, held.pictures)[0]),
        text=Features.of_pooled(torch.cat(read)),
    )
    found = Retrieval().run(encoded)
    return {name: found[name] for name in ("text_to_image", "image_to_text")} | {"spotting": _spotting(encoded, words)}


def _spotting(encoded: Encoded, most: int) -> dict[str, Any] | str:
    """Mean average precision of the most frequent words, or why there is none."""
    held = encoded.corpus
    labels = labels_of(held, "text")
    asked = KeywordSection(frequent=most).asked(held, labels)
    if isinstance(asked, str):
        return asked
    said: dict[int, list[str]] = defaultdict(list)
    for group, label in zip(held.groups.tolist(), labels):
        said[group] += [*(label or []), "|"]  # so that no phrase runs out of one caption into the next
    truth = truth_table([said[g] for g in held.groups[held.pictures].tolist()], asked, running=True)
    scores = steady(encoded.image.pooled.float() @ encoded.words(list(asked)).T)
    each = [float(RankingCurve(s, t).average_precision()[0]) for s, t in zip(scores.T, truth.T)]
    chance = [chance_average_precision(int(t.sum()), len(t)) for t in truth.T]
    return {
        "mAP": figure(float(np.mean(each)), None, float(np.mean(chance)), len(scores)),
        "words": len(asked),
        "per_word": {word: {"AP": ap, "positives": int(t.sum())} for word, ap, t in zip(asked, each, truth.T)},
    }


def told(figures: dict[str, Any]) -> str:
    """The bridge in one line."""
    parts = []
    for name, title in (("text_to_image", "text → image"), ("image_to_text", "image → text")):
        recall = [f"{k} {v['value']:.3f}" for k, v in figures[name].items() if k.startswith("R@")]
        parts.append(f"{title} {' '.join(recall)}")
    if isinstance(figures["spotting"], dict):
        parts.append(f"words over pictures mAP {figures['spotting']['mAP']['value']:.3f}")
    return ", ".join(parts)
