"""What every evaluation needs: a corpus encoded once, figures with their interval and chance, and the Task protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lookhear.audio import load_audio, samples_of
from lookhear.core import RATE, Features
from lookhear.data.images import load_image
from lookhear.data.schema import Corpus
from lookhear.errors import UserError
from lookhear.locators.base import Asked, Locator
from lookhear.models.images import VectorTower
from lookhear.scoring import Compatibility, read_text
from lookhear.tasks.resampling import Resampled
from lookhear.wording import content_words

__all__ = ["Embedder", "Encoded", "Task", "figure", "primary_value", "steady"]

CHUNK = 64  # items decoded and encoded together: what is held in memory as waveforms or pixels at any time
SECONDS = 1200  # of sound heard together, so that tapes of minutes do not fill memory
FEW_GROUPS = 20  # below this, groups are classes (ten digits), not pictures


class Embedder(Protocol):
    """What an evaluation asks of a model."""

    @property
    def compatibility(self) -> Compatibility: ...

    def embed_audio(self, waves: list[NDArray[np.float32]]) -> Features: ...

    def embed_images(self, images: list[Any]) -> Features: ...

    def embed_vectors(self, vectors: NDArray[np.float32]) -> Features: ...

    def embed_texts(self, texts: list[str]) -> Features: ...

    def contrast(self, pooled: Tensor) -> Tensor: ...


class Task(Protocol):
    """An evaluation: a recipe section that runs itself.

    Attributes:
        primary: dotted path, in the result, of the figure that chooses checkpoints.
        greater_is_better: whether a higher primary figure is better.
    """

    primary: ClassVar[str]
    greater_is_better: ClassVar[bool]

    @property
    def name(self) -> str: ...

    def missing(self, corpus: Corpus) -> str | None:
        """Why this cannot run on the corpus; None if it can."""
        ...

    def unready(self, model: Any) -> str | None:
        """Why this model cannot be asked so far (it is still learning, say); None if it can."""
        ...

    def run(self, encoded: Encoded) -> dict[str, Any]:
        """The result: nested, JSON-able, figures as ``figure`` makes them."""
        ...


def figure(
    value: float, interval: tuple[float, float] | None, chance: float | None, size: int
) -> dict[str, float | int | None]:
    """A measured value with what is needed to read it.

    Args:
        value: fraction in [0, 1] (a median rank counts from 1).
        interval: 95 % bootstrap interval.
        chance: what a random ranking would score.
        size: how many items it was chosen from or measured on: gallery, ranked recordings, pairs.
    """
    low, high = interval if interval is not None else (None, None)
    return {"value": float(value), "low": low, "high": high, "chance": chance, "size": int(size)}


def primary_value(task: Task, result: dict[str, Any]) -> float:
    """The figure of ``task.primary``.

    Raises:
        UserError: the result lacks it (the corpus has not what it needs).
    """
    node: Any = result
    for key in task.primary.split("."):
        if not isinstance(node, dict) or key not in node:
            raise UserError(
                f"section {task.name!r}: no figure {task.primary!r} on this corpus",
                "Choose checkpoints by another section, or validate on a corpus that has what it needs.",
            )
        node = node[key]
    return float(node)


def steady(scores: Tensor) -> NDArray[np.float32]:
    """Scores for ranking, equal to six digits of the largest made equal.

    Identical inputs differ by about 1e-7 with their place in a matrix product; that noise must not order them.

    Raises:
        UserError: scores that are not finite (training diverged).
    """
    values = scores.detach().float().cpu().numpy()
    if not np.isfinite(values).all():
        raise UserError(
            "the model gives scores that are not numbers", "Its training diverged: train again at a lower rate."
        )
    scale = float(np.abs(values).max(initial=0)) or 1.0
    return cast(NDArray[np.float32], np.round(values / scale, 6) * np.float32(scale))


class Encoded:
    """A corpus as a model hears, sees and reads it; every side is computed when first asked for, and once.

    Args:
        model: the model under test.
        corpus: the items.
        progress: progress bars on stderr.
        audio, image, text: features computed before, for ``corpus.recordings``, ``.pictures`` and ``.texts``.

    Attributes:
        resampled: section name → its primary figure in each bootstrap resample, left by the section when it ran, so
            that two models can be compared on the same resamples.
    """

    def __init__(
        self,
        model: Embedder,
        corpus: Corpus,
        progress: bool = False,
        *,
        audio: Features | None = None,
        image: Features | None = None,
        text: Features | None = None,
    ) -> None:
        self.model, self.corpus, self.progress = model, corpus, progress
        self._given = {"audio": audio, "image": image, "text": text}
        self._words: dict[tuple[tuple[str, ...], tuple[str, ...]], Tensor] = {}
        self.resampled: dict[str, Resampled] = {}

    def _chunks(
        self,
        rows: NDArray[np.int64],
        encode: Callable[[NDArray[np.int64]], Features],
        what: str,
        cut: Callable[[NDArray[np.int64]], NDArray[np.int64]] = lambda chunk: chunk,
    ) -> list[Features]:
        from tqdm import tqdm

        parts = []
        with torch.inference_mode(), tqdm(total=len(rows), desc=what, disable=None if self.progress else True) as bar:
            while len(rows):
                chunk = cut(rows[:CHUNK])
                rows = rows[len(chunk) :]
                parts.append(encode(chunk).to("cpu"))
                bar.update(len(chunk))
        return parts

    @cached_property
    def audio_parts(self) -> list[Features]:
        """Features of ``corpus.recordings`` in order, in chunks each padded to its own longest."""
        given = self._given["audio"]
        if given is not None:
            return [given[i : i + CHUNK] for i in range(0, len(given), CHUNK)]
        return self._chunks(self.corpus.recordings, self._encode_audio, "hearing", self._fewer_long)

    def _source(self, column: str, row: int) -> tuple[bytes | Path, str]:
        source = self.corpus.media(column, row)
        return source, str(source) if isinstance(source, Path) else str(self.corpus.table["id"][int(row)].as_py())

    def _waves(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        return [load_audio(*self._source("audio", r)) for r in rows]

    def _encode_audio(self, rows: NDArray[np.int64]) -> Features:
        return self.model.embed_audio(self._waves(rows))

    def _fewer_long(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """As many of the first rows as take no more than ``SECONDS`` together, each padded to the longest."""
        sources = [self._source("audio", row) for row in rows]
        samples = np.maximum.accumulate([samples_of(*source) for source in sources])
        return rows[: max(1, int((samples * np.arange(1, len(rows) + 1) <= SECONDS * RATE).sum()))]

    def _encode_images(self, rows: NDArray[np.int64]) -> Features:
        return self.model.embed_images([load_image(*self._source("image", r)) for r in rows])

    def _encode_vectors(self, rows: NDArray[np.int64]) -> Features:
        vectors = [self.corpus.table["vector"][int(r)].as_py() for r in rows]
        return self.model.embed_vectors(np.array(vectors, dtype=np.float32))

    @cached_property
    def audio(self) -> Features:
        """Features of ``corpus.recordings``."""
        return self._given["audio"] or Features.concat(self.audio_parts)

    @cached_property
    def blind(self) -> str | None:
        """Why the model cannot look at the corpus's pictures, where they are of a kind it was not made for."""
        rows = self.corpus.pictures
        tower = getattr(self.model, "image", None)
        if tower is None or self._given["image"] is not None or not len(rows):
            return None
        vectors = self.corpus.table["vector"].take(rows)
        if not isinstance(tower, VectorTower):
            files = self.corpus.table["image"].take(rows)
            alone = int((files.is_null().to_numpy() & vectors.is_valid().to_numpy()).sum())
            return f"{alone} pictures are vectors alone, and the model looks at pictures" if alone else None
        if vectors.null_count:
            return f"{vectors.null_count} pictures have no vectors, which are what the model takes"
        width = len(vectors[0].as_py())
        return f"image vectors of width {width}, and the model takes {tower.width}" if width != tower.width else None

    @cached_property
    def image(self) -> Features:
        """Features of ``corpus.pictures``.

        Of the image, or of the row's ``vector`` where there is no image or the model takes vectors only.
        """
        if self._given["image"] is not None:
            return self._given["image"]
        rows = self.corpus.pictures
        seen = self.corpus.table["image"].is_valid().to_numpy()[rows]
        if isinstance(getattr(self.model, "image", None), VectorTower):
            seen &= ~self.corpus.table["vector"].is_valid().to_numpy()[rows]
        parts = self._chunks(rows[seen], self._encode_images, "looking")
        parts += self._chunks(rows[~seen], self._encode_vectors, "looking")
        back = np.argsort(np.concatenate([np.flatnonzero(seen), np.flatnonzero(~seen)]))
        return Features.concat(parts)[torch.from_numpy(back)]

    @cached_property
    def text(self) -> Features:
        """Features of ``corpus.texts``."""
        if self._given["text"] is not None:
            return self._given["text"]
        texts = self.corpus.table["text"].take(self.corpus.texts).to_pylist()
        number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        with torch.inference_mode():
            return self.model.embed_texts(list(number)).to("cpu")[torch.tensor([number[t] for t in texts])]

    def words(self, words: Sequence[str], template: str | Sequence[str] = "{word}") -> Tensor:
        """(Q, D) unit queries: each word put in place of ``{word}``; several templates are averaged."""
        templates = (template,) if isinstance(template, str) else tuple(template)
        key = (tuple(words), templates)
        if key not in self._words:
            with torch.inference_mode():
                queries = [
                    self.model.embed_texts([t.replace("{word}", w) for w in words]).pooled.cpu() for t in templates
                ]
                self._words[key] = F.normalize(torch.stack(queries).float().mean(0), dim=-1)
        return self._words[key]

    def scores(self, queries: Tensor, reading: Literal["pooled", "peak"] = "pooled") -> NDArray[np.float32]:
        """(recordings, Q) scores of unit queries (Q, D), read as the model was trained to be read."""
        read = getattr(self.model.compatibility, reading)
        with torch.inference_mode():
            return steady(torch.cat([read(part, queries) for part in self.audio_parts]))

    def curves(
        self, by: Locator, words: Sequence[str], template: str | Sequence[str] = "{word}"
    ) -> Iterator[tuple[int, Features, Tensor]]:
        """Where in each recording each word is, by a locator, some recordings at a time.

        Args:
            by: the locator; ``by.known(encoded.model, words)`` says which words it can be asked.
            words: Q of those.
            template: prompt(s) around the word, as of ``words``.

        Yields:
            The number of the first of B recordings in ``corpus.recordings``, their features, and the (B, N, Q) score
            curves, −inf outside the mask.

        Raises:
            UserError: the model has nothing to locate with in this way, or a recording cannot be read again.
        """
        asked, start = Asked(words, self.words(words, template)), 0
        for part in self.audio_parts:
            rows = self.corpus.recordings[start : start + len(part)]
            with torch.inference_mode():
                found = by.curves(self.model, partial(self._waves, rows), part, asked)
            yield start, part, found
            start += len(part)

    @property
    def tag_words(self) -> tuple[str, ...]:
        """The model's closed vocabulary; empty without a tag head."""
        head = getattr(self.model, "head", None)
        return () if head is None else tuple(head.names)

    def tag_scores(self, words: Sequence[str]) -> NDArray[np.float32]:
        """(recordings, Q) log-odds of the tag head; all the same, 0, for words outside its vocabulary.

        Raises:
            UserError: the model has no tag head.
        """
        if not self.tag_words:
            raise UserError("this model has no tag head", "Train with an objective of kind 'tag_head', or score peak.")
        place = {word: i for i, word in enumerate(self.tag_words)}
        found = np.zeros((len(self.corpus.recordings), len(words)), dtype=np.float32)
        known = [q for q, word in enumerate(words) if word in place]
        if known:
            tags = torch.cat([part.tags for part in self.audio_parts if part.tags is not None])
            found[:, known] = steady(tags[:, [place[words[q]] for q in known]])
        return found

    def text_scores(self) -> NDArray[np.float32]:
        """(recordings, texts) scores of ``corpus.texts`` in ``corpus.recordings``, read as search reads a written text.

        They rank recordings for a text. Texts of more words and of fewer do not score alike.

        A word that the text encoder knows no piece of is left to its text's whole.
        """
        texts = self.corpus.table["text"].take(self.corpus.texts).to_pylist()
        held = [content_words(t) for t in texts]
        number = {w: i for i, w in enumerate(self._readable(list(dict.fromkeys(w for words in held for w in words))))}
        whole = torch.from_numpy(self.scores(self.text.pooled))
        if self.model.compatibility.kind == "sum":  # the others read no pooled vector
            with torch.inference_mode():
                whole = whole * self.model.contrast(torch.cat([f.pooled for f in self.audio_parts]))[:, None]
        if not number:
            return steady(whole)
        share = torch.zeros(len(number), len(texts))
        for t, words in enumerate(held):
            share[[number[w] for w in words if w in number], t] = 1
        count = share.sum(0)
        moments = torch.from_numpy(self.scores(self.words(list(number)), "peak")) @ (share / count.clamp(min=1))
        return steady(read_text(moments, whole, count))

    def _readable(self, words: list[str]) -> list[str]:
        """Those of the words that the text encoder knows a piece of."""
        try:
            if words:
                self.words(words)
        except UserError:
            if len(words) == 1:
                return []
            middle = len(words) // 2
            return self._readable(words[:middle]) + self._readable(words[middle:])
        return words

    @cached_property
    def interval_over(self) -> Literal["pictures", "items"]:
        """What a bootstrap resamples: pictures with all their captions, or single items where groups are classes.

        Where a group holds several pictures (every seven among digits), or there are few groups, a group is no
        picture: resampling it would drop whole classes, words included.
        """
        groups = self.corpus.groups
        pictures = groups[self.corpus.pictures]
        many = len(np.unique(pictures)) < len(pictures) or len(np.unique(groups)) < FEW_GROUPS
        return "items" if many else "pictures"

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """(rows,) the unit that each row is resampled with."""
        return self.corpus.groups if self.interval_over == "pictures" else np.arange(len(self.corpus))
