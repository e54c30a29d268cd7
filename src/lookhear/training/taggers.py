"""What others than the teacher see in pictures: class probabilities of a corpus's column or of an image classifier."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.errors import UserError, did_you_mean
from lookhear.models.texts import load_pretrained

__all__ = ["class_probabilities", "words_of_classes"]

AT_ONCE = 64


def class_probabilities(tagger: str, corpus: Corpus, rows: NDArray[np.int64]) -> tuple[list[str], Tensor]:
    """The names of C classes, and the (pictures, C) probability of each for the pictures of the given rows.

    Args:
        tagger: a column of the corpus that holds a list of C numbers for each picture, whose names are the word list of
            the same name; or a folder or hub name of a transformers image classifier.

    Raises:
        UserError: no such column, model or names; numbers that are no probabilities; a picture without them.
    """
    if tagger in corpus.table.column_names:
        return _of_column(tagger, corpus, rows)
    return _of_classifier(tagger, corpus, rows)


def _of_column(name: str, corpus: Corpus, rows: NDArray[np.int64]) -> tuple[list[str], Tensor]:
    names = list(corpus.meta.get("words", {}).get(name, ()))
    if not names:
        raise UserError(f"{corpus.name}: nobody says what the numbers of column {name!r} are called", _NAMES)
    cells = corpus.table[name].take(rows).to_pylist()
    lacking = sum(cell is None or len(cell) != len(names) for cell in cells)
    if lacking:
        raise UserError(
            f"{corpus.name}: {lacking} of {len(cells)} pictures do not have {len(names)} numbers in column {name!r}",
            "Give every picture one for each class, or choose another tagger.",
        )
    values = torch.tensor(cells, dtype=torch.float32)
    if not (torch.isfinite(values).all() and (values >= 0).all() and (values <= 1.001).all()):
        raise UserError(f"{corpus.name}: column {name!r} holds numbers that are no probabilities", "Not logits, say.")
    return names, values.clamp(max=1)


_NAMES = "Put a word list of the column's name into the corpus, a name a number."


def _of_classifier(name: str, corpus: Corpus, rows: NDArray[np.int64]) -> tuple[list[str], Tensor]:
    model, processor = _load(name, corpus)
    names = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    if all(re.fullmatch(r"LABEL_\d+", n) for n in names):
        raise UserError(f"{name}: a classifier without labels", "Put id2label into its config.json.")
    several = model.config.problem_type == "multi_label_classification"
    ids, found = corpus.column("id"), []
    with torch.inference_mode():
        for i in range(0, len(rows), AT_ONCE):
            part = rows[i : i + AT_ONCE].tolist()
            images = [load_image(corpus.media("image", r), name=f"picture {ids[r]}") for r in part]
            logits = model(**processor(images=images, return_tensors="pt")).logits.float()
            found.append(torch.sigmoid(logits) if several else logits.softmax(-1))
    return names, torch.cat(found).clone()


def _load(name: str, corpus: Corpus) -> tuple[Any, Any]:
    try:
        from transformers import AutoImageProcessor, AutoModelForImageClassification
    except ModuleNotFoundError:
        raise UserError("image classifiers need transformers", "pip install 'lookhear[clip]'") from None
    try:
        model = load_pretrained(AutoModelForImageClassification, name)
        processor = load_pretrained(AutoImageProcessor, name)
    except UserError as e:
        raise UserError(
            f"tagger {name!r}: no column of {corpus.name}, and no image classifier ({e.what})",
            f"Name a column ({did_you_mean(name, corpus.table.column_names)}), or an image classifier. {e.fix}",
        ) from None
    return model.eval(), processor


def words_of_classes(
    words: Sequence[str], names: Sequence[str], given: Mapping[str, Sequence[str]]
) -> dict[str, list[int]]:
    """Which of the classes show each word; words that none shows are left out.

    A class shows a word if the word is among those of its name ("Maltese dog, Maltese terrier" shows "dog"). For words
    of ``given`` the classes named there do instead; "A .. B" names all from A to B in the tagger's order, by the first
    of their names.

    Raises:
        UserError: a class that the tagger does not have.
    """
    parts = [set(re.findall(r"\w+(?:[-']\w+)*", name.lower())) for name in names]
    place: dict[str, int] = {}
    for i, name in enumerate(names):
        for form in (name, name.split(",")[0]):
            place.setdefault(form.strip().lower(), i)

    def number(name: str) -> int:
        if (key := name.strip().lower()) not in place:
            raise UserError(f"the tagger has no class {name.strip()!r}", did_you_mean(key, list(place)))
        return place[key]

    found = {}
    for word in words:
        if word in given:
            chosen = []
            for name in given[word]:
                first, dots, last = name.partition(" .. ")
                chosen += list(range(number(first), number(last) + 1)) if dots else [number(name)]
        else:
            chosen = [i for i, held in enumerate(parts) if word in held]
        if chosen:
            found[word] = sorted(set(chosen))
    return found
