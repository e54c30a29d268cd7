"""The teacher's answers to single words, as probabilities: what ``WordTags`` trains speech on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lookhear.core import in_eval
from lookhear.data.schema import Corpus
from lookhear.errors import UserError, did_you_mean
from lookhear.models.model import Model
from lookhear.objectives.asked import AskedWords, Tags
from lookhear.objectives.words import prior_and_entropy
from lookhear.training.mels import pad_mels
from lookhear.training.pictures import look
from lookhear.training.taggers import class_probabilities, words_of_classes
from lookhear.training.vocabulary import said_by_group, vocabulary

__all__ = ["calibrate", "check_tagging", "learn_evidence", "tag_pictures"]

CALIBRATED_ON = 1000  # pictures
HEARD = 500  # recordings
AT_ONCE = 32


def calibrate(scores: Tensor, said: Tensor) -> tuple[float, float]:
    """Scale and bias that make (items, words) scores log-odds of ``said`` beyond each word's prior (Platt, 1999).

    Two numbers for all words: minimises the cross-entropy of σ(scale · score + bias + logit(p)), each word divided by
    its entropy H(p), over the given items.
    """
    prior, entropy = prior_and_entropy(said.float().mean(0))
    target = said.float()
    x = nn.Parameter(torch.tensor([1.0, 0.0]))
    optimiser = torch.optim.LBFGS([x], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = scores * x[0].exp() + x[1] + prior
        loss = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") / entropy).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(x[0].detach().exp()), float(x[1].detach())


def tag_pictures(
    config: AskedWords, model: Model, corpus: Corpus, splits: tuple[str, ...], rows: NDArray[np.int64]
) -> tuple[Tags, Tensor]:
    """What is seen in the pictures of the given rows, in words of the texts of ``splits``.

    The teacher's cosines become probabilities by two numbers fitted on pictures of ``splits`` and the texts there; no
    text of any recording is read unless its split is among them. Another tagger's class probabilities are added up
    over the classes that show a word.

    Returns:
        the tags, and the (pictures, D) vectors that came with them.

    Raises:
        UserError: no texts, or none of their words is asked; a word list that the corpus does not have.
    """
    text_rows, texts = _lesson(corpus, splits)
    groups = corpus.groups
    words = _asked(config, corpus, texts, splits)
    if config.tagger != "teacher":
        names, classes = class_probabilities(config.tagger, corpus, rows)
        shown = _shown(config, words, names)
        seen = torch.stack([classes[:, at].sum(1).clamp(max=1) for at in shown.values()], dim=1)
        vectors = _prompted(config, model, list(shown))
        return Tags(list(shown), vectors, seen.half()), look(model, corpus, rows)[0]
    said = said_by_group(texts, groups[text_rows], words, int(groups.max()) + 1)
    vectors = _prompted(config, model, words)
    known = corpus.pictures[np.isin(groups[corpus.pictures], groups[text_rows])]
    known = np.random.default_rng(0).permutation(known)[:CALIBRATED_ON]
    _, met = look(model, corpus, known, vectors)
    scale, bias = calibrate(met, said[torch.from_numpy(groups[known])])
    prior, _ = prior_and_entropy(said[torch.from_numpy(np.unique(groups[text_rows]))].float().mean(0))
    pooled, met = look(model, corpus, rows, vectors)
    return Tags(words, vectors, torch.sigmoid(met * scale + bias + prior).half()), pooled


def check_tagging(config: AskedWords, corpus: Corpus, splits: tuple[str, ...], rows: NDArray[np.int64]) -> None:
    """Finds what would be wrong in ``tag_pictures`` and needs no teacher to be found: word lists, words and taggers.

    Raises:
        UserError: as there.
    """
    words = _asked(config, corpus, _lesson(corpus, splits)[1], splits)
    if config.tagger != "teacher":
        listed = config.tagger in corpus.table.column_names
        names, _ = class_probabilities(config.tagger, corpus, rows if listed else rows[:1])
        _shown(config, words, names)


def _lesson(corpus: Corpus, splits: tuple[str, ...]) -> tuple[NDArray[np.int64], list[str]]:
    """The rows of the texts of some splits, and the texts."""
    chosen = np.isin(np.array(corpus.column("split"), dtype=object), splits)
    rows, column = corpus.texts[chosen[corpus.texts]], corpus.column("text")
    return rows, [column[i] for i in rows]


def _shown(config: AskedWords, words: list[str], names: list[str]) -> dict[str, list[int]]:
    """Word → the tagger's classes that show it."""
    shown = words_of_classes(words, names, config.classes)
    if not shown:
        told = f"none of the {len(words)} words asked ({', '.join(words[:3])}, …) is a class of {config.tagger!r}"
        raise UserError(told, f"Say which classes show a word in 'classes'; some are {', '.join(names[:3])}.")
    return shown


def _asked(config: AskedWords, corpus: Corpus, texts: list[str], splits: tuple[str, ...]) -> list[str]:
    if config.only is not None:
        return list(_word_list(config.only, corpus))
    left_out = {word for name in config.leave_out for word in _word_list(name, corpus)}
    words = vocabulary(texts, config.words, config.always, left_out)
    if not words:
        raise UserError(
            f"{corpus.name}: no word is said five times in the texts of {', '.join(splits)}, so there are no tags",
            "Name splits with texts in data.teacher, or leave the objective out.",
        )
    return words


def _word_list(name: str, corpus: Corpus) -> list[str]:
    lists = corpus.meta.get("words", {})
    if name not in lists:
        raise UserError(
            f"{corpus.name} has no word list {name!r} (an objective asks for it)", did_you_mean(name, list(lists))
        )
    return list(lists[name])


def _prompted(config: AskedWords, model: Model, words: list[str]) -> Tensor:
    """(words, D) unit vectors, means over the prompts."""
    prompts = [model.embed_texts([p.format(word=w) for w in words]).pooled for p in config.prompts]
    return F.normalize(torch.stack(prompts).mean(0), dim=-1).clone()


def learn_evidence(model: Model, mels: Sequence[Tensor]) -> None:
    """Tells the model's word evidence how its words are heard in (M, T) log-mels of training recordings."""
    evidence, tower = model.evidence, model.audio
    if evidence is None or tower is None:
        return
    some = np.random.default_rng(0).permutation(len(mels))[:HEARD]
    chosen = sorted((mels[i] for i in some.tolist()), key=lambda m: m.shape[1])
    peaks = []
    with in_eval(model), torch.no_grad():
        for i in range(0, len(chosen), AT_ONCE):
            features = tower(pad_mels(chosen[i : i + AT_ONCE]))
            peaks.append(model.compatibility.peak(features, evidence.words))
    evidence.learn(torch.cat(peaks))
